"""`zhiyin imatrix` against inputs computed in NumPy, and its way through the conversion."""

from __future__ import annotations

import json
from pathlib import Path

import gguf
import numpy as np
import pytest

from converter.importance import Collected, Sums, read_collected, read_importance, write_collected
from converter.pipeline import ConvertRequest, convert
from desktop_app.engine.client import Engine, EngineFailed
from desktop_app.engine.protocol import CollectImportance, Load, LoadSettings, WriteImportance
from desktop_app.paths import data_folder, importance_folder
from desktop_app.quality.importance import ImportanceRequest, make_importance
from models.errors import Cancelled
from tests.support.commands import zhiyin
from tests.support.graph_models import graph_case
from tests.support.random_gguf import write_mixture
from tests.support.rwkv_world import world_model

TEXT = (Path(__file__).parents[3] / "LICENSE").read_text("utf-8")[3000:4300]
WIDTH, EXPERTS, USED = 256, 4, 2


def test_sums_are_those_of_the_inputs(tmp_path: Path) -> None:
    """A mixture: the first layer's inputs are known without its attention; each token goes to as many experts as it should."""
    path, out = write_mixture(tmp_path / "mixture.gguf", EXPERTS, layers=2, width=WIDTH), tmp_path / "imatrix.gguf"
    chunks = np.random.default_rng(1).integers(0, 64, (2, 32))
    with Engine() as engine:
        settings = LoadSettings(context=32, batch=32, logit_rows=32, importance=True)
        engine.submit(Load(path, settings)).result(60)
        for chunk in chunks.tolist():
            engine.submit(CollectImportance(tuple(chunk))).result(60)
        coverage = engine.submit(WriteImportance(out, 32, "drawn", "")).result(60)
    tensors = {tensor.name: tensor.data for tensor in gguf.GGUFReader(path).tensors}
    rows = np.array(tensors["token_embd.weight"])[chunks.reshape(-1)].astype(np.float64)
    rows /= np.sqrt((rows**2).mean(1, keepdims=True) + 1e-5)
    wanted = ((rows * tensors["blk.0.attn_norm.weight"]) ** 2).sum(0)
    written = {tensor.name: np.array(tensor.data) for tensor in gguf.GGUFReader(out).tensors}
    for kind in "qkv":
        assert written[f"blk.0.attn_{kind}.weight.in_sum2"].reshape(-1) == pytest.approx(wanted, rel=1e-4)
        assert written[f"blk.0.attn_{kind}.weight.counts"].tolist() == [[64]]
    assert coverage.chunks == 2
    assert set(coverage.experts) == {
        f"blk.{n}.ffn_{kind}_exps.weight" for n in (0, 1) for kind in ("gate", "up", "down")
    }
    for name, counts in coverage.experts.items():
        assert sum(counts) == 64 * USED, name
        assert written[f"{name}.counts"].reshape(-1).tolist() == counts
        assert (written[f"{name}.in_sum2"].sum(-1).reshape(-1) > 0).tolist() == [count > 0 for count in counts]
    assert "output.weight.in_sum2" in written
    # gate and up see the same rows; their sum over all experts is twice the router's, which each token passes once
    gate = written["blk.1.ffn_gate_exps.weight.in_sum2"].reshape(EXPERTS, -1)
    assert (gate == written["blk.1.ffn_up_exps.weight.in_sum2"].reshape(EXPERTS, -1)).all()
    router = written["blk.1.ffn_gate_inp.weight.in_sum2"].reshape(-1)
    assert gate.sum(0) == pytest.approx(USED * router, rel=1e-4)


