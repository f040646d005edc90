"""Downloads against a real HTTP server that speaks the Hub's API."""

from __future__ import annotations

import json
import random
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from converter.hub import repository as hub
from converter.hub import transfer as hub_transfer
from converter.hub.address import MODELSCOPE, HubAddress, read_address
from converter.hub.repository import download, is_repository
from converter.hub.request import Download, DownloadRequest
from converter.hub.selection import LOSSLESS_QUANTS, USUAL_QUANTS, DownloadSelection
from converter.progress import Progress
from models.errors import Cancelled, ZhiyinError
from tests.support.hub_server import HubServer, Repository

NAME = "org/model-1B"
BIG = random.Random(0).randbytes(3_000_000)
SMALL = {
    "config.json": b'{"architectures": ["LlamaForCausalLM"]}',
    "generation_config.json": b"{}",
    "tokenizer.json": b"{}",
    "tokenizer_config.json": b"{}",
    "special_tokens_map.json": b"{}",
    "chat_template.jinja": b"{{ messages }}",
    "README.md": b"---\nlicense: mit\n---\n",
    "LICENSE": b"MIT",
}
UNWANTED = {
    "modeling_custom.py": b"raise SystemExit",
    "flax_model.msgpack": b"no",
    "tf_model.h5": b"no",
    "onnx/model.onnx": b"no",
    "trainer_state.json": b"{}",
    "optimizer.pt": b"no",
    "training_args.bin": b"no",
    "original/consolidated.00.pth": b"no",
    ".gitattributes": b"no",
}


def sharded(content: bytes = BIG) -> dict[str, bytes]:
    files = {"model-00001-of-00002.safetensors": content, "model-00002-of-00002.safetensors": b"two"}
    index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
    return {**SMALL, "model.safetensors.index.json": json.dumps(index).encode(), **files}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    monkeypatch.setattr(hub_transfer, "PAUSE", 0.01)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    monkeypatch.delenv("MODELSCOPE_API_TOKEN", raising=False)
    with HubServer() as running:
        yield running


def put(server: HubServer, files: dict[str, bytes], **facts: bool) -> None:
    server.repositories[NAME] = Repository({"main": files}, **facts)


def get(server: HubServer, folder: Path, name: str = NAME, **changes: object) -> Download:
    return download(DownloadRequest(name, folder, endpoint=server.endpoint, **changes))  # type: ignore[arg-type]


def names(done: Download) -> set[str]:
    return {path.name for path in done.files}


def test_only_what_is_needed_comes(server: HubServer, tmp_path: Path) -> None:
    put(
        server,
        sharded() | UNWANTED | {"pytorch_model.bin": b"the same again", "consolidated.safetensors": b"and again"},
    )
    done = get(server, tmp_path)
    assert names(done) == set(sharded())
    assert done.source == tmp_path / "org--model-1B"
    on_disk = {path.name for path in done.source.iterdir()} - {".hub.json", ".lock"}
    assert on_disk == set(sharded())
    assert (done.source / "model-00001-of-00002.safetensors").read_bytes() == BIG
    assert done.fetched == done.bytes == sum(map(len, sharded().values()))


def test_nothing_is_fetched_twice(server: HubServer, tmp_path: Path) -> None:
    put(server, sharded())
    get(server, tmp_path)
    server.requests.clear()
    assert get(server, tmp_path).fetched == 0
    assert [request.path for request in server.requests] == [f"/api/models/{NAME}"]


def test_a_file_that_was_changed_here_comes_again(server: HubServer, tmp_path: Path) -> None:
    put(server, sharded())
    done = get(server, tmp_path)
    weights = done.source / "model-00002-of-00002.safetensors"
    weights.write_bytes(b"TWO")
    assert get(server, tmp_path).fetched == 3
    assert weights.read_bytes() == b"two"


def test_a_copy_without_its_note_is_read_instead_of_fetched(server: HubServer, tmp_path: Path) -> None:
    put(server, sharded())
    (get(server, tmp_path).source / ".hub.json").unlink()
    assert get(server, tmp_path).fetched == 0


def test_templates_by_name_come_from_their_folder(server: HubServer, tmp_path: Path) -> None:
    more = "additional_chat_templates/tool_use.jinja"
    put(server, sharded() | {more: b"{{ tools }}", f"original/{more}": b"no", f"{more}.bak": b"no"})
    folder = get(server, tmp_path).folder
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*.jinja*")}
    assert found == {"chat_template.jinja", more}


