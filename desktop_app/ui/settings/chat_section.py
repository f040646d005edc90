"""Settings: the instructions of every chat, how much of it the model keeps in mind, and how it chooses its words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields

from PySide6.QtGui import QStandardItemModel
from PySide6.QtWidgets import QComboBox, QDoubleSpinBox, QPlainTextEdit, QSpinBox
from shiboken6 import isValid

from desktop_app.engine.protocol import SamplingSettings
from desktop_app.planning.configuration import RunConfiguration
from desktop_app.settings import RANGES, RECOMMENDED, Settings
from desktop_app.ui.i18n.formats import number, size
from desktop_app.ui.models.model_session import EngineState
from desktop_app.ui.settings.section import Section
from desktop_app.ui.widgets.spin_boxes import indent

CONTEXTS = (2048, 4096, 8192, 16384, 32768, 65536, 131072)
"""What is offered, in tokens, besides "Automatic"."""
_AROUND = 44
"""Pixels beside the text of an item in a box's list, with the scroll bar."""
_SAMPLING = (*RECOMMENDED, "seed", "max_tokens")
_USUAL = SamplingSettings()


class ChatSection(Section):
    """The defaults of chats."""

    def __init__(self, settings: Settings, state: EngineState, *, shows_context: bool = True) -> None:
        """Show the settings as they are, with what the model in use makes of them."""
        super().__init__(settings)
        self._recommended = state.model.sampling if state.model is not None else {}
        self._recurrent = state.recurrent
        self._costs: Mapping[int, RunConfiguration] = {}
        self._prompt = QPlainTextEdit(settings.system_prompt)
        self._prompt.setTabChangesFocus(True)
        self._prompt.setFixedHeight(96)
        self._prompt.textChanged.connect(lambda: self.store("system_prompt", self._prompt.toPlainText()))
        self.add_field(self._prompt)
        self._context: QComboBox | None = None
        if shows_context and not self._recurrent:
            self._context = self.add_choice("context", sorted({0, *CONTEXTS, settings.context}))
            self._context.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self._numbers = {name: self._spin_box(name) for name in _SAMPLING}
        for box in self._numbers.values():
            self.add_field(box)
        self._hints = (self.add_hint(), self.add_hint())
        self._reset = self.add_button()
        self._reset.clicked.connect(self._reset_sampling)
        self.retranslate()

    def show_contexts(self, plans: Mapping[int, RunConfiguration]) -> None:
        """Say what each context would take of memory; one that the model or the memory does not allow cannot be chosen."""
        if isValid(self):
            self._costs = plans
            self._name_contexts()

    def retranslate(self) -> None:
        """Write every word again."""
        self.name_field(self._prompt, self.tr("Instructions"))
        self._prompt.setPlaceholderText(self.tr("What the assistant should always know or do"))
        if self._context is not None:
            self.name_field(self._context, self.tr("Context"))
        names = {
            "temperature": self.tr("Temperature"),
            "top_k": self.tr("Top-k"),
            "top_p": self.tr("Top-p"),
            "min_p": self.tr("Min-p"),
            "repeat_penalty": self.tr("Repeat penalty"),
            "seed": self.tr("Seed"),
            "max_tokens": self.tr("Longest reply (tokens)"),
        }
        for name, box in self._numbers.items():
            self.name_field(box, names[name])
        self._explain()
        self._numbers["top_k"].setSpecialValueText(self.tr("No limit"))
        self._numbers["seed"].setSpecialValueText(self.tr("Another each time"))
        self._numbers["max_tokens"].setSpecialValueText(self.tr("No limit"))
        self._reset.setText(self.tr("Reset to defaults"))
        for name in RECOMMENDED:
            self._mark(name)
        self._name_contexts()

    def _explain(self) -> None:
        self._hints[0].setText(
            self.tr("The model in use keeps a chat of any length in mind at the same cost: it has no context to set.")
            if self._recurrent
            else ""
            if self._context is None
            else self.tr(
                "The context is how much of a chat the model keeps in mind; a larger one needs more memory. "
                "Automatic takes what fits in the memory that is free."
            )
        )
        self._hints[0].setVisible(bool(self._hints[0].text()))
        self._hints[1].setText(
            self.tr(
                "Lower temperatures give steadier answers, 0 always the most likely one; higher ones surprise more. "
                "What you do not change follows the recommendation of the publisher of the model in use, where there is one."
            )
        )

    def _name_contexts(self) -> None:
        if self._context is None:
            return
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

    def _spin_box(self, name: str) -> QSpinBox | QDoubleSpinBox:
        low, high = RANGES[name]
        value = self._in_use(name)
        if isinstance(value, int):
            box = QSpinBox(minimum=int(min(low, value)), maximum=int(max(high, value)))
            indent(box)
            box.setValue(value)
            box.valueChanged.connect(lambda new: self._number_changed(name, new))
            return box
        fraction = QDoubleSpinBox(minimum=min(low, value), maximum=max(high, value), singleStep=0.05, decimals=2)
        indent(fraction)
        fraction.setValue(value)
        fraction.valueChanged.connect(lambda new: self._number_changed(name, round(new, 2)))
        return fraction

    def _in_use(self, name: str) -> int | float:
        """Return the value that counts: the user's own, the publisher's, or the usual one."""
        own: int | float | None = getattr(self._settings, name)
        usual: int | float = getattr(_USUAL, name, 0)
        return self._recommended.get(name, usual) if own is None else own

    def _number_changed(self, name: str, value: float) -> None:
        self.store(name, value)
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
                self.store(field.name, field.default)
                if field.name in RECOMMENDED:
                    self._mark(field.name)
