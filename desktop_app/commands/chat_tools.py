"""Tools in the terminal's chat: which are on, what they do on stderr, and what the user allows."""

from __future__ import annotations

import argparse
import json
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from desktop_app.assistant.approvals import Approvals, Asked, Decision, always_allowed, remember_allowed
from desktop_app.assistant.loop import Assistant
from desktop_app.assistant.mcp.configuration import read_servers
from desktop_app.assistant.tool_names import NAMES
from desktop_app.assistant.toolbox import Toolbox, chosen_from, open_toolbox
from desktop_app.assistant.tools.python import unconfined
from desktop_app.chat.conversation import Message
from desktop_app.chat.request import ReplyOptions
from desktop_app.chat.steps import files_of
from desktop_app.commands.message_input import typed_answer
from desktop_app.commands.session import Session
from desktop_app.commands.terminal import say
from desktop_app.engine.protocol import Text, Update
from desktop_app.paths import work_folder
from models.errors import ZhiyinError
from models.visible import visible

_LONGEST = 2000
_LOOK = 0.1
_ANSWERS: Mapping[str, Decision] = {"y": "once", "yes": "once", "c": "chat", "a": "always"}


def add_tool_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare --tools and what belongs to them."""
    parser.add_argument(
        "--tools",
        default="",
        metavar="LIST",
        help=f"let the model use tools: {', '.join(NAMES)}, separated by commas; files=FOLDER grants a folder for reading",
    )
    parser.add_argument(
        "--mcp", type=Path, metavar="FILE.json", help="MCP servers whose tools the model may use (mcpServers)"
    )
    parser.add_argument("--yes", action="store_true", help="allow every call of a tool without asking")
    parser.add_argument(
        "--continue",
        dest="go_on",
        action="store_true",
        help="go on with the chat used last, in the window or with tools, and finish what was cut off in it",
    )


class ToolChat:
    """The tools of a `zhiyin chat`."""

    def __init__(
        self,
        session: Session,
        toolbox: Toolbox,
        store: Callable[[Message], None],
        *,
        allow_all: bool,
    ) -> None:
        """Take a loaded model, the tools that are on, and what stores the steps."""
        self._approvals = Approvals(
            (lambda asked: "chat") if allow_all else (lambda asked: _ask(asked, self._stop)),
            set(always_allowed().read()),
            remember_allowed,
        )
        self._session, self._toolbox, self._store = session, toolbox, store
        self._stop = threading.Event()

    def answer(self, path: Sequence[Message], options: ReplyOptions) -> list[Message]:
        """Print the answer to a branch's last message, and the steps to it on stderr; return the messages that came.

        Ctrl+C stops what is under way, a running tool included.
        """
        session = self._session
        self._toolbox.renew()
        assistant = Assistant(
            session.engine,
            session.info.context,
            self._toolbox.tools,
            self._approvals,
            options,
            session.model.sampling,
            self._store,
            _Printer(),
            session.info.name,
        )
        self._stop = assistant.stop
        return stoppable(assistant, path)


def stoppable(assistant: Assistant, path: Sequence[Message]) -> list[Message]:
    """Run the loop on a thread, so that Ctrl+C stops it in order.

    A `Thread.join` that is interrupted takes the thread for ended (Python before 3.13).
    """
    ended = threading.Event()
    result: list[list[Message]] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            result.append(assistant.run(path))
        except BaseException as error:  # it goes on in the thread that waits
            failures.append(error)
        finally:
            ended.set()

    threading.Thread(target=run, name="assistant").start()
    while not ended.is_set():
        try:
            ended.wait(_LOOK)
        except KeyboardInterrupt:
            assistant.stop.set()
    if failures:
        raise failures[0]
    return result[0]


@contextmanager
def toolbox_of(arguments: argparse.Namespace, conversation: str) -> Iterator[Toolbox]:
    """Open the tools that the options turn on, and end what they keep open; raises `ZhiyinError`."""
    if arguments.schema is not None and (arguments.tools or arguments.mcp or arguments.go_on):
        raise ZhiyinError(
            "A schema holds the whole reply, so that no tool can be called; leave out --schema, or the tools."
        )
    toolbox = open_toolbox(
        chosen_from(arguments.tools),
        work_folder(conversation),
        {} if arguments.mcp is None else read_servers(arguments.mcp),
        lambda failure: say(f"zhiyin: {failure}"),
    )
    if toolbox.interpreter is not None and not toolbox.interpreter.is_confined:
        say(f"zhiyin: {unconfined()}")
    try:
        yield toolbox
    finally:
        toolbox.close()


class _Printer:
    """Shows the steps: the answer on stdout as it comes, everything else on stderr."""

    def __init__(self) -> None:
        self._line = ""
        """What a tool has written of a line."""

    def step(self, message: Message) -> None:
        """Tell of a call that begins, and of its result."""
        if message.role == "assistant":
            if message.state != "streaming" and message.content:
                print(flush=True)
        elif message.state == "streaming":
            say(f"→ {message.facts.get('tool')}({_arguments(message.facts.get('arguments', {}))})")
        else:
            self._say_line()
            seconds = message.facts.get("seconds", 0.0)
            say(f"← {_short(message.content)} ({seconds:.1f} s)")
            for path in files_of(message):
                say(f"  {visible(str(path))}")

    def update(self, message: Message, update: Update) -> None:
        """Print the reply as it comes."""
        if isinstance(update, Text):
            print(update.text, end="", flush=True)

    def output(self, message: Message, text: str) -> None:
        """Show what a tool writes while it runs, line by line."""
        *lines, last = text.split("\n")
        for line in lines:
            self._line += line
            say(f"  │ {visible(self._line)}")
            self._line = ""
        self._line += last
        if len(self._line) > _LONGEST:
            self._say_line()

    def _say_line(self) -> None:
        if self._line:
            say(f"  │ {visible(self._line)}")
            self._line = ""


def _ask(asked: Asked, stop: threading.Event) -> Decision:
    """Ask the user in the terminal; where nobody is there, or after a stop, the answer is no."""
    say(
        f"{visible(asked.tool.name)} would do this{f' (of {visible(asked.tool.source)})' if asked.tool.source else ''}:"
    )
    if asked.tool.effect is not None:
        say(str(asked.tool.effect(asked.arguments)))
    for name, value in asked.arguments.items():
        say(
            f"  {visible(str(name))}: {visible(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))}"
        )
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        say("It was not allowed: nobody is here to ask; --yes allows every call.")
        return "refuse"
    question = "Allow it? [y] once, [c] in this chat, [a] always, [n] no: "
    return _ANSWERS.get(typed_answer(question, stop).lower(), "refuse")


def _arguments(arguments: Any) -> str:
    pairs = arguments.items() if isinstance(arguments, Mapping) else ()
    return _short(", ".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in pairs))


def _short(text: str) -> str:
    """Return a text as one or some lines that a terminal can show."""
    cut = text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"
    return "\n  ".join(visible(line) for line in cut.strip().splitlines())
