"""DeepSeekMoE against NumPy."""

from __future__ import annotations

from pathlib import Path

import pytest

from desktop_app.engine.client import Engine
from models.config import Config
from models.errors import UnsupportedModel
from models.families import family_of
from tests.reference.shared_experts import deepseek_moe_forward
from tests.support.agreement import largest_error
from tests.support.random_shared_experts import random_deepseek_moe

CASES = {
    "as published": random_deepseek_moe(num_key_value_heads=4),
    "grouped queries, a tied head, no layer without experts": random_deepseek_moe(
        first_k_dense_replace=0, tie_word_embeddings=True
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_logits_agree_with_the_reference(case: str, engine: Engine, tmp_path: Path) -> None:
    assert largest_error(engine, tmp_path, *CASES[case], deepseek_moe_forward, shards=2) < 1e-4


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"moe_layer_freq": 2}, "moe_layer_freq"),
        ({"scoring_func": "sigmoid"}, "scoring_func"),
        ({"norm_topk_prob": True}, "norm_topk_prob"),
        ({"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, "llama3"),
        ({"head_dim": 32}, "as wide as the model"),
    ],
)
def test_what_llama_cpp_computes_otherwise_is_refused(changes: dict[str, object], named: str) -> None:
    config = Config(random_deepseek_moe()[0] | changes)
    with pytest.raises(UnsupportedModel, match=named):
        family_of(config).blueprint(config, None)


@pytest.mark.parametrize(("name", "chats"), [("deepseek-moe-16b-chat", True), ("deepseek-moe-16b-base", False)])
def test_only_the_chat_model_has_a_format(name: str, chats: bool) -> None:
    config = Config(random_deepseek_moe()[0] | {"_name_or_path": f"deepseek-ai/{name}"})
    assert (family_of(config).blueprint(config, None).chat is not None) is chats
