"""Models that are here twice: found by the checksums of their files, shown in groups, one of each group to be removed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import (
    QDialogButtonBox,
    QLabel,
    QProgressBar,
    QPushButton,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from desktop_app.library.installed_model import InstalledModel
from desktop_app.library.other_programs import FoundModel
from desktop_app.ui.i18n.formats import size
from desktop_app.ui.i18n.sentences import translated
from desktop_app.ui.services import Services
from desktop_app.ui.widgets.enabling import UNCHOSEN, enable
from desktop_app.ui.widgets.fitting_dialog import FittingDialog
from models.visible import visible

if TYPE_CHECKING:
    from desktop_app.library.duplicates import Held

_WIDTH = 720
_LOWEST_LIST = 180
_PARTS = 1000


class DuplicatesDialog(FittingDialog):
    """Reads files of the same size, then lists those with the same bytes."""

    removal_asked = Signal(object)
    """A model of ours (`InstalledModel`)."""

    def __init__(self, services: Services, parent: QWidget) -> None:
        """Begin to read."""
        super().__init__(_WIDTH, parent)
        self.setWindowTitle(self.tr("Duplicates"))
        self._words = QLabel(self.tr("Reading models of the same size…"), wordWrap=True)
        self._bar = QProgressBar(textVisible=False, maximum=_PARTS)
        self._bar.setFixedHeight(4)
        self._tree = QTreeWidget(columnCount=2)
        self._tree.setObjectName("offers")
        self._tree.setHeaderHidden(True)
        self._tree.setAccessibleName(self.tr("Duplicates"))
        self._tree.setMinimumHeight(_LOWEST_LIST)
        self._tree.setTextElideMode(Qt.TextElideMode.ElideMiddle)
        self._tree.currentItemChanged.connect(lambda *_: self._show())
        self._tree.hide()
        self._remove = QPushButton(self.tr("Remove…"))
        self._remove.clicked.connect(self._ask_removal)
        self._remove.hide()
        self._lay_out()
        self._stop = services.model_care.find_duplicates(self, self._read, self._found, self._failed)

    def done(self, result: int) -> None:
        """Stop what is being read."""
        self._stop.set()
        super().done(result)

    def _lay_out(self) -> None:
        page = QWidget()
        column = QVBoxLayout(page)
        column.setContentsMargins(20, 16, 20, 8)
        column.setSpacing(10)
        for part in (self._words, self._bar, self._tree):
            column.addWidget(part)
        buttons = QDialogButtonBox()
        buttons.addButton(self._remove, QDialogButtonBox.ButtonRole.ActionRole)
        buttons.addButton(self.tr("Close"), QDialogButtonBox.ButtonRole.RejectRole)
        buttons.rejected.connect(self.reject)
        self.set_content(page, buttons)

    @property
    def _held(self) -> Held | None:
        item = self._tree.currentItem()
        held = item.data(0, Qt.ItemDataRole.UserRole) if item is not None else None
        return held if isinstance(held, InstalledModel | FoundModel) else None

    def _kept_by(self, model: FoundModel) -> str:
        return self.tr("{program} keeps this file; remove it there.").format(program=model.program)

    def _read(self, done: int, total: int) -> None:
        self._bar.setValue(round(_PARTS * done / max(1, total)))

    def _found(self, groups: list[tuple[Held, ...]]) -> None:
        from desktop_app.library.duplicates import taken_twice

        self._bar.hide()
        twice = self.tr("{size} are taken twice. Each group has the same bytes under several names.")
        none = self.tr("No model is here twice.")
        self._words.setText(twice.format(size=size(taken_twice(groups))) if groups else none)
        for group in groups:
            top = QTreeWidgetItem([self.tr("{count} × {size}").format(count=len(group), size=size(group[0].bytes)), ""])
            self._tree.addTopLevelItem(top)
            for model in group:
                top.addChild(self._row(model))
        self._tree.expandAll()
        self._tree.resizeColumnToContents(0)
        self._tree.setVisible(bool(groups))
        self._remove.setVisible(bool(groups))
        self._show()

    def _row(self, model: Held) -> QTreeWidgetItem:
        if isinstance(model, InstalledModel):
            name, tip = model.label or model.name, ""
        else:
            name, tip = f"{model.program}: {model.name}", self._kept_by(model)
        row = QTreeWidgetItem([visible(name), visible(str(model.path))])
        row.setData(0, Qt.ItemDataRole.UserRole, model)
        row.setToolTip(0, tip)
        row.setToolTip(1, visible(str(model.path)))
        return row

    def _show(self) -> None:
        held, comes_with = self._held, self.tr("This model comes with Zhiyin: it keeps its name and stays.")
        elsewhere = self._kept_by(held) if isinstance(held, FoundModel) else ""
        starter = isinstance(held, InstalledModel) and held.starter
        enable(self._remove, {UNCHOSEN: held is None, elsewhere: bool(elsewhere), comes_with: starter})
        self.fit()

    def _failed(self, error: Exception) -> None:
        self._bar.hide()
        self._words.setText(translated(error))
        self.fit()

    def _ask_removal(self) -> None:
        self.removal_asked.emit(self._held)
        self.reject()
