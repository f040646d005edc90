"""Grounding of replies from the window: computed on a thread, and by a process where something is searched."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject

from desktop_app.ui.bridges.background import Background
from desktop_app.ui.bridges.engine_bridge import EngineBridge

if TYPE_CHECKING:
    from desktop_app.chat.grounding import Grounding
    from desktop_app.documents.fitting import Chat
    from desktop_app.documents.service import Progress


class GroundingBridge(QObject):
    """Finds out one after the other."""

    def __init__(self, engine: EngineBridge, parent: QObject | None = None) -> None:
        """`engine` counts tokens."""
        super().__init__(parent)
        self._engine = engine
        self._background = Background("grounding", self)
        self._stop = threading.Event()

    def ground(
        self,
        chat: Chat,
        context: int,
        on_progress: Callable[[Progress], None],
        on_done: Callable[[Grounding | None], None],
        on_failed: Callable[[Exception], None],
    ) -> threading.Event:
        """Find out; one of the last two is called later. Returns what stops it when it is set."""
        self._stop = stop = threading.Event()

        def work() -> Grounding | None:
            from desktop_app.documents import service
            from desktop_app.documents.fitting import costs_of, fit
            from desktop_app.processes.worker import in_process

            costs = costs_of(chat, self._engine.count_tokens)
            fitting = fit(chat, context, costs)
            if not fitting.searched and not chat.collections:
                return fitting.grounding()
            search: Any = partial(service.ground, chat, context, costs)
            grounding: Grounding | None = in_process(search, tell, stop)
            return grounding

        def tell(progress: Progress) -> None:
            self._background.post(lambda: on_progress(progress))

        self._background.run(work, on_done, on_failed)
        return stop

    def forget_chats(self, known: frozenset[str]) -> None:
        """Remove what was made of attachments of chats that are gone."""
        from desktop_app.documents import service
        from desktop_app.processes.worker import in_process

        work: Any = partial(service.forget_chats, known)
        self._background.run(lambda: in_process(work, lambda event: None, self._stop), None, lambda error: None)

    def close(self) -> None:
        """Stop what is under way and wait for it."""
        self._stop.set()
        self._background.close()
