"""Conversion end to end: exact files, bad input, nothing left behind."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import gguf
import numpy as np
import pytest

from converter.gguf_header import read_gguf_header
from converter.pipeline import ConvertRequest, Progress, convert, plan
from converter.recipes import recipe_names
from models.errors import BadFile, Cancelled, UnsupportedModel, ZhiyinError
from tests.support.checkpoints import write_checkpoint
from tests.support.random_llama import random_llama


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    config, weights = random_llama(hidden_size=256, intermediate_size=512, vocab_size=320)
    return write_checkpoint(tmp_path / "tiny", config, weights, shards=2, dtype="BF16")


def leftovers(folder: Path, before: set[Path]) -> set[Path]:
    return set(folder.iterdir()) - before


@pytest.mark.parametrize("quant", recipe_names())
def test_every_type_can_be_read_back(quant: str, checkpoint: Path, tmp_path: Path) -> None:
    """The package gguf, another implementation, dequantizes what was written to nearly the same weights."""
    out = tmp_path / "out.gguf"
    result = convert(ConvertRequest(checkpoint, out, quant, tokenizer="none"))
    assert out.stat().st_size == result.size
    reader = gguf.GGUFReader(out)
    exact = {tensor.name: tensor for tensor in reader.tensors}
    weight = exact["blk.1.ffn_up.weight"]
    _, weights = random_llama(hidden_size=256, intermediate_size=512, vocab_size=320)
    wanted = weights["model.layers.1.mlp.up_proj.weight"]
    found = gguf.quants.dequantize(weight.data, weight.tensor_type)
    error = np.abs(found - wanted).mean() / np.abs(wanted).mean()
    assert error < (0.5 if quant == "Q2_K" else 0.25 if "3_K" in quant else 0.12)
    assert reader.fields["general.file_type"].contents() == result_file_type(quant)


def result_file_type(quant: str) -> int:
    return int(gguf.LlamaFileType["ALL_F32" if quant == "F32" else f"MOSTLY_{quant}"])


def test_the_plan_is_exact(checkpoint: Path, tmp_path: Path) -> None:
    request = ConvertRequest(checkpoint, tmp_path / "out.gguf", "Q5_K_S", tokenizer="none")
    planned = plan(request)
    assert not planned.out.exists()
    assert convert(request).size == planned.size == planned.out.stat().st_size


def test_progress_ends_complete(checkpoint: Path, tmp_path: Path) -> None:
    seen: list[Progress] = []
    result = convert(ConvertRequest(checkpoint, tmp_path / "out.gguf", "Q8_0", tokenizer="none"), seen.append)
    assert seen[-1].bytes_done == seen[-1].bytes_total == result.size
    assert seen[-1].items_done == result.tensors
    assert all(a.bytes_done <= b.bytes_done for a, b in pairwise(seen))


def test_cancelling_leaves_nothing(checkpoint: Path, tmp_path: Path) -> None:
    before = set(tmp_path.iterdir())
    asked = iter([False, False, True])
    with pytest.raises(Cancelled):
        convert(ConvertRequest(checkpoint, tmp_path / "out.gguf", "Q8_0", tokenizer="none"), None, lambda: next(asked))
    assert not leftovers(tmp_path, before)


def test_a_failed_conversion_keeps_the_old_file(checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.gguf"
    out.write_bytes(b"precious")
    with pytest.raises(Cancelled):
        convert(ConvertRequest(checkpoint, out, "Q8_0", tokenizer="none"), None, lambda: True)
    assert out.read_bytes() == b"precious"


def refused(source: Path, tmp_path: Path, kind: type[ZhiyinError] = BadFile) -> str:
    before = set(tmp_path.iterdir())
    with pytest.raises(kind) as caught:
        convert(ConvertRequest(source, tmp_path / "out.gguf", "Q8_0", tokenizer="none"))
    assert not leftovers(tmp_path, before)
    return str(caught.value)


def test_missing_folder(tmp_path: Path) -> None:
    assert "does not exist" in refused(tmp_path / "nowhere", tmp_path)


def test_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert "empty folder" in refused(tmp_path / "empty", tmp_path)


def test_no_config(checkpoint: Path, tmp_path: Path) -> None:
    (checkpoint / "config.json").unlink()
    assert "no config.json" in refused(checkpoint, tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", "", "\x00", "[" * 100_000])
def test_damaged_config(text: str, checkpoint: Path, tmp_path: Path) -> None:
    (checkpoint / "config.json").write_text(text)
    assert "config.json" in refused(checkpoint, tmp_path)


def test_unknown_architecture_is_named_with_the_known_ones(checkpoint: Path, tmp_path: Path) -> None:
    (checkpoint / "config.json").write_text(json.dumps({"architectures": ["MadeUpForCausalLM"]}))
    message = refused(checkpoint, tmp_path, UnsupportedModel)
    assert "MadeUpForCausalLM" in message
    assert "LLaMA" in message


@pytest.mark.parametrize(
    ("key", "value"),
    [("hidden_size", "64"), ("hidden_size", -1), ("num_hidden_layers", 0), ("vocab_size", None), ("rms_norm_eps", [])],
)
def test_nonsense_in_config_is_named(key: str, value: object, checkpoint: Path, tmp_path: Path) -> None:
    path = checkpoint / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {key: value}))
    assert key in refused(checkpoint, tmp_path)


def test_config_of_another_model(checkpoint: Path, tmp_path: Path) -> None:
    path = checkpoint / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"intermediate_size": 1024}))
    message = refused(checkpoint, tmp_path)
    assert "512 x 256" in message
    assert "1024 x 256" in message


def test_truncated_weights(checkpoint: Path, tmp_path: Path) -> None:
    shard = next(checkpoint.glob("model-00001*"))
    os.truncate(shard, shard.stat().st_size - 100)
    assert "truncated" in refused(checkpoint, tmp_path)


def test_missing_shard_is_named(checkpoint: Path, tmp_path: Path) -> None:
    (checkpoint / "model-00002-of-00002.safetensors").unlink()
    assert "model-00002-of-00002.safetensors" in refused(checkpoint, tmp_path)


def test_missing_tensor_is_named(tmp_path: Path) -> None:
    config, weights = random_llama()
    del weights["model.layers.1.mlp.up_proj.weight"]
    source = write_checkpoint(tmp_path / "tiny", config, weights)
    assert "model.layers.1.mlp.up_proj.weight" in refused(source, tmp_path)


def test_index_cannot_point_outside(checkpoint: Path, tmp_path: Path) -> None:
    (checkpoint / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"a": "../../secret.safetensors"}})
    )
    assert "outside" in refused(checkpoint, tmp_path)


def test_no_tokenizer(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="no tokenizer"):
        convert(ConvertRequest(checkpoint, tmp_path / "out.gguf", "Q8_0"))


def test_unknown_quantization_lists_the_known(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(ZhiyinError, match="Q4_K_M"):
        convert(ConvertRequest(checkpoint, tmp_path / "out.gguf", "Q9_X", tokenizer="none"))


def test_target_folder_is_missing(checkpoint: Path, tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="not a folder"):
        convert(ConvertRequest(checkpoint, tmp_path / "nowhere" / "out.gguf", "Q8_0", tokenizer="none"))


CHILD = """
import sys
from itertools import pairwise
from pathlib import Path
from converter.pipeline import ConvertRequest, convert
from models.errors import ZhiyinError
try:
    convert(ConvertRequest(Path(sys.argv[1]), Path(sys.argv[2]), "F32", tokenizer="none"))
