"""Downloads against a real HTTP server that answers as ModelScope does."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from converter.gguf_header import read_gguf_header
from converter.hub import hosts as hub_hosts
from converter.hub import transfer as hub_transfer
from converter.hub.manifest import read_origin
from converter.hub.repository import download, is_repository, preview
from converter.hub.request import Download, DownloadRequest
from models.errors import Cancelled, ZhiyinError
from tests.support.hub_server import HubServer, Repository
from tests.support.sparse_gguf import sparse_gguf

NAME = "Qwen/Tiny"
BIG = random.Random(1).randbytes(3_000_000)
FILES = {
    "config.json": b'{"architectures": ["LlamaForCausalLM"]}',
    "configuration.json": b'{"task": "text-generation"}',
    "tokenizer.json": b"{}",
    "model.safetensors": BIG,
    "figures/logo.png": b"no",
    ".gitattributes": b"no",
}
WANTED = {"config.json", "tokenizer.json", "model.safetensors"}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    monkeypatch.setattr(hub_transfer, "PAUSE", 0.01)
    for variable in ("HF_TOKEN", "HF_ENDPOINT", "MODELSCOPE_API_TOKEN"):
        monkeypatch.delenv(variable, raising=False)
    with HubServer() as running:
        running.repositories[NAME] = Repository({"master": FILES})
        yield running


def request(server: HubServer, folder: Path, name: str = NAME, **changes: object) -> DownloadRequest:
    return DownloadRequest(f"modelscope:{name}", folder, endpoint=server.endpoint, **changes)  # type: ignore[arg-type]


def get(server: HubServer, folder: Path, name: str = NAME, **changes: object) -> Download:
    return download(request(server, folder, name, **changes))


def test_only_what_is_needed_comes_and_once(server: HubServer, tmp_path: Path) -> None:
    done = get(server, tmp_path)
    assert {path.name for path in done.files} == WANTED
    assert done.repository == NAME
    assert done.source == tmp_path / "modelscope--Qwen--Tiny"
    assert (done.source / "model.safetensors").read_bytes() == BIG
    assert done.fetched == sum(len(FILES[name]) for name in WANTED)
    server.requests.clear()
    again = get(server, tmp_path)
    assert (again.fetched, again.commit) == (0, done.commit)
    assert [r.path for r in server.requests] == [f"/api/v1/models/{NAME}/repo/files"]
    origin = read_origin(done.folder)
    assert origin is not None
    assert origin.url == f"{server.endpoint}/models/{NAME}"


def test_a_changed_file_is_another_state(server: HubServer, tmp_path: Path) -> None:
    first = get(server, tmp_path).commit
    server.repositories[NAME] = Repository({"master": FILES | {"tokenizer.json": b"[]"}})
    second = get(server, tmp_path)
    assert second.commit != first
    assert second.fetched == 2


def test_it_goes_on_where_it_stopped_though_parts_come_with_status_200(server: HubServer, tmp_path: Path) -> None:
    server.faults.drop_after, server.faults.drops = 1_000_000, 1
    calls = 0

    def stop_after_the_drop() -> bool:
        nonlocal calls
        calls += 1
        return server.faults.drops == 0 and calls % 7 == 0

    with pytest.raises(Cancelled):
        download(request(server, tmp_path), None, stop_after_the_drop)
    (part,) = (tmp_path / "modelscope--Qwen--Tiny").glob(".model.safetensors.*.part")
    here = part.stat().st_size
    assert 0 < here < len(BIG)
    assert not (tmp_path / "modelscope--Qwen--Tiny" / "model.safetensors").exists()
    server.requests.clear()
    done = get(server, tmp_path)
    assert server.fetched("model.safetensors") == [f"bytes={here}-{len(BIG) - 1}"]
    assert (done.source / "model.safetensors").read_bytes() == BIG


def test_what_came_wrong_is_thrown_away(server: HubServer, tmp_path: Path) -> None:
    server.faults.wrong_bytes = "model.safetensors"
    with pytest.raises(ZhiyinError, match="its checksum differs"):
        get(server, tmp_path)
    assert not list((tmp_path / "modelscope--Qwen--Tiny").glob("*model.safetensors*"))
    server.faults.wrong_bytes = ""
    assert (get(server, tmp_path).source / "model.safetensors").read_bytes() == BIG


def test_a_revision_has_a_folder_of_its_own(server: HubServer, tmp_path: Path) -> None:
    server.repositories[NAME].revisions["v1.0"] = FILES | {"model.safetensors": b"old"}
    assert get(server, tmp_path, revision="master").source.name == "modelscope--Qwen--Tiny"
    old = get(server, tmp_path, revision="v1.0")
    assert old.source.name == "modelscope--Qwen--Tiny--v1.0"
    assert (old.source / "model.safetensors").read_bytes() == b"old"
    with pytest.raises(ZhiyinError, match=r"has no revision 'v2'; http://.*/models/Qwen/Tiny lists"):
        get(server, tmp_path, revision="v2")


def test_a_private_model_wants_the_token_of_modelscope(
    server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.repositories[NAME].private = True
    monkeypatch.setenv("HF_TOKEN", server.token)
    with pytest.raises(
        ZhiyinError,
        match=r"no repository Qwen/Tiny at .*/my/myaccesstoken and set HF_ENDPOINT to .* and MODELSCOPE_API_TOKEN",
    ):
        get(server, tmp_path)
    assert not any(r.authorization or r.cookie for r in server.requests), "Hugging Face's token is not for others"
    monkeypatch.setenv("MODELSCOPE_API_TOKEN", server.token)
    with pytest.raises(ZhiyinError, match="no repository Qwen/Tiny"):
        get(server, tmp_path)
    assert not any(r.authorization or r.cookie for r in server.requests), "nor is ModelScope's"
    monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
    assert get(server, tmp_path).fetched


def test_a_redirect_to_another_host_carries_no_token(server: HubServer, tmp_path: Path) -> None:
    server.repositories[NAME].private = True
    with HubServer(server.repositories) as elsewhere:
        server.content_at = elsewhere.endpoint
        get(server, tmp_path, token=server.token)
    assert {request.cookie for request in server.requests} == {f"m_session_id={server.token}"}
    assert elsewhere.fetched("model.safetensors")
    assert {(request.authorization, request.cookie) for request in elsewhere.requests} == {(None, None)}


def test_what_is_not_there(server: HubServer, tmp_path: Path) -> None:
    with pytest.raises(ZhiyinError, match="There is no repository Qwen/Other at"):
        get(server, tmp_path, "Qwen/Other")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ZhiyinError, match="is not a repository"):
        get(server, tmp_path, "Qwen")


def test_its_gguf_files_are_told_by_their_heads(server: HubServer, tmp_path: Path) -> None:
    config = {
        "architectures": ["LlamaForCausalLM"], "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2,
        "num_attention_heads": 4, "vocab_size": 8000, "max_position_embeddings": 4096, "rms_norm_eps": 1e-5,
    }  # fmt: skip
    path = tmp_path / "tiny-q8_0.gguf"
    sparse_gguf(config, "Q8_0", path)
    server.repositories["Qwen/Tiny-GGUF"] = Repository({"master": {path.name: path.read_bytes()}})
    found = preview(request(server, tmp_path / "downloads", "Qwen/Tiny-GGUF"))
    assert server.sent < 200_000
    (head,) = found.headers["Q8_0"]
    here = read_gguf_header(path, arrays=False)
    assert (head.metadata, head.tensors) == (here.metadata, here.tensors)


def test_a_list_that_is_cut_is_asked_for_by_folders(
    server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_hosts, "_MOST_LISTED", 8)
    server.most_listed = 8
    pictures = {f"figures/{kind}/{number}.png": b"" for kind in ("a", "b") for number in range(6)}
    server.repositories[NAME] = Repository({"master": pictures | FILES | {"GGUF/tiny-Q8_0.gguf": b"GGUF"}})
    host = hub_hosts.find_host(f"modelscope:{NAME}", "", server.endpoint, False)
    assert {file.name for file in host.listing()[1]} == {*pictures, *FILES, "GGUF/tiny-Q8_0.gguf"}
    assert {path.name for path in get(server, tmp_path).files} == WANTED
    server.repositories[NAME] = Repository({"master": pictures | {f"figures/a/{n}.jpg": b"" for n in range(6)}})
    with pytest.raises(
        ZhiyinError, match=r"lists the first 8 files of a folder only, and Qwen/Tiny/figures/a has more"
    ):
        get(server, tmp_path)


def test_its_names() -> None:
    assert is_repository("modelscope:Qwen/Tiny")
    assert is_repository("modelscope:Qwen/Tiny/model.gguf")
    assert not is_repository("modelscope:Tiny")


def test_an_endpoint_of_modelscope_needs_no_prefix(tmp_path: Path) -> None:
    from converter.hub.hosts import find_host

    for name, endpoint in (("a/b", "https://www.modelscope.cn/"), ("modelscope:a/b", "")):
        assert find_host(name, "", endpoint, False).page.endswith("modelscope.cn/models/a/b")
    assert find_host("a/b", "", "https://hf-mirror.com", False).page == "https://hf-mirror.com/a/b"
