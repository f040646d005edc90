"""Settings of one model's own: stored, layered, kept over a rename, forgotten with the model."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from desktop_app.chat.choices import Choices
from desktop_app.chat.conversation import Conversation
from desktop_app.chat.request import options_for, sampling
from desktop_app.engine.protocol import MOST_THREADS as ENGINE_MOST
from desktop_app.library.first_model import first_model
from desktop_app.library.installed import Library
from desktop_app.library.installed_model import ModelSettings
from desktop_app.library.model_care import model_facts, note_use
from desktop_app.library.model_names import identified
from desktop_app.library.model_settings import MOST_THREADS, all_model_settings, store_model_settings
from desktop_app.library.renaming import rename_model
from desktop_app.paths import model_settings_file, models_folder
from desktop_app.settings import Settings

OWN = ModelSettings(600, 2, "Speak of tea.", {"temperature": 0.1, "seed": -1})


@pytest.fixture
def library(data_home: Path, starter_gguf: Path) -> Library:
    assert data_home
    shutil.copy(starter_gguf, models_folder() / "Tea.gguf")
    return Library(models_folder())


def test_a_chat_comes_before_its_model_and_the_model_before_the_settings(library: Library) -> None:
    store_model_settings("Tea.gguf", OWN)
    model = library.find("Tea")
    assert model.own == OWN
    general = Settings(context=4096, system_prompt="Be brief.", temperature=0.9, top_k=7, seed=5)
    settings = model.own.over(general)
    assert (settings.context, settings.system_prompt, general.context) == (600, "Speak of tea.", 4096)
    options = options_for(settings, Conversation())
    assert (options.system_prompt, options.seed) == ("Speak of tea.", None)
    assert dict(options.sampling) == {"temperature": 0.1, "top_k": 7}
    chat = Conversation(choices=Choices(instructions="", sampling={"temperature": 1.5}))
    options = options_for(settings, chat)
    assert (options.system_prompt, options.sampling["temperature"]) == ("", 1.5)
    assert sampling(options_for(settings, Conversation()), {"temperature": 0.6, "top_p": 0.95}).top_p == 0.95
    assert ENGINE_MOST == MOST_THREADS


def test_what_is_as_in_the_settings_is_left_open() -> None:
    general = Settings(context=4096, temperature=0.9)
    own = OWN.with_value("context", 4096, general).with_value("temperature", None, general)
    assert own == ModelSettings(None, 2, "Speak of tea.", {"seed": -1})
    own = own.with_value("context", 0, general).with_value("system_prompt", "", general).with_value("seed", -1, general)
    assert own == ModelSettings(0, 2, None, {})
    assert own.over(general).context == 0, "automatic, though the settings name a number"


def test_a_renamed_model_keeps_its_settings_its_chats_and_its_last_use(library: Library) -> None:
    store_model_settings("Tea.gguf", OWN)
    note_use(library.find("Tea"), 7.0)
    rename_model(library.find("Tea"), "Green")
    rename_model(library.find("Green"), "Black")
    model = library.find("Black")
    assert (model.own.context, model.own.former, model_facts(model).used) == (600, ("Tea.gguf", "Green.gguf"), 7.0)
    for former in ("Tea.gguf", "Green.gguf", "Black.gguf"):
        assert identified(library.models(), former) == model
        assert first_model(library.listing(), former) == (model, None)
    shutil.copy(model.path, models_folder() / "Green.gguf")
    assert identified(library.models(), "Green.gguf") == library.find("Green"), "a model of the name comes first"
    rename_model(model, "Tea")
    assert library.find("Tea").own.former == ("Green.gguf", "Black.gguf")


def test_a_model_elsewhere_or_in_parts_gets_a_name_and_its_files_keep_theirs(
    library: Library, starter_gguf: Path, tmp_path: Path
) -> None:
    outside = tmp_path / "lm-studio" / "model-q4.gguf"
    outside.parent.mkdir()
    shutil.copy(starter_gguf, outside)
    library.import_file(outside)
    assert rename_model(library.find("model-q4"), " My tea ") == outside
    model = library.find("My tea")
    assert (model.path, model.label, outside.exists()) == (outside, "My tea", True)
    assert library.find("model-q4") == model, "the file's name still finds it"
    rename_model(model, "Tea")
    assert {one.label for one in library.models() if one.name == "Tea"} == {"Tea (models)", "Tea (lm-studio)"}
    rename_model(library.find(str(outside)), "model-q4")
    assert all_model_settings() == {}


def test_nothing_is_left_of_a_model_that_is_removed(library: Library) -> None:
    store_model_settings("Tea.gguf", OWN)
    library.remove(library.removal(library.find("Tea")))
    assert all_model_settings() == {}


@pytest.mark.parametrize(
    "entry",
    [
        {"context": 3},
        {"context": True},
        {"threads": -1},
        {"threads": 10**6},
        {"instructions": 1},
        {"sampling": {"temperature": 9}},
        {"sampling": {"prompt": 1}},
        {"sampling": []},
        {"former": [1]},
        {"name": None},
        [],
    ],
)
def test_a_damaged_entry_is_left_out_and_the_others_count(library: Library, entry: object) -> None:
    model_settings_file().write_text(json.dumps({"bad.gguf": entry, "Tea.gguf": {"context": 600}}), "utf-8")
    assert all_model_settings() == {"Tea.gguf": ModelSettings(600)}
    assert library.find("Tea").own.context == 600
