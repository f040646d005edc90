"""Windows' sandbox, as far as another system can look at it: structures, constants, command lines, and the order of calls."""

from __future__ import annotations

import ctypes
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from desktop_app.assistant.sandbox import kernel, windows, windows_calls
from desktop_app.assistant.sandbox.confinement import INTERRUPT, confinement
from desktop_app.assistant.sandbox.watch import MOST_WRITTEN, TOO_MUCH
from desktop_app.assistant.sandbox.windows_calls import Calls

SID = "S-1-15-2-1-2-3-4-5-6-7"
LAYOUT = {
    # Sizes and places on 64-bit Windows, as the SDK's compiler reports them.
    windows_calls.BasicLimits: (64, {"LimitFlags": 16, "ActiveProcessLimit": 40, "PriorityClass": 56}),
    windows_calls.Io: (48, {"WriteTransferCount": 32}),
    windows_calls.ExtendedLimits: (144, {"IoInfo": 64, "ProcessMemoryLimit": 112, "JobMemoryLimit": 120}),
    windows_calls.Accounting: (96, {"IoInfo": 48}),
    windows_calls.SecurityCapabilities: (24, {"CapabilityCount": 16}),
    windows_calls.StartupInfo: (112, {"dwFlags": 60, "hStdInput": 80, "hStdError": 96, "lpAttributeList": 104}),
    windows_calls.ProcessInformation: (24, {"hThread": 8, "dwProcessId": 16}),
}


@pytest.mark.parametrize("structure", LAYOUT, ids=lambda structure: structure.__name__)
def test_structures_are_laid_out_as_windows_has_them(structure: Any) -> None:
    size, places = LAYOUT[structure]
    assert ctypes.sizeof(structure) == size
    assert {name: getattr(structure, name).offset for name in places} == places


def test_the_job_holds_one_process_and_ends_with_its_last_handle() -> None:
    limits = windows_calls.job_limits()
    assert limits.BasicLimitInformation.LimitFlags == 0x2 | 0x8 | 0x100 | 0x200 | 0x400 | 0x2000
    assert limits.BasicLimitInformation.ActiveProcessLimit == 1
    assert limits.BasicLimitInformation.PerProcessUserTimeLimit == 3600 * 10**7, "in units of 100 ns"
    assert limits.ProcessMemoryLimit == limits.JobMemoryLimit == 4 << 30


def test_an_environment_is_sorted_and_ends_with_two_zeros() -> None:
    assert windows_calls.environment_block({"b": "2", "A": "1=1", "C": ""}) == "A=1=1\0b=2\0C=\0\0"


class Function:
    """A function of a library: keeps its calls, answers what it should."""

    def __init__(self, name: str, log: list[tuple[str, tuple[Any, ...]]], answers: dict[str, Any]) -> None:
        self._name, self._log, self._answers = name, log, answers

    def __call__(self, *arguments: Any) -> Any:
        self._log.append((self._name, arguments))
        answer = self._answers.get(self._name, 1)
        return answer(*arguments) if callable(answer) else answer


class Library:
    """All libraries at once: every function is there."""

    def __init__(self, **answers: Any) -> None:
        self.log: list[tuple[str, tuple[Any, ...]]] = []
        self._answers = {"CreateAppContainerProfile": 0, "GetAppContainerFolderPath": 1, **answers}
        self._functions: dict[str, Function] = {}

    def __getattr__(self, name: str) -> Function:
        return self._functions.setdefault(name, Function(name, self.log, self._answers))

    def arguments(self, name: str) -> list[tuple[Any, ...]]:
        """Return the arguments of each call of a function."""
        return [arguments for called, arguments in self.log if called == name]


SID_IN_MEMORY = ctypes.create_unicode_buffer(SID)


def library(**answers: Any) -> Library:
    def to_text(sid: Any, pointer: Any) -> int:
        ctypes.cast(pointer, ctypes.POINTER(ctypes.c_void_p))[0] = ctypes.addressof(SID_IN_MEMORY)
        return 1

    def size(list_: Any, count: Any, flags: Any, size: Any) -> int:
        if list_ is None:
            ctypes.cast(size, ctypes.POINTER(ctypes.c_size_t))[0] = 200
        return int(list_ is not None)

    def create(*arguments: Any) -> int:
        information = ctypes.cast(arguments[-1], ctypes.POINTER(windows_calls.ProcessInformation)).contents
        information.hProcess, information.hThread, information.dwProcessId = 71, 72, 73
        return 1

    return Library(
        **{
            "ConvertSidToStringSidW": to_text,
            "InitializeProcThreadAttributeList": size,
            "CreateProcessW": create,
            **answers,
        }
    )


def test_a_container_is_made_or_taken_where_it_is_there() -> None:
    fake = library()
    assert Calls(lambda _: fake).make_container("Zhiyin.Python.1") == SID
    (arguments,) = fake.arguments("CreateAppContainerProfile")
    assert (arguments[0].value, arguments[3], arguments[4].value) == ("Zhiyin.Python.1", None, 0), "no capability"
    assert fake.arguments("FreeSid")
    fake = library(CreateAppContainerProfile=0x800700B7, DeriveAppContainerSidFromAppContainerName=0)
    assert Calls(lambda _: fake).make_container("x") == SID
    with pytest.raises(OSError, match="0x80070005"):
        Calls(lambda _: library(CreateAppContainerProfile=0x80070005)).make_container("x")


