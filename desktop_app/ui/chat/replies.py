"""The replies of all chats: one is written at a time, the others wait in their order; every step is stored as it happens."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from PySide6.QtCore import QObject, QTimer, Signal

from desktop_app.chat.conversation import Conversation, Message, MessageTree
from desktop_app.chat.reasoning import ReasoningClock
from desktop_app.library.installed_model import InstalledModel
from desktop_app.paths import chat_state_file
from desktop_app.settings import Settings
from desktop_app.ui.bridges.assistant_bridge import AssistantBridge, Hearing, Run, Work
from desktop_app.ui.bridges.engine_bridge import Call, EngineBridge
from desktop_app.ui.bridges.grounding_bridge import GroundingBridge
from desktop_app.ui.bridges.history_bridge import HistoryBridge
from desktop_app.ui.chat.chats import Chats
from desktop_app.ui.models.model_session import EngineState, ModelSession
from models.system_errors import as_zhiyin_error

if TYPE_CHECKING:
    from desktop_app.assistant.approvals import Asked, Decision
    from desktop_app.chat.grounding import Grounding
    from desktop_app.documents.fitting import Chat
    from desktop_app.documents.service import Progress
    from desktop_app.engine.protocol import Update
    from desktop_app.engine.results import Reply

Activity = Literal["writing", "waiting", "unseen"]
"""A chat's reply is being written, or waits for another chat's, or was written while another chat was open."""

_SAVE_MS = 1000
_PAUSE_MS = 4
"""Between the turns of the window in which a message is shown, its reply is shown, and a reply is asked for."""


@dataclass
class RunningReply:
    """A reply that is being written, or waits for its turn."""

    message: Message
    tree: MessageTree
    search: threading.Event | None = None
    """Set: what documents say is not looked for any more."""

    call: Call | Run | None = None
    resumes: bool = False
    """It goes on with calls that were not made: the message is the one with these calls, not one that is written."""
    asked: Asked | None = None
    """What the user is to allow, for the message."""
    pieces: list[str] = field(default_factory=list)
    stopped: bool = False
    begun: str = ""
    """What was written of it before it was stopped."""
    clock: ReasoningClock = field(default_factory=ReasoningClock)
    """How long it reasons."""

    @property
    def text(self) -> str:
        """The text so far."""
        if len(self.pieces) > 1:
            self.pieces = ["".join(self.pieces)]
        return self.begun + (self.pieces[0] if self.pieces else "")


class Replies(QObject):
    """The reply that is being written, in whichever chat, and those that wait for it."""

    grown = Signal(str, str)
    """A message's id and its whole text so far."""
    reasoned = Signal(str, float)
    """A reply's id, and how many seconds it reasoned: it answers now."""
    reading = Signal(str, float)
    """A reply's id, and how much of the prompt is read, 0 to 1."""
    searching = Signal(str, object)
    """A reply's id, and how far its documents are prepared, a `Progress`; reading "": they are searched."""
    grounded = Signal(Message)
    """It is known what a reply is grounded in."""
    ended = Signal(Message)
    """A reply is complete, stopped or failed."""
    changed = Signal(Message)
    """A step of an assistant's work ended; it goes on."""
    output = Signal(str, str)
    """A message's id, and what its running tool wrote."""
    asked = Signal(Message)
    """A call waits for the user: see `asked_of`."""
    busy_changed = Signal(bool)
    """Whether the open chat has a reply that is being written or waits; also sent when another chat's reply ended."""
    turn_came = Signal(str)
    """The id of a reply that waited, and begins now."""

    def __init__(
        self,
        engine: EngineBridge,
        models: ModelSession,
        history: HistoryBridge,
        settings: Settings,
        assistants: AssistantBridge,
        chats: Chats,
        grounding: GroundingBridge,
        parent: QObject | None = None,
    ) -> None:
        super().__init__(parent)
        self._engine, self._models, self._history, self._settings = engine, models, history, settings
        self._assistants, self._list, self._grounding = assistants, chats, grounding
        self._reply: RunningReply | None = None
        self._soon: RunningReply | None = None
        """Its question is just being shown: what an engine does that ended before is not its failure."""
        self._waiting: list[RunningReply] = []
        self._unseen: set[str] = set()
        """Chats with a new reply that nobody has looked at."""
        self.model_of: Callable[[Conversation], InstalledModel | None] = lambda _: None
        """Finds the model that a chat remembers; None: it remembers none, or that is here no more."""
        self._saver = QTimer(self, interval=_SAVE_MS)
        self._saver.timeout.connect(self.keep)
        models.changed.connect(self._model_changed)

    @property
    def busy(self) -> bool:
        """A reply is being written, here or in another chat."""
        return self._reply is not None

    @property
    def busy_here(self) -> bool:
        """The open chat has a reply that is being written or waits."""
        return self.of(self._list.current.id) is not None

    @property
    def activity(self) -> dict[str, Activity]:
        """The activity of listed chats by id."""
        activity: dict[str, Activity] = dict.fromkeys(self._unseen, "unseen")
        activity |= dict.fromkeys((reply.message.conversation for reply in self._waiting), "waiting")
        if self._reply is not None:
            activity[self._reply.message.conversation] = "writing"
        return activity

    def of(self, conversation: str) -> RunningReply | None:
        """Return the reply of a chat that is being written or waits."""
        replies = (*self._waiting, *([self._reply] if self._reply is not None else []))
        return next((reply for reply in replies if reply.message.conversation == conversation), None)

    def waits_for(self, message: Message) -> str | None:
        """Return the title of the chat whose reply comes before this one; None: it does not wait."""
        if self._reply is None or all(reply.message.id != message.id for reply in self._waiting):
            return None
        return self._list[self._reply.message.conversation].title

    def text_of(self, message: Message) -> str:
        """Return a message's text, also while it is being written."""
        if self._reply is not None and self._reply.message.id == message.id and message.state == "streaming":
            return self._reply.text
        return message.content

    def asked_of(self, message: str) -> Asked | None:
        """Return what the user is to allow for a message; None: nothing."""
        reply = self._reply
        return reply.asked if reply is not None and reply.message.id == message else None

    def answer(self, message: str, decision: Decision) -> None:
        """Say whether a call may be made."""
        reply = self._reply
        if reply is not None and reply.message.id == message and isinstance(reply.call, Run):
            reply.asked = None
            reply.call.answer(message, decision)

    def stop(self, conversation: str | None = None) -> None:
        """Stop the reply of the open chat, or of another one; what was written of it stays."""
        reply = self.of(conversation or self._list.current.id)
        if reply is not None:
            reply.stopped = True
            if reply.search is not None:
                reply.search.set()
            if reply.call is not None:
                reply.call.cancel()
            else:
                self._end(reply, "stopped", {})

    def keep(self) -> None:
        """Store the reply that is being written as far as it is now; it goes on."""
        reply = self._reply
        if reply is not None and reply.text and not isinstance(reply.call, Run):  # that one stores by itself
            self._history.save_message(replace(reply.message, content=reply.text))

    def see(self, conversation: str) -> None:
        """Note that somebody looks at a chat."""
        self._unseen.discard(conversation)

    def close(self) -> None:
        """Store the reply that is being written as far as it got."""
        reply, self._reply = self._reply, None
        if reply is not None and not isinstance(reply.call, Run) and not reply.resumes:
            self._history.save_message(replace(reply.message, content=reply.text, state="stopped"))

    def begin(self) -> None:
        """Ask for a reply to the last message of the open chat."""
        message = Message(self._list.current.id, self._list.current.leaf, "assistant", "", state="streaming")
        self._list.tree.put(message)
        self._list.store(replace(self._list.current, leaf=message.id, updated=time.time()))
        self._history.save_message(message)
        self.wait_for_turn(RunningReply(message, self._list.tree))

    def wait_for_turn(self, reply: RunningReply) -> None:
        """Write a reply as soon as none is being written before it."""
        self._waiting.append(reply)
        begun = self._begin_next()
        self._list.listed.emit()
        self.busy_changed.emit(True)
        QTimer.singleShot(_PAUSE_MS, self, lambda: self._show(reply))  # the window first shows what was sent
        if begun is not None:
            self._soon = begun
            QTimer.singleShot(2 * _PAUSE_MS, self, lambda: self._start(begun))

    def _show(self, reply: RunningReply) -> None:
        """Show a new reply, unless its chat was opened meanwhile: then it is shown already, as others are."""
        is_new = not reply.resumes and not reply.begun
        if is_new and reply.message.conversation == self._list.current.id and reply.message.id in reply.tree:
            self._list.added.emit(reply.tree[reply.message.id])

    def _begin_next(self) -> RunningReply | None:
        """Give the next reply its turn; None: another one has it, or none waits."""
        if self._reply is not None or not self._waiting:
            return None
        self._reply = self._waiting.pop(0)
        self._saver.start()
        return self._reply

    def _start(self, reply: RunningReply) -> None:
        self._soon = None
        if reply is not self._reply or reply.call is not None or reply.search is not None:
            return  # it was stopped, or a model that became ready has begun it
        state, wanted = self._models.state, self.model_of(self._list[reply.message.conversation])
        if wanted is not None and (state.model is None or state.model.path != wanted.path):
            self._models.choose(wanted)
        elif state.kind == "ready":
            self._generate(reply)
        elif state.kind == "failed":
            self._models.reload()

    def _model_changed(self, state: EngineState) -> None:
        """Ask for the reply that waited for the model; end the one that the old model is writing."""
        from desktop_app.chat.failure import failure_facts

        reply = self._reply
        if reply is None or reply is self._soon:
            return
        if reply.call is not None:
            if state.kind in ("loading", "none") and not reply.stopped:
                self.stop(reply.message.conversation)
        elif state.kind == "ready":
            self._generate(reply)
        elif state.kind == "failed":
            facts = failure_facts(state.error) if state.error is not None else {}
            for waiting in (*self._waiting, reply):
                self._end(waiting, "failed", facts)

    def _generate(self, reply: RunningReply) -> None:
        from desktop_app.chat.request import instructions, options_for, read_part
        from desktop_app.documents.fitting import Chat

        model = self._models.state.model
        if not reply.resumes:
            reply.message = replace(reply.message, model=model.name if model else "")
        chat = self._list[reply.message.conversation]
        if model is not None and model.identifier != chat.choices.model:
            self._list.change(chat.id, choices=replace(chat.choices, model=model.identifier))
        options = options_for(self._models.settings_in_use, chat)
        path = reply.tree.path(reply.message.parent)
        asked = Chat(read_part(path, options.reads_from), chat.collections, instructions(path, options))
        info = self._models.state.info
        has_documents = bool(asked.attachments or asked.collections) and not reply.resumes
        if has_documents and info is not None and (info.chat or info.chat_format):
            self._ground(reply, asked, info.context)
        else:
            self._request(reply, None)

    def _ground(self, reply: RunningReply, asked: Chat, context: int) -> None:
        """Find out what the model is to read of documents, and then have it answer."""
        from desktop_app.documents.service import Progress

        def is_current() -> bool:
            return reply is self._reply and reply.search is stop

        def deliver(grounding: Grounding | None) -> None:
            if is_current():
                reply.search = None
                if grounding is not None:
                    reply.message = replace(reply.message, facts=grounding.stored())
                    reply.tree.put(reply.message)
                    if reply.message.conversation == self._list.current.id:
                        self.grounded.emit(reply.message)
                self._request(reply, grounding)

        def tell(progress: Progress) -> None:
            if is_current() and reply.message.conversation == self._list.current.id:
                self.searching.emit(reply.message.id, progress)

        def failed(error: Exception) -> None:
            if is_current():
                self._failed(reply, error)

        reply.search = stop = self._grounding.ground(asked, context, tell, deliver, failed)
        tell(Progress(0.0, ""))

    def _request(self, reply: RunningReply, grounding: Grounding | None) -> None:
        from msgspec.structs import replace as with_fields

        from desktop_app.chat.request import options_for, reply_request, report_base_model, report_moved_system
        from desktop_app.chat.steps import is_unfinished

        model = self._models.state.model
        chat = self._list[reply.message.conversation]
        options = options_for(self._models.settings_in_use, chat)
        sampling = model.sampling if model else {}
        path = reply.tree.path(reply.message.id if reply.resumes else reply.message.parent)
        if chat.tools or is_unfinished(path):
            begun = None if reply.resumes else reply.message
            info = (self._models.state.context, model.name if model else "", chat_state_file(chat.id))
            self._act(reply, Work(path, chat.tools, options, sampling, *info, begun, grounding))
            return
        request = reply_request(path, options, sampling, chat_state_file(chat.id), grounding)
        request = with_fields(request, begun=reply.begun)
        if self._models.state.info is not None:
            report_base_model(self._models.state.info)
            report_moved_system(self._models.state.info, request.messages)
        reply.call = self._engine.submit(
            request,
            lambda update: self._update(reply, update),
            lambda result: self._done(reply, result),
            lambda error: self._failed(reply, error),
        )

    def _act(self, reply: RunningReply, work: Work) -> None:
        """Let an assistant work: its steps become messages of the chat, which it stores by itself."""
        hearing = Hearing(
            lambda message: self._step(reply, message),
            lambda message, update: self._update(reply, update),
            lambda message, text: self._output(reply, message, text),
            lambda message, asked: self._ask_user(reply, message, asked),
            lambda: self._worked(reply),
            lambda error: self._not_done(reply, error),
        )
        reply.call = self._assistants.begin(work, hearing)
        if reply.stopped:
            reply.call.cancel()

    def _step(self, reply: RunningReply, message: Message) -> None:
        """Show a step that began or ended."""
        if reply is not self._reply:
            return
        is_new = message.id not in reply.tree
        reply.tree.put(message)
        reply.message, reply.asked, reply.pieces = message, None, []
        here = message.conversation == self._list.current.id
        if message.conversation not in self._list:
            return  # it was deleted meanwhile
        if is_new:
            reply.begun, reply.clock = "", ReasoningClock()
            chat = replace(self._list[message.conversation], leaf=message.id, updated=time.time())
            self._list.put(chat)
            if here:
                self._list.added.emit(message)
        elif here and message.state != "streaming":
            self.changed.emit(message)

    def _output(self, reply: RunningReply, message: Message, text: str) -> None:
        if reply is self._reply and message.conversation == self._list.current.id:
            self.output.emit(message.id, text)

    def _ask_user(self, reply: RunningReply, message: Message, asked: Asked) -> None:
        if reply is self._reply and reply.message.id == message.id:
            reply.asked = asked
            if message.conversation == self._list.current.id:
                self.asked.emit(message)

    def _worked(self, reply: RunningReply) -> None:
        if reply.message.state == "streaming":  # stopped before the first step
            self._end(reply, "stopped", {})
        else:
            self._over(reply, reply.message)

    def _not_done(self, reply: RunningReply, error: Exception) -> None:
        """Say why an assistant's work ended; the loop stored that where it could."""
        from desktop_app.chat.failure import failure_facts

        if reply is not self._reply:
            return
        message = reply.message
        if message.state == "streaming":
            message = replace(message, state="failed", facts={**message.facts, **failure_facts(as_zhiyin_error(error))})
            self._history.save_message(message)
        self._over(reply, message)

    def _update(self, reply: RunningReply, update: Update) -> None:
        from desktop_app.engine.protocol import Text

        if reply is not self._reply:
            return
        if isinstance(update, Text):
            reply.pieces.append(update.text)
            answers = reply.clock.hear(update.text, time.monotonic())
            if answers and reply.message.conversation == self._list.current.id:
                self.reasoned.emit(reply.message.id, reply.clock.seconds)
        if reply.message.conversation == self._list.current.id:
            if isinstance(update, Text):
                self.grown.emit(reply.message.id, reply.text)
            else:
                self.reading.emit(reply.message.id, update.part)

    def _done(self, reply: RunningReply, result: Reply) -> None:
        from msgspec.structs import asdict

        if reply is self._reply:
            facts = {key: value for key, value in asdict(result).items() if key != "text"}
            facts["context"] = self._models.state.context
            reply.pieces = [result.text.removeprefix(reply.begun)]
            self._end(reply, "stopped" if result.reason == "cancelled" else "done", facts)

    def _failed(self, reply: RunningReply, error: Exception) -> None:
        from desktop_app.chat.failure import failure_facts

        if reply is not self._reply:
            return
        self._end(reply, "failed", failure_facts(as_zhiyin_error(error)))

    def _end(self, reply: RunningReply, state: Any, facts: dict[str, Any]) -> None:
        message = reply.message
        if not reply.resumes:
            message = replace(message, content=reply.text, state=state, facts=message.facts | facts | reply.clock.facts)
            self._history.save_message(message)
        self._over(reply, message)

    def _over(self, reply: RunningReply, message: Message) -> None:
        """Show how a reply ended, and let the next one begin."""
        if reply is self._reply:
            self._reply = None
            self._saver.stop()
        elif reply in self._waiting:
            self._waiting.remove(reply)
        else:
            return
        reply.tree.put(message)
        self.busy_changed.emit(self.busy_here)
        if message.conversation == self._list.current.id:
            self.ended.emit(message)
        elif message.conversation in self._list:
            self._unseen.add(message.conversation)
        begun = self._begin_next()
        self._list.listed.emit()
        if begun is not None:
            self.turn_came.emit(begun.message.id)
            self._start(begun)
