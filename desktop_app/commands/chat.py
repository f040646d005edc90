"""`zhiyin chat`: one reply with --prompt, or a conversation in the terminal."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from typing import Any

from desktop_app.commands.options import add_thinking, add_threads, real, whole
from desktop_app.commands.session import add_adapter_argument, find_model, loaded_by_plan
from desktop_app.commands.terminal import INTERRUPTED, say
from desktop_app.engine.client import Engine, EngineDied, EngineFailed, Job
from desktop_app.engine.protocol import Event, Generate, LoadSettings, SamplingSettings
from desktop_app.settings import RECOMMENDED

_LARGEST_SEED = 2**32 - 2  # llama.cpp takes 2**32 - 1 for none


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    defaults = SamplingSettings()
    parser.add_argument("-m", "--model", help="a model's name or a GGUF file (default: the newest of your models)")
    parser.add_argument("--prompt", metavar="TEXT", help="ask this, print the reply alone and end")
    parser.add_argument("--system", metavar="TEXT", help="the system message")
    parser.add_argument(
        "--max-tokens", type=whole(0), default=0, metavar="N", help="longest reply in tokens (default: no limit)"
    )
    numbers = (
        ("--temperature", real(0, 100), "T", defaults.temperature, "0: always the most probable token"),
        ("--top-k", whole(0), "N", defaults.top_k, "choose among the N most probable tokens; 0: all"),
        ("--top-p", real(0, 1), "P", defaults.top_p, "choose among the most probable tokens that make up P"),
        ("--min-p", real(0, 1), "P", defaults.min_p, "leave out what is less probable than P times the most probable"),
        ("--repeat-penalty", real(0.01, 100), "R", defaults.repeat_penalty, "above 1: avoid the last 64 tokens"),
    )
    for name, kind, metavar, default, text in numbers:
        usual = f"what the model's publisher recommends, else {default}"
        parser.add_argument(name, type=kind, metavar=metavar, help=f"{text} (default: {usual})")
    parser.add_argument("--stop", action="append", default=[], metavar="TEXT", help="ends the reply; may be repeated")
    parser.add_argument("--seed", type=whole(0, _LARGEST_SEED), metavar="N", help="makes the reply repeatable")
    parser.add_argument(
        "--ctx", type=whole(1), metavar="N", help="context length in tokens (default: what fits, up to 8192)"
    )
    add_thinking(parser)
    add_threads(parser)
    add_adapter_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """Chat."""
    asked = Generate((), _sampling(arguments), thinking=arguments.thinking, effort=arguments.effort)
    messages: list[dict[str, Any]] = []
    if arguments.system:
        messages.append({"role": "system", "content": arguments.system})
    settings = LoadSettings(threads=arguments.threads)
    with loaded_by_plan(arguments.model, settings, arguments.ctx, arguments.adapter) as session:
        if arguments.prompt is not None:
            messages.append({"role": "user", "content": arguments.prompt})
            result = _reply(session.engine, asked, messages)
            return INTERRUPTED if result["reason"] == "cancelled" else 0
        return _converse(session.engine, asked, messages)


def _sampling(arguments: argparse.Namespace) -> SamplingSettings:
    """Return how tokens are chosen: as the person says, else as the model's publisher recommends, else as usual."""
    asked = {name: getattr(arguments, name) for name in RECOMMENDED}
    return SamplingSettings(
        **{**find_model(arguments.model).sampling, **{n: value for n, value in asked.items() if value is not None}},
        seed=arguments.seed,
        max_tokens=arguments.max_tokens,
        stop=tuple(text for text in arguments.stop if text),
    )


def _converse(engine: Engine, asked: Generate, messages: list[dict[str, Any]]) -> int:
    say("Type your message and press Enter. Ctrl+C stops a reply, Ctrl+D ends the chat.")
    while True:
        try:
            text = input("\n> " if sys.stdin.isatty() and sys.stdout.isatty() else "")
        except (EOFError, KeyboardInterrupt):
            return 0
        if not text.strip():
            continue
        messages.append({"role": "user", "content": text})
        try:
            reply = _reply(engine, asked, messages)["text"]
        except (EngineDied, EngineFailed) as error:
            say(f"zhiyin: {error}")
            messages.pop()
            continue
        messages.append({"role": "assistant", "content": reply})


def _reply(engine: Engine, asked: Generate, messages: list[dict[str, Any]]) -> dict[str, Any]:
    """Print the reply to these messages, which is otherwise asked for as `asked` says, and return it."""

    def show(event: Event) -> None:
        if event.kind == "text":
            print(event.data["text"], end="", flush=True)

    job = engine.submit(replace(asked, messages=tuple(messages)), show)
    result = _wait(job)
    print()
    if result["reason"] == "full":
        say("zhiyin: the context is full; start again with a larger --ctx.")
    return result


def _wait(job: Job) -> dict[str, Any]:
    try:
        return job.result()
    except KeyboardInterrupt:
        job.cancel()
        return job.result()
