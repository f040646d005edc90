"""Mixtures of experts beside experts that all tokens share, in DeepSeek's words: DeepSeek's own and GLM-4.5's.

Source: the publisher's modeling_deepseek.py of DeepSeekMoE, DeepSeek-V2 and DeepSeek-V3; transformers, models/glm4_moe.
"""

from __future__ import annotations

from models.config import Config
from models.decoder import Shapes, Sizes, expert_counts, experts, gated_mlp
from models.errors import BadFile, UnsupportedModel
from models.family import Metadata, OutputTensor
from models.gguf_constants import ExpertGatingFuncType
from models.layers import as_is

_BY_GROUPS = "group_limited_greedy"
"""DeepSeek-V2's `topk_method`; its other one ("greedy") looks at all experts, whatever groups are named."""


def read_routing(config: Config, *, sigmoid: bool) -> Metadata:
    """Return how experts are chosen and weighed: by softmax, or by a sigmoid with a bias for the choice (DeepSeek-V3's way).

    Raises:
        UnsupportedModel: llama.cpp does not compute it.
    """
    count, used = config.int("n_routed_experts", minimum=2), config.int("num_experts_per_tok", minimum=1)
    groups = config.int("n_group", default=1, minimum=1)
    method = config.str("topk_method", default=_BY_GROUPS)
    used_groups = config.int("topk_group", minimum=1) if "topk_group" in config else 0
    if used_groups == groups or (not sigmoid and method != _BY_GROUPS):
        groups = 1  # all of them are looked at
    if groups > 1 and not sigmoid:
        raise UnsupportedModel(
            "{path}: llama.cpp does not choose groups of experts as this DeepSeek-V2 does; choose DeepSeek-V2-Lite.",
            path=config.origin,
        )
    gate = ExpertGatingFuncType.SIGMOID if sigmoid else ExpertGatingFuncType.SOFTMAX
    return {
        **expert_counts(config, count, used),
        **(_groups(config, count, groups) if groups > 1 else {}),
        "expert_shared_count": config.int("n_shared_experts", minimum=1),
        "expert_feed_forward_length": config.int("moe_intermediate_size", minimum=1),
        "expert_gating_func": int(gate),
        "expert_weights_scale": config.float("routed_scaling_factor", default=1.0, minimum=1e-3, maximum=1e4),
        "expert_weights_norm": config.bool("norm_topk_prob", default=sigmoid),
    }


def _groups(config: Config, count: int, groups: int) -> Metadata:
    used = config.int("topk_group", minimum=1)
    if count % groups or groups >= count or used >= groups:
        raise BadFile(
            "{path}: {used} of {groups} groups of {count} experts cannot be; download it again.",
            path=config.origin,
            used=used,
            groups=groups,
            count=count,
        )
    return {"expert_group_count": groups, "expert_group_used_count": used}


def feed_forward(config: Config, sizes: Sizes, layer: int, shapes: Shapes, *, sigmoid: bool) -> list[OutputTensor]:
    """Return a layer's feed-forward network: the first `first_k_dense_replace` layers have no experts."""
    if layer < config.int("first_k_dense_replace", default=0):
        return gated_mlp(sizes, layer, shapes)
    count, intermediate_size = config.int("n_routed_experts"), config.int("moe_intermediate_size")
    shared = intermediate_size * config.int("n_shared_experts")
    tensors = experts(layer, count, intermediate_size, sizes.hidden)
    tensors += gated_mlp(sizes, layer, shapes, intermediate_size=shared, part="shared_experts.", suffix="_shexp")
    if sigmoid:
        source = f"model.layers.{layer}.mlp.gate.e_score_correction_bias"
        tensors.append(as_is(f"blk.{layer}.exp_probs_b.bias", source, count))
    return tensors
