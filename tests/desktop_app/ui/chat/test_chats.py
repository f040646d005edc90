"""Chats as a user meets them: list, streaming, stopping, branches, restarts. Real engine, real SQLite."""

from __future__ import annotations

import math
from contextlib import closing
from pathlib import Path

from PySide6.QtCore import Qt
from PySide6.QtGui import QPalette
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication, QLineEdit, QListWidget, QListWidgetItem, QPushButton, QToolButton

from desktop_app.chat.conversation import Conversation, Message
from desktop_app.chat.export import as_markdown, file_name
from desktop_app.chat.history import History
from desktop_app.paths import database_file
from desktop_app.ui.chat.chat_view import ChatView
from desktop_app.ui.chat.composer import Composer
from desktop_app.ui.chat.message_edit import MessageEdit
from desktop_app.ui.chat.message_widget import Versions
from desktop_app.ui.chat.reasoning_box import Thought
from desktop_app.ui.chat.reply_widget import ReplyWidget
from desktop_app.ui.chat.sidebar import Sidebar
from desktop_app.ui.chat.welcome import Welcome
from desktop_app.ui.markdown.rich_text import RichText
from desktop_app.ui.markdown.view import MarkdownView
from desktop_app.ui.widgets.notice import Notice
from desktop_app.ui.widgets.theme import DARK, LIGHT
from tests.desktop_app.ui.conftest import OpenWindow
from tests.support.window import LONG, Person, run_events


def item(person: Person, title: str) -> QListWidgetItem:
    [found] = person.find(QListWidget, "chatList").findItems(title, Qt.MatchFlag.MatchExactly)
    return found


def open_chat(person: Person, title: str) -> None:
    chats = person.find(QListWidget, "chatList")
    place = chats.visualItemRect(item(person, title)).center()
    QTest.mouseClick(chats.viewport(), Qt.MouseButton.LeftButton, pos=place)
    person.wait(lambda: person.services.chats.list.current.title == title)


def reply_widget(person: Person) -> ReplyWidget:
    widget = person.widgets[-1]
    assert isinstance(widget, ReplyWidget)
    return widget


def test_a_suggestion_of_the_empty_window_is_answered(person: Person) -> None:
    assert person.find(Welcome).isVisible()
    person.click("Explain why the sky is blue, in two sentences.")
    person.wait(lambda: not person.busy and person.messages)
    assert "sky" in person.messages[-1][1]
    assert not person.find(Welcome).isVisible()
    assert person.titles == ["Explain why the sky is blue, in two sentences."]


def test_a_reply_streams_and_can_be_stopped(open_window: OpenWindow) -> None:
    person = open_window(max_tokens=0)
    person.wait(lambda: person.model_state == "ready")
    person.send(LONG)
    person.wait(lambda: len(person.messages[-1][1]) > 20)
    person.wait(lambda: len(reply_widget(person).findChild(MarkdownView).findChild(RichText).toPlainText()) > 10)
    assert person.busy
    assert "Stop" in person.buttons(person.find(Composer))
    person.click("Stop", person.find(Composer))
    person.wait(lambda: not person.busy)
    stopped = person.messages[-1][1]
    assert len(stopped) > 20
    assert "Stopped." in person.sentences()
    assert "Send" in person.buttons(person.find(Composer))
    run_events(100)
    assert person.messages[-1][1] == stopped


def test_text_typed_while_a_reply_is_written_stays(person: Person) -> None:
    person.send("Hello")
    person.editor.setFocus()
    person.type("next question")
    person.press(Qt.Key.Key_Return)
    assert person.editor.toPlainText() == "next question"
    person.wait(lambda: not person.busy)
    assert [role for role, _ in person.messages] == ["user", "assistant"]


