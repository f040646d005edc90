"""A number in an answer opens the passage that it stands for."""

from __future__ import annotations

from PySide6.QtCore import QUrl
from PySide6.QtWidgets import QApplication

from desktop_app.chat.conversation import Message
from desktop_app.chat.grounding import Grounding, Quotation
from desktop_app.ui.chat.message_widget import Versions
from desktop_app.ui.chat.reply_widget import ReplyWidget
from desktop_app.ui.chat.sources_box import PassageDialog
from desktop_app.ui.markdown.rich_text import RichText
from tests.support.window import run_events


def test_a_number_opens_its_passage(application: QApplication) -> None:
    message = Message("c", "q", "assistant", "It leaves at nine [3].", state="done")
    reply = ReplyWidget(message, Versions())
    passage = Quotation(3, "report.pdf", "The train leaves at nine.", page=41)
    reply.ground(Grounding(searched=("report.pdf",), quotations=(passage,)), {3: passage})
    reply.show()
    run_events(20)
    text = reply.answer.findChild(RichText)
    assert text is not None
    text.anchorClicked.emit(QUrl("citation:3"))
    dialog = reply.window().findChild(PassageDialog)
    assert dialog is not None
    assert dialog.windowTitle() == "report.pdf, page 41"
    dialog.close()
