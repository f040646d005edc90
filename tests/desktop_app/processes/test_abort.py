"""Where ggml ends a process of ours, that is known at once."""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from converter.ggml import load_library
from desktop_app.processes.worker import Tell, in_process
from models.errors import ZhiyinError


def abort_in_ggml(tell: Tell, cancelled: Callable[[], bool]) -> None:
    """End the process as ggml does where it meets what it does not expect."""
    abort = load_library("ggml-base").ggml_abort
    abort.argtypes = (ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p)
    abort(b"test.c", 1, b"for the test")


@pytest.mark.skipif(sys.platform != "linux", reason="ggml starts a debugger on Linux only")
def test_no_debugger_is_attached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gdb takes ten seconds and more, and keeps our pipes open for as long."""
    debugger = tmp_path / "gdb"
    debugger.write_text(f"#!/bin/sh\ntouch {tmp_path}/attached\n", "utf-8")
    debugger.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    with pytest.raises(ZhiyinError):
        in_process(abort_in_ggml, lambda event: None, threading.Event())
    assert not (tmp_path / "attached").exists()
