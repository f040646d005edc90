"""No label shows Markdown's marks of a command."""

from __future__ import annotations

from PySide6.QtWidgets import QApplication, QLabel

from desktop_app.settings import Settings
from desktop_app.ui.bridges.tokens_bridge import TokensBridge
from desktop_app.ui.i18n.sentences import translated
from desktop_app.ui.i18n.translate import LanguageKeeper
from desktop_app.ui.settings.network_section import NetworkSection
from models.errors import ZhiyinError


def test_a_command_stands_between_quotation_marks(application: QApplication) -> None:
    error = ZhiyinError("The engine does not work here ({reason}); run `zhiyin doctor`.", reason="a `b` c")
    keeper = LanguageKeeper()
    keeper.choose("en")
    assert translated(error).endswith("(a `b` c); run “zhiyin doctor”."), "values stay as they are"
    keeper.choose("zh_TW")
    assert "「zhiyin doctor」" in translated(error)
    keeper.choose("zh_CN")
    assert "“zhiyin doctor”" in translated(error)
    keeper.close()


def test_the_settings_of_the_network_show_no_marks(application: QApplication) -> None:
    settings = Settings()
    section = NetworkSection(settings, TokensBridge(settings))
    assert any("zhiyin worker" in label.text() for label in section.findChildren(QLabel))
    assert not any("`" in label.text() for label in section.findChildren(QLabel))
