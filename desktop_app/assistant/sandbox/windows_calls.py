"""Windows' own functions for containers, jobs and starting a process in both, by ctypes.

Values and structures: the Windows SDK's winnt.h, winbase.h, processthreadsapi.h and userenv.h. All types have fixed sizes, so
that their layout can be looked at on any 64-bit system; libraries are an argument, so that the calls can be, too.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

_DWORD, _SIZE, _HANDLE, _BOOL = ctypes.c_uint32, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_int32

EXTENDED_STARTUPINFO_PRESENT, CREATE_UNICODE_ENVIRONMENT, DETACHED_PROCESS = 0x00080000, 0x00000400, 0x00000008
STARTF_USESTDHANDLES = 0x00000100
ATTRIBUTE_HANDLE_LIST = 0x00020002
ATTRIBUTE_SECURITY_CAPABILITIES = 0x00020009
ATTRIBUTE_JOB_LIST = 0x0002000D
ATTRIBUTE_CHILD_PROCESS_POLICY = 0x0002000E
CHILD_PROCESS_RESTRICTED = 1
LIMIT_PROCESS_TIME, LIMIT_ACTIVE_PROCESS, LIMIT_PROCESS_MEMORY, LIMIT_JOB_MEMORY = 0x2, 0x8, 0x100, 0x200
LIMIT_DIE_ON_UNHANDLED_EXCEPTION, LIMIT_KILL_ON_JOB_CLOSE = 0x400, 0x2000
UI_ALL = 0xFF
"""Handles of others, the clipboard, the system's settings, the display, atoms, desktops, ending the session."""
JOB_BASIC_UI, JOB_ACCOUNTING_AND_IO, JOB_EXTENDED_LIMITS = 4, 8, 9
ALREADY_EXISTS = 0x800700B7
"""ERROR_ALREADY_EXISTS as a HRESULT."""
WAIT_TIMEOUT = 0x102
_ENDING_MILLISECONDS = 10_000

MEMORY = 4 << 30
"""Bytes of memory that is committed."""
PROCESSOR_SECONDS = 3600
"""In the life of the process."""


class BasicLimits(ctypes.Structure):
    """JOBOBJECT_BASIC_LIMIT_INFORMATION."""

    _fields_ = (
        ("PerProcessUserTimeLimit", ctypes.c_int64),
        ("PerJobUserTimeLimit", ctypes.c_int64),
        ("LimitFlags", _DWORD),
        ("MinimumWorkingSetSize", _SIZE),
        ("MaximumWorkingSetSize", _SIZE),
        ("ActiveProcessLimit", _DWORD),
        ("Affinity", _SIZE),
        ("PriorityClass", _DWORD),
        ("SchedulingClass", _DWORD),
    )


class Io(ctypes.Structure):
    """IO_COUNTERS."""

    _fields_ = tuple(
        (f"{kind}{what}Count", ctypes.c_uint64)
        for what in ("Operation", "Transfer")
        for kind in ("Read", "Write", "Other")
    )


class ExtendedLimits(ctypes.Structure):
    """JOBOBJECT_EXTENDED_LIMIT_INFORMATION."""

    _fields_ = (
        ("BasicLimitInformation", BasicLimits),
        ("IoInfo", Io),
        ("ProcessMemoryLimit", _SIZE),
        ("JobMemoryLimit", _SIZE),
        ("PeakProcessMemoryUsed", _SIZE),
        ("PeakJobMemoryUsed", _SIZE),
    )


class Accounting(ctypes.Structure):
    """JOBOBJECT_BASIC_AND_IO_ACCOUNTING_INFORMATION."""

    _fields_ = (("times", ctypes.c_int64 * 4), ("counts", _DWORD * 4), ("IoInfo", Io))


class SecurityCapabilities(ctypes.Structure):
    """SECURITY_CAPABILITIES: a container without any."""

    _fields_ = (
        ("AppContainerSid", _HANDLE),
        ("Capabilities", _HANDLE),
        ("CapabilityCount", _DWORD),
        ("Reserved", _DWORD),
    )


class StartupInfo(ctypes.Structure):
    """STARTUPINFOEXW."""

    _fields_ = (
        ("cb", _DWORD),
        *((name, _HANDLE) for name in ("lpReserved", "lpDesktop", "lpTitle")),
        *((name, _DWORD) for name in ("dwX", "dwY", "dwXSize", "dwYSize", "dwXCountChars", "dwYCountChars")),
        ("dwFillAttribute", _DWORD),
        ("dwFlags", _DWORD),
        ("wShowWindow", ctypes.c_uint16),
        ("cbReserved2", ctypes.c_uint16),
        *((name, _HANDLE) for name in ("lpReserved2", "hStdInput", "hStdOutput", "hStdError", "lpAttributeList")),
    )


class ProcessInformation(ctypes.Structure):
    """PROCESS_INFORMATION."""

    _fields_ = (("hProcess", _HANDLE), ("hThread", _HANDLE), ("dwProcessId", _DWORD), ("dwThreadId", _DWORD))


