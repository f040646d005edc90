"""What a chat becomes for a runner that a test loaded by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from desktop_app.engine.prompting import Prompting
from desktop_app.engine.protocol import Prompt
from desktop_app.engine.runner import Runner
from desktop_app.processes.renderer import Renderer


def prompt_tokens(runner: Runner, chat: Sequence[Mapping[str, Any]]) -> list[int]:
    """Return the prompt's tokens."""
    with Renderer() as renderer:
        prompting = Prompting(runner, renderer)
        return prompting.tokens(prompting.render_marked(Prompt(tuple(chat))))