def test_a_process_starts_in_container_and_job_with_three_handles(tmp_path: Path) -> None:
    fake = library()
    seen: dict[str, Any] = {}

    def update(list_: Any, flags: Any, attribute: Any, value: Any, size: Any, *_: Any) -> int:
        seen[hex(attribute.value)] = size.value
        return 1

    fake = library(UpdateProcThreadAttribute=update, CreateJobObjectW=55)
    calls = Calls(lambda _: fake)
    work = tmp_path / "a folder"
    work.mkdir()
    started = calls.start(["C:\\Program Files\\py.exe", "-m", 'a "b"'], {"B": "1", "A": "知"}, work, SID)
    assert (started.process, started.job, started.pid) == (71, 55, 73)
    assert seen == {"0x20002": 24, "0x20009": 24, "0x2000d": 8, "0x2000e": 4}
    (arguments,) = fake.arguments("CreateProcessW")
    application, line, _, _, inherit, flags, block, folder, startup, _ = arguments
    assert application is None
    assert line.value == '"C:\\Program Files\\py.exe" -m "a \\"b\\""'
    assert (inherit.value, flags.value) == (1, 0x00080000 | 0x400 | 0x8)
    assert block[:].startswith("A=知\0B=1\0\0")
    assert folder.value == str(work)
    info = ctypes.cast(startup, ctypes.POINTER(windows_calls.StartupInfo)).contents
    assert (info.cb, info.dwFlags) == (112, 0x100)
    assert len({info.hStdInput, info.hStdOutput, info.hStdError}) == 3
    assert [(kind.value, size.value) for _, kind, _, size in fake.arguments("SetInformationJobObject")] == [
        (9, 144),
        (4, 4),
    ]
    order = [name for name, _ in fake.log]
    assert (
        order.index("CreateJobObjectW") < order.index("CreateProcessW") < order.index("DeleteProcThreadAttributeList")
    )
    assert [arguments[0].value for arguments in fake.arguments("CloseHandle")] == [72], "the job's handle is kept"
    calls.kill(started)
    calls.close(started)
    assert fake.arguments("TerminateJobObject")[0][0].value == 55
    assert [arguments[0].value for arguments in fake.arguments("CloseHandle")] == [72, 71, 55]
    started.stdin.close()
    started.stdout.close()


@pytest.mark.parametrize(
    "failing", ["CreateJobObjectW", "SetInformationJobObject", "UpdateProcThreadAttribute", "CreateProcessW"]
)
def test_what_fails_is_an_error_and_leaves_no_descriptor(failing: str, tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir())) if Path("/proc/self/fd").exists() else 0
    with pytest.raises(OSError, match=failing):
        Calls(lambda _: library(**{failing: 0})).start(["x"], {}, tmp_path, SID)
    if before:
        assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_bytes_written_are_the_jobs() -> None:
    def query(job: Any, kind: Any, buffer: Any, size: Any, length: Any) -> int:
        assert (kind.value, size.value) == (8, 96)
        ctypes.cast(buffer, ctypes.POINTER(windows_calls.Accounting)).contents.IoInfo.WriteTransferCount = 42
        return 1

    calls = Calls(lambda _: library(QueryInformationJobObject=query))
    assert calls.bytes_written(windows_calls.Started(1, 2, 3, None, None)) == 42  # type: ignore[arg-type]


def test_files_are_granted_to_the_container_alone_and_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYSTEMROOT", "/windows")
    icacls = str(Path("/windows/System32/icacls.exe"))
    folder, file = tmp_path / "折 folder", tmp_path / "a file.txt"
    folder.mkdir()
    file.write_text("x", "utf-8")
    work = tmp_path / "work"
    assert windows.grants(SID, work, [folder, file]) == [
        [icacls, str(work), "/grant", f"*{SID}:(OI)(CI)(M)", "/Q"],
        [icacls, str(work), "/setintegritylevel", "(OI)(CI)L", "/Q"],
        [icacls, str(folder), "/grant", f"*{SID}:(OI)(CI)(RX)", "/Q"],
        [icacls, str(file), "/grant", f"*{SID}:(R)", "/Q"],
    ]
    assert windows.removals(SID, [folder, file]) == [
        [icacls, str(path), "/remove:g", f"*{SID}", "/Q"] for path in (folder, file)
    ]
    ((look, grant),) = windows.python_grants([folder])
    assert look == [icacls, str(folder), "/findsid", "*S-1-15-2-1"]
    assert grant == [icacls, str(folder), "/grant", "*S-1-15-2-1:(OI)(CI)(RX)", "/Q"]


