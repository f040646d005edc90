"""Plug-ins of ggml into the engine process: each by its full path, after its trial, with the reason where one cannot be used."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

from converter.ggml import library_folder, load_library
from desktop_app.engine.parts.store import Part, PartStore
from desktop_app.engine.parts.trial import PartFailed, tried
from desktop_app.system.devices import EnginePart
from desktop_app.system.graphics_drivers import fingerprint
from models.errors import ZhiyinError


def load_base() -> None:
    """Register the processor's variant that suits this computer best, where they are plug-ins too; else it is built in.

    By the folder's full path: left to itself llama.cpp would look into the working folder.
    """
    folder = library_folder()
    if any(folder.glob("*ggml-cpu-*")):
        load = load_library("ggml").ggml_backend_load_all_from_path
        load.argtypes, load.restype = [ctypes.c_char_p], None
        load(str(folder).encode())  # ggml takes UTF-8 here, on Windows too


def load_parts(store: PartStore) -> list[EnginePart]:
    """Load the chosen parts; one that was not tried with today's drivers is tried first, in a process of its own."""
    drivers, states = fingerprint(), []
    for part in store.parts():
        id_, name = part.manifest.id, part.manifest.part
        if part.misfit is not None:
            states.append(EnginePart(id_, name, "failed", part.misfit))
            continue
        if not part.in_use:
            states.append(EnginePart(id_, name, "off"))
            continue
        failure = tried(store, part, drivers).failure
        if failure is None:
            try:
                load_plug_ins(part)
            except ZhiyinError as error:
                failure = error.data()
        states.append(EnginePart(id_, name, "failed" if failure else "loaded", failure))
    return states


def load_plug_ins(part: Part) -> None:
    """Load a part's plug-ins.

    Raises:
        PartFailed: one cannot be loaded.
    """
    from desktop_app.engine.llama.log import (  # imports llama_cpp, which only a part makes necessary here
        begin_log,
        log_lines,
    )

    load = load_library("ggml").ggml_backend_load
    load.argtypes, load.restype = [ctypes.c_char_p], ctypes.c_void_p
    if sys.platform == "win32":
        # LoadLibrary does not look for what a library needs in that library's own folder.
        os.environ["PATH"] = f"{part.folder}{os.pathsep}{os.environ.get('PATH', '')}"
        os.add_dll_directory(str(part.folder))
    for name in part.manifest.plug_ins:
        begin_log()
        if not load(_native(part.folder / name)):
            reason = _why(list(log_lines), part.folder)
            raise PartFailed("{part} does not load ({reason}).", part=part.manifest.part, reason=reason or name)


def _native(path: Path) -> bytes:
    """Return a path as ggml's C interface takes it: bytes of the system's code page, on Windows a short name without Chinese."""
    if sys.platform == "win32":
        buffer = ctypes.create_unicode_buffer(32768)
        if ctypes.windll.kernel32.GetShortPathNameW(str(path), buffer, len(buffer)):
            return buffer.value.encode("mbcs")
        return str(path).encode("mbcs")
    return os.fsencode(path)


def _why(lines: list[str], folder: Path) -> str:
    """Return the reason in what ggml said of a load, without the name of its function and our folder."""
    logged = next((line for line in lines if "failed" in line or "cannot" in line or "incompatible" in line), "")
    reason = logged or (lines[-1] if lines else "")
    for words in ("load_backend: ", "failed to load "):
        reason = reason.removeprefix(words)
    reason = reason.replace(f"{folder}{os.sep}", "")
    first, _, rest = reason.partition(": ")
    return rest if rest.startswith(f"{first}: ") else reason  # the system's loader begins with the file's name too
