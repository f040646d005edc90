"""Assistants: those that come along, in each language, and the user's own in one small file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from desktop_app.assistant.tool_names import NAMES
from desktop_app.chat.assistants import Assistant, Own, all_of, brought, own_file, with_one, without_one
from desktop_app.chat.choices import Choices
from desktop_app.chat.tool_choice import ToolChoice
from tests.desktop_app.ui.i18n.test_traditional import MAINLAND, SIMPLIFIED


@pytest.mark.parametrize("language", ["en", "zh_CN", "zh_TW"])
def test_a_dozen_come_along_in_each_language(language: str) -> None:
    found = brought(language)
    assert len(found) >= 12
    assert len({one.id for one in found}) == len({one.name for one in found}) == len(found)
    for one in found:
        assert 60 < len(one.instructions) < 1000
        assert 0 < len(one.sign) <= 2
        assert set(one.tools) <= set(NAMES)
        chinese = any("\u4e00" <= character <= "\u9fff" for character in one.instructions)
        assert chinese is (language != "en")


def test_those_in_traditional_chinese_are_the_same_in_its_own_signs_and_terms() -> None:
    own, simplified = brought("zh_TW"), brought("zh_CN")
    assert [replace(one, name="", icon="", instructions="") for one in own] == [
        replace(one, name="", icon="", instructions="") for one in simplified
    ]
    text = "".join(one.name + one.instructions for one in own)
    assert not set(text) & SIMPLIFIED
    assert [word for word in MAINLAND if word in text] == []


def test_a_language_without_its_own_has_the_nearest() -> None:
    assert brought("zh_HK") == brought("zh_CN")
    assert brought("fr") == brought("en")


def test_the_users_own_are_kept_and_those_that_came_along_are_changed_and_removed(tmp_path: Path) -> None:
    file = own_file(tmp_path / "assistants.json")
    assert file.read() == Own()
    mine = Assistant("My cook", "厨", "You cook.", "m.gguf", {"temperature": 0.3}, ("python",), ("shop",), ("Recipes",))
    first, second, *_ = brought("en")
    own = with_one(with_one(Own(), mine), replace(first, instructions="Changed."))
    file.write(without_one(own, second.id))
    read = file.read()
    found = all_of("en", read)
    assert found[0] == mine
    assert found[1] == replace(first, instructions="Changed.")
    assert second.id not in {one.id for one in found}
    assert second.id not in {one.id for one in all_of("zh_CN", read)}
    assert all_of("en", with_one(read, second))[1:3] == [replace(first, instructions="Changed."), second]
    assert mine.choices == Choices("m.gguf", "You cook.", {"temperature": 0.3}, mine.id)
    assert mine.tool_choice == ToolChoice(("python",), servers=("shop",))


def test_what_is_damaged_in_the_file_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "assistants.json"
    path.write_text(
        '{"assistants": [{"name": "Good", "sampling": {"temperature": "hot"}, "tools": [3, "time"], "collections": 7}, 7, '
        '{"icon": "x"}], "removed": [3]}'
    )
    [one] = own_file(path).read().kept
    assert (one.name, one.sampling, one.tools, one.collections) == ("Good", {}, ("time",), ())
    path.write_text("[")
    assert own_file(path).read() == Own()
