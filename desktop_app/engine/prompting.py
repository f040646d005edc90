"""Messages to prompt tokens, with the model's own template, within a time limit.

Only the template writes control tokens: where a message or a tool holds the text of one, that text stays text.
"""

from __future__ import annotations

import ctypes
import re
import threading
from collections.abc import Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from desktop_app.engine.protocol import Prompt
from desktop_app.sequences import common_prefix
from models.chat.dialects import DIALECTS, prepared
from models.chat.harmony import EFFORTS
from models.chat.template import render
from models.errors import ZhiyinError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from desktop_app.engine.runner import Runner

_TEMPLATE_SECONDS = 5.0
_MARK = "\ufdd0"
"""Keeps a control token's text apart while a template is rendered; a noncharacter, which no text holds."""
_NOT_TEXT = ("role", "type")
_THINKING = ("enable_thinking", "thinking")
"""What templates call the choice: Qwen, GLM and most others; DeepSeek and Granite."""
_EFFORT = "reasoning_effort"
"""What gpt-oss's template calls how long to think."""
_OPENED = re.compile(r"(<think>?)\s*\Z")
"""How the prompts of models that think end; RWKV-7 G1's leave the mark's last sign to the model."""
_ANY = "知音"
"""A message that merges with nothing around it."""
_ASKED = Prompt(({"role": "user", "content": _ANY},))


def render_prompt(runner: Runner, asked: Prompt) -> str:
    """Return the prompt that asks for the next reply; a model without a template just continues the text.

    Raises:
        ZhiyinError: there are tools, and the template has no place for them; or it fails or takes too long.
    """
    if asked.tools and not runner.info.tools:
        raise ZhiyinError(
            "{name} knows no tools, its chat format has no place for them; ask without tools, or choose a model "
            "that was trained with them.",
            name=runner.info.name,
        )
    if runner.chat_template is None:
        return "\n\n".join(str(message.get("content", "")) for message in asked.messages)
    choices: dict[str, Any] = {} if asked.thinking is None else dict.fromkeys(_THINKING, asked.thinking)
    with _time_limit(_TEMPLATE_SECONDS):
        return render(
            runner.chat_template,
            prepared(asked.messages, DIALECTS.get(runner.info.dialect), runner.chat_template),
            tools=list(asked.tools) or None,
            bos=runner.vocabulary.bos_text,
            eos=runner.vocabulary.eos_text,
            **(choices | ({_EFFORT: asked.effort} if asked.effort else {})),
        )


def prompt_tokens(runner: Runner, asked: Prompt) -> list[int]:
    """Return the prompt's tokens; the beginning-of-sequence token comes once, whoever writes it."""
    control = _any_of(runner.vocabulary.control_texts())
    messages, tools = (tuple(_apart(part, control)) for part in (asked.messages, asked.tools))
    prompt = render_prompt(runner, replace(asked, messages=messages, tools=tools))
    has_bos = bool(runner.vocabulary.bos_text) and prompt.startswith(runner.vocabulary.bos_text)
    if _MARK not in prompt:
        return runner.tokenize(prompt, add_special=not has_bos, special=True)
    if control.search(prompt) is None:
        return runner.tokenize(prompt.replace(_MARK, ""), add_special=not has_bos, special=False)
    ids = [] if has_bos else runner.tokenize("", add_special=True, special=False)
    start = 0
    for match in control.finditer(prompt):
        ids += _text_tokens(runner, prompt[start : match.start()])
        ids += runner.tokenize(match.group(), add_special=False, special=True)
        start = match.end()
    return ids + _text_tokens(runner, prompt[start:])


def settled_tokens(runner: Runner, asked: Prompt, prompt: Sequence[int]) -> int:
    """Return with how many of its tokens the next turn's prompt begins, whatever the reply is.

    Templates that leave earlier reasoning out write the reply's beginning otherwise once the reply is there.

    Args:
        runner: the loaded model.
        asked: the chat.
        prompt: the tokens of its prompt.
    """
    turns = ({"role": "assistant", "content": _ANY}, {"role": "user", "content": _ANY})
    try:
        return common_prefix(prompt_tokens(runner, replace(asked, messages=(*asked.messages, *turns))), prompt)
    except ZhiyinError:  # a template that takes no such turns: then there is no next one
        return len(prompt)


def reply_opening(runner: Runner, asked: Prompt) -> str:
    """Return the mark of a thought's beginning where the prompt ends in it: the model goes on inside the thought."""
    found = _OPENED.search(render_prompt(runner, asked))
    return found[1] if found else ""


def thinks_by_itself(runner: Runner) -> bool | None:
    """Return whether replies begin with a thought where nobody asks for it; None: the template leaves no choice.

    Where the prompt as it is asks neither for a thought nor for none, the model decides: that counts as thinking.
    """
    try:
        as_it_is, on, off = (render_prompt(runner, replace(_ASKED, thinking=wish)) for wish in (None, True, False))
    except ZhiyinError:
        return None  # a chat will say why
    return None if on == off else as_it_is != off


def effort_by_itself(runner: Runner) -> str:
    """Return how long replies think where nobody asks for it; "": the template leaves no choice among the efforts."""
    if _EFFORT not in (runner.chat_template or ""):
        return ""
    try:
        as_it_is, *each = (render_prompt(runner, replace(_ASKED, effort=effort)) for effort in ("", *EFFORTS))
    except ZhiyinError:
        return ""
    return EFFORTS[each.index(as_it_is)] if as_it_is in each and len(set(each)) == len(each) else ""


def mark_tokens(runner: Runner, marks: Mapping[str, str]) -> dict[int, bytes]:
    """Return the control tokens of these texts in a model's vocabulary, each with what stands for it in a reply."""
    known = set(runner.vocabulary.control_texts()) if marks else set()
    found = {text: runner.tokenize(text, add_special=False, special=True) for text in marks if text in known}
    return {ids[0]: marks[text].encode() for text, ids in found.items() if len(ids) == 1}


def _text_tokens(runner: Runner, text: str) -> list[int]:
    """Return the tokens of what stands between two control tokens."""
    text = text.replace(_MARK, "")
    return runner.tokenize(text, add_special=False, special=False) if text else []


def _any_of(texts: Sequence[str]) -> re.Pattern[str]:
    longest_first = sorted((text for text in texts if len(text) > 1), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)) if longest_first else r"(?!)")


def _apart(value: Any, control: re.Pattern[str]) -> Any:
    """Return messages or tools with a mark inside every text of a control token."""
    if isinstance(value, str):
        return control.sub(lambda match: match.group()[0] + _MARK + match.group()[1:], value)
    if isinstance(value, Mapping):
        return {key: item if key in _NOT_TEXT else _apart(item, control) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_apart(item, control) for item in value]
    return value


class _TemplateTimeout(BaseException):
    """Raised inside a template that runs too long."""


@contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """End the block after `seconds`: a template is untrusted and may loop for ever; the sandbox does not bound time."""
    thread = ctypes.c_ulong(threading.get_ident())
    interrupt = ctypes.pythonapi.PyThreadState_SetAsyncExc
    timer = threading.Timer(seconds, interrupt, (thread, ctypes.py_object(_TemplateTimeout)))
    timer.daemon = True
    timer.start()
    try:
        yield
    except _TemplateTimeout:
        raise ZhiyinError(
            "The model's chat template ran longer than {seconds:.0f} seconds; import the model from another source.",
            seconds=seconds,
        ) from None
    finally:
        with suppress(_TemplateTimeout):
            timer.cancel()
            timer.join()
