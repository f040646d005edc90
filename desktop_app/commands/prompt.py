"""`zhiyin prompt`: what a chat looks like to the model."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from desktop_app.commands.options import add_json, add_model, add_thinking
from desktop_app.commands.session import loaded
from desktop_app.commands.terminal import print_json
from desktop_app.engine.protocol import LoadSettings, Prompt
from models.errors import BadFile
from models.regular_file import read_regular
from models.untrusted_json import InvalidJSON, decode


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_model(parser)
    parser.add_argument("--messages", type=Path, required=True, metavar="FILE.json", help="a list of role and content")
    parser.add_argument("--tools", type=Path, metavar="FILE.json", help="a list of tools in OpenAI's form")
    add_thinking(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the rendered prompt, without a newline of our own."""
    messages = _read_list(arguments.messages)
    if not all("role" in message and ("content" in message or "tool_calls" in message) for message in messages):
        raise BadFile("{path} has a message without a role or without content; complete it.", path=arguments.messages)
    tools = _read_list(arguments.tools) if arguments.tools else []
    with loaded(arguments.model, LoadSettings(context=512)) as engine:
        rendered = engine.submit(
            Prompt(tuple(messages), tuple(tools), arguments.thinking, arguments.effort or "")
        ).result()
    if arguments.json:
        print_json({"prompt": rendered.prompt, "ids": rendered.ids})
    else:
        print(rendered.prompt, end="")
    return 0


def _read_list(path: Path) -> list[dict[str, Any]]:
    try:
        value = decode(read_regular(path), object)
    except OSError as error:
        raise BadFile("{path} cannot be read: {reason}.", path=path, reason=error.strerror) from error
    except InvalidJSON as error:
        raise BadFile("{path} is not JSON ({reason}); correct it.", path=path, reason=error.reason) from error
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise BadFile(
            '{path} must hold a list of objects, such as [{{"role": "user", "content": "Hello"}}].', path=path
        )
    return value
