"""Which downloads their hosts publish anew: told by the files that models are made of, asked for when that may be done."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from converter.hub.repository import DownloadRequest, download
from desktop_app.library.installed import Library
from desktop_app.library.model_care import model_facts
from desktop_app.library.newer import is_due, look
from desktop_app.network import OFFLINE, switch
from desktop_app.paths import downloads_folder, models_folder
from models.errors import ZhiyinError
from tests.support.commands import zhiyin
from tests.support.hub_server import HubServer, Repository
from tests.support.tiny_gguf import tiny_gguf


@pytest.fixture
def server(data_home: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubServer]:
    file = tiny_gguf(tmp_path_factory.mktemp("made") / "tea-Q8_0.gguf").read_bytes()
    with HubServer() as running:
        running.repositories["org/tea"] = Repository(
            {"main": {"tea-Q8_0.gguf": file, "README.md": b"1", "config.json": b"{}"}}
        )
        running.repositories["org/gone"] = Repository({"main": {"gone-Q8_0.gguf": file}})
        yield running


def get(server: HubServer, name: str, revision: str = "") -> None:
    Library(models_folder()).import_file(
        download(DownloadRequest(name, downloads_folder(), revision, server.endpoint)).source
    )


def publish(server: HubServer, name: str, **files: bytes) -> None:
    """Let the main branch have another commit."""
    repository = server.repositories[name]
    old = repository.files(repository.commit("main") or "")
    server.repositories[name] = _Renamed({"main": old | files})


class _Renamed(Repository):
    @staticmethod
    def _hash(name: str) -> str:
        return "b" * 40


def unheard(folder: str, error: ZhiyinError) -> None:
    raise AssertionError(folder) from error


def test_a_model_with_other_bytes_is_newer_and_one_with_another_card_is_not(server: HubServer) -> None:
    assert is_due()
    assert look(unheard) == {}
    assert not is_due()
    get(server, "org/tea")
    assert look(unheard) == {}
    publish(server, "org/tea", **{"README.md": b"2"})
    assert look(unheard) == {}
    publish(server, "org/tea", **{"tea-Q8_0.gguf": b"GGUF of another kind"})
    before = len(server.requests)
    (newer,) = look(unheard).values()
    assert (newer.repository, newer.commit, newer.files) == ("org/tea", "b" * 40, ("tea-Q8_0.gguf",))
    assert len(server.requests) == before + 1, "nothing is fetched"
    (model,) = (one for one in Library(models_folder()).models() if one.origin == "org/tea")
    assert model_facts(model).newer == "b" * 40
    done = zhiyin("models", "newer")
    assert done.stdout.split() == ["org/tea", "b" * 12, "tea-Q8_0.gguf"]
    assert [entry["commit"] for entry in json.loads(zhiyin("models", "newer", "--json").stdout)] == ["b" * 40]


def test_a_host_without_an_answer_takes_nothing_away(server: HubServer) -> None:
    get(server, "org/tea")
    get(server, "org/gone")
    publish(server, "org/tea", **{"tea-Q8_0.gguf": b"GGUF of another kind"})
    assert list(look(unheard)) == ["org--tea"]
    tea = server.repositories.pop("org/tea")
    errors: list[str] = []
    assert list(look(lambda folder, error: errors.append(folder))) == ["org--tea"]
    assert errors == ["org--tea"]
    server.repositories["org/tea"] = tea


def test_offline_nobody_is_asked(server: HubServer) -> None:
    get(server, "org/tea")
    before = len(server.requests)
    switch(OFFLINE)
    done = zhiyin("models", "newer")
    assert done.returncode == 1
    assert "switched to offline" in done.stderr
    assert len(server.requests) == before