def test_a_reply_is_drawn_at_most_once_a_frame(person: Person) -> None:
    reply = ReplyWidget(Message("c", None, "assistant", "", state="streaming"), Versions())
    drawn: list[str] = []
    view = reply.findChild(MarkdownView)
    view.set_text = drawn.append  # type: ignore[method-assign]
    for length in range(1, 500):
        reply.grow("a" * length)
    assert drawn == []
    person.wait(lambda: drawn)
    assert drawn == ["a" * 499]


def test_another_answer_and_an_edited_question_are_branches(person: Person) -> None:
    person.ask("Name one colour.")
    person.services.settings.temperature = 2.0
    first = person.messages
    person.click("Answer again", reply_widget(person))
    person.wait(lambda: not person.busy)
    assert "2/2" in person.sentences(reply_widget(person))
    person.click("Previous version", reply_widget(person))
    assert person.messages == first
    person.click("Edit", person.widgets[0])
    editor = person.widgets[0].findChild(MessageEdit)
    editor.setPlainText("Name one fruit.")
    QTest.keyClick(editor, Qt.Key.Key_Return)
    person.wait(lambda: not person.busy and person.messages[0][1] == "Name one fruit.")
    assert len(person.messages) == 2
    assert "2/2" in person.sentences(person.widgets[0])
    person.click("Previous version", person.widgets[0])
    assert person.messages[0][1] == "Name one colour."


def test_a_reply_says_how_full_the_context_is_and_gives_the_keyboard_back(person: Person) -> None:
    person.ask("Name one colour.")
    context = person.services.models.state.context
    facts = person.services.chats.list.path[-1].facts
    used = math.ceil((facts["prompt_tokens"] + facts["tokens"]) / context * 100)
    person.wait(lambda: f"context {used} % full" in person.sentences())
    person.window.activateWindow()
    again = next(b for b in reply_widget(person).findChildren(QToolButton) if b.accessibleName() == "Answer again")
    again.setFocus()
    QTest.keyClick(again, Qt.Key.Key_Space)
    person.wait(lambda: not person.busy)
    assert person.editor.hasFocus()


def test_escape_leaves_an_edited_question_as_it_was(person: Person) -> None:
    person.ask("Name one colour.")
    person.click("Edit", person.widgets[0])
    editor = person.widgets[0].findChild(MessageEdit)
    assert editor.isVisible()
    editor.setPlainText("Something else")
    QTest.keyClick(editor, Qt.Key.Key_Escape)
    assert not editor.isVisible()
    assert person.messages[0][1] == "Name one colour."


def test_chats_are_renamed_deleted_restored_and_there_after_a_restart(open_window: OpenWindow) -> None:
    person = open_window(max_tokens=4)
    person.ask("First chat")
    person.window.new_chat()
    person.ask("Second chat")
    assert person.titles == ["Second chat", "First chat"]

    chats = person.find(QListWidget, "chatList")
    chats.setCurrentItem(item(person, "First chat"))
    chats.editItem(item(person, "First chat"))
    line = chats.findChild(QLineEdit)
    assert line.height() > line.fontMetrics().height() + 2  # no letter is cut off
    line.setText("A better title")
    QTest.keyClick(line, Qt.Key.Key_Return)
    person.wait(lambda: "A better title" in person.titles)

    chats.setCurrentItem(item(person, "Second chat"))
    QTest.keyClick(chats, Qt.Key.Key_Delete)
    assert person.titles == ["A better title"]
    assert person.messages == []
    toast = next(notice for notice in person.window.findChildren(Notice) if notice.isVisible())
    person.click("Undo", toast)
    person.wait(lambda: len(person.titles) == 2 and person.messages)
    assert person.messages[0] == ("user", "Second chat")

    person.window.new_chat()
    person.ask("Third chat")
    QTest.keyClick(chats, Qt.Key.Key_Delete)
    before = person.titles
    assert sorted(before) == ["A better title", "Second chat"]
    open_chat(person, "A better title")
    messages = person.messages
    person.close()

    person = open_window()
    person.wait(lambda: person.titles)
    assert person.titles == before
    open_chat(person, "A better title")
    assert person.messages == messages
    assert person.messages[0] == ("user", "First chat")


