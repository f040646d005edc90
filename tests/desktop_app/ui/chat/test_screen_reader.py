"""What a screen reader is told of a chat: who wrote each message, in the order of reading."""

from __future__ import annotations

from PySide6.QtGui import QAccessible, QAccessibleInterface

from desktop_app.chat.conversation import Conversation, Message
from desktop_app.chat.history import History
from desktop_app.paths import database_file
from desktop_app.ui.chat.message_widget import Versions
from desktop_app.ui.chat.reply_widget import ReplyWidget
from tests.desktop_app.ui.conftest import OpenWindow
from tests.support.window import Person


def names(at: QAccessibleInterface) -> list[str]:
    own = [at.text(QAccessible.Text.Name)] if at.text(QAccessible.Text.Name).endswith(" wrote") else []
    return own + [name for i in range(at.childCount()) for name in names(at.child(i))]


def test_who_wrote_what_in_the_order_of_reading(open_window: OpenWindow, data_home: object) -> None:
    history = History(database_file())
    chat, parent = Conversation(title="Long"), None
    history.save_conversation(chat)
    for number in range(6):
        role = "assistant" if number % 2 else "user"
        message = Message(chat.id, parent, role, f"{number}", model=f"Model {number}" if number % 2 else "")  # type: ignore[arg-type]
        history.save_message(message)
        parent = message.id
    history.close()
    person = open_window()
    person.wait(lambda: person.titles == ["Long"])
    person.services.chats.open(chat.id)
    person.wait(lambda: len(person.messages) == 6)
    assert len(person.widgets) == 6
    told = names(QAccessible.queryAccessibleInterface(person.window._view))
    assert told == ["You wrote", "Model 1 wrote", "You wrote", "Model 3 wrote", "You wrote", "Model 5 wrote"]


def test_no_message_is_a_window_of_its_own_while_it_is_made(person: Person) -> None:
    person.window.activateWindow()
    person.wait(person.window.isActiveWindow)
    person.ask("Name a colour.")
    assert person.window.isActiveWindow(), "another window had the keyboard meanwhile"
    widget = ReplyWidget(Message("c", None, "assistant", "Tea."), Versions())
    assert not widget.isVisible()
