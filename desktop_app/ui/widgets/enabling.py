"""What cannot be used now says why, in its tip, which screen readers read too."""

from __future__ import annotations

from collections.abc import Mapping

from PySide6.QtCore import QCoreApplication
from PySide6.QtWidgets import QWidget

from desktop_app.ui.i18n.translate import to_translate

REPLYING = to_translate("WhyNot", "Wait until the reply is written, or stop it.")
WORKING = to_translate("WhyNot", "Wait until what is under way is done.")
STOPPING = to_translate("WhyNot", "It is being stopped.")
UNWRITTEN = to_translate("WhyNot", "Write something first.")
UNCHOSEN = to_translate("WhyNot", "Choose something in the list first.")
NOTHING_FOUND = to_translate("WhyNot", "Nothing was found.")
READING = to_translate("WhyNot", "It is still being looked at.")
IS_SO = to_translate("WhyNot", "It is so already.")

_OWN, _SHOWN = "ownTip", "shownReason"


def enable(widget: QWidget, why_not: Mapping[str, bool]) -> None:
    """Enable a widget, or disable it and let its tip give the first reason that holds.

    Args:
        widget: whose own tip comes back when it is enabled.
        why_not: sentences, those above or translated ones, and whether each holds.
    """
    reason = next((sentence for sentence, holds in why_not.items() if holds), "")
    if widget.toolTip() != widget.property(_SHOWN):
        widget.setProperty(_OWN, widget.toolTip())
    told = QCoreApplication.translate("WhyNot", reason) if reason else None
    widget.setToolTip(widget.property(_OWN) if told is None else told)
    widget.setProperty(_SHOWN, told)
    widget.setEnabled(not reason)
