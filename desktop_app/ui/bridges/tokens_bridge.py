"""Tokens for hosts of models, from the window's thread: the system's keyring may take its time, or ask for a password."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from PySide6.QtCore import QObject, Signal
from shiboken6 import isValid

from desktop_app.library.hub_tokens import KeptToken, find_token, keep_token, tokens_in
from desktop_app.settings import Settings
from desktop_app.ui.bridges.background import Background


class TokensBridge(QObject):
    """Reads and keeps tokens one after the other on a thread."""

    failed = Signal(Exception)
    """One could not be kept."""
    moved = Signal()
    """Those that an earlier version kept in the settings are in the keyring, and in the settings no more."""

    def __init__(self, settings: Settings, parent: QObject | None = None) -> None:
        """Bring tokens of earlier versions out of the settings."""
        super().__init__(parent)
        self._background = Background("tokens", self)
        self._settings = settings
        if old := tokens_in(settings):
            self._background.run(partial(_keep_all, old), self._forget, self.failed.emit)

    def find(self, endpoint: str, asker: QObject, on_done: Callable[[KeptToken], None]) -> None:
        """Find the token of an address; nothing is called once `asker` is gone."""
        self._background.run(partial(find_token, endpoint), lambda kept: on_done(kept) if isValid(asker) else None)

    def keep(self, endpoint: str, token: str) -> None:
        """Keep a token for an address; "" forgets what it had."""
        self._background.run(partial(keep_token, endpoint, token), None, self.failed.emit)

    def close(self) -> None:
        """Wait for what was asked for."""
        self._background.close()

    def _forget(self, _: object) -> None:
        self._settings.tokens, self._settings.token = {}, ""
        self.moved.emit()


def _keep_all(tokens: Mapping[str, str]) -> None:
    for where, token in tokens.items():
        keep_token(where, token)
