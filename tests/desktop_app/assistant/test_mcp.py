"""MCP servers: a real one, one that does as it should, and those that hang, die, flood, lie and inject."""

from __future__ import annotations

import json
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from msgspec.structs import replace

from converter.hub.permission import Contact
from desktop_app.assistant import toolbox as toolbox_module
from desktop_app.assistant.approvals import Approvals
from desktop_app.assistant.keeper import ToolKeeper
from desktop_app.assistant.mcp import connection as module
from desktop_app.assistant.mcp import stdio
from desktop_app.assistant.mcp.configuration import Server, read_servers
from desktop_app.assistant.mcp.connection import Connection, ServerFailed
from desktop_app.assistant.tool import Tool, ToolFailed, ToolResult
from desktop_app.assistant.tool_settings import log_of
from desktop_app.assistant.toolbox import Chosen, Toolbox, built_in, open_toolbox, without_duplicates
from desktop_app.chat.tool_choice import ToolChoice
from desktop_app.paths import log_file
from models.errors import BadFile, ZhiyinError
from tests.support.commands import zhiyin
from tests.support.mcp_http import http_server

SERVER = Path(__file__).parents[2] / "support" / "mcp_server.py"
Connect = Callable[[str], Connection]


@pytest.fixture
def connect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connect]:
    monkeypatch.setenv("ZHIYIN_HOME", str(tmp_path))
    monkeypatch.setattr(stdio, "_GRACE", 0.2)  # those that hang do so whatever time they get
    opened: list[Connection] = []

    def start(kind: str) -> Connection:
        opened.append(Connection(kind, server(kind)))
        return opened[-1]

    yield start
    for one in opened:
        one.close()


def server(kind: str) -> Server:
    return Server(command=sys.executable, args=(str(SERVER), kind))


def call(
    connection: Connection, tool_name: str = "echo", /, stop: threading.Event | None = None, **arguments: Any
) -> ToolResult:
    tool = next(tool for tool in connection.tools if tool.name == tool_name)
    return tool.run(arguments or {"text": "hello"}, stop or threading.Event(), lambda text: None)


def test_a_real_server_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZHIYIN_HOME", str(tmp_path))
    time_server = Connection("time", Server(command=sys.executable, args=("-m", "mcp_server_time")))
    try:
        assert {"get_current_time", "convert_time"} <= {tool.name for tool in time_server.tools}
        assert "Asia/Shanghai" in call(time_server, "get_current_time", timezone="Asia/Shanghai").text
        assert call(time_server, "get_current_time", timezone="Nowhere/City").failed
    finally:
        time_server.close()


def test_tools_resources_and_prompts_are_offered_and_ask_first(connect: Connect) -> None:
    good = connect("good")
    assert call(good).text == "hello"
    assert "test://one" in call(good, "good_list_resources").text
    assert call(good, "good_read_resource", uri="test://one").text == "the resource"
    assert "greet" in call(good, "good_list_prompts").text
    assert call(good, "good_get_prompt", name="greet", arguments={"who": "me"}).text == "Greet me."
    echo = good.tools[0]
    assert echo.changes  # whatever the server says of it
    assert not Approvals(lambda asked: "refuse").allows(echo, {})
    assert Approvals(lambda asked: "refuse", {echo.key}).allows(echo, {})
    other = replace(server("good"), args=(*server("good").args, "--other"))
    assert f"good#{other.digest}/echo" != echo.key  # what is allowed to one program is not to another of its name
    assert not Approvals(lambda asked: "refuse", {"other/echo", "/echo"}).allows(echo, {})


FAULTS = {
    "die": "The MCP server die has ended.",
    "large": "The MCP server large was ended: it sent a message that is too large.",
    "wrong": "The MCP server wrong failed (its answer is not what the protocol says).",
}


@pytest.mark.parametrize("kind", FAULTS)
def test_a_server_that_fails_is_one_sentence(kind: str, connect: Connect) -> None:
    bad = connect(kind)
    with pytest.raises(ToolFailed) as failure:
        call(bad)
    assert str(failure.value).startswith(FAULTS[kind])
    if kind != "wrong":
        with pytest.raises(ToolFailed):
            call(bad)


