"""The decoder of LLaMA's shape, which most families share: its sizes, and the tensors of its parts.

Names of checkpoint tensors are those of transformers' LlamaForCausalLM, which most publishers keep; families with other names
list their tensors themselves, with the rules of `models.layers`.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.config import Config
from models.errors import BadFile, UnsupportedModel
from models.family import Metadata, OutputTensor, Shape, Source, Transform
from models.layers import as_is, rotary_pairs, stacked

Shapes = Mapping[str, Shape] | None
"""Shapes of the checkpoint's tensors by name, or None when only the configuration is there."""

NORM_NAMES = ("input_layernorm", "post_attention_layernorm")
"""Before attention and before the feed-forward network."""
_MOST_LAYERS = 512  # llama.cpp's own limit
_EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts")
_MOST_EXPERTS_IN_ALL = 1 << 16
"""Each is planned by itself before the tensors are looked for. The largest published models have 25,000."""


@dataclass(frozen=True)
class Sizes:
    """The sizes that determine the shapes of a decoder's tensors."""

    layers: int
    hidden: int
    intermediate_size: int
    """Rows of the feed-forward network's gate."""
    heads: int
    kv_heads: int
    head_dim: int
    vocabulary: int
    """Rows of the token embedding."""

    @property
    def queries(self) -> int:
        """Rows of the query matrix."""
        return self.heads * self.head_dim

    @property
    def keys(self) -> int:
        """Rows of the key matrix, and of the value matrix."""
        return self.kv_heads * self.head_dim