@pytest.mark.parametrize(
    ("weights", "wanted"),
    [
        ({"model.safetensors": b"s", "pytorch_model.bin": b"b", "rwkv.pth": b"p"}, "model.safetensors"),
        ({"model.fp16.safetensors": b"s", "model.safetensors": b"s"}, "model.safetensors"),
        ({"pytorch_model.bin": b"b", "rwkv.pth": b"p"}, "pytorch_model.bin"),
        ({"rwkv.pth": b"p"}, "rwkv.pth"),
        ({"adapter_model.safetensors": b"a", "adapter_model.bin": b"a"}, "adapter_model.safetensors"),
    ],
)
def test_one_layout_of_weights(server: HubServer, tmp_path: Path, weights: dict[str, bytes], wanted: str) -> None:
    put(server, SMALL | weights)
    assert names(get(server, tmp_path)) - set(SMALL) == {wanted}


def test_several_models_in_one_repository_want_a_name(server: HubServer, tmp_path: Path) -> None:
    put(server, {"a-8023.pth": b"a", "b-7999.pth": b"b", "README.md": b""})
    with pytest.raises(ZhiyinError, match=r"several models; name one: org/model-1B/a-8023\.pth"):
        get(server, tmp_path)
    done = get(server, tmp_path, f"{NAME}/b-7999.pth")
    assert done.source == tmp_path / "org--model-1B" / "b-7999.pth"
    assert names(done) == {"b-7999.pth", "README.md"}
    with pytest.raises(ZhiyinError, match=r"no file c.pth; its files of weights are: a-8023.pth, b-7999.pth"):
        get(server, tmp_path, f"{NAME}/c.pth")


GGUF = {
    "m-Q4_K_M.gguf": b"4" * 40,
    "m-Q8_0.gguf": b"8" * 80,
    "m-Q2_K.gguf": b"2" * 20,
    "BF16/m-BF16-00001-of-00002.gguf": b"b" * 90,
    "BF16/m-BF16-00002-of-00002.gguf": b"B" * 90,
    "mmproj-m-F16.gguf": b"vision",
    "README.md": b"card",
}


@pytest.mark.parametrize(
    ("quants", "wanted"),
    [
        (USUAL_QUANTS, {"m-Q4_K_M.gguf"}),
        (("Q8_0",), {"m-Q8_0.gguf"}),
        (("BF16",), {"m-BF16-00001-of-00002.gguf", "m-BF16-00002-of-00002.gguf"}),
        (LOSSLESS_QUANTS, {"m-BF16-00001-of-00002.gguf", "m-BF16-00002-of-00002.gguf"}),
    ],
)
def test_a_gguf_of_the_wanted_kind(
    server: HubServer, tmp_path: Path, quants: tuple[str, ...], wanted: set[str]
) -> None:
    put(server, GGUF)
    done = get(server, tmp_path, selection=DownloadSelection(quants))
    assert names(done) == wanted | {"README.md"}
    assert done.source.name == min(wanted)
    assert done.source.read_bytes() == GGUF[done.source.relative_to(tmp_path / "org--model-1B").as_posix()]


def test_a_kind_that_is_not_there(server: HubServer, tmp_path: Path) -> None:
    put(server, GGUF)
    with pytest.raises(ZhiyinError, match=r"no Q5_K_M file; it has BF16, Q2_K, Q4_K_M, Q8_0"):
        get(server, tmp_path, selection=DownloadSelection(("Q5_K_M",)))


def test_a_checkpoint_comes_before_gguf_unless_the_kind_is_asked_for(server: HubServer, tmp_path: Path) -> None:
    put(server, sharded() | GGUF)
    assert get(server, tmp_path).source == tmp_path / "org--model-1B"
    assert get(server, tmp_path, selection=DownloadSelection(("Q8_0",))).source.name == "m-Q8_0.gguf"
    assert get(server, tmp_path, selection=DownloadSelection(("Q6_K",))).source == tmp_path / "org--model-1B"


