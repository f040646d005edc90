"""The settings that a user changes; every change counts at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QIcon, QStandardItemModel
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QComboBox,
    QDialogButtonBox,
    QDoubleSpinBox,
    QFormLayout,
    QLabel,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QSizePolicy,
    QSpinBox,
    QTabWidget,
    QVBoxLayout,
    QWidget,
)
from shiboken6 import isValid

from converter.hub.address import HUB, MODELSCOPE, origin, usual_endpoint
from desktop_app.engine.protocol import SamplingSettings
from desktop_app.library.hub_tokens import keep_token, token_at
from desktop_app.library.other_hosts import MIRROR
from desktop_app.network import ASKED, OFFLINE
from desktop_app.planning.planner import RunConfiguration
from desktop_app.settings import RANGES, RECOMMENDED, Settings
from desktop_app.ui.bridges.conversion_bridge import ConversionBridge
from desktop_app.ui.bridges.engine_parts_bridge import EnginePartsBridge
from desktop_app.ui.i18n.formats import number, size
from desktop_app.ui.i18n.translate import LANGUAGES
from desktop_app.ui.models.delete_downloads import DownloadsRow
from desktop_app.ui.models.model_session import EngineState
from desktop_app.ui.settings.connections_dialog import ConnectionsDialog
from desktop_app.ui.settings.engine_page import EnginePage
from desktop_app.ui.settings.shortcuts_page import KeysPage
from desktop_app.ui.widgets.fitting_dialog import FittingDialog, ScrollingPage

CONTEXTS = (2048, 4096, 8192, 16384, 32768, 65536, 131072)
"""What is offered, in tokens, besides "Automatic"."""
_ROW = 30
_INDENT = 9
_AROUND = 44
"""Pixels beside the text of an item in a box's list, with the scroll bar."""
REPLIES, DOWNLOADS, KEYS = 1, 3, 4
"""The pages on which the context, the address of downloads and the keys are."""
_SAMPLING = (*RECOMMENDED, "seed", "max_tokens")
_USUAL = SamplingSettings()


