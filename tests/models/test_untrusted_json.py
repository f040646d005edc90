"""Untrusted JSON is read as its writers mean it, or refused with file, key and reason."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Annotated, Any

import msgspec
import pytest

from models.errors import BadFile
from models.untrusted_json import InvalidJSON, TokenId, decode, read_bytes, read_object, read_struct


class Model(msgspec.Struct):
    """A small structure with a value of each kind."""

    size: Annotated[int, msgspec.Meta(ge=1, le=100)]
    ids: dict[str, TokenId] = {}
    texts: list[str] = []
    end: str | None = None


@pytest.mark.parametrize(
    ("written", "key", "wanted", "found"),
    [
        ('{"size": 101}', "size", "int <= 100", ""),
        ('{"size": -1}', "size", "int >= 1", ""),
        ('{"size": true}', "size", "int", "bool"),
        ('{"size": "5"}', "size", "int", "str"),
        ('{"size": 5.5}', "size", "int", "float"),
        ('{"size": 5, "ids": {"a": 1000000000}}', "ids[...]", "int <= 524287", ""),
        ('{"size": 5, "texts": ["a", null]}', "texts[1]", "str", "null"),
        ('{"size": 5, "end": ["a"]}', "end", "str | null", "array"),
        ("[]", "it", "object", "array"),
        ("{}", "size", "", ""),
    ],
)
def test_a_wrong_type_is_named(written: str, key: str, wanted: str, found: str) -> None:
    with pytest.raises(InvalidJSON) as caught:
        decode(written.encode(), Model)
    assert (caught.value.key, caught.value.wanted, caught.value.actual) == (key, wanted, found)
    with pytest.raises(InvalidJSON) as caught:  # the way of texts that only Python reads
        decode(b"\xef\xbb\xbf" + written.encode(), Model)
    assert (caught.value.key, caught.value.wanted) == (key, wanted)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b'{"size": 5} and more',
        b'{"size": 5, "end": "\\ud800"}',
        b'{"size": 5, "end": "\xed\xa0\x80"}',
        b'{"size": 5, "end": "\xff"}',
        b'{"size": 5, "more": ' + b"[" * 100_000,
        b'{"size": ' + b"1" * 100_000 + b"}",
    ],
)
@pytest.mark.parametrize("kind", [Model, dict[str, Any]])
def test_what_is_not_json_is_refused(data: bytes, kind: Any) -> None:
    with pytest.raises(InvalidJSON):
        decode(data, kind)


def test_what_python_writes_is_read() -> None:
    published = {"time_step_limit": [0.0, float("inf")], "name": "\u77e5\u97f3"}
    for data in (json.dumps(published).encode(), b"\xef\xbb\xbf" + json.dumps(published, ensure_ascii=False).encode()):
        assert decode(data, dict[str, Any]) == published
    assert decode(json.dumps({"size": 5}).encode("utf-16"), Model).size == 5


def test_plain_values_nested_too_deeply_for_recursive_functions_are_refused() -> None:
    assert decode(b'{"a": ' + b"[" * 50 + b"]" * 50 + b"}", dict[str, Any])
    with pytest.raises(InvalidJSON, match="nested"):
        decode(b'{"a": ' + b"[" * 500 + b"]" * 500 + b"}", dict[str, Any])


def test_many_small_values_are_refused_before_they_take_memory() -> None:
    with pytest.raises(InvalidJSON, match="too many values"):
        decode(b"[" + b"[]," * 3_000_000 + b"1]", list[Any])


def test_the_sentence_names_the_file(tmp_path: Path) -> None:
    path = tmp_path / "config.json"
    path.write_text('{"size": null}')
    with pytest.raises(BadFile, match=r"config.json: size must be int, not null; download it again\."):
        read_struct(path, Model)
    path.write_text("{}")
    with pytest.raises(BadFile, match=r"config.json has no size; download it again\."):
        read_struct(path, Model)
    with pytest.raises(BadFile, match="is larger than 0 MB"):
        read_object(path, largest=1)
    with pytest.raises(BadFile, match="cannot be read"):
        read_bytes(tmp_path / "none.json")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no FIFOs")
def test_nothing_waits_for_a_fifo(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "config.json")
    with pytest.raises(BadFile, match="is a pipe or a device"):
        read_bytes(tmp_path / "config.json")
