"""Remedies of a load that failed or was refused, and of a context that is full."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from PySide6.QtCore import QObject, Signal

from desktop_app.ui.controllers.notices import Notices
from desktop_app.ui.i18n.sentences import translated
from desktop_app.ui.models.model_session import SMALLEST_CONTEXT, Contexts, EngineState, LoadOverrides
from desktop_app.ui.services import Services
from desktop_app.ui.widgets.notice import Action
from models.errors import ZhiyinError

if TYPE_CHECKING:
    from desktop_app.chat.conversation import Message
    from desktop_app.chat.shortening import Shortener
    from desktop_app.ui.chat.reply_failure import Remedy

_SUMMARY = "summary"
"""The notice's topic while older turns are summarised."""


class RemedyController(QObject):
    """Offers what helps, chosen by the failure's code, and does it."""

    contexts_found = Signal(Contexts)
    """The contexts that the newest reply may offer."""
    edit_asked = Signal(str)
    """The question with this id is to be shortened."""
    new_chat_asked = Signal()
    settings_asked = Signal()
    """The settings that limit replies are to be shown."""
    models_asked = Signal()
    """The list of models is to be shown."""

    def __init__(self, services: Services, notices: Notices, parent: QObject | None = None) -> None:
        """Say failed loads through `notices`."""
        super().__init__(parent)
        self._services = services
        self._notices = notices
        self._contexts = Contexts(False)
        self._stop_summary = threading.Event()
        """Of the summary that is being written, or was last."""
        services.models.changed.connect(self._follow)
        services.chats.list.opened.connect(self.offer_contexts)
        services.chats.replies.ended.connect(lambda _: self.offer_contexts())

    def apply(self, message: str, remedy: Remedy) -> None:
        """Do what the user chose below a reply that failed."""
        chats = self._services.chats
        self._stop_summary.set()  # something else is wanted now
        ways: dict[Remedy, Callable[[], object]] = {
            "retry": lambda: chats.regenerate(message),
            "smaller": self.use_smaller_context,
            "larger": lambda: self._answer_with_larger_context(message),
            "drop": lambda: self._shorten(message),
            "summarise": lambda: self._summarise(message),
            "move": lambda: chats.move_on(message, self._contexts.start),
            "shorten": lambda: self.edit_asked.emit(chats.list.tree[message].parent or ""),
            "new_chat": self.new_chat_asked.emit,
            "settings": self.settings_asked.emit,
            "models": self.models_asked.emit,
        }
        ways[remedy]()

    def model_changed(self, state: EngineState) -> None:
        """Say why a load failed with its remedies, or withdraw that."""
        if state.error is not None:
            self._load_failed(state, state.error)
        elif state.kind in ("none", "ready"):
            self._notices.withdraw("model")

    def offer_contexts(self) -> None:
        """Let the newest reply offer other contexts, if it failed for want of one."""
        from desktop_app.chat.failure import failure_of

        path, models = self._services.chats.list.path, self._services.models
        failure = failure_of(path[-1]) if path else None
        smaller = models.state.context > SMALLEST_CONTEXT
        self._found(Contexts(smaller))
        is_full = bool(path) and path[-1].facts.get("reason") == "full"
        if is_full or (failure is not None and failure.code == "context-full"):
            needed = failure.values.get("needed", 0) if failure is not None else 0
            models.find_larger_context(
                needed, lambda larger, price: self._found(replace(self._contexts, larger=larger, price=price))
            )
            self._find_start(path if is_full else path[:-1], needed)

    def _find_start(self, path: Sequence[Message], needed: int) -> None:
        """Find out from which question on the open chat would fit."""
        chats = self._services.chats
        shortener, leaf = self._shortener(), chats.list.current.leaf

        def begin(start: str) -> None:
            if chats.list.current.leaf == leaf:
                self._found(replace(self._contexts, start=start))

        self._services.engine.plan(lambda _: shortener.start(path, needed), begin, lambda _: None)

    def _shortener(self) -> Shortener:
        from desktop_app.chat.request import options_for
        from desktop_app.chat.shortening import Shortener

        services = self._services
        options = options_for(services.models.settings_in_use, services.chats.list.current)
        return Shortener(services.engine.engine, options, services.models.state.context)

    def _shorten(self, message: str, summary: str | None = None) -> None:
        chats = self._services.chats
        chats.shorten(self._contexts.start, summary)
        chats.ask_again(message)

    def _summarise(self, message: str) -> None:
        """Have the model summarise what is to be left out, and go on then."""
        chats = self._services.chats
        self._stop_summary = stopped = threading.Event()
        shortener, start, leaf = self._shortener(), self._contexts.start, chats.list.current.leaf
        path = chats.list.tree.path(chats.list.tree[message].parent)

        def is_wanted() -> bool:
            if stopped is self._stop_summary:
                self._notices.withdraw(_SUMMARY)
            return not stopped.is_set() and chats.list.current.leaf == leaf and not chats.replies.busy_here

        def done(summary: str) -> None:
            if is_wanted():
                self._shorten(message, summary)

        def failed(error: Exception) -> None:
            if is_wanted():
                self._notices.say(translated(error), topic=_SUMMARY)

        self._notices.say(
            self.tr("The model is summarising the oldest turns…"),
            (self.tr("Stop"), stopped.set),
            kind="plain",
            topic=_SUMMARY,
        )
        self._services.engine.plan(lambda _: shortener.summary(path, start, stopped), done, failed)

    def _answer_with_larger_context(self, message: str) -> None:
        self._services.models.reload_with(LoadOverrides(self._contexts.larger))
        self._services.chats.regenerate(message)

    def use_smaller_context(self) -> None:
        """Load the model with half of its context."""
        models = self._services.models
        if models.state.context:
            models.reload_with_context(models.state.context // 2)
            self._services.save_settings()
        else:
            models.reload()  # a recurrent model has no context to shorten

    def _follow(self, state: EngineState) -> None:
        self.model_changed(state)
        if state.kind == "ready":
            self.offer_contexts()

    def _found(self, contexts: Contexts) -> None:
        self._contexts = contexts
        self.contexts_found.emit(contexts)

    def _load_failed(self, state: EngineState, error: ZhiyinError) -> None:
        from desktop_app.chat.failure import failure_facts

        path = self._services.chats.list.path
        if not state.refused and path and path[-1].facts == failure_facts(error):
            return  # the chat says it already
        actions = [(self.tr("Try again"), self._services.models.reload)]
        if state.refused:
            actions = self._loads_that_fit(state)
        elif error.code in ("out-of-memory", "engine-died") and state.context > SMALLEST_CONTEXT:
            actions.append((self.tr("Use a smaller context"), self.use_smaller_context))
        reason = translated(error)
        if error.code != "engine-died":
            reason = self.tr("The model could not be loaded. {reason}").format(reason=reason)
        self._notices.say(reason, *actions, topic="model")

    def _loads_that_fit(self, state: EngineState) -> list[Action]:
        from desktop_app.ui.models.fit import fix_words

        models = self._services.models
        fixes = [option for option in state.planned.plan.alternatives if not option.shortfall] if state.planned else []
        choices = [(fix_words(fix), LoadOverrides(fix.context, fix.kv_type)) for fix in fixes]
        choices.append((self.tr("Load it all the same"), LoadOverrides(insist=True)))
        return [(words, partial(models.reload_with, overrides)) for words, overrides in choices]
