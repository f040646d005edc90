"""The open chat: sending, streaming, stopping, branches; every step is stored as it happens. No widgets here.

One reply is written at a time. Those that other chats ask for meanwhile wait in their order.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from PySide6.QtCore import QObject, QTimer, Signal

from desktop_app.chat.attachment import Attachment, Draft
from desktop_app.chat.choices import Choices
from desktop_app.chat.conversation import Conversation, Message, MessageTree, title_from
from desktop_app.chat.reasoning import THINKING_SECONDS, ThoughtClock
from desktop_app.chat.tool_choice import ToolChoice
from desktop_app.library.installed_model import InstalledModel
from desktop_app.paths import chat_state_file, documents_file
from desktop_app.settings import Settings
from desktop_app.ui.bridges.assistant_bridge import AssistantBridge, Hearing, Run, Work
from desktop_app.ui.bridges.engine_bridge import Call, EngineBridge
from desktop_app.ui.bridges.grounding_bridge import GroundingBridge
from desktop_app.ui.bridges.history_bridge import HistoryBridge
from desktop_app.ui.models.model_session import EngineState, ModelSession
from models.system_errors import as_zhiyin_error

if TYPE_CHECKING:
    from desktop_app.assistant.approvals import Asked, Decision
    from desktop_app.chat.grounding import Grounding
    from desktop_app.chat.history import Deleted, Found
    from desktop_app.chat.imports.work import Imported
    from desktop_app.documents.fitting import Chat
    from desktop_app.documents.service import Progress
    from desktop_app.engine.protocol import Update
    from desktop_app.engine.results import Reply

Activity = Literal["writing", "waiting", "unseen"]
"""A chat's reply is being written, or waits for another chat's, or was written while another chat was open."""

_SAVE_MS = 1000


@dataclass
class _Reply:
    """A reply being written."""

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
    clock: ThoughtClock = field(default_factory=ThoughtClock)
    """How long it reasons."""

    @property
    def text(self) -> str:
        if len(self.pieces) > 1:
            self.pieces = ["".join(self.pieces)]
        return self.begun + (self.pieces[0] if self.pieces else "")


class ChatSession(QObject):
    """All conversations and the one that is open."""

    listed = Signal()
    """The list of conversations changed."""
    opened = Signal()
    """Another branch or another chat is shown: `path` is new."""
    added = Signal(Message)
    """A message follows the last one of the path."""
    grown = Signal(str, str)
    """A message's id and its whole text so far."""
    thought = Signal(str, float)
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
    draft_found = Signal(Draft)
    """What was written in the new chat before the application ended, and not sent."""

    def __init__(
        self,
        engine: EngineBridge,
        models: ModelSession,
        history: HistoryBridge,
        settings: Settings,
        assistants: AssistantBridge,
        parent: QObject | None = None,
    ) -> None:
        """Begin with a new chat and read the list of old ones."""
        super().__init__(parent)
        self._engine, self._models, self._history, self._settings = engine, models, history, settings
        self._grounding = GroundingBridge(engine, self)
        self._assistants = assistants
        self._all: dict[str, Conversation] = {}
        self._deleted: dict[str, Conversation] = {}
        self._reply: _Reply | None = None
        self._waiting: list[_Reply] = []
        self._unseen: set[str] = set()
        """Chats with a new reply that nobody has looked at."""
        self.model_of: Callable[[Conversation], InstalledModel | None] = lambda _: None
        """Finds the model that a chat remembers; None: it remembers none, or that is here no more."""
        self._saver = QTimer(self, interval=_SAVE_MS)
        self._saver.timeout.connect(self.keep)
        self._new = Conversation()
        self.current = self._fresh()
        self.tree = MessageTree()
        models.changed.connect(self._model_changed)
        history.conversations(self._list)

    @property
    def conversations(self) -> list[Conversation]:
        """All conversations, the last used first."""
        return sorted(self._all.values(), key=lambda conversation: conversation.updated, reverse=True)

    @property
    def path(self) -> list[Message]:
        """The messages that are shown."""
        return self.tree.path(self.current.leaf)

    @property
    def busy(self) -> bool:
        """A reply is being written, here or in another chat."""
        return self._reply is not None

    @property
    def busy_here(self) -> bool:
        """The open chat has a reply that is being written or waits."""
        return self._reply_in(self.current.id) is not None

    @property
    def activity(self) -> dict[str, Activity]:
        """What happens in chats of the list, by their ids."""
        found: dict[str, Activity] = dict.fromkeys(self._unseen, "unseen")
        found |= dict.fromkeys((reply.message.conversation for reply in self._waiting), "waiting")
        if self._reply is not None:
            found[self._reply.message.conversation] = "writing"
        return found

    def waits_for(self, message: Message) -> str | None:
        """Return the title of the chat whose reply comes before this one; None: it does not wait."""
        if self._reply is None or all(reply.message.id != message.id for reply in self._waiting):
            return None
        return self._all[self._reply.message.conversation].title

    def text_of(self, message: Message) -> str:
        """Return a message's text, also while it is being written."""
        if self._reply is not None and self._reply.message.id == message.id and message.state == "streaming":
            return self._reply.text
        return message.content

    def versions(self, message: Message) -> list[Message]:
        """Return the versions of a message, itself included."""
        return self.tree.siblings(message.id)

    def new(self) -> None:
        """Open an empty chat, for which nothing is chosen; it is stored with its first message."""
        chosen, self._new = self._new.choices != Choices(), replace(self._new, choices=Choices())
        if len(self.tree) or chosen:
            self._show(self._fresh(), MessageTree())

    def open(self, conversation: str, message: str = "") -> None:
        """Open a stored chat, at the branch of a message if one is named."""
        if conversation == self.current.id:
            self._show_branch_of(message)
            return
        if conversation not in self._all:
            return
        reply = self._reply_in(conversation)
        if reply is not None:
            self._show(self._all[conversation], reply.tree)
            return

        def show(messages: list[Message]) -> None:
            if conversation in self._all:
                tree = MessageTree(messages)
                stored = self._all[conversation]
                leaf = tree.newest_leaf(stored.leaf if stored.leaf in tree else None)  # type: ignore[operator]
                self._show(replace(stored, leaf=leaf), tree)
                self._show_branch_of(message)

        self._history.messages(conversation, show)

    def _show_branch_of(self, message: str) -> None:
        if message in self.tree and message not in {one.id for one in self.path}:
            self.choose_version(message)

    def search(self, words: str, on_found: Callable[[list[Found]], None]) -> None:
        """Find the chats in which a text occurs."""
        self._history.search(words, on_found)

    def title_of(self, conversation: str) -> str:
        """Return a chat's title as the list shows it."""
        return self._all[conversation].title

    def export(
        self,
        conversation: str,
        path: Path,
        speakers: tuple[str, str],
        on_done: Callable[[None], None],
        on_failed: Callable[[Exception], None],
    ) -> None:
        """Write the shown branch of a chat into a file, of the kind that its ending says."""
        self.keep()
        self._history.export(self._all[conversation], path, speakers, on_done, on_failed)

    def add_from(
        self,
        path: Path,
        on_part: Callable[[float], None],
        on_done: Callable[[Imported], None],
        on_failed: Callable[[Exception], None],
    ) -> None:
        """Import the chats of another program, and list them."""

        def added(imported: Imported) -> None:
            self._history.conversations(self._list)
            on_done(imported)

        self._history.add_from(path, on_part, added, on_failed)

    def rename(self, conversation: str, title: str) -> None:
        """Give a chat another title, which no model replaces."""
        if title.strip():
            self.change(conversation, title=title.strip(), named="user")

    def change(self, conversation: str, **fields: Any) -> None:
        """Change what a chat of the list is: its title, its folder, what was chosen for it, whether it is pinned."""
        self._store(replace(self._all[conversation], **fields))

    def choose(self, **choices: Any) -> None:
        """Change some of what was chosen for the open chat alone (`Choices`)."""
        self.choose_all(replace(self.current.choices, **choices))

    def choose_all(self, choices: Choices) -> None:
        """Change what was chosen for the open chat alone; a new one is stored with its first message."""
        self.current = replace(self.current, choices=choices)
        if self.current.id in self._all:
            self._store(self.current)
        else:
            self._new = self.current

    def delete(self, conversation: str) -> None:
        """Put a chat into the trash; `restore` brings it back."""
        self.stop(conversation)
        self._assistants.forget(conversation)
        self._deleted[conversation] = self._all.pop(conversation)
        self._history.delete(conversation)
        if documents_file().is_file():
            self._grounding.forget_chats(frozenset(self._all))
        if conversation == self.current.id:
            self._show(self._fresh(), MessageTree())
        self.listed.emit()

    def restore(self, conversation: str) -> None:
        """Undo `delete`, and open the chat."""
        if conversation in self._deleted:
            self.bring_back(self._deleted[conversation])
            self.open(conversation)

    def bring_back(self, chat: Conversation) -> None:
        """Put a chat of the trash on the list again."""
        self._deleted.pop(chat.id, None)
        self._all[chat.id] = chat
        self._history.restore(chat.id)
        self.listed.emit()

    def trash(self, on_done: Callable[[list[Deleted]], None]) -> None:
        """Find out which chats are in the trash, the last one first."""
        self._history.trash(on_done)

    def forget(self, conversations: Sequence[str]) -> None:
        """Delete chats of the trash for good."""
        for conversation in conversations:
            self._deleted.pop(conversation, None)
        self._history.forget(conversations)

    def send(self, text: str, attachments: Sequence[Attachment] = ()) -> None:
        """Send a message and ask for a reply."""
        self._ask(Draft(text, tuple(attachments)), self.current.leaf)

    def edit(self, message: str, changed: Draft) -> None:
        """Send another version of a question; the old one stays as a branch with what is attached to it."""
        attachments = tuple(one.copy() for one in changed.attachments)
        self._ask(replace(changed, attachments=attachments), self.tree[message].parent)

    def regenerate(self, message: str, model: InstalledModel | None = None) -> None:
        """Ask for another version of a reply; the old one stays as a branch.

        Args:
            message: the reply.
            model: that which answers; the chat goes on with it. None: the chat's.
        """
        if not self.busy_here:
            question, choices = self.tree[message].parent, self.current.choices
            if model is not None:
                choices = replace(choices, model=model.identifier)
            self._store(replace(self.current, leaf=question, choices=choices))
            self.opened.emit()
            self._begin_reply()

    @property
    def can_go_on(self) -> bool:
        """The open chat ends in the middle of an assistant's work."""
        from desktop_app.chat.steps import is_unfinished, resumable

        return not self.busy_here and is_unfinished(self.path) and resumable(self.path) == self.path

    def go_on(self) -> None:
        """Go on where an assistant's work was cut off; what was begun is not done again."""
        from desktop_app.chat.steps import open_calls

        if self.can_go_on:
            last = self.path[-1]
            pending = open_calls(self.path)
            if pending is None or not pending[1]:
                self._begin_reply()
            else:
                self._wait_for_turn(_Reply(last, self.tree, resumes=True))

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

    def set_tools(self, choice: ToolChoice) -> None:
        """Choose the tools that the open chat has on."""
        self._choose(tools=choice)

    def continue_reply(self, message: str) -> None:
        """Let the last reply go on from where it was stopped or cut off."""
        from desktop_app.chat.changes import can_go_on

        reply = self.tree[message]
        if not self.busy_here and message == self.current.leaf and can_go_on(reply):
            clock = ThoughtClock(reply.content, float(reply.facts.get(THINKING_SECONDS, 0)))
            message_again = replace(reply, state="streaming", facts=clock.facts)
            self.tree.put(message_again)
            self._store(replace(self.current, updated=time.time()))
            self._history.save_message(message_again)
            self.opened.emit()
            self._wait_for_turn(_Reply(message_again, self.tree, begun=reply.content, clock=clock))

    def branch(self, message: str) -> None:
        """Go on from a message in a chat of its own, which begins like this one."""
        from desktop_app.chat.changes import branched

        self.take(*branched(self._all[self.current.id], self.tree.path(message)))

    def take(self, chat: Conversation, messages: Sequence[Message]) -> None:
        """Store a chat that was made elsewhere, and open it."""
        self._history.add(chat, messages)
        self._all[chat.id] = chat
        self._show(chat, MessageTree(messages))

    def shorten(self, start: str, summary: str | None = None) -> None:
        """Let the model read the open chat from a question on; `summary`: of what is before it, None: what there was."""
        self.choose(reads_from=start, summary=self.current.choices.summary if summary is None else summary)

    def read_all(self) -> None:
        """Let the model read all of the open chat again."""
        self.choose(reads_from="", summary="")

    def ask_again(self, message: str) -> None:
        """Let a reply that did not fit go on where it ended, or be written anew."""
        from desktop_app.chat.changes import can_go_on

        if message == self.current.leaf and can_go_on(self.tree[message]):
            self.continue_reply(message)
        else:
            self.regenerate(message)

    def move_on(self, message: str, start: str) -> None:
        """Ask for a reply again, in a new chat that begins with a question of this one."""
        from desktop_app.chat.changes import branched
        from desktop_app.chat.shortening import moved

        if not self.busy_here:
            path = moved(self.tree.path(self.tree[message].parent), start)
            self.take(*branched(self._all[self.current.id], path))
            self._begin_reply()

    def remove(self, message: str) -> Callable[[], None]:
        """Delete one message; what follows it follows the one before. Return what undoes it."""
        from desktop_app.chat.changes import leaf_without, without

        chat, before, removed = self.current.id, list(self.tree), self.tree[message]
        was_last = self.current.leaf == message
        self._replace_messages(chat, without(before, message), leaf_without(before, self.current.leaf, message))
        self._history.remove_message(removed)
        leaf = self.current.leaf
        return lambda: self._put_back(removed, before, leaf if was_last else None)

    def _put_back(self, removed: Message, before: list[Message], leaf: str | None) -> None:
        """Undo the removal of a message; it is the last again if the chat ends still at `leaf`, None: it was not the last."""
        chat = removed.conversation
        if chat not in self._all:
            return
        self._history.put_back(removed, [message.id for message in before if message.parent == removed.id])
        if leaf is not None and self._all[chat].leaf == leaf:
            self.change(chat, leaf=removed.id)
        if chat != self.current.id:
            self.open(chat)
        else:
            known = {message.id for message in before}
            newer = [message for message in self.tree if message.id not in known]
            self._replace_messages(chat, [*before, *newer], self.current.leaf)

    def _replace_messages(self, chat: str, messages: list[Message], leaf: str | None) -> None:
        self.tree = MessageTree(messages)
        self._store(replace(self._all[chat], leaf=leaf))
        self.opened.emit()

    def choose_version(self, message: str) -> None:
        """Show the newest branch that goes through a message."""
        if not self.busy_here:
            self._store(replace(self.current, leaf=self.tree.newest_leaf(message)))
            self.opened.emit()

    def stop(self, conversation: str | None = None) -> None:
        """Stop the reply of the open chat, or of another one; what was written of it stays."""
        reply = self._reply_in(conversation or self.current.id)
        if reply is not None:
            reply.stopped = True
            if reply.search is not None:
                reply.search.set()
            if reply.call is not None:
                reply.call.cancel()
            else:
                self._end(reply, "stopped", {})

    def set_thinking(self, thinking: bool) -> None:
        """Choose whether the next replies of the open chat, and of new ones, begin with reasoning."""
        self._settings.thinking = thinking
        self._choose(thinking=thinking)

    def set_effort(self, effort: str) -> None:
        """Choose how long the next replies of the open chat, and of new ones, think."""
        self._settings.effort = effort
        self._choose(effort=effort)

    def set_collections(self, names: Sequence[str]) -> None:
        """Choose the collections of documents that the next replies of the open chat are looked for in."""
        self._choose(collections=tuple(names))

    def save_draft(self, draft: Draft) -> None:
        """Keep what was written and not sent; the new chat's is stored too, though the chat is not on the list."""
        if draft == self.current.unsent:
            return
        self.current = replace(self.current, draft=draft.text, attachments=draft.attachments)
        if self.current.id in self._all:
            self._all[self.current.id] = self.current
        else:
            self._new = self.current
        self._history.save_conversation(self.current)

    def keep(self) -> None:
        """Store the reply that is being written as far as it is now; it goes on."""
        reply = self._reply
        if reply is not None and reply.text and not isinstance(reply.call, Run):  # that one stores by itself
            self._history.save_message(replace(reply.message, content=reply.text))

    def close(self) -> None:
        """Store the reply that is being written as far as it got."""
        reply, self._reply = self._reply, None
        if reply is not None and not isinstance(reply.call, Run) and not reply.resumes:
            self._history.save_message(replace(reply.message, content=reply.text, state="stopped"))
        self._grounding.close()

    def _fresh(self) -> Conversation:
        return replace(self._new, thinking=self._settings.thinking, effort=self._settings.effort)

    def _choose(self, **choice: bool | str | tuple[str, ...] | ToolChoice) -> None:
        """Note a choice for the open chat; a new one is stored with its first message."""
        self.current = replace(self.current, **choice)  # type: ignore[arg-type]  # names of its fields
        if self.current.id in self._all:
            self._store(self.current)

    def _list(self, conversations: list[Conversation]) -> None:
        for conversation in conversations:
            if conversation.begun:
                self._all.setdefault(conversation.id, conversation)
            else:
                self._take_up(conversation)
        self.listed.emit()

    def _take_up(self, unsent: Conversation) -> None:
        """Go on with the new chat of the last time."""
        at_its_beginning = self.current.id == self._new.id
        self._new = unsent
        if at_its_beginning:
            self.current = self._fresh()
            self.draft_found.emit(unsent.unsent)

    def _show(self, conversation: Conversation, tree: MessageTree) -> None:
        self.current, self.tree = conversation, tree
        self._unseen.discard(conversation.id)
        self.opened.emit()
        self.busy_changed.emit(self.busy_here)
        self.listed.emit()

    def _store(self, conversation: Conversation) -> None:
        self._note(conversation)
        self._history.save_conversation(conversation)

    def _note(self, conversation: Conversation) -> None:
        self._all[conversation.id] = conversation
        if conversation.id == self.current.id:
            self.current = conversation
        self.listed.emit()

    def _ask(self, draft: Draft, parent: str | None) -> None:
        if self.busy_here or draft.is_blank:
            return
        if self.current.id not in self._all:
            self._new = Conversation()
        question = Message(self.current.id, parent, "user", draft.text.strip(), attachments=draft.attachments)
        is_branch = parent != self.current.leaf
        title = self.current.title or title_from(draft)
        self.tree.put(question)
        sent = replace(self.current, title=title, leaf=question.id, updated=time.time(), draft="", attachments=())
        self._note(sent)
        self._history.save_sent(sent, question)
        if is_branch:
            self.opened.emit()
        else:
            self.added.emit(question)
        self._begin_reply()

    def _begin_reply(self) -> None:
        message = Message(self.current.id, self.current.leaf, "assistant", "", state="streaming")
        self.tree.put(message)
        self._store(replace(self.current, leaf=message.id, updated=time.time()))
        self._history.save_message(message)
        self._wait_for_turn(_Reply(message, self.tree))

    def _wait_for_turn(self, reply: _Reply) -> None:
        self._waiting.append(reply)
        begun = self._begin_next()
        self.listed.emit()
        if not reply.resumes and not reply.begun:
            self.added.emit(reply.message)
        self.busy_changed.emit(True)
        if begun is not None:
            self._start(begun)

    def _begin_next(self) -> _Reply | None:
        """Give the next reply its turn; None: another one has it, or none waits."""
        if self._reply is not None or not self._waiting:
            return None
        self._reply = self._waiting.pop(0)
        self._saver.start()
        return self._reply

    def _start(self, reply: _Reply) -> None:
        state, wanted = self._models.state, self.model_of(self._all[reply.message.conversation])
        if wanted is not None and (state.model is None or state.model.path != wanted.path):
            self._models.choose(wanted)
        elif state.kind == "ready":
            self._generate(reply)
        elif state.kind == "failed":
            self._models.reload()

    def _reply_in(self, conversation: str) -> _Reply | None:
        """Return the reply of a chat that is being written or waits."""
        replies = (*self._waiting, *([self._reply] if self._reply is not None else []))
        return next((reply for reply in replies if reply.message.conversation == conversation), None)

    def _model_changed(self, state: EngineState) -> None:
        """Ask for the reply that waited for the model; end the one that the old model is writing."""
        from desktop_app.chat.failure import failure_facts

        reply = self._reply
        if reply is None:
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

    def _generate(self, reply: _Reply) -> None:
        from desktop_app.chat.request import instructions, options_for, read_part
        from desktop_app.documents.fitting import Chat

        model = self._models.state.model
        if not reply.resumes:
            reply.message = replace(reply.message, model=model.name if model else "")
        chat = self._all[reply.message.conversation]
        if model is not None and model.identifier != chat.choices.model:
            self.change(chat.id, choices=replace(chat.choices, model=model.identifier))
        options = options_for(self._settings, chat)
        path = reply.tree.path(reply.message.parent)
        asked = Chat(read_part(path, options.reads_from), chat.collections, instructions(path, options))
        info = self._models.state.info
        has_documents = bool(asked.attachments or asked.collections) and not reply.resumes
        if has_documents and info is not None and (info.chat or info.chat_format):
            self._ground(reply, asked, info.context)
        else:
            self._request(reply, None)

    def _ground(self, reply: _Reply, asked: Chat, context: int) -> None:
        """Find out what the model is to read of documents, and then have it answer."""
        from desktop_app.documents.service import Progress

        def is_current() -> bool:
            return reply is self._reply and reply.search is stop

        def found(grounding: Grounding | None) -> None:
            if is_current():
                reply.search = None
                if grounding is not None:
                    reply.message = replace(reply.message, facts=grounding.stored())
                    reply.tree.put(reply.message)
                    if reply.message.conversation == self.current.id:
                        self.grounded.emit(reply.message)
                self._request(reply, grounding)

        def tell(progress: Progress) -> None:
            if is_current() and reply.message.conversation == self.current.id:
                self.searching.emit(reply.message.id, progress)

        def failed(error: Exception) -> None:
            if is_current():
                self._failed(reply, error)

        reply.search = stop = self._grounding.ground(asked, context, tell, found, failed)
        tell(Progress(0.0, ""))

    def _request(self, reply: _Reply, grounding: Grounding | None) -> None:
        from msgspec.structs import replace as with_fields

        from desktop_app.chat.request import options_for, reply_request, report_base_model, report_moved_system
        from desktop_app.chat.steps import is_unfinished

        model = self._models.state.model
        chat = self._all[reply.message.conversation]
        options = options_for(self._settings, chat)
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

    def _act(self, reply: _Reply, work: Work) -> None:
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

    def _step(self, reply: _Reply, message: Message) -> None:
        """Show a step that began or ended."""
        if reply is not self._reply:
            return
        is_new = message.id not in reply.tree
        reply.tree.put(message)
        reply.message, reply.asked, reply.pieces = message, None, []
        here = message.conversation == self.current.id
        if message.conversation not in self._all:
            return  # it was deleted meanwhile
        if is_new:
            reply.begun, reply.clock = "", ThoughtClock()
            chat = replace(self._all[message.conversation], leaf=message.id, updated=time.time())
            self._all[chat.id] = chat
            if here:
                self.current = chat
                self.added.emit(message)
        elif here and message.state != "streaming":
            self.changed.emit(message)

    def _output(self, reply: _Reply, message: Message, text: str) -> None:
        if reply is self._reply and message.conversation == self.current.id:
            self.output.emit(message.id, text)

    def _ask_user(self, reply: _Reply, message: Message, asked: Asked) -> None:
        if reply is self._reply and reply.message.id == message.id:
            reply.asked = asked
            if message.conversation == self.current.id:
                self.asked.emit(message)

    def _worked(self, reply: _Reply) -> None:
        if reply.message.state == "streaming":  # stopped before the first step
            self._end(reply, "stopped", {})
        else:
            self._over(reply, reply.message)

    def _not_done(self, reply: _Reply, error: Exception) -> None:
        """Say why an assistant's work ended; the loop stored that where it could."""
        from desktop_app.chat.failure import failure_facts

        if reply is not self._reply:
            return
        message = reply.message
        if message.state == "streaming":
            message = replace(message, state="failed", facts={**message.facts, **failure_facts(as_zhiyin_error(error))})
            self._history.save_message(message)
        self._over(reply, message)

    def _update(self, reply: _Reply, update: Update) -> None:
        from desktop_app.engine.protocol import Text

        if reply is not self._reply:
            return
        if isinstance(update, Text):
            reply.pieces.append(update.text)
            answers = reply.clock.hear(update.text, time.monotonic())
            if answers and reply.message.conversation == self.current.id:
                self.thought.emit(reply.message.id, reply.clock.seconds)
        if reply.message.conversation == self.current.id:
            if isinstance(update, Text):
                self.grown.emit(reply.message.id, reply.text)
            else:
                self.reading.emit(reply.message.id, update.part)

    def _done(self, reply: _Reply, result: Reply) -> None:
        from msgspec.structs import asdict

        if reply is self._reply:
            facts = {key: value for key, value in asdict(result).items() if key != "text"}
            facts["context"] = self._models.state.context
            reply.pieces = [result.text.removeprefix(reply.begun)]
            self._end(reply, "stopped" if result.reason == "cancelled" else "done", facts)

    def _failed(self, reply: _Reply, error: Exception) -> None:
        from desktop_app.chat.failure import failure_facts

        if reply is not self._reply:
            return
        self._end(reply, "failed", failure_facts(as_zhiyin_error(error)))

    def _end(self, reply: _Reply, state: Any, facts: dict[str, Any]) -> None:
        message = reply.message
        if not reply.resumes:
            message = replace(message, content=reply.text, state=state, facts=message.facts | facts | reply.clock.facts)
            self._history.save_message(message)
        self._over(reply, message)

    def _over(self, reply: _Reply, message: Message) -> None:
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
        if message.conversation == self.current.id:
            self.ended.emit(message)
        elif message.conversation in self._all:
            self._unseen.add(message.conversation)
        begun = self._begin_next()
        self.listed.emit()
        if begun is not None:
            self.turn_came.emit(begun.message.id)
            self._start(begun)
