"""`zhiyin remote` and `zhiyin chat --remote`: a server is added with its key, its models answer, every failure is a sentence."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from desktop_app.cli import main
from tests.support.canned_server import answer, canned, delta, streamed

LIST = answer(b'{"data": [{"id": "m", "max_model_len": 4096}]}')


@pytest.fixture(autouse=True)
def no_keyring(monkeypatch: pytest.MonkeyPatch, data_home: Path) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))


def test_a_server_is_added_listed_and_removed(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with canned(LIST) as server:
        monkeypatch.setattr(sys, "stdin", io.StringIO("secret-key\n"))
        assert main(["remote", "add", server.address, "--key"]) == 0
        assert server.requests[0][1]["authorization"] == "Bearer secret-key"
        assert main(["remote", "add", server.address]) == 0
        assert server.requests[1][1]["authorization"] == "Bearer secret-key"
    capsys.readouterr()
    assert main(["remote", "--json"]) == 0
    said = capsys.readouterr().out
    assert json.loads(said) == {"remotes": [{"address": server.address, "models": [{"name": "m", "context": 4096}]}]}
    assert main(["remote", "remove", server.address]) == 0
    assert main(["remote", "remove", server.address]) == 1
    assert "There is no server" in capsys.readouterr().err


def test_a_reply_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    reply = streamed(delta(content="Paris"), delta(content="."), delta("stop"))
    with canned(reply, listing=LIST) as server:
        assert main(["chat", "--remote", server.address, "--prompt", "Capital of France?"]) == 0
    assert capsys.readouterr().out == "Paris.\n"
    assert server.requests[1][2]["messages"][-1] == {"role": "user", "content": "Capital of France?"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--remote", "two words"], "is no address"),
        (["--remote", "127.0.0.1:9"], "cannot be reached"),
        (["--remote", "127.0.0.1:9", "--ctx", "512"], "where a remote model runs"),
    ],
)
def test_what_goes_wrong_is_one_sentence(options: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["chat", *options, "--prompt", "?"]) == 1
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1
