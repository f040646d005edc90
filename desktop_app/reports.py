"""Warnings for the user while the work goes on: a damaged file of ours, a model that is gone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from models.errors import ZhiyinError

Listener = Callable[[ZhiyinError], None]


class _Reports:
    """Damaged files, and the listeners."""

    def __init__(self) -> None:
        self._listener: Listener | None = None
        self._unheard: list[ZhiyinError] = []
        self._said: list[dict[str, Any]] = []

    def listen(self, listener: Listener | None) -> None:
        """Tell a listener of this process, also what was found before; None: keep it for the next listener."""
        self._listener = listener
        while listener is not None and self._unheard:
            listener(self._unheard.pop(0))

    def say(self, error: ZhiyinError) -> None:
        """Say each thing once: where nothing can be put aside, a file is found damaged whenever it is read."""
        if error.data() in self._said:
            return
        self._said.append(error.data())
        if self._listener is None:
            self._unheard.append(error)
        else:
            self._listener(error)


_reports = _Reports()
say, listen = _reports.say, _reports.listen
