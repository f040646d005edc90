"""`zhiyin chat`: one reply with --prompt, or a conversation in the terminal."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from desktop_app.commands.session import add_adapter_argument, loaded_by_plan
from desktop_app.engine.client import Engine, EngineDied, EngineFailed, Job
from desktop_app.engine.protocol import Event, Generate, LoadSettings, SamplingSettings
from desktop_app.terminal import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    defaults = SamplingSettings()
    parser.add_argument("-m", "--model", help="a model's name or a GGUF file (default: the newest of your models)")
    parser.add_argument("--prompt", help="ask this, print the reply alone and end")
    parser.add_argument("--system", help="the system message")
    parser.add_argument("--max-tokens", type=int, default=0, help="longest reply in tokens (default: no limit)")
    parser.add_argument("--temperature", type=float, default=defaults.temperature)
    parser.add_argument("--top-k", type=int, default=defaults.top_k)
    parser.add_argument("--top-p", type=float, default=defaults.top_p)
    parser.add_argument("--min-p", type=float, default=defaults.min_p)
    parser.add_argument("--repeat-penalty", type=float, default=defaults.repeat_penalty)
    parser.add_argument("--stop", action="append", default=[], help="a text that ends the reply; may be repeated")
    parser.add_argument("--seed", type=int, help="makes the reply repeatable")
    parser.add_argument("--ctx", type=int, help="context length in tokens (default: what fits, up to 8192)")
    parser.add_argument("--threads", type=int, default=0)
    add_adapter_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Chat."""
    sampling = SamplingSettings(
        temperature=arguments.temperature,
        top_k=arguments.top_k,
        top_p=arguments.top_p,
        min_p=arguments.min_p,
        repeat_penalty=arguments.repeat_penalty,
        seed=arguments.seed,
        max_tokens=arguments.max_tokens,
        stop=tuple(arguments.stop),
    )
    messages: list[dict[str, Any]] = []
    if arguments.system:
        messages.append({"role": "system", "content": arguments.system})
    settings = LoadSettings(threads=arguments.threads)
    with loaded_by_plan(arguments.model, settings, arguments.ctx, arguments.adapter) as engine:
        if arguments.prompt is not None:
            messages.append({"role": "user", "content": arguments.prompt})
            _reply(engine, messages, sampling)
            return 0
        return _converse(engine, messages, sampling)


def _converse(engine: Engine, messages: list[dict[str, Any]], sampling: SamplingSettings) -> int:
    say("Type your message and press Enter. Ctrl+C stops a reply, Ctrl+D ends the chat.")
    while True:
        try:
            text = input("\n> " if sys.stdin.isatty() else "")
        except (EOFError, KeyboardInterrupt):
            return 0
        if not text.strip():
            continue
        messages.append({"role": "user", "content": text})
        try:
            reply = _reply(engine, messages, sampling)
        except (EngineDied, EngineFailed) as error:
            say(f"zhiyin: {error}")
            messages.pop()
            continue
        messages.append({"role": "assistant", "content": reply})


def _reply(engine: Engine, messages: list[dict[str, Any]], sampling: SamplingSettings) -> str:
    def show(event: Event) -> None:
        if event.kind == "text":
            print(event.data["text"], end="", flush=True)

    job = engine.submit(Generate(tuple(messages), sampling), show)
    result = _wait(job)
    print()
    if result["reason"] == "full":
        say("zhiyin: the context is full; start again with a larger --ctx.")
    return str(result["text"])


def _wait(job: Job) -> dict[str, Any]:
    try:
        return job.result()
    except KeyboardInterrupt:
        job.cancel()
        return job.result()