def test_a_kind_that_only_a_ready_file_can_have(server: HubServer, tmp_path: Path) -> None:
    put(server, sharded() | GGUF | {"m-UD-Q4_K_XL.gguf": b"dynamic"})
    assert (
        get(server, tmp_path, selection=DownloadSelection(("UD-Q4_K_XL",), checkpoint=False)).source.name
        == "m-UD-Q4_K_XL.gguf"
    )
    with pytest.raises(ZhiyinError, match="has no Q9 file; it has"):
        get(server, tmp_path, selection=DownloadSelection(("Q9",), checkpoint=False))
    put(server, sharded())
    with pytest.raises(ZhiyinError, match="holds no Q9; choose another repository or --quant"):
        get(server, tmp_path, selection=DownloadSelection(("Q9",), checkpoint=False))


def test_no_weights(server: HubServer, tmp_path: Path) -> None:
    put(server, SMALL | UNWANTED)
    with pytest.raises(ZhiyinError, match="holds no weights that Zhiyin knows"):
        get(server, tmp_path)


def test_a_lost_connection_goes_on_by_itself(server: HubServer, tmp_path: Path) -> None:
    put(server, sharded())
    server.faults.drop_after, server.faults.drops = 700_000, 3
    assert get(server, tmp_path).fetched == sum(map(len, sharded().values()))
    starts = [
        int(str(r).removeprefix("bytes=").split("-")[0]) for r in server.fetched("model-00001-of-00002.safetensors")
    ]
    assert len(starts) == 4
    assert starts[0] == 0
    assert starts[1] > 0
    assert starts == sorted(starts)


def test_what_came_is_kept_when_the_server_goes_away(server: HubServer, tmp_path: Path) -> None:
    put(server, sharded())
    server.faults.drop_after, server.faults.drops = 1_000_000, 1
    calls = 0

    def stop_after_the_drop() -> bool:
        nonlocal calls
        calls += 1
        return server.faults.drops == 0 and calls % 7 == 0

    with pytest.raises(Cancelled):
        download(DownloadRequest(NAME, tmp_path, endpoint=server.endpoint), None, stop_after_the_drop)
    (partial,) = (tmp_path / "org--model-1B").glob(".model-00001*.part")
    kept = partial.stat().st_size
    assert 0 < kept < len(BIG)
    server.requests.clear()
    seen: list[Progress] = []
    done = download(DownloadRequest(NAME, tmp_path, endpoint=server.endpoint), seen.append)
    assert server.fetched("model-00001-of-00002.safetensors") == [f"bytes={kept}-{len(BIG) - 1}"]
    assert done.fetched == len(BIG) - kept
    assert min(progress.bytes_done for progress in seen) >= kept
    assert seen[-1].bytes_done == seen[-1].bytes_total == done.bytes
    assert seen[-1].items_done == seen[-1].items_total == len(done.files)


def test_a_server_without_ranges_starts_again(server: HubServer, tmp_path: Path) -> None:
    put(server, sharded())
    server.faults.ignore_ranges = True
    server.faults.drop_after, server.faults.drops = 700_000, 1
    assert (get(server, tmp_path).source / "model-00001-of-00002.safetensors").read_bytes() == BIG


def test_a_wrong_checksum_is_thrown_away(server: HubServer, tmp_path: Path) -> None:
    put(server, sharded())
    server.faults.wrong_bytes = "model-00001-of-00002.safetensors"
    with pytest.raises(ZhiyinError, match="checksum differs"):
        get(server, tmp_path)
    assert not list((tmp_path / "org--model-1B").glob("*model-00001*"))
    server.faults.wrong_bytes = ""
    get(server, tmp_path)


def test_small_files_are_checked_by_gits_checksum(server: HubServer, tmp_path: Path) -> None:
    put(server, sharded())
    server.faults.wrong_bytes = "config.json"
    with pytest.raises(ZhiyinError, match=r"config.json came with another content"):
        get(server, tmp_path)


def test_a_busy_server_is_asked_again_and_a_broken_one_named(server: HubServer, tmp_path: Path) -> None:
    put(server, sharded())
    server.faults.status, server.faults.status_count = 503, 2
    get(server, tmp_path)
    shutil.rmtree(tmp_path / "org--model-1B")
    server.faults.status_count = 1000
    with pytest.raises(ZhiyinError, match="the server answered 503"):
        get(server, tmp_path)