@dataclass(frozen=True)
class Started:
    """A process, its job and its pipes."""

    process: int
    job: int
    pid: int
    stdin: BinaryIO
    stdout: BinaryIO


def job_limits() -> ExtendedLimits:
    """Return the limits of a job: one process, which ends with the job's last handle."""
    limits = ExtendedLimits()
    basic = limits.BasicLimitInformation
    basic.LimitFlags = (
        LIMIT_PROCESS_TIME
        | LIMIT_ACTIVE_PROCESS
        | LIMIT_PROCESS_MEMORY
        | LIMIT_JOB_MEMORY
        | LIMIT_DIE_ON_UNHANDLED_EXCEPTION
        | LIMIT_KILL_ON_JOB_CLOSE
    )
    basic.PerProcessUserTimeLimit = PROCESSOR_SECONDS * 10_000_000
    basic.ActiveProcessLimit = 1
    limits.ProcessMemoryLimit = limits.JobMemoryLimit = MEMORY
    return limits


def environment_block(variables: Mapping[str, str]) -> str:
    """Return variables as Windows takes them: sorted without regard to case, each ended by a zero, the last by two."""
    pairs = sorted(variables.items(), key=lambda pair: pair[0].upper())
    return "".join(f"{name}={value}\0" for name, value in pairs) + "\0"


def loaded(name: str) -> Any:
    """Return one of Windows' libraries."""
    return ctypes.WinDLL(name, use_last_error=True)  # type: ignore[attr-defined]


