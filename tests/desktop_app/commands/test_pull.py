"""`zhiyin pull` and `zhiyin convert ORG/NAME`, against a real server that speaks the Hub's API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from converter.hub.cleanup import delete_download, kept_downloads
from converter.progress import Progress, ProgressListener
from desktop_app.cli import main
from desktop_app.library.download_record import read_record
from desktop_app.library.install import Installed, InstallRequest, install
from desktop_app.paths import downloads_folder, models_folder
from desktop_app.planning.configuration import Computer
from models.errors import ZhiyinError
from tests.support.checkpoints import write_checkpoint
from tests.support.commands import zhiyin
from tests.support.gguf_reader import GGUFReader
from tests.support.hub_server import HubServer, Repository
from tests.support.random_llama import random_llama

CARD = b"---\nlicense: apache-2.0\nlanguage: [en, zh]\nbase_model: HuggingFaceTB/SmolLM2-135M\n---\nA model.\n"

_MAIN = Repository({"main": {}}).commit("main") or ""


@pytest.fixture(scope="module")
def server(smollm2_outline: Path, starter_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubServer]:
    folder = tmp_path_factory.mktemp("tiny")
    config, weights = random_llama(vocab_size=49152, bos_token_id=1, eos_token_id=2)
    write_checkpoint(folder, config, weights, shards=2, dtype="BF16")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_bytes((smollm2_outline / name).read_bytes())
    files = {path.name: path.read_bytes() for path in folder.iterdir()} | {"README.md": CARD}
    made = {"SmolLM2-135M-Instruct-Q8_0.gguf": starter_gguf.read_bytes(), "README.md": CARD}
    with HubServer() as running:
        running.repositories["tiny/Tiny-6M-Instruct"] = Repository({"main": files})
        running.repositories["other/SmolLM2-135M-Instruct-GGUF"] = Repository({"main": made})
        yield running


def test_pull_converts_a_checkpoint(server: HubServer) -> None:
    pull = ("pull", "tiny/Tiny-6M-Instruct", "--quant", "q4_k_m", "--endpoint", server.endpoint)
    done = zhiyin(*pull, "--json")
    assert done.returncode == 0, done.stderr
    assert "Converted here (--way convert): " in done.stderr
    assert " together; " in done.stderr, "what the disk must hold at the worst moment"
    model = json.loads(done.stdout)
    assert model["name"] == "Tiny-6M-Instruct-Q4_K_M"
    assert model["file_type"] == "Q4_K_M"
    field = {name: entry.contents() for name, entry in GGUFReader(model["path"]).fields.items()}
    assert field["general.name"] == "Tiny 6M Instruct"
    assert field["general.license"] == "apache-2.0"
    assert field["general.languages"] == ["en", "zh"]
    assert field["general.base_model.0.repo_url"] == "https://huggingface.co/HuggingFaceTB/SmolLM2-135M"
    assert field["general.source.repo_url"] == f"{server.endpoint}/tiny/Tiny-6M-Instruct"
    assert model["name"] in [entry["name"] for entry in json.loads(zhiyin("models", "--json").stdout)]
    again = zhiyin(*pull)
    assert (again.returncode, again.stdout) == (0, f"{model['name']}\n")
    assert (
        f"{model['name']}.gguf was converted from tiny/Tiny-6M-Instruct before; nothing had to be fetched"
        in again.stderr
    )
    server.repositories["other/Tiny-6M-Instruct"] = server.repositories["tiny/Tiny-6M-Instruct"]
    other = zhiyin(*(part.replace("tiny/", "other/") for part in pull))
    assert other.stdout == f"{model['name']}-2\n"


def test_pull_registers_a_gguf_file_where_it_was_fetched_to(server: HubServer, data_home: Path) -> None:
    done = zhiyin("pull", "other/SmolLM2-135M-Instruct-GGUF", HF_ENDPOINT=server.endpoint)
    assert (done.returncode, done.stdout) == (0, "SmolLM2-135M-Instruct-Q8_0\n"), done.stderr
    (model,) = [m for m in json.loads(zhiyin("models", "--json").stdout) if not m["starter"]]
    assert Path(model["path"]).parent == data_home / "downloads" / "other--SmolLM2-135M-Instruct-GGUF"
    [ended] = read_record().ended
    assert (ended.wanted.source, ended.outcome) == ("other/SmolLM2-135M-Instruct-GGUF", "done")
    assert ended.model == model["path"], "the window's page of downloads shows it"


@pytest.mark.parametrize("repository", ["other/SmolLM2-135M-Instruct-GGUF", "tiny/Tiny-6M-Instruct"])
def test_removing_a_model_leaves_nothing_of_its_download(repository: str, server: HubServer) -> None:
    done = zhiyin("pull", repository, "--quant", "Q8_0", HF_ENDPOINT=server.endpoint)
    assert done.returncode == 0, done.stderr
    (folder,) = downloads_folder().iterdir()
    assert (folder / "README.md").exists()
    for kept in kept_downloads(downloads_folder()):
        delete_download(kept)
    assert zhiyin("models", "remove", done.stdout.strip()).returncode == 0
    assert list(downloads_folder().iterdir()) == []


def test_pull_from_modelscope(server: HubServer, data_home: Path) -> None:
    server.repositories["tiny/Tiny"] = Repository({"master": server.repositories["tiny/Tiny-6M-Instruct"].files(_MAIN)})
    pull = ("pull", "modelscope:tiny/Tiny", "--quant", "q8_0", "--endpoint", server.endpoint)
    done = zhiyin(*pull, "--json", HF_ENDPOINT="http://127.0.0.1:9")
    assert done.returncode == 0, done.stderr
    assert f"tiny/Tiny is in {data_home / 'downloads' / 'modelscope--tiny--Tiny'}" in done.stderr
    model = json.loads(done.stdout)
    field = {name: entry.contents() for name, entry in GGUFReader(model["path"]).fields.items()}
    assert field["general.name"] == "Tiny"
    assert field["general.source.repo_url"] == f"{server.endpoint}/models/tiny/Tiny"
    again = zhiyin(*pull)
    assert (again.returncode, again.stdout) == (0, f"{model['name']}\n")
    assert "was converted from tiny/Tiny before" in again.stderr
    assert zhiyin("pull", "modelscope:no/such", "--endpoint", server.endpoint).stderr.startswith(
        "zhiyin: There is no repository no/such at"
    )


def install_tiny(server: HubServer, quant: str = "auto", on_progress: ProgressListener | None = None) -> Installed:
    computer = Computer(free_bytes=8 * 10**9, total_bytes=8 * 10**9, process_bytes=0)
    request = InstallRequest("tiny/Tiny-6M-Instruct", quant, endpoint=server.endpoint, computer=computer)
    return install(request, on_progress)


@pytest.mark.parametrize("quant", [pytest.param("Q4_K_M", marks=pytest.mark.slow), "auto"])
def test_a_model_is_found_again_after_its_download_was_deleted(server: HubServer, quant: str) -> None:
    made = install_tiny(server, quant).path
    [kept] = kept_downloads(downloads_folder())
    delete_download(kept)
    server.requests.clear()
    assert install_tiny(server, quant).path == made
    assert {Path(request.path).name for request in server.requests} <= {
        kept.repository.partition("/")[2],
        "config.json",
    }
    assert list(models_folder().iterdir()) == [made]
    assert install_tiny(server, "Q6_K").path != made, "another quantization is made of the original"
    delete_download(kept)
    made.unlink()
    assert install_tiny(server, quant).path == made


@pytest.mark.slow
def test_a_download_that_is_being_converted_is_not_deleted(
    server: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install_tiny(server, "Q8_0")
    [kept] = kept_downloads(downloads_folder())
    phases = set()

    def try_to_delete(progress: Progress) -> None:
        with pytest.raises(ZhiyinError, match="Tiny-6M-Instruct is being downloaded or converted by another Zhiyin"):
            delete_download(kept)
        phases.add(progress.phase)

    install_tiny(server, "Q4_0", try_to_delete)
    assert phases == {"downloading", "converting", "checking"}
    phases.clear()
    monkeypatch.setattr(
        "desktop_app.commands.convert.show_progress", lambda _line, progress, _: try_to_delete(progress)
    )
    assert main(["convert", str(kept.folder), "--quant", "F16", "--out", str(tmp_path / "tiny.gguf")]) == 0
    assert phases == {"converting", "checking"}
    delete_download(kept)


def test_convert_takes_a_repository(server: HubServer, tmp_path: Path) -> None:
    out = tmp_path / "out.gguf"
    source = "tiny/Tiny-6M-Instruct"
    done = zhiyin("convert", source, "--quant", "Q8_0", "--out", str(out), "--endpoint", server.endpoint)
    assert (done.returncode, done.stdout) == (0, f"{out}\n"), done.stderr


def test_failures_are_one_sentence(server: HubServer) -> None:
    for command in ("pull", "convert"):
        done = zhiyin(command, "no/such-model", "--endpoint", server.endpoint)
        assert done.returncode == 1
        assert done.stdout == ""
        assert done.stderr.startswith("zhiyin: There is no repository no/such-model")
        assert done.stderr.count("\n") == 1
    assert zhiyin("pull").returncode == 2
    nonsense = zhiyin("pull", "tiny/Tiny-6M-Instruct", "--quant", "Q9", "--endpoint", server.endpoint)
    assert "holds no Q9" in nonsense.stderr
