"""Which tensor gets which type: llama.cpp's own choices, so that the same request gives the same bytes.

Source: llama.cpp, src/llama-quant.cpp (`tensor_allows_quantization`, `llama_tensor_get_type_impl`, `tensor_type_fallback`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from models.errors import ZhiyinError
from models.family import Metadata, OutputTensor
from models.gguf_constants import GGML_QUANT_SIZES, LlamaFileType
from models.gguf_constants import GGMLQuantizationType as Type

_FILE_TYPES = {  # from exact to small
    "F32": LlamaFileType.ALL_F32,
    "F16": LlamaFileType.MOSTLY_F16,
    "BF16": LlamaFileType.MOSTLY_BF16,
    "Q8_0": LlamaFileType.MOSTLY_Q8_0,
    "Q6_K": LlamaFileType.MOSTLY_Q6_K,
    "Q5_K_M": LlamaFileType.MOSTLY_Q5_K_M,
    "Q5_K_S": LlamaFileType.MOSTLY_Q5_K_S,
    "Q5_1": LlamaFileType.MOSTLY_Q5_1,
    "Q5_0": LlamaFileType.MOSTLY_Q5_0,
    "Q4_K_M": LlamaFileType.MOSTLY_Q4_K_M,
    "Q4_K_S": LlamaFileType.MOSTLY_Q4_K_S,
    "Q4_1": LlamaFileType.MOSTLY_Q4_1,
    "Q4_0": LlamaFileType.MOSTLY_Q4_0,
    "IQ4_NL": LlamaFileType.MOSTLY_IQ4_NL,
    "IQ4_XS": LlamaFileType.MOSTLY_IQ4_XS,
    "Q3_K_L": LlamaFileType.MOSTLY_Q3_K_L,
    "Q3_K_M": LlamaFileType.MOSTLY_Q3_K_M,
    "Q3_K_S": LlamaFileType.MOSTLY_Q3_K_S,
    "Q2_K": LlamaFileType.MOSTLY_Q2_K,
}
_BASE_TYPES = {"Q5_K_M": "Q5_K", "Q5_K_S": "Q5_K", "Q4_K_M": "Q4_K", "Q4_K_S": "Q4_K"} | {
    f"Q3_K_{size}": "Q3_K" for size in "SML"
}
_FLOATS = ("F32", "F16", "BF16")
_INTEGERS = (Type.I8, Type.I16, Type.I32, Type.I64)

_NEVER_QUANTIZED = re.compile(
    r"_norm\.weight|ffn_gate_inp\.weight|ssm_conv1d|shortconv\.conv\.weight|time_mix_lerp_fused\.weight"
    r"|time_mix_(first|w[012]|v[012]|a[012]|g[12]|decay_w[12])\.weight"
)
_ALWAYS_F32 = re.compile(r"_norm\.weight|ffn_gate_inp\.weight|ssm_conv1d|time_mix_(lerp_fused|first|decay_w[12]|w[12])")
_FALLBACKS = {
    Type.IQ4_XS: Type.IQ4_NL,
    Type.Q2_K: Type.Q4_0,
    Type.Q3_K: Type.Q4_0,
    Type.Q4_K: Type.Q5_0,
    Type.Q5_K: Type.Q5_1,
    Type.Q6_K: Type.Q8_0,
}
"""For rows that a 256-element block does not divide."""

_FINE_HEADS = ("rwkv4",)
"""Architectures of our own whose head stays F16 at Q8_0: rounded to 8 bits it alone causes two thirds of the changed answers of a
trained RWKV-4 (tests/models/families/test_rwkv.py). RWKV/rwkv.cpp never quantizes it either. It makes the 1.5B model's file 6 %
larger and the 7B model's 2.5 %."""

_CATEGORIES = (
    ("attn_qkv.weight", "qkv"),
    ("attn_kv_b.weight", "kv_b"),
    ("attn_v.weight", "v"),
    ("attn_k.weight", "k"),
    ("attn_output.weight", "attention_output"),
    ("ffn_down", "ffn_down"),
)


