"""Engine parts for the window: files are checked, copied and chosen on a thread, and then the engine starts anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal

from desktop_app.ui.bridges.background import Background
from desktop_app.ui.bridges.engine_bridge import EngineBridge
from desktop_app.ui.models.model_session import ModelSession

if TYPE_CHECKING:
    from desktop_app.engine.parts.store import Part, PartStore
    from desktop_app.system.devices import Device, EnginePart
    from desktop_app.system.graphics_cards import UnusedCard
    from desktop_app.system.hardware import Hardware


@dataclass(frozen=True)
class EngineFacts:
    """The engine's devices and parts in use, and available ones."""

    parts: tuple[Part, ...] = ()
    mode: str = ""
    """Which of them are used, as `PartStore.mode`; "": not known yet."""
    states: tuple[EnginePart, ...] = ()
    """What became of each part when the engine started."""
    devices: tuple[Device, ...] = ()
    unused_cards: tuple[UnusedCard, ...] = ()
    known: bool = False
    """The engine has answered."""


class EnginePartsBridge(QObject):
    """The parts that are here, kept up to date while somebody looks at them."""

    changed = Signal()
    """`facts` are new."""
    refused = Signal(Exception)
    """What was asked for did not happen: the error says why."""

    def __init__(self, engine: EngineBridge, models: ModelSession, parent: QObject | None = None) -> None:
        """Ask nothing yet."""
        super().__init__(parent)
        self._engine, self._models = engine, models
        self._background = Background("engine-parts", self)
        self.facts = EngineFacts()
        self.busy = False
        """A part is being taken, or the engine is starting with it."""
        self._turn = 0
        """Of what was asked for last; answers to what was asked before it come too late."""

    @cached_property
    def _store(self) -> PartStore:
        from desktop_app.engine.parts.store import part_store

        return part_store()

    def refresh(self) -> None:
        """Find out what is here; the engine answers after a reply that is under way."""
        self._turn += 1
        turn = self._turn
        self._background.run(
            lambda: (self._store.parts(), self._store.mode),
            lambda listing: self._listed(turn, *listing),
            self.refused.emit,
        )

    def add(self, path: Path, *, unsigned: bool = False) -> None:
        """Take a part from a file, and use it."""
        self._change(lambda: self._store.add(path, unsigned=unsigned))

    def remove(self, part: Part) -> None:
        """Delete a part; it is not in use any more when its files go."""
        self._turn += 1
        self._set_busy(True)
        self._engine.restart(lambda: self._change(lambda: self._store.remove(part.manifest.id)))

    def use(self, name: str) -> None:
        """Choose what computes, as `PartStore.use` does."""
        self._change(lambda: self._store.use(name))

    def roll_back(self) -> None:
        """Use what was used before the last change."""
        self._change(self._store.roll_back)

    def close(self) -> None:
        """Wait for the thread."""
        self._background.close()

    def _change(self, work: Callable[[], Any]) -> None:
        self._turn += 1
        self._set_busy(True)
        self._background.run(work, lambda _: self._engine.restart(self._restarted), self._failed)

    def _restarted(self) -> None:
        self._models.reload()
        self.refresh()

    def _failed(self, error: Exception) -> None:
        self.refused.emit(error)
        self.refresh()

    def _listed(self, turn: int, parts: list[Part], mode: str) -> None:
        from desktop_app.engine.protocol import Devices
        from desktop_app.system.hardware import probe

        if turn != self._turn:
            return
        self.facts = EngineFacts(tuple(parts), mode)
        self.changed.emit()

        def answered(hardware: Hardware) -> None:
            if turn == self._turn:
                states = (hardware.parts, hardware.devices, hardware.unused_cards)
                self.facts = EngineFacts(tuple(parts), mode, *states, known=True)
                self._set_busy(False)

        def failed(error: Exception) -> None:
            self.refused.emit(error)
            if turn == self._turn:
                self._set_busy(False)

        self._engine.submit(
            Devices(),
            lambda _: None,
            lambda compute: self._background.run(lambda: probe(compute), answered, failed),
            failed,
        )

    def _set_busy(self, busy: bool) -> None:
        self.busy = busy
        self.changed.emit()
