"""JSON that we did not write: bounded in size, number of values and depth, and validated once against a typed structure.

A structure is a `msgspec.Struct` (or any type that msgspec knows); what it does not name is skipped. msgspec never takes true for
a number, a text for a number or a fraction for a whole number.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from models.errors import BadFile
from models.regular_file import open_regular
from models.sentence import Sentence
from models.system_reasons import system_reason

T = TypeVar("T")

LARGEST = 16 * 1024 * 1024
"""Bytes of a file that describes a model; those with an entry for each token or tensor may have `LARGEST_TABLE`."""
LARGEST_TABLE = 64 * 1024 * 1024
MOST_TOKENS = 1 << 19
"""Ids of a vocabulary; the largest published ones have 262,144."""
TokenId = Annotated[int, msgspec.Meta(ge=0, lt=MOST_TOKENS)]

_MOST_VALUES = 3_000_000
"""In one text: they take up to 150 bytes each in memory. The largest published tokenizer has 1.8 million."""
_DEEPEST = 100
_LONGEST_NUMBER = 400
_MISMATCH = re.compile(
    r"(?:Expected `(?P<type>[^`]+)`(?P<range>[^,-]*(?:-?\d[^,-]*)?)(?:, got `(?P<found>[^`]+)`)?"
    r"|Object missing required field `(?P<missing>[^`]+)`)(?: - at (?:`key` in )?`(?P<key>.*)`)?"
)


_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>[^`]*)`(?: - at `\$\.?(?P<key>.*)`)?")
WHOLE = "it"
"""The key of a value that is the text as a whole."""


class InvalidJSON(ValueError):
    """A text is not the JSON that was expected."""

    def __init__(self, reason: str | Sentence, *, key: str = "", wanted: str = "", actual: str = "") -> None:
        """Take the reason, and for a value of a wrong type or range: where it is, what it must be, what it is ("": unsaid)."""
        super().__init__(str(reason))
        self.reason = reason
        self.key = key
        self.wanted = wanted
        self.actual = actual
        self.unknown = ""
        """The key that a structure which forbids further ones does not have."""

    def of_file(self, path: Path | str) -> BadFile:
        """Return the error for a file that holds it."""
        if not self.key:
            return BadFile("{path} is not valid JSON ({reason}); download it again.", path=path, reason=self.reason)
        if not self.wanted:
            return BadFile("{path} has no {key}; download it again.", path=path, key=self.key)
        if not self.actual:
            return BadFile(
                "{path}: {key} must be {wanted}; download it again.", path=path, key=self.key, wanted=self.wanted
            )
        return BadFile(
            "{path}: {key} must be {wanted}, not {found}; download it again.",
            path=path,
            key=self.key,
            wanted=self.wanted,
            found=self.actual,
        )


def read_bytes(path: Path, *, largest: int = LARGEST_TABLE) -> bytes:
    """Return a file's bytes.

    Raises:
        BadFile: it is no regular file, cannot be read, or is larger than any file of its kind.
    """
    data = read_start(path, largest + 1)
    if len(data) > largest:
        raise BadFile(
            "{path} is larger than {size} MB, which no file of its kind is; download it again.",
            path=path,
            size=largest >> 20,
        )
    return data


def read_start(path: Path, count: int) -> bytes:
    """Return a file's first bytes, at most `count`.

    Raises:
        BadFile: it is no regular file or cannot be read.
    """
    try:
        with open_regular(path) as file:
            return file.read(min(count, os.fstat(file.fileno()).st_size))  # memory is taken for all that is asked for
    except OSError as error:
        reason = system_reason(error)
        raise BadFile("{path} cannot be read: {reason}.", path=path, reason=reason) from error


def read_object(path: Path, *, largest: int = LARGEST) -> dict[str, Any]:
    """Return a file's JSON object as plain values, nested at most `_DEEPEST` deep.

    Raises:
        BadFile: it cannot be read or holds anything else.
    """
    return read_struct(path, dict[str, Any], largest=largest)


def read_struct(path: Path, kind: type[T], *, largest: int = LARGEST) -> T:
    """Return a file's JSON as `kind`.

    Raises:
        BadFile: it cannot be read or holds anything else; the sentence names file and key.
    """
    return decode_file(path, read_bytes(path, largest=largest), kind)


def decode_file(path: Path, data: bytes, kind: type[T]) -> T:
    """Return what was read of a file as `kind`.

    Raises:
        BadFile: it is anything else; the sentence names file and key.
    """
    try:
        return decode(data, kind)
    except InvalidJSON as error:
        raise error.of_file(path) from error


def decode(data: bytes | msgspec.Raw, kind: type[T]) -> T:
    """Return a JSON text as `kind`: UTF-8, or what Python writes besides (NaN, Infinity, a byte order mark, UTF-16).

    Of a key that an object repeats, the last value counts, as everywhere.

    Raises:
        InvalidJSON: it is not JSON, has other types, lone surrogates, too many values or too deep a nesting.
    """
    data = bytes(data)
    if len(data) > 2 * _MOST_VALUES and sum(map(data.count, (b",", b"[", b"{"))) > _MOST_VALUES:
        raise InvalidJSON(Sentence("it holds too many values"))
    try:
        value = msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as error:
        if "out of range" not in str(error):
            raise _mismatch(error) from None
        value = _as_python_reads(data, kind)
    except msgspec.DecodeError:
        value = _as_python_reads(data, kind)
    except RecursionError:
        raise InvalidJSON(Sentence("it is nested too deeply")) from None
    if isinstance(value, dict | list) and _is_deep(value):
        raise InvalidJSON(Sentence("it is nested too deeply"))
    return value


def _as_python_reads(data: bytes, kind: type[T]) -> T:
    """Read what Python's own writer writes and msgspec refuses."""
    try:
        value = json.loads(data, parse_int=_int)
        if _is_deep(value):
            raise InvalidJSON(Sentence("it is nested too deeply"))
        msgspec.json.encode(value)  # refuses lone surrogates, which could be neither written nor shown
        return msgspec.convert(value, kind, str_keys=True)
    except msgspec.ValidationError as error:
        raise _mismatch(error) from None
    except UnicodeError:
        raise InvalidJSON(Sentence("it holds characters that are no Unicode")) from None
    except RecursionError:
        raise InvalidJSON(Sentence("it is nested too deeply")) from None
    except ValueError as error:
        raise error if isinstance(error, InvalidJSON) else InvalidJSON(str(error)) from None


def _int(digits: str) -> int:
    if len(digits) > _LONGEST_NUMBER:  # reading one takes time by the square of its length
        raise InvalidJSON(Sentence("it holds a number of absurd length"))
    return int(digits)


def _mismatch(error: msgspec.ValidationError) -> InvalidJSON:
    if unknown := _UNKNOWN.fullmatch(str(error)):
        invalid = InvalidJSON(str(error))
        invalid.unknown = ".".join(part for part in (unknown["key"], unknown["name"]) if part)
        return invalid
    match = _MISMATCH.fullmatch(str(error))
    if match is None:
        return InvalidJSON(str(error))
    key = (match["key"] or "$").removeprefix("$.")
    if match["missing"]:
        key = match["missing"] if key == "$" else f"{key}.{match['missing']}"
        return InvalidJSON(str(error), key=key)
    wanted = match["type"] + (match["range"] or "").rstrip()
    return InvalidJSON(str(error), key=WHOLE if key == "$" else key, wanted=wanted, actual=match["found"] or "")


def _is_deep(value: Any) -> bool:
    """Tell whether plain values are nested so deeply that recursive functions might fail on them."""
    level = [value]
    for _ in range(_DEEPEST):
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return False
    return True