def test_a_stopped_run_goes_on(starter_gguf: Path, tmp_path: Path) -> None:
    """What was stored is used: a change in it is found in the result."""
    whole, resumed = (
        ImportanceRequest(starter_gguf, tmp_path / name, TEXT, context=64) for name in ("a.gguf", "b.gguf")
    )
    make_importance(whole)
    seen: list[str] = []

    def stop() -> bool:
        seen.append("asked")
        return len(seen) > 2

    with pytest.raises(Cancelled):
        make_importance(resumed, cancelled=stop)
    assert not resumed.out.exists()
    (unfinished,) = importance_folder().glob("*.gguf")
    stored = read_collected(unfinished)
    assert stored is not None
    assert stored.chunks == 2
    name = "blk.0.attn_q.weight"
    changed = {**stored.sums, name: Sums(stored.sums[name].values + 1e6, stored.sums[name].counts)}
    write_collected(unfinished, Collected(changed, 64, stored.datasets, stored.key))
    make_importance(resumed)
    assert not list(importance_folder().glob("*.gguf"))
    first, second = read_importance(whole.out), read_importance(resumed.out)
    assert first.chunks == second.chunks >= 4
    counted = first.chunks * 64
    assert second.values[name] == pytest.approx(first.values[name] + 1e6 / counted, rel=1e-3)
    other = "blk.29.ffn_down.weight"
    assert second.values[other] == pytest.approx(first.values[other], rel=1e-4)


def test_damaged_stores_are_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "store.gguf"
    assert read_collected(path) is None
    good = Collected({"blk.0.attn_q.weight": Sums(np.ones((1, 4), np.float32), np.array([8]))}, 4, ("text",), "key")
    write_collected(path, good)
    found = read_collected(path)
    assert found is not None
    assert (found.key, found.chunks, found.datasets) == ("key", 2, ("text",))
    data = path.read_bytes()
    for size in range(0, len(data) - 32, 7):
        path.write_bytes(data[:size])
        assert read_collected(path) is None


def test_the_command_and_the_conversion(starter_gguf: Path, tmp_path: Path) -> None:
    """Our own text would take a while: a user's, and the built-in one is counted elsewhere."""
    text, out = tmp_path / "text.txt", tmp_path / "starter.imatrix.gguf"
    text.write_text(TEXT, "utf-8")
    done = zhiyin("imatrix", str(starter_gguf), "--text", str(text), "--ctx", "64", "--out", str(out), "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["path"], found["entries"], found["experts"]) == (str(out), 30 * 7 + 1, {})
    importance = read_importance(out)
    assert (importance.dataset, importance.chunks) == (str(text), found["chunks"])
    assert importance.of("token_embd.weight", (49152, 576)) is not None, "the head's, which is tied"
    request = ConvertRequest(starter_gguf, tmp_path / "out.gguf", "Q4_0", imatrix=out, allow_requantize=True)
    made = convert(request)
    assert read_metadata(made.path)["quantize.imatrix.entries_count"] == 211


def read_metadata(path: Path) -> dict[str, object]:
    reader = gguf.GGUFReader(path)
    return {name: field.contents() for name, field in reader.fields.items() if name.startswith("quantize")}


def test_what_llama_cpp_does_not_run_has_none(tmp_path: Path) -> None:
    with Engine() as engine:
        engine.submit(Load(graph_case("chatglm1", tmp_path).path, LoadSettings(context=64, importance=True))).result(60)
        with pytest.raises(EngineFailed, match=r"llama\.cpp does not run this architecture"):
            engine.submit(CollectImportance((1, 2, 3))).result(60)


def test_a_conversion_makes_its_own(tmp_path: Path) -> None:
    made, out = world_model(tmp_path, "7"), tmp_path / "out.gguf"
    done = zhiyin("convert", str(made), "--quant", "Q8_0", "--imatrix", "auto", "--out", str(out))
    assert done.returncode == 0, done.stderr
    facts = read_metadata(out)
    assert (facts["quantize.imatrix.file"], facts["quantize.imatrix.dataset"]) == (f"{made.stem}.imatrix.gguf", "texts")
    assert int(str(facts["quantize.imatrix.chunks_count"])) >= 4
    assert not [path for path in data_folder().iterdir() if "imatrix" in path.name]
