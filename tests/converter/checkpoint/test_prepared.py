"""Tensors are found under the names that wrappers give them, and decide whether head and embeddings are one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converter.checkpoint.prepared import open_prepared
from converter.checkpoint.usual_names import usual_names, without_wrappers
from converter.pipeline import convert
from converter.plan import ConvertRequest
from desktop_app.engine.client import Engine
from models.errors import UnsupportedModel, ZhiyinError
from tests.reference.llama import forward
from tests.support.agreement import random_ids
from tests.support.checkpoints import write_checkpoint
from tests.support.logits import engine_logits
from tests.support.random_llama import random_llama

HEAD, EMBEDDINGS = "lm_head.weight", "model.embed_tokens.weight"
CONFIG, WEIGHTS = random_llama(5)


def error_of(engine: Engine, folder: Path, weights: dict[str, np.ndarray], **said: Any) -> tuple[float, list[str]]:
    """Return the largest difference of a logit from the model's under its usual names, and the conversion's warnings."""
    source = write_checkpoint(folder / "checkpoint", CONFIG | said, weights)
    result = convert(ConvertRequest(source, folder / "model.gguf", "F32", tokenizer="none"))
    ids = random_ids(CONFIG, 40)
    found = engine_logits(engine, result.path, ids, folder / "logits.npy")
    usual = CONFIG | {"tie_word_embeddings": False}
    return float(np.abs(found - forward(usual, WEIGHTS, ids)).max()), [str(warning) for warning in result.warnings]


NAMINGS: dict[str, Callable[[str], str]] = {
    "inner part": lambda name: name.removeprefix("model."),
    "compiled": lambda name: f"_orig_mod.{name}",
    "compiled inside": lambda name: name.replace("model.", "model._orig_mod."),
    "compiled layers": lambda name: name.replace("layers.0.", "layers.0._orig_mod."),
    "data parallel": lambda name: f"module.{name}",
    "data parallel, compiled": lambda name: f"module._orig_mod.{name}",
    "FSDP": lambda name: f"_fsdp_wrapped_module.{name}".replace("layers.1.", "layers.1._fsdp_wrapped_module."),
    "checkpointed": lambda name: name.replace("layers.0.", "layers.0._checkpoint_wrapped_module."),
    "Lightning": lambda name: f"model.{name}",
    "DeepSpeed": lambda name: f"_forward_module.model.{name}",
    "a trainer's": lambda name: f"policy.backbone.{name}",
    "PEFT, its adapter elsewhere": lambda name: name.replace("q_proj.", "q_proj.base_layer."),
    "value head": lambda name: f"pretrained_model.{name}",
    "language model": lambda name: f"language_model.{name}",
    "language model, new": lambda name: name.replace("model.", "model.language_model."),
}


@pytest.mark.parametrize("naming", NAMINGS)
def test_names_of_wrappers(engine: Engine, tmp_path: Path, naming: str) -> None:
    error, warnings = error_of(engine, tmp_path, {NAMINGS[naming](name): values for name, values in WEIGHTS.items()})
    assert error < 1e-4
    assert not warnings


def test_names_of_a_part_for_images_stay() -> None:
    wanted = ["model.layers.0.self_attn.q_proj.weight", "model.embed_tokens.weight", "lm_head.weight"]
    tower = "model.vision_tower.encoder.layers.0.self_attn.q_proj.weight"
    stored = [tower, "model.language_model.layers.0.self_attn.q_proj.weight", "lm_head.weight"]
    assert usual_names(wanted, stored) == {tower: tower, stored[1]: wanted[0], stored[2]: wanted[2]}
    assert usual_names(wanted, [tower]) == {tower: tower}


def test_a_head_below_the_beginning_of_all_is_found() -> None:
    """A part without `model.`, wrapped by something that calls it so."""
    wanted = ("model.layers.0.mlp.weight", "model.norm.weight", "lm_head.weight")
    stored = ("model.layers.0.mlp.weight", "model.norm.weight", "model.lm_head.weight")
    assert usual_names(wanted, stored) == dict(zip(stored, wanted, strict=True))
    assert usual_names(wanted, (*wanted, stored[2])) == {name: name for name in (*wanted, stored[2])}


def test_two_models_in_one_checkpoint_are_refused(tmp_path: Path) -> None:
    both = {f"{part}.{name}": values for part in ("first", "second") for name, values in WEIGHTS.items()}
    with pytest.raises(UnsupportedModel, match=r"several models, below 'first.model.' and 'second.model.'"):
        open_prepared(write_checkpoint(tmp_path, CONFIG, both))


def test_a_copy_beside_the_usual_names_is_left_out(engine: Engine, tmp_path: Path) -> None:
    averaged = {f"ema.{name}": values * 2 for name, values in WEIGHTS.items()}
    error, warnings = error_of(engine, tmp_path, WEIGHTS | averaged)
    assert error < 1e-4
    assert "Left out" in warnings[0]


def test_an_unmerged_adapter_in_a_checkpoint_is_refused(tmp_path: Path) -> None:
    """A model that was saved with its adapter still on it: the adapter's part must not be dropped."""
    wrapped = {
        f"base_model.model.{name}".replace("q_proj.weight", "q_proj.base_layer.weight"): w
        for name, w in WEIGHTS.items()
    }
    wrapped["base_model.model.model.layers.0.self_attn.q_proj.lora_A.default.weight"] = np.zeros((4, 64), np.float32)
    with pytest.raises(ZhiyinError, match="an adapter that was not merged"):
        open_prepared(write_checkpoint(tmp_path, CONFIG, wrapped))


