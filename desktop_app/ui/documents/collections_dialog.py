"""Document collections: what is in them, what could not be read, and which passages a question would get."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from PySide6.QtCore import QEvent, Qt, Signal
from PySide6.QtWidgets import (
    QComboBox,
    QFileDialog,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QListWidget,
    QMessageBox,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from desktop_app.documents.service import By, CollectionState, Progress, ShownPassage
from desktop_app.library.installed_model import InstalledModel
from desktop_app.library.model_names import identified
from desktop_app.ui.bridges.collections_bridge import CollectionsBridge
from desktop_app.ui.i18n.formats import number
from desktop_app.ui.i18n.sentences import translated
from desktop_app.ui.widgets.enabling import WORKING, enable
from desktop_app.ui.widgets.fitting_dialog import FittingDialog
from desktop_app.ui.widgets.name_question import ask_name
from models.errors import Cancelled

_COUNT = 6
_WIDTH = 820
_WAYS: tuple[By, ...] = ("both", "words", "meaning")


class CollectionsDialog(FittingDialog):
    """The page of all collections, and below it the passages for a question."""

    passages_chosen = Signal(str, str)
    """A collection's name, and passages as a text for the message."""

    models_chosen = Signal(str, str)
    """The embedding model and the reranking model of all collections, by their identifiers; "": the usual one, and none."""

    def __init__(
        self,
        bridge: CollectionsBridge,
        parent: QWidget | None = None,
        models: Sequence[InstalledModel] = (),
        chosen: tuple[str, str] = ("", ""),
    ) -> None:
        """Show what the bridge knows, and have it look again.

        Args:
            bridge: has the collections.
            parent: of the dialog.
            models: that make vectors or rank passages.
            chosen: of these; as in `models_chosen`.
        """
        super().__init__(_WIDTH, parent)
        self.setObjectName("collections")
        self._bridge = bridge
        self._found: list[ShownPassage] = []
        self._places: dict[str, int] = {}
        """Of the passages that the same question got the time before."""
        self._asked = ("", "")
        self._list = QListWidget()
        self._list.setObjectName("collectionList")
        self._list.currentRowChanged.connect(self._show_chosen)
        self._facts = QLabel(wordWrap=True, alignment=Qt.AlignmentFlag.AlignTop)
        self._facts.setTextFormat(Qt.TextFormat.PlainText)
        self._facts.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self._new, self._files, self._folder, self._look, self._remove, self._stop = (QPushButton() for _ in range(6))
        self._new.clicked.connect(self._make)
        self._files.clicked.connect(partial(self._add, folders=False))
        self._folder.clicked.connect(partial(self._add, folders=True))
        self._look.clicked.connect(lambda: bridge.update(self._name))
        self._remove.clicked.connect(self._ask_whether_to_remove)
        self._stop.clicked.connect(bridge.stop)
        self._bar = QProgressBar()
        self._bar.setRange(0, 100)
        self._question = QLineEdit()
        self._question.setObjectName("question")
        self._question.returnPressed.connect(self._search)
        self._way = QComboBox()
        self._way.activated.connect(self._search)
        self._embedders, self._rerankers = (
            self._model_box([one for one in models if one.ranks == ranks], identifier)
            for ranks, identifier in zip((False, True), chosen, strict=True)
        )
        self._search_button, self._use = QPushButton(), QPushButton()
        self._model_labels = (QLabel(), QLabel())
        self._search_button.clicked.connect(self._search)
        self._use.clicked.connect(self._choose)
        self._close = QPushButton()
        self._close.setAutoDefault(False)
        self._close.clicked.connect(self.reject)
        self._passages = QPlainTextEdit()
        self._passages.setObjectName("passages")
        self._passages.setReadOnly(True)
        self._lay_out()
        self._retranslate()
        bridge.changed.connect(self._refresh)
        bridge.progressed.connect(self._progress)
        bridge.failed.connect(self._say)
        bridge.refresh()

    def changeEvent(self, event: QEvent) -> None:  # noqa: N802  (Qt's name)
        """Follow the language."""
        super().changeEvent(event)
        if event.type() == QEvent.Type.LanguageChange:
            self._retranslate()

    @property
    def _name(self) -> str:
        chosen = self._chosen()
        return "" if chosen is None else chosen.name

    def _chosen(self) -> CollectionState | None:
        row = self._list.currentRow()
        return self._bridge.collections[row] if 0 <= row < len(self._bridge.collections) else None

    def _lay_out(self) -> None:
        buttons = QHBoxLayout()
        for button in (self._new, self._files, self._folder, self._look, self._remove, self._stop):
            button.setAutoDefault(False)
            buttons.addWidget(button)
        buttons.addStretch(1)
        top = QHBoxLayout()
        top.addWidget(self._list, 1)
        top.addWidget(self._facts, 2)
        models = QHBoxLayout()
        for label, box in zip(self._model_labels, (self._embedders, self._rerankers), strict=True):
            label.setBuddy(box)
            models.addWidget(label)
            models.addWidget(box, 1)
        asked = QHBoxLayout()
        asked.addWidget(self._question, 1)
        asked.addWidget(self._way)
        for button in (self._search_button, self._use):
            button.setAutoDefault(False)
            asked.addWidget(button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(20, 16, 20, 16)
        layout.addLayout(top, 2)
        layout.addLayout(buttons)
        layout.addWidget(self._bar)
        layout.addLayout(models)
        layout.addLayout(asked)
        layout.addWidget(self._passages, 3)
        layout.addWidget(self._close, 0, Qt.AlignmentFlag.AlignRight)

    def _model_box(self, models: Sequence[InstalledModel], chosen: str) -> QComboBox:
        """Return a box with the usual choice and some models."""
        box = QComboBox()
        box.addItem("", "")
        for model in models:
            box.addItem(model.label or model.name, model.identifier)
        current = identified(models, chosen) if chosen else None
        box.setCurrentIndex(box.findData("" if current is None else current.identifier))
        box.activated.connect(self._choose_models)
        return box

    def _choose_models(self) -> None:
        self.models_chosen.emit(self._embedders.currentData(), self._rerankers.currentData())
        self._search()

    def _retranslate(self) -> None:
        self.setWindowTitle(self.tr("Document collections"))
        self._new.setText(self.tr("New collection…"))
        self._files.setText(self.tr("Add files…"))
        self._folder.setText(self.tr("Add a folder…"))
        self._look.setText(self.tr("Look for changes"))
        self._remove.setText(self.tr("Remove…"))
        self._stop.setText(self.tr("Pause"))
        self._close.setText(self.tr("Close"))
        self._list.setAccessibleName(self.tr("Document collections"))
        self._passages.setAccessibleName(self.tr("Passages"))
        self._question.setPlaceholderText(self.tr("Which passages would a question get?"))
        self._question.setAccessibleName(self.tr("Which passages would a question get?"))
        chosen = max(0, self._way.currentIndex())
        self._way.clear()
        self._way.addItems([self.tr("Words and meaning"), self.tr("Words alone"), self.tr("Meaning alone")])
        self._way.setCurrentIndex(chosen)
        self._search_button.setText(self.tr("Search"))
        for label, words in zip(self._model_labels, (self.tr("Vectors by"), self.tr("Put in order by")), strict=True):
            label.setText(words)
            label.buddy().setAccessibleName(words)
        self._embedders.setItemText(0, self.tr("multilingual-e5-small (comes along)"))
        self._rerankers.setItemText(0, self.tr("no model"))
        self._use.setText(self.tr("Put into the message"))
        self._refresh()

    def _refresh(self) -> None:
        name = self._name
        names = [collection.name for collection in self._bridge.collections]
        if [self._list.item(row).text() for row in range(self._list.count())] != names:
            self._list.clear()
            self._list.addItems(names)
            self._list.setCurrentRow(names.index(name) if name in names else len(names) - 1)
        self._show_chosen()

    def _show_chosen(self) -> None:
        chosen, busy = self._chosen(), self._bridge.busy
        no_collection = self.tr("Make a collection first, or choose one.")
        for button in (self._files, self._folder, self._look, self._remove, self._search_button):
            enable(button, {WORKING: busy, no_collection: chosen is None})
        enable(self._new, {WORKING: busy})
        self._stop.setVisible(busy)
        self._bar.setVisible(busy)
        self._offer_use()
        if chosen is None:
            self._facts.setText(
                self.tr("A collection is a named set of files and folders, whose passages answer your questions.")
            )
            return
        files = self.tr("1 file") if chosen.files == 1 else self.tr("{count} files")
        passages = self.tr("1 passage") if chosen.passages == 1 else self.tr("{count} passages")
        counted = " · ".join(
            (
                files.format(count=number(chosen.files, 0)),
                passages.format(count=number(chosen.passages, 0)),
            )
        )
        failed = [translated(error) for error in chosen.failed[:20]]
        self._facts.setText("\n".join([counted, *chosen.sources, *failed]))

    def _progress(self, progress: Progress) -> None:
        self._bar.setValue(int(100 * progress.part))
        reading = self.tr("Reading {name} · %p%").format(name=Path(progress.reading).name.replace("%", "%%"))
        self._bar.setFormat(reading if progress.reading else self.tr("Making vectors · %p%"))

    def _make(self) -> None:
        if name := ask_name(self, self.tr("New collection"), self.tr("Its name:")):
            self._bridge.update(name[:100])

    def _add(self, *, folders: bool) -> None:
        dialog = QFileDialog(self, self.tr("Add to the collection"))
        dialog.setFileMode(QFileDialog.FileMode.Directory if folders else QFileDialog.FileMode.ExistingFiles)
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.filesSelected.connect(self.add)
        dialog.open()

    def add(self, paths: list[str]) -> None:
        """Add files and folders to the chosen collection."""
        self._bridge.update(self._name, tuple(Path(path).resolve() for path in paths))

    def _ask_whether_to_remove(self) -> None:
        box = QMessageBox(self)
        box.setTextFormat(Qt.TextFormat.PlainText)
        box.setText(self.tr("Remove the collection {name}?").format(name=self._name))
        box.setInformativeText(self.tr("What was made of its files is deleted; the files themselves stay."))
        remove = box.addButton(self.tr("Remove"), QMessageBox.ButtonRole.DestructiveRole)
        box.setDefaultButton(box.addButton(self.tr("Keep"), QMessageBox.ButtonRole.RejectRole))
        box.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        remove.clicked.connect(partial(self._bridge.remove, self._name))
        box.open()

    def _search(self) -> None:
        question = self._question.text().strip()
        if question and self._search_button.isEnabled():
            self._passages.setPlainText(self.tr("Searching…"))
            same = self._asked == (self._name, question)
            self._places = {passage.text: place for place, passage in enumerate(self._found, 1)} if same else {}
            self._asked = (self._name, question)
            way = _WAYS[max(0, self._way.currentIndex())]
            reranks = bool(self._rerankers.currentData())
            self._bridge.search(self._name, question, way, _COUNT, reranks, self._show_found, self._say)

    def _show_found(self, passages: list[ShownPassage]) -> None:
        self._found = passages
        self._offer_use()
        nothing = self.tr("Nothing in this collection has to do with the question.")
        self._passages.setPlainText("\n\n".join(self._written(n, p) for n, p in enumerate(passages, 1)) or nothing)

    def _offer_use(self) -> None:
        enable(
            self._use,
            {self.tr("Search for passages first; what is found can be put into the message."): not self._found},
        )

    def _written(self, place: int, passage: ShownPassage) -> str:
        words = "–" if passage.lexical is None else number(passage.lexical, 2)
        meaning = "–" if passage.vector is None else number(passage.vector, 3)
        scores = self.tr("words {words}, meaning {meaning}").format(words=words, meaning=meaning)
        if passage.rerank is not None:
            scores += self.tr(", ") + self.tr("in order by {score}").format(score=number(passage.rerank, 3))
        return f"[{place}] {self._source(passage)} · {scores}{self._compared(place, passage)}\n{passage.text}"

    def _compared(self, place: int, passage: ShownPassage) -> str:
        """Return where a passage was before a setting was changed."""
        if not self._places:
            return ""
        before = self._places.get(passage.text)
        if before is None:
            return " · " + self.tr("not found before")
        return "" if before == place else " · " + self.tr("before: [{place}]").format(place=before)

    def _source(self, passage: ShownPassage) -> str:
        name = Path(passage.file).name
        return self.tr("{name}, page {page}").format(name=name, page=passage.page) if passage.page else name

    def _choose(self) -> None:
        quoted = (f"[{n}] {self._source(p)}\n{p.text}" for n, p in enumerate(self._found, 1))
        asked = self.tr("Answer from these passages, and name the number of each one that you use.")
        self.passages_chosen.emit(self._name, "\n\n".join([asked, *quoted]))
        self.accept()

    def _say(self, error: Exception) -> None:
        if not isinstance(error, Cancelled):
            self._passages.setPlainText(translated(error))
