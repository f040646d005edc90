"""Hostile hosts through `zhiyin pull` and `zhiyin fit`: one line on stderr, exit 1, little memory, nothing left."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from converter.hub.manifest import LOCK, NOTE
from tests.support import hostile_answers as hostile
from tests.support.commands import without_display
from tests.support.hostile_answers import answer, entry, listing, weights
from tests.support.hub_server import HubServer, Raw, Repository

ROOT = Path(__file__).parents[3]
MEMORY = 700_000
"""Kilobytes of address space; without anything hostile both commands need 400,000."""
NAME = "org/model"
BIG_CONFIG = b'{"architectures": ["LlamaForCausalLM"], "x": [' + b"[[]]," * 790_000 + b"[]]}"
HUGE = 20_000_000_000


@pytest.fixture(scope="module")
def server() -> Iterator[HubServer]:
    with HubServer() as running:
        yield running


def bounded(command: str, server: HubServer, data_home: Path, *more: str) -> str:
    """Run a command in little memory, and return the sentence with which it fails."""
    words = [sys.executable, "-m", "desktop_app.cli", command, NAME, "--endpoint", server.endpoint, *more]
    limited = ["sh", "-c", f'ulimit -v {MEMORY}; exec "$@"', "sh", *words]
    environment = {key: value for key, value in without_display().items() if not key.startswith("HF_")}
    done = subprocess.run(
        limited, capture_output=True, cwd=ROOT, env=environment, check=False, timeout=120, stdin=subprocess.DEVNULL
    )
    said = done.stderr.decode()
    assert done.returncode == 1, said
    assert done.stdout == b""
    *_, sentence, end = said.replace("\r", "\n").split("\n")
    assert end == ""
    assert sentence.startswith("zhiyin: ")
    assert "Traceback" not in said
    assert not any(unicodedata.category(mark) in ("Cc", "Cf", "Cs", "Zl", "Zp") for mark in sentence), ascii(said)
    assert {path.name for path in data_home.rglob("*") if path.is_file()} <= {
        LOCK,
        NOTE,
        "engine.log",
        "worker.log",
        "network.jsonl",
        "downloads.json",
        "speed.json",  # of conftest.py
    }
    return sentence


LISTS: dict[str, tuple[Callable[[], Raw], str]] = {
    "endless list": (lambda: hostile.HEADS["endless list"], "answers with more than 50332 kB"),
    "bomb": (lambda: hostile.HEADS["bomb"], "answers with more than 50332 kB"),
    "100,000 files": (
        lambda: answer(listing(*[entry(f"{'x' * 60}{number}") for number in range(100_000)])),
        "holds no weights",
    ),
    "many values": (lambda: answer(b'{"x": [' + b"{}," * 15_000_000 + b"{}]}"), "does not answer as a Hub does"),
    "many values, cut": (lambda: answer(b'{"x": [' + b"{}," * 15_000_000), "does not answer as a Hub does"),
    "deep": (lambda: answer(b"[" * 40_000_000), "does not answer as a Hub does"),
    "name of direction": (
        lambda: answer(listing(weights(name=hostile.NAMES["right to left"]))),
        r"model\u202esnosnetefas.exe",
    ),
    "2,000 folders": (lambda: answer(listing(weights(name=hostile.NAMES["2,000 folders"]))), "no disk can keep"),
    "redirect to a file": (
        lambda: answer(b"", "302 Found", Location="file:///etc/passwd"),
        "redirects to what is no address",
    ),
    "endless refusal": (lambda: hostile.HEADS["endless refusal"], "There is no repository"),
    "endless redirect": (
        lambda: hostile.endless(hostile.head(b"Location: /api/again", status=b"HTTP/1.1 302 Found")),
        "redirects more than 10 times",
    ),
}
"""Large answers are made when they are asked for: together they would stay in every process of the tests."""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit of address space")
@pytest.mark.parametrize("command", ["pull", "fit"])
@pytest.mark.parametrize("case", LISTS)
def test_lists(server: HubServer, data_home: Path, command: str, case: str) -> None:
    raw, sentence = LISTS[case]
    server.raw = {"^/api/": raw()}
    assert sentence in bounded(command, server, data_home)


CONFIGS: dict[str, tuple[bytes, str]] = {
    "many values": (BIG_CONFIG, "config.json"),
    "deep": (b'{"architectures": ' + b"[" * 90_000 + b"]" * 90_000 + b"}", "is not valid JSON"),
    "larger than any": (b'{"x": "' + b"y" * 5_000_000 + b'"}', "is larger than 4 MB"),
    "surrogate": (rb'{"architectures": ["\ud800"]}', "is not valid JSON"),
    "list": (b"[]", "config.json: it must be `object`, not `array`"),
}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit of address space")
@pytest.mark.parametrize("case", CONFIGS)
def test_configurations(server: HubServer, data_home: Path, case: str) -> None:
    config, sentence = CONFIGS[case]
    server.raw = {}
    server.repositories[NAME] = Repository({"main": {"config.json": config, "model.safetensors": b"w"}})
    assert sentence.replace("`", "") in bounded("fit", server, data_home).replace("`", "")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit of address space")
def test_heads_that_do_not_end(server: HubServer, data_home: Path) -> None:
    """A GGUF file of 20 GB, whose vocabulary goes on and on."""
    counts = (0).to_bytes(8, "little") + (1).to_bytes(8, "little")
    key = (14).to_bytes(8, "little") + b"tokenizer.list" + (9).to_bytes(4, "little") + (8).to_bytes(4, "little")
    start = b"GGUF" + (3).to_bytes(4, "little") + counts + key + (2_000_000).to_bytes(8, "little")
    text = (40).to_bytes(8, "little") + b"x" * 40

    def part(request: object) -> list[bytes]:
        first, last = map(int, (server.requests[-1].range or "").removeprefix("bytes=").split("-"))
        content = start[first : last + 1]
        position = first + len(content) - len(start)
        rest = text * (2 + (last + 1 - first) // len(text))
        skip = position % len(text)
        content += rest[skip : skip + last + 1 - first - len(content)]
        lines = (f"Content-Range: bytes {first}-{last}/{HUGE}".encode(), b"Content-Length: %d" % len(content))
        return [hostile.head(*lines, status=b"HTTP/1.1 206 Partial Content") + content]

    server.raw = {"^/api/": answer(listing(weights(name="m-Q8_0.gguf", size=HUGE))), "/m-Q8_0.gguf$": part}
    assert "has a header of more than 64 MB" in bounded("fit", server, data_home)


def test_a_slow_host(server: HubServer, data_home: Path) -> None:
    """One byte a second, with the limits as they are."""
    server.raw = {"^/api/": hostile.slow(server, hostile.OK, seconds=1)}
    assert "answers too slowly: next to nothing came within 15 seconds" in bounded("pull", server, data_home)


def test_json_is_json(server: HubServer, data_home: Path) -> None:
    server.raw = {"^/api/": answer(json.dumps(None).encode())}
    assert "does not answer as a Hub does" in bounded("pull", server, data_home, "--json")
