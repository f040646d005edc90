"""macOS' sandbox, as far as another system can look at it: command, profile, the shell around it, libproc's structures."""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from desktop_app.assistant.sandbox import macos
from desktop_app.assistant.sandbox.confinement import confinement
from desktop_app.assistant.sandbox.watch import MOST_WRITTEN, TOO_LARGE, TOO_MUCH

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="it is built with POSIX' parts")
ODD = 'a "quoted" (folder) with \\ and = and ;知音 -D'


def parts(command: list[str]) -> tuple[str, dict[str, str], list[str]]:
    """Return a command's profile, parameters, and what it starts, as sandbox-exec reads it."""
    assert command[:2] == ["/usr/bin/sandbox-exec", "-p"]
    profile, rest, parameters = command[2], command[3:], {}
    while rest and rest[0] == "-D":
        name, _, value = rest[1].partition("=")
        parameters[name], rest = value, rest[2:]
    return profile, parameters, rest


def expressions(text: str) -> list[Any]:
    """Return a profile as nested lists: the language is Scheme's."""
    stack: list[list[Any]] = [[]]
    for part in re.findall(r'"[^"]*"|[()]|[^\s()"]+', text):
        if part == "(":
            stack.append([])
        elif part == ")":
            stack[-2].append(stack.pop())
        else:
            stack[-1].append(part)
    assert len(stack) == 1
    return stack[0]


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    (tmp_path / ODD / "work").mkdir(parents=True)
    (tmp_path / ODD / "attached.txt").write_text("x", "utf-8")
    (tmp_path / "link").symlink_to(tmp_path / ODD / "work")
    return macos.wrapped([sys.executable, "-I", "0"], tmp_path / "link", [tmp_path / ODD / "attached.txt"])


def test_it_is_what_macos_gets() -> None:
    assert isinstance(confinement("darwin"), macos.MacOS)
    assert confinement("plan9") is None


def test_the_command_starts_python_below_the_profile(command: list[str], tmp_path: Path) -> None:
    profile, parameters, started = parts(command)
    assert started == [sys.executable, "-I", "0"]
    assert parameters["WORK"] == str(tmp_path / ODD / "work"), "a link's place is what counts"
    assert parameters["READ0"] == str(tmp_path / ODD / "attached.txt")
    assert {sys.executable, str(Path(sys.executable).resolve())} <= set(parameters.values())
    named = set(re.findall(r'\(param "(\w+)"\)', profile))
    assert named == set(parameters), "a parameter without a value ends sandbox-exec"
    assert "quoted" not in profile, "paths are no text of the profile"


def test_the_profile_denies_first_and_grants_no_place_that_is_nobodys(command: list[str]) -> None:
    rules = expressions(parts(command)[0])
    assert rules[:2] == [["version", "1"], ["deny", "default"]]
    imports = [rule for rule in rules if rule[0] == "import"]
    assert imports == [["import", '"system.sb"']]
    order = {tuple(map(str, rule)): number for number, rule in enumerate(rules)}
    for denied in (
        "network*",
        "system-socket",
        "process-fork",
        "iokit-open",
        "mach-register",
        "ipc-posix*",
        "file-link",
    ):
        assert order["deny", denied] > rules.index(imports[0]), "the last rule counts"
        assert not any(denied in rule[1:] for rule in rules if rule[0] == "allow")
    for rule in rules:
        if rule[0] == "allow":
            assert any(isinstance(part, list) for part in rule), f"{rule} would hold for everything"


def test_only_the_work_folder_is_written(command: list[str]) -> None:
    rules = expressions(parts(command)[0])
    writing = [rule for rule in rules if rule[0] == "allow" and any("write" in str(part) for part in rule[1:])]
    places = [part for rule in writing for part in rule if isinstance(part, list)]
    assert places == [["subpath", ["param", '"WORK"']], ["literal", '"/dev/null"']]


def test_only_python_is_run_and_nothing_of_the_user_is_read(command: list[str], tmp_path: Path) -> None:
    profile, parameters, _ = parts(command)
    rules = expressions(profile)
    (running,) = [rule for rule in rules if rule[:2] == ["allow", "process-exec*"]]
    assert {parameters[part[1][1].strip('"')] for part in running[2:]} >= {sys.executable}
    assert all(part[0] == "literal" for part in running[2:])
    below = {
        parameters[place[1][1].strip('"')] if isinstance(place[1], list) else place[1].strip('"')
        for rule in rules
        if rule[0] == "allow" and any("file-read*" in str(part) for part in rule[1:])
        for place in rule
        if isinstance(place, list) and place[0] == "subpath"
    }
    for private in (Path.home(), tmp_path, Path("/Users"), Path("/private/tmp"), Path("/Library/Keychains")):
        assert not any(private.is_relative_to(place) for place in below), private
    above = [parameters[name] for name in parameters if name.startswith("ABOVE")]
    assert str(tmp_path) in above
    assert "/" in above
    (metadata,) = [rule for rule in rules if rule[:2] == ["allow", "file-read-metadata"]]
    assert all(part[0] == "literal" for part in metadata[2:])


