"""Shared by the RWKV families: names in the publisher's files and in Hugging Face's, sizes, the vocabulary.

Sources: BlinkDL/ChatRWKV, rwkv_pip_package (names, versions); transformers, models/rwkv, and BBuf/RWKV-World-HF-Tokenizer (the
Hugging Face layouts of RWKV-4 to 6); fla-org/flash-linear-attention, utils/convert_from_rwkv6.py and convert_from_rwkv7.py (its
layouts of RWKV-6 and 7).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from models.chat.rwkv import with_own_template
from models.config import Config
from models.errors import BadFile, NoTokenizer, UnsupportedModel
from models.family import Metadata, OutputTensor, Shape, Source, Transform
from models.vocab import read_vocabulary
from models.vocab.gpt_neox import NEOX_SIZE, neox_vocabulary
from models.vocab.rwkv_world import WORLD_SIZE, read_world_file, world_vocabulary
from models.vocab.vocabulary import Vocabulary

_ENDLESS = 1 << 20
"""`context_length` of models without one: what llama.cpp's converter writes."""

_PUBLISHER_NAMES = tuple(
    (re.compile(pattern), name)
    for pattern, name in (
        (r"^(rwkv|model)\.", ""),
        (r"^embeddings\.", "emb."),
        (r"^lm_head\.", "head."),
        (r"^norm\.", "ln_out."),
        (r"^layers\.", "blocks."),
        (r"\.(pre_ln|pre_norm)\.", ".ln0."),
        (r"\.(attn_norm|attention_norm)\.", ".ln1."),
        (r"\.(ffn_norm|feed_forward_norm)\.", ".ln2."),
        (r"\.(attention|attn|time_mixer)\.", ".att."),
        (r"\.feed_forward\.", ".ffn."),
        (r"\.time_mix_(k|v|r|g)[a-z]+$", r".time_mix_\1"),
        (r"\.x_proj\.0\.mu$", ".time_maa_x"),
        (r"\.x_proj\.0\.linear\.weight$", ".time_maa_w1"),
        (r"\.x_proj\.2\.weight$", ".time_maa_w2"),
        (r"\.x_bias$", ".time_maa_rwkvg"),
        (r"\.bonus$", ".time_faaaa"),
        (r"\.w_proj\.linear\.lora\.0\.weight$", ".time_decay_w1"),
        (r"\.w_proj\.linear\.lora\.2\.weight$", ".time_decay_w2"),
        (r"\.w_proj\.linear\.lora\.2\.bias$", ".time_decay"),
        (r"\.ffn\.(k|r)[a-z]+\.mu$", r".ffn.time_maa_\1"),
        (r"\.linear\.weight$", ".weight"),
        (r"\.g_proj\.", ".gate."),
        (r"\.r_proj\.", ".receptance."),
        (r"\.k_proj\.", ".key."),
        (r"\.v_proj\.", ".value."),
        (r"\.o_proj\.", ".output."),
        (r"\.g_norm\.", ".ln_x."),
        (r"_lora\.lora\.0\.weight$", "1"),
        (r"_lora\.lora\.2\.weight$", "2"),
        (r"_lora\.lora\.2\.bias$", "0"),
    )
)
"""Hugging Face's names -> the publisher's, applied in this order; the publisher's own names pass unchanged.

`time_maa_rwkvg` is ours: fla holds five of the publisher's vectors in one tensor.
"""


def publisher_name(name: str) -> str:
    """Return the name that a tensor has in the publisher's `.pth` files."""
    for pattern, replacement in _PUBLISHER_NAMES:
        name = pattern.sub(replacement, name)
    return name


_OURS = re.compile(r"blocks\.\d+\.att\.(time_(decay|state|mix_|maa_)|receptance\.|r_k$)")
_ONE_ROW_A_HEAD = ("blocks.0.att.r_k", "blocks.0.att.time_faaaa", "blocks.0.att.time_first")


