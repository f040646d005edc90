"""Starts the window."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from threading import Thread

from PySide6.QtCore import QCoreApplication, QEventLoop, QTimer
from PySide6.QtGui import QGuiApplication, QIcon
from PySide6.QtWidgets import QApplication

from desktop_app import reports
from desktop_app.commands.terminal import say
from desktop_app.paths import data_folder, settings_file, unusable_folder
from desktop_app.settings import Settings, load_settings
from desktop_app.ui.garbage import collect_in_pauses
from desktop_app.ui.i18n.sentences import translated
from desktop_app.ui.i18n.translate import LanguageKeeper
from desktop_app.ui.preloading import preload
from desktop_app.ui.services import Services
from desktop_app.ui.session_end import SessionEnd
from desktop_app.ui.single_instance import SingleInstance, begin
from desktop_app.ui.widgets.cursor_rest import CursorRest
from desktop_app.ui.widgets.font_weight import use_one_weight
from desktop_app.ui.widgets.fonts import use_fonts
from desktop_app.ui.widgets.icons import resource_path
from desktop_app.ui.widgets.theme import ThemeKeeper
from desktop_app.ui.window import MainWindow
from models.errors import ZhiyinError

_SETTLE_MS = 300
_LEISURE_MS = 2000
"""After the first paint, when the model is being loaded by another process and nobody has clicked yet."""


def run(arguments: Sequence[str]) -> int:
    """Open the window, with a GGUF file if one is named, until it is closed; return the exit code."""
    application = make_application()
    file = Path(arguments[0]) if arguments else None
    try:
        instance = begin(data_folder(), file)
        if instance is None:
            return 0
        restore()
        window = create_window(application, file)
    except ZhiyinError as error:
        _refuse(application, error)
        return 1
    return _live(application, window, instance)


def restore() -> None:
    """Put a backup in its place, if one was chosen the last time.

    Raises:
        ZhiyinError: a file cannot be moved; the next start goes on with it.
    """
    from desktop_app.backup import finish_restore

    try:
        aside = finish_restore(data_folder())
    except OSError as error:
        raise unusable_folder(data_folder(), error) from error
    if aside is not None:
        reports.say(ZhiyinError("The backup is in its place; what it replaced is in {folder}.", folder=aside))


def _live(application: QApplication, window: MainWindow, instance: SingleInstance) -> int:
    from desktop_app.ui.file_open import FileOpen

    def end() -> None:
        window.end()
        application.quit()

    def unusable(error: ZhiyinError) -> None:
        _show_refusal(error, window)
        window.end()
        application.exit(1)

    instance.asked.connect(window.come_forward)
    if sys.platform == "darwin":
        FileOpen(application).asked.connect(window.come_forward)
    window.services.history.unavailable.connect(unusable)
    session = SessionEnd(application, window.keep, end)
    application.aboutToQuit.connect(window.services.close)  # whatever made it quit
    window.painted.connect(partial(_follow_paint, application, window, instance))
    window.show()
    code = application.exec()
    session.close()
    instance.close()
    return code


def _follow_paint(application: QApplication, window: MainWindow, instance: SingleInstance) -> None:
    """Do what has time until the window is on the screen."""
    instance.listen()
    CursorRest(application)
    collect_in_pauses(window.services.chats)
    QTimer.singleShot(_LEISURE_MS, window, lambda: Thread(target=preload, name="preload", daemon=True).start())


def _refuse(application: QApplication, error: ZhiyinError) -> None:
    """Say in a dialog why there is no window: who opened the application with a double click sees no terminal."""
    try:
        settings = load_settings(settings_file())
    except ZhiyinError:
        settings = Settings()
    themes, languages = ThemeKeeper(application, application), LanguageKeeper()
    themes.choose(settings.theme)
    languages.choose(settings.language)
    _show_refusal(error)
    languages.close()


def _show_refusal(error: ZhiyinError, window: MainWindow | None = None) -> None:
    from PySide6.QtWidgets import QMessageBox

    say(f"zhiyin: {error}")
    box = QMessageBox(window)
    box.setIcon(QMessageBox.Icon.Critical)
    box.setWindowTitle(QCoreApplication.translate("Start", "Zhiyin cannot start"))
    box.setText(QCoreApplication.translate("Start", "Zhiyin cannot start"))
    box.setInformativeText(translated(error))
    box.addButton(QCoreApplication.translate("Start", "Close"), QMessageBox.ButtonRole.RejectRole)
    box.exec()


def make_application() -> QApplication:
    """Return the application, made on the first call."""
    existing = QApplication.instance()
    if isinstance(existing, QApplication):
        return existing
    application = QApplication([*sys.argv[:1], "-style", "Fusion"])
    application.setApplicationName("zhiyin")
    application.setApplicationDisplayName("Zhiyin 知音")
    application.setDesktopFileName("zhiyin")
    use_one_weight()
    use_fonts(application)
    QGuiApplication.setWindowIcon(QIcon(resource_path("icons", "zhiyin.svg")))
    return application


def create_window(application: QApplication, file: Path | None = None) -> MainWindow:
    """Return the main window with all that works behind it."""
    return MainWindow(Services(application, file))


def render_offscreen(path: Path) -> tuple[int, int]:
    """Draw the window into a PNG file without a screen and return its size in pixels."""
    application = make_application()
    window = create_window(application)
    window.show()
    loop = QEventLoop()
    QTimer.singleShot(_SETTLE_MS, loop.quit)
    loop.exec()
    picture = window.grab()
    picture.save(str(path))
    window.close()
    return picture.width(), picture.height()
