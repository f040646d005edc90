"""Checks the header of a GGUF model against its own tensors and against llama.cpp's assertions, which end the process.

A file is untrusted: a count may be any number, whatever the file holds. What llama.cpp refuses by itself in one sentence is not
repeated here. Sources: src/llama-model.cpp (`load_hparams`), src/llama-vocab.cpp (`load`, `tokenize`), ggml/src/gguf.cpp and the
asserts of src/models and ggml, all of the version that llama-cpp-python ships.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from converter.gguf_header import (
    NO_WEIGHTS,
    ArrayLength,
    GGUFHeader,
    GGUFTensor,
    read_array_bytes,
    read_gguf_header,
    read_texts,
    split_parts,
)
from models.errors import BadFile
from models.gguf_constants import GGMLQuantizationType, GGUFValueType

MOST_BLOCKS = 512
"""LLAMA_MAX_LAYERS."""
_MOST_EXPERTS = 1024
"""LLAMA_MAX_EXPERTS."""
_LONGEST_CONTEXT = 2**31 - 256
_LARGEST_SIZE = 1 << 24
"""Of a vector: a hundred times the largest published."""
_BLOCK = re.compile(r"(blk\.\d+)\.(.+)")
_COMPANIONS = (
    ("attn_output.weight", ("attn_q.weight", "attn_qkv.weight", "attn_q_a.weight", "attn_q_b.weight"), ()),
    ("ssm_conv1d.weight", ("attn_qkv.weight",), ("qwen35", "qwen35moe")),
    ("ssm_conv1d.weight", ("attn_gate.weight",), ("qwen35", "qwen35moe")),
    ("ssm_conv1d.weight", ("ssm_conv1d.bias",), ("granitehybrid",)),
    ("time_mix_lerp_x.weight", ("time_mix_lerp_fused.weight", "time_mix_lerp_w.weight"), ("rwkv6",)),
)
"""Tensors of a block, and of which others it has one then; in which architectures, (): in all."""
_ESCAPE = re.compile(rb"\\(x[0-9a-f]{2}|.)", re.DOTALL)
_LETTERS = {b"t": b"\t", b"n": b"\n", b"r": b"\r"}
_LONGEST_TOKEN = 4096
"""Bytes; llama.cpp calls a function of its own for each when it builds its tree of tokens."""
_NO_MODELS = ("adapter", "imatrix", "mmproj")
_ROPE_SCALINGS = ("none", "linear", "yarn", "longrope")
_WITHOUT_FEW_EXPERTS = ("hunyuan-dense", "hunyuan_vl")
"""Architectures that take a single expert for none."""
_TABLES = re.compile(r"(blk\.\d+\.ffn_gate_tid2eid|d2t)(\.weight)?")
"""Tensors of whole numbers: expert ids by token, draft tokens to target tokens."""
_ADDED = re.compile(
    r".*\.bias|(.*\.)?(\w*norm(_\w+)?|ssm_(a|d|conv1d)|time_mix_(lerp_\w+|decay|first|[wav]0|k_k|k_a|r_k|ln)|"
    r"channel_mix_lerp_\w+|rope_freqs|rope_factors_(long|short)|attn_sinks|exp_probs_b|token_types)(\.weight)?"
)
"""Tensors that activations are added to, multiplied by or scanned with: ggml does that with 32-bit floats alone."""
_EPSILONS = tuple(f"attention.{name}_epsilon" for name in ("layer_norm", "layer_norm_rms", "group_norm"))
_SIZES = ("feed_forward_length", "expert_feed_forward_length", "expert_shared_feed_forward_length", "vocab_size")
_HEADS = ("attention.head_count", "attention.head_count_kv")
_HEAD_SIZES = (
    "attention.key_length",
    "attention.value_length",
    "attention.key_length_swa",
    "attention.value_length_swa",
)
_STATE_SIZES = ("ssm.conv_kernel", "ssm.inner_size", "ssm.state_size", "ssm.time_step_rank", "wkv.head_size")
_LAST_GATING = 4
"""LLAMA_EXPERT_GATING_FUNC_TYPE_SQRT_SOFTPLUS."""
_LAST_POOLING = 4
"""LLAMA_POOLING_TYPE_RANK."""
_FUSED = ("phi3", "qwen")
"""Architectures whose queries, of one matrix with the keys and values, are as long as the hidden vectors."""
_DELTA_RULES = ("qwen35", "qwen35moe")
_TWO_SHIFTS = ("rwkv6", "rwkv7")
_EQUAL_KEYS_AND_VALUES = re.compile(
    r"""
    arcee|baichuan|bailingmoe2|bitnet|bloom|chatglm|codeshell|cohere2|command-r|dbrx|deci|deepseek|dots1|dream|
    ernie4_5|ernie4_5-moe|exaone|falcon|glm4|glm4moe|gpt-oss|gpt2|gptneox|granite|granitehybrid|grok|hunyuan-moe|internlm2|
    jais|llada|llada-moe|llama|llama4|minimax-m2|mistral3|mpt|nemotron|olmo|olmo2|olmoe|openelm|orion|pangu-embedded|
    phi2|phi3|plamo|qwen|qwen2|qwen2moe|qwen2vl|qwen3|qwen35|qwen35moe|qwen3moe|qwen3next|qwen3vl|qwen3vlmoe|refact|
    seed_oss|smollm3|stablelm|starcoder|starcoder2|xverse
    """,
    re.VERBOSE,
)
"""Architectures whose keys and values have one length."""
_WHOLE_HEADS_ROTATE = re.compile(
    r"""
    arcee|baichuan|codeshell|dbrx|deci|deepseek|dots1|dream|ernie4_5|ernie4_5-moe|exaone|falcon|gpt-oss|granite|grok|
    hunyuan-moe|internlm2|llada|llada-moe|llama|mistral3|olmo|olmo2|olmoe|orion|pangu-embedded|
    plamo|qwen2|qwen2moe|qwen2vl|qwen3|qwen3moe|qwen3vl|qwen3vlmoe|seed_oss|smollm3|starcoder2|xverse
    """,
    re.VERBOSE,
)
"""Architectures that rotate the whole of a key."""
_CHARSMAP = "tokenizer.ggml.precompiled_charsmap"
_BEGINNINGS: dict[str, tuple[int | None, bool]] = {
    "llama": (1, True),
    "bert": (101, True),
    "gpt2": (11, False),
    "t5": (None, False),
    "plamo2": (1, False),
}
"""Of a kind of vocabulary: the token that begins a text where the file names none, and whether it is added."""
_ENDINGS = {
    "bert": ("tokenizer.ggml.seperator_token_id", 102, ""),
    "t5": ("tokenizer.ggml.eos_token_id", 1, "tokenizer.ggml.add_eos_token"),
}
"""The key that names the token which ends a text, the token where the file names none, the key that says whether it is added."""


def read_model(path: Path) -> GGUFHeader:
    """Return the first header of a model that is about to be loaded, when all of it is checked, its vocabulary too.

    Args:
        path: the file; of a split model, any part.

    Raises:
        BadFile: a part is missing or damaged, or the file claims what cannot be.
        UnsupportedModel: a GGUF version or tensor type that is not known here.
    """
    headers = read_parts(path)
    check_model(headers)
    _check_texts(headers[0])
    _check_normalization(headers[0])
    return headers[0]


def read_parts(path: Path) -> list[GGUFHeader]:
    """Return the headers of all parts of a model, unchecked; raises as `read_model`."""
    return [read_gguf_header(part, arrays=False) for part in split_parts(path)]


def check_model(headers: Sequence[GGUFHeader]) -> None:
    """Check the headers of all parts of a model, without the texts of its vocabulary.

    Raises:
        BadFile: they claim what cannot be.
    """
    first = headers[0]
    _check_kind(first)
    _check_parts(headers)
    for header in headers:
        _check_tensors(header)
    _check_blocks({name for header in headers for name in header.tensors}, first)
    claims = _Claims(first, sum(len(header.tensors) for header in headers))
    claims.check_blocks()
    claims.check_numbers()
    claims.check_heads()
    claims.check_windows()
    claims.check_experts()
    claims.check_states()
    claims.check_pooling()
    _check_beginning(first)
    _check_ending(first)
    if not any(header.tensors for header in headers):
        raise BadFile("{path} holds no weights; choose the file of the whole model.", path=first.path)


def _check_kind(header: GGUFHeader) -> None:
    if not isinstance(header.metadata.get("general.architecture"), str):
        raise BadFile(
            "{path} does not say what model it is (general.architecture); download or convert it again.",
            path=header.path,
        )
    kind = header.metadata.get("general.type")
    if kind in _NO_MODELS:
        raise BadFile(
            "{path} holds no model by its general.type ({kind}); choose the model's own file.",
            path=header.path,
            kind=kind,
        )


def _check_parts(headers: Sequence[GGUFHeader]) -> None:
    """Check that the parts belong together, as llama.cpp will by their keys of type uint16."""
    first = headers[0]
    count = first.metadata.get("split.count", 0)
    for number, header in enumerate(headers):
        for key, wanted in (("split.count", count), ("split.no", number)):
            value = header.metadata.get(key)
            right = value == wanted and header.types[key] == GGUFValueType.UINT16
            if not right and (value is not None or len(headers) > 1):
                raise _unfit(header, key, value)
    _check_one_model(headers)
    if count > 1 and count != len(headers):
        raise BadFile(
            "{path} is one of {count} parts of a model, under a name of its own; give all parts the names that they were "
            "published with.",
            path=first.path,
            count=count,
        )


def _check_one_model(headers: Sequence[GGUFHeader]) -> None:
    """Check that the parts are of one model."""
    first, *others = headers
    names = set(first.tensors)
    for header in others:
        repeated = next((name for name in header.tensors if name in names), None)
        names |= set(header.tensors)
        if repeated is not None:
            raise BadFile(
                "{path} repeats tensor {tensor} of another part; download them all again.",
                path=header.path,
                tensor=_short(repeated),
            )
    if others and first.metadata.get("split.tensors.count") != len(names):
        raise _unfit(first, "split.tensors.count", first.metadata.get("split.tensors.count"))


def _check_tensors(header: GGUFHeader) -> None:
    """Check that tensors lie one behind the other, and that each has a type that its place allows."""
    offset = 0
    for tensor in header.tensors.values():
        if 0 in tensor.shape or tensor.offset - header.data_offset != offset:
            raise BadFile(
                "{path} is damaged: tensor {tensor} is not where it should be; download it again.",
                path=header.path,
                tensor=tensor.name,
            )
        offset += -(-tensor.size // header.alignment) * header.alignment
        _check_type(header, tensor)


def _check_blocks(names: set[str], first: GGUFHeader) -> None:
    """Check for tensors that llama.cpp takes for optional, and computes with all the same."""
    for block, part in (match.groups() for match in filter(None, map(_BLOCK.fullmatch, names))):
        for present, choices, architectures in _COMPANIONS:
            if part != present or first.architecture not in (architectures or (first.architecture,)):
                continue
            if not any(f"{block}.{choice}" in names for choice in choices):
                raise BadFile(
                    "{path} lacks tensor {tensor}; download or convert the model again.",
                    path=first.path,
                    tensor=f"{block}.{choices[0]}",
                )


def _check_type(header: GGUFHeader, tensor: GGUFTensor) -> None:
    if tensor.type in NO_WEIGHTS and not _TABLES.fullmatch(tensor.name):
        raise BadFile(
            "{path}: tensor {tensor} has type {type}, with which nothing is computed; convert the model again.",
            path=header.path,
            tensor=tensor.name,
            type=tensor.type.name,
        )
    is_vector = len(tensor.shape) < 2 and tensor.type not in NO_WEIGHTS
    if (is_vector or _ADDED.fullmatch(tensor.name)) and tensor.type is not GGMLQuantizationType.F32:
        raise BadFile(
            "{path}: tensor {tensor} is {type} where F32 is needed; convert the model again.",
            path=header.path,
            tensor=tensor.name,
            type=tensor.type.name,
        )


class _Claims:
    """A model's hyperparameters, which may be anything."""

    def __init__(self, header: GGUFHeader, tensors: int) -> None:
        self._header = header
        self._architecture = header.architecture
        self._parameters = header.parameters
        self._tensors = tensors

    def check_blocks(self) -> None:
        """Check the number of blocks: each has a tensor at least."""
        self._within("block_count", 1, min(MOST_BLOCKS, self._tensors or MOST_BLOCKS))
        blocks = self._whole("block_count")
        self._within("nextn_predict_layers", 0, blocks)
        self._within("context_length", 1, _LONGEST_CONTEXT)
        self._within("embedding_length", 1, _LARGEST_SIZE)

    def check_numbers(self) -> None:
        """Check what is no number, and sizes that no file of weights can have."""
        for key, value in self._parameters.items():
            for number in _numbers(value):
                if isinstance(number, float) and (
                    math.isnan(number) or (key.startswith("rope.") and math.isinf(number))
                ):
                    raise self._wrong(key)
        for key in _EPSILONS:
            value = self._parameters.get(key, 0)
            if isinstance(value, float) and not 0 <= value < math.inf:
                raise self._wrong(key)
        for key in _SIZES:
            self._within(key, 0, _LARGEST_SIZE)
        scaling = self._parameters.get("rope.scaling.type", "none")
        if isinstance(scaling, str) and scaling not in _ROPE_SCALINGS:
            raise self._wrong("rope.scaling.type")

    def check_heads(self) -> None:
        """Check the heads: whole groups of them, and sizes that the graph can rotate."""
        for key in _HEADS:
            self._within(key, 0, _LARGEST_SIZE)
        heads, groups = map(self._of_first_block, _HEADS)
        if not heads:
            return
        for key in _HEAD_SIZES:
            self._within(key, 1, _LARGEST_SIZE)
        if groups and heads % groups:
            raise self._wrong("attention.head_count_kv")
        usual = self._whole("embedding_length") // heads
        key_size, value_size = (self._whole(name, usual) for name in _HEAD_SIZES[:2])
        if _EQUAL_KEYS_AND_VALUES.fullmatch(self._architecture) and key_size != value_size:
            raise self._wrong(
                "attention.value_length" if "attention.value_length" in self._parameters else "attention.key_length"
            )
        rotated = self._whole("rope.dimension_count", key_size)
        least = key_size if _WHOLE_HEADS_ROTATE.fullmatch(self._architecture) else 2
        if rotated % 2 or not least <= rotated <= key_size:
            raise self._wrong("rope.dimension_count")
        sections = list(_numbers(self._parameters.get("rope.dimension_sections", 1)))
        if not 0 < sum(sections[:3]) <= sum(sections) <= key_size:
            raise self._wrong("rope.dimension_sections")
        if self._architecture in _FUSED and heads * key_size != self._whole("embedding_length"):
            raise self._wrong("attention.head_count")
        if "attention.key_length_mla" in self._parameters:
            self._check_latent(rotated, key_size, value_size)

    def check_windows(self) -> None:
        """Check the sliding window: where blocks are listed, one of them has it."""
        self._within("attention.sliding_window", 0, _LONGEST_CONTEXT)
        pattern = self._parameters.get("attention.sliding_window_pattern")
        if isinstance(pattern, list) and not any(pattern):
            raise self._wrong("attention.sliding_window_pattern")

    def _check_latent(self, rotated: int, key_size: int, value_size: int) -> None:
        """Check attention to latent vectors (DeepSeek): keys are these and what rotates, values these alone."""
        self._within("attention.key_length_mla", rotated + 1, _LARGEST_SIZE)
        rank = self._whole("attention.kv_lora_rank")
        if self._architecture == "deepseek2":
            if self._whole("attention.head_count_kv") != 1:
                raise self._wrong("attention.head_count_kv")
            if (key_size, value_size) != (rank + rotated, rank):
                raise self._wrong("attention.key_length")

    def check_experts(self) -> None:
        """Check what llama.cpp asserts of the experts and their groups."""
        self._within("expert_count", 0, _MOST_EXPERTS)
        experts = self._whole("expert_count")
        if self._architecture in _WITHOUT_FEW_EXPERTS and experts <= 1:
            return
        self._within("expert_used_count", 0, experts)
        used = self._parameters.get("expert_used_count", 0)
        if (experts > 0) != (max(_numbers(used), default=0) > 0):
            raise self._wrong("expert_used_count")
        self._within("expert_gating_func", 0, _LAST_GATING)
        groups = self._whole("expert_group_count")
        self._within("expert_group_count", 0, max(0, experts - 1))
        if groups > 1:
            if experts % groups:
                raise self._wrong("expert_group_count")
            self._within("expert_group_used_count", 1, groups - 1)

    def check_states(self) -> None:
        """Check the sizes of recurrent states, by which llama.cpp divides."""
        for key in _STATE_SIZES:
            self._within(key, 1, _LARGEST_SIZE)
        if self._architecture in _TWO_SHIFTS:
            self._within("token_shift_count", 2, 2)
        inner, hidden = self._whole("ssm.inner_size"), self._whole("embedding_length")
        fitting = {
            "granitehybrid": 2 * hidden,
            **dict.fromkeys(_DELTA_RULES, self._whole("ssm.time_step_rank") * self._whole("ssm.state_size")),
        }
        if inner != fitting.get(self._architecture, inner):
            raise self._wrong("ssm.inner_size")
        heads, groups = hidden // self._whole("wkv.head_size", 1), self._whole("attention.head_count")
        if self._architecture == "rwkv6" and groups not in (0, heads):
            raise self._wrong("attention.head_count")
        for divided, divisor in (("embedding_length", "wkv.head_size"), ("ssm.inner_size", "ssm.time_step_rank")):
            if self._whole(divided, 0) % self._whole(divisor, 1):
                raise self._wrong(divisor)

    def check_pooling(self) -> None:
        """Check how an embedding model makes one vector, and that the layers behind it fit each other."""
        self._within("pooling_type", 0, _LAST_POOLING)
        hidden = self._whole("embedding_length")
        self._within("embedding_length_out", 1, max(hidden, 1))
        for key in ("dense_2_feat_in", "dense_3_feat_out"):
            if self._whole(key) not in (0, hidden):
                raise self._wrong(key)
        if self._whole("dense_2_feat_out") != self._whole("dense_3_feat_in"):
            raise self._wrong("dense_3_feat_in")

    def _within(self, key: str, least: int, most: int) -> None:
        for number in _numbers(self._parameters.get(key, least)):
            if not least <= number <= most:
                raise self._wrong(key)

    def _whole(self, key: str, usual: int = 0) -> int:
        value = self._parameters.get(key, usual)
        return value if isinstance(value, int) and not isinstance(value, bool) else usual

    def _of_first_block(self, key: str) -> int:
        return int(next(_numbers(self._parameters.get(key, 0)), 0))

    def _wrong(self, key: str) -> BadFile:
        return _unfit(self._header, f"{self._architecture}.{key}", self._parameters.get(key))


