"""Listening: the socket, uvicorn, and the end of the server."""

from __future__ import annotations

import logging
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import uvicorn
from starlette.applications import Starlette

from desktop_app.server.access import AccessRules, is_loopback
from desktop_app.server.activity import Activity, Exchange
from desktop_app.server.app import application
from desktop_app.server.connections import BoundedProtocol
from desktop_app.server.keys import environment_key, server_key
from desktop_app.server.model_pool import ModelPool
from models.errors import ZhiyinError
from models.system_reasons import system_reason

_BACKLOG = 1024
_END_SECONDS = 3
"""For answers under way when the server is ended."""
_LARGEST_HEADERS = 32 * 1024


def listening_socket(host: str, port: int) -> socket.socket:
    """Return a socket that listens; raises ZhiyinError where the address cannot be had."""
    try:
        family, kind, number, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, number)
    except OSError as error:
        raise _cannot_listen(host, port, error) from error
    try:
        if hasattr(socket, "SO_REUSEADDR") and not hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise _cannot_listen(host, port, error) from error
    return listener


def address_of(listening: socket.socket) -> str:
    """Return the address at which a socket is reached, as in http://127.0.0.1:8484."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@dataclass(frozen=True)
class Listening:
    """Where a server listens, and who may ask besides programs of this computer."""

    host: str
    port: int
    names: frozenset[str] = frozenset()
    """Further names of this computer."""
    origins: frozenset[str] = frozenset()
    """Whose web pages may ask."""


def serve_models(
    where: Listening,
    pool: ModelPool,
    on_ready: Callable[[str, str], None],
    on_answered: Callable[[Exchange], None],
) -> None:
    """Answer requests to the models of `pool` until the process is asked to end.

    Args:
        where: where it listens. Elsewhere than on this computer alone a key is wanted.
        pool: the models.
        on_ready: called with the address and the key ("": none is wanted) when it takes requests.
        on_answered: called after each request.

    Raises:
        ZhiyinError: nothing can listen there, or the model that is to be loaded first cannot be.
        OSError: the key cannot be kept.
    """
    listening = listening_socket(where.host, where.port)
    key = environment_key() if is_loopback(where.host) else server_key()
    app = application(pool, Activity(on_answered), AccessRules(key, where.names, where.origins))
    serve(app, listening, lambda: on_ready(address_of(listening), key), pool.preload)


def serve(
    app: Starlette, listening: socket.socket, on_ready: Callable[[], None], prepare: Callable[[], Awaitable[None]]
) -> None:
    """Answer requests until the process is asked to end (Ctrl+C, SIGTERM).

    Args:
        app: the application.
        listening: where it listens; closed at the end.
        on_ready: called when it takes requests and `prepare` is done.
        prepare: what comes first.

    Raises:
        ZhiyinError: `prepare` failed.
    """
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    config = uvicorn.Config(
        app,
        http=BoundedProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_END_SECONDS,
        h11_max_incomplete_event_size=_LARGEST_HEADERS,
    )
    server = _Server(config, on_ready, prepare)
    server.run(sockets=[listening])
    if server.failure is not None:
        raise server.failure


class _Server(uvicorn.Server):
    """Says when it is ready."""

    def __init__(
        self, config: uvicorn.Config, on_ready: Callable[[], None], prepare: Callable[[], Awaitable[None]]
    ) -> None:
        super().__init__(config)
        self._on_ready = on_ready
        self._prepare = prepare
        self.failure: ZhiyinError | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to take requests."""
        await super().startup(sockets)
        if not self.started:
            return
        try:
            await self._prepare()
        except ZhiyinError as error:
            self.failure, self.should_exit = error, True
        else:
            self._on_ready()


def _cannot_listen(host: str, port: int, error: OSError) -> ZhiyinError:
    return ZhiyinError(
        "Nothing can listen on {host} port {port} ({reason}); choose another address or port, or end the program that uses it.",
        host=host,
        port=str(port),
        reason=system_reason(error),
    )
