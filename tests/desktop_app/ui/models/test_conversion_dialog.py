"""A checkpoint on the window, or a repository's name: what it is, what it can become, and the way to a chat with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from PySide6.QtCore import Qt
from PySide6.QtTest import QTest
from PySide6.QtWidgets import (
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QLabel,
    QLineEdit,
    QListWidget,
    QMessageBox,
    QTreeWidget,
)

from converter.pipeline import ConvertRequest, plan
from desktop_app.library.install import Calibration
from desktop_app.paths import models_folder
from desktop_app.quality.mixing import bytes_of_bits
from desktop_app.quality.target import MixtureTarget
from desktop_app.ui.i18n.formats import size
from desktop_app.ui.models.add_dialog import AddDialog
from desktop_app.ui.models.calibration_choice import CalibrationChoice
from desktop_app.ui.models.conversion_dialog import ConversionDialog
from desktop_app.ui.models.conversion_panel import ConversionCard
from desktop_app.ui.models.mixture_choice import MixtureChoice
from tests.desktop_app.ui.conftest import OpenWindow
from tests.desktop_app.ui.i18n.test_translations import CHINESE
from tests.desktop_app.ui.models.test_conversions import checkpoint, names, publish
from tests.desktop_app.ui.models.test_models import drop, model_name
from tests.support.hub_server import HubServer, Repository
from tests.support.random_rwkv import random_rwkv
from tests.support.torch_files import write_pickle, write_torch
from tests.support.window import Person

HEADER = {"bytes=0-65535"}
"""All that a look fetches of weights: it tells whether another program quantized them."""


@pytest.fixture
def server() -> Iterator[HubServer]:
    with HubServer() as running:
        yield running


def dialog_of(person: Person) -> ConversionDialog:
    """Return the dialog that is open, once it says what the source is or why not."""
    dialogs = [found for found in person.window.findChildren(ConversionDialog) if found.isVisible()]
    assert dialogs
    about = dialogs[-1].findChild(QLabel, "sourceFacts")
    person.wait(lambda: not about.text().endswith("…"))
    return dialogs[-1]


def rows(person: Person, dialog: ConversionDialog) -> dict[str, tuple[str, str]]:
    """Return each quantization's size and badge, once they are known."""
    tree = dialog.findChild(QTreeWidget)
    items = [tree.topLevelItem(i) for i in range(tree.topLevelItemCount())]
    if not items[0].text(4):
        person.wait(lambda: tree.topLevelItem(0).text(4))
        items = [tree.topLevelItem(i) for i in range(tree.topLevelItemCount())]
    return {item.text(0): (item.text(1), item.text(4)) for item in items}


def choose(dialog: ConversionDialog, quant: str) -> None:
    tree = dialog.findChild(QTreeWidget)
    tree.setCurrentItem(next(item for item in tree.findItems(quant, Qt.MatchFlag.MatchExactly)))


def add_by_name(person: Person, text: str) -> None:
    person.window.add_model()
    name = person.find(AddDialog).findChild(QLineEdit, "repository")
    name.setText(text)
    QTest.keyClick(name, Qt.Key.Key_Return)


def test_a_dropped_folder_becomes_a_model_that_answers(person: Person, tmp_path: Path) -> None:
    source = checkpoint(tmp_path / "Tea-Chat", num_hidden_layers=3)
    drop(person, source)
    dialog = dialog_of(person)
    facts = dialog.findChild(QLabel, "sourceFacts").text()
    assert facts.startswith("LLaMA · ")
    assert "base model" in facts
    offers = rows(person, dialog)
    assert offers.pop("measured")[1] == "fits"
    assert list(offers) == ["F16", "Q8_0", "Q6_K", "Q5_K_M", "Q4_K_M", "Q4_K_S", "Q3_K_M", "Q2_K"]
    for quant, (bytes_, badge) in offers.items():
        assert bytes_ == size(plan(ConvertRequest(source, quant=quant)).size)
        assert badge.startswith("fits")
    assert [quant for quant, (_, badge) in offers.items() if "best choice" in badge] == ["Q8_0"]
    tree = dialog.findChild(QTreeWidget)
    assert tree.topLevelItem(0).text(2) == "as the original"
    losses = [float(tree.topLevelItem(row).text(2).split("≈\u2009")[1]) for row in range(1, len(offers))]
    assert losses == sorted(losses), "a word and a number for each choice"
    choose(dialog, "Q5_K_M")
    person.click("Convert", dialog)
    person.window.open_downloads()
    card = person.find(ConversionCard)
    person.wait(lambda: "Chat now" in person.buttons(card))
    assert "all 30 tensors are as they should be" in person.sentences(card)
    assert model_name(person) == "SmolLM2-135M-Instruct"
    person.click("Chat now", card)
    person.wait(lambda: model_name(person).endswith("Chat-Q5_K_M") and person.model_state == "ready")
    assert person.ask("Hello")
    assert not person.window.findChildren(ConversionCard)


