"""Which versions of the system's libraries files need: the listing's reading here, a built tree in `test_bundle`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.scripts import load_script

SCRIPT = Path(__file__).parents[2] / "packaging" / "linux" / "symbol_floor.py"
LISTING = """
Version symbols section '.gnu.version' contains 3 entries:
 Addr: 0x0000000000000372  Offset: 0x000372  Link: 5 (.dynsym)
  000:   0 (*local*)       2 (GLIBC_2.38)    1 (*global*)

Version definition section '.gnu.version_d' contains 2 entries:
  000000: Rev: 1  Flags: BASE  Index: 1  Cnt: 1  Name: liba.so
  0x001c: Rev: 1  Flags: none  Index: 2  Cnt: 1  Name: GLIBCXX_3.4.33

Version needs section '.gnu.version_r' contains 2 entries:
 Addr: 0x00000000000004a8  Offset: 0x0004a8  Link: 6 (.dynstr)
  000000: Version: 1  File: libc.so.6  Cnt: 3
  0x0010:   Name: GLIBC_2.9  Flags: none  Version: 5
  0x0020:   Name: GLIBC_2.34  Flags: none  Version: 4
  0x0030:   Name: GLIBC_PRIVATE  Flags: none  Version: 7
  0x0040: Version: 1  File: libstdc++.so.6  Cnt: 2
  0x0050:   Name: CXXABI_1.3.13  Flags: WEAK  Version: 3
  0x0060:   Name: OPENSSL_3.0.0  Flags: none  Version: 2
"""


@pytest.fixture(scope="module")
def floor() -> ModuleType:
    return load_script(SCRIPT)


def test_the_highest_need_counts_and_what_a_library_defines_does_not(floor: ModuleType) -> None:
    assert floor.needs(LISTING) == {"GLIBC": (2, 34), "CXXABI": (1, 3, 13)}
    assert floor.needs("No version information found in this file.") == {}


def test_every_file_above_its_bound_is_named(floor: ModuleType) -> None:
    found = {Path("a"): {"GLIBC": (2, 36)}, Path("b"): {"GLIBC": (2, 9)}, Path("c"): {"GCC": (12, 0, 0)}}
    assert floor.highest(found) == {"GLIBC": ((2, 36), Path("a")), "GCC": ((12, 0, 0), Path("c"))}
    assert floor.above(found, {"GLIBC": (2, 34)}) == ["a: GLIBC_2.36, at most 2.34"]
    assert floor.above(found, {"GLIBC": (2, 36)}) == []


@pytest.mark.skipif(shutil.which("cc") is None or shutil.which("readelf") is None, reason="no compiler")
def test_a_tree_is_read_without_following_links(tmp_path: Path) -> None:
    tree = tmp_path / "知音 tree"
    tree.mkdir()
    (tree / "notes.txt").write_text("ELF")
    source = tmp_path / "a.c"
    source.write_text("#include <stdlib.h>\nvoid *f(void) { return malloc(1); }\n")
    subprocess.run(["cc", "-shared", "-fPIC", "-o", tree / "liba.so", source], check=True)
    (tree / "libb.so").symlink_to("liba.so")
    asked = [sys.executable, str(SCRIPT), str(tree)]
    listed = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    assert listed.startswith("liba.so GLIBC_")
    assert "libb.so" not in listed
    refused = subprocess.run([*asked, "--most", "GLIBC=2.0"], capture_output=True, text=True, check=False)
    assert (refused.returncode, refused.stderr.split(":")[0]) == (1, "liba.so")