class Calls:
    """The functions, each with one purpose; all that can fail raise OSError."""

    def __init__(self, load: Callable[[str], Any]) -> None:
        """Take what loads a library by its name."""
        self._kernel, self._security, self._profiles, self._com = map(
            load, ("kernel32", "advapi32", "userenv", "ole32")
        )
        for function in (self._kernel.CreateJobObjectW, self._kernel.LocalFree, self._security.FreeSid):
            function.restype = _HANDLE
        for function in (
            self._profiles.CreateAppContainerProfile,
            self._profiles.DeriveAppContainerSidFromAppContainerName,
            self._profiles.DeleteAppContainerProfile,
            self._profiles.GetAppContainerFolderPath,
        ):
            function.restype = _DWORD

    def make_container(self, name: str) -> str:
        """Return the SID of a container of this name, without any capability."""
        sid = _HANDLE()
        result = self._profiles.CreateAppContainerProfile(
            ctypes.c_wchar_p(name), ctypes.c_wchar_p(name), ctypes.c_wchar_p(name), None, _DWORD(0), ctypes.byref(sid)
        )
        if result == ALREADY_EXISTS:
            result = self._profiles.DeriveAppContainerSidFromAppContainerName(ctypes.c_wchar_p(name), ctypes.byref(sid))
        if result:
            raise OSError(f"CreateAppContainerProfile: {result:#x}")
        text = ctypes.c_wchar_p()
        try:
            self._check(self._security.ConvertSidToStringSidW(sid, ctypes.byref(text)), "ConvertSidToStringSidW")
            return text.value or ""
        finally:
            self._kernel.LocalFree(text)
            self._security.FreeSid(sid)

    def remove_container(self, name: str) -> None:
        """Remove a container's profile."""
        self._profiles.DeleteAppContainerProfile(ctypes.c_wchar_p(name))

    def container_folder(self, sid: str) -> Path | None:
        """Return the folder that the system makes for a container, which it may write."""
        path = ctypes.c_wchar_p()
        if self._profiles.GetAppContainerFolderPath(ctypes.c_wchar_p(sid), ctypes.byref(path)) or not path.value:
            return None
        result = Path(path.value)
        self._com.CoTaskMemFree(path)
        return result

    def start(self, command: Sequence[str], environment: Mapping[str, str], work: Path, sid: str) -> Started:
        """Start a process in a container and a job of its own, with pipes and no other handle of this process."""
        job = self._job()
        pipes = (*os.pipe(), *os.pipe(), os.open(os.devnull, os.O_WRONLY))
        read_in, write_in, read_out, write_out, nothing = pipes
        try:
            information = self._create(command, environment, work, sid, job, (read_in, write_out, nothing))
        except BaseException:
            for descriptor in (write_in, read_out):
                os.close(descriptor)
            self._kernel.CloseHandle(_HANDLE(job))
            raise
        finally:
            for descriptor in (read_in, write_out, nothing):
                os.close(descriptor)
        self._kernel.CloseHandle(_HANDLE(information.hThread))
        return Started(
            information.hProcess, job, information.dwProcessId, os.fdopen(write_in, "wb"), os.fdopen(read_out, "rb")
        )

    def is_alive(self, started: Started) -> bool:
        """Tell whether the process has not ended."""
        return bool(self._kernel.WaitForSingleObject(_HANDLE(started.process), _DWORD(0)) == WAIT_TIMEOUT)

    def bytes_written(self, started: Started) -> int:
        """Return what the job has written in its life, into pipes too."""
        accounting = Accounting()
        size = _DWORD(ctypes.sizeof(accounting))
        self._check(
            self._kernel.QueryInformationJobObject(
                _HANDLE(started.job), _BOOL(JOB_ACCOUNTING_AND_IO), ctypes.byref(accounting), size, None
            ),
            "QueryInformationJobObject",
        )
        return int(accounting.IoInfo.WriteTransferCount)

    def kill(self, started: Started) -> None:
        """End the job with its process and wait."""
        self._kernel.TerminateJobObject(_HANDLE(started.job), _DWORD(1))
        self._kernel.WaitForSingleObject(_HANDLE(started.process), _DWORD(_ENDING_MILLISECONDS))

    def close(self, started: Started) -> None:
        """Give the handles back; nothing may use them later."""
        for handle in (started.process, started.job):
            self._kernel.CloseHandle(_HANDLE(handle))

    def _job(self) -> int:
        """Return a new job with its limits."""
        job = self._kernel.CreateJobObjectW(None, None)
        self._check(job, "CreateJobObjectW")
        for kind, value in ((JOB_EXTENDED_LIMITS, job_limits()), (JOB_BASIC_UI, _DWORD(UI_ALL))):
            size = _DWORD(ctypes.sizeof(value))
            self._check(
                self._kernel.SetInformationJobObject(_HANDLE(job), _BOOL(kind), ctypes.byref(value), size),
                "SetInformationJobObject",
            )
        return int(job)

    def _create(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        work: Path,
        sid: str,
        job: int,
        descriptors: tuple[int, int, int],
    ) -> ProcessInformation:
        """Call CreateProcessW with three handles, a container and a job."""
        identity = _HANDLE()
        self._check(
            self._security.ConvertStringSidToSidW(ctypes.c_wchar_p(sid), ctypes.byref(identity)),
            "ConvertStringSidToSidW",
        )
        handles = (_HANDLE * 3)(*map(_inherited, descriptors))
        container = SecurityCapabilities(AppContainerSid=identity)
        jobs, policy = (_HANDLE * 1)(job), _DWORD(CHILD_PROCESS_RESTRICTED)
        attributes: dict[int, ctypes.Structure | ctypes.Array[Any] | ctypes.c_uint32] = {
            ATTRIBUTE_HANDLE_LIST: handles,
            ATTRIBUTE_SECURITY_CAPABILITIES: container,
            ATTRIBUTE_JOB_LIST: jobs,
            ATTRIBUTE_CHILD_PROCESS_POLICY: policy,
        }
        list_ = self._attribute_list(attributes)
        startup = StartupInfo(
            cb=ctypes.sizeof(StartupInfo),
            dwFlags=STARTF_USESTDHANDLES,
            hStdInput=handles[0],
            hStdOutput=handles[1],
            hStdError=handles[2],
            lpAttributeList=ctypes.addressof(list_),
        )
        information = ProcessInformation()
        flags = EXTENDED_STARTUPINFO_PRESENT | CREATE_UNICODE_ENVIRONMENT | DETACHED_PROCESS
        line = ctypes.create_unicode_buffer(subprocess.list2cmdline(command))
        block = ctypes.create_unicode_buffer(environment_block(environment))
        try:
            made = self._kernel.CreateProcessW(
                None, line, None, None, _BOOL(1), _DWORD(flags), block, ctypes.c_wchar_p(str(work)),
                ctypes.byref(startup), ctypes.byref(information),
            )  # fmt: skip
            self._check(made, "CreateProcessW")
        finally:
            self._kernel.DeleteProcThreadAttributeList(ctypes.byref(list_))
            self._kernel.LocalFree(identity)
        return information

    def _attribute_list(
        self, attributes: Mapping[int, ctypes.Structure | ctypes.Array[Any] | ctypes.c_uint32]
    ) -> ctypes.Array[Any]:
        """Return a list of attributes; it points to the values, which have to live as long."""
        size, count = _SIZE(), _DWORD(len(attributes))
        self._kernel.InitializeProcThreadAttributeList(
            None, count, _DWORD(0), ctypes.byref(size)
        )  # tells the size, and fails
        list_ = ctypes.create_string_buffer(max(size.value, 1))
        self._check(
            self._kernel.InitializeProcThreadAttributeList(ctypes.byref(list_), count, _DWORD(0), ctypes.byref(size)),
            "InitializeProcThreadAttributeList",
        )
        for attribute, value in attributes.items():
            self._check(
                self._kernel.UpdateProcThreadAttribute(
                    ctypes.byref(list_), _DWORD(0), _SIZE(attribute), ctypes.byref(value), _SIZE(ctypes.sizeof(value)),
                    None, None,
                ),
                "UpdateProcThreadAttribute",
            )  # fmt: skip
        return list_

    @staticmethod
    def _check(result: Any, function: str) -> None:
        if not result:
            number = getattr(ctypes, "get_last_error", ctypes.get_errno)()
            raise OSError(number, f"{function} failed ({number})")


def _inherited(descriptor: int) -> int:
    """Return the handle of a descriptor, which the process that is started may inherit."""
    with suppress(ImportError):
        import msvcrt

        handle = int(msvcrt.get_osfhandle(descriptor))  # type: ignore[attr-defined]
        os.set_handle_inheritable(handle, True)  # type: ignore[attr-defined]
        return handle
    return descriptor
