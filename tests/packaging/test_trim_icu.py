"""ICU's data without what Qt does not ask for: words are sorted as before, and the rest is gone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import PySide6
import pytest

from tests.support.scripts import load_script

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="Qt has ICU on Linux only"),
    pytest.mark.skipif(shutil.which("cc") is None, reason="there is no compiler"),
]
ROOT = Path(__file__).parents[2]
PROGRAM = """
from functools import cmp_to_key
from PySide6.QtCore import QCollator, QLocale, QStringDecoder

words = ["知音", "文件10", "文件9", "重庆", "北京", "阿", "啊", "Zebra", "apple", "Äpfel", "10", "9", "长", "张", "一", "繁體"]
for name in ("C", "en_US", "de_DE", "zh_CN", "zh_TW"):
    collator = QCollator(QLocale(name))
    collator.setNumericMode(True)
    print(name, *sorted(words, key=cmp_to_key(collator.compare)))
for name in ("GB18030", "GBK", "Big5"):
    print(name, QStringDecoder(name).isValid())
"""


@pytest.fixture(scope="module")
def icu() -> ModuleType:
    return load_script(ROOT / "packaging" / "linux" / "trim_icu.py")


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """A copy of the library, in a folder with spaces and Chinese in its name."""
    (whole,) = Path(PySide6.__file__).parent.glob("Qt/lib/libicudata.so.*")
    folder = tmp_path / "my 知音"
    folder.mkdir()
    return Path(shutil.copy(whole, folder))


def qt_with(library: Path | None) -> str:
    """Return what Qt makes of words and encodings, with this library for its own."""
    environment = dict(os.environ)
    if library is not None:
        # A preloaded library of the same name is the one that is linked.
        environment["LD_PRELOAD"] = library.name
        environment["LD_LIBRARY_PATH"] = str(library.parent)
    command = [sys.executable, "-X", "utf8", "-c", PROGRAM]
    return subprocess.run(command, env=environment, capture_output=True, encoding="utf-8", check=True).stdout


def test_qt_sorts_and_decodes_as_before(icu: ModuleType, library: Path) -> None:
    header, items = icu.read_archive(library.read_bytes())
    before = library.stat().st_size
    icu.trim(library)
    left = icu.read_archive(library.read_bytes())
    assert left[0] == header
    assert {name for name in left[1] if not icu.KEEP.fullmatch(name)} == set()
    assert all(item.startswith(items[name]) for name, item in list(left[1].items())[:-1])
    assert library.stat().st_size < before / 8
    assert qt_with(library) == qt_with(None)


def test_what_is_taken_out_is_missed(icu: ModuleType, library: Path) -> None:
    """Else the test above would prove nothing."""
    icu.trim(library, re.compile(r"[^/]+/(cnvalias)\.icu"))
    assert qt_with(library) != qt_with(None)
