"""What counts as a text that can be talked about, in the encodings that people have."""

from __future__ import annotations

from pathlib import Path

import pytest

from desktop_app.chat.text_file import LARGEST, TextTooLarge, read_text_file

TEXT = "第一行，知音。\nSecond line."


def test_traditional_chinese_in_big5(tmp_path: Path) -> None:
    text = "這是一個離線的助手，可以回答關於文件的問題。\n我們還沒有發現別的問題。"
    (tmp_path / "a.txt").write_bytes(text.encode("big5"))
    assert read_text_file(tmp_path / "a.txt") == text


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_the_encodings_that_people_have(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "笔记.txt"
    file.write_bytes(f"{TEXT}\n".replace("\n", "\r\n").encode(encoding))
    assert read_text_file(file) == TEXT


def test_what_is_no_text(tmp_path: Path) -> None:
    for name, data in (
        ("a.pdf", b"%PDF-1.7\n\0\1\2"),
        ("b.txt", b"\xff\xff\xff"),
        ("c.gguf", b"GGUF"),
        ("d.txt", b" \n"),
    ):
        (tmp_path / name).write_bytes(data)
        assert read_text_file(tmp_path / name) == ""
    assert read_text_file(tmp_path) == read_text_file(tmp_path / "none.txt") == ""


def test_a_text_that_is_too_large_is_told_apart_from_other_large_files(tmp_path: Path) -> None:
    (tmp_path / "log.txt").write_text("字" * LARGEST, "utf-8")
    with pytest.raises(TextTooLarge):
        read_text_file(tmp_path / "log.txt")
    (tmp_path / "film.mp4").write_bytes(bytes(LARGEST + 10))
    assert read_text_file(tmp_path / "film.mp4") == ""
    (tmp_path / "just.txt").write_text("a" * LARGEST, "utf-8")
    assert len(read_text_file(tmp_path / "just.txt")) == LARGEST