def test_without_attachments_there_is_no_rule_for_them(tmp_path: Path) -> None:
    profile = parts(macos.wrapped([sys.executable], tmp_path, []))[0]
    assert "READ" not in profile


WRITES = "import os, sys, time; print(os.getpid(), sys.stdin.readline().strip(), flush=True); time.sleep(600)"


def guarded(program: str) -> Any:
    return macos.guarded([sys.executable, "-c", program], dict(os.environ), partial(lambda pid: ""))


def test_the_shell_passes_the_pipes_on_and_ends_with_its_process() -> None:
    process = guarded(WRITES)
    process.stdin.write(b"tea \xe7\x9f\xa5\n")
    process.stdin.flush()
    pid, *text = process.stdout.readline().decode().split()
    assert text == ["tea", "知"]
    assert process.pid == int(pid)
    process.pause()
    inner = psutil.Process(process.pid)
    until(lambda: inner.status() == psutil.STATUS_STOPPED)
    process.resume()
    until(lambda: inner.status() != psutil.STATUS_STOPPED)
    assert process.is_alive()
    process.end()
    until(lambda: not inner.is_running() or inner.status() == psutil.STATUS_ZOMBIE)


def test_a_process_that_ends_closes_the_pipe_and_an_interrupt_reaches_it() -> None:
    process = guarded(
        "import signal, time; signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # the shell has it ignored
        "try: print('begun', flush=True); time.sleep(600)\nexcept KeyboardInterrupt: print('heard', flush=True)\ntime.sleep(600)"
    )
    assert process.stdout.readline() == b"begun\n"
    process.interrupt()
    assert process.stdout.readline() == b"heard\n"
    os.kill(process.pid, 9)
    assert process.stdout.read() == b""
    process.end()


@pytest.mark.parametrize("state", ["runs", "stopped"])
def test_what_the_shell_guards_ends_with_the_application(state: str) -> None:
    program = (
        "import os, sys, time; from functools import partial; from desktop_app.assistant.sandbox import macos\n"
        f"p = macos.guarded([sys.executable, '-c', {WRITES!r}], dict(os.environ), partial(lambda pid: ''))\n"
        "p.stdin.write(b'x\\n'); p.stdin.flush(); print(p.stdout.readline().decode().split()[0], flush=True)\n"
        f"{'p.pause()' if state == 'stopped' else ''}\nprint('ready', flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as application:
        assert application.stdout is not None
        inner = psutil.Process(int(application.stdout.readline()))
        application.stdout.readline()
        application.kill()
    until(lambda: not inner.is_running() or inner.status() == psutil.STATUS_ZOMBIE)


def until(holds: Any) -> None:
    end = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)


class Libproc:
    """libproc's three functions, answering with structures that are packed by XNU's headers."""

    def __init__(self, footprint: int = 0, written: int = 0, links: int = 1) -> None:
        self.footprint, self.written, self.links = footprint, written, links

    def proc_pid_rusage(self, process: int, flavor: int, buffer: Any) -> int:
        assert flavor == 2
        # ri_uuid, then 18 numbers of rusage_info_v2 in their order
        numbers = [0] * 18
        numbers[7], numbers[17] = self.footprint, self.written
        buffer.raw = struct.pack("=16s18Q", b"", *numbers)
        return 0

    def proc_pidinfo(self, process: int, flavor: int, argument: Any, buffer: Any, size: int) -> int:
        assert flavor == 1
        table = struct.pack("=iIiIiI", 0, 6, 3, 1, 4, 1)  # a pipe, two files
        buffer[: len(table)] = table
        return len(table)

    def proc_pidfdinfo(self, process: int, descriptor: int, flavor: int, buffer: Any, size: int) -> int:
        assert (flavor, size) == (1, 176)
        file = struct.pack("=IIqiI", 0, 0, 0, 0, 0)
        stat = struct.pack(
            "=IHHQII8qqqiIII2q", 1, 0o100644, self.links, 7, 0, 0, *[0] * 8, 1, 2048, 4096, 0, 0, 0, 0, 0
        )
        buffer.raw = file + stat + struct.pack("=iiii", 1, 0, 0, 0)
        return size


def test_what_libproc_tells_is_read_where_it_is() -> None:
    library: Any = Libproc(footprint=5, written=6)
    assert macos.usage_of(library, 1) == (5, 6)
    assert macos.held_without_name(library, 1) == 0
    library.links = 0
    assert macos.held_without_name(library, 1) == 2048 * 512, "two descriptors of one file"


@pytest.mark.parametrize(
    ("library", "answer"),
    [
        (Libproc(), ""),
        (Libproc(footprint=macos.MEMORY + 1), TOO_LARGE),
        (Libproc(written=MOST_WRITTEN + 1), TOO_MUCH),
    ],
)
def test_too_much_is_named(library: Any, answer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(macos.ctypes, "CDLL", lambda *_, **__: library)
    assert macos._excess(tmp_path, os.getpid()) == answer
