"""The processor: its name, cores, caches and instruction sets."""

from __future__ import annotations

import ctypes
import platform
import re
import struct
import subprocess
import sys
from pathlib import Path

_CPUS = Path("/sys/devices/system/cpu")
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
        return most_efficient(_windows_cores())
    listed = Path("/sys/devices/cpu_core/cpus")  # Intel's hybrid processors list their fast threads here
    if not listed.is_file():
        return 0
    threads = _numbers(listed.read_text("ascii"))
    siblings = {(_CPUS / f"cpu{n}/topology/core_cpus_list") for n in threads}
    return len({path.read_text("ascii") for path in siblings if path.is_file()})


def most_efficient(cores: bytes) -> int:
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
        found = {"L1d": _sysctl("hw.l1dcachesize"), "L2": _sysctl("hw.l2cachesize"), "L3": _sysctl("hw.l3cachesize")}
        return {level: int(size) for level, size in found.items() if size.isdecimal()}
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
    found: list[int] = []
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


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
