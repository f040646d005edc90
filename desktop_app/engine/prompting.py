"""Messages to prompt tokens, with the model's own template, within a time limit."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from desktop_app.engine.protocol import Message
from models.chat.template import render
from models.errors import ZhiyinError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from desktop_app.engine.runner import Runner

_TEMPLATE_SECONDS = 5.0


def render_prompt(runner: Runner, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()) -> str:
    """Return the prompt that asks for the next reply; a model without a template just continues the text."""
    if runner.chat_template is None:
        return "\n\n".join(str(message.get("content", "")) for message in messages)
    with _time_limit(_TEMPLATE_SECONDS):
        return render(
            runner.chat_template,
            messages,
            tools=list(tools) or None,
            bos=runner.bos_text,
            eos=runner.eos_text,
        )


def prompt_tokens(runner: Runner, messages: Sequence[Message], tools: Sequence[Mapping[str, Any]] = ()) -> list[int]:
    """Return the prompt's tokens; the beginning-of-sequence token comes once, whoever writes it."""
    prompt = render_prompt(runner, messages, tools)
    has_bos = bool(runner.bos_text) and prompt.startswith(runner.bos_text)
    return runner.tokenize(prompt, add_special=not has_bos, special=True)


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
            f"The model's chat template ran longer than {seconds:.0f} seconds; import the model from another source."
        ) from None
    finally:
        with suppress(_TemplateTimeout):
            timer.cancel()
            timer.join()
