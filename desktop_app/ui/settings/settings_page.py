"""The settings: a page with sections, each of which is made when it is looked at; every change counts at once."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QCloseEvent, QResizeEvent, QShowEvent
from PySide6.QtWidgets import (
    QComboBox,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QListWidgetItem,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from desktop_app.ui.services import Services
from desktop_app.ui.settings.about_section import AboutSection
from desktop_app.ui.settings.appearance_section import AppearanceSection
from desktop_app.ui.settings.chat_section import CONTEXTS, ChatSection
from desktop_app.ui.settings.engine_page import EnginePage
from desktop_app.ui.settings.general_section import GeneralSection
from desktop_app.ui.settings.models_section import ModelsSection
from desktop_app.ui.settings.network_section import NetworkSection
from desktop_app.ui.settings.privacy_section import PrivacySection
from desktop_app.ui.settings.section import Section
from desktop_app.ui.settings.sections import SECTIONS, SectionName, section_titles
from desktop_app.ui.settings.shortcuts_page import KeysPage
from desktop_app.ui.settings.tools_page import ToolsPage
from desktop_app.ui.shortcuts import SHORTCUTS
from desktop_app.ui.widgets.centred import centre
from desktop_app.ui.widgets.fitting_dialog import ScrollingPage
from desktop_app.ui.widgets.icons import IconButton

_WIDEST = 860
_LIST_WIDTH = 176
_NARROW = 600


class SettingsPage(QWidget):
    """A list of sections and the one that is chosen."""

    changed = Signal(str)
    """The name of the setting."""
    trash_asked = Signal()
    tools_changed = Signal()
    """Other MCP servers are there, or other ones are on."""
    closed = Signal()

    def __init__(self, services: Services, parent: QWidget | None = None) -> None:
        """Show the first section, with what the model in use makes of the settings."""
        super().__init__(parent)
        self._services = services
        self._made: dict[SectionName, QWidget] = {}
        self._scrolling: dict[SectionName, ScrollingPage] = {}
        self._title = QLabel()
        self._title.setObjectName("title")
        self._close = IconButton("close")
        self._close.clicked.connect(self.close)
        self._list = QListWidget()
        self._list.setObjectName("sections")
        self._list.setFixedWidth(_LIST_WIDTH)
        self._list.setFocusPolicy(Qt.FocusPolicy.TabFocus)
        for name in SECTIONS:
            item = QListWidgetItem()
            item.setData(Qt.ItemDataRole.UserRole, name)
            self._list.addItem(item)
        self._choice = QComboBox()
        """Instead of the list where the page is narrow."""
        self._choice.addItems([""] * len(SECTIONS))
        self._stack = QStackedWidget()
        self._lay_out()
        self._list.currentRowChanged.connect(self._turn)
        self._choice.currentIndexChanged.connect(self._list.setCurrentRow)
        self._retranslate()
        self._list.setCurrentRow(0)

    @property
    def field(self) -> QWidget:
        """The field with the keyboard focus, or the last one."""
        focused = self.focusWidget()
        return focused if focused not in (None, self._close) else self._choice if self._list.isHidden() else self._list

    def show_section(self, name: SectionName) -> QWidget:
        """Turn to a section and return it."""
        self._list.setCurrentRow(SECTIONS.index(name))
        return self._made[name]

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._retranslate()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        """Give a narrow page's width to its section."""
        super().resizeEvent(event)
        narrow = self.width() < _NARROW
        self._list.setVisible(not narrow)
        self._choice.setVisible(narrow)

    def showEvent(self, event: QShowEvent) -> None:  # noqa: N802
        """Give the sections their height, which they get from the style sheet."""
        super().showEvent(event)
        self._list.doItemsLayout()

    def closeEvent(self, event: QCloseEvent) -> None:  # noqa: N802
        """Tell the window to show something else."""
        super().closeEvent(event)
        self.closed.emit()

    def _lay_out(self) -> None:
        head = QHBoxLayout()
        head.addWidget(self._title, 1)
        head.addWidget(self._close, 0, Qt.AlignmentFlag.AlignTop)
        body = QHBoxLayout()
        body.setSpacing(20)
        body.setContentsMargins(0, 0, 0, 0)
        body.addWidget(self._list)
        body.addWidget(self._stack, 1)
        column = QVBoxLayout()
        column.setContentsMargins(20, 8, 12, 12)
        column.setSpacing(12)
        column.addLayout(head)
        column.addWidget(self._choice)
        column.addLayout(body, 1)
        centre(self, column, _WIDEST)

    def _retranslate(self) -> None:
        self._title.setText(self.tr("Settings"))
        self._close.set_words(self.tr("Back to the chat"), SHORTCUTS.text("stop"))
        for chooser in (self._list, self._choice):
            chooser.setAccessibleName(self.tr("Sections"))
        for row, title in enumerate(section_titles()):
            self._list.item(row).setText(title)
            self._choice.setItemText(row, title)

    def _turn(self, row: int) -> None:
        self._choice.setCurrentIndex(row)
        self._show(SECTIONS[row])

    def _show(self, name: SectionName) -> None:
        if name not in self._made:
            section = self._made[name] = self._makers()[name]()
            if isinstance(section, Section):
                section.changed.connect(self.changed)
            self._scrolling[name] = ScrollingPage(section)
            self._stack.addWidget(self._scrolling[name])
        self._stack.setCurrentWidget(self._scrolling[name])

    def _makers(self) -> dict[SectionName, Callable[[], QWidget]]:
        services, settings = self._services, self._services.settings
        return {
            "general": lambda: GeneralSection(settings),
            "appearance": lambda: AppearanceSection(settings),
            "chat": self._make_chat,
            "tools": self._make_tools,
            "models": lambda: ModelsSection(settings, services.library, services.conversions, services.storage),
            "network": lambda: NetworkSection(settings, services.tokens),
            "engine": lambda: EnginePage(services.engine_parts),
            "privacy": self._make_privacy,
            "shortcuts": lambda: KeysPage(settings),
            "about": lambda: AboutSection(settings, services.models.state),
        }

    def _make_chat(self) -> ChatSection:
        section = ChatSection(self._services.settings, self._services.models.state)
        self._services.models.find_contexts(CONTEXTS, section.show_contexts)
        return section

    def _make_tools(self) -> ToolsPage:
        page = ToolsPage()
        page.changed.connect(self.tools_changed)
        self.closed.connect(page.close_threads)
        return page

    def _make_privacy(self) -> PrivacySection:
        section = PrivacySection(self._services.settings)
        section.trash_asked.connect(self.trash_asked)
        return section
