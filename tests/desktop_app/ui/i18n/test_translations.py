"""Every word of the window exists in Simplified Chinese, core sentences included."""

from __future__ import annotations

import ast
import re
from importlib.resources import files
from pathlib import Path

import pytest
from PySide6.QtCore import QCoreApplication, Qt
from PySide6.QtWidgets import QApplication, QFileDialog, QFileSystemModel, QLabel, QPushButton

import desktop_app.ui
from converter.gguf_header import read_gguf_header
from desktop_app.chat.history import History, HistoryError
from desktop_app.engine import client
from desktop_app.engine.llama import runner as llama_runner
from desktop_app.library.installed import Library
from desktop_app.ui.i18n.sentences import CONTEXT, translated
from desktop_app.ui.i18n.translate import OF_QT, LanguageKeeper, TsTranslator, read_ts
from desktop_app.ui.i18n.window_words import WINDOW_WORDS
from models.errors import ZhiyinError
from models.sentence import Sentence
from tests.support.sentences import placeholders, templates
from tests.update_translations import TRANSLATIONS, update

FOLDER = Path(desktop_app.ui.__file__).parent
OF_THE_TERMINAL = (" --", "HF_TOKEN", "HF_ENDPOINT", "ZHIYIN_HOME", "zhiyin pull", "{variable}")
CHINESE = re.compile(r"[\u4e00-\u9fff]")


def sources() -> set[tuple[str, str]]:
    """Return what the code asks to be translated: (context, text)."""
    found = {(CONTEXT, template) for template in templates()}
    for path in FOLDER.rglob("*.py"):
        for node in ast.parse(path.read_text("utf-8")).body:
            context = node.name if isinstance(node, ast.ClassDef) else ""
            for call in (part for part in ast.walk(node) if isinstance(part, ast.Call)):
                found |= set(_texts(call, context))
    return found


def _texts(call: ast.Call, context: str) -> list[tuple[str, str]]:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    constants = [part.value for part in call.args if isinstance(part, ast.Constant)]
    if name == "tr" and constants:
        return [(context, constants[0])]
    if name in ("translate", "to_translate") and len(constants) == 2:
        return [(constants[0], constants[1])]
    return []


def entries() -> dict[tuple[str, str], str]:
    return read_ts(files("resources").joinpath("translations", "zhiyin_zh_CN.ts").read_text("utf-8"))


def test_every_text_has_a_finished_translation_and_no_other_is_kept() -> None:
    assert len(sources()) > 500
    assert sources() - set(entries()) == set(), (
        "run python -m tests.update_translations and translate what is unfinished"
    )
    assert set(entries()) - sources() == set()


def test_qts_own_tool_finds_every_text(tmp_path: Path) -> None:
    copy = tmp_path / TRANSLATIONS.name
    copy.write_bytes(TRANSLATIONS.read_bytes())
    update(copy)
    assert copy.read_text("utf-8") == TRANSLATIONS.read_text("utf-8")


def test_translations_are_chinese_and_keep_the_placeholders() -> None:
    same_in_both = {"Top-k", "Top-p", "Min-p", "{text} ({keys})", "{setting}: {value}"}
    of_signs_alone = {
        ", ",
        "; ",
        " MB",
        "{part} ({size}): {state}",
        "{choice} {reason}",
        "{quant}, {placement}, {context}: {places}.",
    }
    for (_, source), translation in entries().items():
        assert source in same_in_both | of_signs_alone or CHINESE.search(translation), source
        kept = placeholders(translation)
        if source in WINDOW_WORDS:
            assert kept <= placeholders(source), source
        else:
            assert kept == placeholders(source), source


def test_the_windows_own_words_belong_to_sentences_of_the_core() -> None:
    assert set(WINDOW_WORDS) - templates() == set()
    for template, words in WINDOW_WORDS.items():
        assert placeholders(words) <= placeholders(template), template
        assert not [option for option in OF_THE_TERMINAL if option in words + entries()[CONTEXT, template]], template


