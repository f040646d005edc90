"""`zhiyin fit ORG/NAME`: from a few kilobytes, against a real server that speaks the Hub's API, or from the catalogue."""

from __future__ import annotations

import json
import re
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from converter.gguf_header import read_gguf_header
from converter.pipeline import ConvertRequest, convert
from desktop_app.cli import main
from desktop_app.engine.client import Engine
from desktop_app.library.catalogue import catalogue
from desktop_app.library.install import InstallRequest, install
from desktop_app.library.source_facts import facts_of, judge
from desktop_app.paths import speed_file
from desktop_app.planning.candidates import model_of_config, model_of_headers
from desktop_app.planning.configuration import Computer
from desktop_app.planning.planner import plan
from desktop_app.planning.speed import keep_speed, measure
from desktop_app.system.read_speed import TYPES, ReadSpeed
from models.config import Config
from tests.support.commands import zhiyin
from tests.support.hub_server import HubServer, Repository
from tests.support.sparse_gguf import sparse_gguf

CONFIG = {**catalogue().shapes["Qwen3-0.6B"], "max_position_embeddings": 4096}
WEIGHTS = {"model-00001-of-00002.safetensors": b"1" * 2_000_000, "model-00002-of-00002.safetensors": b"2" * 500_000}
FILES = {
    "config.json": json.dumps(CONFIG).encode(),
    "generation_config.json": b"{}",
    "tokenizer.json": b"{}" * 100_000,
    "model.safetensors.index.json": json.dumps({"weight_map": {name: name for name in WEIGHTS}}).encode(),
    "pytorch_model.bin": b"3" * 4_000_000,
    **WEIGHTS,
}


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This computer's reading speed, measured once."""
    path = tmp_path_factory.mktemp("speed") / "speed.json"
    with pytest.MonkeyPatch.context() as patch, Engine() as engine:
        patch.setenv("ZHIYIN_HOME", str(path.parent))
        keep_speed(path, msgspec.structs.replace(measure(engine), spread=1.0))  # as if nothing else ran here
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
        running.repositories["org/bare"] = Repository({"main": WEIGHTS})
        running.repositories["org/gguf"] = Repository({"main": {"model-Q4_K_M.gguf": b"GGUF", "x-Q8_0.gguf": b"no"}})
        running.repositories["org/damaged"] = Repository({"main": FILES | {"config.json": b"{"}})
        running.repositories["org/teas"] = Repository({"main": {"green.pth": b"1", "black.pth": b"2"}})
        yield running


def fit(server: HubServer, name: str, *more: str) -> dict[str, object]:
    done = zhiyin("fit", name, "--endpoint", server.endpoint, "--json", *more)
    assert done.returncode == 0, done.stderr
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_a_plan_takes_the_configuration_and_no_weights(server: HubServer, data_home: Path) -> None:
    found = fit(server, "org/small")
    assert server.sent < 150_000, "a list of files, a configuration, and a block of 64 KB with each header"
    assert not any(server.fetched(name) for name in ("tokenizer.json", "pytorch_model.bin"))
    assert found["download_bytes"] == sum(map(len, WEIGHTS.values()))
    assert found["disk_bytes"] > found["download_bytes"]
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


TINY = {
    "architectures": ["LlamaForCausalLM"], "hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 2,
    "num_attention_heads": 4, "vocab_size": 40_000, "max_position_embeddings": 4096, "rms_norm_eps": 1e-5,
}  # fmt: skip


def gguf_files(folder: Path, *quants: str, first: str = "", **changes: int) -> dict[str, Path]:
    """Write files of one model as converters do: the vocabulary in the middle of the head, 1.4 MB of it."""
    tokens = [first, *(f"a token {number}" for number in range(39_999))]
    vocabulary = {"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.tokens": tokens}
    vocabulary |= {"tokenizer.ggml.token_type": [1] * 40_000, "tokenizer.ggml.merges": [f"a {t}" for t in tokens]}
    paths = {f"Tiny-{quant}.gguf": folder / f"{first or 'Tiny'}-{quant}.gguf" for quant in quants}
    for quant, path in zip(quants, paths.values(), strict=True):
        sparse_gguf(TINY | changes, quant, path, vocabulary)
    return paths


