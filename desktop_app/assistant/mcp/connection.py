"""One MCP server that is connected: a thread with an event loop, on which the session lives; calls come from any thread."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as StillRunning
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from typing import Any

from converter.hub.address import split_address
from converter.hub.permission import Contact, is_this_computer, note, permit_thread, permitted, switched_off
from desktop_app.assistant.mcp.configuration import Server
from desktop_app.assistant.mcp.library_log import library_log, log_name
from desktop_app.assistant.mcp.media import picture
from desktop_app.assistant.tool import Output, Picture, Tool, ToolFailed, ToolResult, schema, text_argument
from desktop_app.processes.logs import open_log
from models.errors import ZhiyinError
from models.sentence import Sentence
from models.system_reasons import system_reason

CONNECT_SECONDS, CALL_SECONDS = 30.0, 120.0
_LOOK = 0.05
_END = 5.0
_SWITCH = 1.0
"""Seconds between two looks at the offline switch."""
_WINDOW, _MOST_UNASKED = 10.0, 2_000
"""Seconds, and how many messages that answer nothing a server may send in them."""
_PARSE_ERROR = -32700
_MOST_PAGES, _MOST_LISTED = 32, 1_000
_MOST_TOOLS, _LONGEST_DESCRIPTION, _LARGEST_SCHEMA = 128, 4_000, 64 * 1024
_NONSENSE = Sentence("its answer is not what the protocol says")
_TOOL_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,64}\Z")


class ServerFailed(ZhiyinError):
    """A server cannot be connected."""

    default_code = "mcp-failed"


class Connection:
    """A connected server."""

    def __init__(self, name: str, server: Server, stop: threading.Event | None = None) -> None:
        """Connect.

        Args:
            name: the server's.
            server: how it is reached.
            stop: set: it is not waited for any more.

        Raises:
            ServerFailed: it does not start, does not answer, or does not speak the protocol; or it was stopped.
        """
        self.name = name
        self.tools: list[Tool] = []
        self._server = server
        if server.url:
            self._refuse_offline()
        self._loop = asyncio.new_event_loop()
        # Names are looked up on these threads, which do not inherit a permission.
        self._loop.set_default_executor(ThreadPoolExecutor(2, initializer=permit_thread if server.url else None))
        self._closing, self._changed = asyncio.Event(), asyncio.Event()
        self._has_tools = self._nonsense = False
        self._unasked, self._since = 0, 0.0
        """Messages that answer nothing, and since when they are counted."""
        self._status = 0
        """How the server ended the last request, by HTTP's numbers."""
        self._others: list[Tool] = []
        """Stand for what the protocol has beside tools."""
        self._session: Any = None
        self._fault: Sentence | str = ""
        ready: Future[None] = Future()
        self._thread = threading.Thread(target=self._run, args=(ready,), name=f"mcp-{name}", daemon=True)
        self._thread.start()
        state = "failed"
        try:
            _wait_for(ready, CONNECT_SECONDS, stop or threading.Event())
            state = "done"
        except StillRunning:
            self.close()
            if self._nonsense:
                raise self._unusable(_NONSENSE) from None
            raise ServerFailed(
                "The MCP server {name} does not answer; look at its log, or switch it off.", name=name
            ) from None
        except KeyboardInterrupt:
            self.close()
            raise
        except Exception as error:
            self.close()
            raise self._unusable(self._fault or _reason(error)) from error
        finally:
            if server.url:
                self._note(state)

    def _unusable(self, reason: Sentence | str) -> ServerFailed:
        return ServerFailed(
            "The MCP server {name} cannot be used ({reason}); look at its log, or switch it off.",
            name=self.name,
            reason=reason,
        )

    def _refuse_offline(self) -> None:
        """Raise where the user wants no connections and the server is on another computer."""
        host = split_address(self._server.url).hostname or ""
        if self._server.url and switched_off() and not is_this_computer(host):
            raise ServerFailed(
                "The MCP server {name} is on another computer ({host}), and the offline switch is on; switch it off to use it.",
                name=self.name,
                host=host,
            )

    def _note(self, state: str) -> None:
        """Put a connection to an address on the list of connections."""
        address = split_address(self._server.url)
        port = address.port or (443 if address.scheme.lower() == "https" else 80)
        note(Contact(address.hostname or "", port, address.path, 0, state))

    @property
    def is_alive(self) -> bool:
        """The server can be asked."""
        return self._thread.is_alive() and not self._closing.is_set()

    def close(self) -> None:
        """End the connection and the server's process."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._closing.set)
            self._thread.join(_END)

    def _run(self, ready: Future[None]) -> None:
        try:
            self._loop.run_until_complete(self._live(ready))
        except BaseException as error:  # whatever a transport raises at its end
            self._fault = self._fault or self._refusal() or _reason(error)
            if not ready.done():
                ready.set_exception(error if isinstance(error, Exception) else RuntimeError(str(error)))

    async def _live(self, ready: Future[None]) -> None:
        """Hold the session until it is closed."""
        from mcp import ClientSession

        async with AsyncExitStack() as stack:
            stack.enter_context(library_log(self.name))
            read, write = await self._streams(stack)
            self._session = await stack.enter_async_context(ClientSession(read, write, message_handler=self._heard))
            closing = asyncio.ensure_future(self._closing.wait())
            starting = asyncio.ensure_future(self._start())
            watching = asyncio.ensure_future(self._watch_switch())
            following: asyncio.Future[None] | None = None
            try:
                await asyncio.wait({closing, starting}, return_when=asyncio.FIRST_COMPLETED)
                if starting.done():
                    starting.result()
                    ready.set_result(None)
                    following = asyncio.ensure_future(self._follow_changes())
                    await closing
            finally:
                tasks = [task for task in (closing, starting, watching, following) if task is not None]
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _streams(self, stack: AsyncExitStack) -> tuple[Any, Any]:
        server = self._server
        if server.command:
            from desktop_app.assistant.mcp.stdio import process_streams

            log = stack.enter_context(open_log(log_name(self.name)))
            return await stack.enter_async_context(process_streams(server, log, self._closing.set))
        from desktop_app.assistant.mcp.http import http_streams

        stack.enter_context(permitted())
        return await http_streams(server, stack, CONNECT_SECONDS, CALL_SECONDS, self._end_large, self._note_status)

    async def _watch_switch(self) -> None:
        """End the connection to another computer soon after the user wants none: an open one is asked for nothing again."""
        while self._server.url:
            await asyncio.sleep(_SWITCH)
            try:
                self._refuse_offline()
            except ServerFailed:
                self._fault = Sentence("the offline switch is on")
                self._closing.set()
                return

    def _note_status(self, status: int) -> None:
        self._status = status

    def _refusal(self) -> Sentence | str:
        """Return what a server at an address meant where it did not answer as the protocol wants; "": it did."""
        if self._status in (401, 403):
            return Sentence(
                "it lets nobody in without a key, HTTP {status}; put one under headers: Authorization",
                status=self._status,
            )
        return Sentence("it answers with HTTP {status}", status=self._status) if self._status >= 400 else ""

    def _end_large(self) -> None:
        self._fault = Sentence("it sent a message that is too large")
        self._closing.set()

    async def _start(self) -> None:
        """Agree on the protocol and ask what the server offers."""
        answer = await self._session.initialize()
        self._has_tools = answer.capabilities.tools is not None
        if answer.capabilities.resources is not None:
            self._others += [self._resource_list(), self._resource_reader()]
        if answer.capabilities.prompts is not None:
            self._others += [self._prompt_list(), self._prompt_reader()]
        await self._list_tools()

    async def _list_tools(self) -> None:
        """Ask for the tools that the server has now."""
        listed = await self._all(self._session.list_tools, "tools", _MOST_TOOLS) if self._has_tools else []
        self.tools = [*(tool for tool in map(self._tool, listed) if tool is not None), *self._others]

    async def _follow_changes(self) -> None:
        """List the tools again when the server says that they changed, however often it does."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            with suppress(Exception):  # those that were listed before stay
                await asyncio.wait_for(self._list_tools(), CONNECT_SECONDS)
            await asyncio.sleep(_SWITCH)

    async def _all(self, ask: Callable[..., Any], what: str, most: int) -> list[Any]:
        """Return what a server lists, page by page, as much as is of use."""
        from mcp.types import PaginatedRequestParams

        entries: list[Any] = []
        cursor: str | None = None
        for _ in range(_MOST_PAGES):
            page = await (ask() if cursor is None else ask(params=PaginatedRequestParams(cursor=cursor)))
            entries += getattr(page, what)
            cursor = page.next_cursor
            if not cursor or len(entries) >= most:
                break
        return entries[:most]

    async def _heard(self, message: Any) -> None:
        """Note what is wrong with what the server sends, and that it has other tools now."""
        from mcp.types import ToolListChangedNotification

        from desktop_app.assistant.mcp.stdio import MessageTooLarge

        self._count_unasked()
        if isinstance(message, MessageTooLarge):
            self._end_large()
        elif isinstance(getattr(message, "root", message), ToolListChangedNotification):
            self._changed.set()
        elif isinstance(message, Exception):
            self._nonsense = True  # perhaps only a line for a log

    def _count_unasked(self) -> None:
        """End a server that talks without end: reading it would take a core for as long as it lives."""
        now = time.monotonic()
        if now - self._since > _WINDOW:
            self._unasked, self._since = 0, now
        self._unasked += 1
        if self._unasked > _MOST_UNASKED:
            self._fault = Sentence("it sent more messages than anybody reads")
            self._closing.set()

    def _tool(self, described: Any) -> Tool | None:
        """Return a server's tool; None where its name is none that a model could write. What it says of itself allows nothing."""
        if not _TOOL_NAME.match(described.name):
            return None

        def run(arguments: Mapping[str, Any], stop: threading.Event, output: Output) -> ToolResult:
            return _result(self._wait(self._session.call_tool(described.name, dict(arguments)), stop))

        description = (described.description or described.title or "")[:_LONGEST_DESCRIPTION]
        return self._asking(Tool(described.name, description, _usable(described.input_schema), run))

    def _resource_list(self) -> Tool:
        def run(arguments: Mapping[str, Any], stop: threading.Event, output: Output) -> ToolResult:
            listed = self._wait(self._all(self._session.list_resources, "resources", _MOST_LISTED), stop)
            return ToolResult(
                "\n".join(f"{one.uri}  {one.name}  {one.description or ''}" for one in listed) or "There are none."
            )

        return self._own("list_resources", "Lists the resources", schema(), run)

    def _resource_reader(self) -> Tool:
        def run(arguments: Mapping[str, Any], stop: threading.Event, output: Output) -> ToolResult:
            contents = self._wait(self._session.read_resource(text_argument(arguments, "uri")), stop).contents
            return ToolResult("\n".join(getattr(one, "text", None) or "[data that is no text]" for one in contents))

        return self._own("read_resource", "Reads a resource", schema(("uri",), uri={"type": "string"}), run)

    def _prompt_list(self) -> Tool:
        def run(arguments: Mapping[str, Any], stop: threading.Event, output: Output) -> ToolResult:
            listed = self._wait(self._all(self._session.list_prompts, "prompts", _MOST_LISTED), stop)
            return ToolResult("\n".join(f"{one.name}  {one.description or ''}" for one in listed) or "There are none.")

        return self._own("list_prompts", "Lists the prompts", schema(), run)

    def _prompt_reader(self) -> Tool:
        def run(arguments: Mapping[str, Any], stop: threading.Event, output: Output) -> ToolResult:
            given = arguments.get("arguments")
            values = {str(key): str(value) for key, value in given.items()} if isinstance(given, Mapping) else {}
            answer = self._wait(self._session.get_prompt(text_argument(arguments, "name"), values), stop)
            return ToolResult("\n".join(getattr(one.content, "text", None) or "" for one in answer.messages))

        wanted = schema(("name",), name={"type": "string"}, arguments={"type": "object"})
        return self._own("get_prompt", "Returns a prompt", wanted, run)

    def _own(self, name: str, does: str, parameters: Mapping[str, Any], run: Any) -> Tool:
        """Return a tool for what the protocol has beside tools."""
        prefix = re.sub(r"\W", "_", self.name)
        return self._asking(Tool(f"{prefix}_{name}", f"{does} of {self.name}.", parameters, run))

    def _asking(self, tool: Tool) -> Tool:
        """Return a tool of this server, which asks first whatever the server says of it."""
        identity = f"{self.name}#{self._server.digest}/{tool.name}"
        return replace(tool, changes=True, source=self.name, identity=identity, effect=self._effect)

    def _effect(self, arguments: Mapping[str, Any]) -> Sentence:
        server = self._server
        if server.url:
            return Sentence("This would be sent to {url} (MCP server {name}).", url=server.url, name=self.name)
        program = " ".join((server.command, *server.args))
        return Sentence(
            "This would be given to the program {program} (MCP server {name}).", program=program, name=self.name
        )

    def _wait(self, asked: Coroutine[Any, Any, Any], stop: threading.Event) -> Any:
        """Return the server's answer; raises `ToolFailed`."""
        if not self._thread.is_alive() or self._closing.is_set():
            asked.close()
            raise self._ended()
        try:
            self._refuse_offline()
        except ServerFailed:
            asked.close()
            raise
        future = asyncio.run_coroutine_threadsafe(asked, self._loop)
        end = time.monotonic() + CALL_SECONDS
        while time.monotonic() < end:
            try:
                return future.result(_LOOK)
            except StillRunning:
                if stop.is_set() or self._closing.is_set():
                    break
            except Exception as error:
                if self._fault or self._closing.is_set():
                    raise self._ended() from error
                reason = self._refusal() or _reason(error)
                raise ToolFailed("The MCP server {name} failed ({reason}).", name=self.name, reason=reason) from error
        future.cancel()
        if stop.is_set():
            raise ToolFailed("It was stopped.")
        if self._closing.is_set():
            raise self._ended()
        raise ToolFailed(
            "The MCP server {name} did not answer within {seconds} seconds.", name=self.name, seconds=int(CALL_SECONDS)
        )

    def _ended(self) -> ToolFailed:
        if self._fault:
            return ToolFailed("The MCP server {name} was ended: {reason}.", name=self.name, reason=self._fault)
        return ToolFailed("The MCP server {name} has ended.", name=self.name)


