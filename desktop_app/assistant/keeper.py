"""Tools of many chats in one running application: each chat's Python lives on between replies, servers are shared by all."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from desktop_app.paths import remove_if_empty, work_folder

if TYPE_CHECKING:
    from desktop_app.assistant.mcp.configuration import Server
    from desktop_app.assistant.mcp.connection import Connection, ServerFailed
    from desktop_app.assistant.tool import Tool
    from desktop_app.assistant.tools.python import Interpreter
    from desktop_app.chat.tool_choice import ToolChoice

_MOST_INTERPRETERS = 4
"""Processes of Python that live at once; the one unused for the longest time goes first."""


class ToolKeeper:
    """Resources that tools keep open. Used from one thread at a time, `close` from any."""

    def __init__(self) -> None:
        """Nothing is open yet."""
        self._interpreters: dict[str, tuple[tuple[Path, ...], Interpreter]] = {}
        self._connections: dict[str, tuple[Server, Connection]] = {}
        self._lock = threading.Lock()
        self._closed = False

    def tools(
        self,
        conversation: str,
        choice: ToolChoice,
        servers: Mapping[str, Server],
        on_failure: Callable[[ServerFailed], None],
        stop: threading.Event,
    ) -> list[Tool]:
        """Return a chat's tools; `on_failure` hears of each server that cannot be used, until `stop` is set."""
        from desktop_app.assistant.mcp.connection import ServerFailed
        from desktop_app.assistant.mcp.media import kept
        from desktop_app.assistant.tool_names import NAMES, PYTHON
        from desktop_app.assistant.toolbox import Chosen, built_in, without_duplicates

        with self._lock:
            chosen = Chosen(
                tuple(name for name in NAMES if name in choice.names),
                tuple(path.resolve() for path in map(Path, choice.folders) if path.is_dir()),
            )
            folder = work_folder(conversation)
            tools = built_in(chosen, folder)
            if PYTHON in chosen.names and not self._closed:
                tools.append(self._interpreter(conversation, chosen.folders).tool())
            self._end_others(servers)
            for name in choice.servers:
                if name in servers and not self._closed and not stop.is_set():
                    try:
                        tools += [kept(tool, folder) for tool in self._connection(name, servers[name], stop).tools]
                    except ServerFailed as failure:
                        if not stop.is_set():
                            on_failure(failure)
            return without_duplicates(tools)

    def forget(self, conversation: str) -> None:
        """End what a chat has open."""
        with self._lock:
            _, interpreter = self._interpreters.pop(conversation, ((), None))
            if interpreter is not None:
                interpreter.close()

    def close(self) -> None:
        """End everything."""
        with self._lock:
            self._closed = True
            for conversation, (_, interpreter) in self._interpreters.items():
                interpreter.close()
                remove_if_empty(work_folder(conversation))
            for _, connection in self._connections.values():
                connection.close()
            self._interpreters.clear()
            self._connections.clear()

    def _interpreter(self, conversation: str, folders: tuple[Path, ...]) -> Interpreter:
        """Return a chat's Python, begun anew where other folders were granted."""
        from desktop_app.assistant.tools.python import Interpreter

        granted, interpreter = self._interpreters.pop(conversation, ((), None))
        if interpreter is not None and granted != folders:
            interpreter.close()
            interpreter = None
        if interpreter is None:
            interpreter = Interpreter(work_folder(conversation), folders)
        self._interpreters[conversation] = folders, interpreter  # at the end: used last
        while len(self._interpreters) > _MOST_INTERPRETERS:
            _, oldest = self._interpreters.pop(next(iter(self._interpreters)))
            oldest.close()
        return interpreter

    def _connection(self, name: str, server: Server, stop: threading.Event) -> Connection:
        from desktop_app.assistant.mcp.connection import Connection

        _, connection = self._connections.get(name, (server, None))
        if connection is None or not connection.is_alive:
            connection = Connection(name, server, stop)
            self._connections[name] = server, connection
        return connection

    def _end_others(self, servers: Mapping[str, Server]) -> None:
        """End the servers that are no more, or are configured otherwise now."""
        for name, (server, connection) in list(self._connections.items()):
            if servers.get(name) != server:
                connection.close()
                del self._connections[name]