def _check_beginning(header: GGUFHeader) -> None:
    """Check that a token which begins every text is one: llama.cpp looks for it when it cuts the first text."""
    count = _token_count(header)
    usual, is_added = _BEGINNINGS.get(str(header.metadata.get("tokenizer.ggml.model")), (0, False))
    named: Any = header.metadata.get("tokenizer.ggml.bos_token_id")
    possible = (number for number in (named, usual) if isinstance(number, int))
    if header.metadata.get("tokenizer.ggml.add_bos_token", is_added) is True and not any(
        0 <= n < count for n in possible
    ):
        raise _unfit(header, "tokenizer.ggml.bos_token_id", named)


def _check_ending(header: GGUFHeader) -> None:
    """Check that a token which ends every text is one: llama.cpp takes it for granted where it is added."""
    kind = str(header.metadata.get("tokenizer.ggml.model"))
    if kind not in _ENDINGS:
        return
    key, usual, switch = _ENDINGS[kind]
    named = header.metadata.get(key)
    count = _token_count(header)
    if (not switch or header.metadata.get(switch, True) is True) and not any(
        isinstance(number, int) and 0 <= number < count for number in (named, usual)
    ):
        raise _unfit(header, key, named)


def _token_count(header: GGUFHeader) -> int:
    listed = header.metadata.get("tokenizer.ggml.tokens")
    return listed.length if isinstance(listed, ArrayLength) else len(listed) if isinstance(listed, list) else 0