def test_an_importance_matrix_may_be_chosen(person: Person, tmp_path: Path) -> None:
    drop(person, checkpoint(tmp_path / "Tea-Chat", num_hidden_layers=3))
    dialog = dialog_of(person)
    rows(person, dialog)
    calibration = dialog.findChild(CalibrationChoice)
    ways = calibration.findChild(QComboBox)
    assert not calibration.isVisible(), "it changes nothing in Q8_0"
    choose(dialog, "Q4_K_M")
    assert calibration.isVisible()
    assert calibration.chosen is None
    ways.setCurrentIndex(1)
    ways.activated.emit(1)
    assert calibration.chosen == Calibration()
    assert "The whole model reads a text first" in person.sentences(dialog)
    ways.activated.emit(2)
    text = tmp_path / "notes.txt"
    dialog.findChild(QFileDialog).fileSelected.emit(str(text))
    assert calibration.chosen == Calibration(text)
    assert ways.currentText() == "from notes.txt"
    choose(dialog, "F16")
    assert calibration.chosen is None


def test_a_mixture_by_measurement_may_be_chosen(person: Person, tmp_path: Path) -> None:
    source = checkpoint(tmp_path / "Tea-Chat", num_hidden_layers=3)
    drop(person, source)
    dialog = dialog_of(person)
    bytes_ = {quant: plan(ConvertRequest(source, quant=quant)).size for quant in ("F16", "Q2_K")}
    assert rows(person, dialog)["measured"][0] == f"≈\u2009{size(bytes_['F16'])}", "all of it fits"
    mixture, calibration = dialog.findChild(MixtureChoice), dialog.findChild(CalibrationChoice)
    assert not mixture.isVisible()
    choose(dialog, "measured")
    assert mixture.isVisible()
    assert mixture.target == MixtureTarget()
    assert calibration.chosen == Calibration(), "it needs an importance matrix"
    assert f"{size(2 * bytes_['F16'])} of the disk meanwhile" in person.sentences(dialog)
    ways, number = mixture.findChild(QComboBox), mixture.findChild(QDoubleSpinBox)
    assert not number.isVisible()
    ways.setCurrentIndex(2)
    ways.activated.emit(2)
    assert number.isVisible()
    number.setValue(9.5)
    assert mixture.target == MixtureTarget(bits=9.5)
    assert mixture.file_size == pytest.approx(bytes_of_bits(ConvertRequest(source), 9.5), rel=0.01)
    assert rows(person, dialog)["measured"] == (f"≈\u2009{size(mixture.file_size)}", "fits")
    chosen = mixture.file_size
    ways.setCurrentIndex(1)
    ways.activated.emit(1)
    assert number.value() == pytest.approx(chosen / 1e6, abs=0.01), "it goes on from there"
    number.setValue(0)
    assert number.value() == pytest.approx(bytes_["Q2_K"] / 1e6, abs=0.01), "no file is smaller"
    choose(dialog, "Q4_K_M")
    assert not mixture.isVisible()
    assert calibration.chosen is None
    choose(dialog, "measured")
    person.services.conversions.hold(held=True)
    person.click("Convert", dialog)
    request = person.services.conversions.jobs[0].request
    assert (request.quant, request.way) == ("auto", "convert")
    assert request.mixture is not None
    assert request.mixture.size == round(number.value() * 1e6)


def test_a_single_file_of_rwkv_is_told_by_its_tensors(person: Person, tmp_path: Path) -> None:
    path = tmp_path / "RWKV-4-World-tiny.pth"
    write_torch(path, random_rwkv("4", 3, hidden=64, rows=65536, size=32))
    drop(person, path)
    dialog = dialog_of(person)
    assert dialog.findChild(QLabel, "sourceFacts").text().startswith("RWKV-4 · ")
    assert "chat model" in dialog.findChild(QLabel, "sourceFacts").text()
    person.click("Cancel", dialog)
    assert not person.services.conversions.jobs


def test_what_cannot_be_converted_is_said_in_the_windows_language(open_window: OpenWindow, tmp_path: Path) -> None:
    person = open_window(language="zh_CN")
    odd, cut, bad = checkpoint(tmp_path / "odd"), checkpoint(tmp_path / "cut"), checkpoint(tmp_path / "bad")
    (odd / "config.json").write_text('{"architectures": ["OddForCausalLM"]}')
    (cut / "model.safetensors").write_bytes((cut / "model.safetensors").read_bytes()[:-100])
    (bad / "model.safetensors").unlink()
    write_pickle(bad / "pytorch_model.bin", b"cos\nsystem\n(S'true'\ntR.")
    (tmp_path / "empty").mkdir()
    for path, named in (
        (odd, "OddForCausalLM"),
        (cut, "model.safetensors"),
        (bad, "system"),
        (tmp_path / "empty", "empty"),
    ):
        drop(person, path)
        dialog = dialog_of(person)
        sentence = dialog.findChild(QLabel, "sourceFacts").text()
        assert named in sentence
        assert CHINESE.search(sentence), sentence
        assert "转换" not in person.buttons(dialog)
        person.click("取消", dialog)


