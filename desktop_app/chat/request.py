"""What is sent to the engine for a reply: the messages, the system prompt and how tokens are chosen.

The window and `zhiyin chat` both ask through `reply_request`, so that the same chat gets the same reply in either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from desktop_app import reports
from desktop_app.chat.conversation import Message
from desktop_app.chat.failure import was_too_large
from desktop_app.chat.reasoning import split_reasoning
from desktop_app.engine.protocol import Generate, SamplingSettings
from desktop_app.engine.results import ModelInfo
from desktop_app.settings import RECOMMENDED, Settings
from models.errors import ZhiyinError


@dataclass(frozen=True)
class ReplyOptions:
    """What the user chose for replies; whatever is left open is decided by the model's publisher or the model itself."""

    system_prompt: str = ""
    sampling: Mapping[str, float] = field(default_factory=dict)
    """Some of `settings.RECOMMENDED`."""
    seed: int | None = None
    """None: another one each time."""
    max_tokens: int = 0
    """0: until the model ends or the context is full."""
    stop: tuple[str, ...] = ()
    """Texts that end a reply."""
    thinking: bool | None = None
    effort: str = ""
    """Both as in `Generate`."""
    schema: Mapping[str, Any] | None = None
    """The JSON schema that answers are held to; None: they are free."""


def options_from(settings: Settings) -> ReplyOptions:
    """Return what the user chose in the settings."""
    return ReplyOptions(
        system_prompt=settings.system_prompt,
        sampling={name: value for name in RECOMMENDED if (value := getattr(settings, name)) is not None},
        seed=None if settings.seed < 0 else settings.seed,
        max_tokens=settings.max_tokens,
        thinking=settings.thinking,
        effort=settings.effort,
    )


def reply_request(
    path: Sequence[Message], options: ReplyOptions, recommended: Mapping[str, float], state: Path | None = None
) -> Generate:
    """Return the request for a reply to the last message.

    Args:
        path: the messages of the chat's open branch, the first one first.
        options: what the user chose.
        recommended: the sampling that the model's publisher recommends, by name.
        state: as in `Generate`.
    """
    return Generate(
        tuple(prompt_messages(path, options.system_prompt)),
        sampling(options, recommended),
        state=state,
        thinking=options.thinking,
        effort=options.effort,
        schema=options.schema,
    )


def sampling(options: ReplyOptions, recommended: Mapping[str, float]) -> SamplingSettings:
    """Return how the next token is chosen: as the user set it, else as the publisher recommends, else by our defaults."""
    chosen: dict[str, Any] = {**recommended, **options.sampling}
    return SamplingSettings(
        **chosen,
        seed=options.seed,
        max_tokens=options.max_tokens,
        stop=options.stop,
    )


def report_moved_system(info: ModelInfo, messages: Sequence[Mapping[str, Any]]) -> None:
    """Say once that the chat format has no place for a system message, where a chat has one."""
    if not info.takes_system and any(message.get("role") == "system" for message in messages):
        reports.say(
            ZhiyinError(
                "{name} has no place for a system message in its chats; yours is put in front of the first question.",
                name=info.name,
            )
        )


def prompt_messages(path: Sequence[Message], system_prompt: str) -> list[dict[str, str]]:
    """Return what the model is to read: no reasoning, no empty replies, and never two turns of one role in a row."""
    turns = [{"role": "system", "content": system_prompt}] if system_prompt.strip() else []
    unread = {reply.parent for reply in path if reply.role == "assistant" and was_too_large(reply)}
    for message in path:
        if message.id in unread:
            continue  # it would be too large for the model again, with every later message
        text = split_reasoning(message.content).answer if message.role == "assistant" else message.content
        if not text.strip():
            continue
        if turns and turns[-1]["role"] == message.role:
            turns[-1]["content"] += "\n\n" + text
        else:
            turns.append({"role": message.role, "content": text})
    return turns
