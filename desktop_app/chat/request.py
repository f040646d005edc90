"""The engine request for a reply: the messages, the system prompt and how tokens are chosen.

The window and `zhiyin chat` both ask through `reply_request`, so that the same chat gets the same reply in either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from desktop_app import reports
from desktop_app.chat.conversation import Conversation, Message
from desktop_app.chat.failure import was_too_large
from desktop_app.chat.grounding import Grounding, question_texts
from desktop_app.chat.reasoning import Parts, split_reasoning
from desktop_app.chat.steps import NOT_MADE, Call, calls_of, result_text
from desktop_app.engine.protocol import Generate, SamplingSettings
from desktop_app.engine.results import ModelInfo
from desktop_app.settings import RECOMMENDED, Settings
from models.errors import ZhiyinError

_SUMMARY = "Summary of our conversation before this, which is not shown any more:"


@dataclass(frozen=True)
class ReplyOptions:
    """The user's reply options; unset ones fall back to the publisher's recommendation or the model."""

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
    reads_from: str = ""
    """The question from which on the chat is read (`desktop_app.chat.shortening`); "": from its first."""
    summary: str = ""
    """What stands for the turns before."""


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


def options_for(settings: Settings, chat: Conversation) -> ReplyOptions:
    """Return what counts for a chat: what was chosen for it, else what the settings say."""
    general, own = options_from(settings), chat.choices
    sampling = dict(own.sampling)
    seed, most = sampling.pop("seed", None), sampling.pop("max_tokens", None)
    return replace(
        general,
        system_prompt=general.system_prompt if own.instructions is None else own.instructions,
        sampling={**general.sampling, **sampling},
        seed=general.seed if seed is None else None if seed < 0 else int(seed),
        max_tokens=general.max_tokens if most is None else int(most),
        thinking=chat.thinking,
        effort=chat.effort,
        reads_from=own.reads_from,
        summary=own.summary,
    )


def read_part(path: Sequence[Message], start: str) -> list[Message]:
    """Return what the model reads of a chat from a question on; what is attached to questions before it is read, too."""
    place = next((number for number, message in enumerate(path) if start and message.id == start), 0)
    return [message for message in path[:place] if message.role == "user" and message.attachments] + [*path[place:]]


def with_summary(system_prompt: str, summary: str) -> str:
    """Return the instructions with what stands for turns that are not read any more."""
    return f"{system_prompt}\n\n{_SUMMARY}\n{summary}".strip() if summary else system_prompt


def is_shortened(path: Sequence[Message], options: ReplyOptions) -> bool:
    """Tell whether a branch is one of which the first turns are left out."""
    return any(message.id == options.reads_from for message in path)


def instructions(path: Sequence[Message], options: ReplyOptions) -> str:
    """Return the system prompt of a branch."""
    return with_summary(options.system_prompt, options.summary if is_shortened(path, options) else "")


def reply_request(
    path: Sequence[Message],
    options: ReplyOptions,
    recommended: Mapping[str, float],
    state: Path | None = None,
    grounding: Grounding | None = None,
) -> Generate:
    """Return the request for a reply to the last message.

    Args:
        path: the messages of the chat's open branch, the first one first.
        options: what the user chose.
        recommended: the sampling that the model's publisher recommends, by name.
        state: as in `Generate`.
        grounding: what the model is to read of documents.
    """
    read = read_part(path, options.reads_from)
    return Generate(
        tuple(prompt_messages(read, instructions(path, options), grounding)),
        sampling(options, recommended),
        state=state,
        thinking=options.thinking,
        effort=options.effort,
        schema=options.schema,
        shortened=is_shortened(path, options),
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
    if not info.takes_system and any(message.get("role") in ("system", "developer") for message in messages):
        reports.say(
            ZhiyinError(
                "{name} has no place for a system message in its chats; yours is put in front of the first question.",
                name=info.name,
            )
        )


def report_base_model(info: ModelInfo) -> None:
    """Say once that a model without a chat format was made to continue texts, not to answer."""
    if not info.chat and not info.chat_format:
        reports.say(
            ZhiyinError(
                "{name} is a base model: it continues your text and does not answer questions; choose a model for chats "
                "(often called Instruct or Chat) to ask it something.",
                name=info.name,
            )
        )


def read_again(path: Sequence[Message]) -> list[Message]:
    """Return the messages that the model is to read: a question that was too large would be so with every later message."""
    unread = {reply.parent for reply in path if reply.role == "assistant" and was_too_large(reply)}
    return [message for message in path if message.id not in unread]


def prompt_messages(
    path: Sequence[Message], system_prompt: str, grounding: Grounding | None = None
) -> list[dict[str, Any]]:
    """Return what the model is to read: no empty replies, never two turns of one role in a row, each call with its result.

    Reasoning is left out, but for that of the steps after the last question: between its calls a model goes on with it.
    """
    path = read_again(path)
    texts = question_texts(path, grounding)
    turns: list[dict[str, Any]] = [{"role": "system", "content": system_prompt}] if system_prompt.strip() else []
    asked = max((number for number, message in enumerate(path) if message.role == "user"), default=-1)
    waiting: list[Call] = []
    for number, message in enumerate(path):
        if message.role == "tool":
            turns.append(_result(message))
            waiting = [call for call in waiting if call.id != message.facts.get("call")]
            continue
        turns += [_missing(call) for call in waiting]
        parts = split_reasoning(message.content) if message.role == "assistant" else Parts("", texts[message.id])
        waiting = calls_of(message)
        if waiting:
            reasoning = {"reasoning_content": parts.reasoning} if parts.reasoning and number > asked else {}
            calls = [call.openai() for call in waiting]
            turns.append({"role": "assistant", "content": parts.answer, "tool_calls": calls, **reasoning})
        elif not parts.answer.strip():
            continue
        elif turns and turns[-1]["role"] == message.role and "tool_calls" not in turns[-1]:
            turns[-1]["content"] += "\n\n" + parts.answer
        else:
            turns.append({"role": message.role, "content": parts.answer})
    return turns + [_missing(call) for call in waiting]


def _result(message: Message) -> dict[str, Any]:
    """Return the turn of a call's result."""
    name, call = str(message.facts.get("tool", "")), str(message.facts.get("call", ""))
    return {"role": "tool", "name": name, "tool_call_id": call, "content": result_text(message)}


def _missing(call: Call) -> dict[str, Any]:
    """Return the turn of a call that was never made: templates want a result for each."""
    return {"role": "tool", "name": call.name, "tool_call_id": call.id, "content": NOT_MADE}