@pytest.mark.parametrize(
    "beside", ["lm_head.modules_to_save.default.weight", "lm_head.token_adapter.trainable_tokens_delta"]
)
def test_whole_tensors_of_an_adapter_in_a_checkpoint_are_not_dropped(tmp_path: Path, beside: str) -> None:
    weights = {name.replace("lm_head.", "lm_head.original_module."): values for name, values in WEIGHTS.items()}
    with pytest.raises(ZhiyinError, match="an adapter that was not merged"):
        open_prepared(write_checkpoint(tmp_path, CONFIG, weights | {beside: WEIGHTS[HEAD]}))


def test_wrappers_are_taken_off_once() -> None:
    assert without_wrappers(["module.a", "module.b"]) == {"a": "module.a", "b": "module.b"}
    assert without_wrappers(["module.a", "b"]) == {"module.a": "module.a", "b": "b"}


def test_a_head_that_differs_is_kept(engine: Engine, tmp_path: Path) -> None:
    error, warnings = error_of(engine, tmp_path, WEIGHTS, tie_word_embeddings=True)
    assert error < 1e-4
    assert warnings == [f"{HEAD} differs from {EMBEDDINGS}, so both were converted, though config.json ties them."]


@pytest.mark.parametrize("tied", [True, False])
def test_a_head_that_is_equal_is_tied(tmp_path: Path, tied: bool) -> None:
    weights = WEIGHTS | {HEAD: WEIGHTS[EMBEDDINGS].copy()}
    source = write_checkpoint(tmp_path / "checkpoint", CONFIG | {"tie_word_embeddings": tied}, weights)
    result = convert(ConvertRequest(source, tmp_path / "model.gguf", "F32", tokenizer="none"))
    assert result.tensors == len(WEIGHTS) - 1
    assert len(result.warnings) == (not tied)


def test_embeddings_that_were_saved_as_the_head_are_found(tmp_path: Path) -> None:
    weights = {name: values for name, values in WEIGHTS.items() if name != EMBEDDINGS}
    source = write_checkpoint(tmp_path, CONFIG | {"tie_word_embeddings": True}, weights)
    assert np.array_equal(open_prepared(source).read(EMBEDDINGS), WEIGHTS[HEAD])


def test_a_missing_head_is_said(tmp_path: Path) -> None:
    weights = {name: values for name, values in WEIGHTS.items() if name != HEAD}
    notes = open_prepared(write_checkpoint(tmp_path, CONFIG | {"tie_word_embeddings": False}, weights)).notes
    assert "has no lm_head.weight" in str(notes[0])


@pytest.mark.parametrize("said", [CONFIG["vocab_size"] - 8, CONFIG["vocab_size"] + 40])
def test_the_embeddings_rows_count_before_config_json(engine: Engine, tmp_path: Path, said: int) -> None:
    error, warnings = error_of(engine, tmp_path, WEIGHTS, vocab_size=said)
    assert error < 1e-4
    assert [warning.partition(",")[0] for warning in warnings] == [f"{EMBEDDINGS} has {CONFIG['vocab_size']} rows"]


def test_embeddings_and_head_of_different_rows_are_refused(tmp_path: Path) -> None:
    weights = WEIGHTS | {HEAD: np.pad(WEIGHTS[HEAD], ((0, 8), (0, 0)))}
    with pytest.raises(ZhiyinError, match=rf"{EMBEDDINGS} has .* rows, and {HEAD} "):
        open_prepared(write_checkpoint(tmp_path, CONFIG, weights))
