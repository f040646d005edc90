"""A chat as a Markdown file, which any editor opens, and chats as JSON with all that is known of them."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from desktop_app.chat.conversation import Message
from desktop_app.chat.imports.chat import Chat
from desktop_app.chat.imports.zhiyin import document_of
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


def as_json(chats: Sequence[Chat]) -> str:
    """Return chats with all branches and attachments; `desktop_app.chat.imports` reads them again."""
    return json.dumps(document_of(chats), ensure_ascii=False, indent=1) + "\n"


def file_name(title: str, ending: str = "md") -> str:
    """Return a name that every system takes."""
    return f"{_NOT_IN_NAMES.sub(' ', title)[:_LONGEST_NAME].strip(' .') or 'Zhiyin'}.{ending}"
