"""Adapters as files of their own: the layout, and that llama.cpp computes the same with them as with the merged model."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from converter.pipeline import ConvertRequest, convert
from desktop_app.engine.client import Engine, EngineFailed
from desktop_app.engine.protocol import AdapterUse, Load, LoadSettings, Logits, SetAdapters
from models.errors import ZhiyinError
from tests.reference.llama import forward
from tests.reference.lora import scaling, with_adapter
from tests.support.adapters import ALL, random_adapter, write_adapter
from tests.support.checkpoints import write_checkpoint
from tests.support.logits import loaded_logits
from tests.support.random_gguf import write_mixture
from tests.support.random_llama import random_llama

IDS = tuple(range(5, 125, 5))


class Model:
    """A tiny LLaMA, converted, with adapters beside it."""

    def __init__(self, folder: Path, quant: str = "F32", **changes: Any) -> None:
        self.folder = folder
        self.quant = quant
        self.config, self.weights = random_llama(5, **changes)
        self.base = write_checkpoint(folder / "base", self.config, self.weights)
        self.gguf = self.convert("model.gguf")

    def convert(self, name: str, *lora: Path, as_adapter: bool = False) -> Path:
        request = ConvertRequest(
            self.base, self.folder / name, self.quant, tokenizer="none", lora=lora, as_adapter=as_adapter
        )
        return convert(request).path

    def adapter(self, name: str, targets: tuple[str, ...] = ALL, *, seed: int = 0, **config: Any) -> tuple[Path, Path]:
        """Return an adapter's folder and its file."""
        folder = write_adapter(self.folder / name, random_adapter(self.weights, targets, seed=seed), **config)
        return folder, self.convert(f"{name}.gguf", folder, as_adapter=True)

    def load(self, engine: Engine, *adapters: AdapterUse, path: Path | None = None) -> None:
        settings = LoadSettings(context=64, kv_type="f32", threads=2)
        engine.submit(Load(path or self.gguf, settings, adapters)).result(60)

    def logits(self, engine: Engine) -> np.ndarray:
        return loaded_logits(engine, IDS, self.folder / "logits.npy")


@pytest.mark.parametrize(
    ("targets", "config", "scale"),
    [
        (ALL, {}, 2.0),
        (ALL, {"use_rslora": True}, scaling(8, 4, rslora=True)),
        (("q_proj",), {"alpha_pattern": {"q_proj": 20}}, 5.0),
        (("embed_tokens", "lm_head", "k_proj"), {}, 2.0),
    ],
    ids=["plain", "rslora", "pattern", "embeddings"],
)
def test_an_adapter_at_run_time_equals_the_reference(
    targets: tuple[str, ...], config: dict[str, Any], scale: float, engine: Engine, tmp_path: Path
) -> None:
    model = Model(tmp_path)
    _, file = model.adapter("lora", targets, **config)
    model.load(engine, AdapterUse(file))
    merged = with_adapter(model.weights, random_adapter(model.weights, targets), scales=scale)
    assert np.abs(model.logits(engine) - forward(model.config, merged, IDS)).max() < 1e-4


def test_at_run_time_and_merged_are_the_same_in_f16(engine: Engine, tmp_path: Path) -> None:
    model = Model(tmp_path, "F16")
    folder, file = model.adapter("lora")
    merged = model.convert("merged.gguf", folder)
    model.load(engine, AdapterUse(file))
    at_run_time = model.logits(engine)
    model.load(engine, path=merged)
    error = np.abs(at_run_time - model.logits(engine)).max()
    print(f"largest difference: {error:.1e}")
    assert error < 1e-2


def test_adapters_and_scales_are_switched_on_a_loaded_model(engine: Engine, tmp_path: Path) -> None:
    model = Model(tmp_path)
    (_, one), (_, two) = model.adapter("one"), model.adapter("two", ("q_proj", "down_proj"), seed=1)
    changes = (
        random_adapter(model.weights, ALL),
        random_adapter(model.weights, ("q_proj", "down_proj"), seed=1),
    )

    def wanted(*scales: float) -> np.ndarray:
        weights: dict[str, np.ndarray] = dict(model.weights)
        for change, scale in zip(changes, scales, strict=True):
            weights = with_adapter(weights, change, scales=2.0 * scale)
        return forward(model.config, weights, IDS)

    model.load(engine)
    for scales in ((0.0, 0.0), (1.0, 0.0), (0.5, -1.0), (0.0, 2.0), (0.0, 0.0)):
        uses = [AdapterUse(path, scale) for path, scale in zip((one, two), scales, strict=True) if scale]
        engine.submit(SetAdapters(tuple(uses))).result(60)
        assert np.abs(model.logits(engine) - wanted(*scales)).max() < 1e-3


def test_the_file_is_what_llama_cpp_documents(tmp_path: Path) -> None:
    model = Model(tmp_path)
    _, file = model.adapter("lora", ("q_proj",), base_model_name_or_path="meta-llama/Llama-2-7b-hf")
    reader = gguf.GGUFReader(file)
    fields = {name: field.contents() for name, field in reader.fields.items()}
    assert fields["general.type"] == "adapter"
    assert fields["adapter.type"] == "lora"
    assert fields["adapter.lora.alpha"] == 8.0
    assert fields["general.base_model.0.repo_url"] == "https://huggingface.co/meta-llama/Llama-2-7b-hf"
    shapes = {"a": [64, 4], "b": [4, 64]}
    wanted = {f"blk.{n}.attn_q.weight.lora_{part}": shape for n in (0, 1) for part, shape in shapes.items()}
    assert {tensor.name: tensor.shape.tolist() for tensor in reader.tensors} == wanted


