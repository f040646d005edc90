"""Our own small files, damaged in every way: the rest works, the damaged one is put aside, and it is said."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from desktop_app import reports
from desktop_app.planning.calibration import LoadRecord, Loads
from desktop_app.planning.speed import keep_speed, known_speed
from desktop_app.settings import Settings, load_settings, save_settings
from desktop_app.system.read_speed import TYPES, ReadSpeed
from models.errors import ZhiyinError

GOOD_LOAD = {"device": "RAM", "model": "tea", "predicted": 100, "actual": 120}
SPEED = ReadSpeed(dict.fromkeys(TYPES, 4e9), 2, dict.fromkeys(TYPES, 5e-9), 1.1, copied=3e9)


def _settings(path: Path) -> object:
    return load_settings(path)


def _loads(path: Path) -> object:
    return Loads(path).newest("RAM")


def _speed(path: Path) -> object:
    return known_speed(path)


READERS: dict[str, tuple[Callable[[Path], object], object]] = {
    "settings": (_settings, Settings()),
    "loads": (_loads, []),
    "speed": (_speed, None),
}
DAMAGE: dict[str, bytes] = {
    "empty": b"",
    "zeros": bytes(300),
    "truncated": b'{"theme": "dark", "tok',
    "truncated-list": b'[{"device": "RAM", "mod',
    "binary": bytes(range(256)),
    "number": b"7",
    "text": b'"tea"',
    "null": b"null",
    "deep": b"[" * 100_000 + b"]" * 100_000,
    "deep-object": b'{"theme":' * 50_000 + b"1" + b"}" * 50_000,
    "huge": b"[" + b"0," * 5_000_000 + b"0]",
    "long-number": b"[" + b"9" * 10_000 + b"]",
    "utf-16-half": '{"theme"'.encode("utf-16") + b"\x00",
}


@pytest.fixture
def said() -> Iterator[list[ZhiyinError]]:
    heard: list[ZhiyinError] = []
    reports.listen(None)
    reports.listen(heard.append)
    heard.clear()
    yield heard
    reports.listen(None)


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("kind", READERS)
def test_damage_is_put_aside_and_said(tmp_path: Path, kind: str, damage: str, said: list[ZhiyinError]) -> None:
    read, empty = READERS[kind]
    path = tmp_path / f"{kind}.json"
    path.write_bytes(DAMAGE[damage])
    assert read(path) == empty
    assert not path.exists()
    [aside] = tmp_path.iterdir()
    assert aside.read_bytes() == DAMAGE[damage]
    [error] = said
    assert str(path) in str(error)
    assert str(aside) in str(error)
    assert read(path) == empty
    assert len(said) == 1


@pytest.mark.timeout(20)
@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
@pytest.mark.parametrize("kind", READERS)
def test_a_pipe_or_a_folder_in_its_place_is_put_aside(tmp_path: Path, kind: str, said: list[ZhiyinError]) -> None:
    read, empty = READERS[kind]
    path = tmp_path / f"{kind}.json"
    os.mkfifo(path)
    assert read(path) == empty
    path.mkdir()
    assert read(path) == empty
    assert not path.exists()
    assert len(said) == 2


def test_good_settings_survive_wrong_ones(tmp_path: Path, said: list[ZhiyinError]) -> None:
    path = tmp_path / "settings.json"
    wrong: dict[str, Any] = {
        "temperature": "hot",
        "system_prompt": ["x"],
        "tokens": {"a": 1},
        "sidebar": 1,
        "seed": math.nan,
    }
    path.write_text(json.dumps({"theme": "dark", "top_k": 3, "of a newer version": 1, **wrong}))
    wanted = Settings(theme="dark", top_k=3)
    assert load_settings(path) == wanted
    assert len(said) == 1
    assert json.loads(path.read_text("utf-8")) == asdict(wanted)
    assert load_settings(path) == wanted
    assert len(said) == 1
    [aside] = [other for other in tmp_path.iterdir() if other != path]
    assert '"hot"' in aside.read_text("utf-8")


def test_settings_keep_what_is_no_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    save_settings(Settings(model="caf\udce9.gguf", system_prompt="知音"), path)
    assert load_settings(path).model == "caf\udce9.gguf"
    path.write_bytes(b'{"system_prompt": "\\ud800"}')
    assert load_settings(path) == Settings()


def test_a_file_that_says_the_same_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "settings.json"
    save_settings(Settings(theme="dark"), path)
    file = path.stat().st_ino
    save_settings(Settings(theme="dark"), path)
    assert path.stat().st_ino == file
    save_settings(Settings(theme="light"), path)
    assert load_settings(path).theme == "light"


def test_settings_of_an_editor_with_a_byte_order_mark_are_read(tmp_path: Path, said: list[ZhiyinError]) -> None:
    (tmp_path / "settings.json").write_text('{"theme": "dark"}', "utf-8-sig")
    assert load_settings(tmp_path / "settings.json").theme == "dark"
    assert said == []


@pytest.mark.parametrize(
    "wrong",
    [
        7,
        None,
        [],
        {},
        GOOD_LOAD | {"actual": "120"},
        GOOD_LOAD | {"predicted": True},
        GOOD_LOAD | {"actual": 10**30},
        GOOD_LOAD | {"device": 3},
        GOOD_LOAD | {"actual": -1},
    ],
    ids=repr,
)
def test_good_loads_survive_wrong_ones(tmp_path: Path, wrong: object, said: list[ZhiyinError]) -> None:
    path = tmp_path / "loads.json"
    path.write_text(json.dumps([GOOD_LOAD, wrong, GOOD_LOAD]))
    assert Loads(path).corrections() == {"RAM": 20}
    assert len(said) == 1
    assert json.loads(path.read_text("utf-8")) == [GOOD_LOAD] * 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"computer": 1},
        {"threads": "2"},
        {"threads": -1},
        {"row_seconds": {"F16": -1}},
        {"spread": []},
        {"spread": math.nan},
    ]
    + [{"bytes_per_second": value} for value in ({}, [], {"F16": "fast"}, {"F16": 0}, {"F16": math.inf}, 3)],
    ids=repr,
)
def test_a_wrong_speed_is_measured_again(tmp_path: Path, wrong: dict[str, Any], said: list[ZhiyinError]) -> None:
    path = tmp_path / "speed.json"
    keep_speed(path, SPEED)
    assert known_speed(path) == SPEED
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | wrong))
    assert known_speed(path) is None
    assert len(said) == 1
    assert not path.exists()


def test_a_speed_of_another_computer_is_no_damage(tmp_path: Path, said: list[ZhiyinError]) -> None:
    path = tmp_path / "speed.json"
    keep_speed(path, SPEED)
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"computer": "another"}))
    assert known_speed(path) is None
    assert path.exists()
    assert said == []


_ADD = """
import sys
from pathlib import Path
from desktop_app.planning.speed import keep_speed, known_speed
from desktop_app.system.read_speed import TYPES, ReadSpeed
from desktop_app.planning.calibration import LoadRecord, Loads
for number in range(5):
    Loads(Path(sys.argv[1])).add([LoadRecord(f"{sys.argv[2]}-{number}", "tea", 1, 2)])
"""


def test_no_load_is_lost_between_processes(tmp_path: Path) -> None:
    path = tmp_path / "loads.json"
    writers = [subprocess.Popen([sys.executable, "-c", _ADD, str(path), str(number)]) for number in range(8)]
    assert [writer.wait() for writer in writers] == [0] * 8
    assert len(Loads(path).corrections()) == 40
    assert list(tmp_path.iterdir()) == [path]


def test_what_was_read_before_another_process_wrote_is_not_written_back(tmp_path: Path) -> None:
    early = Loads(tmp_path / "loads.json")
    Loads(tmp_path / "loads.json").add([LoadRecord("RAM", "tea", 1, 2)])
    early.add([LoadRecord("GPU", "tea", 1, 2)])
    assert set(Loads(tmp_path / "loads.json").corrections()) == {"RAM", "GPU"}