@dataclass(frozen=True)
class Recipe:
    """A named mixture of types, as `--quant` takes it."""

    name: str

    @property
    def file_type(self) -> LlamaFileType:
        """`general.file_type` of the GGUF file."""
        return _FILE_TYPES[self.name]

    @property
    def base(self) -> Type:
        """The type of most tensors."""
        return Type[_BASE_TYPES.get(self.name, self.name)]

    def is_coarser_than(self, other: Recipe) -> bool:
        """Tell whether it keeps less of the weights than another one."""
        names = list(_FILE_TYPES)
        return names.index(self.name) > names.index(other.name)


@dataclass(frozen=True)
class _Place:
    """Where a tensor stands in its model; the index and count are those of its kind, or of the layers for experts."""

    recipe: str
    index: int
    count: int
    grouped: int
    """Query heads for each key-value head."""
    experts: int
    importance: bool
    is_70b: bool

    @property
    def early(self) -> bool:
        return self.index < self.count // 8

    @property
    def more_bits(self) -> bool:
        """The layers that llama.cpp's `_M` mixtures spend more on: the first and last eighth and every third between."""
        return self.early or self.index >= 7 * self.count // 8 or (self.index - self.count // 8) % 3 == 2


def recipe_names() -> tuple[str, ...]:
    """Return the names that `--quant` takes, from large to small."""
    return tuple(_FILE_TYPES)


def find_recipe(name: str) -> Recipe:
    """Return a recipe by its name in any letter case.

    Raises:
        ZhiyinError: there is none; the sentence lists them.
    """
    if name.upper() not in _FILE_TYPES:
        raise ZhiyinError(
            "There is no quantization {name!r}; choose one of {types}.", name=name, types=", ".join(_FILE_TYPES)
        )
    return Recipe(name.upper())


def is_lossy(type_: Type) -> bool:
    """Tell whether quantizing this type again loses more than quantizing the original; Q8_0 is near enough to it."""
    return type_ not in (Type.F64, Type.F32, Type.F16, Type.BF16, Type.Q8_0)


@dataclass(frozen=True)
class Override:
    """A type that the user chose for some tensors."""

    pattern: re.Pattern[str]
    type: Type


def find_override(text: str) -> Override:
    """Read `NAME=TYPE` of `--tensor-type`; NAME is a regular expression that is found anywhere in a tensor's name.

    Raises:
        ZhiyinError: it has another form; the sentence says which.
    """
    name, _, type_ = text.rpartition("=")
    known = (
        "F32",
        "F16",
        "BF16",
        *dict.fromkeys(Recipe(recipe).base.name for recipe in _FILE_TYPES if recipe[0] in "QI"),
    )
    if not name or type_.upper() not in known:
        raise ZhiyinError(
            "--tensor-type {text} should be NAME=TYPE, with a TYPE of {types}.", text=text[:80], types=", ".join(known)
        )
    try:
        return Override(re.compile(name), Type[type_.upper()])
    except (re.error, RecursionError) as error:
        raise ZhiyinError(
            "--tensor-type {text}: {name} is no regular expression ({reason}).",
            text=text[:80],
            name=name[:60],
            reason=error,
        ) from error


