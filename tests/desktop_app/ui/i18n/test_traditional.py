"""Traditional Chinese as it is written in Taiwan: every text, its own terms, no sign of Simplified Chinese."""

from __future__ import annotations

import pytest
from PySide6.QtCore import QCoreApplication, QLocale
from PySide6.QtWidgets import QApplication

from desktop_app.ui.i18n.translate import LanguageKeeper, read_ts, system_language
from tests.support.sentences import placeholders
from tests.update_translations import TRADITIONAL, TRANSLATIONS

SIMPLIFIED = set(
    "这们来时对会说问题变实个么开关选设网络载显应务级经过还进远连"
    "传输读写词汇数据库录权没现认识简单动态错误复条页图标签质环线维护层"
)
"""Some of the commonest signs that Traditional Chinese writes otherwise."""
OF_TAIWAN = {
    "软件": "軟體",
    "内存": "記憶體",
    "文件": "檔案",
    "默认": "預設",
    "网络": "網路",
    "程序": "程式",
    "设置": "設定",
    "搜索": "搜尋",
    "剪贴板": "剪貼簿",
    "服务器": "伺服器",
    "线程": "執行緒",
    "磁盘": "磁碟",
}
MAINLAND = (
    "內存",
    "文件夾",
    "默認",
    "網絡",
    "服務器",
    "軟件",
    "硬件",
    "屏幕",
    "線程",
    "磁盤",
    "介面卡",
    "詞元后",
    "“",
    "地址",
    "視頻",
)


def entries() -> dict[tuple[str, str], str]:
    return read_ts(TRADITIONAL.read_text("utf-8"))


def simplified() -> dict[tuple[str, str], str]:
    return read_ts(TRANSLATIONS.read_text("utf-8"))


def test_every_text_exists_and_keeps_its_values() -> None:
    theirs, ours = simplified(), entries()
    assert set(theirs) - set(ours) == set(), "translate these too"
    assert set(ours) - set(theirs) == set()
    for key, text in ours.items():
        assert placeholders(text) == placeholders(theirs[key]), key


def test_it_is_written_as_in_taiwan() -> None:
    wrong = {
        text: found
        for text in entries().values()
        if (found := sorted(SIMPLIFIED & set(text)) + [term for term in MAINLAND if term in text])
    }
    assert wrong == {}
    whole = "".join(entries().values())
    assert {term for term in OF_TAIWAN.values() if term in whole} >= {
        "軟體",
        "記憶體",
        "檔案",
        "預設",
        "網路",
        "設定",
        "搜尋",
    }


@pytest.mark.parametrize(
    ("tags", "language"),
    [
        (["zh-Hant-TW"], "zh_TW"),
        (["zh_HK", "en"], "zh_TW"),
        (["zh-CN"], "zh_CN"),
        (["zh-Hans-SG"], "zh_CN"),
        (["fr-FR", "zh-TW"], "zh_TW"),
        (["de"], "en"),
    ],
)
def test_the_systems_language_is_recognised(monkeypatch: pytest.MonkeyPatch, tags: list[str], language: str) -> None:
    monkeypatch.setattr(QLocale, "uiLanguages", lambda _: tags)
    assert system_language() == language


def test_what_is_lacking_is_shown_in_simplified_chinese(application: QApplication) -> None:
    languages = LanguageKeeper()
    languages.choose("zh_TW")
    try:
        assert QCoreApplication.translate("SettingsPage", "Settings") == "設定"
        [_, simplified_first, traditional_last] = languages._installed
        traditional_last._entries.pop(("SettingsPage", "Settings"))  # type: ignore[attr-defined]
        assert QCoreApplication.translate("SettingsPage", "Settings") == "设置"
        assert simplified_first is not traditional_last
    finally:
        languages.close()
