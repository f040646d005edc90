"""Input of messages in the terminal: typed with history and editing, or lines of a pipe or file."""

from __future__ import annotations

import os
import select
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from desktop_app.commands.streams import decode_text, write_error_text
from desktop_app.commands.terminal import say

if TYPE_CHECKING:
    from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
    from prompt_toolkit.output import Output

_PATIENCE = 3.0
"""Seconds after which it is said that a pipe is waited for: a program may have left one open by mistake."""
_PROMPT = "> "
_LOOK = 0.05
"""Seconds between two looks at whether a question is not to be answered any more."""
_LONGEST_ANSWER = 64
_REDRAW = 0.05
"""Seconds between two pictures of a message while its keys come faster than that."""


def is_typed() -> bool:
    """Tell whether a terminal is standard input."""
    return sys.stdin.isatty()


def piped_text() -> str:
    """Return all that a pipe or a file holds; of a terminal, what is typed until Ctrl+D."""
    hint = threading.Timer(_PATIENCE, say, ("Waiting for the end of standard input (Ctrl+D in a terminal).",))
    hint.daemon = True
    hint.start()
    try:
        return decode_text(sys.stdin.buffer.read())
    finally:
        hint.cancel()


def piped_lines() -> Iterator[str]:
    """Yield the lines of a pipe or file as they come, without their ends."""
    for line in sys.stdin.buffer:
        yield decode_text(line).rstrip("\r\n")


class MessageEditor:
    """Takes messages from the terminal, of any length; what is pasted is one message, whatever lines it has."""

    def __init__(self) -> None:
        """Prepare the terminal; the messages are kept for the arrow keys until the command ends."""
        from prompt_toolkit import PromptSession  # takes a part of a second

        self._output = _output()
        self._session: PromptSession[str] = PromptSession(key_bindings=_key_bindings(), output=self._output)
        self._session.app.min_redraw_interval = _REDRAW

    def read(self) -> str:
        """Wait for a message.

        Raises:
            EOFError: Ctrl+D.
            KeyboardInterrupt: Ctrl+C where nothing is typed.
        """
        # The editor moves the cursor where a space is; a script that drives a terminal waits for the prompt as it is.
        self._output.write_raw(f"\n{_PROMPT}\r")
        self._output.flush()
        return self._session.prompt(_PROMPT)


def typed_answer(question: str, stop: threading.Event) -> str:
    """Return a line typed as the answer to a question; "" after a stop. What was typed before the question does not count."""
    line = b""
    with _single_keys() as next_key:
        write_error_text(question)
        while not stop.is_set():
            key = next_key()
            if key in (b"\r", b"\n", b"\x03", b"\x04"):
                write_error_text("\n")
                return "" if key in (b"\x03", b"\x04") else line.decode("utf-8", "replace").strip()
            if key in (b"\x7f", b"\x08"):
                write_error_text("\b \b" if line else "")
                line = line[:-1]
            elif key.isascii() and key.decode().isprintable() and len(line) < _LONGEST_ANSWER:
                line += key
                write_error_text(key.decode())
    write_error_text("\n")
    return ""


@contextmanager
def _single_keys() -> Iterator[Callable[[], bytes]]:
    """Yield what returns the next key of the terminal, or nothing after a moment; whatever mode the terminal is in."""
    try:
        import termios
    except ImportError:
        yield _windows_key
        return
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    changed = termios.tcgetattr(terminal)
    changed[3] &= ~(termios.ICANON | termios.ECHO)
    changed[6][termios.VMIN], changed[6][termios.VTIME] = 1, 0
    termios.tcsetattr(terminal, termios.TCSAFLUSH, changed)

    def key() -> bytes:
        return os.read(terminal, 1) or b"\x04" if select.select([terminal], [], [], _LOOK)[0] else b""

    try:
        yield key
    finally:
        with suppress(termios.error):
            termios.tcsetattr(terminal, termios.TCSANOW, before)


def _windows_key() -> bytes:
    import msvcrt

    if not msvcrt.kbhit():  # type: ignore[attr-defined, unused-ignore]
        time.sleep(_LOOK)
        return b""
    return str(msvcrt.getwch()).encode("utf-8", "replace")  # type: ignore[attr-defined, unused-ignore]


@contextmanager
def unread_input_kept() -> Iterator[None]:
    """Let a terminal keep what is typed while nobody reads it, of any length, and echo it where it is read.

    A terminal that gathers lines itself (canonical mode) cuts each at 4,095 bytes. Ctrl+C goes on to send its signal.
    """
    try:
        import termios
    except ImportError:  # Windows keeps any length
        yield
        return
    terminal = sys.stdin.fileno()
    try:
        before = termios.tcgetattr(terminal)
    except termios.error:  # it is gone
        yield
        return
    changed = termios.tcgetattr(terminal)
    changed[0] &= ~termios.ICRNL  # the editor knows "\r\n", which would become two ends of lines
    changed[3] &= ~(termios.ICANON | termios.ECHO)
    changed[6][termios.VMIN], changed[6][termios.VTIME] = 1, 0
    termios.tcsetattr(terminal, termios.TCSANOW, changed)
    try:
        yield
    finally:
        with suppress(termios.error):
            termios.tcsetattr(terminal, termios.TCSANOW, before)


def _output() -> Output:
    """Return the terminal on which the message is seen while it is typed: that of stdout, else that of stderr."""
    from prompt_toolkit.output import DummyOutput, create_output

    stream = next((stream for stream in (sys.stdout, sys.stderr) if stream.isatty()), None)
    if stream is None:
        return DummyOutput()
    output = create_output(stream)
    if hasattr(output, "enable_cpr"):
        output.enable_cpr = False  # a question to the terminal about its cursor, which not every one answers
    return output


def _key_bindings() -> KeyBindings:
    from prompt_toolkit.key_binding import KeyBindings
    from prompt_toolkit.keys import Keys

    keys = KeyBindings()

    @keys.add("escape", "enter")
    def begin_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    @keys.add(Keys.Any)
    def insert(event: KeyPressEvent) -> None:
        """Insert all characters that wait: one by one, each with a copy of the text, a long paste would take minutes."""
        text, waiting = event.data * event.arg, event.key_processor.input_queue
        characters = []
        while waiting and waiting[0].key == waiting[0].data:  # no key that has a name
            characters.append(waiting.popleft().data)
        event.current_buffer.insert_text(text + "".join(characters))

    @keys.add("c-c")
    @keys.add("<sigint>")
    def clear_or_end(event: KeyPressEvent) -> None:
        if event.current_buffer.text:
            event.current_buffer.reset()
        else:
            event.app.exit(exception=KeyboardInterrupt(), style="class:aborting")

    return keys