def publish(server: HubServer, name: str, paths: dict[str, Path], **more: bytes) -> None:
    files = {file: path.read_bytes() for file, path in paths.items()}
    server.repositories[name] = Repository(
        {"main": files | {f"Tiny-{quant}.gguf": data for quant, data in more.items()}}
    )


def ways_of(found: dict[str, object]) -> dict[str, dict[str, object]]:
    """Return the ways to run a model by quantization."""
    ways = [found["best"], *found["alternatives"]]  # type: ignore[misc]
    return {way["quant"]: way for way in ways if way["context"] == 4096}  # type: ignore[index]


def weights_of(way: dict[str, object]) -> int:
    return sum(share["weights"] for share in way["shares"])  # type: ignore[attr-defined]


def weights_here(path: Path) -> int:
    return weights_of(json.loads(zhiyin("fit", str(path), "--json").stdout)["best"])


def test_each_gguf_file_is_planned_by_its_head_alone(
    server: HubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str], data_home: Path
) -> None:
    paths = gguf_files(tmp_path, "F16", "Q8_0", "Q4_K_M", "Q2_K")
    publish(server, "org/tiny-gguf", paths)
    found = fit(server, "org/tiny-gguf")
    heads = max(read_gguf_header(path).data_offset for path in paths.values())
    assert server.sent < 2 * heads, "the vocabulary comes once, and a few blocks of each file"
    ways = ways_of(found)
    assert next(iter(ways)) == "Q8_0", "the best one of the good ones"
    assert set(ways) == {"F16", "Q8_0", "Q4_K_M", "Q2_K"}
    assert all(weights_of(ways[file[5:-5]]) == weights_here(path) for file, path in paths.items())
    assert found["download_bytes"] == paths["Tiny-Q8_0.gguf"].stat().st_size
    assert not list(data_home.rglob("downloads/*"))
    assert main(["fit", "org/tiny-gguf", "--endpoint", server.endpoint]) == 0
    said = capsys.readouterr()
    assert said.err.startswith("org/tiny-gguf: by the headers of its GGUF files; no weights were fetched. Q8_0 is ")
    assert all(f"\n{quant}  " in said.out for quant in ways)


def test_one_file_or_one_quantization_of_many(server: HubServer, tmp_path: Path) -> None:
    publish(server, "org/tiny-gguf", gguf_files(tmp_path, "Q8_0", "Q4_K_M"))
    for name, more in (("org/tiny-gguf/Tiny-Q4_K_M.gguf", ()), ("org/tiny-gguf", ("--quant", "q4_k_m"))):
        server.requests.clear()
        assert set(ways_of(fit(server, name, *more))) == {"Q4_K_M"}
        assert not server.fetched("Tiny-Q8_0.gguf")


def pull(server: HubServer, capsys: pytest.CaptureFixture[str], name: str = "org/tiny-gguf") -> str:
    """Pull, and return the name of the model that is there then."""
    assert main(["pull", name, "--endpoint", server.endpoint]) == 0
    return capsys.readouterr().out.strip()


def test_what_fit_calls_best_is_pulled(
    server: HubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str], data_home: Path
) -> None:
    publish(server, "org/tiny-gguf", gguf_files(tmp_path, "F16", "Q8_0", "Q4_K_M", "Q2_K"))
    best = fit(server, "org/tiny-gguf")["best"]
    server.requests.clear()
    assert pull(server, capsys) == f"Tiny-{best['quant']}" == "Tiny-Q8_0"  # type: ignore[index]
    whole = [request.path for request in server.requests if request.range and request.range.startswith("bytes=0-")]
    assert sum("/cdn/" in path for path in whole) == 5, "four heads, and one file"
    assert [path.name for path in data_home.rglob("*.gguf")] == ["Tiny-Q8_0.gguf"]


