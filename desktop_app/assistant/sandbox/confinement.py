"""The interface of what a system has to hold a process to a folder: one implementation a system, in a file of its own."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol, cast

INTERRUPT = b'{"interrupt": true}\n'
"""What a process reads among its requests where no signal reaches it: on Windows."""


class Confined(Protocol):
    """A process that the system holds to its folder."""

    stdin: BinaryIO
    stdout: BinaryIO

    @property
    def pid(self) -> int:
        """The process that runs the code."""

    def is_alive(self) -> bool:
        """Tell whether it has not ended."""

    def interrupt(self) -> None:
        """Have Python raise KeyboardInterrupt."""

    def pause(self) -> None:
        """Let nothing of it run."""

    def resume(self) -> None:
        """Let it run again."""

    def excess(self) -> str:
        """Return what it takes too much of, as a sentence for the model; "": nothing."""

    def kill(self) -> None:
        """End it at once, whatever it does, and wait; from any thread, more than once."""

    def end(self) -> None:
        """Kill it, close its pipes, and take back what was granted to it."""


class Confinement(Protocol):
    """How one system confines a process."""

    def is_there(self) -> bool:
        """Tell whether this computer has the parts; whether they hold, `trial` finds out."""

    def start(
        self, command: Sequence[str], work: Path, readable: Sequence[Path], environment: Mapping[str, str]
    ) -> Confined:
        """Start a process of ours; it ends with the thread that calls this, or with this process.

        Args:
            command: starts `kernel.main` once a number is put behind it, which the inside is given as `parent`.
            work: the one folder that it may write.
            readable: what else it may read, besides its own parts.
            environment: all of its variables.

        Raises:
            OSError: the system refuses.
        """

    def enter(self, parent: int, work: Path, readable: Sequence[Path]) -> None:
        """Confine the process that calls this, as far as `start` has not done so; raises OSError."""


_SYSTEMS = {"linux": "Linux", "darwin": "MacOS", "win32": "Windows"}
"""What `sys.platform` says -> the class in the module of that name in small letters."""


def confinement(system: str = sys.platform) -> Confinement | None:
    """Return what a system has; None: nothing that is known here."""
    name = _SYSTEMS.get(system)
    if name is None:
        return None
    module = importlib.import_module(f"desktop_app.assistant.sandbox.{name.lower()}")
    return cast(Confinement, getattr(module, name)())