def test_a_chat_is_exported(person: Person, tmp_path: Path) -> None:
    reply = person.ask("What is tea? / 茶")
    chat = person.services.chats.list.current.id
    person.window.export(chat, tmp_path / "chat.md")
    person.wait(lambda: f"The chat is in {tmp_path / 'chat.md'} now." in person.sentences())
    assert (tmp_path / "chat.md").read_text("utf-8") == (
        f"# What is tea? / 茶\n\n## You\n\nWhat is tea? / 茶\n\n## SmolLM2-135M-Instruct\n\n{reply.strip()}\n"
    )
    assert file_name("What is tea? / 茶") == "What is tea    茶.md"
    person.window.export(chat, tmp_path / "missing" / "chat.md")
    person.wait(lambda: "The chat was not exported" in person.sentences())


def test_thoughts_are_quoted_in_an_exported_chat() -> None:
    messages = [
        Message("c", None, "user", "Hi"),
        Message("c", None, "assistant", "<think>\na\n\nb\n</think>\n\nHello."),
    ]
    assert as_markdown("T", messages, "You", "Assistant") == (
        "# T\n\n## You\n\nHi\n\n## Assistant\n\n> a\n>\n> b\n\nHello.\n"
    )


def test_a_thought_is_folded_away_and_laid_out_when_it_is_opened(application: QApplication) -> None:
    text = "<think>\nFirst, **sums**: $a_1$\n\n- one\n</think>\n\nAn answer."
    widget = ReplyWidget(Message("c", None, "assistant", text), Versions())
    widget.show()
    thought = widget.findChild(Thought)

    def words() -> str:
        while thought.findChild(MarkdownView).is_building:
            run_events(5)
        shown = [part for part in thought.findChildren(RichText) if part.isVisible()]
        return "\n".join(part.accessibleName() for part in shown)  # a formula is a picture, which is named by its line

    assert thought.findChildren(RichText) == []
    button = thought.findChild(QPushButton)
    button.click()
    assert words() == "First, sums: a1\none"
    button.click()
    assert words() == ""
    assert widget.text_to_copy() == "An answer."
    widget.deleteLater()


def test_a_window_closed_in_mid_reply_keeps_what_was_written(open_window: OpenWindow) -> None:
    person = open_window(max_tokens=0)
    person.send(LONG)
    person.wait(lambda: len(person.messages[-1][1]) > 20)
    person.close()
    person = open_window()
    person.wait(lambda: person.titles)
    open_chat(person, person.titles[0])
    assert len(person.messages[-1][1]) > 20
    assert "Stopped." in person.sentences()


def test_what_was_typed_and_not_sent_waits_in_its_chat(person: Person) -> None:
    person.ask("Hello")
    person.type("half a thought")
    person.window.new_chat()
    person.type("for the new chat")
    open_chat(person, "Hello")
    assert person.editor.toPlainText() == "half a thought"
    person.window.new_chat()
    assert person.editor.toPlainText() == "for the new chat"


def test_what_was_typed_in_a_new_chat_waits_for_the_next_start(open_window: OpenWindow) -> None:
    person = open_window()
    person.wait(lambda: person.model_state == "ready")
    person.type("a first thought")
    person.close()

    person = open_window()
    person.wait(lambda: person.editor.toPlainText() == "a first thought")
    assert person.titles == []
    person.wait(lambda: person.model_state == "ready")
    person.press(Qt.Key.Key_Return)
    person.wait(lambda: not person.busy)
    assert person.titles == ["a first thought"]
    person.window.new_chat()
    assert person.editor.toPlainText() == ""
    person.type("another one")
    open_chat(person, "a first thought")
    person.close()

    person = open_window()
    person.wait(lambda: person.titles)
    assert person.titles == ["a first thought"]
    assert person.editor.toPlainText() == "another one"
    person.editor.clear()
    person.close()
    person = open_window()
    person.wait(lambda: person.titles)
    assert person.editor.toPlainText() == ""