def tensor_types(
    recipe: Recipe,
    tensors: Sequence[OutputTensor],
    architecture: str,
    parameters: Metadata,
    *,
    importance: bool = False,
    overrides: Sequence[Override] = (),
    chosen_types: Mapping[str, Type] | None = None,
    stored: Mapping[str, Type] | None = None,
) -> list[Type]:
    """Return the type of each tensor, in their order.

    Args:
        recipe: the mixture asked for.
        tensors: all tensors of the model.
        architecture: `general.architecture`.
        parameters: hyperparameters without the architecture's prefix; head counts, experts and layers matter.
        importance: an importance matrix is used.
        overrides: what the user chose; the first that matches counts.
        chosen_types: of a mixture by measurement, by the tensor's name; what it does not name has the recipe's type.
        stored: the types in the GGUF file that is quantized again; what is never quantized keeps them.
    """
    tied = all(tensor.name != "output.weight" for tensor in tensors)
    counts = {"v": 0, "ffn_down": 0}
    values = sum(_category(tensor.name) in ("v", "qkv", "kv_b") for tensor in tensors)
    layers = _largest(parameters.get("block_count"), 0)
    experts = _largest(parameters.get("expert_count"), 0)
    heads = _largest(parameters.get("attention.head_count"), 1)
    kv_heads = _largest(parameters.get("attention.head_count_kv"), heads)
    is_70b = layers == 80 and architecture in ("llama", "qwen2") and (architecture == "qwen2" or heads != kv_heads)
    chosen: dict[str, Type] = {}
    for tensor in sorted(tensors, key=lambda tensor: (_layer_of(tensor.name), tensor.name)):
        kept = _kept_type(tensor, recipe, stored)
        override = next((o.type for o in overrides if o.pattern.search(tensor.name)), None)
        if override is None and chosen_types is not None:
            override = chosen_types.get(tensor.name)
        if kept is not None and (override is None or not can_change(tensor)):
            chosen[tensor.name] = kept
            continue
        if override is not None:
            chosen[tensor.name] = _fitting(override, tensor.shape[-1])
            continue
        category = _category(tensor.name)
        key = "v" if category in ("v", "qkv", "kv_b") else "ffn_down"
        index = counts[key]
        if category == "ffn_down" and experts > 1:
            index = _layer_of(tensor.name)
        place = _Place(
            recipe.name, index, values if key == "v" else layers, heads // max(kv_heads, 1), experts, importance, is_70b
        )
        if category in ("v", "qkv", "kv_b", "ffn_down"):
            counts[key] += 1
        type_ = _mixed_type(recipe, tensor, category, place, tied=tied)
        if tensor.name == "output.weight" and type_ is Type.Q8_0 and architecture in _FINE_HEADS:
            type_ = Type.F16
        chosen[tensor.name] = _fitting(type_, tensor.shape[-1])
    return [chosen[tensor.name] for tensor in tensors]


def can_change(tensor: OutputTensor) -> bool:
    """Tell whether a user may choose this tensor's type: runners read the others element by element."""
    return _kept_type(replace(tensor, encoding=None), Recipe("Q8_0"), None) is None


def _kept_type(tensor: OutputTensor, recipe: Recipe, stored: Mapping[str, Type] | None) -> Type | None:
    """Return the type of a tensor that is not quantized, or None."""
    vector = len(tensor.shape) < 2 or not tensor.name.endswith(".weight")
    if stored is not None:
        kept = stored[tensor.name]
        if vector or _NEVER_QUANTIZED.search(tensor.name) or kept in _INTEGERS:
            return kept
    elif vector or tensor.exact or _ALWAYS_F32.search(tensor.name):
        return Type.F32
    if recipe.name in _FLOATS:
        return recipe.base
    if tensor.encoding is not None:  # quantizing it again would lose more
        return tensor.encoding
    return Type.F16 if _NEVER_QUANTIZED.search(tensor.name) else None


def _mixed_type(recipe: Recipe, tensor: OutputTensor, category: str, place: _Place, *, tied: bool) -> Type:
    if tensor.name == "output.weight" or (tied and tensor.name == "token_embd.weight"):
        block = GGML_QUANT_SIZES[recipe.base][0]
        return Type.Q8_0 if recipe.base is Type.Q8_0 or tensor.shape[-1] % block else Type.Q6_K
    rule = _RULES.get(category)
    return recipe.base if rule is None else rule(recipe.base, place)


