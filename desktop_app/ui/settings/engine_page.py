"""The settings' page on the engine: what computes, which parts are here, and taking one from a file."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QEvent, Qt
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QMessageBox,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from desktop_app.engine.parts.store import AUTOMATIC, PROCESSOR, Part
from desktop_app.ui.bridges.engine_parts_bridge import EnginePartsBridge
from desktop_app.ui.i18n.formats import size
from desktop_app.ui.i18n.sentences import translated
from desktop_app.ui.widgets.enabling import UNCHOSEN, WORKING, enable
from models.errors import ZhiyinError, error_from_data

_NAMES = {"vulkan": "Vulkan", "cuda": "CUDA", "metal": "Metal"}
_ROW, _LIST_HEIGHT = 36, 132


class EnginePage(QWidget):
    """Follows the engine's parts as long as it is there."""

    def __init__(self, bridge: EnginePartsBridge, parent: QWidget | None = None) -> None:
        """Show what is known, and ask for what is not."""
        super().__init__(parent)
        self._bridge = bridge
        self._asked: Path | None = None
        self._mode = QComboBox()
        self._mode.activated.connect(lambda index: bridge.use(self._mode.itemData(index)))
        self._mode_label = QLabel()
        self._mode_label.setBuddy(self._mode)
        self._mode_label.setMinimumHeight(_ROW)  # stands in the middle of its field
        self._list = QListWidget()
        self._list.setWordWrap(True)
        self._list.setFixedHeight(_LIST_HEIGHT)
        self._list.currentItemChanged.connect(lambda *_: self._enable())
        self._state, self._devices, self._hint = (QLabel(wordWrap=True) for _ in range(3))
        for label in (self._devices, self._hint):
            label.setObjectName("muted")
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._add, self._remove, self._back = QPushButton(), QPushButton(), QPushButton()
        self._add.clicked.connect(self._choose_file)
        self._remove.clicked.connect(self._ask_removal)
        self._back.clicked.connect(bridge.roll_back)
        self._lay_out()
        bridge.changed.connect(self._show)
        bridge.refused.connect(self._refused)
        self._show()
        bridge.refresh()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._show()

    def _lay_out(self) -> None:
        form = QFormLayout()
        form.setSpacing(10)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        form.addRow(self._mode_label, self._mode)
        buttons = QHBoxLayout()
        for button in (self._add, self._remove, self._back):
            buttons.addWidget(button)
        buttons.addStretch()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(4, 16, 4, 4)
        layout.setSpacing(12)
        layout.addLayout(form)
        for widget in (self._devices, self._list, self._state):
            layout.addWidget(widget)
        layout.addLayout(buttons)
        layout.addWidget(self._hint)
        layout.addStretch()

    def _show(self) -> None:
        facts = self._bridge.facts
        self._mode_label.setText(self.tr("Compute with"))
        self._list.setAccessibleName(self.tr("Engine parts"))
        self._add.setText(self.tr("Add from a file…"))
        self._remove.setText(self.tr("Remove"))
        self._back.setText(self.tr("Undo last change"))
        self._show_modes()
        self._show_parts()
        self._devices.setText(self._device_lines())
        self._devices.setVisible(bool(self._devices.text()))
        self._state.setText(self.tr("The engine is starting…") if self._bridge.busy or not facts.known else "")
        self._state.setVisible(bool(self._state.text()))
        self._hint.setText(self._hint_text())
        self._enable()

    def _show_modes(self) -> None:
        facts = self._bridge.facts
        kinds = dict.fromkeys(part.manifest.part for part in facts.parts if part.misfit is None)
        choices = {
            AUTOMATIC: self.tr("Automatic: all that works"),
            PROCESSOR: self.tr("The processor alone"),
            **{kind: self.tr("{part} and the processor").format(part=_NAMES.get(kind, kind)) for kind in kinds},
        }
        self._mode.clear()
        for name, words in choices.items():
            self._mode.addItem(words, name)
        self._mode.setCurrentIndex(max(0, self._mode.findData(facts.mode)))

    def _show_parts(self) -> None:
        chosen = self._current()
        self._list.clear()
        for part in self._bridge.facts.parts:
            item = QListWidgetItem(self._part_words(part))
            item.setData(Qt.ItemDataRole.UserRole, part)
            self._list.addItem(item)
            if chosen is not None and part.manifest.id == chosen.manifest.id:
                self._list.setCurrentItem(item)
        self._list.setVisible(bool(self._bridge.facts.parts))

    def _part_words(self, part: Part) -> str:
        name = _NAMES.get(part.manifest.part, part.manifest.part)
        state = next((state for state in self._bridge.facts.states if state.id == part.manifest.id), None)
        if state is not None and state.failure is not None:
            words = self.tr("not used: {reason}").format(reason=translated(error_from_data(state.failure)))
        elif state is not None and state.state == "loaded":
            words = self.tr("in use")
        else:
            words = self.tr("not in use") if state is not None or not part.in_use else self.tr("not tried yet")
        return self.tr("{part} ({size}): {state}").format(part=name, size=size(part.manifest.size), state=words)

    def _device_lines(self) -> str:
        facts = self._bridge.facts
        lines = [
            self.tr("{name}: {free} of {total} free").format(
                name=device.description, free=size(device.free_bytes), total=size(device.total_bytes)
            )
            for device in facts.devices
            if device.type in ("gpu", "igpu") and device.takes_layers
        ]
        lines += [
            self.tr("{name} is not used: {reason}").format(name=card.name, reason=translated(card.reason))
            for card in facts.unused_cards
        ]
        return "\n".join(lines)

    def _hint_text(self) -> str:
        general = self.tr(
            "Engine parts are llama.cpp's plug-ins for graphics cards. Each is one file, which also works from a stick "
            "without a network. A part that does not work here is left out, and the processor goes on."
        )
        facts = self._bridge.facts
        nvidia = any(
            "NVIDIA" in name
            for name in (*(d.description for d in facts.devices), *(c.name for c in facts.unused_cards))
        )
        if nvidia and not any(part.manifest.part == "cuda" for part in facts.parts):
            offer = self.tr(
                "There is an NVIDIA card here: the part for CUDA (about 0.6 GB with NVIDIA's cuBLAS) is the fastest way to "
                "compute on it. Get zhiyin-engine-cuda… of this release, and add it here."
            )
            return f"{offer}\n\n{general}"
        return general

    def _current(self) -> Part | None:
        item = self._list.currentItem()
        part: Part | None = item.data(Qt.ItemDataRole.UserRole) if item is not None else None
        return part

    def _enable(self) -> None:
        idle, part = not self._bridge.busy, self._current()
        for widget in (self._mode, self._add, self._back):
            enable(widget, {WORKING: not idle})
        comes_with = self.tr("This part comes with Zhiyin.")
        is_bundled = part is not None and part.bundled
        enable(self._remove, {WORKING: not idle, UNCHOSEN: part is None, comes_with: is_bundled})

    def _choose_file(self) -> None:
        dialog = QFileDialog(self.window(), self.tr("Add an engine part"))
        dialog.setFileMode(QFileDialog.FileMode.ExistingFile)
        dialog.setNameFilter(self.tr("Engine parts (*.zip)"))
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.fileSelected.connect(lambda path: self.add(Path(path)))
        dialog.open()

    def add(self, path: Path, *, unsigned: bool = False) -> None:
        """Take a part from a file; one that nobody signed is asked about first."""
        self._asked = path
        self._bridge.add(path, unsigned=unsigned)

    def _refused(self, error: Exception) -> None:
        if isinstance(error, ZhiyinError) and error.code == "unsigned" and self._asked is not None:
            self._ask_unsigned(self._asked)
            return
        self._message(translated(error)).open()

    def _ask_unsigned(self, path: Path) -> None:
        box = self._message(
            self.tr(
                "{name} is not signed by the makers of Zhiyin. An engine part runs as a program, with all your rights."
            ).format(name=path.name)
        )
        box.setInformativeText(self.tr("Use it only if you built it yourself, or trust who did."))
        use = box.addButton(self.tr("Use it"), QMessageBox.ButtonRole.AcceptRole)
        box.setDefaultButton(box.addButton(self.tr("Cancel"), QMessageBox.ButtonRole.RejectRole))
        use.clicked.connect(lambda: self.add(path, unsigned=True))
        box.open()

    def _ask_removal(self) -> None:
        part = self._current()
        if part is None:
            return
        name = _NAMES.get(part.manifest.part, part.manifest.part)
        text = self.tr("Remove the engine part for {part}?").format(part=name)
        box = self._message(text)
        box.setInformativeText(
            self.tr("This frees {size}. To have it again you need its file.").format(size=size(part.manifest.size))
        )
        remove = box.addButton(self.tr("Remove"), QMessageBox.ButtonRole.DestructiveRole)
        box.setDefaultButton(box.addButton(self.tr("Keep"), QMessageBox.ButtonRole.RejectRole))
        remove.clicked.connect(lambda: self._bridge.remove(part))
        box.open()

    def _message(self, text: str) -> QMessageBox:
        box = QMessageBox(self.window())
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setText(text)
        return box
