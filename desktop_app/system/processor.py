"""The processor: its name, cores, caches and instruction sets."""

from __future__ import annotations

import ctypes
import platform
import re
import struct
import subprocess
import sys
from collections.abc import Set as AbstractSet
from pathlib import Path

_CPUS = Path("/sys/devices/system/cpu")
_INTEL_FAST = Path("/sys/devices/cpu_core/cpus")
_SYSCTL = "/usr/sbin/sysctl"
_WINDOWS_RECORD = struct.Struct("<IIBB")


def name() -> str:
    """Return the processor's name as its maker writes it."""
    system = platform.system()
    if system == "Linux":
        match = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text("utf-8", "replace"), re.MULTILINE)
        return match[1] if match else platform.machine()
    if system == "Darwin":
        return _sysctl("machdep.cpu.brand_string") or platform.machine()
    return platform.processor() or platform.machine()


def performance_cores() -> int:
    """Return the fast cores of a processor with cores of several kinds; 0: all are alike, or the system does not say."""
    if platform.system() == "Darwin":
        fast = _sysctl("hw.perflevel0.physicalcpu")
        return int(fast) if fast.isdecimal() and _sysctl("hw.nperflevels") not in ("", "1") else 0
    if sys.platform == "win32":
        return fast_windows_cores(_windows_cores())
    return _cores_of(_fast_processors())


def fast_cores(allowed: AbstractSet[int]) -> int:
    """Return how many fast cores have one of these logical processors, or how many cores where none is fast; 0: it is not known.

    Windows and macOS do not say which are which: then it is all of the computer's fast cores.
    """
    if platform.system() != "Linux":
        return performance_cores()
    return _cores_of(_fast_processors() & allowed or allowed)


def _fast_processors() -> set[int]:
    """Return the logical processors of the fast cores (Linux); empty: all are alike.

    Of ARM's three kinds, the two that are nearly as fast as each other count.
    """
    if _INTEL_FAST.is_file():  # on Intel's hybrid processors alone
        return set(_numbers(_INTEL_FAST.read_text("ascii")))
    capacities = {}
    for path in _CPUS.glob("cpu[0-9]*/cpu_capacity"):
        capacities[int(path.parent.name.removeprefix("cpu"))] = int(path.read_text("ascii"))
    fast = {number for number, capacity in capacities.items() if capacity >= max(capacities.values()) / 2}
    return fast if len(fast) < len(capacities) else set()


def _cores_of(processors: AbstractSet[int]) -> int:
    """Return how many cores these logical processors belong to (Linux); 0: the system does not say."""
    siblings = (_CPUS / f"cpu{number}/topology/core_cpus_list" for number in processors)
    return len({path.read_text("ascii") for path in siblings if path.is_file()})


def fast_windows_cores(cores: bytes) -> int:
    """Return how many of Windows' records of cores have the highest class, which is that of the fast ones; 0: all are alike.

    A record is SYSTEM_LOGICAL_PROCESSOR_INFORMATION_EX (winnt.h): what it is of, its bytes, flags, the class, and more.
    """
    classes, at = [], 0
    while at + _WINDOWS_RECORD.size <= len(cores):
        _, size, _, class_ = _WINDOWS_RECORD.unpack_from(cores, at)
        classes.append(class_)
        at += max(size, _WINDOWS_RECORD.size)
    return classes.count(max(classes)) if len(set(classes)) > 1 else 0


def caches() -> dict[str, int]:
    """Return bytes of one core's caches and of the shared last one, by name: L1d, L2, L3."""
    if platform.system() == "Darwin":
        bytes_of = {"L1d": _sysctl("hw.l1dcachesize"), "L2": _sysctl("hw.l2cachesize"), "L3": _sysctl("hw.l3cachesize")}
        return {level: int(size) for level, size in bytes_of.items() if size.isdecimal()}
    sizes: dict[str, int] = {}
    for folder in sorted((_CPUS / "cpu0/cache").glob("index*")):
        try:
            level, kind = ((folder / file).read_text("ascii").strip() for file in ("level", "type"))
            size = (folder / "size").read_text("ascii").strip()
        except OSError:
            continue
        if kind != "Instruction" and size.endswith("K"):
            sizes[f"L{level}{'d' if kind == 'Data' else ''}"] = int(size[:-1]) * 1024
    return sizes


def instruction_sets(system_info: str) -> tuple[str, ...]:
    """Return what ggml uses of the processor, out of its own list ("AVX2 = 1 | ...")."""
    return tuple(re.findall(r"(\w+) = 1\b", system_info))


def _numbers(text: str) -> list[int]:
    """Return the numbers of a list such as 0-3,8."""
    numbers: list[int] = []
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    return numbers


def _sysctl(key: str) -> str:
    done = subprocess.run([_SYSCTL, "-n", key], capture_output=True, text=True, check=False)
    return done.stdout.strip()


if sys.platform == "win32":

    def _windows_cores() -> bytes:
        """Return a record for each core (GetLogicalProcessorInformationEx of RelationProcessorCore); b"": it failed."""
        size = ctypes.c_ulong()
        ask = ctypes.WinDLL("kernel32").GetLogicalProcessorInformationEx
        ask(0, None, ctypes.byref(size))
        records = ctypes.create_string_buffer(size.value)
        return records.raw if ask(0, records, ctypes.byref(size)) else b""
