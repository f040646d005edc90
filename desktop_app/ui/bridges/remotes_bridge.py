"""The servers with models for the window: asked and stored on a thread of its own, since a server may be silent for long."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from desktop_app.paths import remotes_file
from desktop_app.ui.bridges.background import Background
from models.system_errors import cannot_write

if TYPE_CHECKING:
    from desktop_app.remote.addresses import Remote, Remotes

OnFailed = Callable[[Exception], None]


class RemotesBridge(QObject):
    """Adds servers and forgets them."""

    changed = Signal()
    """Other servers or other models are on the list."""

    def __init__(self, parent: QObject | None = None) -> None:
        """Look after the data folder's list."""
        super().__init__(parent)
        self._background = Background("remotes", self)

    @cached_property
    def _remotes(self) -> Remotes:
        from desktop_app.remote.addresses import Remotes

        return Remotes()

    def find(self, on_done: Callable[[tuple[Remote, ...]], None], on_failed: OnFailed) -> None:
        """Read the list."""
        self._background.run(self._remotes.all, on_done, on_failed)

    def add(self, address: str, key: str, on_done: Callable[[Remote], None], on_failed: OnFailed) -> None:
        """Ask a server for its models, and put it on the list; a key that it refuses is not kept.

        Args:
            address: as the user typed it.
            key: "": the one that is kept, if any.
            on_done: called with what the server has.
            on_failed: called with what is wrong.
        """

        def work() -> Remote:
            from desktop_app.remote.addresses import keep_key_for, key_for, read_address
            from desktop_app.remote.engine import list_models

            complete = read_address(address)
            remote = list_models(complete, key or key_for(complete))
            if key:
                keep_key_for(complete, key)
            self._store(lambda: self._remotes.put(remote))
            return remote

        self._background.run(work, lambda remote: self._changed(lambda: on_done(remote)), on_failed)

    def remove(self, address: str, on_done: Callable[[], None], on_failed: OnFailed) -> None:
        """Forget a server and its key."""
        self._background.run(
            lambda: self._store(lambda: self._remotes.remove(address)), lambda _: self._changed(on_done), on_failed
        )

    def close(self) -> None:
        """Wait for the thread."""
        self._background.close()

    def _changed(self, on_done: Callable[[], None]) -> None:
        self.changed.emit()
        on_done()

    @staticmethod
    def _store(change: Callable[[], None]) -> None:
        try:
            change()
        except OSError as error:
            raise cannot_write(remotes_file(), error) from error
