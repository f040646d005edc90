"""Installing a checkpoint: each has a file of its own, whoever else installs one of the same name at that moment."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from converter.atomic_write import unfinished_folder
from converter.gguf_header import read_gguf_header
from converter.hub import repository
from converter.mixtures import MIXTURE_KEY, read_mixture
from converter.pipeline import ConvertRequest, plan
from converter.progress import Progress
from desktop_app.library.install import Calibration, InstallRequest, install
from desktop_app.library.smoke_load import smoke_load
from desktop_app.paths import models_folder
from desktop_app.quality.target import MixtureTarget
from models.errors import Cancelled
from tests.support import hostile_answers as hostile
from tests.support.byte_llama import byte_llama
from tests.support.checkpoints import write_checkpoint
from tests.support.hub_server import HubServer
from tests.support.random_llama import random_llama

QUANT = "F16"
LAYERS = {"hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 4}
"""Of a model of which another type in one tensor changes less than half a per cent."""


@pytest.fixture
def sources(tmp_path: Path, smollm2_outline: Path) -> list[Path]:
    """Two models of one name, of different publishers."""
    found = []
    for seed in range(2):
        config, weights = random_llama(seed, num_hidden_layers=1, vocab_size=49152)
        folder = write_checkpoint(tmp_path / str(seed) / "Tea", config, weights)
        for name in ("tokenizer.json", "tokenizer_config.json"):
            (folder / name).write_bytes((smollm2_outline / name).read_bytes())
        found.append(folder)
    return found


def names() -> list[str]:
    return sorted(path.name for path in models_folder().iterdir())


def test_two_of_one_name_at_once(sources: list[Path]) -> None:
    with ThreadPoolExecutor(2) as pool:
        paths = list(pool.map(lambda source: install(InstallRequest(source, QUANT)).path, sources))
    assert sorted(path.name for path in paths) == names() == ["Tea-6.3M-F16-2.gguf", "Tea-6.3M-F16.gguf"]
    assert paths[0].read_bytes() != paths[1].read_bytes()


def test_a_name_that_is_being_written_is_left_to_its_writer(sources: list[Path]) -> None:
    with unfinished_folder(models_folder() / "Tea-6.3M-F16.gguf"):
        assert install(InstallRequest(sources[0], QUANT)).path.name == "Tea-6.3M-F16-2.gguf"
    assert install(InstallRequest(sources[0], QUANT)).path.name == "Tea-6.3M-F16.gguf"
    assert names() == ["Tea-6.3M-F16-2.gguf", "Tea-6.3M-F16.gguf"]


def test_a_system_that_starts_no_engine_throws_no_model_away(
    sources: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.executable", "/missing")
    installed = install(InstallRequest(sources[0], QUANT))
    assert installed.conversion is not None
    assert str(installed.conversion.verification.smoke_load).startswith("It was not run, because the system refused it")
    assert names() == ["Tea-6.3M-F16.gguf"]


def test_a_disk_without_room_for_the_smoke_load_is_no_fault_of_the_file(starter_gguf: Path, tmp_path: Path) -> None:
    model = tmp_path / "model.gguf"
    model.symlink_to(starter_gguf)
    assert "decoded 4 tokens" in str(smoke_load(model))
    assert list(tmp_path.iterdir()) == [model]
    (tmp_path / "logits.npy").mkdir()  # takes no file, as a full disk does
    assert str(smoke_load(model)).startswith("It was not run, because the system refused it")


def test_a_silent_host_is_said_and_left_before_it_is_known_what_to_fetch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repository, "STALLED_SECONDS", 0.2)
    said: list[Progress] = []
    with HubServer() as host:
        host.raw["^/api/"] = hostile.slow(host, b"HTTP/1.1 200 OK\r\n", piece=b"")
        with pytest.raises(Cancelled):
            install(InstallRequest("org/tiny", QUANT, endpoint=host.endpoint), said.append, lambda: bool(said))
        assert not host.closing.is_set()
    assert said[0].stalled
    assert not said[0].bytes_total


@pytest.mark.slow
def test_a_mixture_is_measured_before_the_conversion(tmp_path: Path) -> None:
    source, progress = byte_llama(tmp_path, **LAYERS), list[Progress]()
    size = plan(ConvertRequest(source, quant="Q8_0")).size
    made = install(InstallRequest(source, mixture=MixtureTarget(size=size)), progress.append)
    assert {one.item for one in progress if one.phase == "calibrating"} >= {"read", "sensitivity", "probe"}
    assert 0.995 * size <= made.path.stat().st_size <= size
    mixture = read_mixture(made.path)
    assert len(set(mixture.types.values())) > 1
    assert MIXTURE_KEY in read_gguf_header(made.path).metadata
    with pytest.raises(Cancelled):
        install(InstallRequest(source, mixture=MixtureTarget(bits=8)), cancelled=lambda: True)
    assert [path for path in models_folder().iterdir() if path.name.startswith(".")] == []


@pytest.mark.slow
def test_an_importance_matrix_is_made_before_the_conversion(tmp_path: Path) -> None:
    source, text = byte_llama(tmp_path), tmp_path / "text.txt"
    text.write_text((Path(__file__).parents[3] / "LICENSE").read_text("utf-8"), "utf-8")
    progress: list[Progress] = []
    request = InstallRequest(source, "Q4_0", calibration=Calibration(text))
    made = install(request, progress.append)
    assert [phase for phase in dict.fromkeys(one.phase for one in progress) if phase != "checking"] == [
        "calibrating",
        "converting",
    ]
    metadata = read_gguf_header(made.path).metadata
    assert metadata["quantize.imatrix.entries_count"] > 0
    assert metadata["quantize.imatrix.chunks_count"] > 1
    assert made.path.read_bytes() != install(InstallRequest(source, "Q4_0")).path.read_bytes()
    with pytest.raises(Cancelled):
        install(request, cancelled=lambda: True)
    assert [path for path in models_folder().iterdir() if path.name.startswith(".")] == []
