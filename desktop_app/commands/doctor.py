"""`zhiyin doctor`: checks the installation and prints what a bug report needs."""

from __future__ import annotations

import argparse
import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

import psutil

from converter.hub import permission
from converter.hub.address import HUB
from desktop_app.about import versions
from desktop_app.commands.hardware import device_words, part_words
from desktop_app.commands.options import add_json
from desktop_app.commands.terminal import human_bytes, print_json, print_table
from desktop_app.connections import connections
from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import Complete, Devices, Load, LoadSettings, SamplingSettings
from desktop_app.library.installed import Library
from desktop_app.network import position, watch
from desktop_app.paths import data_folder, models_folder
from desktop_app.planning.computer import hardware_now
from desktop_app.system.display_libraries import how_to_install, missing_libraries
from models.errors import ZhiyinError

_SECONDS, _CONTEXT, _TOKENS = 300, 256, 4
"""For the engine's answers, and what it computes while its sockets are looked at."""


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    name: str
    good: bool
    detail: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--network", action="store_true", help="check too that nothing connects unasked or while offline"
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Run every check; exit 1 if one fails."""
    checks = _CHECKS | (_NETWORK_CHECKS if arguments.network else {})
    findings = [_run(name, check) for name, check in checks.items()]
    if arguments.json:
        print_json({"versions": versions(), "checks": [asdict(finding) for finding in findings]})
    else:
        print_table(versions().items())
        print()
        print_table((finding.name, "ok" if finding.good else "FAILED", finding.detail) for finding in findings)
    return 0 if all(finding.good for finding in findings) else 1


def _run(name: str, check: Callable[[], str]) -> Finding:
    try:
        return Finding(name, True, check())
    except (ZhiyinError, OSError, sqlite3.Error, ImportError, TimeoutError) as error:
        return Finding(name, False, str(error) or type(error).__name__)


def _check_data_folder() -> str:
    folder = data_folder()
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"zhiyin")
    return f"{folder} can be written, {human_bytes(shutil.disk_usage(folder).free)} free"


def _check_libraries() -> str:
    """Name all of the system's libraries that are missing: window and engine would name one, or none."""
    missing = missing_libraries() if sys.platform == "linux" else []
    if missing:
        command = how_to_install(missing)
        raise ZhiyinError(
            "this system lacks {libraries}; window and engine need them{command}",
            libraries=", ".join(missing),
            command=f" ({command})" if command else "",
        )
    return "the system has all that window and engine need"


def _check_engine() -> str:
    with Engine() as engine:
        hardware = hardware_now(engine)
    used = [f"{device.name}: {device_words(device)}" for device in hardware.devices]
    used += [f"{part.part}: {part_words(part)}" for part in hardware.parts]
    return "; ".join(used + [f"{card.name}: not used: {card.reason}" for card in hardware.unused_cards])


def _check_models() -> str:
    models = Library(models_folder()).models()
    if not models:
        raise ZhiyinError("no model is installed; convert or import one")
    return ", ".join(model.name for model in models)


def _check_window() -> str:
    from PySide6.QtGui import QGuiApplication  # fails where Qt's system libraries are missing

    if sys.platform == "linux" and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return "Qt loads, but there is no display: zhiyin opens as a terminal chat"
    return f"Qt loads ({QGuiApplication.__module__.split('.')[0]} {version('pyside6-essentials')})"


def _check_search() -> str:
    with sqlite3.connect(":memory:") as database:
        database.execute("CREATE VIRTUAL TABLE t USING fts5(x)")
    return f"SQLite {sqlite3.sqlite_version} with full-text search"


def _check_connections() -> str:
    entries = connections()
    hosts = ", ".join(sorted({entry.host for entry in entries})) or "none"
    return f"position {position()}; {len(entries)} connections so far, to {hosts} (zhiyin network lists them)"


def _check_switch() -> str:
    """Ask for a download with the switch on, while all sockets are counted."""
    from converter.hub.connection import Connection  # takes a while
    from converter.hub.network_errors import Offline

    made: list[str] = []

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("socket.__new__", "socket.connect", "socket.getaddrinfo"):
            made.append(event)

    sys.addaudithook(count)
    permission.guard(lambda: True, lambda contact: None)
    try:
        Connection(HUB, {}, {}).read(f"{HUB}/api/models", 1)
    except Offline:
        if not made:
            return "with the offline switch on a download is refused before there is a socket"
    finally:
        watch()
    raise ZhiyinError("with the offline switch on something asked for a socket: {events}", events=", ".join(made))


def _check_processes() -> str:
    """Look whether this process or the engine, while it computes, has a socket of the internet."""
    with Engine() as engine:
        engine.submit(Devices()).result(_SECONDS)
        model = Library(models_folder()).starter()
        if model is not None:
            engine.submit(Load(model.path, LoadSettings(context=_CONTEXT))).result(_SECONDS)
            engine.submit(Complete("Hello", SamplingSettings(max_tokens=_TOKENS))).result(_SECONDS)
        ours = [psutil.Process(), *psutil.Process().children(recursive=True)]
        processes = [
            f"{process.name()} {link.laddr} {link.raddr}"
            for process in ours
            for link in process.net_connections("inet")
        ]
    if processes:
        raise ZhiyinError("a process has a connection: {connections}", connections="; ".join(processes))
    return f"{len(ours)} processes, the engine among them, have no connection"


_NETWORK_CHECKS: dict[str, Callable[[], str]] = {
    "connections": _check_connections,
    "offline switch": _check_switch,
    "open sockets": _check_processes,
}
_CHECKS: dict[str, Callable[[], str]] = {
    "data folder": _check_data_folder,
    "libraries": _check_libraries,
    "engine": _check_engine,
    "models": _check_models,
    "window": _check_window,
    "database": _check_search,
}
