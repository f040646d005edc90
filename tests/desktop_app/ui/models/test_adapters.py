"""Dropping a LoRA adapter: the window asks for its base, shows the plan, merges, and says why where it cannot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PySide6.QtWidgets import QFileDialog, QLabel

from converter.hub.repository import download
from converter.hub.request import DownloadRequest
from converter.pipeline import ConvertRequest, plan
from desktop_app.library.catalogue import catalogue
from desktop_app.paths import downloads_folder
from desktop_app.ui.i18n.sentences import translated
from desktop_app.ui.models.adapter_dialog import AdapterDialog
from desktop_app.ui.models.conversion_panel import ConversionCard
from models.errors import UnsupportedModel
from tests.benchmarks.bench_convert import write_vocabulary
from tests.desktop_app.ui.conftest import OpenWindow
from tests.desktop_app.ui.i18n.test_translations import CHINESE
from tests.desktop_app.ui.models.test_models import drop, model_name
from tests.support.adapters import PREFIX, random_adapter, write_adapter
from tests.support.checkpoints import write_checkpoint
from tests.support.hub_server import HubServer, Repository
from tests.support.random_llama import random_llama
from tests.support.window import Person


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A tiny model with a tokenizer."""
    config, weights = random_llama(5, vocab_size=320, hidden_size=32, bos_token_id=1, eos_token_id=2)
    folder = write_checkpoint(tmp_path / "base", config, weights, dtype="F16")
    write_vocabulary(folder / "tokenizer.model", 320)
    return folder


def adapter(folder: Path, *, hidden: int = 32, **config: object) -> Path:
    _, weights = random_llama(5, vocab_size=64, hidden_size=hidden)
    return write_adapter(folder, random_adapter(weights), **config)


def chat_with_the_new_model(person: Person) -> None:
    person.wait(lambda: "Chat now" in person.buttons())
    person.click("Chat now")
    person.wait(lambda: model_name(person).startswith("tea") and person.model_state == "ready")


def plan_of(person: Person) -> str:
    return person.find(QLabel, "adapterPlan").text()


def test_a_dropped_adapter_asks_for_its_base_and_is_merged(person: Person, base: Path, tmp_path: Path) -> None:
    drop(person, adapter(tmp_path / "tea-lora", base_model_name_or_path="someone/Base-7B"))
    dialog = person.find(AdapterDialog)
    assert dialog.isVisible()
    assert "tea-lora" in person.sentences(dialog)
    assert "someone/Base-7B" in person.sentences(dialog)
    person.click("Choose the folder of that model…", dialog)
    dialog.findChild(QFileDialog).fileSelected.emit(str(base))
    person.wait(lambda: "Result: tea" in plan_of(person))
    assert f"Base: {base} (LLaMA, 320 tokens)" in plan_of(person)
    shown = person.find(QLabel, "adapterPlan")
    person.wait(lambda: shown.height() >= shown.heightForWidth(shown.width()))
    person.click("Merge", dialog)
    chat_with_the_new_model(person)


def test_a_base_that_is_here_is_taken_and_a_wrong_one_is_said(
    open_window: OpenWindow, base: Path, tmp_path: Path
) -> None:
    person = open_window(language="zh_CN")
    drop(person, adapter(tmp_path / "wide-lora", hidden=48, base_model_name_or_path=str(base)))
    person.wait(lambda: "宽度" in plan_of(person))
    assert "48" in plan_of(person)
    assert not list((tmp_path).glob("*.gguf"))
    person.click("取消", person.find(AdapterDialog))


@pytest.mark.parametrize("name", ["meta-llama/Llama-2-7b-hf", "modelscope/Llama-2-7b-ms", "someone/Base-7B"])
def test_a_base_that_was_fetched_is_found_by_its_name_on_either_hub(
    person: Person, base: Path, tmp_path: Path, name: str
) -> None:
    there = next((model.modelscope for model in catalogue().named(name) if model.modelscope), name)
    with HubServer() as server:
        files = {path.name: path.read_bytes() for path in base.iterdir()}
        server.repositories[there] = Repository({"master": files})
        fetched = download(DownloadRequest(f"modelscope:{there}", downloads_folder(), endpoint=server.endpoint)).folder
    drop(person, adapter(tmp_path / "tea-lora", base_model_name_or_path=name))
    person.wait(lambda: f"Base: {fetched} (LLaMA, 320 tokens)" in plan_of(person))


def test_a_merge_that_failed_can_be_tried_again(person: Person, base: Path, tmp_path: Path) -> None:
    drop(person, adapter(tmp_path / "tea-lora", base_model_name_or_path=str(base)))
    dialog = person.find(AdapterDialog)
    person.wait(lambda: "Result: tea" in plan_of(person))
    away = (base / "model.safetensors").rename(base / "away")
    person.click("Merge", dialog)
    person.window.open_downloads()
    card = person.find(ConversionCard)
    person.wait(lambda: "Try again" in person.buttons(card))
    away.rename(base / "model.safetensors")
    person.click("Try again", card)
    chat_with_the_new_model(person)


def test_a_damaged_adapter_is_refused(person: Person, tmp_path: Path) -> None:
    folder = write_adapter(tmp_path / "bad", {f"{PREFIX}x.lora_A.weight": np.zeros((4, 8), np.float32)})
    drop(person, folder)
    person.wait(lambda: "only one half" in person.sentences())


def test_sentences_about_adapters_come_out_in_chinese(open_window: OpenWindow, base: Path, tmp_path: Path) -> None:
    open_window(language="zh_CN")
    lora = adapter(tmp_path / "tea-lora", base_model_name_or_path=str(base))
    steps = plan(ConvertRequest(base, lora=(lora,))).steps
    assert len(steps) == 3
    converted = tmp_path / "a.gguf"
    converted.touch()
    with pytest.raises(UnsupportedModel) as caught:
        plan(ConvertRequest(converted, lora=(lora,)))
    assert all(CHINESE.search(translated(sentence)) for sentence in (*steps, caught.value))
