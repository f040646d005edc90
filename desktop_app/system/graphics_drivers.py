"""Which graphics drivers are installed, in one line: an engine part that was tried with them is tried again with others."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from pathlib import Path

_LINUX = (
    "/proc/driver/nvidia/version",
    "/usr/share/vulkan/icd.d",
    "/etc/vulkan/icd.d",
    "/usr/local/share/vulkan/icd.d",
)
_LINUX_LIBRARIES = ("libvulkan.so.1", "libcuda.so.1")
_LIBRARY_FOLDERS = (
    "/usr/lib",
    "/usr/lib64",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/local/lib",
)
_WINDOWS_LIBRARIES = ("vulkan-1.dll", "nvcuda.dll")
_ENVIRONMENT = ("VK_DRIVER_FILES", "VK_ICD_FILENAMES", "GGML_VK_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES")


def fingerprint() -> str:
    """Return 16 hexadecimal digits that change when a driver, its settings or the system's kernel does."""
    facts = [platform.release(), *(f"{name}={os.environ.get(name, '')}" for name in _ENVIRONMENT)]
    for path in _driver_files():
        try:
            state = path.stat()
        except OSError:
            continue
        # Files of /proc are of no size and always new: what they say counts.
        facts.append(
            path.read_text("utf-8", "replace")
            if path.is_relative_to("/proc")
            else f"{path} {state.st_size} {state.st_mtime_ns}"
        )
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16]


def _driver_files() -> list[Path]:
    if sys.platform == "win32":
        system = Path(os.environ.get("SYSTEMROOT", r"C:\Windows"), "System32")
        return [system / name for name in _WINDOWS_LIBRARIES]
    files = [
        path for place in map(Path, _LINUX) for path in (sorted(place.glob("*.json")) if place.is_dir() else [place])
    ]
    return files + [Path(folder, name) for folder in _LIBRARY_FOLDERS for name in _LINUX_LIBRARIES]
