"""Titles by the model: asked for when nothing else is going on, given up as soon as something is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, QTimer

from desktop_app.chat.conversation import Message
from desktop_app.settings import Settings
from desktop_app.ui.bridges.engine_bridge import Call, EngineBridge
from desktop_app.ui.chat.chat_session import ChatSession
from desktop_app.ui.models.model_session import ModelSession

if TYPE_CHECKING:
    from desktop_app.engine.results import Reply

_IDLE_MS = 2000
"""After the first reply: who asks at once again is not to wait for a title."""


class TitleController(QObject):
    """Names chats after their first reply."""

    def __init__(
        self,
        engine: EngineBridge,
        models: ModelSession,
        chats: ChatSession,
        settings: Settings,
        parent: QObject | None = None,
    ) -> None:
        """Follow `chats`."""
        super().__init__(parent)
        self._engine, self._models, self._chats, self._settings = engine, models, chats, settings
        self._call: Call | None = None
        self._idle = QTimer(self, singleShot=True, interval=_IDLE_MS)
        self._idle.timeout.connect(self._ask)
        chats.replies.ended.connect(self._ended)
        chats.list.listed.connect(self._give_way)
        models.changed.connect(lambda _: self._stop())

    def _ended(self, message: Message) -> None:
        from desktop_app.chat.titles import wants_title

        if wants_title(self._chats.list.current, self._chats.list.path, self._models.state.info):
            self._idle.start()

    def _give_way(self) -> None:
        if self._chats.replies.busy:
            self._stop()

    def _stop(self) -> None:
        self._idle.stop()
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _ask(self) -> None:
        from desktop_app.chat.request import options_for
        from desktop_app.chat.titles import title_request, wants_title

        chat, path, state = self._chats.list.current, self._chats.list.path, self._models.state
        if self._chats.replies.busy or state.kind != "ready" or not wants_title(chat, path, state.info):
            return
        request = title_request(path, options_for(self._models.settings_in_use, chat).system_prompt)
        self._call = self._engine.submit(
            request, lambda _: None, lambda reply: self._answered(chat.id, reply), lambda _: self._forget()
        )

    def _answered(self, chat: str, reply: Reply) -> None:
        from desktop_app.chat.titles import title_of

        self._forget()
        if reply.reason == "cancelled":
            return
        text = reply.text if reply.reason in ("end", "stop") else reply.text.rpartition("\n")[0]
        title = title_of(text)
        untitled = [one for one in self._chats.list.conversations if one.id == chat and not one.named]
        if title and untitled:
            self._chats.list.change(chat, title=title, named="model")

    def _forget(self) -> None:
        self._call = None