def test_a_checkpoint_that_is_mended_can_be_looked_at_again(person: Person, tmp_path: Path) -> None:
    source = checkpoint(tmp_path / "tea")
    away = (source / "model.safetensors").rename(tmp_path / "away")
    drop(person, source)
    dialog = dialog_of(person)
    assert "holds no weights" in person.sentences(dialog)
    away.rename(source / "model.safetensors")
    person.click("Try again", dialog)
    person.wait(lambda: "Convert" in person.buttons(dialog))


def test_a_repository_is_shown_before_it_is_fetched(open_window: OpenWindow, tmp_path: Path, server: HubServer) -> None:
    publish(server, "tiny/Tea-Chat", checkpoint(tmp_path / "tea"))
    person = open_window()
    person.wait(lambda: person.model_state == "ready")
    add_by_name(person, f"{server.endpoint}/tiny/Tea-Chat/tree/main")
    dialog = dialog_of(person)
    assert "LLaMA · 102,720 parameters (103K)" in person.sentences(dialog)
    assert "Q8_0" in rows(person, dialog)
    assert set(server.fetched("model.safetensors")) <= HEADER
    assert server.fetched("tokenizer.model") == []
    choose(dialog, "Q4_K_M")
    person.click("Download", dialog)
    person.wait(lambda: names(person) == ["Tea-103K-Chat-Q4_K_M"])


def test_a_repository_with_several_models_asks_for_one(
    open_window: OpenWindow, tmp_path: Path, server: HubServer
) -> None:
    publish(server, "tiny/Teas", checkpoint(tmp_path / "tea"))
    files = server.repositories["tiny/Teas"].revisions["main"]
    files |= {"green.safetensors": b"x" * 1000, "black.safetensors": files.pop("model.safetensors")}
    person = open_window(endpoint=server.endpoint)
    add_by_name(person, "tiny/Teas")
    dialog = dialog_of(person)
    models = dialog.findChild(QListWidget)
    assert [models.item(row).text().split(" ")[0] for row in range(2)] == ["black.safetensors", "green.safetensors"]
    person.click("Go on", dialog)
    person.wait(lambda: "LLaMA" in person.sentences(dialog))
    person.click("Download", dialog)
    person.wait(lambda: len(names(person)) == 1)
    assert set(server.fetched("green.safetensors")) <= HEADER


def test_a_repository_of_gguf_files_offers_what_it_has(
    open_window: OpenWindow, starter_gguf: Path, server: HubServer
) -> None:
    files = {"Smol-Q8_0.gguf": starter_gguf.read_bytes(), "Smol-Q2_K.gguf": b"x" * 1000}
    server.repositories["other/Smol-GGUF"] = Repository({"main": files})
    person = open_window(endpoint=server.endpoint)
    add_by_name(person, "other/Smol-GGUF")
    dialog = dialog_of(person)
    person.wait(lambda: "Context: 8,192 tokens" in person.sentences(dialog))  # planned by the head, not by the size
    offered = rows(person, dialog)
    assert list(offered) == ["Q8_0", "Q2_K"]
    assert offered["Q8_0"][1] == "fits · best choice"
    assert offered["Q2_K"][1] == "", "no head can be read that would tell"
    assert "other/Smol-GGUF/Smol-Q2_K.gguf is not a GGUF file" in person.sentences(dialog)
    person.click("Download", dialog)
    person.wait(lambda: names(person) == ["Smol-Q8_0"])


def test_a_name_that_is_none_is_said_at_once(person: Person) -> None:
    add_by_name(person, "https://huggingface.co/datasets/some/thing")
    assert "names no model" in person.sentences(person.find(AddDialog))


def test_closing_during_a_conversion_asks_first(person: Person, tmp_path: Path) -> None:
    job = person.services.conversions.start(checkpoint(tmp_path / "tea"), "Q8_0")
    person.window.close()
    assert person.window.isVisible()
    person.click("Continue converting", person.find(QMessageBox, "closing"))
    person.wait(lambda: job.is_over)
    assert job.state == "done"
    job = person.services.conversions.start(tmp_path / "tea", "Q4_K_M")
    person.window.close()
    person.click("Stop and close", person.find(QMessageBox, "closing"))
    assert not person.window.isVisible()
    assert [path.name for path in models_folder().iterdir()] == ["Tea-103K-Q8_0.gguf"]
