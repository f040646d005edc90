"""`zhiyin fit ORG/NAME`: from a few kilobytes, against a real server that speaks the Hub's API, or from the catalogue."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from desktop_app.bandwidth import keep_speed, measure
from desktop_app.candidates import model_of_config
from desktop_app.catalogue import catalogue
from desktop_app.cli import main
from desktop_app.paths import speed_file
from models.config import Config
from tests.support.commands import zhiyin
from tests.support.hub_server import HubServer, Repository

CONFIG = {**catalogue().shapes["Qwen3-0.6B"], "max_position_embeddings": 4096}
WEIGHTS = {"model-00001-of-00002.safetensors": b"1" * 2_000_000, "model-00002-of-00002.safetensors": b"2" * 500_000}
FILES = {
    "config.json": json.dumps(CONFIG).encode(),
    "generation_config.json": b"{}",
    "tokenizer.json": b"{}" * 100_000,
    "model.safetensors.index.json": b"{}" * 10_000,
    "pytorch_model.bin": b"3" * 4_000_000,
    **WEIGHTS,
}


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This computer's reading speed, measured once."""
    path = tmp_path_factory.mktemp("speed") / "speed.json"
    keep_speed(path, measure())
    return path


@pytest.fixture(autouse=True)
def speed(measured: Path, data_home: Path) -> None:
    shutil.copy(measured, speed_file())


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with HubServer() as running:
        running.repositories["org/small"] = Repository({"main": FILES})
        running.repositories["org/gated"] = Repository({"main": FILES}, gated=True)
        running.repositories["org/new"] = Repository(
            {"main": FILES | {"config.json": b'{"architectures": ["NewForCausalLM"]}'}}
        )
        running.repositories["org/gguf"] = Repository({"main": {"model-Q4_K_M.gguf": b"GGUF"}})
        running.repositories["org/damaged"] = Repository({"main": FILES | {"config.json": b"{"}})
        yield running


def fit(server: HubServer, name: str, *more: str) -> dict[str, object]:
    done = zhiyin("fit", name, "--endpoint", server.endpoint, "--json", *more)
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_a_plan_takes_the_configuration_and_no_weights(server: HubServer, data_home: Path) -> None:
    found = fit(server, "org/small")
    assert server.sent < 10_000, "a list of files and a configuration"
    assert not any(server.fetched(name) for name in (*WEIGHTS, "tokenizer.json", "pytorch_model.bin"))
    assert found["download_bytes"] == sum(map(len, WEIGHTS.values()))
    assert "org/small: by its config.json" in str(found["origin"])
    best = found["best"]
    assert isinstance(best, dict)
    assert best["context"] == 4096
    weights = sum(share["weights"] for share in best["shares"])
    quants = {c.quant: sum(tensor.bytes for tensor in c.tensors) for c in model_of_config(Config(CONFIG)).candidates}
    assert weights == quants[best["quant"]]
    assert not list(data_home.rglob("downloads/*")), "a later pull begins afresh"


def test_the_person_reads_where_it_comes_from(server: HubServer, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fit", "org/small", "--endpoint", server.endpoint, "--quant", "q4_0"]) == 0
    said = capsys.readouterr()
    assert said.err.startswith(
        "org/small: by its config.json; no weights were fetched. Its weights are 2.5 MB to fetch."
    )
    assert said.out.count("Q4_0") >= 2


def test_without_a_network_the_sentence_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        assert main(["fit", "org/other", "--endpoint", endpoint]) == 1
    sentence = capsys.readouterr().err
    assert "cannot be reached" in sentence
    assert "check the connection, or choose a mirror" in sentence


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("org/gated", "org/gated is gated: accept its licence at"),
        ("org/absent", "There is no repository org/absent at"),
        ("org/new", "org/new/config.json"),
        (
            "org/gguf",
            "org/gguf has no config.json that would say what model it is; fetch it first (zhiyin pull org/gguf)",
        ),
        ("org/gguf/model-Q4_K_M.gguf", "is a GGUF file; fetch it first"),
        ("org/damaged", "org/damaged: config.json is not valid JSON; choose another repository."),
    ],
)
def test_one_sentence_says_why_there_is_no_plan(
    server: HubServer, capsys: pytest.CaptureFixture[str], name: str, sentence: str
) -> None:
    assert main(["fit", name, "--endpoint", server.endpoint]) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("zhiyin: ")
    assert sentence in said.err
    assert said.err.count("\n") == 1
    assert server.sent < 30_000


def test_a_model_of_the_catalogue_needs_no_network(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    found = json.loads(zhiyin("fit", "qwen/qwen3-0.6b", "--json").stdout)
    assert found["origin"] == "Qwen/Qwen3-0.6B: by the sizes in Zhiyin's catalogue."
    assert found["download_bytes"] == 1_503_264_768
    assert main(["fit", "BlinkDL/rwkv-7-world"]) == 1
    assert "holds several models; name one: BlinkDL/rwkv-7-world/RWKV-x070-World-0.1B" in capsys.readouterr().err
    assert main(["fit", "nobody/nothing"]) == 1
    assert "http://127.0.0.1:9 cannot be reached" in capsys.readouterr().err