def test_unfinished_entries_are_not_served() -> None:
    text = (
        '<TS><context><name>A</name><message><source>x</source><translation type="unfinished">甲</translation></message>'
        "<message><source>y</source><translation>乙</translation></message></context></TS>"
    )
    assert read_ts(text) == {("A", "y"): "乙"}
    assert TsTranslator("zh_CN").translate("Composer", "Send") == "发送"


def failure_of(path: Path) -> ZhiyinError:
    with pytest.raises(ZhiyinError) as caught:
        read_gguf_header(path)
    return caught.value


def test_real_sentences_of_the_core_come_out_in_chinese(
    application: QApplication, tmp_path: Path, starter_gguf: Path
) -> None:
    text = tmp_path / "notes.gguf"
    text.write_text("hello")
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(starter_gguf.read_bytes()[:1_000_000])
    head = tmp_path / "head.gguf"
    head.write_bytes(starter_gguf.read_bytes()[:1000])
    (tmp_path / "folder").mkdir()
    failures = [
        *(failure_of(path) for path in (text, cut, head, tmp_path / "missing.gguf")),
        *(client._death(code, readable=True, model="m.gguf") for code in (-9, -11, -7, 3)),
        llama_runner._full(5000, 4096),
        history_failure(tmp_path / "folder"),
        import_failure(tmp_path / "folder"),
    ]
    sentences = [str(failure) for failure in failures]
    assert [translated(failure) for failure in failures] == sentences  # without a translator: as the core says it
    languages = LanguageKeeper()
    languages.choose("zh_CN")
    try:
        for failure, sentence in zip(failures, sentences, strict=True):
            chinese = translated(failure)
            assert len(CHINESE.findall(chinese)) > 3, sentence
            assert all(number in chinese for number in re.findall(r"\d{4}", sentence))
        assert str(text) in translated(failures[0])
        assert translated(Sentence("A sentence that nobody knows.")) == "A sentence that nobody knows."
    finally:
        languages.close()


def import_failure(path: Path) -> ZhiyinError:
    with pytest.raises(ZhiyinError) as caught:
        Library(path.parent / "models").import_file(path)
    return caught.value


def history_failure(path: Path) -> ZhiyinError:
    with pytest.raises(HistoryError) as caught:
        History(path)
    return caught.value


def test_qts_own_file_dialog_is_chinese(application: QApplication) -> None:
    languages = LanguageKeeper()
    languages.choose("zh_CN")
    try:
        dialog = QFileDialog()
        dialog.setOption(QFileDialog.Option.DontUseNativeDialog)
        labels = [label.text() for label in dialog.findChildren(QLabel) if label.text()]
        assert len(labels) == 3
        buttons = [button.text() for button in dialog.findChildren(QPushButton)]
        columns = [dialog.findChild(QFileSystemModel).headerData(i, Qt.Orientation.Horizontal) for i in range(4)]
        assert [text for text in (*labels, *buttons, *columns) if not CHINESE.search(text)] == []
        asked = [QCoreApplication.translate("QAbstractFileIconProvider", text) for text in OF_QT[2:]]
        assert all(CHINESE.search(text) for text in asked)
    finally:
        languages.close()


def test_values_are_written_in_the_windows_language(application: QApplication) -> None:
    note = Sentence(
        "Adapter {number}: {path} {changes}; {count:,} tokens from here",
        number=1,
        path=Path("/a"),
        changes=Sentence("brings {whole} whole tensors", whole=2),
        count=49953,
    )
    speed = Sentence("{quant} would fit too, but write only {rate} tokens a second.", quant="Q8_0", rate=5.3)
    languages = LanguageKeeper()
    languages.choose("zh_CN")
    try:
        assert translated(note) == "第 1 个 LoRA：/a 带来 2 个完整张量；此后词表为 49,953"
        assert translated(speed) == "Q8_0 也放得下，但每秒只能生成 5.3 个词元。"
        assert translated(OSError(5, "Input/output error", "/a")) == "/a 无法读写：读写时出错。"
        assert translated(OSError(28, "No space left on device", "/a")).startswith("磁盘已满，/a 无法写入")
    finally:
        languages.close()
