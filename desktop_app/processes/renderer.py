"""Chat templates in a process of their own, which can be killed: a template is untrusted, and Python cannot bound what it takes.

One operation in C (a power, a multiplication of a text) can take hours or all of the memory while no other thread of its process
runs. So another process watches, and the system refuses memory.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, BinaryIO, cast

from desktop_app.processes.lifetime import end_with_parent
from desktop_app.processes.start import end, private_stdout, start
from models.chat.template_facts import LARGEST_PROMPT, MEGABYTE, TemplateLimit, check_size
from models.errors import ZhiyinError, error_from_data
from models.visible import visible

_SECONDS = 5
_LOOK = 0.01
"""Seconds between two looks at the process."""
_LONGEST_LOOK = 0.25
"""More seconds between two looks are the computer's, which was suspended, and not the template's."""
_MEMORY = 512 * MEGABYTE
_ADDRESSES = 2 * _MEMORY
"""Bytes that the process can ask the system for, also between two looks."""
_LONGEST_ANSWER = 8 * LARGEST_PROMPT
"""Bytes; JSON writes a character in six at most."""
_READY = b"\n"
_OUT_OF_MEMORY = 3
"""The exit code."""


class Renderer:
    """A process that renders templates, one after the other; a new one is started after it was killed."""

    def __init__(self) -> None:
        """Begin without a process; the first use starts it."""
        self._process: subprocess.Popen[bytes] | None = None
        self._ready = False

    def start(self) -> None:
        """Start the process where none runs, and return at once.

        Raises:
            OSError: the system refuses to start it.
        """
        if self._process is None or self._process.poll() is not None:
            self.close()
            self._process, self._ready = start("--renderer", None), False

    def render(
        self, template: str, messages: Sequence[Mapping[str, Any]], *, path: str | os.PathLike[str], **variables: Any
    ) -> str:
        """Return what `models.chat.template.render` returns.

        Raises:
            TemplateLimit: it takes more than a few seconds, too much memory, or renders too much.
            ZhiyinError: the template is broken, or refuses the messages.
            OSError: the system refuses to start the process.
        """
        check_size(template, path)
        request = {"template": template, "messages": messages, "path": os.fspath(path), **variables}
        process = self._running()
        line, limit = _exchange(process, _encoded(request))
        if not line.endswith(b"\n"):
            self.close()
            raise (limit or (_much_memory if process.returncode == _OUT_OF_MEMORY else _ended))(
                visible(os.fspath(path))
            )
        answer = json.loads(line.decode("utf-8", "surrogatepass"))
        if "failed" in answer:
            raise error_from_data(answer["failed"])
        return str(answer["prompt"])

    def close(self) -> None:
        """End the process, whatever it does."""
        process, self._process = self._process, None
        if process is not None:
            end(process)

    def _running(self) -> subprocess.Popen[bytes]:
        """Return the process as soon as it takes requests: its start counts for no template."""
        self.start()
        process = cast("subprocess.Popen[bytes]", self._process)
        if not self._ready:
            cast(BinaryIO, process.stdout).readline()
            self._ready = True
        return process

    def __enter__(self) -> Renderer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Watch:
    """Kills a process that takes too long or too much memory for one answer."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.limit: Callable[[str], TemplateLimit] | None = None
        self._process = process
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, name="renderer", daemon=True)

    def __enter__(self) -> _Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _look(self) -> None:
        seconds, last = 0.0, time.monotonic()
        while not self._done.wait(_LOOK):
            now = time.monotonic()
            seconds += min(now - last, _LONGEST_LOOK)
            last = now
            if seconds > _SECONDS:
                self.limit = _slow
            elif _resident(self._process.pid) > _MEMORY:
                self.limit = _much_memory
            else:
                continue
            self._process.kill()
            return


def _slow(path: str) -> TemplateLimit:
    return TemplateLimit(
        "The chat template of {path} ran longer than {seconds} seconds; get the model elsewhere.",
        path=path,
        seconds=_SECONDS,
    )


def _much_memory(path: str) -> TemplateLimit:
    return TemplateLimit(
        "The chat template of {path} needs more than {count} MB of memory; get the model elsewhere.",
        path=path,
        count=_MEMORY // MEGABYTE,
    )


def _ended(path: str) -> TemplateLimit:
    return TemplateLimit(
        "The process that renders the chat template of {path} ended by itself; try again, and get the model elsewhere if it "
        "happens again.",
        path=path,
    )


def _resident(pid: int) -> int:
    """Return the bytes of memory that a process holds; 0: it ended."""
    import psutil  # for slow templates alone

    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def _exchange(process: subprocess.Popen[bytes], request: bytes) -> tuple[bytes, Callable[[str], TemplateLimit] | None]:
    """Send a request and return its answer, or a part of it where the process ends, and why it was ended."""
    try:
        cast(BinaryIO, process.stdin).write(request)
        cast(BinaryIO, process.stdin).flush()
    except OSError:
        return b"", None
    if _answers_soon(process):
        return _received(process), None
    with _Watch(process) as watch:
        line = _received(process)
    return line, watch.limit


def _answers_soon(process: subprocess.Popen[bytes]) -> bool:
    """Tell whether an answer comes before the first look: starting a thread would delay it, by a tenth of a millisecond."""
    return sys.platform != "win32" and bool(select.select([cast(BinaryIO, process.stdout)], (), (), _LOOK)[0])


def _received(process: subprocess.Popen[bytes]) -> bytes:
    try:
        return cast(BinaryIO, process.stdout).readline(_LONGEST_ANSWER)
    except OSError:
        return b""


def _encoded(message: Mapping[str, Any]) -> bytes:
    """Return a line of JSON; templates may write lone surrogates."""
    return json.dumps(message, ensure_ascii=False).encode("utf-8", "surrogatepass") + b"\n"


def main(link: int) -> int:
    """Run in the new process: render until standard input ends; `link` is for `end_with_parent`."""
    end_with_parent(link, grace=False)
    signal.signal(
        signal.SIGINT, signal.SIG_IGN
    )  # Ctrl+C in a terminal reaches every process; the engine's parent decides
    from models.chat.template import render

    requests, answers = sys.stdin.buffer, private_stdout()
    _bound_memory()
    answers.write(_READY)
    answers.flush()
    try:
        for line in requests:
            answers.write(_answer(render, line))
            answers.flush()
    except MemoryError:
        os._exit(_OUT_OF_MEMORY)
    return 0


def _answer(render: Callable[..., str], line: bytes) -> bytes:
    try:
        return _encoded({"prompt": render(**json.loads(line.decode("utf-8", "surrogatepass")))})
    except ZhiyinError as error:
        return _encoded({"failed": error.data()})


def _bound_memory() -> None:
    """Let the system refuse memory, where it does so; elsewhere (macOS, Windows) `_Watch` alone looks after it."""
    if sys.platform != "win32":
        import resource

        most = resource.getrlimit(resource.RLIMIT_AS)[1]
        limit = _ADDRESSES if most == resource.RLIM_INFINITY else min(most, _ADDRESSES)
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_AS, (limit, most))
