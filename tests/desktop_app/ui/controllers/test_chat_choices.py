"""Folders, titles and the model of each chat in the window's services: real engine, real SQLite."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import desktop_app.chat.titles
from desktop_app.library.installed import Library
from desktop_app.paths import models_folder
from desktop_app.ui.controllers import titles
from tests.desktop_app.ui.conftest import OpenWindow
from tests.support.window import Person, run_events


def test_folders_outlive_a_restart(open_window: OpenWindow) -> None:
    person = open_window()
    person.ask("Hello")
    folders, chat = person.services.folders, person.services.chats.list.current.id
    work, play = folders.add("Work"), folders.add(" Play ")
    folders.move(chat, work.id)
    folders.rename(play.id, "Games")
    folders.move_folder(play.id, 0)
    person.close()

    person = open_window()
    person.wait(lambda: person.services.folders.folders and person.titles)
    folders = person.services.folders
    assert [folder.name for folder in folders.folders] == ["Games", "Work"]
    assert [[one.id for one in held] for _, held in folders.arrangement.folders] == [[], [chat]]
    folders.pin(chat, True)
    assert [one.id for one in folders.arrangement.pinned] == [chat]
    folders.pin(chat, False)
    folders.remove(work.id)
    assert [one.id for one in folders.arrangement.others] == [chat]


def test_a_chat_is_named_by_its_model_and_never_against_the_user(
    open_window: OpenWindow, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desktop_app.chat.titles, "_SMALLEST_MODEL", 0)
    monkeypatch.setattr(titles, "_IDLE_MS", 1)
    monkeypatch.setattr(desktop_app.chat.titles, "title_of", lambda _: "A title of the model's")
    person = open_window(max_tokens=3)
    person.ask("Name a river.")
    person.services.chats.list.rename(person.services.chats.list.current.id, "Mine")
    run_events(300)
    assert person.titles == ["Mine"]
    person.window.new_chat()
    person.ask("Name a mountain.")
    person.wait(lambda: "A title of the model's" in person.titles)
    assert person.services.chats.list.current.named == "model"
    person.ask("And another one.")
    assert person.services.chats.list.current.title == "A title of the model's"


def test_a_chat_goes_on_with_the_model_that_it_had(open_window: OpenWindow, starter_gguf: Path) -> None:
    models_folder().mkdir(parents=True, exist_ok=True)
    shutil.copy(starter_gguf, models_folder() / "Other.gguf")
    person = open_window(max_tokens=3)
    person.wait(lambda: person.model_state == "ready")
    first = person.services.models.state.model
    assert first is not None
    person.ask("First chat")
    chat = person.services.chats.list.current.id
    person.window.new_chat()
    other = next(model for model in Library(models_folder()).listing().models if model.identifier != first.identifier)
    person.services.choose_model(other)
    person.ask("Second chat")
    assert person.services.chats.list.path[-1].model == other.name
    person.services.chats.open(chat)
    person.wait(lambda: person.services.chats.list.current.id == chat)
    person.ask("Again")
    assert person.services.chats.list.path[-1].model == first.name
    assert chosen_of(person) == first.identifier
    person.services.choose_model(other)
    assert chosen_of(person) == other.identifier


def chosen_of(person: Person) -> str:
    return person.services.chats.list.current.choices.model