class SettingsDialog(FittingDialog):
    """A form over `Settings`."""

    changed = Signal(str)
    """The name of the setting."""

    def __init__(
        self,
        settings: Settings,
        state: EngineState,
        conversions: ConversionBridge,
        engine_parts: EnginePartsBridge,
        parent: QWidget | None = None,
    ) -> None:
        """Show the settings as they are, with what the model in use makes of them."""
        super().__init__(480, parent)
        self._settings = settings
        self._recommended = state.model.sampling if state.model is not None else {}
        self._recurrent = state.recurrent
        self._costs: Mapping[int, RunConfiguration] = {}
        self._theme = self._combo("theme", ["system", "light", "dark"])
        self._language = self._combo("language", ["system", *LANGUAGES])
        self._send_key = self._combo("send_key", ["enter", "ctrl_enter"])
        self._context = self._combo("context", sorted({0, *CONTEXTS, settings.context}))
        self._context.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self._prompt = QPlainTextEdit(settings.system_prompt)
        self._prompt.setTabChangesFocus(True)
        self._prompt.setFixedHeight(96)
        self._prompt.textChanged.connect(lambda: self._set("system_prompt", self._prompt.toPlainText()))
        self._numbers = {name: self._spin_box(name) for name in _SAMPLING}
        self._labels: dict[QWidget, QLabel] = {}
        self._reset = QPushButton()
        self._reset.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self._reset.clicked.connect(self._reset_sampling)
        self._network = self._combo("network", [ASKED, OFFLINE])
        self._connections = QPushButton()
        self._connections.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
        self._connections.clicked.connect(lambda: ConnectionsDialog(self).open())
        self._endpoint = self._endpoint_box()
        self._token = QLineEdit(echoMode=QLineEdit.EchoMode.Password)
        self._token.setObjectName("token")
        self._show_token()
        self._token.textChanged.connect(self._keep_token)
        self._hints = [QLabel(wordWrap=True) for _ in range(3)]
        for hint in self._hints:
            hint.setObjectName("muted")
        self._tabs = QTabWidget()
        self._tabs.setDocumentMode(True)
        self._tabs.addTab(self._page([self._theme, self._language, self._send_key]), "")
        rows: list[QWidget] = [self._prompt] if self._recurrent else [self._prompt, self._context]
        self._tabs.addTab(self._page(rows, self._hints[0]), "")
        self._tabs.addTab(self._page(list(self._numbers.values()), self._hints[1], self._reset), "")
        self._tabs.addTab(
            self._page(
                [self._network, self._endpoint, self._token],
                self._hints[2],
                self._connections,
                DownloadsRow(conversions),
            ),
            "",
        )
        self._tabs.addTab(ScrollingPage(KeysPage()), "")
        self._tabs.addTab(ScrollingPage(EnginePage(engine_parts)), "")
        self._buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        self._buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(16, 12, 16, 16)
        layout.setSpacing(12)
        layout.addWidget(self._tabs)
        layout.addWidget(self._buttons)
        self._retranslate()

    def show_page(self, page: int) -> None:
        """Turn to a page: `REPLIES` or another."""
        self._tabs.setCurrentIndex(page)

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._retranslate()

    def _page(self, rows: Sequence[QWidget], *below: QWidget) -> QWidget:
        page = QWidget()
        form = QFormLayout()
        form.setSpacing(10)
        form.setLabelAlignment(Qt.AlignmentFlag.AlignLeft | Qt.AlignmentFlag.AlignVCenter)
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        for field in rows:
            label = self._labels[field] = QLabel()
            label.setBuddy(field)
            if not isinstance(field, QPlainTextEdit):
                label.setMinimumHeight(_ROW)  # stands in the middle of its field
            form.addRow(label, field)
        layout = QVBoxLayout(page)
        layout.setContentsMargins(4, 16, 4, 4)
        layout.setSpacing(12)
        layout.addLayout(form)
        for widget in below:
            layout.addWidget(widget)
        layout.addStretch()
        return ScrollingPage(page)

    def _retranslate(self) -> None:
        self.setWindowTitle(self.tr("Settings"))
        titles = (
            self.tr("General"),
            self.tr("Replies"),
            self.tr("Sampling"),
            self.tr("Downloads"),
            self.tr("Keys"),
            self.tr("Engine"),
        )
        for index, title in enumerate(titles):
            self._tabs.setTabText(index, title)
        texts = {
            self._theme: self.tr("Appearance"),
            self._language: self.tr("Language"),
            self._send_key: self.tr("Send with"),
            self._context: self.tr("Context"),
            self._prompt: self.tr("Instructions"),
            self._numbers["temperature"]: self.tr("Temperature"),
            self._numbers["top_k"]: self.tr("Top-k"),
            self._numbers["top_p"]: self.tr("Top-p"),
            self._numbers["min_p"]: self.tr("Min-p"),
            self._numbers["repeat_penalty"]: self.tr("Repeat penalty"),
            self._numbers["seed"]: self.tr("Seed"),
            self._numbers["max_tokens"]: self.tr("Longest reply (tokens)"),
            self._network: self.tr("Connections"),
            self._endpoint: self.tr("Download from"),
            self._token: self.tr("Access token"),
        }
        for field, label in self._labels.items():
            label.setText(texts[field])
        self._prompt.setPlaceholderText(self.tr("What the assistant should always know or do"))
        self._hints[0].setText(
            self.tr("The model in use keeps a chat of any length in mind at the same cost: it has no context to set.")
            if self._recurrent
            else self.tr(
                "The context is how much of a chat the model keeps in mind; a larger one needs more memory. "
                "Automatic takes what fits in the memory that is free."
            )
        )
        self._hints[1].setText(
            self.tr(
                "Lower temperatures give steadier answers, 0 always the most likely one; higher ones surprise more. "
                "What you do not change follows the recommendation of the publisher of the model in use, where there is one."
            )
        )
        self._token.setPlaceholderText(self.tr("Only for gated or private models"))
        self._hints[2].setText(
            self.tr(
                "Where Hugging Face cannot be reached, choose a mirror or ModelScope, or write another address. The token "
                "is sent to this address only; each address has its own."
            )
        )
        self._numbers["top_k"].setSpecialValueText(self.tr("No limit"))
        self._numbers["seed"].setSpecialValueText(self.tr("Another each time"))
        self._numbers["max_tokens"].setSpecialValueText(self.tr("No limit"))
        self._reset.setText(self.tr("Reset to defaults"))
        for name in RECOMMENDED:
            self._mark(name)
        _name(self._theme, [self.tr("Like the system"), self.tr("Light"), self.tr("Dark")])
        _name(self._language, [self.tr("Like the system"), *LANGUAGES.values()])
        _name(self._send_key, ["Enter", "Ctrl+Enter"])
        _name(self._network, [self.tr("Only for what I ask for"), self.tr("None: offline")])
        self._connections.setText(self.tr("Show all connections…"))
        self._name_contexts()
        close = self._buttons.button(QDialogButtonBox.StandardButton.Close)
        close.setText(self.tr("Close"))
        close.setIcon(QIcon())

    def show_contexts(self, found: Mapping[int, RunConfiguration]) -> None:
        """Say what each context would take of memory; one that the model or the memory does not allow cannot be chosen."""
        if isValid(self):
            self._costs = found
            self._name_contexts()

    def _name_contexts(self) -> None:
        items = self._context.model()
        for row in range(self._context.count()):
            context = self._context.itemData(row)
            self._context.setItemText(row, self._context_words(context))
            if isinstance(items, QStandardItemModel):
                items.item(row).setEnabled(context == self._settings.context or self._is_possible(context))
        widths = self._context.fontMetrics()
        longest = max(widths.horizontalAdvance(self._context.itemText(row)) for row in range(self._context.count()))
        self._context.view().setMinimumWidth(longest + _AROUND)

    def _is_possible(self, context: int) -> bool:
        way = self._costs.get(context)
        return way is None or (way.context >= context and not way.shortfall)

    def _context_words(self, context: int) -> str:
        if not context:
            return self.tr("Automatic")
        way = self._costs.get(context)
        if way is None:
            return self.tr("{count} tokens").format(count=number(context, 0))
        if way.context < context:
            text = self.tr("{count} tokens · the model was made for {limit} at most")
        elif way.shortfall:
            text = self.tr("{count} tokens · {size}, {missing} more than is free")
        else:
            text = self.tr("{count} tokens · {size} of memory")
        return text.format(
            count=number(context, 0), limit=number(way.context, 0), size=size(way.bytes), missing=size(way.shortfall)
        )

    def _combo(self, name: str, values: Sequence[str | int]) -> QComboBox:
        box = QComboBox()
        for value in values:
            box.addItem("", value)
        box.setCurrentIndex(box.findData(getattr(self._settings, name)))
        box.currentIndexChanged.connect(lambda index: self._set(name, box.itemData(index)))
        return box

    def _endpoint_box(self) -> QComboBox:
        usual = usual_endpoint()
        box = QComboBox(
            editable=True, sizeAdjustPolicy=QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon
        )
        box.addItems(list(dict.fromkeys((usual, HUB, MIRROR, MODELSCOPE))))
        box.setCurrentText(self._settings.endpoint or usual)

        def chosen(text: str) -> None:
            address = text.strip().rstrip("/")
            named = address if "://" in address or not address else f"https://{address}"
            self._set("endpoint", "" if named == usual else named)
            self._show_token()

        box.currentTextChanged.connect(chosen)
        return box

    def _show_token(self) -> None:
        """Show the token of the address that is set: another one's never goes there."""
        endpoint = self._settings.endpoint
        self._token.setText(token_at(self._settings, endpoint))
        self._token.setEnabled(not endpoint or bool(origin(endpoint)))

    def _keep_token(self, text: str) -> None:
        keep_token(self._settings, self._settings.endpoint, text.strip())
        self.changed.emit("tokens")

    def _spin_box(self, name: str) -> QSpinBox | QDoubleSpinBox:
        low, high = RANGES[name]
        value = self._in_use(name)
        if isinstance(value, int):
            box = QSpinBox(minimum=int(min(low, value)), maximum=int(max(high, value)))
            _indent(box)
            box.setValue(value)
            box.valueChanged.connect(lambda new: self._number_changed(name, new))
            return box
        fraction = QDoubleSpinBox(minimum=min(low, value), maximum=max(high, value), singleStep=0.05, decimals=2)
        _indent(fraction)
        fraction.setValue(value)
        fraction.valueChanged.connect(lambda new: self._number_changed(name, round(new, 2)))
        return fraction

    def _in_use(self, name: str) -> int | float:
        """Return the value that counts: the user's own, the publisher's, or the usual one."""
        own: int | float | None = getattr(self._settings, name)
        usual: int | float = getattr(_USUAL, name, 0)
        return self._recommended.get(name, usual) if own is None else own

    def _number_changed(self, name: str, value: float) -> None:
        self._set(name, value)
        if name in RECOMMENDED:
            self._mark(name)

    def _mark(self, name: str) -> None:
        """Say which values are the publisher's."""
        theirs = getattr(self._settings, name) is None and name in self._recommended
        self._numbers[name].setSuffix(self.tr("  (recommended by the publisher)") if theirs else "")

    def _reset_sampling(self) -> None:
        for field in fields(Settings):
            if field.name in self._numbers:
                box = self._numbers[field.name]
                setattr(self._settings, field.name, field.default)
                box.blockSignals(True)
                box.setValue(self._in_use(field.name))  # type: ignore[arg-type]
                box.blockSignals(False)
                self._set(field.name, field.default)
                if field.name in RECOMMENDED:
                    self._mark(field.name)

    def _set(self, name: str, value: object) -> None:
        setattr(self._settings, name, value)
        self.changed.emit(name)


def _indent(box: QAbstractSpinBox) -> None:
    """Bring the number in line with the texts of other boxes: style sheets' padding does not reach it."""
    field = box.findChild(QLineEdit)
    if field is not None:
        field.setTextMargins(_INDENT, 0, 0, 0)


def _name(box: QComboBox, names: list[str]) -> None:
    for index, name in enumerate(names):
        box.setItemText(index, name)
