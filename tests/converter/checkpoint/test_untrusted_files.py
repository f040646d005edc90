"""What a checkpoint's files say is checked before it is believed: one sentence, no traceback, little time and memory."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converter.checkpoint.lora import Adapter
from converter.checkpoint.meta_llama import MetaCheckpoint
from converter.checkpoint.open import open_checkpoint, read_config
from converter.checkpoint.safetensors import SafetensorsFile
from converter.checkpoint.torch_pickle import TorchPickleFile
from converter.importance import read_importance
from converter.merging import open_merged
from converter.pipeline import ConvertRequest, plan
from models.config import Config
from models.errors import BadFile, ZhiyinError
from models.families import config_of_tensors, family_of
from tests.converter.checkpoint.test_meta_llama import write_meta
from tests.support.adapters import random_adapter, write_adapter
from tests.support.checkpoints import write_checkpoint, write_safetensors
from tests.support.random_chinese import random_qwen
from tests.support.random_glm import random_chatglm, random_glm
from tests.support.random_gpt_oss import random_gpt_oss
from tests.support.random_llama import random_llama, random_qwen3_moe
from tests.support.random_relatives import random_gemma3, random_granite4, random_qwen35
from tests.support.random_rwkv import random_rwkv
from tests.support.random_shared_experts import random_glm4_moe
from tests.support.torch_files import write_torch


@pytest.mark.parametrize(
    "entry", [[], 5, None, {"dtype": "F32"}, {"dtype": ["F32"], "shape": [], "data_offsets": [0, 4]}]
)
def test_a_header_of_wrong_types_is_refused(entry: Any, tmp_path: Path) -> None:
    header = json.dumps({"__metadata__": {"shape": "any"}, "a": entry}).encode()
    (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))
    with pytest.raises(BadFile, match="describes tensor a wrongly"):
        SafetensorsFile(tmp_path / "x.safetensors")


@pytest.mark.parametrize(
    "index",
    [
        [],
        {},
        {"weight_map": []},
        {"weight_map": {"a": 5}},
        {"weight_map": {"a": "x" * 5000}},
        {"weight_map": {"a": ".."}},
    ],
)
def test_an_index_of_wrong_types_is_refused(index: Any, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(BadFile):
        open_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("random_model", "changes"),
    [
        (random_llama, {"hidden_size": True}),
        (random_llama, {"hidden_size": "64"}),
        (random_llama, {"hidden_size": 64.5}),
        (random_llama, {"vocab_size": 2**31 - 1}),
        (random_llama, {"num_hidden_layers": 10**6}),
        (random_llama, {"rope_scaling": []}),
        (random_llama, {"rope_scaling": "linear"}),
        (random_llama, {"quantization_config": 5}),
        (random_qwen3_moe, {"num_hidden_layers": 500, "num_experts": 1000}),
        (random_glm4_moe, {"n_routed_experts": 2**31 - 1}),
        (random_granite4, {"num_hidden_layers": 512, "num_local_experts": 1024}),
        (random_qwen, {"rotary_pct": 1e18}),
        (random_glm, {"partial_rotary_factor": 1e18}),
        (random_chatglm, {"rope_ratio": 3e38}),
        (random_gpt_oss, {"layer_types": [["full_attention"]] * 2}),
        (random_gpt_oss, {"layer_types": "full_attention"}),
        (random_granite4, {"layer_types": [{}] * 4}),
        (random_gemma3, {"layer_types": [5] * 2}),
        (random_qwen35, {"layer_types": 5}),
    ],
)
def test_configurations_of_wrong_types_are_refused(random_model: Any, changes: dict[str, Any]) -> None:
    config = dict(random_model()[0])
    inner = config.get("text_config")
    changed = config | changes if inner is None else config | {"text_config": inner | changes}
    with pytest.raises(ZhiyinError, match=r"config\.json"):
        family_of(Config(changed)).blueprint(Config(changed), None)


def test_whole_numbers_may_be_written_as_fractions() -> None:
    config = random_llama()[0]
    written = {key: float(value) if type(value) is int else value for key, value in config.items()}
    ours, theirs = (family_of(Config(data)).blueprint(Config(data), None) for data in (config, written))
    assert ours.parameters == theirs.parameters
    assert [tensor.shape for tensor in ours.tensors] == [tensor.shape for tensor in theirs.tensors]


def test_published_forms_of_a_configuration_are_read(tmp_path: Path) -> None:
    config, weights = random_llama()
    write_checkpoint(tmp_path, config, weights)
    text = json.dumps({**config, "time_step_limit": [0.0, float("inf")], "id2label": {"0": float("nan")}})
    (tmp_path / "config.json").write_bytes(b"\xef\xbb\xbf" + text.encode())
    assert read_config(tmp_path).int("hidden_size") == config["hidden_size"]
    assert plan(ConvertRequest(tmp_path, None, "Q8_0", tokenizer="none")).out.suffix == ".gguf"


def test_a_zip_with_a_list_of_millions_of_records_is_refused(tmp_path: Path) -> None:
    records = io.BytesIO()
    with zipfile.ZipFile(records, "w") as archive:
        archive.writestr("archive/data.pkl", b"}.")
    data = records.getvalue()
    start = data.index(b"PK\x01\x02")
    end = data.index(b"PK\x05\x06")
    listed = data[start:end] * 200_000
    trailer = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, len(listed), start, 0)
    (tmp_path / "x.pth").write_bytes(data[:start] + listed + trailer)
    with pytest.raises(BadFile, match="damaged"):
        TorchPickleFile(tmp_path / "x.pth")


def test_an_importance_matrix_that_goes_backwards_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.dat"
    path.write_bytes(struct.pack("<iiii", 2**31 - 1, 0, 0, -3) + bytes(64))
    with pytest.raises(BadFile, match="no importance matrix"):
        read_importance(path)


@pytest.mark.parametrize(
    ("files", "number", "shape"), [(2, 1, (8,)), (2, 1, (8, 8)), (1, 0, (7,))], ids=["flat part", "narrow part", "flat"]
)
def test_parts_of_metas_files_must_fit_together(
    files: int, number: int, shape: tuple[int, ...], tmp_path: Path
) -> None:
    meta = write_meta(tmp_path / "meta", *random_llama(), files, by_tokens=True)
    MetaCheckpoint(meta).close()
    path = meta / f"consolidated.{number:02}.pth"
    whole = TorchPickleFile(path)
    tensors = {name: np.array(whole.read(name)) for name in whole.tensors}
    write_torch(path, {**tensors, "layers.0.attention.wq.weight": np.zeros(shape, np.float32)})
    with pytest.raises(BadFile):
        MetaCheckpoint(meta)


@pytest.mark.parametrize(
    "config",
    [
        {"alpha_pattern": {"a{99999999999}": 3}},
        {"alpha_pattern": ["q_proj"]},
        {"alpha_pattern": {"q_proj": "8"}},
        {"peft_type": 5},
        {"use_dora": 1},
        {"base_model_name_or_path": 5, "lora_alpha": None},
    ],
)
def test_adapters_of_wrong_types_are_refused(config: dict[str, Any], tmp_path: Path) -> None:
    lora = write_adapter(tmp_path / "lora", random_adapter(random_llama()[1]), **config)
    with pytest.raises(ZhiyinError):
        Adapter(lora)


@pytest.mark.parametrize("name", ["model.embed_tokens.weight", "lm_head.weight"])
def test_flat_vocabularies_are_refused_before_anything_is_merged(name: str, tmp_path: Path) -> None:
    config, weights = random_llama(tie_word_embeddings=False)
    base = write_checkpoint(tmp_path / "base", config, weights)
    lora = write_adapter(tmp_path / "lora", random_adapter(weights))
    assert open_merged(base, [lora]).tensors
    write_safetensors(base / "model.safetensors", {**weights, name: np.float32(1).reshape(())})
    with pytest.raises(BadFile, match=name):
        open_merged(base, [lora])


@pytest.mark.parametrize(
    "card",
    [
        "a: &a [x, x, x, x, x, x, x, x, x]\n"
        + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(12))
        + "tags: *m\nbase_model: *m\nauthor: *m",
        "version: " + ":".join(["1"] * 5000),
        "version: " + "9" * 20_000,
        "tags: " + "[" * 5000,
        "base_model: [" + ", ".join(["'" + "-" * 1900 + "'"] * 60) + "]",
    ],
    ids=["references", "base 60", "digits", "depth", "dashes"],
)
def test_a_hostile_model_card_costs_little(card: str, tmp_path: Path) -> None:
    source = write_checkpoint(tmp_path / "Small", *random_llama())
    (source / "README.md").write_text(f"---\n{card}\n---\n")
    assert plan(ConvertRequest(source, None, "Q8_0", tokenizer="none")).out.name.startswith("Small")


@pytest.mark.parametrize("version", ["5.2", "6", "7"])
def test_heads_of_rwkv_make_up_its_width(version: str) -> None:
    shapes = {name: tensor.shape for name, tensor in random_rwkv(version).items()}
    config = config_of_tensors(shapes, "x.pth")
    assert config is not None
    assert family_of(config).blueprint(config, shapes).tensors
    for size in (4096, 48):
        changed = config.changed(head_dim=size, head_size=size)
        with pytest.raises(BadFile, match=f"heads of {size}"):
            family_of(changed).blueprint(changed, shapes)


def test_absurd_numbers_in_names_are_no_layers() -> None:
    shapes = {name: tensor.shape for name, tensor in random_rwkv("7").items()}
    config = config_of_tensors({**shapes, f"blocks.{'9' * 5000}.att.r_k": (1,)}, "x.pth")
    assert config is not None
    assert config.int("num_hidden_layers") < 10