def read_sizes(config: Config, *, head_dim: int = 0) -> Sizes:
    """Read the sizes from a configuration in the words of transformers.

    Args:
        config: the configuration.
        head_dim: of a head where the configuration does not say; 0: the heads together are as wide as the model.

    Raises:
        BadFile: one is missing, or they do not fit each other.
    """
    hidden = config.int("hidden_size", minimum=1)
    heads = config.int("num_attention_heads", minimum=1)
    if "head_dim" not in config and not head_dim and hidden % heads:
        raise BadFile(
            "{path}: a width of {width} cannot be split into {heads} heads; download it again.",
            path=config.origin,
            width=hidden,
            heads=heads,
        )
    sizes = Sizes(
        layers=config.int("num_hidden_layers", minimum=1),
        hidden=hidden,
        intermediate_size=config.int("intermediate_size", minimum=1),
        heads=heads,
        kv_heads=config.int("num_key_value_heads", default=heads, minimum=1),
        head_dim=config.int("head_dim", default=head_dim or hidden // heads, minimum=2),
        vocabulary=config.int("vocab_size", minimum=1),
    )
    if sizes.heads % sizes.kv_heads or sizes.head_dim % 2 or sizes.layers > _MOST_LAYERS:
        raise BadFile(
            "{path}: {heads} query heads, {kv_heads} key heads of {head_dim} dimensions and {layers} layers do not "
            "fit together; download it again.",
            path=config.origin,
            heads=sizes.heads,
            kv_heads=sizes.kv_heads,
            head_dim=sizes.head_dim,
            layers=sizes.layers,
        )
    experts_in_all = sizes.layers * max(config.int(name, default=0) for name in _EXPERTS)
    if experts_in_all > _MOST_EXPERTS_IN_ALL:
        raise BadFile(
            "{path}: {count} experts in all are more than any model has; download it again.",
            path=config.origin,
            count=experts_in_all,
        )
    return sizes


@dataclass(frozen=True)
class Mixture:
    """The mixture of experts, in place of the feed-forward network."""

    count: int
    """Experts in a layer."""
    intermediate_size: int
    """Rows of an expert's gate."""
    normalised: bool
    """The weights of the chosen experts are brought to a sum of 1."""
    parameters: Metadata


def read_mixture(config: Config) -> Mixture:
    """Read a mixture from a configuration in Qwen's words."""
    count = config.int("num_experts", minimum=1)
    used = config.int("num_experts_per_tok", minimum=1)
    intermediate_size = config.int("moe_intermediate_size", minimum=1)
    return Mixture(
        count,
        intermediate_size,
        config.bool("norm_topk_prob", default=False),
        {**expert_counts(config, count, used), "expert_feed_forward_length": intermediate_size},
    )


def require_mixture(config: Config, *, normalised: bool) -> None:
    """Refuse a mixture that llama.cpp does not compute in an architecture.

    Args:
        config: the configuration.
        normalised: llama.cpp brings the weights of the chosen experts to a sum of 1 in this architecture.

    Raises:
        UnsupportedModel: some layers have no experts, or the weights are summed otherwise than llama.cpp does.
    """
    if config.int("decoder_sparse_step", default=1) != 1 or config.data.get("mlp_only_layers"):
        raise UnsupportedModel(
            "{path}: llama.cpp wants experts in every layer of this family, and some have none.", path=config.origin
        )
    if config.bool("norm_topk_prob", default=False) is not normalised:
        wanted = "true" if normalised else "false"
        raise UnsupportedModel(
            "{path}: llama.cpp computes this family with 'norm_topk_prob' {wanted} only.",
            path=config.origin,
            wanted=wanted,
        )


def expert_counts(config: Config, count: int, used: int) -> Metadata:
    """Return the keys that say how many experts there are and how many a token goes through.

    Raises:
        BadFile: these numbers cannot be.
    """
    if used > count:
        raise BadFile(
            "{path}: {used} of {count} experts cannot be; download it again.",
            path=config.origin,
            used=used,
            count=count,
        )
    return {"expert_count": count, "expert_used_count": used}


def decoder_parameters(config: Config, sizes: Sizes) -> Metadata:
    """Return the keys that describe a decoder, without those of its positions."""
    return {
        "block_count": sizes.layers,
        "embedding_length": sizes.hidden,
        "feed_forward_length": sizes.intermediate_size,
        "attention.head_count": sizes.heads,
        "attention.head_count_kv": sizes.kv_heads,
        "attention.layer_norm_rms_epsilon": config.float("rms_norm_eps", "layer_norm_epsilon", default=1e-6, minimum=0),
        "attention.key_length": sizes.head_dim,
        "attention.value_length": sizes.head_dim,
        "rope.dimension_count": sizes.head_dim,
        "vocab_size": sizes.vocabulary,
    }


def granite_multipliers(config: Config) -> Metadata:
    """Return Granite's four multipliers, of scores, embeddings, what each layer adds, and (its inverse) logits."""
    return {
        ours: config.float(theirs, default=1.0, minimum=1e-6, maximum=1e6)
        for ours, theirs in (
            ("attention.scale", "attention_multiplier"),
            ("embedding_scale", "embedding_multiplier"),
            ("residual_scale", "residual_multiplier"),
            ("logit_scale", "logits_scaling"),
        )
    }


def require_silu(config: Config) -> None:
    """Refuse a gate with another activation than SiLU, the only one that llama.cpp computes for these families.

    Raises:
        UnsupportedModel: it has another one.
    """
    named = config.str("hidden_act", default="silu")
    if named not in ("silu", "swish"):
        raise UnsupportedModel(
            "{path} asks for the activation {activation!r}, but llama.cpp computes silu for this family.",
            path=config.origin,
            activation=named[:40],
        )


def require_square_attention(config: Config, sizes: Sizes) -> None:
    """Refuse heads that together are wider or narrower than the model, where llama.cpp cannot load them.

    Raises:
        UnsupportedModel: they are.
    """
    if sizes.queries != sizes.hidden:
        raise UnsupportedModel(
            "{path}: in this family llama.cpp wants heads that together are as wide as the model ({width}), but "
            "they are {heads} of {head_dim} dimensions.",
            path=config.origin,
            width=sizes.hidden,
            heads=sizes.heads,
            head_dim=sizes.head_dim,
        )


def embeddings(
    sizes: Sizes,
    shapes: Shapes,
    *,
    tied: bool,
    always_head: bool = False,
    names: tuple[str, str, str] = ("model.embed_tokens.weight", "model.norm.weight", "lm_head.weight"),
    head: Transform | None = None,
) -> list[OutputTensor]:
    """Return token embedding, last norm and output head.

    Args:
        sizes: of the decoder.
        shapes: of the checkpoint.
        tied: the head is the embedding; so it is where the checkpoint has no head.
        always_head: llama.cpp does not tie this architecture's head by itself: the embedding is written a second time.
        names: the checkpoint's tensors.
        head: applied to the head's rows, each by itself.
    """
    embedding, norm, output = names
    table = (sizes.vocabulary, sizes.hidden)
    tensors = [as_is("token_embd.weight", embedding, *table), as_is("output_norm.weight", norm, sizes.hidden)]
    without_head = tied or (shapes is not None and output not in shapes)
    if not without_head or always_head:
        source = Source(embedding if without_head else output, table)
        tensors.append(OutputTensor("output.weight", table, (source,), head, by_rows=head is not None))
    return tensors


def norms(layer: int, hidden: int, names: tuple[str, str] = NORM_NAMES) -> tuple[OutputTensor, OutputTensor]:
    """Return the norms before attention and before the feed-forward network; `names` are the checkpoint's."""
    before_attention, before_mlp = (f"model.layers.{layer}.{name}.weight" for name in names)
    return (
        as_is(f"blk.{layer}.attn_norm.weight", before_attention, hidden),
        as_is(f"blk.{layer}.ffn_norm.weight", before_mlp, hidden),
    )


def attention(
    sizes: Sizes, layer: int, shapes: Shapes, *, interleaved: bool, bias: bool = False, output_bias: bool | None = None
) -> list[OutputTensor]:
    """Return the projections of queries, keys, values and output, with the biases that the checkpoint holds.

    Args:
        sizes: of the decoder.
        layer: its number.
        shapes: of the checkpoint.
        interleaved: llama.cpp rotates neighbouring elements in this architecture, so queries and keys are reordered.
        bias: queries, keys and values must have a bias.
        output_bias: so must the output; None: as they do.
    """
    source, target = f"model.layers.{layer}.self_attn.", f"blk.{layer}.attn_"
    reorder = [rotary_pairs(heads) if interleaved else None for heads in (sizes.heads, sizes.kv_heads)]
    queries, keys, hidden = sizes.queries, sizes.keys, sizes.hidden
    last = bias if output_bias is None else output_bias
    return [
        *linear(f"{target}q", f"{source}q_proj", (queries, hidden), shapes, bias=bias, transform=reorder[0]),
        *linear(f"{target}k", f"{source}k_proj", (keys, hidden), shapes, bias=bias, transform=reorder[1]),
        *linear(f"{target}v", f"{source}v_proj", (keys, hidden), shapes, bias=bias),
        *linear(f"{target}output", f"{source}o_proj", (hidden, queries), shapes, bias=last),
    ]


def head_norms(
    sizes: Sizes, layer: int, names: tuple[str, str] = ("q_norm", "k_norm")
) -> tuple[OutputTensor, OutputTensor]:
    """Return the norms of each head's query and key, for architectures that rotate halves; `names` are the checkpoint's."""
    source, target = f"model.layers.{layer}.self_attn.", f"blk.{layer}.attn_"
    return (
        as_is(f"{target}q_norm.weight", f"{source}{names[0]}.weight", sizes.head_dim),
        as_is(f"{target}k_norm.weight", f"{source}{names[1]}.weight", sizes.head_dim),
    )


def gated_mlp(
    sizes: Sizes,
    layer: int,
    shapes: Shapes,
    *,
    bias: bool = False,
    intermediate_size: int = 0,
    part: str = "",
    suffix: str = "",
) -> list[OutputTensor]:
    """Return a feed-forward network with a gate (SwiGLU).

    Args:
        sizes: of the decoder.
        layer: its number.
        shapes: of the checkpoint.
        bias: it must have biases.
        intermediate_size: rows of the gate; 0: the decoder's.
        part: where it lies below `mlp.`, with a dot at the end.
        suffix: ends the GGUF names ("_shexp": the expert that all tokens share).
    """
    source, target = f"model.layers.{layer}.mlp.{part}", f"blk.{layer}.ffn_"
    rows, hidden = intermediate_size or sizes.intermediate_size, sizes.hidden
    return [
        *linear(f"{target}gate{suffix}", f"{source}gate_proj", (rows, hidden), shapes, bias=bias),
        *linear(f"{target}up{suffix}", f"{source}up_proj", (rows, hidden), shapes, bias=bias),
        *linear(f"{target}down{suffix}", f"{source}down_proj", (hidden, rows), shapes, bias=bias),
    ]


def experts(
    layer: int,
    count: int,
    intermediate_size: int,
    hidden: int,
    *,
    source: str = "mlp.",
    names: tuple[str, str, str] = ("gate_proj", "up_proj", "down_proj"),
) -> list[OutputTensor]:
    """Return a mixture of experts: the router, and each expert's matrices stacked [experts, out, in].

    Args:
        layer: its number.
        count: of experts.
        intermediate_size: rows of an expert's gate.
        hidden: the model's width.
        source: where the mixture lies in the layer.
        names: the checkpoint's words for gate, up and down.
    """
    origin, target = f"model.layers.{layer}.{source}", f"blk.{layer}.ffn_"
    shapes = ((intermediate_size, hidden), (intermediate_size, hidden), (hidden, intermediate_size))
    return [
        as_is(f"{target}gate_inp.weight", f"{origin}gate.weight", count, hidden),
        *(
            stacked(
                f"{target}{ours}_exps.weight",
                tuple(f"{origin}experts.{n}.{theirs}.weight" for n in range(count)),
                *shape,
            )
            for ours, theirs, shape in zip(("gate", "up", "down"), names, shapes, strict=True)
        ),
    ]


def shared_expert(sizes: Sizes, layer: int, shapes: Shapes, *, intermediate_size: int) -> list[OutputTensor]:
    """Return Qwen's expert that all tokens share, and the vector whose product with a token, through a sigmoid, weighs it."""
    gate = Source(f"model.layers.{layer}.mlp.shared_expert_gate.weight", (1, sizes.hidden))
    return [
        *gated_mlp(sizes, layer, shapes, intermediate_size=intermediate_size, part="shared_expert.", suffix="_shexp"),
        OutputTensor(f"blk.{layer}.ffn_gate_inp_shexp.weight", (sizes.hidden,), (gate,), np.ravel),
    ]


_WITHOUT_OUTPUT_BIAS = (
    "baichuan", "chatglm", "deepseek", "deepseek2", "gemma-embedding", "gemma2", "gemma3", "glm4", "glm4moe", "hunyuan-dense",
    "hy_v3", "internlm2", "minicpm3", "phi3", "qwen", "qwen2", "qwen2moe", "qwen3", "qwen35", "qwen35moe", "qwen3moe", "smollm3",
)  # fmt: skip
"""Architectures for which llama.cpp reads no bias of the attention's output."""
_UNREAD = {**dict.fromkeys(_WITHOUT_OUTPUT_BIAS, ("attn", "ffn")), "ernie4_5": ("ffn",), "gpt-oss": ("ffn",)}
_LATER_BIAS = re.compile(r"blk\.\d+\.(attn|ffn)_(?:output|gate|up|down)\.bias")


def refuse_unread_biases(
    config: Config, architecture: str, tensors: Sequence[OutputTensor], stored: Collection[str]
) -> None:
    """Refuse biases of a checkpoint for which llama.cpp has no place in an architecture.

    Raises:
        UnsupportedModel: there is one.
    """
    used = {source.name for tensor in tensors for source in tensor.sources}
    biases = (name for name in stored if name.endswith(".bias"))
    unread = [name for name in biases if name not in used and f"{name.removesuffix('.bias')}.weight" in used]
    for tensor in tensors:
        match = _LATER_BIAS.fullmatch(tensor.name)
        if match is not None and match[1] in _UNREAD.get(architecture, ()):
            unread.append(tensor.sources[0].name)
    if unread:
        raise UnsupportedModel(
            "{path}: llama.cpp computes this family without biases such as {tensor}, which this checkpoint has.",
            path=config.origin,
            tensor=unread[0][:100],
        )


def _has_biases(source: str, shapes: Shapes) -> bool:
    """Tell whether a checkpoint has the bias of a projection in any layer; True where it is not known."""
    ending = f".{source.rpartition('.')[2]}.bias"
    return shapes is None or any(name.endswith(ending) for name in shapes)


def linear(
    target: str, source: str, shape: Shape, shapes: Shapes, *, bias: bool = False, transform: Transform | None = None
) -> list[OutputTensor]:
    """Return a weight, and its bias where the checkpoint holds one, or holds those of other layers and must hold it (`bias`).

    Where it holds none at all, its configuration is wrong: transformers begins with zeros then, which change nothing.
    """
    tensors = [OutputTensor(f"{target}.weight", shape, (Source(f"{source}.weight", shape),), transform)]
    if (shapes is not None and f"{source}.bias" in shapes) or (bias and _has_biases(source, shapes)):
        tensors.append(OutputTensor(f"{target}.bias", shape[:1], (Source(f"{source}.bias", shape[:1]),), transform))
    return tensors