def test_the_window_takes_the_same_for_the_memory_that_is_there(server: HubServer, tmp_path: Path) -> None:
    paths = gguf_files(tmp_path, "Q8_0", "Q4_K_M", "Q2_K")
    publish(server, "org/tiny-gguf", paths)
    model = model_of_headers({path.stem[5:]: [read_gguf_header(path, arrays=False)] for path in paths.values()})
    computers = {}
    for megabytes in range(200, 600):
        computer = Computer(free_bytes=megabytes * 10**6, total_bytes=8 * 10**9, process_bytes=0)
        best = plan(model, computer).best
        computers.setdefault(best.quant if best is not None else "", computer)
    assert set(computers) == {"", "Q2_K", "Q4_K_M", "Q8_0"}
    for quant, computer in computers.items():
        request = InstallRequest("org/tiny-gguf", endpoint=server.endpoint, computer=computer)
        assert judge(facts_of(request), computer).quant == (quant or "Q2_K"), "the smallest where nothing fits"
        assert install(request).path.name == f"Tiny-{quant or 'Q2_K'}.gguf"


def test_files_that_no_plan_is_made_of_are_chosen_by_their_size(
    server: HubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = gguf_files(tmp_path, "Q8_0", "Q4_K_M", "Q2_K")
    publish(server, "org/tiny-gguf", paths)
    server.faults.ignore_ranges = True
    assert pull(server, capsys) == "Tiny-Q4_K_M"
    server.faults.ignore_ranges = False
    publish(server, "org/mixed-gguf", paths | gguf_files(tmp_path, "Q3_K_M", num_hidden_layers=3))
    assert pull(server, capsys, "org/mixed-gguf") == "Tiny-Q4_K_M"


def test_of_what_is_here_the_heads_are_read_without_a_network(
    server: HubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(server, "org/tiny-gguf", gguf_files(tmp_path, "Q8_0", "Q4_K_M"))
    for quant in ("q4_k_m", "q8_0"):
        assert main(["pull", "org/tiny-gguf", "--quant", quant, "--endpoint", server.endpoint]) == 0
    capsys.readouterr()
    assert main(["pull", "org/tiny-gguf", "--endpoint", "http://127.0.0.1:9"]) == 0
    assert capsys.readouterr().out == "Tiny-Q8_0\n"


def test_a_vocabulary_that_is_longer_elsewhere_is_read_again(server: HubServer, tmp_path: Path) -> None:
    other = gguf_files(tmp_path, "Q4_K_M", first="a longer text")
    publish(server, "org/tiny-gguf", gguf_files(tmp_path, "Q8_0") | other)
    assert weights_of(ways_of(fit(server, "org/tiny-gguf"))["Q4_K_M"]) == weights_here(other["Tiny-Q4_K_M.gguf"])


def test_parts_of_a_file_count_together(server: HubServer, tmp_path: Path) -> None:
    whole = gguf_files(tmp_path, "Q8_0")["Tiny-Q8_0.gguf"]
    parts = convert(ConvertRequest(whole, tmp_path / "Tiny-Q8_0.gguf", "Q8_0", split_max_size=8_000_000)).parts
    assert len(parts) > 1
    publish(server, "org/tiny-gguf", {path.name: path for path in parts})
    assert weights_of(ways_of(fit(server, "org/tiny-gguf"))["Q8_0"]) == weights_here(whole)


def test_what_cannot_be_read_is_said_and_left_out(
    server: HubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(server, "org/tiny-gguf", gguf_files(tmp_path, "Q8_0"), Q4_0=b"no")
    assert main(["fit", "org/tiny-gguf", "--endpoint", server.endpoint]) == 0
    said = capsys.readouterr()
    assert "Note: org/tiny-gguf/Tiny-Q4_0.gguf is not a GGUF file" in said.err
    assert "Q4_0" not in said.out


def test_files_of_different_models_are_not_one(
    server: HubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(server, "org/tiny-gguf", gguf_files(tmp_path, "Q8_0") | gguf_files(tmp_path, "Q4_0", num_hidden_layers=3))
    assert main(["fit", "org/tiny-gguf", "--endpoint", server.endpoint]) == 1
    assert "Tiny-Q4_0.gguf and org/tiny-gguf/Tiny-Q8_0.gguf are of different models" in capsys.readouterr().err


def test_a_server_without_ranges_is_not_asked_for_weights(
    server: HubServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    publish(server, "org/tiny-gguf", gguf_files(tmp_path, "Q8_0"))
    server.faults.ignore_ranges = True
    assert main(["fit", "org/tiny-gguf", "--endpoint", server.endpoint]) == 1
    assert "127.0.0.1 sends whole files only" in capsys.readouterr().err


def test_without_a_network_the_sentence_says_what_to_do(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        assert main(["fit", "org/other", "--endpoint", endpoint]) == 1
    sentence = capsys.readouterr().err
    assert "cannot be reached" in sentence
    assert "check the connection, or choose another address with --endpoint or HF_ENDPOINT" in sentence


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("org/gated", "org/gated is gated: accept its licence at"),
        ("org/absent", "There is no repository org/absent at"),
        ("org/new", "org/new/config.json"),
        ("org/gguf", "org/gguf/model-Q4_K_M.gguf is truncated: its header ends in the middle"),
        ("org/gguf/x-Q8_0.gguf", "org/gguf/x-Q8_0.gguf is not a GGUF file"),
        ("org/teas", "org/teas holds several models; name one: org/teas/black.pth (there are black.pth, green.pth)."),
        (
            "org/bare/model-00002-of-00002.safetensors",
            "has no config.json that would say what model it is; fetch it first",
        ),
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
    assert server.sent < 80_000


def test_a_model_of_the_catalogue_needs_no_network(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    found = json.loads(zhiyin("fit", "qwen/qwen3-0.6b", "--json").stdout)
    assert found["origin"] == "Qwen/Qwen3-0.6B: by the sizes in Zhiyin's catalogue."
    assert found["download_bytes"] == 1_503_264_768
    assert json.loads(zhiyin("fit", "modelscope:Qwen/Qwen3-0.6B", "--json").stdout)["origin"] == found["origin"]
    assert main(["fit", "BlinkDL/rwkv-7-world"]) == 1
    assert "holds several models; name one: BlinkDL/rwkv-7-world/RWKV-x070-World-0.1B" in capsys.readouterr().err
    assert main(["fit", "nobody/nothing"]) == 1
    assert "http://127.0.0.1:9 cannot be reached" in capsys.readouterr().err


@pytest.mark.parametrize(("recurrent", "cached"), [(True, False), (False, True)])
def test_only_models_with_a_cache_speak_of_its_type(
    recurrent: bool, cached: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = {"architectures": ["RwkvForCausalLM"], "hidden_size": 768, "vocab_size": 50277, "num_hidden_layers": 12}
    (tmp_path / "config.json").write_text(json.dumps(config if recurrent else CONFIG), "utf-8")
    assert main(["fit", str(tmp_path), "--kv-type", "q8_0"]) == 0
    table = capsys.readouterr().out
    assert "Q8_0" in table
    assert ("(q8_0 cache)" in table) is cached


BUSY = re.compile(r"Other programs were too busy|other programs were busy")


def test_a_speed_that_busy_programs_held_down_is_told_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG), "utf-8")
    for command in (["fit", str(tmp_path)], ["hardware"]):
        assert main(command) == 0
        said = capsys.readouterr()
        assert not BUSY.search(said.err + said.out)
    busy = ReadSpeed(dict.fromkeys(TYPES, 1e9), 2, spread=3.0)
    monkeypatch.setattr("desktop_app.planning.speed.measure", lambda _: busy)
    speed_file().unlink()
    for command in (["fit", str(tmp_path)], ["hardware"]):
        assert main(command) == 0
        said = capsys.readouterr()
        assert BUSY.search(said.err + said.out)


def test_what_cannot_be_had_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = gguf_files(tmp_path, "Q8_0")["Tiny-Q8_0.gguf"]
    assert main(["fit", str(path), "--quant", "q8_0", "--ctx", "5000"]) == 0
    assert "It was trained with 4096 tokens of context and is run with no more." in capsys.readouterr().err
    assert main(["fit", str(path), "--quant", "q4_k_m"]) == 1
    assert f"{path} is a finished file (Q8_0); leave out --quant" in capsys.readouterr().err
    assert main(["fit", str(path), "--ctx", "4096"]) == 0
    assert "It was trained with" not in capsys.readouterr().err
