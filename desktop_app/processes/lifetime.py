"""A process of ours ends when its parent does, whatever it computes at that moment.

A thread that sees the end of standard input stops the work in order, but it needs Python's global lock (GIL), which one long
operation in C holds: a power of large numbers, a regular expression. So the system alone ends the process some seconds later, by
calls that never enter Python.

- POSIX: the parent holds the other end of a pipe that nothing is written to (`start`). When the parent ends, the kernel signals
  this process, and the signal's handler is a function of the C library. The kernel's own PR_SET_PDEATHSIG would fire as soon as
  the *thread* that started this process ends, and exists on Linux only.
- Windows: the system's thread pool waits for the parent's end and calls functions of kernel32.

Nothing here is a timer that has to be wound up again: a suspended or swapping computer ends no process.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from contextlib import suppress

_GRACE_SECONDS = 5
"""For the thread that sees the end of standard input."""


def end_with_parent(link: int, *, grace: bool) -> None:
    """See to it that this process ends when its parent does.

    Args:
        link: the reading end of the pipe whose other end the parent holds; on Windows the parent's process id.
        grace: the process gets some seconds to put things in order.
    """
    if sys.platform == "win32":
        _end_with_process(link, grace)
    else:
        _end_with_pipe(link, grace)


def _end_with_pipe(pipe: int, grace: bool) -> None:
    """Let the kernel signal the pipe's end.

    A signal's handler is called with the signal's number: `alarm(5)`, where Linux may choose SIGTRAP (5) for the pipe, sends
    SIGALRM 5 seconds later, which nobody handles. Elsewhere the signal is SIGIO, and that takes 23 seconds.
    """
    import fcntl

    library = ctypes.CDLL(None)
    number = signal.SIGIO
    if grace and sys.platform == "linux":
        number = signal.Signals(_GRACE_SECONDS)
    library.signal.argtypes = (ctypes.c_int, ctypes.c_void_p)
    library.signal.restype = ctypes.c_void_p
    library.signal(number, ctypes.cast(library.alarm if grace else library._exit, ctypes.c_void_p))
    with suppress(
        OSError
    ):  # an emulated kernel without such signals (gVisor, WSL 1): the thread alone ends the process
        if number != signal.SIGIO:
            fcntl.fcntl(pipe, fcntl.F_SETSIG, number)
        fcntl.fcntl(pipe, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(pipe, fcntl.F_SETFL, fcntl.fcntl(pipe, fcntl.F_GETFL) | os.O_ASYNC)
    os.set_blocking(pipe, False)
    try:
        os.read(pipe, 1)
    except BlockingIOError:
        return  # the parent is there
    os._exit(0)  # it ended before the signal was asked for


def _end_with_process(parent: int, grace: bool) -> None:
    """Let the thread pool wait for the parent and then end this process; with grace, after a thread has slept in between."""
    library = ctypes.WinDLL("kernel32")  # type: ignore[attr-defined]
    for function in (library.OpenProcess, library.CreateThread):
        function.restype = ctypes.c_void_p
    address, handle = ctypes.c_void_p, ctypes.c_void_p
    library.OpenProcess.argtypes = (ctypes.c_uint32, ctypes.c_int, ctypes.c_uint32)
    library.CreateThread.argtypes = (handle, ctypes.c_size_t, address, ctypes.c_size_t, ctypes.c_uint32, handle)
    library.RegisterWaitForSingleObject.argtypes = (handle, handle, address, handle, ctypes.c_uint32, ctypes.c_uint32)

    def when_ended(awaited: int, function: ctypes._FuncPointer, argument: int) -> None:
        wait = ctypes.c_void_p()
        callback = ctypes.cast(function, address)
        library.RegisterWaitForSingleObject(ctypes.byref(wait), awaited, callback, argument, _FOR_EVER, _ONCE)

    ended = library.OpenProcess(_SYNCHRONIZE, False, parent)
    if not ended:
        return  # it has ended already, and standard input with it
    if grace:
        sleep = ctypes.cast(library.Sleep, address)
        pause = library.CreateThread(None, 0, sleep, _GRACE_SECONDS * 1000, _SUSPENDED, None)
        when_ended(ended, library.ResumeThread, pause)
        ended = pause
    when_ended(ended, library.TerminateProcess, _THIS_PROCESS)


_SYNCHRONIZE, _SUSPENDED, _ONCE, _FOR_EVER = 0x00100000, 0x4, 0x8, 0xFFFFFFFF
_THIS_PROCESS = ctypes.c_void_p(-1).value or 0