class Weights:
    """A checkpoint's tensors under the publisher's names."""

    def __init__(self, shapes: Mapping[str, Shape] | None, origin: str) -> None:
        """Take the stored names and shapes (None: every tensor is there, as its configuration promises) and the file's name."""
        self._origin = origin
        self._stored = (
            None if shapes is None else {publisher_name(name): (name, tuple(shapes[name])) for name in shapes}
        )

    def __contains__(self, name: str) -> bool:
        return self._stored is None or name in self._stored

    def stored_name(self, name: str) -> str:
        """Return the checkpoint's own name of a tensor."""
        return name if self._stored is None or name not in self._stored else self._stored[name][0]

    def size(self, name: str, axis: int) -> int:
        """Return the length of one axis of a stored tensor; raises `BadFile` where there is none."""
        shape = self._stored[name][1] if self._stored is not None and name in self._stored else ()
        if axis >= len(shape) or not shape[axis]:
            raise BadFile(
                "{path} looks like RWKV, but its tensor {tensor} is missing or damaged; download it again.",
                path=self._origin,
                tensor=name,
            )
        return shape[axis]

    def source(self, name: str, *shape: int) -> Source:
        """Return a tensor as the checkpoint holds it; axes of length 1 may come or go (the publisher's vectors are 1 x 1 x n)."""
        if self._stored is None or name not in self._stored:
            return Source(name, shape)
        own_name, stored = self._stored[name]
        same = [n for n in stored if n != 1] == [n for n in shape if n != 1]
        return Source(own_name, stored if same else shape)

    def tensor(self, target: str, name: str, *shape: int) -> OutputTensor:
        """Return a tensor whose elements are copied as they are."""
        source = self.source(name, *shape)
        return OutputTensor(
            target, shape, (source,), None if source.shape == shape else partial(_reshaped, shape=shape)
        )

    def flat(self, target: str, name: str, *shape: int) -> OutputTensor:
        """Return a matrix's elements as one vector."""
        flat = (prod(shape),)
        return self.changed(target, flat, {name: shape}, partial(_reshaped, shape=flat))

    def is_linear(self, name: str) -> bool:
        """Tell whether a low-rank factor is stored as fla's linear layers are, (out, in); the publisher's are (in, out)."""
        return self.stored_name(name).endswith(".weight")

    def factor(self, target: str, name: str, shape: tuple[int, int]) -> OutputTensor:
        """Return a low-rank factor as (out, in)."""
        if self.is_linear(name):
            return self.tensor(target, name, *shape)
        return self.changed(target, shape, {name: shape[::-1]}, transposed)

    def changed(
        self, target: str, shape: Shape, sources: Mapping[str, Shape], transform: Transform | None
    ) -> OutputTensor:
        """Return a tensor made of several, of elements in another order or of other values."""
        return OutputTensor(target, shape, tuple(self.source(name, *size) for name, size in sources.items()), transform)

    def affine(self, target: str, name: str, size: int) -> Iterator[OutputTensor]:
        """Return a normalization's weight and bias."""
        for part in ("weight", "bias"):
            yield self.tensor(f"{target}.{part}", f"{name}.{part}", size)


def implied_config(shapes: Mapping[str, Shape], origin: str, version: str, class_name: str) -> Config | None:
    """Return what names and shapes say of a checkpoint of this version (its digit), or None for every other one.

    Args:
        shapes: of the stored tensors by name.
        origin: names the file in error messages.
        version: 4, 5, 6 or 7.
        class_name: of this version in config.json.

    Raises:
        BadFile: a tensor is missing that the sizes are read off.
        UnsupportedModel: a variant of RWKV that nothing here runs; the sentence names it.
    """
    named = {publisher_name(name): tuple(shape) for name, shape in shapes.items()}
    detected = _version(named, origin)
    if detected is None or detected[0] != version:
        return None
    weights = Weights(shapes, origin)
    rows, hidden = weights.size("emb.weight", 0), weights.size("emb.weight", 1)
    layers = 1 + max(int(match[1]) for name in named if (match := re.match(r"blocks\.(\d{1,9})\.", name)))
    data: dict[str, Any] = {
        "architectures": [class_name],
        "rwkv_version": detected,
        "vocab_size": rows,
        "hidden_size": hidden,
        "num_hidden_layers": layers,
        "intermediate_size": weights.size("blocks.0.ffn.key.weight", 0),
    }
    if detected != "4":
        heads = next((weights.size(name, 0) for name in _ONE_ROW_A_HEAD if name in weights), 0)
        data["head_size"] = data["head_dim"] = hidden // heads if heads else 64
    return Config(data, origin)


def head_count(config: Config, size: int) -> int:
    """Return how many heads of a size there are; raises `BadFile` where they do not make up the width."""
    hidden = config.int("hidden_size", minimum=1)
    if hidden % size:
        raise BadFile(
            "{path}: a width of {hidden} cannot be split into heads of {size}; download it again.",
            path=config.origin,
            hidden=hidden,
            size=size,
        )
    return hidden // size


