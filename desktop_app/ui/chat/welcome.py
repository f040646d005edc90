"""The empty chat: a greeting, what to try, and what the model in use is good for."""

from __future__ import annotations

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtSvgWidgets import QSvgWidget
from PySide6.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from desktop_app.chat.assistants import Assistant
from desktop_app.remote.addresses import place_of
from desktop_app.ui.i18n.translate import to_translate
from desktop_app.ui.models.model_session import EngineState
from desktop_app.ui.widgets.centred import CentredPage
from desktop_app.ui.widgets.icons import resource_path

_COLUMN = 588
_LOW = 400
"""Below this height, in pixels, the logo makes room."""
_IDEAS = (
    to_translate("Welcome", "Explain why the sky is blue, in two sentences."),
    to_translate("Welcome", "Write a short, friendly birthday message."),
    to_translate("Welcome", "Give me three ideas for a quick dinner."),
)


class Welcome(CentredPage):
    """The first thing that a user sees."""

    suggested = Signal(str)
    import_asked = Signal()
    catalogue_asked = Signal()
    assistants_asked = Signal()

    def __init__(self, parent: QWidget | None = None) -> None:
        """Begin without a model."""
        super().__init__(parent)
        self._state = EngineState()
        self._has_models = True
        self._assistant: Assistant | None = None
        self._choose = QPushButton()
        self._choose.setObjectName("chooseAssistant")
        self._choose.clicked.connect(self.assistants_asked)
        self._logo = QSvgWidget(resource_path("icons", "zhiyin.svg"))
        self._logo.setFixedSize(56, 56)
        self._title = QLabel(alignment=Qt.AlignmentFlag.AlignCenter, wordWrap=True)
        self._title.setObjectName("title")
        self._note = QLabel(alignment=Qt.AlignmentFlag.AlignCenter, wordWrap=True)
        self._note.setObjectName("muted")
        self._ideas = [QPushButton() for _ in _IDEAS]
        for idea in self._ideas:
            idea.setObjectName("idea")
            idea.clicked.connect(lambda _, idea=idea: self.suggested.emit(idea.text()))
        self._models = QPushButton()
        self._models.setObjectName("primary")
        self._models.clicked.connect(self.catalogue_asked)
        self._import = QPushButton()
        self._import.clicked.connect(self.import_asked)
        self.set_content(self._column(), _COLUMN)
        self._retranslate()

    def show_state(self, state: EngineState, *, has_models: bool) -> None:
        """Fit the note to the model."""
        self._state, self._has_models = state, has_models
        self._retranslate()

    def show_assistant(self, assistant: Assistant | None) -> None:
        """Greet with the assistant that the new chat has; None: with none."""
        self._assistant = assistant
        self._retranslate()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._retranslate()

    def resizeEvent(self, event: QResizeEvent) -> None:  # noqa: N802
        """Leave the logo out of a low window."""
        super().resizeEvent(event)
        self._logo.setVisible(self.height() >= _LOW)

    def _column(self) -> QVBoxLayout:
        column = QVBoxLayout()
        column.setContentsMargins(14, 8, 14, 8)
        column.setSpacing(10)
        column.addStretch(2)
        column.addWidget(self._logo, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addWidget(self._title)
        column.addSpacing(8)
        for idea in self._ideas:
            column.addWidget(idea)
        column.addWidget(self._choose, 0, Qt.AlignmentFlag.AlignHCenter)
        column.addSpacing(8)
        column.addWidget(self._note)
        buttons = QHBoxLayout()
        buttons.addStretch()
        buttons.addWidget(self._models)
        buttons.addWidget(self._import)
        buttons.addStretch()
        column.addLayout(buttons)
        column.addStretch(3)
        return column

    def _retranslate(self) -> None:
        starter = self._state.model is not None and self._state.model.starter
        name = self._assistant.name if self._assistant is not None else ""
        self._title.setText(name or self.tr("What shall we talk about?"))
        self._choose.setText(self.tr("Choose another assistant…") if name else self.tr("Choose an assistant…"))
        self._choose.setVisible(self._has_models)
        for button, idea in zip(self._ideas, _IDEAS, strict=True):
            button.setText(idea if starter else self.tr(idea))  # the starter model understands English only
            button.setVisible(self._has_models and not name)
        self._import.setText(self.tr("Add a model…"))
        self._models.setText(self.tr("Get models"))
        for button in (self._models, self._import):
            button.setVisible(starter or not self._has_models)
        self._note.setText(self._words(starter))

    def _words(self, starter: bool) -> str:
        if not self._has_models:
            return self.tr("No model is installed yet. Add one, or drop its file or folder on this window.")
        if starter:
            return self.tr(
                "You are talking to SmolLM2-135M, a tiny English model that comes along so that you can begin at once. "
                "It makes many mistakes; get a larger one for real work."
            )
        model = self._state.model
        if model is not None and model.remote:
            return self.tr("This model is not on this computer: what you write is sent to {place}.").format(
                place=place_of(model.remote)
            )
        return self.tr("Everything stays on this computer.")
