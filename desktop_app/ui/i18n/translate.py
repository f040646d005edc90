"""Translations, read straight from Qt Linguist's .ts files: no compiled files to build, nothing to forget."""

from __future__ import annotations

from PySide6.QtCore import QCoreApplication, QLibraryInfo, QLocale, QTranslator

import resources

LANGUAGES = {"en": "English", "zh_CN": "简体中文", "zh_TW": "繁體中文"}
_NEXT = {"zh_TW": "zh_CN"}
"""What is shown where a language still lacks a text."""
_TRADITIONAL = {"hant", "tw", "hk", "mo"}


def to_translate(context: str, text: str) -> str:
    """Mark a text that is translated where it is shown; `context` is where the .ts file has it."""
    return text


OF_QT = (
    to_translate("QFileDialog", "&Look in:"),
    to_translate("QFileDialog", "Files of &type:"),
    to_translate("QAbstractFileIconProvider", "Drive"),
    to_translate("QAbstractFileIconProvider", "Folder"),
    to_translate("QAbstractFileIconProvider", "File Folder"),
)
"""Words of Qt's own dialogs that its Chinese file lacks."""


class TsTranslator(QTranslator):
    """Serves the finished entries of a .ts file."""

    def __init__(self, language: str) -> None:
        """Read resources/translations/zhiyin_<language>.ts."""
        super().__init__()
        text = (resources.FOLDER / "translations" / f"zhiyin_{language}.ts").read_text("utf-8")
        self._entries = read_ts(text)

    def translate(self, context: str, source: str, disambiguation: str | None = None, n: int = -1) -> str | None:
        """Return the translation, or None: Qt goes on to the next translator, at last to the source text."""
        return self._entries.get((context, source))

    def isEmpty(self) -> bool:  # noqa: N802  (Qt's name)
        """Tell Qt that there is something to serve."""
        return not self._entries


def read_ts(text: str) -> dict[tuple[str, str], str]:
    """Return the finished entries: (context, source) to the translation."""
    from xml.etree import ElementTree

    entries: dict[tuple[str, str], str] = {}
    for context in ElementTree.fromstring(text).iter("context"):  # noqa: S314  (a file of the application itself)
        name = context.findtext("name", "")
        for message in context.iter("message"):
            translation = message.find("translation")
            if translation is not None and translation.text and translation.get("type") is None:
                entries[name, message.findtext("source", "")] = translation.text
    return entries


def system_language() -> str:
    """Return the language of `LANGUAGES` that the system's user reads first."""
    for tag in QLocale.system().uiLanguages():
        language, *others = tag.replace("_", "-").lower().split("-")
        if language == "zh":
            return "zh_TW" if _TRADITIONAL & set(others) else "zh_CN"
        if language == "en":
            return "en"
    return "en"


class LanguageKeeper:
    """Installs the translators of one language; widgets hear of it as a LanguageChange event."""

    def __init__(self) -> None:
        """Nothing is installed yet."""
        self.language = ""
        self._installed: list[QTranslator] = []

    def choose(self, language: str) -> None:
        """Use a language of `LANGUAGES`, or "system"."""
        language = system_language() if language == "system" else language
        if language == self.language:
            return
        self.close()
        self.language = language
        of_qt = QTranslator()
        of_qt.load(f"qtbase_{language}", QLibraryInfo.path(QLibraryInfo.LibraryPath.TranslationsPath))
        # The sources are English, so English needs no file. The last one installed is asked first.
        own = [name for name in (_NEXT.get(language), language) if name not in (None, "en")]
        self._installed = [of_qt, *map(TsTranslator, filter(None, own))]
        QLocale.setDefault(QLocale(language))
        for translator in self._installed:
            QCoreApplication.installTranslator(translator)

    def close(self) -> None:
        """Go back to the texts of the source."""
        for translator in self._installed:
            QCoreApplication.removeTranslator(translator)
        self._installed, self.language = [], ""
