"""Addresses of servers: as typed, on the list, and their keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from desktop_app.key_store import keep_key, kept_key
from desktop_app.remote.addresses import (
    Remote,
    RemoteModel,
    Remotes,
    is_remote,
    keep_key_for,
    key_for,
    model_named,
    read_address,
)
from models.errors import ZhiyinError


@pytest.fixture(autouse=True)
def no_keyring(monkeypatch: pytest.MonkeyPatch, data_home: Path) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.fail.Keyring")
    monkeypatch.delenv("ZHIYIN_REMOTE_KEY", raising=False)


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        ("gpu:8080", "http://gpu:8080/v1"),
        (" http://192.168.1.5:8080/ ", "http://192.168.1.5:8080/v1"),
        ("https://dashscope.aliyuncs.com/compatible-mode/v1", "https://dashscope.aliyuncs.com/compatible-mode/v1"),
        ("http://localhost:11434/v1/chat/completions", "http://localhost:11434/v1"),
        ("http://[::1]:8000/v1/models", "http://[::1]:8000/v1"),
    ],
)
def test_addresses_are_made_whole(typed: str, address: str) -> None:
    assert read_address(typed) == address


@pytest.mark.parametrize("typed", ["", "http://", "ftp://gpu", "http://me:secret@gpu", "two words", "http://gpu:0"])
def test_what_is_no_address_is_refused(typed: str) -> None:
    with pytest.raises(ZhiyinError):
        read_address(typed)


def test_the_list_outlives_the_program() -> None:
    first = Remote("http://a/v1", (RemoteModel("m", 4096),))
    Remotes().put(first)
    Remotes().put(Remote("http://b/v1"))
    Remotes().put(Remote("http://a/v1", (RemoteModel("n"),)))
    assert [remote.address for remote in Remotes().all()] == ["http://a/v1", "http://b/v1"]
    (model,) = Remotes().models()
    assert (model.name, model.label, model.remote) == ("n", "n (a)", "http://a/v1")
    assert is_remote(model.identifier)
    Remotes().remove("http://a/v1")
    assert Remotes().models() == []


def test_damaged_entries_are_left_out(data_home: Path) -> None:
    (data_home / "remotes.json").write_text(
        '[{"address": "file:///etc", "models": []}, {"address": "http://a/v1", "models": []}]'
    )
    assert [remote.address for remote in Remotes().all()] == ["http://a/v1"]


def test_keys_are_kept_apart_and_forgotten(data_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_key_for("http://a/v1", "one")
    keep_key_for("http://b/v1", "two")
    assert (key_for("http://a/v1"), key_for("http://b/v1"), key_for("http://c/v1")) == ("one", "two", "")
    assert all(path.stat().st_mode & 0o077 == 0 for path in data_home.glob("*.key"))
    Remotes().remove("http://a/v1")
    assert key_for("http://a/v1") == ""
    monkeypatch.setenv("ZHIYIN_REMOTE_KEY", "three")
    assert key_for("http://b/v1") == "three"
    with pytest.raises(ZhiyinError):
        keep_key_for("http://a/v1", "line\nbreak")


def test_a_key_goes_from_the_file_into_a_keyring_that_works(data_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import keyring

    keep_key("x", "old")
    kept: dict[tuple[str, str], str] = {}
    monkeypatch.setattr(keyring, "set_password", lambda service, name, key: kept.update({(service, name): key}))
    monkeypatch.setattr(keyring, "get_password", lambda service, name: kept.get((service, name)))
    keep_key("x", "new")
    assert kept_key("x") == "new"
    assert list(data_home.glob("*.key")) == []


def test_a_model_is_named_or_the_only_one() -> None:
    several = Remote("http://a/v1", (RemoteModel("m"), RemoteModel("n")))
    assert model_named(several, "n").name == "n"
    assert model_named(Remote("http://a/v1", (RemoteModel("m"),)), None).name == "m"
    for remote, name, words in (
        (several, None, "several"),
        (several, "x", "has no model 'x'"),
        (Remote("http://a/v1"), None, "lists no"),
    ):
        with pytest.raises(ZhiyinError, match=words):
            model_named(remote, name)