def _check_texts(header: GGUFHeader) -> None:
    """Check that all tokens have texts of their own, as llama.cpp counts on; it gives empty ones a text itself."""
    counts = Counter(text.partition(b"\0")[0] for text in read_texts(header, "tokenizer.ggml.tokens"))
    del counts[b""]
    if header.metadata.get("tokenizer.ggml.model") == "rwkv":
        _check_first_bytes(header, counts)
    longest = max(counts, key=len, default=b"")
    if len(longest) > _LONGEST_TOKEN:
        raise _unfit(header, "tokenizer.ggml.tokens", longest.decode("utf-8", "replace"))
    ((text, times),) = counts.most_common(1) or [(b"", 1)]
    if times > 1:
        raise BadFile(
            "{path} has the token {text} more than once in its vocabulary; convert the model again, with its own tokenizer.",
            path=header.path,
            text=_short(text.decode("utf-8", "replace")),
        )


def _check_first_bytes(header: GGUFHeader, texts: Iterable[bytes]) -> None:
    """Check that each byte which begins a token of RWKV's is one by itself: llama.cpp would look for its end for ever."""
    raw = [_ESCAPE.sub(_unescaped, text) for text in texts]
    lonely = {text[:1] for text in raw} - {text for text in raw if len(text) == 1}
    if lonely:
        raise _unfit(header, "tokenizer.ggml.tokens", f"without {min(lonely)!r}")


