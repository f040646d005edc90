"""macOS: the process is started by `sandbox-exec` with a profile that denies everything but its own parts and its folder.

Source of the language: Apple's own profiles in /System/Library/Sandbox/Profiles, and the man pages sandbox-exec(1) and
sandbox(7). The last rule that matches counts. No path stands in the profile's text: each is a parameter (`-D`), so that none
has to be quoted.

The system ends no process with its parent, so that a shell stands around it, which waits for the end of a pipe that the
application holds. What the system does not limit (memory, the size of a folder) is watched, by libproc: XNU's
bsd/sys/proc_info.h and resource.h.
"""

from __future__ import annotations

import ctypes
import os
import resource
import struct
import subprocess
import sys
import weakref
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil

from desktop_app.assistant.sandbox.places import INSIDE, own_places
from desktop_app.assistant.sandbox.posix import OPEN_FILES, PosixProcess, limit
from desktop_app.assistant.sandbox.watch import HIDDEN, MOST_WRITTEN, TOO_LARGE, TOO_MUCH, excess

PROGRAM = "/usr/bin/sandbox-exec"
MEMORY = 4 << 30
"""Bytes that it may touch; RLIMIT_AS would have to be above the hundreds of gigabytes that the system reserves."""
_PROCESSOR_SECONDS = 3600
"""In the life of the process."""

# Standard error is the pipe: a shell can name descriptors up to 9 alone. What it starts gets the real pipes, and it keeps none.
GUARD = (
    "exec 3<&0 4>&1 </dev/null >/dev/null\n"
    '"$@" <&3 >&4 2>/dev/null 3<&- 4>&- &\n'
    "exec 3<&- 4>&-\n"
    "read -r nothing <&2\n"
    'kill -9 "$!"\n'
)
"""Starts its arguments, and ends them when standard error does."""

_SYSTEM = (
    "/usr/lib", "/usr/share/zoneinfo", "/usr/share/zoneinfo.default", "/usr/share/icu", "/private/var/db/timezone",
    "/System/Library", "/System/Cryptexes", "/System/Volumes/Preboot/Cryptexes", "/Library/Fonts", "/private/var/db/dyld",
)  # fmt: skip
_FILES = ("/dev/null", "/dev/zero", "/dev/random", "/dev/urandom", "/private/etc/localtime")
_NUMBERS = (
    "hw.activecpu", "hw.byteorder", "hw.cachelinesize", "hw.cachelinesize_compat", "hw.cpufamily", "hw.cpusubtype", "hw.cputype",
    "hw.l1dcachesize", "hw.l1dcachesize_compat", "hw.l2cachesize", "hw.l2cachesize_compat", "hw.l3cachesize", "hw.logicalcpu",
    "hw.logicalcpu_max", "hw.machine", "hw.memsize", "hw.ncpu", "hw.nperflevels", "hw.packages", "hw.pagesize",
    "hw.pagesize_compat", "hw.physicalcpu", "hw.physicalcpu_max", "hw.vectorunit", "kern.argmax", "kern.osproductversion",
    "kern.osrelease", "kern.ostype", "kern.osvariant_status", "kern.osversion", "kern.secure_kernel", "kern.usrstack64",
    "kern.version", "sysctl.name2oid",
)  # fmt: skip
_FAMILIES = ("hw.optional.", "hw.perflevel", "machdep.cpu.")


class MacOS:
    """sandbox-exec."""

    def is_there(self) -> bool:
        """Tell whether the system still comes with the program."""
        return os.access(PROGRAM, os.X_OK)

    def start(
        self, command: Sequence[str], work: Path, readable: Sequence[Path], environment: Mapping[str, str]
    ) -> PosixProcess:
        """Start the process: it ends with this one."""
        return guarded(wrapped([*command, str(INSIDE)], work, readable), environment, partial(_excess, work))

    def enter(self, parent: int, work: Path, readable: Sequence[Path]) -> None:
        """Set the limits that the system has; the rest was there before the first instruction."""
        limit({resource.RLIMIT_CPU: _PROCESSOR_SECONDS, resource.RLIMIT_NPROC: 1, resource.RLIMIT_MEMLOCK: 0})


