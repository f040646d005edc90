"""`zhiyin chat`: one reply with --prompt, or a conversation in the terminal."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, cast

from desktop_app.chat.conversation import Conversation, Message, Role
from desktop_app.chat.reasoning import split_reasoning
from desktop_app.chat.request import ReplyOptions, options_from, reply_request, report_base_model, report_moved_system
from desktop_app.chat.schema_check import WrongAnswer, check_answer, unheld_keywords
from desktop_app.chat.shortening import moved
from desktop_app.chat.steps import is_unfinished, resumable
from desktop_app.commands.chat_record import ChatRecord, open_record
from desktop_app.commands.chat_shortening import Larger, shortened
from desktop_app.commands.chat_tools import ToolChat, add_tool_arguments, toolbox_of
from desktop_app.commands.message_input import MessageEditor, is_typed, piped_lines, piped_text, unread_input_kept
from desktop_app.commands.options import add_thinking, add_threads, add_workers, context_length, integer, real
from desktop_app.commands.session import (
    LoadedSession,
    Session,
    add_adapter_argument,
    find_model,
    loaded_by_plan,
    remote_session,
)
from desktop_app.commands.terminal import INTERRUPTED, say
from desktop_app.engine.client import Answers, EngineDied, EngineFailed, Job
from desktop_app.engine.protocol import Generate, LoadSettings, SamplingSettings, Text, Update
from desktop_app.engine.results import ModelInfo, Reply
from desktop_app.library.installed_model import InstalledModel
from desktop_app.paths import settings_file
from desktop_app.remote.failures import RemoteFailed
from desktop_app.settings import RECOMMENDED, Settings, load_settings
from models.errors import BadFile, ZhiyinError
from models.regular_file import read_regular
from models.system_reasons import system_reason
from models.untrusted_json import InvalidJSON, decode

_LARGEST_SEED = 2**32 - 2  # llama.cpp takes 2**32 - 1 for none


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    defaults = SamplingSettings()
    parser.add_argument(
        "-m", "--model", help="a model's name or a GGUF file (default: the one used last, else the newest of yours)"
    )
    parser.add_argument(
        "--remote",
        metavar="URL",
        help="a model that is not on this computer: a server with OpenAI's protocol, as http://192.168.1.5:8080/v1; --model "
        "names one of its models; what you write is sent there (`zhiyin remote add` keeps its key)",
    )
    parser.add_argument(
        "--prompt",
        metavar="TEXT",
        help="ask this, print the reply alone and end; -: what standard input holds; the text of a pipe or file comes first",
    )
    parser.add_argument(
        "--system", metavar="TEXT", help="the system message (default: as set for the model, or in the window)"
    )
    parser.add_argument("--max-tokens", type=integer(0), metavar="N", help="longest reply in tokens; 0: no limit")
    numbers = (
        ("--temperature", real(0, 100), "T", defaults.temperature, "0: always the most probable token"),
        ("--top-k", integer(0), "N", defaults.top_k, "choose among the N most probable tokens; 0: all"),
        ("--top-p", real(0, 1), "P", defaults.top_p, "choose among the most probable tokens that make up P"),
        ("--min-p", real(0, 1), "P", defaults.min_p, "leave out what is less probable than P times the most probable"),
        ("--repeat-penalty", real(0.01, 100), "R", defaults.repeat_penalty, "above 1: avoid the last 64 tokens"),
    )
    for name, kind, metavar, default, text in numbers:
        usual = f"as set in the window, else what the model's publisher recommends, else {default}"
        parser.add_argument(name, type=kind, metavar=metavar, help=f"{text} (default: {usual})")
    parser.add_argument("--stop", action="append", default=[], metavar="TEXT", help="ends the reply; may be repeated")
    parser.add_argument(
        "--schema",
        type=Path,
        metavar="FILE.json",
        help="a JSON schema: the answer is JSON that it allows, and nothing else",
    )
    parser.add_argument("--seed", type=integer(0, _LARGEST_SEED), metavar="N", help="makes the reply repeatable")
    parser.add_argument(
        "--ctx", type=context_length, metavar="N", help="context length in tokens (default: what fits, up to 8192)"
    )
    add_thinking(parser)
    add_threads(parser)
    add_workers(parser)
    add_adapter_argument(parser)
    add_tool_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    """Chat."""
    model = find_model(arguments.model) if arguments.remote is None else None
    settings = load_settings(settings_file())
    options = _options(arguments, settings if model is None else model.own.over(settings))
    opening = _session(arguments, model)
    prompt = None if arguments.prompt is None else _prompt(arguments.prompt)
    has_record = bool(arguments.tools or arguments.mcp or arguments.go_on)
    with (
        unread_input_kept() if prompt is None and is_typed() else nullcontext(),
        open_record(last=arguments.go_on) if has_record else nullcontext() as record,
        toolbox_of(arguments, record.conversation.id if record else "") as toolbox,
        opening as session,
    ):
        report_base_model(session.info)
        acting = ToolChat(session, toolbox, record.step, allow_all=arguments.yes) if record else None
        own = session if isinstance(session, LoadedSession) else None
        chat = _Chat(session.engine, session.info, options, session.model.sampling, acting, record, session=own)
        if chat.go_on() == "cancelled" and prompt is not None:
            return INTERRUPTED
        if prompt is not None:
            return INTERRUPTED if chat.ask(prompt) == "cancelled" else 0
        return _converse(chat)


def _session(arguments: argparse.Namespace, model: InstalledModel | None) -> AbstractContextManager[Session]:
    """Return what opens the model: one of this computer, or (None) of the server that --remote names.

    Raises:
        ZhiyinError: there is no such model, or an option has no meaning for it.
    """
    if model is not None:
        settings = LoadSettings(threads=arguments.threads)
        return loaded_by_plan(model, settings, arguments.ctx, arguments.adapter, arguments.worker)
    if arguments.ctx is not None or arguments.adapter or arguments.threads or arguments.worker:
        raise ZhiyinError(
            "--ctx, --threads, --adapter and --worker are set where a remote model runs; leave them out here."
        )
    return remote_session(arguments.remote, arguments.model)


def _prompt(given: str) -> str:
    """Return what --prompt asks: standard input where it is "-", else the text of a pipe or file with the question below it.

    Raises:
        ZhiyinError: there is no text.
    """
    if not given.strip():
        raise ZhiyinError("--prompt is empty; give it a text, or - for standard input.")
    if given == "-":
        text = piped_text()
        if not text.strip():
            raise ZhiyinError("Standard input holds no text for --prompt -; give it a file or a pipe that does.")
        return text
    text = "" if is_typed() else piped_text().strip("\r\n")
    return f"{text}\n\n{given}" if text.strip() else given


def _options(arguments: argparse.Namespace, settings: Settings) -> ReplyOptions:
    """Return what the options say, else what the user set in the window."""
    own = options_from(settings)
    given = {name: value for name in RECOMMENDED if (value := getattr(arguments, name)) is not None}
    return ReplyOptions(
        system_prompt=own.system_prompt if arguments.system is None else arguments.system,
        sampling={**own.sampling, **given},
        seed=own.seed if arguments.seed is None else arguments.seed,
        max_tokens=own.max_tokens if arguments.max_tokens is None else arguments.max_tokens,
        stop=tuple(text for text in arguments.stop if text),
        thinking=own.thinking if arguments.thinking is None else arguments.thinking,
        effort=own.effort if arguments.effort is None else arguments.effort,
        schema=None if arguments.schema is None else _read_schema(arguments.schema),
    )


def _read_schema(path: Path) -> dict[str, Any]:
    """Return the JSON schema in a file; raises `BadFile`."""
    try:
        schema = decode(read_regular(path), object)
    except OSError as error:
        raise BadFile("{path} cannot be read: {reason}.", path=path, reason=system_reason(error)) from error
    except InvalidJSON as error:
        raise BadFile("{path} is not JSON ({reason}); correct it.", path=path, reason=error.reason) from error
    if not isinstance(schema, dict):
        raise BadFile('{path} must hold a JSON schema, such as {{"type": "object"}}.', path=path)
    if words := unheld_keywords(schema):
        say(
            f"zhiyin: a reply cannot be held to {', '.join(words)} while it is written; the finished answer is checked for that."
        )
    return schema


@dataclass
class _Chat:
    """A conversation with a loaded model."""

    engine: Answers
    info: ModelInfo
    options: ReplyOptions
    recommended: Mapping[str, float]
    acting: ToolChat | None = None
    """Answers where the chat is recorded."""
    record: ChatRecord | None = None
    messages: list[Message] = field(default_factory=list)
    asked: Message | None = None
    """What was asked last."""
    session: LoadedSession | None = None
    """The model of this computer; None: it is on another one."""
    _new: Conversation = field(default_factory=Conversation)

    def go_on(self) -> str:
        """Take up what is recorded, and finish what was cut off; return why that ended."""
        if self.record is not None:
            self.messages = list(self.record.path)
            choices = self.record.conversation.choices
            self.options = replace(self.options, reads_from=choices.reads_from, summary=choices.summary)
        if self.acting is not None and is_unfinished(self.messages):
            return self._act(resumable(self.messages))
        return "end"

    def _act(self, path: list[Message]) -> str:
        """Let the model answer a branch, with tools; return why it ended."""
        self.messages = path
        self.messages += cast(ToolChat, self.acting).answer(path, self.options)
        return "cancelled" if self.messages[-1].state == "stopped" else "end"

    def ask(self, text: str) -> str:
        """Print the reply to a message, and return why it ended; a message whose reply failed is forgotten."""
        self.asked = self._message("user", text)
        return self.ask_again()

    def ask_again(self) -> str:
        """Ask what was asked last."""
        asked = cast(Message, self.asked)
        self.messages.append(asked)
        try:
            request = reply_request(self.messages, self.options, self.recommended)
            report_moved_system(self.info, request.messages)
            if self.record is not None:
                self.record.question(asked)
                return self._act(self.messages)
            result = _print_reply(self.engine, request)
        except (EngineDied, EngineFailed, RemoteFailed):
            self.messages.pop()
            raise
        self.messages.append(self._message("assistant", result.text))
        if request.schema is not None and result.reason != "cancelled":
            _check(request.schema, result)
        return result.reason

    def make_room(self, error: ZhiyinError, choose: Callable[[], str]) -> bool:
        """Let the user choose how it goes on where what was asked last does not fit; tell whether it may be asked again."""
        path = [*self.messages, cast(Message, self.asked)]
        try:
            outcome = shortened(self.engine, self.options, self.info.context, path, error, choose, self._larger)
        except (EOFError, KeyboardInterrupt):
            return False
        except ZhiyinError as failure:
            say(f"zhiyin: {failure}")
            return False
        if outcome is not None and outcome.new_chat:
            self._move_on(path, outcome.options)
        elif outcome is not None:
            self.options = outcome.options
            if self.record is not None:
                self.record.choose_reading(self.options.reads_from, self.options.summary)
        return outcome is not None

    def _move_on(self, path: Sequence[Message], options: ReplyOptions) -> None:
        """Go on in a new chat with the last turns and what was asked."""
        kept = moved(path, options.reads_from)
        *self.messages, self.asked = kept if self.record is None else self.record.move_on(kept)
        self.options = replace(options, reads_from="", summary="")

    def _larger(self, needed: int) -> Larger | None:
        """Find a context of more than so many tokens that the memory takes."""
        session = self.session
        planned = session.larger(needed) if session is not None else None
        if session is None or planned is None:
            return None

        def load() -> None:
            session.load_again(planned)
            self.info = session.info

        now = session.planned.plan.chosen.bytes
        return Larger(planned.settings.context, max(0, planned.plan.chosen.bytes - now), load)

    def _message(self, role: Role, text: str) -> Message:
        parent = self.messages[-1].id if self.messages else None
        chat = self._new if self.record is None else self.record.conversation
        return Message(chat.id, parent, role, text)


def _converse(chat: _Chat) -> int:
    """Answer what is typed until Ctrl+D, or each line of a pipe; exit 1 where a reply to one of these failed."""
    if not is_typed():
        return max((_answer(chat, partial(chat.ask, line)) for line in piped_lines() if line.strip()), default=0)
    editor = MessageEditor()
    say("Type your message and press Enter (Alt+Enter: a new line). Ctrl+C stops a reply, Ctrl+D ends the chat.")
    while True:
        try:
            text = editor.read()
        except (EOFError, KeyboardInterrupt):
            return 0
        if text.strip():
            _answer(chat, partial(chat.ask, text), editor.read)


def _answer(chat: _Chat, ask: Callable[[], str], choose: Callable[[], str] | None = None) -> int:
    """Print the reply to a message, or why there is none; return the exit code of the message alone.

    `choose` asks the user what to do with a chat that has become too long; None: nobody is there.
    """
    try:
        ask()
    except (EngineDied, EngineFailed, RemoteFailed, WrongAnswer) as error:
        say(f"zhiyin: {error}")
        if error.code == "context-full" and choose is not None and chat.make_room(error, choose):
            return _answer(chat, chat.ask_again)
        return 1
    return 0


def _print_reply(engine: Answers, request: Generate) -> Reply:
    """Print a reply as it comes, and return it."""

    def show(update: Update) -> None:
        if isinstance(update, Text):
            print(update.text, end="", flush=True)

    result = _wait(engine.submit(request, show))
    print()
    if result.reason == "full":
        say(
            "zhiyin: the context is full, so the reply ends here. With your next message you choose how the chat goes on."
        )
    return result


def _check(schema: Mapping[str, Any], result: Reply) -> None:
    """Hold a reply that nobody stopped to its schema; raises `WrongAnswer`, for a cut answer too."""
    if result.reason not in ("end", "stop"):
        raise WrongAnswer("The answer was cut off, so that it is no whole JSON; allow more with --max-tokens or --ctx.")
    check_answer(schema, split_reasoning(result.text).answer)


def _wait(job: Job[Reply]) -> Reply:
    try:
        return job.result()
    except KeyboardInterrupt:
        job.cancel()
        return job.result()