def _value_type(base: Type, place: _Place) -> Type:
    """attn_v, and the packed tensors that contain it: small and sensitive."""
    by_recipe: dict[str, Callable[[], Type]] = {
        "Q2_K": lambda: Type.Q4_K if place.grouped >= 4 else Type.Q3_K,
        "Q3_K_M": lambda: Type.Q5_K if place.index < 2 else Type.Q4_K,
        "Q3_K_L": lambda: Type.Q5_K,
        "IQ4_NL": lambda: Type.Q5_K if place.grouped >= 4 else base,
        "IQ4_XS": lambda: Type.Q5_K if place.grouped >= 4 else base,
        "Q4_K_M": lambda: Type.Q6_K if place.more_bits else base,
        "Q5_K_M": lambda: Type.Q6_K if place.more_bits else base,
        "Q4_K_S": lambda: Type.Q5_K if place.index < 4 else base,
    }
    chosen = by_recipe.get(place.recipe, lambda: base)()
    if place.is_70b and chosen in (Type.Q3_K, Type.Q4_K):
        chosen = Type.Q5_K
    return Type.Q8_0 if place.experts == 8 else chosen


def _key_type(base: Type, place: _Place) -> Type:
    return Type.Q8_0 if place.experts == 8 else base


def _down_type(base: Type, place: _Place) -> Type:
    """ffn_down: the most sensitive of the large matrices."""
    by_recipe: dict[str, Callable[[], Type]] = {
        "Q2_K": lambda: Type.Q3_K,
        "Q3_K_M": lambda: Type.Q5_K if place.index < place.count // 16 else Type.Q4_K,
        "Q3_K_L": lambda: Type.Q5_K,
        "Q4_K_M": lambda: Type.Q6_K if place.more_bits else base,
        "Q5_K_M": lambda: Type.Q6_K if place.more_bits else base,
        "Q4_K_S": lambda: Type.Q5_K if place.early else base,
        "IQ4_NL": lambda: Type.Q5_K if place.early and not place.importance else base,
        "IQ4_XS": lambda: Type.Q5_K if place.early and not place.importance else base,
        "Q4_0": lambda: Type.Q4_1 if place.early and place.importance else base,
        "Q5_0": lambda: Type.Q5_1 if place.early and place.importance else base,
    }
    return by_recipe.get(place.recipe, lambda: base)()


def _attention_output_type(base: Type, place: _Place) -> Type:
    if place.experts == 8:
        low = ("Q2_K", "Q3_K_S", "Q3_K_M", "IQ4_NL", "Q4_K_S", "Q4_K_M", "IQ4_XS")
        return Type.Q5_K if place.recipe in low else base
    return {"Q2_K": Type.Q3_K, "Q3_K_M": Type.Q4_K, "Q3_K_L": Type.Q5_K}.get(place.recipe, base)


_RULES: dict[str, Callable[[Type, _Place], Type]] = {
    "v": _value_type,
    "qkv": _value_type,
    "kv_b": _value_type,
    "k": _key_type,
    "ffn_down": _down_type,
    "attention_output": _attention_output_type,
}


def _fitting(type_: Type, row: int) -> Type:
    """Return the type, or the nearest whose blocks divide a row."""
    if row % GGML_QUANT_SIZES[type_][0] == 0:
        return type_
    smaller = _FALLBACKS.get(type_, type_)
    return smaller if row % GGML_QUANT_SIZES[smaller][0] == 0 else Type.F16


def _category(name: str) -> str:
    return next((category for part, category in _CATEGORIES if part in name), "")


def _layer_of(name: str) -> int:
    match = re.match(r"blk\.(\d+)\.", name)
    return int(match[1]) if match else -1


def _largest(value: object, default: int) -> int:
    """Return a whole number, or the largest of one for each layer; anything else a GGUF file may hold is the default."""
    numbers = [n for n in (value if isinstance(value, list) else [value]) if isinstance(n, int)]
    return max(numbers, default=default)