def test_what_is_typed_outlives_a_power_cut(open_window: OpenWindow) -> None:
    person = open_window()

    def stored() -> list[str]:
        with closing(History(database_file())) as history:
            return [chat.draft for chat in history.conversations()]

    person.type("a thought, not sent")
    person.wait(lambda: stored() == ["a thought, not sent"])


def test_a_key_pressed_before_the_draft_is_read_comes_after_it(open_window: OpenWindow) -> None:
    person = open_window()
    person.type("begun")
    person.close()
    person = open_window()
    person.type("!")  # the chats are read on a thread, whose answer the window has not heard yet
    person.wait(lambda: person.editor.toPlainText() == "begun!")


def test_a_reply_goes_on_while_another_chat_is_read(open_window: OpenWindow) -> None:
    person = open_window(max_tokens=40)
    person.ask("Hello")
    person.window.new_chat()
    person.send("Count from one to twenty in words.")
    person.wait(lambda: person.messages[-1][1])
    open_chat(person, "Hello")
    assert person.messages[0] == ("user", "Hello")
    open_chat(person, "Count from one to twenty in words.")
    person.wait(lambda: not person.busy)
    person.wait(lambda: person.messages[0][1].startswith("Count"))
    assert person.messages[-1][1]


def test_the_sidebar_hides_and_lies_over_a_narrow_window(person: Person) -> None:
    sidebar = person.find(Sidebar)
    person.click("Show or hide the chats")
    assert sidebar.isHidden()
    person.click("Show or hide the chats")
    assert sidebar.isVisible()
    person.window.resize(380, 420)
    run_events(20)
    assert sidebar.isHidden()
    person.click("Show or hide the chats")
    assert sidebar.isVisible()
    assert person.window.width() == 380
    assert sidebar.geometry().right() < person.window.width()
    QTest.keyClick(person.window, Qt.Key.Key_Escape)
    assert sidebar.isHidden()


def test_another_theme_leaves_the_chat_where_it_was_read(person: Person, application: QApplication) -> None:
    chat = Conversation(title="Long", leaf="39")
    person.services.chats.list.store(chat)
    for number in range(40):
        text = f"## Chapter {number}\n\n" + "A word and a *word*. " * 60 + "\n\n```python\nx = 1\n```\n"
        role = "assistant" if number % 2 else "user"
        parent = str(number - 1) if number else None
        person.services.history.save_message(Message(chat.id, parent, role, text, str(number)))
    open_chat(person, "Long")
    view, bar = person.find(ChatView), person.find(ChatView).verticalScrollBar()
    person.wait(lambda: bar.maximum() > 3000 and not any(widget.is_building for widget in view._widgets))
    run_events(100)
    for place in (bar.maximum(), bar.maximum() - 1500):
        bar.setValue(place)
        run_events(50)
        read, from_end = topmost(view), bar.maximum() - bar.value()
        theme = "dark" if theme_of(application) == LIGHT.window else "light"
        person.services.settings.theme = theme
        person.services.apply_setting("theme")
        person.wait(lambda theme=theme: theme_of(application) == (DARK if theme == "dark" else LIGHT).window)
        person.wait(lambda: view._picture is None and len(view._widgets) >= 30)
        run_events(300)
        assert topmost(view) == read
        assert abs(bar.maximum() - bar.value() - from_end) < 30


def theme_of(application: QApplication) -> str:
    return application.palette().color(QPalette.ColorRole.Window).name()


def topmost(view: ChatView) -> str:
    top = view.verticalScrollBar().value()
    return next(widget.message.id for widget in view._widgets if widget.geometry().bottom() > top)
