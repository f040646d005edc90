"""Landlock: which files this process may reach from now on, enforced by the kernel, for root as well.

Source: the kernel's Documentation/userspace-api/landlock.rst and include/uapi/linux/landlock.h. The system calls have the same
numbers on every architecture.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION, _PATH_BENEATH = 1, 1
_PR_SET_NO_NEW_PRIVS = 38

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_REMOVE_DIR, _REMOVE_FILE, _MAKE_DIR, _MAKE_REG = 1 << 4, 1 << 5, 1 << 7, 1 << 8
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_READ = _READ_FILE | _READ_DIR
_WRITE = _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _TRUNCATE
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV
"""What can be allowed for a file; the rest is for folders."""
_BY_VERSION = {1: (1 << 13) - 1, 2: _REFER, 3: _TRUNCATE, 5: _IOCTL_DEV}
_NETWORK, _SCOPES = 0b11, 0b11
"""TCP (version 4); abstract sockets and signals (version 6)."""
OLDEST = 3
"""Truncating by path is not held back before."""


def version() -> int:
    """Return the version of Landlock that the kernel has; 0: none."""
    return max(0, _call(_CREATE_RULESET, None, 0, _VERSION))


def restrict(readable: Iterable[Path], writable: Iterable[Path]) -> None:
    """Let this process read and write below these places alone; raises OSError.

    Threads that run already are not held: call it before there are any.
    """
    has = version()
    if has < OLDEST:
        raise OSError("the kernel has no Landlock")
    handled = 0
    for since, rights in _BY_VERSION.items():
        handled |= rights if has >= since else 0
    attributes = struct.pack("QQQ", handled, _NETWORK if has >= 4 else 0, _SCOPES if has >= 6 else 0)
    ruleset = _call(_CREATE_RULESET, attributes, len(attributes) if has >= 6 else 16 if has >= 4 else 8, 0)
    if ruleset < 0:
        raise OSError(ctypes.get_errno(), "landlock_create_ruleset")
    try:
        for path in readable:
            _allow(ruleset, path, _READ & handled)
        for path in writable:
            _allow(ruleset, path, (_READ | _WRITE) & handled)
        # Without it only an administrator may restrict itself.
        if ctypes.CDLL(None).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or _call(_RESTRICT_SELF, ruleset, 0) < 0:
            raise OSError(ctypes.get_errno(), "landlock_restrict_self")
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: Path, rights: int) -> None:
    """Add a rule; a place that is not there needs none."""
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return
    try:
        rights = rights if path.is_dir() else rights & _OF_FILES
        if _call(_ADD_RULE, ruleset, _PATH_BENEATH, struct.pack("=Qi", rights, descriptor), 0) < 0:
            raise OSError(ctypes.get_errno(), "landlock_add_rule")
    finally:
        os.close(descriptor)


def _call(number: int, *arguments: int | bytes | None) -> int:
    library = ctypes.CDLL(None, use_errno=True)
    values = (ctypes.c_long(value) if isinstance(value, int) else value for value in arguments)
    return int(library.syscall(ctypes.c_long(number), *values))
