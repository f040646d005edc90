"""Tokens of hosts: kept with the other keys, sent where they were entered for, and written nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from desktop_app.connections import record
from desktop_app.library.hub_tokens import KeptToken, find_token, keep_token, token_at
from desktop_app.library.install import InstallRequest
from desktop_app.library.source_facts import facts_of
from models.errors import ZhiyinError
from tests.support.hub_server import HubServer, Repository


def test_each_address_has_its_own(data_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    keep_token("", "hf_one")
    keep_token("https://modelscope.cn/", "ms_two")
    keep_token("no address", "lost")
    assert [token_at(at) for at in ("https://huggingface.co", "https://modelscope.cn", "https://hf-mirror.com")] == [
        "hf_one",
        "ms_two",
        "",
    ]
    assert find_token("") == KeptToken("hf_one", in_file=True)
    assert "hf_one" not in repr(find_token(""))
    keep_token("", "")
    assert (token_at(""), len(list(data_home.glob("*.key")))) == ("", 1)
    (data_home / "tokens.json").write_text("[1, ")
    assert token_at("https://modelscope.cn") == ""


def test_a_keyring_is_asked_only_where_a_token_was_entered(data_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import keyring

    kept: dict[str, str] = {}
    asked: list[str] = []
    monkeypatch.setattr(keyring, "set_password", lambda service, name, key: kept.update({name: key}))
    monkeypatch.setattr(keyring, "get_password", lambda service, name: asked.append(name) or kept.get(name))
    assert (token_at("https://huggingface.co"), asked) == ("", [])
    keep_token("https://huggingface.co", "hf_mine")
    assert find_token("https://huggingface.co") == KeptToken("hf_mine", in_file=False)
    assert not list(data_home.glob("*.key"))


def test_a_token_is_sent_to_its_address_alone_and_written_nowhere(
    data_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("converter.hub.permission._gate.listener", record)
    with HubServer() as mine, HubServer() as other:
        for server in (mine, other):
            server.repositories["a/tea"] = Repository({"main": {"config.json": b"{}"}}, private=True)
        keep_token(mine.endpoint, mine.token)
        with pytest.raises(ZhiyinError) as refused:
            facts_of(InstallRequest("a/tea", endpoint=other.endpoint))
        with pytest.raises(ZhiyinError):
            facts_of(InstallRequest("a/tea", endpoint=mine.endpoint))
        assert {request.authorization for request in other.requests} == {None}
        assert {request.authorization for request in mine.requests} == {f"Bearer {mine.token}"}
    files = [path for path in data_home.rglob("*") if path.is_file()]
    assert "network.jsonl" in {path.name for path in files}
    assert {path.suffix for path in files if mine.token.encode() in path.read_bytes()} == {".key"}
    assert mine.token not in str(refused.value)
