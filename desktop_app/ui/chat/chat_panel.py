"""The panel of the open chat's own settings: instructions, sampling, the load plan. Closed at first."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QEvent, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QLabel, QVBoxLayout, QWidget

from desktop_app.settings import SAMPLED, Settings
from desktop_app.ui.models.model_session import LoadOverrides
from desktop_app.ui.services import Services
from desktop_app.ui.widgets.fitting_dialog import ScrollingPage
from desktop_app.ui.widgets.icons import IconButton

if TYPE_CHECKING:
    from desktop_app.ui.chat.load_plan_box import LoadPlanBox
    from desktop_app.ui.settings.chat_section import ChatSection

_WIDTH = 320


class ChatPanel(QFrame):
    """A form over the open chat's choices; what is not chosen follows the settings."""

    closed = Signal()

    def __init__(self, services: Services) -> None:
        """Begin closed, and empty until it is opened."""
        super().__init__()
        self._services = services
        self._section: ChatSection | None = None
        self._plan: LoadPlanBox | None = None
        self.setObjectName("chatPanel")
        self.setFixedWidth(_WIDTH)
        services.chats.list.opened.connect(self._refresh)
        services.models.changed.connect(lambda state: self._refresh() if state.kind in ("ready", "none") else None)
        self.hide()

    def _fill(self) -> LoadPlanBox:
        from desktop_app.ui.chat.load_plan_box import LoadPlanBox

        self._title = QLabel()
        self._title.setObjectName("dialogTitle")
        self._close = IconButton("close", size=16)
        self._close.clicked.connect(self.closed)
        head = QHBoxLayout()
        head.addWidget(self._title, 1)
        head.addWidget(self._close)
        page = QWidget()
        self._column = QVBoxLayout(page)
        self._column.setContentsMargins(0, 0, 0, 0)
        plan = LoadPlanBox()
        plan.wished.connect(self._load)
        self._column.addWidget(plan)
        self._column.addStretch()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(14, 10, 4, 10)
        layout.addLayout(head)
        layout.addWidget(ScrollingPage(page), 1)
        self._retranslate()
        return plan

    def open(self) -> None:
        """Show the panel, as things are now."""
        if self._plan is None:
            self._plan = self._fill()
        self.show()
        self._refresh()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange and self._plan is not None:
            self._retranslate()

    def _retranslate(self) -> None:
        self._title.setText(self.tr("This chat"))
        self._close.set_words(self.tr("Close"))

    def _refresh(self) -> None:
        """Show the open chat's choices; while the panel is closed nothing is made."""
        plan = self._plan
        if self.isHidden() or plan is None:
            return
        from desktop_app.ui.settings.chat_section import CONTEXTS, ChatSection

        if self._section is not None:
            self._column.removeWidget(self._section)
            self._section.hide()
            self._section.deleteLater()
        state = self._services.models.state
        section = self._section = ChatSection(self._as_settings(), state, shows_context=False)
        section.changed.connect(lambda name: self._choose(name, section))
        self._column.insertWidget(0, section)
        plan.hide()
        self._services.models.find_contexts(
            sorted({*CONTEXTS, state.context} - {0}), lambda plans: plan.show_plans(plans, state.context)
        )

    def _as_settings(self) -> Settings:
        """Return the settings as they count for the chat."""
        own = self._services.chats.list.current.choices
        values: dict[str, Any] = dict(own.sampling)
        if own.instructions is not None:
            values["system_prompt"] = own.instructions
        return replace(self._services.settings, **values)

    def _choose(self, name: str, section: ChatSection) -> None:
        """Store a value for the chat, unless it is what the settings say."""
        chats, general = self._services.chats, self._services.settings
        value = getattr(section.settings, name)
        if name == "system_prompt":
            chats.list.choose(instructions=None if value == general.system_prompt else value)
        elif name in SAMPLED:
            sampling = {other: kept for other, kept in chats.list.current.choices.sampling.items() if other != name}
            same = value is None or value == getattr(general, name)
            chats.list.choose(sampling=sampling if same else {**sampling, name: value})

    def _load(self, context: int) -> None:
        self._services.models.reload_with(LoadOverrides(context))
