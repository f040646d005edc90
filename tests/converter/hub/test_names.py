"""Which names of files are kept: judged by rules of file systems, not by what a host would like."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from converter.hub.address import is_web_address
from converter.hub.connection import _is_local
from converter.hub.names import check_kept_names, check_names, is_harmless
from converter.hub.repository import is_repository
from models.errors import BadFile

GOOD = [
    "model.safetensors",
    "BF16/model-00001-of-00002.gguf",
    ".gitattributes",
    "模型.gguf",
    "é.bin",
    "a b (1).gguf",
    "…",
    "👩\u200d💻.png",
    "m" * 255,
    "a/" * 60 + "m",
    "v1.0/x..y",
    "C+.gguf",
    "-rf",
    "~",
    "$HOME",
    "%2e%2e",
    "a;b&c.gguf",
]


@pytest.mark.parametrize("name", GOOD)
def test_honest_names(name: str) -> None:
    check_names("org/model", [name])
    check_kept_names("org/model", [name], one_case=True)


@given(st.text(st.characters(), max_size=40))
def test_whatever_is_harmless_stays_in_its_folder_and_can_be_shown(name: str) -> None:
    if not is_harmless(name):
        return
    folder = Path("/downloads/org--model")
    path = Path(os.path.normpath(folder / name))
    assert path.is_relative_to(folder)
    assert path != folder
    assert not any(unicodedata.category(mark) in ("Cc", "Cs", "Zl", "Zp") for mark in name)
    name.encode()


@pytest.mark.parametrize(
    ("names", "one_case", "fits"),
    [
        (("a.gguf", "A.gguf"), False, True),
        (("a.gguf", "A.gguf"), True, False),
        (("straße.gguf", "STRASSE.gguf"), True, False),
        (("e\u0301.gguf", "é.gguf"), True, False),
        (("e\u0301.gguf", "é.gguf"), False, True),
        (("a", "a/b"), False, False),
        (("a/b", "a"), False, False),
        (("a/b", "A"), True, False),
        (("a/b", "a/c"), True, True),
        (("a/b/c", "a/b"), False, False),
        ((".hub.json",), False, False),
        ((".LOCK",), False, False),
        ((".a.0123456789abcdef.part",), False, False),
    ],
)
def test_names_that_are_one_on_a_disk(names: tuple[str, ...], one_case: bool, fits: bool) -> None:
    if fits:
        check_kept_names("org/model", names, one_case=one_case)
    else:
        with pytest.raises(BadFile):
            check_kept_names("org/model", names, one_case=one_case)


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True),
        ("127.1", True),
        ("2130706433", True),
        ("0x7f000001", True),
        ("localhost", True),
        ("a.localhost.", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("fe80::1", True),
        ("fc00::1", True),
        ("0", True),
        ("10.1.2.3", True),
        ("172.16.0.1", True),
        ("192.168.1.1", True),
        ("169.254.169.254", True),
        ("172.32.0.1", False),
        ("8.8.8.8", False),
        ("198.18.0.1", False),
        ("100.64.0.1", False),
        ("2606:4700::1", False),
        ("huggingface.co", False),
        ("", False),
    ],
)
def test_local_addresses(host: str, local: bool) -> None:
    assert _is_local(host) is local


@pytest.mark.parametrize(
    ("address", "whole"),
    [
        ("https://huggingface.co", True),
        ("http://127.0.0.1:8080/hub", True),
        ("https://[::1]:443", True),
        ("https://例子.测试", True),
        ("https://a_b.example", True),
        ("https://a.example.", True),
        ("https://", False),
        ("https:///x", False),
        ("a.example", False),
        ("https://a..b", False),
        ("https://a b", False),
        ("https://a\n.b", False),
        ("https://a:0", False),
        ("https://a:65536", False),
        ("https://a:x", False),
        ("https://[::1", False),
        ("https://*", False),
        ("https://a\u202eb", False),
        ("javascript:x", False),
        ("https://-", True),
        ("https://%41", False),
        ("file:///a", False),
        ("", False),
        ("https://" + "a." * 200 + "b", True),
    ],
)
def test_addresses(address: str, whole: bool) -> None:
    assert is_web_address(address) is whole


@pytest.mark.parametrize(
    "name", ["org/..", "org/.", "../x", "org/" + "m" * 97, "o" * 97 + "/m", "org/a\n", "org/a b", "org/\udcff"]
)
def test_what_names_no_repository(name: str) -> None:
    assert not is_repository(name)
