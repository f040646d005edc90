"""What the system refuses is said in the window's language, the system's own words included."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

import pytest
from PySide6.QtWidgets import QApplication

from converter.gguf_header import read_gguf_header
from desktop_app.ui.i18n.sentences import translated
from desktop_app.ui.i18n.translate import LanguageKeeper
from models.errors import ZhiyinError, error_from_data
from models.system_errors import as_zhiyin_error

_ENGLISH = re.compile("[A-Za-z]{2,}")
_NUMBERS = (errno.EACCES, errno.EIO, errno.ENOENT, errno.EPERM, errno.EROFS, errno.ESTALE, errno.ELOOP, errno.EPIPE)


@pytest.mark.parametrize("language", ["zh_CN", "zh_TW"])
@pytest.mark.parametrize("number", _NUMBERS, ids=lambda number: errno.errorcode[number])
def test_no_english_is_left(application: QApplication, language: str, number: int) -> None:
    languages = LanguageKeeper()
    languages.choose(language)
    try:
        error = as_zhiyin_error(OSError(number, os.strerror(number)))
        words = translated(error_from_data(error.data()))
    finally:
        languages.close()
    assert not _ENGLISH.search(words), words


def test_a_file_that_is_missing(application: QApplication, tmp_path: Path) -> None:
    languages = LanguageKeeper()
    languages.choose("zh_CN")
    try:
        with pytest.raises(ZhiyinError) as caught:
            read_gguf_header(tmp_path / "x")
        words = translated(caught.value)
    finally:
        languages.close()
    assert "没有那个文件或文件夹" in words, words