def test_gated_repositories_are_explained(server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(server, sharded(), gated=True)
    elsewhere = (
        rf"accept its licence at {server.endpoint}/{NAME}, .* HF_ENDPOINT to {server.endpoint} and HF_TOKEN to it"
    )
    with pytest.raises(ZhiyinError, match=elsewhere):
        get(server, tmp_path)
    monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
    with pytest.raises(ZhiyinError, match=r"make a token at .* and set HF_TOKEN to it"):
        get(server, tmp_path)
    monkeypatch.setenv("HF_TOKEN", "hf_of_another")
    with pytest.raises(ZhiyinError, match="your token's account has no access yet"):
        get(server, tmp_path)
    monkeypatch.setenv("HF_TOKEN", server.token)
    get(server, tmp_path)
    assert {r.authorization for r in server.requests if "/resolve/" in r.path} >= {f"Bearer {server.token}"}


def test_private_and_missing_repositories(server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(server, sharded(), private=True)
    with pytest.raises(ZhiyinError, match=r"There is no repository org/model-1B at .* private.*HF_TOKEN"):
        get(server, tmp_path)
    with pytest.raises(ZhiyinError, match="There is no repository org/other"):
        get(server, tmp_path, "org/other")
    assert not any(tmp_path.iterdir())
    monkeypatch.setenv("HF_TOKEN", server.token)
    with pytest.raises(ZhiyinError, match="There is no repository org/model-1B"):
        get(server, tmp_path)
    monkeypatch.setenv("HF_ENDPOINT", server.endpoint)
    get(server, tmp_path)


def test_revisions_have_folders_of_their_own(server: HubServer, tmp_path: Path) -> None:
    server.repositories[NAME] = Repository({"main": sharded(), "refs/pr/1": sharded(b"another")})
    assert get(server, tmp_path).source.name == "org--model-1B"
    other = get(server, tmp_path, revision="refs/pr/1")
    assert other.source.name == "org--model-1B--refs-pr-1"
    assert (other.source / "model-00001-of-00002.safetensors").read_bytes() == b"another"
    with pytest.raises(ZhiyinError, match="has no revision 'v9'"):
        get(server, tmp_path, revision="v9")


def test_a_new_commit_replaces_what_changed(server: HubServer, tmp_path: Path) -> None:
    put(server, sharded())
    get(server, tmp_path)
    put(server, sharded(b"newer"))
    done = get(server, tmp_path)
    assert done.fetched == len(b"newer")
    assert (done.source / "model-00001-of-00002.safetensors").read_bytes() == b"newer"


EVIL = [
    "../evil.safetensors", "/etc/evil.gguf", "a/../../evil.gguf", "..\\evil.safetensors", "C:\\evil.gguf", "C:evil.gguf",
        "a//evil.gguf", "./model.safetensors"]  # fmt: skip


@pytest.mark.parametrize("evil", EVIL)
def test_names_that_leave_the_folder_are_refused(server: HubServer, tmp_path: Path, evil: str) -> None:
    put(server, sharded() | {evil: b"evil"})
    with pytest.raises(ZhiyinError, match="points outside its folder; nothing was fetched"):
        get(server, tmp_path / "downloads")
    assert not [path for path in tmp_path.rglob("*") if "evil" in path.name or path.suffix == ".safetensors"]


def test_an_index_cannot_leave_the_folder(server: HubServer, tmp_path: Path) -> None:
    index = json.dumps({"weight_map": {"a": "../../secret.safetensors"}}).encode()
    put(server, SMALL | {"model.safetensors.index.json": index, "model-00001-of-00001.safetensors": b"x"})
    with pytest.raises(ZhiyinError, match=r"lacks files that its model.safetensors.index.json lists"):
        get(server, tmp_path)


def test_room_is_checked_before_the_start(server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(server, SMALL | {"model.safetensors": BIG})
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(hub.shutil, "disk_usage", lambda _: usage._replace(free=64 * 1024 * 1024 + 1_000_000))
    with pytest.raises(
        ZhiyinError, match=r"too little room for org/\S+ in .*; free \d+ [kM]B there, or set ZHIYIN_HOME"
    ):
        get(server, tmp_path)
    assert server.fetched("config.json") == []


def test_without_a_network_what_is_here_is_enough(server: HubServer, tmp_path: Path) -> None:
    put(server, sharded())
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{unused.getsockname()[1]}"
        with pytest.raises(
            ZhiyinError,
            match=r"cannot be reached .* with --endpoint or HF_ENDPOINT: a mirror, or https://modelscope.cn",
        ):
            download(DownloadRequest(NAME, tmp_path, endpoint=nowhere))
        get(server, tmp_path)
        assert download(DownloadRequest(NAME, tmp_path, endpoint=nowhere)).fetched == 0


def test_the_environment_names_the_endpoint(server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(server, sharded())
    monkeypatch.setenv("HF_ENDPOINT", server.endpoint + "/")
    assert download(DownloadRequest(NAME, tmp_path)).source.is_dir()


def test_something_else_than_a_hub(tmp_path: Path, server: HubServer) -> None:
    put(server, sharded())
    server.repositories[NAME].revisions["main"]["config.json"] = b"{}"
    with pytest.raises(ZhiyinError, match="no address of a Hub"):
        download(DownloadRequest(NAME, tmp_path, endpoint="ftp://host"))
    with pytest.raises(ZhiyinError, match="is not a repository"):
        download(DownloadRequest("org", tmp_path, endpoint=server.endpoint))


def test_one_download_at_a_time(server: HubServer, tmp_path: Path) -> None:
    put(server, sharded())
    inside, done = threading.Event(), threading.Event()

    def wait(_: Progress) -> None:
        inside.set()
        done.wait(10)

    first = threading.Thread(target=lambda: download(DownloadRequest(NAME, tmp_path, endpoint=server.endpoint), wait))
    first.start()
    assert inside.wait(10)
    with pytest.raises(ZhiyinError, match="being downloaded or converted by another Zhiyin"):
        get(server, tmp_path)
    done.set()
    first.join(10)


def test_what_names_a_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here" / "model").mkdir(parents=True)
    assert is_repository("Qwen/Qwen2.5-0.5B-Instruct")
    assert is_repository("BlinkDL/rwkv-4-pile-169m/RWKV-4-Pile-169M-20220807-8023.pth")
    for path in ("here/model", "here/slip", "model", "./a/b", "/a/b", "../a/b", "~/a/b"):
        assert not is_repository(path)


def test_a_token_goes_where_it_may(server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "token").write_text("hf_kept")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))

    def token(endpoint: str, given: str | bool = True) -> str | bool:
        return hub._Repository(DownloadRequest(NAME, tmp_path, endpoint=endpoint, token=given)).host.token

    assert token("https://huggingface.co") == "hf_kept"
    assert token("https://cdn.huggingface.co") == "hf_kept"
    assert token("https://nothuggingface.co") is False
    assert token("https://mirror.example", "hf_mine") == "hf_mine"
    assert token("http://mirror.example", "hf_mine") is False
    assert token("https://huggingface.co", False) is False
    monkeypatch.setenv("HF_TOKEN", "hf_set")
    assert token("https://huggingface.co") == "hf_set"
    assert token("https://mirror.example") is False
    monkeypatch.setenv("HF_ENDPOINT", "https://Mirror.example/hub/")
    assert token("https://mirror.example:443") == token("") == token("https://huggingface.co") == "hf_set"
    assert token("https://mirror.example:8443") is token("https://a.mirror.example") is False
    assert token("https://modelscope.cn") is False
    monkeypatch.setenv("MODELSCOPE_API_TOKEN", "ms_set")
    assert token("https://www.modelscope.cn") == "ms_set"
    assert token("https://mirror.example") == "hf_set"


def test_a_token_that_the_user_entered_comes_after_the_environment_and_a_login(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered = {"https://huggingface.co": "hf_entered", "https://modelscope.cn": "ms_entered", "http://plain": "hf_no"}
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))

    def token(endpoint: str) -> str | bool:
        request = DownloadRequest(NAME, tmp_path, endpoint=endpoint, kept_token=lambda where: entered.get(where, ""))
        return hub._Repository(request).host.token

    assert token("https://huggingface.co") == "hf_entered"
    assert token("https://modelscope.cn") == "ms_entered"
    assert token("http://plain") is token("https://cdn.huggingface.co") is False
    (tmp_path / "token").write_text("hf_login")
    assert token("https://huggingface.co") == "hf_login"
    monkeypatch.setenv("HF_TOKEN", "hf_set")
    monkeypatch.setenv("MODELSCOPE_API_TOKEN", "ms_set")
    assert (token("https://huggingface.co"), token("https://modelscope.cn")) == ("hf_set", "ms_set")
    entered["https://other.example"] = "two words"
    with pytest.raises(ZhiyinError, match="token in the settings holds characters") as failure:
        token("https://other.example")
    assert "two words" not in str(failure.value)


def test_a_redirect_to_another_host_carries_no_token(server: HubServer, tmp_path: Path) -> None:
    put(server, sharded(), gated=True)
    with HubServer(server.repositories) as elsewhere:
        server.content_at = elsewhere.endpoint
        get(server, tmp_path, token=server.token)
        hub.preview(DownloadRequest(NAME, tmp_path / "new", endpoint=server.endpoint, token=server.token))
    assert {request.authorization for request in server.requests} == {f"Bearer {server.token}"}
    assert elsewhere.fetched("model-00001-of-00002.safetensors")
    assert {(request.authorization, request.cookie) for request in elsewhere.requests} == {(None, None)}


def test_a_preview_keeps_nothing_and_tells_what_would_come(server: HubServer, tmp_path: Path) -> None:
    put(server, sharded() | {"chat_template.jinja": b"{{ messages }}"})
    found = hub.preview(DownloadRequest(NAME, tmp_path, endpoint=server.endpoint))
    assert list(tmp_path.iterdir()) == []
    assert found.has_template
    assert found.config is not None
    assert found.bytes == get(server, tmp_path).bytes
    assert hub.preview(DownloadRequest(NAME, tmp_path, endpoint=server.endpoint)).bytes == 0


@pytest.mark.parametrize(
    ("text", "repository", "revision", "endpoint"),
    [
        (" Qwen/Qwen3-0.6B ", "Qwen/Qwen3-0.6B", "", ""),
        ("https://huggingface.co/Qwen/Qwen3-0.6B", "Qwen/Qwen3-0.6B", "", ""),
        ("https://huggingface.co/Qwen/Qwen3-0.6B/tree/main?x=1#y", "Qwen/Qwen3-0.6B", "", ""),
        ("huggingface.co/Qwen/Qwen3-0.6B/", "Qwen/Qwen3-0.6B", "", ""),
        ("https://hf-mirror.com/a/b/tree/v1.0", "a/b", "v1.0", "https://hf-mirror.com"),
        ("https://hf.co/a/b/blob/main/dir/x%20y.gguf", "a/b/dir/x y.gguf", "", ""),
        ("https://modelscope.cn/models/Qwen/Qwen3-0.6B", "Qwen/Qwen3-0.6B", "", MODELSCOPE),
        ("www.modelscope.cn/models/Qwen/Qwen3-0.6B/summary", "Qwen/Qwen3-0.6B", "", MODELSCOPE),
        ("https://modelscope.cn/models/a/b/file/view/master/x%20y.gguf?status=2", "a/b/x y.gguf", "", MODELSCOPE),
        ("https://modelscope.cn/models/a/b/resolve/v1/x.gguf", "a/b/x.gguf", "v1", MODELSCOPE),
        ("https://modelscope.ai/models/a/b/files", "a/b", "", "https://modelscope.ai"),
        ("modelscope:a/b", "a/b", "", MODELSCOPE),
        ("BlinkDL/rwkv-4-pile-169m/x.pth", "BlinkDL/rwkv-4-pile-169m/x.pth", "", ""),
    ],
)
def test_names_and_addresses(text: str, repository: str, revision: str, endpoint: str) -> None:
    assert read_address(text) == HubAddress(repository, revision, endpoint)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "model",
        "https://huggingface.co",
        "https://huggingface.co/datasets/a/b",
        "ftp://a/b/c",
        "a/../b",
        "a/b/../../c",
        "https://[a/b/c",
        "a]/[b",
        "https://a:b/c/d",
    ],
)
def test_what_names_no_model(text: str) -> None:
    with pytest.raises(ZhiyinError, match="names no model"):
        read_address(text)


@pytest.mark.parametrize(
    ("template", "found"),
    [("{{ messages }}", True), ([{"name": "default", "template": "{{ messages }}"}], True), (None, False)],
    ids=["text", "list", "none"],
)
def test_a_preview_says_whether_the_tokenizer_brings_a_template(
    server: HubServer, tmp_path: Path, template: object, found: bool
) -> None:
    files = {name: data for name, data in sharded().items() if name != "chat_template.jinja"}
    put(server, files | {"tokenizer_config.json": json.dumps({"chat_template": template}).encode()})
    preview = hub.preview(DownloadRequest(NAME, tmp_path, endpoint=server.endpoint))
    assert preview.has_template is found
