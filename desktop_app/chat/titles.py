"""A chat's title by its model: what it is asked, and what of its answer is a title."""

from __future__ import annotations

import re
from collections.abc import Sequence

from desktop_app.chat.conversation import Conversation, Message
from desktop_app.chat.reasoning import split_reasoning
from desktop_app.chat.request import prompt_messages
from desktop_app.engine.protocol import Generate, SamplingSettings
from desktop_app.engine.results import ModelInfo

_ASKED = (
    "Write a title for our conversation so far, in the language of my message: at most six words, no quotation marks, no full "
    "stop. Answer with the title alone.\n请用我所用的语言为以上对话写一个标题：不超过十五个字，不加引号和句号。只回答标题。"
)
_SMALLEST_MODEL = 1_000_000_000
"""Parameters; smaller ones write titles that say nothing."""
_MOST_TOKENS = 40
_LONGEST = 60
_FRAME = " \t\"'“”‘’「」《》*_#`.。"
_LABEL = re.compile(r"^(title|标题|題目|标题为)\s*[:：]\s*", re.IGNORECASE)


def wants_title(chat: Conversation, path: Sequence[Message], info: ModelInfo | None) -> bool:
    """Tell whether a chat may get a title by its model: it has its first reply, and nobody gave it one."""
    first = len(path) >= 2 and sum(message.role == "user" for message in path) == 1 and path[-1].role == "assistant"
    able = info is not None and info.chat and info.parameters >= _SMALLEST_MODEL
    return able and first and path[-1].state == "done" and not chat.named


def title_request(path: Sequence[Message], system_prompt: str) -> Generate:
    """Return the request: the chat goes on with a question for its title, so that little of it is read again."""
    messages = [*prompt_messages(path, system_prompt), {"role": "user", "content": _ASKED}]
    return Generate(tuple(messages), SamplingSettings(temperature=0.0, max_tokens=_MOST_TOKENS), thinking=False)


def title_of(answer: str) -> str:
    """Return the title in an answer; "" where there is none that could stand in a list."""
    lines = [line.strip() for line in split_reasoning(answer).answer.strip().splitlines() if line.strip()]
    if not lines:
        return ""
    title = _LABEL.sub("", lines[0].strip(_FRAME)).strip(_FRAME)
    return title if len(title) <= _LONGEST and not title.startswith("<") else ""