def guarded(command: Sequence[str], environment: Mapping[str, str], look: partial[str]) -> PosixProcess:
    """Start a command in the shell that ends it when this process ends; raises OSError."""
    waits, held = os.pipe()
    try:
        process = subprocess.Popen(
            ["/bin/sh", "-c", GUARD, "sh", *command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=waits,
            env=dict(environment),
            start_new_session=True,
        )
    except OSError:
        os.close(held)
        raise
    finally:
        os.close(waits)
    link = os.fdopen(held, "wb", buffering=0)
    weakref.finalize(process, link.close)
    return PosixProcess(process, look, wrapped=True, link=link)


def wrapped(command: Sequence[str], work: Path, readable: Iterable[Path]) -> list[str]:
    """Return the command that starts another one confined.

    Args:
        command: its first part is a program's path.
        work: may be written.
        readable: files and folders that may be read besides the program's own.
    """
    program = Path(command[0])
    programs = list(dict.fromkeys((program, program.resolve(), *_inside_framework())))
    own = [path for path in own_places() if path != Path("/")]
    parameters: dict[str, Path] = {"WORK": work.resolve()}
    parameters |= {f"PROGRAM{number}": path for number, path in enumerate(programs)}
    parameters |= {f"OWN{number}": path for number, path in enumerate(_real(own))}
    parameters |= {f"READ{number}": path for number, path in enumerate(_real(readable))}
    above = sorted({parent for path in parameters.values() for parent in path.parents})
    parameters |= {f"ABOVE{number}": path for number, path in enumerate(above)}
    definitions = [part for name, path in parameters.items() for part in ("-D", f"{name}={path}")]
    return [PROGRAM, "-p", profile(parameters), *definitions, *command]


def profile(names: Iterable[str]) -> str:
    """Return the profile for parameters of these names."""
    by_kind = {kind: [name for name in names if name.startswith(kind)] for kind in ("PROGRAM", "OWN", "READ", "ABOVE")}
    own = [_below(name) for name in by_kind["OWN"]] + [_exactly(name) for name in by_kind["PROGRAM"]]
    system = [f'(subpath "{path}")' for path in _SYSTEM] + [f'(literal "{path}")' for path in _FILES]
    numbers = [f'(sysctl-name "{name}")' for name in _NUMBERS] + [
        f'(sysctl-name-prefix "{name}")' for name in _FAMILIES
    ]
    rules = [
        "(version 1)",
        "(deny default)",
        '(import "system.sb")',
        _rule("allow process-exec*", map(_exactly, by_kind["PROGRAM"])),
        _rule("allow file-read* file-map-executable", [*own, *system]),
        _rule("allow file-read-metadata", map(_exactly, by_kind["ABOVE"])),
        _rule("allow file-read*", map(_below, by_kind["READ"])),
        _rule("allow file-read* file-write*", [_below("WORK")]),
        _rule("allow file-write-data", ['(literal "/dev/null")']),
        _rule("allow sysctl-read", numbers),
        "(allow process-info* (target self))",
        "(allow signal (target self))",
        # What Apple's profile may grant beside: nothing that leaves the process, nothing that is no plain file.
        "(deny network*)",
        "(deny system-socket)",
        "(deny process-fork)",
        "(deny ipc-posix*)",
        "(deny ipc-sysv*)",
        "(deny iokit-open)",
        "(deny file-write-create (vnode-type SYMLINK FIFO SOCKET CHARACTER-DEVICE BLOCK-DEVICE))",
        "(deny file-write-owner file-write-setugid)",
        "(deny file-link)",
        "(deny mach-register)",
    ]
    return "\n".join(filter(None, rules))


def _rule(start: str, filters: Iterable[str]) -> str:
    """Return a rule for places; without places there is none, as it would hold for all."""
    text = " ".join(filters)
    return f"({start} {text})" if text else ""


def _below(name: str) -> str:
    return f'(subpath (param "{name}"))'


def _exactly(name: str) -> str:
    return f'(literal (param "{name}"))'


def _real(paths: Iterable[Path]) -> list[Path]:
    """Return places as the system names them: `/tmp` is a link there, and a rule for a link holds for nothing."""
    return list(dict.fromkeys(path.resolve() for path in paths))


def _inside_framework() -> list[Path]:
    """Return the program that Python of a framework becomes at its start."""
    program = Path(sys.base_prefix, "Resources", "Python.app", "Contents", "MacOS", "Python")
    return [program] if program.exists() else []


def _excess(work: Path, process: int) -> str:
    """Return what a process takes too much of."""
    library = ctypes.CDLL(None, use_errno=True)
    usage = usage_of(library, process)
    held = held_without_name(library, process)
    threads = 0
    with suppress(psutil.Error):
        threads = psutil.Process(process).num_threads()
    if usage is None or held is None or not threads:
        return HIDDEN if psutil.pid_exists(process) else ""
    memory, written = usage
    if memory > MEMORY:
        return TOO_LARGE
    return TOO_MUCH if written > MOST_WRITTEN else excess(threads, held, work)


_RUSAGE_INFO_V2, _RUSAGE_BYTES = 2, 160
_FOOTPRINT, _WRITTEN = 72, 152
"""Where `ri_phys_footprint` and `ri_diskio_byteswritten` are in struct rusage_info_v2."""
_PROC_PIDLISTFDS, _PROC_PIDFDVNODEINFO, _VNODE = 1, 1, 1
_FD_BYTES, _VNODE_BYTES = 8, 176
"""Of struct proc_fdinfo and struct vnode_fdinfo."""
_MODE, _LINKS, _INODE, _BLOCKS = 28, 30, 32, 120
"""Where vst_mode, vst_nlink, vst_ino and vst_blocks are in struct vnode_fdinfo, behind its 24 bytes of proc_fileinfo."""
_S_IFMT, _S_IFREG = 0o170000, 0o100000


def usage_of(library: ctypes.CDLL, process: int) -> tuple[int, int] | None:
    """Return the bytes of memory and the bytes written in a process's life; None: the system does not tell."""
    buffer = ctypes.create_string_buffer(_RUSAGE_BYTES)
    if library.proc_pid_rusage(process, _RUSAGE_INFO_V2, buffer):
        return None
    return struct.unpack_from("=Q", buffer, _FOOTPRINT)[0], struct.unpack_from("=Q", buffer, _WRITTEN)[0]


def held_without_name(library: ctypes.CDLL, process: int) -> int | None:
    """Return the bytes of open files that are in no folder any more; None: the system does not tell."""
    table = ctypes.create_string_buffer(_FD_BYTES * 2 * OPEN_FILES)
    size = library.proc_pidinfo(process, _PROC_PIDLISTFDS, ctypes.c_uint64(0), table, len(table))
    if size <= 0:
        return None
    held: dict[int, int] = {}
    for place in range(0, size - _FD_BYTES + 1, _FD_BYTES):
        descriptor, kind = struct.unpack_from("=iI", table, place)
        if kind != _VNODE:
            continue
        node = ctypes.create_string_buffer(_VNODE_BYTES)
        if library.proc_pidfdinfo(process, descriptor, _PROC_PIDFDVNODEINFO, node, _VNODE_BYTES) != _VNODE_BYTES:
            continue  # closed meanwhile
        mode, links = struct.unpack_from("=HH", node, _MODE)
        if mode & _S_IFMT == _S_IFREG and not links:
            held[struct.unpack_from("=Q", node, _INODE)[0]] = struct.unpack_from("=q", node, _BLOCKS)[0] * 512
    return sum(held.values())
