"""A chat as a Markdown file, which any editor opens."""

from __future__ import annotations

import re
from collections.abc import Sequence

from desktop_app.chat.conversation import Message
from desktop_app.chat.reasoning import split_reasoning
from desktop_app.chat.steps import result_text

_NOT_IN_NAMES = re.compile(r'[\x00-\x1f<>:"/\\|?*]')
_LONGEST_NAME = 60


def as_markdown(title: str, messages: Sequence[Message], user: str, model: str) -> str:
    """Return a branch of a chat, the model's thoughts quoted; `user` and `model` say who speaks, in the user's language."""
    parts = [f"# {title}"]
    for message in messages:
        if message.role == "user":
            parts += [f"## {user}", message.whole.strip()]
        elif message.role == "tool":
            fence = "`" * 4
            parts.append(f"**{message.facts.get('tool', '')}**\n\n{fence}\n{result_text(message).strip()}\n{fence}")
        else:
            reply = split_reasoning(message.content)
            parts.append(f"## {message.model or model}")
            if reply.reasoning:
                parts.append("\n".join(f"> {line}".rstrip() for line in reply.reasoning.split("\n")))
            parts.append(reply.answer.strip())
    return "\n\n".join(part for part in parts if part) + "\n"


def file_name(title: str) -> str:
    """Return a name that every system takes."""
    return (_NOT_IN_NAMES.sub(" ", title)[:_LONGEST_NAME].strip(" .") or "Zhiyin") + ".md"
