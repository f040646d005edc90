"""The server in a process of its own, as the window runs it: settings come as one line of JSON, news go back as lines of JSON."""

from __future__ import annotations

import ipaddress
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, BinaryIO, cast

import msgspec
from msgspec import Struct

from desktop_app.processes.lifetime import end_with_parent
from desktop_app.processes.start import end, private_stdout, start
from models.errors import ZhiyinError, error_from_data
from models.system_errors import as_zhiyin_error

PORT = 8484
THIS_COMPUTER, NETWORK = "127.0.0.1", "0.0.0.0"  # noqa: S104 - listening on the network is the user's choice
_END_SECONDS = 4
"""For answers under way when the server is ended (`run` gives them less)."""
_LONGEST_LINE = 1 << 20


class ServerSettings(Struct, frozen=True):
    """Where the server listens."""

    host: str = THIS_COMPUTER
    port: int = PORT


class Ready(Struct, frozen=True, tag=True):
    """The server takes requests."""

    address: str
    key: str = ""
    """What programs have to send; "": nothing."""


class Answered(Struct, frozen=True, tag=True):
    """A request was answered; never what was said."""

    begun: float
    """Seconds since 1970."""
    program: str
    path: str
    model: str
    status: int
    prompt_tokens: int
    tokens: int
    seconds: float


class Failed(Struct, frozen=True, tag=True):
    """The server ended by itself."""

    error: dict[str, Any]
    """`ZhiyinError.data()`."""


_NEWS: msgspec.json.Decoder[Ready | Answered | Failed] = msgspec.json.Decoder(Ready | Answered | Failed)
_SETTINGS = msgspec.json.Decoder(ServerSettings)


class ServerProcess:
    """A server that runs until it is stopped, or this process ends."""

    def __init__(
        self,
        settings: ServerSettings,
        on_ready: Callable[[Ready], None],
        on_answered: Callable[[Answered], None],
        on_end: Callable[[ZhiyinError | None], None],
    ) -> None:
        """Start it; the functions are called on a thread.

        Args:
            settings: where it listens.
            on_ready: it takes requests.
            on_answered: a request was answered.
            on_end: it has ended: with an error by itself, with None because `stop` was called.

        Raises:
            ZhiyinError: the system starts no process.
        """
        self._on_ready, self._on_answered, self._on_end = on_ready, on_answered, on_end
        self._stopped = False
        try:
            self._process = start("--server", subprocess.DEVNULL)
            pipe = cast(BinaryIO, self._process.stdin)
            with suppress(OSError):  # it has ended already, which the thread finds out
                pipe.write(msgspec.json.encode(settings) + b"\n")
                pipe.flush()
        except OSError as error:
            raise as_zhiyin_error(error) from error
        self._reader = threading.Thread(target=self._read, name="server", daemon=True)
        self._reader.start()

    def stop(self) -> None:
        """Let it end; replies under way get some seconds."""
        self._stopped = True
        with suppress(OSError):
            self._process.terminate()

    def close(self) -> None:
        """End it, and return when it is gone."""
        self.stop()
        self._reader.join(_END_SECONDS)
        end(self._process)

    def _read(self) -> None:
        error: ZhiyinError | None = None
        with suppress(OSError, ValueError):  # the pipe is closed
            while line := cast(BinaryIO, self._process.stdout).readline(_LONGEST_LINE):
                news = _NEWS.decode(line)
                if isinstance(news, Ready):
                    self._on_ready(news)
                elif isinstance(news, Answered):
                    self._on_answered(news)
                else:
                    error = error_from_data(news.error)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_SECONDS)
        end(self._process)
        if not self._stopped and error is None:
            error = ZhiyinError("The local server ended by itself; switch it on again.", code="server-ended")
        self._on_end(None if self._stopped else error)


def main(link: int) -> int:
    """Run in the new process; `link` is for `end_with_parent`."""
    end_with_parent(link, grace=False)
    pipe = private_stdout()
    lock = threading.Lock()

    def tell(news: Ready | Answered | Failed) -> None:
        with lock, suppress(OSError):
            pipe.write(msgspec.json.encode(news) + b"\n")
            pipe.flush()

    try:
        _serve(_SETTINGS.decode(sys.stdin.buffer.readline(_LONGEST_LINE)), tell)
    except ZhiyinError as error:
        tell(Failed(error.data()))
        return 1
    except OSError as error:
        tell(Failed(as_zhiyin_error(error).data()))
        return 1
    return 0


def _serve(settings: ServerSettings, tell: Callable[[Ready | Answered | Failed], None]) -> None:
    from desktop_app.library.installed import Library
    from desktop_app.network import watch
    from desktop_app.paths import models_folder
    from desktop_app.server.activity import Exchange
    from desktop_app.server.model_pool import ModelPool, PoolSettings
    from desktop_app.server.run import Listening, serve_models

    watch()

    def ready(address: str, key: str) -> None:
        tell(Ready(address.replace(NETWORK, network_address()), key))

    def answered(exchange: Exchange) -> None:
        tell(
            Answered(
                begun=exchange.begun,
                program=exchange.program,
                path=exchange.path,
                model=exchange.model,
                status=exchange.status,
                prompt_tokens=exchange.prompt_tokens,
                tokens=exchange.tokens,
                seconds=exchange.seconds,
            )
        )

    pool = ModelPool(Library(models_folder()), PoolSettings())
    serve_models(Listening(settings.host, settings.port), pool, ready, answered)


def network_address() -> str:
    """Return the address at which other computers find this one; 127.0.0.1 where it is in no network."""
    import psutil

    states = psutil.net_if_stats()
    own_addresses = [
        one.address
        for name, addresses in psutil.net_if_addrs().items()
        for one in addresses
        if one.family == socket.AF_INET and name in states and states[name].isup
    ]
    private = [text for text in own_addresses if (ip := ipaddress.ip_address(text)).is_private and not ip.is_loopback]
    others = [text for text in own_addresses if not ipaddress.ip_address(text).is_loopback]
    return next(iter([*private, *others]), THIS_COMPUTER)
