"""JSON texts taken apart, damaged in one of their values, and put together again: everything else stays as a good file has it."""

from __future__ import annotations

import copy
import json
import random
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

_SOURCES = ("models", "converter/checkpoint", "converter/merging.py", "converter/metadata.py")
_RAW, _TWIN = "@raw@", "@twin@"
_SIMPLE: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 7, 64, 4096.0, 0.5, -0.0, 1e-45, 1e308, 2**31 - 1, 2**31, 2**32, 2**53 + 1, 2**63, 2**64,
    10**6, 10**9, 10**18, 10**30, -(2**31), float("nan"), float("inf"), float("-inf"),
    "", "0", "5", "true", "null", "a", " ", "\0", "\u202e", "知音", "x" * 5000, "../../etc/passwd", "{{", "[gMASK]", "<s>",
    "BPE", "Unigram", "Sequence", "Split", "yarn", "linear", "dynamic", "llama3", "longrope", "default", "gptq", "fp8",
    [], [[]], [None], [1], ["a"], [True], [-1], [1.5], {}, {"a": 1}, {"": {}}, {"type": "yarn", "factor": 4.0}, [{}], [[1], [3]],
)  # fmt: skip
_WRITTEN = (
    "[" * 100_000,
    "[" * 300 + "]" * 300,
    '{"a":' * 5000 + "1" + "}" * 5000,
    "1" * 100_000,
    "1e999",
    "-1e-999",
    '"\\ud800"',
    '"\\udc00\\ud800"',
    '"\xff"',
    "[" + ",".join(["0"] * 100_000) + "]",
    "{" + ",".join(f'"{n}":{n}' for n in range(20_000)) + "}",
    "[" + ",".join(["{}"] * 50_000) + "]",
    "nul",
    "'a'",
    "/* */ 1",
    "",
)
"""Texts that no writer writes."""


def known_keys() -> tuple[str, ...]:
    """Return the keys that our readers ask for, as far as their sources tell."""
    root = Path(__file__).parents[2]
    paths = [
        path for name in _SOURCES for path in ([root / name] if name.endswith(".py") else (root / name).rglob("*.py"))
    ]
    found = {key for path in paths for key in re.findall(r'"([a-z][a-z0-9_]{2,40})"', path.read_text("utf-8"))}
    return tuple(sorted(found))


def damaged_json(good: bytes, rng: random.Random, keys: Sequence[str]) -> bytes:
    """Return a JSON text with one value, key or sequence damaged, rarely three."""
    document = json.loads(good)
    written: list[str] = []
    for _ in range(rng.choice((1, 1, 1, 1, 2, 3))):
        rng.choices(_ACTIONS, _WEIGHTS)[0](document, rng, keys, written)
    text = json.dumps(document, ensure_ascii=rng.random() < 0.5)
    for number, raw in enumerate(written):
        text = text.replace(f'"{_RAW}{number}"', raw)
    data = re.sub(rf"{_TWIN}\d+", "", text).encode("utf-8", "surrogatepass").replace(b'"\xc3\xbf"', b'"\xff"')
    return rng.choice(_ENCODINGS)(data) if rng.random() < 0.04 else data


_ENCODINGS: tuple[Callable[[bytes], bytes], ...] = (
    lambda data: b"\xef\xbb\xbf" + data,
    lambda data: data.decode("utf-8", "replace").encode("utf-16"),
    lambda data: data[: len(data) // 2],
    lambda data: data + b"}",
    lambda data: b"",
    lambda data: b"[" + data + b"]",
    lambda data: data.replace(b'":', b'"', 1),
)


def _containers(document: Any) -> list[Any]:
    found, pending = [], [document]
    while pending:
        value = pending.pop()
        if isinstance(value, dict | list):
            found.append(value)
            pending += value.values() if isinstance(value, dict) else value[:50]
    return found


def _place(document: Any, rng: random.Random) -> tuple[Any, Any] | None:
    """Walk down from the top and choose a container that holds something, and one of its keys: what stands above counts more."""
    place, value = None, document
    while isinstance(value, dict | list) and value and (place is None or rng.random() < 0.6):
        place = value, rng.choice([*value] if isinstance(value, dict) else range(len(value)))
        value = value[place[1]]
    return place


def _value(rng: random.Random, written: list[str]) -> Any:
    if rng.random() < 0.12:
        written.append(rng.choice(_WRITTEN))
        return f"{_RAW}{len(written) - 1}"
    return copy.deepcopy(rng.choice(_SIMPLE))


def _replace(document: Any, rng: random.Random, keys: Sequence[str], written: list[str]) -> None:
    place = _place(document, rng)
    if place is not None:
        place[0][place[1]] = _value(rng, written)


def _nudge(document: Any, rng: random.Random, keys: Sequence[str], written: list[str]) -> None:
    """Change a value to one like it: another number, a longer text, one more or one less of a list."""
    place = _place(document, rng)
    if place is None:
        return
    container, key = place
    value = container[key]
    if isinstance(value, bool):
        container[key] = not value
    elif isinstance(value, int):
        container[key] = rng.choice(
            (value + 1, value - 1, -value, value * 2, value * 1000, value // 2, float(value), str(value))
        )
    elif isinstance(value, float):
        container[key] = rng.choice((-value, value * 1e6, value / 1e6, 0.0, str(value), 1_000_000))
    elif isinstance(value, str):
        container[key] = rng.choice((value * 50, value[:-1], value + "\0", value.upper(), [value], {"content": value}))
    elif isinstance(value, list):
        container[key] = rng.choice(
            (value * 3, value[:-1], value[::-1], [value], value[1:], dict.fromkeys(map(str, value), 1))
        )
    elif isinstance(value, dict):
        container[key] = rng.choice((list(value), list(value.values()), {"a": value}, str(value)[:1000]))


def _remove(document: Any, rng: random.Random, keys: Sequence[str], written: list[str]) -> None:
    place = _place(document, rng)
    if place is not None:
        del place[0][place[1]]


def _copy(document: Any, rng: random.Random, keys: Sequence[str], written: list[str]) -> None:
    """Put one part of the document in the place of another."""
    here, there = _place(document, rng), _place(document, rng)
    if here is not None and there is not None:
        here[0][here[1]] = copy.deepcopy(there[0][there[1]])


def _add(document: Any, rng: random.Random, keys: Sequence[str], written: list[str]) -> None:
    containers = _containers(document)
    container = containers[0] if rng.random() < 0.6 else rng.choice(containers)
    value = _value(rng, written)
    if isinstance(container, list):
        container.insert(rng.randrange(len(container) + 1), value)
    else:
        container[rng.choice(keys)] = value


def _twin(document: Any, rng: random.Random, keys: Sequence[str], written: list[str]) -> None:
    """Write a key a second time, with another value."""
    place = _place(document, rng)
    if place is not None and isinstance(place[0], dict):
        place[0][f"{place[1]}{_TWIN}1"] = _value(rng, written)


_ACTIONS = (_replace, _nudge, _remove, _copy, _add, _twin)
_WEIGHTS = (8, 6, 3, 3, 5, 1)