def test_each_folder_has_a_container_of_its_own() -> None:
    names = {windows.container_name(Path(path)) for path in ("/a", "/b", "/知音" * 100, "/\udcff")}
    assert len(names) == 4
    for name in names:
        assert len(name) <= 64, "the longest name of a container"
        assert name.replace(".", "").isalnum()


def test_python_of_an_environment_starts_without_its_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.executable", "C:\\env\\python.exe")
    monkeypatch.setattr("sys._base_executable", "C:\\python\\python.exe")
    assert windows.own_program(["C:\\env\\python.exe", "-I"]) == (
        ["C:\\python\\python.exe", "-I"],
        {"__PYVENV_LAUNCHER__": "C:\\env\\python.exe"},
    )
    monkeypatch.setattr("sys._base_executable", "C:\\env\\python.exe")
    assert windows.own_program(["C:\\env\\python.exe", "-I"]) == (["C:\\env\\python.exe", "-I"], {})


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    commands: list[list[str]] = []

    def run(command: list[str]) -> str:
        commands.append(list(command))
        return ""

    monkeypatch.setattr(windows, "_run", run)
    monkeypatch.setattr(windows_calls, "loaded", lambda _: the_library)
    windows._let_containers_read_python.cache_clear()
    the_library.__init__(**{**library()._answers, "CreateJobObjectW": 55})  # type: ignore[misc]
    return commands


the_library = library()


def test_start_grants_and_end_takes_back(ran: list[list[str]], tmp_path: Path) -> None:
    attached = tmp_path / "attached.txt"
    attached.write_text("x", "utf-8")
    process = windows.Windows().start(["py.exe", "--python"], tmp_path, [attached], {"LANG": "C"})
    (arguments,) = the_library.arguments("CreateProcessW")
    assert arguments[1].value == "py.exe --python 0"
    variables = dict(part.split("=", 1) for part in arguments[6][:].strip("\0").split("\0"))
    assert variables["LANG"] == "C"
    assert variables["TEMP"] == variables["USERPROFILE"] == str(tmp_path)
    assert set(variables) <= {"LANG", "TEMP", "TMP", "USERPROFILE", "LOCALAPPDATA", "SYSTEMROOT", "SYSTEMDRIVE"}
    assert [command[1:3] for command in ran if SID in command[-2]] == [
        [str(tmp_path), "/grant"],
        [str(attached), "/grant"],
    ]
    process.end()
    process.end()
    assert ran[-1][1:] == [str(attached), "/remove:g", f"*{SID}", "/Q"]
    assert len(the_library.arguments("DeleteAppContainerProfile")) == 1
    assert not process.is_alive()


def test_a_start_that_fails_takes_back_too(ran: list[list[str]], tmp_path: Path) -> None:
    the_library._answers["CreateProcessW"] = 0
    attached = tmp_path / "attached.txt"
    attached.write_text("x", "utf-8")
    with pytest.raises(OSError, match="CreateProcessW"):
        windows.Windows().start(["py.exe"], tmp_path, [attached], {})
    assert ran[-1][1:3] == [str(attached), "/remove:g"]
    assert the_library.arguments("DeleteAppContainerProfile")


def test_what_was_written_and_lies_in_the_containers_folder_counts(
    ran: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = [0]

    def query(job: Any, kind: Any, buffer: Any, size: Any, length: Any) -> int:
        ctypes.cast(buffer, ctypes.POINTER(windows_calls.Accounting)).contents.IoInfo.WriteTransferCount = written[0]
        return 1

    the_library._answers["QueryInformationJobObject"] = query
    work, own = tmp_path / "work", tmp_path / "own"
    work.mkdir()
    own.mkdir()
    monkeypatch.setattr(Calls, "container_folder", lambda *_: own)
    process = windows.Windows().start(["py.exe"], work, [], {})
    monkeypatch.setattr(windows.psutil, "Process", lambda _: type("P", (), {"num_threads": lambda _: 1})())
    assert process.excess() == ""
    monkeypatch.setattr("desktop_app.assistant.sandbox.watch._LARGEST_FOLDER", 1000)
    (own / "x").write_bytes(bytes(5000))
    assert process.excess() == TOO_MUCH
    (own / "x").unlink()
    assert process.excess() == ""
    written[0] = MOST_WRITTEN + 1
    assert process.excess() == TOO_MUCH
    process.end()


def test_it_is_what_windows_gets() -> None:
    assert isinstance(confinement("win32"), windows.Windows)


def test_an_interrupt_among_the_requests_reaches_what_runs() -> None:
    """Without signals from outside: the thread that reads requests interrupts the main one."""
    reads, writes = os.pipe()
    with os.fdopen(reads, "rb") as pipe, os.fdopen(writes, "wb", buffering=0) as requests:
        lines = kernel.interruptible(pipe)
        requests.write(b'{"code": "1"}\n')
        assert next(lines) == b'{"code": "1"}\n'
        threading.Timer(0.2, requests.write, (INTERRUPT,)).start()
        with pytest.raises(KeyboardInterrupt):
            while True:
                pass
        requests.write(b'{"code": "2"}\n')
        assert next(lines) == b'{"code": "2"}\n'
        requests.close()
        assert list(lines) == []
