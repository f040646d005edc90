"""Shows the window and every dialog on a screen and tells where they are: `python -m tests.support.show_dialogs LANGUAGE`."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PySide6.QtCore import QRect
from PySide6.QtWidgets import QAbstractButton, QAbstractSpinBox, QDialog, QMainWindow, QScrollArea, QWidget

from converter.hub.cleanup import KeptDownload
from desktop_app.chat.assistants import Assistant
from desktop_app.chat.grounding import Quotation
from desktop_app.library.install import InstallRequest
from desktop_app.library.installed import Library
from desktop_app.library.installed_model import BrokenModel
from desktop_app.library.removal import Removal
from desktop_app.library.source_facts import SourceFacts
from desktop_app.paths import models_folder, settings_file
from desktop_app.settings import Settings, save_settings
from desktop_app.ui.app import create_window, make_application
from desktop_app.ui.chat.assistants_dialog import AssistantsDialog
from desktop_app.ui.chat.attachment_chip import AttachmentDialog
from desktop_app.ui.chat.sources_box import PassageDialog
from desktop_app.ui.chat.transfer_dialog import TransferDialog
from desktop_app.ui.models.adapter_dialog import AdapterDialog
from desktop_app.ui.models.add_dialog import AddDialog
from desktop_app.ui.models.conversion_dialog import ConversionDialog
from desktop_app.ui.models.delete_downloads import DeletionQuestion
from desktop_app.ui.models.model_settings_dialog import ModelSettingsDialog
from desktop_app.ui.models.removal_question import RemovalQuestion
from desktop_app.ui.server.server_dialog import ServerDialog
from desktop_app.ui.settings.connections_dialog import ConnectionsDialog
from desktop_app.ui.settings.sections import SECTIONS
from desktop_app.ui.widgets.fitting_dialog import FittingDialog, free_area
from desktop_app.ui.window import MainWindow
from models.errors import ZhiyinError
from models.sentence import Sentence
from tests.support.adapters import write_adapter
from tests.support.window import run_events

WORDS = (
    "a text that is as long as the reports of a difficult checkpoint are, with many reasons and a way out of each. " * 4
)


def main() -> None:
    """Print, for the window and each dialog, what lies outside of the screen or is cut off."""
    save_settings(Settings(language=sys.argv[1], welcomed=True), settings_file())
    window = create_window(make_application())
    window.show()
    run_events(50)
    found = {"window": faults(window)}
    for name, show in dialogs(window, Path(sys.argv[2])).items():
        dialog = show()
        run_events(30)
        grow(dialog)
        run_events(60)
        found[name] = faults(dialog)
        dialog.close()
    for section in SECTIONS:
        window.open_settings(section)
        run_events(60)
        found[f"settings, {section}"] = faults(window)
    print(json.dumps(found))
    window.close()
    window.services.close()


def dialogs(window: MainWindow, folder: Path) -> dict[str, Callable[[], QDialog]]:
    """Return what opens each dialog, by name."""
    conversions = window.services.conversions
    kept = [KeptDownload(folder, f"some-owner/a-model-with-a-long-name-{n}", "", (), 7 << 30, ()) for n in range(20)]
    layer = "base_model.model.model.layers.0.self_attn.q_proj"
    weights = {f"{layer}.lora_{side}.weight": np.zeros((4, 4), np.float32) for side in "AB"}
    adapter = write_adapter(folder / "adapter", weights, base_model_name_or_path="some-owner/a-base")

    def opened(dialog: QDialog) -> QDialog:
        dialog.open()
        return dialog

    def closing() -> QDialog:
        window._dialogs.closing()
        return newest(window, QDialog)

    def by_window(open_one: Callable[[], None], kind: type[QDialog] = FittingDialog) -> Callable[[], QDialog]:
        def show() -> QDialog:
            open_one()
            return newest(window, kind)

        return show

    services, opener = window.services, window._dialogs
    starter = Library(models_folder()).starter()
    assert starter is not None
    part = Quotation(1, "a document with a long name.pdf", WORDS * 4, str(folder / "a.pdf"), 3, 4, 0.031, 2.5, 0.87)
    removal = Removal(BrokenModel("a-broken-model", folder / "model.gguf", ZhiyinError(WORDS)), (), None)
    return {
        "add": lambda: opened(AddDialog(window)),
        "convert": lambda: opened(ConversionDialog(conversions, InstallRequest(folder / "none"), window)),
        "adapter": lambda: opened(AdapterDialog(conversions, adapter, window)),
        "deletion": lambda: opened(DeletionQuestion(kept, conversions, window)),
        "removal": lambda: opened(RemovalQuestion(removal, window, in_use=True)),
        "assistants": lambda: opened(AssistantsDialog(window.services.assistant_list, window._dialogs._editor, window)),
        "assistant": lambda: opened(window._dialogs._editor(Assistant("a name", instructions=WORDS * 9))),
        "transfer": lambda: opened(TransferDialog(window.services.transfer, window)),
        "attachment": lambda: opened(AttachmentDialog("a name.txt", WORDS * 20, window)),
        "closing": closing,
        "my models": by_window(opener.my_models),
        "measure": by_window(lambda: opener.measure(starter)),
        "model settings": lambda: opened(ModelSettingsDialog(services, starter, window)),
        "remotes": by_window(opener.remotes),
        "tools": by_window(opener.tools),
        "trash": by_window(opener.trash),
        "collections": by_window(opener.collections),
        "server": lambda: opened(ServerDialog(services.server, window)),
        "connections": lambda: opened(ConnectionsDialog(window)),
        "passage": lambda: opened(PassageDialog("a document, page 3", part, window)),
    }


def newest(window: MainWindow, kind: type[QDialog]) -> QDialog:
    end = time.monotonic() + 20
    while time.monotonic() < end:
        if shown := [dialog for dialog in window.findChildren(kind) if dialog.isVisible()]:
            return shown[-1]
        run_events(10)
    raise AssertionError(kind)


def grow(dialog: QDialog) -> None:
    """Let a dialog hear what makes it as large as it gets."""
    if isinstance(dialog, AddDialog):
        dialog._name.setText("no address/at/all/" + "x" * 300)
        dialog._take_name()
    elif isinstance(dialog, AdapterDialog):
        dialog._refused(ZhiyinError(WORDS * 4))
    elif isinstance(dialog, ConversionDialog):
        quants = (
            "F32",
            "F16",
            "BF16",
            "Q8_0",
            "Q6_K",
            "Q5_K_M",
            "Q5_K_S",
            "Q4_K_M",
            "Q4_K_S",
            "Q4_0",
            "Q3_K_M",
            "Q2_K",
        )
        facts = SourceFacts(
            dialog._request, "a-model", family="Qwen3", parameters=8_000_000_000, size_label="8B", context=40960,
            is_chat=True, offers=dict.fromkeys(quants, 9 << 30), usual="Q4_K_M", file_name="a-model",
            steps=tuple(Sentence(WORDS) for _ in range(3)), warnings=tuple(Sentence(WORDS) for _ in range(3)),
        )  # fmt: skip
        dialog._described(facts)


def faults(window: QMainWindow | QDialog) -> list[str]:
    """Say what of a window is outside of its screen, and which buttons are outside of the window or too small."""
    area = free_area(window)
    wrong = [] if area.contains(window.geometry()) else [f"{window.geometry()} is not inside {area}"]
    inside = QRect(0, 0, window.width(), window.height())
    for button in window.findChildren(QAbstractButton):
        if not button.isVisible() or button.window() is not window or scrolls(button, window):
            continue
        place = QRect(button.mapTo(window, button.rect().topLeft()), button.size())
        if not inside.contains(place):
            wrong.append(f"{button.text()!r} at {place} is outside of {inside}")
    return wrong + cut(window)


def cut(window: QWidget) -> list[str]:
    """Say which pages are wider than their window, and which numbers or words are wider than their field."""
    pages = [page for page in window.findChildren(QScrollArea) if page.isVisible() and page.widget() is not None]
    wrong = [f"{page} is cut" for page in pages if page.widget().width() > page.viewport().width()]
    for box in (box for box in window.findChildren(QAbstractSpinBox) if box.isVisible()):
        field = box.lineEdit()
        room = field.width() - field.textMargins().left()
        if not field.textMargins().left() or room < box.fontMetrics().horizontalAdvance(box.text()):
            wrong.append(f"{box.text()!r} is cut")
    return wrong


def scrolls(widget: QWidget, window: QWidget) -> bool:
    """Tell whether a widget is in a page that scrolls: it can be reached."""
    at = widget.parentWidget()
    while at is not None and at is not window:
        if at.objectName() in ("dialogPage", "qt_tabwidget_tabbar", "welcomePage"):
            return True
        at = at.parentWidget()
    return False


if __name__ == "__main__":
    main()