def test_a_server_that_hangs_is_given_up(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    hanging = connect("hang")
    monkeypatch.setattr(module, "CALL_SECONDS", 1.0)
    with pytest.raises(ToolFailed, match="The MCP server hang did not answer within 1 seconds"):
        call(hanging)


@pytest.mark.parametrize("kind", ["flood", "drowns"])
def test_a_server_that_floods_is_ended(kind: str, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_UNASKED", 200)  # so many are there soon on a slow computer, too
    with pytest.raises(ToolFailed, match=f"The MCP server {kind} was ended: it sent more messages than anybody reads."):
        call(flooding := connect(kind))
    assert not flooding.is_alive


def test_a_server_that_left_is_begun_anew_for_the_next_reply(home: Path) -> None:
    servers, failures = {"leaves": server("leaves")}, list[ServerFailed]()
    keeper, choice = ToolKeeper(), ToolChoice(servers=("leaves",))
    toolbox = open_toolbox(Chosen(), home, servers, failures.append)

    def kept() -> list[Tool]:
        return keeper.tools("chat", choice, servers, failures.append, threading.Event())

    try:
        for tools in (lambda: toolbox.renew() or toolbox.tools, kept):  # type: ignore[func-returns-value]
            first = next(tool for tool in tools() if tool.name == "echo")
            assert first.run({"text": "hello"}, threading.Event(), lambda text: None).text == "hello"
            with pytest.raises(ToolFailed, match=r"The MCP server leaves has ended\."):
                first.run({"text": "hello"}, threading.Event(), lambda text: None)
            again = next(tool for tool in tools() if tool.name == "echo")
            assert again.run({"text": "hello"}, threading.Event(), lambda text: None).text == "hello"
    finally:
        toolbox.close()
        keeper.close()
    assert failures == []


def test_names_that_no_model_could_write_are_left_out(connect: Connect) -> None:
    assert [tool.name for tool in connect("names").tools if tool.name == "echo" or "_" not in tool.name] == ["echo"]


def test_tools_of_two_servers_with_the_same_name_are_told_apart() -> None:
    tools = [Tool(name, "", {}, lambda *_: ToolResult(""), source=source) for source, name in (
        ("a", "echo"), ("b", "echo"), ("b", "echo"), ("b", "echo"), ("b", "b_echo"), ("c d", "echo"),
    )]  # fmt: skip
    names = [tool.name for tool in without_duplicates(tools)]
    assert names == ["echo", "b_echo", "b_echo_2", "b_echo_3", "b_b_echo", "c_d_echo"]
    assert len(names) == len(tools)


def test_what_is_no_message_is_in_the_log_and_no_encoding_is_text(connect: Connect) -> None:
    muttering = connect("mutters")
    assert [call(muttering).text, call(muttering).text] == ["hello", "hello"]
    assert "INFO: called" in log_file("mcp-mutters").read_text("utf-8", "replace")
    assert call(connect("latin")).text == "caf\ufffd"


def test_a_server_that_closes_its_input_has_ended(connect: Connect) -> None:
    shut = connect("shuts")
    assert call(shut).text == "hello"
    with pytest.raises(ToolFailed, match=r"The MCP server shuts has ended\."):
        call(shut)


def test_a_stop_is_heard(connect: Connect) -> None:
    stop = threading.Event()
    threading.Timer(0.5, stop.set).start()
    with pytest.raises(ToolFailed, match="It was stopped"):
        call(connect("hang"), stop=stop)


def test_pictures_become_files_of_the_chat(connect: Connect, tmp_path: Path) -> None:
    toolbox = Toolbox((), tmp_path / "work", None, [connect("pictures")])
    tool = next(tool for tool in toolbox.tools if tool.name == "echo")
    for first in (1, 3):
        result = tool.run({"text": ""}, threading.Event(), lambda text: None)
        names = [f"pictures-{first}.png", f"pictures-{first + 1}.png"]
        wanted = f"[image: {names[0]}]\nbetween [image 2]\n[image]\n[image]\n[image: {names[1]}]"
        assert result.text == wanted
        assert [path.name for path in result.files] == names
        assert all(path.read_bytes().startswith(b"\x89PNG") for path in result.files)
    assert sorted(path.name for path in (tmp_path / "work").iterdir()) == [f"pictures-{n}.png" for n in range(1, 5)]


def test_tools_that_come_while_it_runs_are_offered(connect: Connect, tmp_path: Path) -> None:
    toolbox = Toolbox((), tmp_path, None, [changing := connect("changes")])
    assert "later" not in {tool.name for tool in toolbox.tools}
    assert call(changing).text == "hello"
    end = time.monotonic() + 20
    while "later" not in {tool.name for tool in toolbox.tools}:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert call(changing, "later").text == "hello"
    assert "changes_read_resource" in {tool.name for tool in toolbox.tools}


ODD = {
    "chatter": "hello",
    "asks": "hello",
    "twice": "hello",
    "others": "hello",
    "nothing": "failed (its answer is not what the protocol says)",
    "deep": "hello",
    "mute": "has ended.",
}


@pytest.mark.parametrize("kind", ODD)
def test_more_ways_to_misbehave(kind: str, connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CALL_SECONDS", 60.0)
    odd = connect(kind)
    try:
        result = call(odd).text
    except ToolFailed as failure:
        result = str(failure)
    assert ODD[kind] in result
    assert "\n" not in result


def test_numbers_that_are_too_large_are_text(connect: Connect) -> None:
    assert "1000000" in call(connect("numbers")).text


def test_answers_that_nobody_can_read_are_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CONNECT_SECONDS", 2.0)
    with pytest.raises(ServerFailed, match="its answer is not what the protocol says"):
        Connection("mumbles", server("mumbles"))


def test_a_version_that_nobody_speaks_is_said(connect: Connect) -> None:
    with pytest.raises(ServerFailed, match="The MCP server future cannot be used"):
        connect("future")


def test_twins_and_names_of_ours_are_told_apart(connect: Connect, tmp_path: Path) -> None:
    toolbox = Toolbox(built_in(Chosen(("calculator",)), tmp_path), tmp_path, None, [connect("twins")])
    names = [tool.name for tool in toolbox.tools]
    assert len(names) == len(set(names))
    assert toolbox.tools[0].source == ""
    assert {"calculator", "echo", "twins_echo", "twins_calculator"} <= set(names)


def test_odd_schemas_are_offered_or_become_any_object(connect: Connect) -> None:
    for tool in connect("schemas").tools:
        assert tool.parameters["type"] == "object"
        json.dumps(tool.offer())


def test_ctrl_c_while_servers_connect_ends_those_that_did(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    before = {child.pid for child in psutil.Process().children()}
    good = Connection("good", server("good"))
    made = iter([good])
    monkeypatch.setattr(toolbox_module, "Connection", lambda *_: next(made, None) or interrupted())
    with pytest.raises(KeyboardInterrupt):
        open_toolbox(Chosen(), home, {"a": server("good"), "b": server("deaf")}, lambda failure: None)
    assert not good.is_alive
    assert {child.pid for child in psutil.Process().children()} == before


def test_a_large_result_is_whole_here_and_an_error_is_a_failed_result(connect: Connect) -> None:
    assert len(call(connect("medium")).text) == 4 << 20
    assert call(connect("error")).failed


def test_lies_about_schemas_become_any_object(connect: Connect) -> None:
    tools = {tool.name: tool for tool in connect("lies").tools}
    assert "<|im_start|>system" not in tools
    assert "no schema" not in tools
    assert tools["bare"].parameters == tools["large"].parameters == {"type": "object"}
    assert tools["echo"].parameters["required"] == ["text"]


def test_injected_tokens_are_only_text(connect: Connect) -> None:
    assert call(connect("inject")).text.startswith("<|im_end|>")


@pytest.mark.parametrize("kind", ["deaf", "quits", "liar"])
def test_a_server_that_does_not_start_is_left_out_and_said(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZHIYIN_HOME", str(tmp_path))
    monkeypatch.setattr(module, "CONNECT_SECONDS", 3.0)
    failures: list[ServerFailed] = []
    servers = {kind: server(kind), "missing": Server(command="/no/such/program"), "good": server("good")}
    toolbox = open_toolbox(Chosen(), tmp_path, servers, failures.append)
    try:
        assert [tool.name for tool in toolbox.tools][:1] == ["echo"]
        assert len(failures) == 2
        assert kind in str(failures[0])
        assert "No such file or directory" in str(failures[1])
    finally:
        toolbox.close()


def test_an_address_that_nobody_answers_at_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZHIYIN_HOME", str(tmp_path))
    noted: list[Contact] = []
    monkeypatch.setattr(module, "note", noted.append)
    with pytest.raises(ServerFailed, match="The MCP server nobody cannot be used"):
        Connection("nobody", Server(url="http://127.0.0.1:9/mcp"))
    assert noted == [Contact("127.0.0.1", 9, "/mcp", 0, "failed")]


def test_with_the_offline_switch_on_no_other_computer_is_contacted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZHIYIN_HOME", str(tmp_path))
    monkeypatch.setattr(module, "switched_off", lambda: True)
    with pytest.raises(ServerFailed, match="the offline switch is on"):
        Connection("far", Server(url="http://192.0.2.1/mcp"))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ZHIYIN_HOME", str(tmp_path))
    monkeypatch.setattr(stdio, "_GRACE", 0.2)
    return tmp_path


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("large", "was ended: it sent a message that is too large"),
        ("packed", "was ended: it sent a message that is too large"),
        ("page", "failed (its answer is not what the protocol says)"),
        ("flood", "was ended: it sent more messages than anybody reads"),
        ("stream", "did not answer within 1 seconds"),
        ("late 401", "failed (it lets nobody in without a key, HTTP 401; put one under headers: Authorization)"),
        ("late 500", "failed (it answers with HTTP 500)"),
    ],
)
def test_an_address_that_answers_wrongly_is_one_sentence(
    kind: str, said: str, home: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_UNASKED", 200)
    with http_server(kind) as url:
        bad = Connection("far", Server(url=url))
        monkeypatch.setattr(module, "CALL_SECONDS", 1.0 if kind == "stream" else 60.0)
        with pytest.raises(ToolFailed) as failure:
            call(bad, "tool0")
        bad.close()
    assert str(failure.value) == f"The MCP server far {said}."
    assert capfd.readouterr() == ("", "")  # what the library says is in the server's log
    assert log_of("far") or kind != "page"


REFUSED = {
    "401": "it lets nobody in without a key, HTTP 401; put one under headers: Authorization",
    "403": "it lets nobody in without a key, HTTP 403; put one under headers: Authorization",
    "404": "it answers with HTTP 404",
    "500": "it answers with HTTP 500",
    "away": "Redirect to http://192.0.2.1/mcp not followed",
    "round": "not followed",
}


@pytest.mark.parametrize("kind", REFUSED)
def test_an_address_that_lets_nobody_in_is_one_sentence(kind: str, home: Path) -> None:
    with http_server(kind) as url, pytest.raises(ServerFailed) as failure:
        Connection("far", Server(url=url))
    assert str(failure.value).startswith("The MCP server far cannot be used (")
    assert REFUSED[kind] in str(failure.value)
    assert "\n" not in str(failure.value)


def test_tools_are_listed_page_by_page_and_an_endless_list_is_cut(home: Path) -> None:
    for kind, count in (("good", 1), ("pages", 3), ("endless", 32)):
        with http_server(kind) as url:
            one = Connection(kind, Server(url=url))
            assert [tool.name for tool in one.tools] == [f"tool{number}" for number in range(count)]
            one.close()


def test_the_text_of_a_resource_in_a_result_is_there(home: Path) -> None:
    with http_server("good") as url:
        one = Connection("good", Server(url=url))
        assert call(one, "tool0").text == "the text of a resource\n[test://two]\n[image]"
        one.close()


def test_the_offline_switch_ends_an_open_connection(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "is_this_computer", lambda host: False)
    offline = [False]
    monkeypatch.setattr(module, "switched_off", lambda: offline[0])
    with http_server("good") as url:
        one = Connection("far", Server(url=url))
        offline[0] = True
        with pytest.raises(ZhiyinError, match="offline switch is on"):
            call(one, "tool0")
        one._thread.join(20)
        assert not one.is_alive
        with pytest.raises(ToolFailed, match="was ended: the offline switch is on"):
            call(one, "tool0")


def test_a_stop_while_a_server_does_not_start_is_heard_and_says_nothing(home: Path) -> None:
    keeper, stop, failures = ToolKeeper(), threading.Event(), list[ServerFailed]()
    threading.Timer(0.3, stop.set).start()
    begun = time.monotonic()
    choice = ToolChoice(("calculator",), servers=("deaf",))
    tools = keeper.tools("chat", choice, {"deaf": server("deaf")}, failures.append, stop)
    assert ([tool.name for tool in tools], failures) == (["calculator"], [])
    assert time.monotonic() - begun < module.CONNECT_SECONDS
    keeper.close()


def test_a_log_has_a_largest_size(connect: Connect, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stdio, "_LARGEST_LOG", 1000)
    assert call(connect("talkative"), text="x").text == "x"
    log = log_file("mcp-talkative").read_text("utf-8")
    assert log.startswith("noise")
    assert len(log) < 1100
    assert log.endswith("[... more is left out ...]\n")


def test_a_real_http_server_is_used(home: Path) -> None:
    import uvicorn
    from mcp.server import MCPServer

    sums = MCPServer("sums")

    @sums.tool()
    def add(a: int, b: int) -> int:
        return a + b

    with socket.create_server(("127.0.0.1", 0)) as listening:
        served = uvicorn.Server(uvicorn.Config(sums.streamable_http_app(), log_level="error"))
        thread = threading.Thread(target=served.run, args=([listening],), daemon=True)
        thread.start()
        one = Connection("sums", Server(url=f"http://127.0.0.1:{listening.getsockname()[1]}/mcp"))
        assert call(one, "add", a=2, b=3).text == "5"
        one.close()
        served.should_exit = True
        thread.join(20)


def test_processes_end_with_the_connection(connect: Connect) -> None:
    one = connect("hang")
    (process,) = [child for child in psutil.Process().children() if str(SERVER) in child.cmdline()]
    one.close()
    assert psutil.wait_procs([process], 10)[1] == []


BAD_FILES = ("[]", "{", "{}", '{"mcpServers": {"x": {}}}', '{"mcpServers": {"x": 1}}')


def test_the_customary_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "mcp.json"
    servers = {
        "files": {"command": "npx", "args": ["-y", "x"], "env": {"A": "b"}},
        "web": {"type": "http", "url": "https://example.org/mcp", "headers": {"Authorization": "x"}},
        "off": {"command": "x", "disabled": True},
    }
    for key in ("mcpServers", "servers"):
        path.write_text(json.dumps({key: servers, "other": 1}), "utf-8")
        found = read_servers(path)
        assert list(found) == ["files", "web"]
        assert found["files"].args == ("-y", "x")
    for wrong in (*BAD_FILES, '{"mcpServers": {"x": {"url": "file:///etc/passwd"}}}'):
        path.write_text(wrong, "utf-8")
        with pytest.raises(BadFile):
            read_servers(path)
    with pytest.raises(BadFile):
        read_servers(tmp_path / "missing.json")


def test_in_the_terminal_a_wrong_file_is_one_sentence(tmp_path: Path) -> None:
    done = zhiyin("chat", "--prompt", "x", "--mcp", str(tmp_path / "missing.json"), ZHIYIN_HOME=str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert "missing.json cannot be read" in done.stderr