def with_intermediate_size(config: Config, ratio: float) -> Config:
    """Return the configuration with the intermediate size that its class derives from the width where it says none."""
    if "intermediate_size" in config:
        return config
    wide = config.int("hidden_size", minimum=1) * config.float("hidden_ratio", default=ratio, minimum=1, maximum=64)
    return config.changed(intermediate_size=max(1, int(wide) // 32) * 32)


def frame(weights: Weights, rows: int, hidden: int) -> list[OutputTensor]:
    """Return the tensors outside the blocks: embedding, its norm, last norm, head (which transformers does not save if tied)."""
    tied = "head.weight" not in weights and weights.stored_name("emb.weight") != "emb.weight"
    head = "emb.weight" if tied else "head.weight"
    return [
        weights.tensor("token_embd.weight", "emb.weight", rows, hidden),
        *weights.affine("token_embd_norm", "blocks.0.ln0", hidden),
        *weights.affine("output_norm", "ln_out", hidden),
        weights.tensor("output.weight", head, rows, hidden),
    ]


def norms(weights: Weights, layer: int, hidden: int) -> list[OutputTensor]:
    """Return a block's two normalizations."""
    return [
        *weights.affine(f"blk.{layer}.attn_norm", f"blocks.{layer}.ln1", hidden),
        *weights.affine(f"blk.{layer}.attn_norm_2", f"blocks.{layer}.ln2", hidden),
    ]


def complement(weights: Weights, target: str, name: str, size: int) -> OutputTensor:
    """Return 1 - time_mix: RWKV-4 and 5 weigh the current token, llama.cpp and RWKV-6 the one before it."""
    return weights.changed(target, (size,), {name: (size,)}, _complement)


def gated_channel_mix(weights: Weights, config: Config, layer: int) -> list[OutputTensor]:
    """Return the channel mix of RWKV-4 and 5."""
    hidden, intermediate_size = config.int("hidden_size"), config.int("intermediate_size", minimum=1)
    source, target = f"blocks.{layer}.ffn.", f"blk.{layer}.channel_mix_"
    return [
        *(complement(weights, f"{target}lerp_{mix}.weight", f"{source}time_mix_{mix}", hidden) for mix in "kr"),
        weights.tensor(f"{target}key.weight", f"{source}key.weight", intermediate_size, hidden),
        weights.tensor(f"{target}value.weight", f"{source}value.weight", hidden, intermediate_size),
        weights.tensor(f"{target}receptance.weight", f"{source}receptance.weight", hidden, hidden),
    ]


def parameters(config: Config, *, epsilon: float = 1e-5) -> Metadata:
    """Return the keys that all versions have."""
    return {
        "context_length": _ENDLESS,
        "vocab_size": config.int("vocab_size", minimum=1),
        "embedding_length": config.int("hidden_size", minimum=1),
        "block_count": config.int("num_hidden_layers", minimum=1),
        "feed_forward_length": config.int("intermediate_size", minimum=1),
        "attention.layer_norm_epsilon": config.float("layer_norm_epsilon", "norm_eps", default=epsilon),
        "attention.head_count": 0,
    }


def stacked_mixes(*vectors: np.ndarray) -> np.ndarray:
    """Return token-shift vectors as llama.cpp wants them: [n, 1, 1, hidden]."""
    return np.stack([vector.reshape(1, 1, -1) for vector in vectors])


def transposed(matrix: np.ndarray) -> np.ndarray:
    """Return a low-rank factor, or a stack of them, as rows of outputs: [..., out, in]."""
    return matrix.swapaxes(-1, -2)


def built_in_vocabulary(rows: int) -> Callable[[Path | None], Vocabulary] | None:
    """Return what makes the built-in vocabulary with as many tokens as the embedding has rows, None where there is none."""
    make = {WORLD_SIZE: world_vocabulary, NEOX_SIZE: neox_vocabulary}.get(rows)
    if make is None:
        return None
    return lambda folder: make() if folder is None else with_own_template(make(), folder)


def read_rwkv_vocabulary(folder: Path, config: Config) -> Vocabulary:
    """Read a folder's tokenizer, or the publisher's vocabulary as a text file.

    Raises:
        NoTokenizer: there is none.
        BadFile: it is damaged.
    """
    size = config.int("vocab_size", minimum=1)
    if folder.is_file() and folder.suffix == ".txt":
        return read_world_file(folder, size)
    if folder.is_dir():
        for path in sorted(folder.glob("rwkv_vocab*.txt")):
            return with_own_template(read_world_file(path, size), folder)
        if (folder / "tokenizer.json").is_file() or (folder / "tokenizer.model").is_file():
            return read_vocabulary(folder, config)
    if built_in_vocabulary(size) is None:
        raise NoTokenizer(
            "{folder} has no tokenizer (rwkv_vocab*.txt, tokenizer.json or tokenizer.model), and none that is built in has "
            "{count} tokens; name another folder with --tokenizer, or convert without one by --tokenizer none.",
            folder=folder,
            count=size,
        )
    raise NoTokenizer(
        "{folder} has no tokenizer (rwkv_vocab*.txt, tokenizer.json or tokenizer.model); name another folder with "
        "--tokenizer, or leave that out to take the one of RWKV that is built in.",
        folder=folder,
    )


def _version(named: Mapping[str, Shape], origin: str) -> str | None:
    """Return 4, 5.0, 5.1, 5.2, 6 or 7 by the publisher's own tests, or None for a checkpoint of another kind."""
    if not any(_OURS.match(name) for name in named):
        return None
    _refuse_variants(named, origin)
    if "blocks.0.att.r_k" in named:
        return "7"
    if "blocks.0.att.time_maa_x" in named:
        return "6"
    if "blocks.0.att.ln_x.weight" not in named:
        return "4"
    if "blocks.0.att.gate.weight" not in named:
        return "5.0"
    decay = named.get("blocks.0.att.time_decay", ())
    return "5.2" if len(decay) == 2 and decay[1] > 1 else "5.1"


def _refuse_variants(named: Mapping[str, Shape], origin: str) -> None:
    for test, refusal in _VARIANTS:
        if test(named):
            raise refusal(origin)


def _has(ending: str) -> Callable[[Mapping[str, Shape]], bool]:
    return lambda named: any(name.endswith(ending) for name in named)


def _only_states(named: Mapping[str, Shape]) -> bool:
    return all(name.endswith(".time_state") for name in named)


def _converted(named: Mapping[str, Shape]) -> bool:
    intermediate_size, hidden = (*named.get("blocks.0.ffn.key.weight", ()), 0, 0)[:2]
    transposed = intermediate_size < hidden
    return "blocks.0.ln0.weight" not in named or transposed or any(name.endswith(".weight_mx") for name in named)


def _narrow_keys(named: Mapping[str, Shape]) -> bool:
    rows, columns = (*named.get("blocks.0.att.receptance.weight", ()), 0, 0)[:2]
    return rows < columns


def _experimental_6(named: Mapping[str, Shape]) -> bool:
    needed = ("time_maa_w1", "time_maa_w2", "time_faaaa", "gate.weight", "time_decay_w1", "ln_x.weight")
    return "blocks.0.att.time_maa_x" in named and not all(f"blocks.0.att.{name}" in named for name in needed)


_VARIANTS: tuple[tuple[Callable[[Mapping[str, Shape]], bool], Callable[[str], UnsupportedModel]], ...] = (
    (
        _only_states,
        lambda path: UnsupportedModel(
            "{path} holds only a tuned initial state (time_state), no model; name the model's own .pth.",
            path=path,
        ),
    ),
    (
        _has("lora_A"),
        lambda path: UnsupportedModel(
            "{path} holds only LoRA weights of an RWKV model; merge them into the model first.",
            path=path,
        ),
    ),
    (
        lambda named: any(".qkv." in name for name in named),
        lambda path: UnsupportedModel(
            "{path} is an RWKV-7b (with DeepEmbed attention), which llama.cpp does not run yet; choose an RWKV-7 "
            "without it.",
            path=path,
        ),
    ),
    (
        _has(".ffn.s_emb.weight"),
        lambda path: UnsupportedModel(
            "{path} is an RWKV-7a (with DeepEmbed), which llama.cpp does not run yet; choose an RWKV-7 without it.",
            path=path,
        ),
    ),
    (
        lambda named: "emb.weight" not in named or not any(name.startswith("blocks.0.") for name in named),
        lambda path: UnsupportedModel(
            "{path} holds only some weights of an RWKV model; name the model's own .pth, with what this adds to it "
            "merged.",
            path=path,
        ),
    ),
    (
        _converted,
        lambda path: UnsupportedModel(
            "{path} was converted for the package `rwkv` already (its weights are transposed and merged); name the "
            "original .pth.",
            path=path,
        ),
    ),
    (
        _has(".att.q_proj.weight"),
        lambda path: UnsupportedModel(
            "{path} is an RWKV with layers of attention between its own (a hybrid of fla), which nothing here runs; "
            "choose one without.",
            path=path,
        ),
    ),
    (
        _narrow_keys,
        lambda path: UnsupportedModel(
            "{path} is an RWKV whose keys are narrower than its width (fla's expand_k), which llama.cpp does not "
            "run; choose one with an expand_k of 1.",
            path=path,
        ),
    ),
    (
        _experimental_6,
        lambda path: UnsupportedModel(
            "{path} is an experimental RWKV-6 (x060a, x060b or x060c), which nothing runs; choose a released one.",
            path=path,
        ),
    ),
)


def _reshaped(values: np.ndarray, *, shape: Shape) -> np.ndarray:
    return values.reshape(shape)


def _complement(values: np.ndarray) -> np.ndarray:
    return 1 - values.astype(np.float32).reshape(-1)