def test_the_bases_configuration_alone_is_enough(tmp_path: Path) -> None:
    model = Model(tmp_path)
    folder, file = model.adapter("lora")
    (model.base / "model.safetensors").unlink()
    quantized = model.config | {"quantization_config": {"quant_method": "bitsandbytes"}}
    (model.base / "config.json").write_text(json.dumps(quantized))
    assert model.convert("again.gguf", folder, as_adapter=True).read_bytes() == file.read_bytes()


def test_what_only_merging_does_is_refused(tmp_path: Path) -> None:
    model = Model(tmp_path)
    tied = Model(tmp_path / "tied", tie_word_embeddings=True)
    cases = [
        (model, random_adapter(model.weights, dora=True), {"use_dora": True}, "DoRA"),
        (model, random_adapter(model.weights, tokens=140), {}, "whole tensors"),
        (tied, random_adapter(tied.weights, ("embed_tokens",)), {}, "shares"),
    ]
    for number, (base, tensors, config, words) in enumerate(cases):
        folder = write_adapter(tmp_path / str(number), tensors, **config)
        with pytest.raises(ZhiyinError, match=words) as caught:
            base.convert("x.gguf", folder, as_adapter=True)
        assert "zhiyin convert --base" in str(caught.value)
    folder = write_adapter(tmp_path / "good", random_adapter(model.weights))
    with pytest.raises(ZhiyinError, match="stay in floats"):
        convert(ConvertRequest(model.base, quant="Q4_K_M", lora=(folder,), as_adapter=True))


def test_a_wrong_adapter_is_refused_and_the_ones_before_stay(
    engine: Engine, starter_gguf: Path, tmp_path: Path
) -> None:
    model = Model(tmp_path)
    _, file = model.adapter("lora")
    wide = Model(tmp_path / "wide", hidden_size=128)
    _, other = wide.adapter("other")
    model.load(engine, AdapterUse(file))
    before = model.logits(engine)
    for path, words in (
        (other, "128 x 128, but in model.gguf it is 64 x 64"),
        (starter_gguf, "no LoRA adapter"),
        (tmp_path / "nowhere.gguf", "cannot be read"),
    ):
        with pytest.raises(EngineFailed, match=words):
            engine.submit(SetAdapters((AdapterUse(path),))).result(60)
        assert np.array_equal(model.logits(engine), before)
    with pytest.raises(EngineFailed, match="128 x 128"):
        model.load(engine, AdapterUse(other))


_QUERY, _EXPERTS = "blk.0.attn_q.weight", "blk.0.ffn_up_exps.weight"
_HOSTILE = {
    "a stack for one matrix": (_QUERY, np.ones((2, 4, 256), np.float32), np.ones((2, 256, 4), np.float32)),
    "one matrix for a stack": (_EXPERTS, np.ones((4, 256), np.float32), np.ones((256, 4), np.float32)),
    "too few experts": (_EXPERTS, np.ones((2, 4, 256), np.float32), np.ones((2, 256, 4), np.float32)),
    "experts that differ": (_EXPERTS, np.ones((4, 4, 256), np.float32), np.ones((2, 256, 4), np.float32)),
    "whole numbers": (_QUERY, np.ones((4, 256), np.int32), np.ones((256, 4), np.float32)),
    "doubles": (_QUERY, np.ones((4, 256), np.float32), np.ones((256, 4), np.float64)),
}


@pytest.mark.parametrize("name", _HOSTILE, ids=str)
def test_what_would_end_the_engine_is_refused(name: str, engine: Engine, tmp_path: Path) -> None:
    module, a, b = _HOSTILE[name]
    model = write_mixture(tmp_path / "model.gguf", 4, layers=1)
    writer = gguf.GGUFWriter(tmp_path / "hostile.gguf", "llama")
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", 8.0)
    writer.add_tensor(f"{module}.lora_a", a)
    writer.add_tensor(f"{module}.lora_b", b)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    engine.submit(Load(model, LoadSettings(context=64, threads=1))).result(60)
    with pytest.raises(EngineFailed, match=f"hostile.gguf .*{module}"):
        engine.submit(SetAdapters((AdapterUse(tmp_path / "hostile.gguf"),))).result(60)
    assert engine.submit(Logits((1, 2), tmp_path / "logits.npy")).result(60).shape == (2, 64)


def test_adapters_are_on_the_model_again_after_a_crash(tmp_path: Path) -> None:
    model = Model(tmp_path)
    _, file = model.adapter("lora")
    with Engine() as engine:
        model.load(engine)
        plain = model.logits(engine)
        engine.submit(SetAdapters((AdapterUse(file),))).result(60)
        changed = model.logits(engine)
        assert np.abs(changed - plain).max() > 0.1
        assert engine._process is not None
        engine._process.kill()
        engine._process.wait()
        while engine.pid is not None:
            time.sleep(0.01)
        assert np.array_equal(model.logits(engine), changed)