except ZhiyinError as error:
    print(error)
    raise SystemExit(1)
"""


def run_child(source: Path, out: Path, prepare: object = None) -> subprocess.CompletedProcess[str]:
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", CHILD, str(source), str(out)]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, preexec_fn=prepare, check=False)


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files as Linux does")
def test_full_target_leaves_nothing(checkpoint: Path, tmp_path: Path) -> None:
    """A limit on the file size ends writing in the middle, as a full disk does."""

    def limit() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))

    before = set(tmp_path.iterdir())
    done = run_child(checkpoint, tmp_path / "out.gguf", limit)
    assert done.returncode == 1
    assert "cannot be written" in done.stdout
    assert not leftovers(tmp_path, before)


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="needs a folder that nobody can write to")
def test_unwritable_target(checkpoint: Path) -> None:
    with pytest.raises(BadFile, match=r"cannot be written|free"):
        convert(ConvertRequest(checkpoint, Path("/proc/out.gguf"), "Q8_0", tokenizer="none"))


def test_smollm2_keeps_its_tokenizer_and_template(smollm2_outline: Path, starter_gguf: Path, tmp_path: Path) -> None:
    """Tokens, merges, special ids, pre-tokenizer, template and hyperparameters equal those of the published GGUF."""
    out = tmp_path / "smollm2.gguf"
    convert(ConvertRequest(smollm2_outline, out, "Q4_0"))
    ours, theirs = read_gguf_header(out).metadata, read_gguf_header(starter_gguf).metadata
    for key, value in theirs.items():
        if key.startswith(("llama.", "tokenizer.")) and key != "tokenizer.ggml.add_space_prefix":
            assert ours[key] == pytest.approx(value) if isinstance(value, float) else ours[key] == value, key
