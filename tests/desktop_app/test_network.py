"""Connections: made by the downloads alone, never while the user wants none, and every one of them written down."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from converter.hub.permission import Contact
from desktop_app import connections as connections_module
from desktop_app.cli import _OWN_PROCESSES, _WATCHED
from desktop_app.connections import connections, record
from desktop_app.network import OFFLINE, is_offline, switch
from desktop_app.paths import network_file, settings_file
from desktop_app.settings import load_settings
from tests.support.commands import zhiyin
from tests.support.hub_server import HubServer, Repository

ROOT = Path(__file__).parents[2]
ELSEWHERE = "192.0.2.1"
"""An address that nobody has (RFC 5737)."""
TRIES = f"""
import errno, socket, sys
from converter.hub.permission import permitted
from desktop_app.network import watch
watch()

def attempt(work):
    try:
        work()
    except PermissionError as error:
        return "forbidden" if error.errno == errno.EACCES else "other"
    except OSError:
        return "tried"
    return "done"

def connect(family=socket.AF_INET, host={ELSEWHERE!r}):
    with socket.socket(family) as s:
        s.setblocking(False)
        s.connect((host, 9))

def allowed():
    with permitted():
        connect()

print(attempt(connect), attempt(lambda: connect(socket.AF_INET6, "2001:db8::1")),
      attempt(lambda: socket.getaddrinfo("example.invalid", 80)), attempt(allowed),
      attempt(lambda: connect(host="127.0.0.1")), attempt(lambda: socket.create_connection(("example.invalid", 80))))
"""


def attempts() -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", TRIES], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.split()


@pytest.mark.usefixtures("data_home")
def test_whoever_has_no_permission_reaches_nobody() -> None:
    assert attempts() == ["forbidden", "forbidden", "forbidden", "tried", "tried", "forbidden"]
    switch(OFFLINE)
    assert attempts() == ["forbidden", "forbidden", "forbidden", "forbidden", "tried", "forbidden"]


@pytest.mark.usefixtures("data_home")
@pytest.mark.parametrize("process", sorted(set(_OWN_PROCESSES) - set(_WATCHED)))
def test_a_process_that_never_connects_cannot(process: str, tmp_path: Path) -> None:
    tries = TRIES.replace("from desktop_app.network import watch\nwatch()\n", "")
    (tmp_path / "probe.py").write_text(f"def main(link):\n    exec({tries!r}, {{}})\n    return 0\n")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from desktop_app import cli; "
        f"cli._OWN_PROCESSES[{process!r}] = 'probe'; cli._dispatch([{process!r}, '0'])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["forbidden", "forbidden", "forbidden", "forbidden", "tried", "forbidden"]


@pytest.mark.usefixtures("data_home")
def test_what_connects_from_native_code_is_not_loaded() -> None:
    code = "from desktop_app.network import watch; watch(); import huggingface_hub; import hf_xet"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "ImportError: hf_xet connects without Zhiyin's offline switch" in done.stderr


@pytest.mark.usefixtures("data_home")
def test_offline_no_request_leaves_the_computer() -> None:
    with HubServer({"org/tiny": Repository({"main": {"config.json": b"{}"}})}) as server:
        assert zhiyin("network", "offline").returncode == 0
        for command in (("pull", "org/tiny"), ("fit", "org/tiny"), ("convert", "org/tiny")):
            done = zhiyin(*command, "--endpoint", server.endpoint)
            assert done.returncode == 1
            assert "switched to offline" in done.stderr
            assert "Traceback" not in done.stderr
        assert server.requests == []
        assert connections() == []
        assert zhiyin("network", "asked").returncode == 0
        zhiyin("fit", "org/tiny", "--endpoint", server.endpoint)
        assert server.requests != []


@pytest.mark.usefixtures("data_home")
def test_the_list_has_every_request_and_nothing_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    files = {"config.json": b"{}", "model.safetensors": b"no weights"}
    with HubServer({"org/tiny": Repository({"main": files}, private=True)}) as server:
        monkeypatch.setenv("HF_TOKEN", server.token)
        monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
        zhiyin("convert", "org/tiny")
        done = zhiyin("network", "--json")
        facts = json.loads(done.stdout)
        assert facts["position"] == "asked"
        listed = facts["connections"]
        assert len(listed) == len(server.requests) > 1
        assert {(entry["host"], entry["port"]) for entry in listed} == {
            ("127.0.0.1", int(server.endpoint.rpartition(":")[2]))
        }
        assert [entry["what"] for entry in listed] == [request.path.partition("?")[0] for request in server.requests]
        assert sum(entry["received"] for entry in listed) == server.sent
        assert server.token not in network_file().read_text("utf-8")


@pytest.mark.usefixtures("data_home")
def test_the_switch_counts_in_what_runs_already() -> None:
    assert not is_offline()
    switch(OFFLINE)
    assert is_offline()
    assert load_settings(settings_file()).network == OFFLINE


@pytest.mark.usefixtures("data_home")
def test_a_long_list_loses_its_older_half(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections_module, "_LARGEST", 10_000)
    for number in range(200):
        record(Contact("host.example", 443, f"/file/{number}", number, "done"))
    kept = connections()
    assert kept[-1].what == "/file/199"
    assert 20 < len(kept) < 200
    assert [entry.received for entry in kept] == list(range(kept[0].received, 200))


@pytest.mark.usefixtures("data_home")
def test_damaged_lines_are_left_out(data_home: Path) -> None:
    record(Contact("one.example", 443, "/", 1, "done"))
    with network_file().open("ab") as file:
        file.write(b'{"time": 1, "hos\n\xff\xfe\n[]\n')
    record(Contact("two.example", 443, "/", 2, "failed"))
    assert [entry.host for entry in connections()] == ["one.example", "two.example"]


@pytest.mark.usefixtures("data_home")
def test_the_check_can_be_repeated_by_anybody() -> None:
    record(Contact("host.example", 443, "/", 1, "done"))
    done = zhiyin("doctor", "--network", "--json")
    assert done.returncode == 0, done.stdout
    found = {check["name"]: check["detail"] for check in json.loads(done.stdout)["checks"]}
    assert "1 connections so far, to host.example" in found["connections"]
    assert "refused before there is a socket" in found["offline switch"]
    assert "have no connection" in found["open sockets"]