def _unescaped(escape: re.Match[bytes]) -> bytes:
    written = escape[1]
    return bytes.fromhex(written[1:].decode()) if len(written) > 1 else _LETTERS.get(written, written)


def _check_normalization(header: GGUFHeader) -> None:
    """Check that no text leads out of sentencepiece's table of normal forms, which llama.cpp walks byte by byte.

    The table: the size of a trie in bytes, its nodes (Kanda, Space- and Time-Efficient String Dictionaries, 2018), and texts with
    a null byte behind each.
    """
    import numpy as np

    table = read_array_bytes(header, _CHARSMAP)
    size = int.from_bytes(table[:4], "little")
    if header.metadata.get("tokenizer.ggml.model") != "t5" or not table or size + 4 >= len(table):
        return  # llama.cpp refuses it, or does not read it
    nodes, texts = np.frombuffer(table, "<u4", size // 4, 4), table[4 + size :]
    bases = (nodes >> 10) << ((nodes & 512) >> 6)
    seen = np.zeros(len(nodes), np.bool_)
    places = bases[:1]
    while places.size:
        reached = places[:, None] ^ np.arange(1, 256, dtype=np.uint32)
        if reached.max() >= len(nodes):
            raise _unfit(header, _CHARSMAP, "a table that leads out of itself")
        children = reached[(nodes[reached] & 0x800000FF) == np.arange(1, 256, dtype=np.uint32)]
        children = np.unique(children[~seen[children]])
        seen[children] = True
        places = children ^ bases[children]
        ends = places[(nodes[children] >> 8) & 1 == 1]
        if ends.size and (ends.max() >= len(nodes) or (nodes[ends] & 0x7FFFFFFF).max() >= len(texts) or texts[-1]):
            raise _unfit(header, _CHARSMAP, "a table that leads out of itself")


def _numbers(value: Any) -> Iterator[Any]:
    """Yield a number, or those of a list."""
    for number in value if isinstance(value, list) else (value,):
        if isinstance(number, (int, float)) and not isinstance(number, bool):
            yield number


def _unfit(header: GGUFHeader, key: str, value: Any) -> BadFile:
    return BadFile(
        "{path}: {key} is {value}, which does not fit the rest of the file; download or convert it again.",
        path=header.path,
        key=key,
        value=_short(value),
    )


def _short(value: Any) -> str:
    text = "missing" if value is None else str(value)
    return text if len(text) <= 40 else f"{text[:40]}…"
