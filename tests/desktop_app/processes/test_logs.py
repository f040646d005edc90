"""Logs are for bug reports: where none can be written, everything else works."""

from __future__ import annotations

from pathlib import Path

from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import Devices
from desktop_app.paths import log_file
from desktop_app.processes import logs


def test_an_engine_without_a_place_for_its_log(data_home: Path) -> None:
    (data_home / "logs").write_text("a file where the folder was")
    with Engine() as engine:
        assert engine.submit(Devices()).result(60).backends


def test_a_long_log_begins_anew() -> None:
    log_file("engine").write_bytes(bytes(logs._LIMIT + 1))
    with logs.open_log("engine") as file:
        file.write(b"new")
    assert log_file("engine").read_bytes() == b"new"
