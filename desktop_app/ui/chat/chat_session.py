"""Actions on the open chat: send, edit, ask again, branch, delete. No widgets here."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from PySide6.QtCore import QObject

from desktop_app.chat.attachment import Attachment, Draft
from desktop_app.chat.conversation import Conversation, Message, MessageTree, title_from
from desktop_app.chat.reasoning import THINKING_SECONDS, ReasoningClock
from desktop_app.library.installed_model import InstalledModel
from desktop_app.paths import documents_file
from desktop_app.settings import Settings
from desktop_app.ui.bridges.assistant_bridge import AssistantBridge
from desktop_app.ui.bridges.engine_bridge import EngineBridge
from desktop_app.ui.bridges.grounding_bridge import GroundingBridge
from desktop_app.ui.bridges.history_bridge import HistoryBridge
from desktop_app.ui.chat.chats import Chats
from desktop_app.ui.chat.replies import Replies, RunningReply
from desktop_app.ui.models.model_session import ModelSession


class ChatSession(QObject):
    """The open chat, the list that it is on, and the replies that are being written."""

    def __init__(
        self,
        engine: EngineBridge,
        models: ModelSession,
        history: HistoryBridge,
        settings: Settings,
        assistants: AssistantBridge,
        parent: QObject | None = None,
    ) -> None:
        """Begin with a new chat."""
        super().__init__(parent)
        self._history, self._assistants = history, assistants
        self._grounding = GroundingBridge(engine, self)
        self.list = Chats(history, settings, self)
        self.replies = Replies(engine, models, history, settings, assistants, self.list, self._grounding, self)

    def versions(self, message: Message) -> list[Message]:
        """Return the versions of a message, itself included."""
        return self.list.tree.siblings(message.id)

    def new(self) -> None:
        """Open an empty chat, for which nothing is chosen; it is stored with its first message."""
        chosen = self.list.choose_nothing()
        if len(self.list.tree) or chosen:
            self._show(self.list.fresh(), MessageTree())

    def open(self, conversation: str, message: str = "") -> None:
        """Open a stored chat, at the branch of a message if one is named."""
        if conversation == self.list.current.id:
            self._show_branch_of(message)
            return
        if conversation not in self.list:
            return
        reply = self.replies.of(conversation)
        if reply is not None:
            self._show(self.list[conversation], reply.tree)
            return

        def show(messages: list[Message]) -> None:
            if conversation in self.list:
                tree = MessageTree(messages)
                stored = self.list[conversation]
                leaf = tree.newest_leaf(stored.leaf if stored.leaf in tree else None)  # type: ignore[operator]
                self._show(replace(stored, leaf=leaf), tree)
                self._show_branch_of(message)

        self._history.messages(conversation, show)

    def _show_branch_of(self, message: str) -> None:
        if message in self.list.tree and message not in {one.id for one in self.list.path}:
            self.choose_version(message)

    def export(
        self,
        conversation: str,
        path: Path,
        speakers: tuple[str, str],
        on_done: Callable[[None], None],
        on_failed: Callable[[Exception], None],
    ) -> None:
        """Write the shown branch of a chat into a file, of the kind that its ending says."""
        self.replies.keep()
        self._history.export(self.list[conversation], path, speakers, on_done, on_failed)

    def delete(self, conversation: str) -> None:
        """Put a chat into the trash; `restore` brings it back."""
        self.replies.stop(conversation)
        self._assistants.forget(conversation)
        self.list.delete(conversation)
        if documents_file().is_file():
            self._grounding.forget_chats(frozenset(chat.id for chat in self.list.conversations))
        if conversation == self.list.current.id:
            self._show(self.list.fresh(), MessageTree())
        self.list.listed.emit()

    def restore(self, conversation: str) -> None:
        """Undo `delete`, and open the chat."""
        deleted = self.list.deleted(conversation)
        if deleted is not None:
            self.list.bring_back(deleted)
            self.open(conversation)

    def send(self, text: str, attachments: Sequence[Attachment] = ()) -> None:
        """Send a message and ask for a reply."""
        self._ask(Draft(text, tuple(attachments)), self.list.current.leaf)

    def edit(self, message: str, changed: Draft) -> None:
        """Send another version of a question; the old one stays as a branch with what is attached to it."""
        attachments = tuple(one.copy() for one in changed.attachments)
        self._ask(replace(changed, attachments=attachments), self.list.tree[message].parent)

    def regenerate(self, message: str, model: InstalledModel | None = None) -> None:
        """Ask for another version of a reply; the old one stays as a branch.

        Args:
            message: the reply.
            model: that which answers; the chat goes on with it. None: the chat's.
        """
        if not self.replies.busy_here:
            question, choices = self.list.tree[message].parent, self.list.current.choices
            if model is not None:
                choices = replace(choices, model=model.identifier)
            self.list.store(replace(self.list.current, leaf=question, choices=choices))
            self.list.opened.emit()
            self.replies.begin()

    @property
    def can_go_on(self) -> bool:
        """The open chat ends in the middle of an assistant's work."""
        from desktop_app.chat.steps import is_unfinished, resumable

        return (
            not self.replies.busy_here and is_unfinished(self.list.path) and resumable(self.list.path) == self.list.path
        )

    def go_on(self) -> None:
        """Go on where an assistant's work was cut off; what was begun is not done again."""
        from desktop_app.chat.steps import open_calls

        if self.can_go_on:
            last = self.list.path[-1]
            pending = open_calls(self.list.path)
            if pending is None or not pending[1]:
                self.replies.begin()
            else:
                self.replies.wait_for_turn(RunningReply(last, self.list.tree, resumes=True))

    def continue_reply(self, message: str) -> None:
        """Let the last reply go on from where it was stopped or cut off."""
        from desktop_app.chat.changes import can_go_on

        reply = self.list.tree[message]
        if not self.replies.busy_here and message == self.list.current.leaf and can_go_on(reply):
            clock = ReasoningClock(reply.content, float(reply.facts.get(THINKING_SECONDS, 0)))
            message_again = replace(reply, state="streaming", facts=clock.facts)
            self.list.tree.put(message_again)
            self.list.store(replace(self.list.current, updated=time.time()))
            self._history.save_message(message_again)
            self.list.opened.emit()
            self.replies.wait_for_turn(RunningReply(message_again, self.list.tree, begun=reply.content, clock=clock))

    def branch(self, message: str) -> None:
        """Go on from a message in a chat of its own, which begins like this one."""
        from desktop_app.chat.changes import branched

        self.take(*branched(self.list[self.list.current.id], self.list.tree.path(message)))

    def take(self, chat: Conversation, messages: Sequence[Message]) -> None:
        """Store a chat that was made elsewhere, and open it."""
        self.list.take(chat, messages)
        self._show(chat, MessageTree(messages))

    def shorten(self, start: str, summary: str | None = None) -> None:
        """Let the model read the open chat from a question on; `summary`: of what is before it, None: what there was."""
        self.list.choose(reads_from=start, summary=self.list.current.choices.summary if summary is None else summary)

    def read_all(self) -> None:
        """Let the model read all of the open chat again."""
        self.list.choose(reads_from="", summary="")

    def ask_again(self, message: str) -> None:
        """Let a reply that did not fit go on where it ended, or be written anew."""
        from desktop_app.chat.changes import can_go_on

        if message == self.list.current.leaf and can_go_on(self.list.tree[message]):
            self.continue_reply(message)
        else:
            self.regenerate(message)

    def move_on(self, message: str, start: str) -> None:
        """Ask for a reply again, in a new chat that begins with a question of this one."""
        from desktop_app.chat.changes import branched
        from desktop_app.chat.shortening import moved

        if not self.replies.busy_here:
            path = moved(self.list.tree.path(self.list.tree[message].parent), start)
            self.take(*branched(self.list[self.list.current.id], path))
            self.replies.begin()

    def remove(self, message: str) -> Callable[[], None]:
        """Delete one message; what follows it follows the one before. Return what undoes it."""
        from desktop_app.chat.changes import leaf_without, without

        chat, before, removed = self.list.current.id, list(self.list.tree), self.list.tree[message]
        was_last = self.list.current.leaf == message
        self._replace_messages(chat, without(before, message), leaf_without(before, self.list.current.leaf, message))
        self._history.remove_message(removed)
        leaf = self.list.current.leaf
        return lambda: self._put_back(removed, before, leaf if was_last else None)

    def _put_back(self, removed: Message, before: list[Message], leaf: str | None) -> None:
        """Undo the removal of a message; it is the last again if the chat ends still at `leaf`, None: it was not the last."""
        chat = removed.conversation
        if chat not in self.list:
            return
        self._history.put_back(removed, [message.id for message in before if message.parent == removed.id])
        if leaf is not None and self.list[chat].leaf == leaf:
            self.list.change(chat, leaf=removed.id)
        if chat != self.list.current.id:
            self.open(chat)
        else:
            known = {message.id for message in before}
            newer = [message for message in self.list.tree if message.id not in known]
            self._replace_messages(chat, [*before, *newer], self.list.current.leaf)

    def _replace_messages(self, chat: str, messages: list[Message], leaf: str | None) -> None:
        self.list.tree = MessageTree(messages)
        self.list.store(replace(self.list[chat], leaf=leaf))
        self.list.opened.emit()

    def choose_version(self, message: str) -> None:
        """Show the newest branch that goes through a message."""
        if not self.replies.busy_here:
            self.list.store(replace(self.list.current, leaf=self.list.tree.newest_leaf(message)))
            self.list.opened.emit()

    def _show(self, conversation: Conversation, tree: MessageTree) -> None:
        self.list.current, self.list.tree = conversation, tree
        self.replies.see(conversation.id)
        self.list.opened.emit()
        self.replies.busy_changed.emit(self.replies.busy_here)
        self.list.listed.emit()

    def _ask(self, draft: Draft, parent: str | None) -> None:
        if self.replies.busy_here or draft.is_blank:
            return
        if self.list.current.id not in self.list:
            self.list.renew()
        question = Message(self.list.current.id, parent, "user", draft.text.strip(), attachments=draft.attachments)
        is_branch = parent != self.list.current.leaf
        title = self.list.current.title or title_from(draft)
        self.list.tree.put(question)
        sent = replace(self.list.current, title=title, leaf=question.id, updated=time.time(), draft="", attachments=())
        self.list.note(sent)
        self._history.save_sent(sent, question)
        if is_branch:
            self.list.opened.emit()
        else:
            self.list.added.emit(question)
        self.replies.begin()

    def close(self) -> None:
        """Store the reply that is being written as far as it got."""
        self.replies.close()
        self._grounding.close()