def _result(answer: Any) -> ToolResult:
    """Return a call's answer as text; what is no text is named."""
    pictures: list[Picture] = []
    parts = []
    for part in answer.content:
        one = picture(part, len(pictures) + 1)
        pictures += [] if one is None else [one]
        parts.append(_text_of(part) if one is None else one.mark)
    text = "\n".join(parts)
    if not parts and answer.structured_content is not None:
        text = json.dumps(answer.structured_content, ensure_ascii=False)
    return ToolResult(text or "It gave nothing.", failed=bool(answer.is_error), pictures=tuple(pictures))


def _text_of(part: Any) -> str:
    """Return a part of an answer as text: what is written in it or in a resource that it holds, else what it is."""
    text = getattr(part, "text", None) or getattr(getattr(part, "resource", None), "text", None)
    address = getattr(part, "uri", None)
    return str(text or (f"[{address}]" if address else f"[{getattr(part, 'type', 'data')}]"))


def _wait_for(ready: Future[None], seconds: float, stop: threading.Event) -> None:
    """Wait until a server is ready; raises what it failed with, or that it is running still."""
    end = time.monotonic() + seconds
    while True:
        try:
            return ready.result(_LOOK)
        except StillRunning:
            if ready.done() or stop.is_set() or time.monotonic() > end:
                raise


def _usable(described: Any) -> Mapping[str, Any]:
    """Return a tool's schema, or one that allows any object where the server's is none or far too large."""
    is_object = isinstance(described, dict) and described.get("type") == "object"
    properties = described.get("properties", {}) if is_object else None
    if not isinstance(properties, dict) or not all(isinstance(value, dict) for value in properties.values()):
        return {"type": "object"}
    try:
        size = len(json.dumps(described))
    except (TypeError, ValueError, RecursionError):
        return {"type": "object"}
    return described if size <= _LARGEST_SCHEMA else {"type": "object"}


def _reason(error: BaseException) -> Sentence | str:
    """Return what an error says, the first of a group's."""
    while isinstance(inner := getattr(error, "exceptions", None), tuple) and inner:
        error = inner[0]
    is_no_json = getattr(getattr(error, "error", None), "code", 0) == _PARSE_ERROR
    if is_no_json or type(error).__name__ == "ValidationError":  # pydantic's, many lines long
        return _NONSENSE
    if isinstance(error, OSError) and error.strerror:
        return system_reason(error)
    return " ".join(str(error).split())[:300] or type(error).__name__
