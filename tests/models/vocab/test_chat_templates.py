"""Several chat templates in a folder: where they lie, which counts, which are for tools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from converter.gguf_header import read_gguf_header
from converter.pipeline import ConvertRequest, convert
from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import Load, LoadSettings, Prompt
from models.vocab.chat_templates import read_chat_templates
from tests.models.chat.test_published_files import baichuan_chat

TOOLS = ({"type": "function", "function": {"name": "clock", "parameters": {}}},)
PLAIN_CHAT = "{% for m in messages %}{{ m.role }}: {{ m.content }}{% endfor %}"
TOOL_CHAT = "{# <tool_calls> #}{{ tools[0].function.name }} " + PLAIN_CHAT


def named(**templates: str) -> list[dict[str, str]]:
    return [{"name": name, "template": text} for name, text in templates.items()]


def written(folder: Path, files: dict[str, Any]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    return folder


CONFIG, PROCESSOR, JINJA, MORE = (
    "tokenizer_config.json",
    "chat_template.json",
    "chat_template.jinja",
    "additional_chat_templates/",
)


@pytest.mark.parametrize(
    ("files", "default", "others"),
    [
        ({}, None, {}),
        ({CONFIG: {"chat_template": "a"}}, "a", {}),
        ({CONFIG: {"chat_template": named(default="a", tool_use="b")}}, "a", {"tool_use": "b"}),
        ({CONFIG: {"chat_template": {"default": "a", "rag": "b"}}}, "a", {"rag": "b"}),
        ({CONFIG: {"chat_template": "a"}, JINJA: "b"}, "b", {}),
        ({CONFIG: {"chat_template": "a"}, f"{MORE}tool_use.jinja": "b"}, "a", {"tool_use": "b"}),
        ({f"{MORE}default.jinja": "a"}, "a", {}),
        ({f"{MORE}default.jinja": "b", JINJA: "a"}, "a", {}),
        ({CONFIG: {"chat_template": named(default="a", tool_use="b")}, JINJA: "c"}, "c", {}),
        ({JINJA: "a", f"{MORE}tool_use.jinja": "b"}, "a", {"tool_use": "b"}),
        ({JINJA: "\ufeffa"}, "a", {}),
        ({PROCESSOR: {"chat_template": "a"}}, "a", {}),
        ({CONFIG: {"chat_template": "b"}, PROCESSOR: {"chat_template": "a"}}, "b", {}),
        ({CONFIG: {"chat_template": None}, PROCESSOR: {"chat_template": "a"}}, "a", {}),
    ],
)
def test_where_templates_lie(
    files: dict[str, Any], default: str | None, others: dict[str, str], tmp_path: Path
) -> None:
    found = read_chat_templates(written(tmp_path, files))
    assert (found.default, dict(found.others), found.warnings) == (default, others, ())


@pytest.mark.parametrize(
    ("said", "chosen", "warned"),
    [
        (named(tool_use="a", chatml="b", rag="c"), "b", True),
        (named(rag="a", tool_use="b"), "a", True),
        (named(tool_use="a"), "a", False),
        (named(chatml="a"), "a", False),
    ],
)
def test_a_list_without_a_default_is_not_dropped(
    said: list[dict[str, str]], chosen: str, warned: bool, tmp_path: Path
) -> None:
    found = read_chat_templates(written(tmp_path, {CONFIG: {"chat_template": said}}))
    assert found.default == chosen
    assert ["none of them the default" in str(warning) for warning in found.warnings] == [True] * warned


def test_chats_with_tools_are_written_by_the_template_for_them(tmp_path: Path) -> None:
    source = baichuan_chat(tmp_path / "any", generation=None)
    written(source, {CONFIG: {"chat_template": named(default=PLAIN_CHAT, tool_use=TOOL_CHAT)}})
    file = convert(ConvertRequest(source, tmp_path / "model.gguf", "F32")).path
    metadata = read_gguf_header(file).metadata
    assert metadata["tokenizer.chat_template"] == PLAIN_CHAT
    assert metadata["tokenizer.chat_template.tool_use"] == TOOL_CHAT
    assert metadata["tokenizer.chat_templates"] == ["tool_use"]
    chat = ({"role": "user", "content": "Hi"},)
    with Engine() as engine:
        info = engine.submit(Load(file, LoadSettings(context=256, threads=1))).result(60)
        assert info.tools
        assert engine.submit(Prompt(chat)).result(60).prompt == "user: Hi"
        assert engine.submit(Prompt(chat, TOOLS)).result(60).prompt == "clock user: Hi"


@pytest.mark.parametrize(
    ("template", "takes"),
    [
        (PLAIN_CHAT, True),
        ("{% if messages[0].role == 'system' %}{{ raise_exception('no') }}{% endif %}" + PLAIN_CHAT, False),
        ("{{ no.such.thing }}", True),
    ],
)
def test_whether_a_system_message_has_a_place(template: str, takes: bool, tmp_path: Path) -> None:
    source = baichuan_chat(tmp_path / "any", generation=None, template=template)
    file = convert(ConvertRequest(source, tmp_path / "model.gguf", "F32")).path
    with Engine() as engine:
        assert engine.submit(Load(file, LoadSettings(context=256, threads=1))).result(60).takes_system is takes


@pytest.mark.parametrize("blank", ["", " \n"])
def test_blank_templates_are_none(tmp_path: Path, blank: str) -> None:
    assert read_chat_templates(written(tmp_path, {JINJA: blank})).default is None
    written(tmp_path, {CONFIG: {"chat_template": PLAIN_CHAT}})
    assert read_chat_templates(tmp_path).default == PLAIN_CHAT


def test_line_ends_of_windows_are_line_ends(tmp_path: Path) -> None:
    """Python reads text files so, and transformers with it."""
    (tmp_path / JINJA).write_bytes(b"\xef\xbb\xbfa\r\nb\rc")
    assert read_chat_templates(tmp_path).default == "a\nb\nc"
