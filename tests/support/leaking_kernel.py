"""The kernel of the code interpreter with one hole in its sandbox: `python -m tests.support.leaking_kernel HOLE PARENT`."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from desktop_app.assistant.sandbox import kernel, landlock, seccomp

SOCKETS = ("socket", "connect", "sendto", "recvfrom", "sendmsg", "recvmsg")
STARTING = ("fork", "vfork", "execve")


def main() -> None:
    """Open the hole, then run what comes."""
    hole = sys.argv[1]
    restrict = landlock.restrict

    def loosely(readable: Iterable[Path], writable: Iterable[Path]) -> None:
        everything = [Path("/")]
        restrict(everything if hole in ("read", "start") else readable, everything if hole == "write" else writable)

    for name in {"network": SOCKETS, "start": STARTING}.get(hole, ()):
        del seccomp._REFUSED[name]
    if hole == "network":
        landlock._NETWORK = 0
    if hole == "start":
        landlock._READ |= landlock._EXECUTE
        seccomp._MISSING.clear()
        seccomp._CLONE = (0xFFFF, 0xFFFF)  # no call
    landlock.restrict = loosely
    kernel.main(int(sys.argv[2]))


if __name__ == "__main__":
    main()
