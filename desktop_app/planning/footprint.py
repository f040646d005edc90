"""Bytes that a model takes while it runs: weights, key-value cache or recurrent state, compute buffers, vocabulary.

All from hyperparameters and tensor sizes, so a config.json of a few kilobytes is enough. The sizes of caches and states are
llama.cpp's own sums (src/llama-kv-cache.cpp, src/llama-memory-recurrent.cpp). Compute buffers are what ggml's allocator needs at
the widest place of the graph (ggml/src/ggml-alloc.c): a number of activations of the hidden and the intermediate size at once,
read off for each architecture and checked against llama.cpp's own allocation in tests/desktop_app/planning/test_footprint.py.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from desktop_app.sequences import MOST_GUESSES, rounded_context, snapshot_count
from models.dynamic_rotary import INTERNLM, RULE, is_beyond_trained_context
from models.embedding import ENCODERS
from models.family import Metadata
from models.gguf_constants import GGML_QUANT_SIZES, GGMLQuantizationType

KV_TYPES = ("f16", "q8_0", "q4_0")
"""Types of the key-value cache, from exact to small."""

_BYTES_PER_TOKEN = 280
"""A token with its text, score, hash entry and merge rule in libllama's vocabulary (measured: 265 to 290 for BPE)."""
_BYTES_PER_TOKEN_ALONE = 200
"""The same without merge rules (measured: 190 for 262,144 tokens of SentencePiece)."""
_WORK_BASE = 8 * 1024 * 1024
"""What a load leaves behind besides: libraries, the file's head, the lists of a graph (measured: 5 to 14 MB)."""
_WORK_BYTES = 1.2
"""Of one rounded activation (8 bits, a scale for each 32, sums)."""
_SLACK = 96 * 1024
"""Small inputs of a graph: positions, output ids, alignment."""
_FLOAT = 4


@dataclass(frozen=True)
class Activations:
    """How much of a batch is live at the widest place of a graph, for each token of the batch."""

    hidden: float
    """Vectors of the hidden size."""
    intermediate_size: float
    """Vectors of the feed-forward's intermediate size (of one expert, times the experts in use, in a mixture)."""
    state: float = 0
    """Vectors of the hidden size for the whole batch: a recurrent state in flight."""
    beside: float = 0
    """Vectors of the hidden size beside the experts' inputs and outputs."""
    expert: float = 2
    """Vectors of the inner size of all experts in use, where they are computed."""


_OF_THE_GRAPH_RUNNER = ("chatglm1", "rwkv4", "rwkv5")
_USUAL = Activations(hidden=4, intermediate_size=3)
_FUSED = Activations(hidden=3, intermediate_size=3)
"""Where one matrix makes queries, keys and values."""
_ON_GPUS = {"chatglm1": _USUAL}
"""Where a graph of our own reads prompts in larger parts than on the processor."""
_ACTIVATIONS: Mapping[str, Activations] = {
    "chatglm": _FUSED,
    "phi3": _FUSED,
    "qwen35": _FUSED,
    "qwen35moe": Activations(hidden=3, intermediate_size=3, expert=1),
    # Fused too; the first Qwen's configuration counts gate and up together.
    "qwen": Activations(hidden=3, intermediate_size=1.5),
    "chatglm1": Activations(hidden=0.5, intermediate_size=0.4),  # prompts are read in parts of 64 tokens
    "gpt-oss": Activations(hidden=4, intermediate_size=3, beside=0.5),
    "granitehybrid": Activations(hidden=5.75, intermediate_size=3, state=275, beside=1),
    "rwkv6": Activations(hidden=14, intermediate_size=0, state=200),
    "rwkv7": Activations(hidden=19, intermediate_size=0, state=150),
}


_NODES_PER_TOKEN = {"qwen35": 40, "qwen35moe": 40}
"""Nodes that llama.cpp makes room for in a graph (`llama_context::graph_max_nodes`), where they are megabytes."""
_NODE_BYTES = 2 * 423
"""In two graphs, the last one and the one that memory was laid out for."""


@dataclass(frozen=True)
class TensorSize:
    """A tensor of the finished file."""

    name: str
    bytes: int


@dataclass(frozen=True)
class Footprint:
    """Bytes of each part; blocks in their order."""

    blocks: tuple[int, ...]
    """Weights of each block."""
    embedding: int
    """The token embedding, which always stays in main memory."""
    head: int
    """What comes after the last block, without the matrix where that is the embedding again."""
    tied: bool
    """The embedding is the output matrix too; a GPU that computes it gets a copy."""
    cache: tuple[int, ...]
    """Key-value cache or recurrent state of each block."""
    state: int
    """What the recurrent blocks alone remember, 0 for models without one."""
    snapshots: int
    """Earlier states and the one that is being taken, in main memory; none without a recurrent block."""
    compute: int
    """The buffer of the graph's intermediate results, where blocks are computed in main memory."""
    gpu_compute: int
    """The same on each GPU that computes."""
    inputs: int
    """What remains of it in main memory when all blocks are on GPUs: the attention mask and the embedded tokens, twice."""
    copied: int
    """What each device holds besides, three times, when all blocks are on several GPUs: llama.cpp then works in a pipeline."""
    output: int
    """Logits handed out."""
    work: int
    """What ggml's threads compute in besides: activations rounded for quantized weights."""
    vocabulary: int
    """Tokens and merge rules in the engine's memory."""
    recurrent: bool
    """The cache does not grow with the context."""

    @property
    def weights(self) -> int:
        """All weights."""
        return sum(self.blocks) + self.embedding + self.head

    @property
    def total(self) -> int:
        """Everything, on a computer that keeps all of it in main memory."""
        buffers = self.compute + self.output + self.work + self.vocabulary
        return self.weights + sum(self.cache) + self.snapshots + buffers


@dataclass(frozen=True)
class RunShape:
    """How the model is going to be run."""

    context: int
    """Tokens that the chat may hold."""
    kv_type: str = "f16"
    batch: int = 512
    """Tokens of a prompt computed at once, for the logits after the last of them."""
    parallel: int = 1
    """Chats that are computed at once, each with a context of its own."""


def footprint(
    architecture: str,
    parameters: Metadata,
    tensors: Sequence[TensorSize],
    run: RunShape,
    tokens: int = 0,
    *,
    merges: bool = True,
) -> Footprint:
    """Return what a model takes.

    Args:
        architecture: `general.architecture`.
        parameters: hyperparameters without the architecture's prefix.
        tensors: names and bytes as they lie in the file.
        run: context, cache type, batch.
        tokens: entries of the tokenizer's vocabulary.
        merges: the tokenizer has a merge rule for nearly every token.
    """
    count = _number(parameters.get("block_count"))
    blocks = [0] * count
    embedding = head = 0
    for tensor in tensors:
        match = re.match(r"blk\.(\d+)\.", tensor.name)
        if match and int(match[1]) < count:
            blocks[int(match[1])] += tensor.bytes
        elif tensor.name.startswith("token_embd"):
            embedding += tensor.bytes
        else:
            head += tensor.bytes
    tied = all(tensor.name != "output.weight" for tensor in tensors)
    state = recurrent_state(architecture, parameters)
    embedded = _FLOAT * _batch(run) * _number(parameters.get("embedding_length"))
    cache = [state] * count if state else mixed_cache(parameters, run.context, run.kv_type)
    if architecture in ENCODERS:  # each token sees all others at once: nothing is remembered
        cache = [0] * count
    state_size = recurrent_blocks(architecture, parameters) * (state or _delta_state(parameters))
    return Footprint(
        blocks=tuple(blocks),
        embedding=embedding,
        head=head,
        tied=tied,
        cache=tuple(run.parallel * block for block in cache),
        state=state_size,
        snapshots=run.parallel * (snapshot_count(state_size) + 1) * state_size,
        compute=compute_buffer(architecture, parameters, run, _ACTIVATIONS.get(architecture, _USUAL)),
        gpu_compute=compute_buffer(
            architecture, parameters, run, {**_ACTIVATIONS, **_ON_GPUS}.get(architecture, _USUAL)
        ),
        inputs=_mask(architecture, parameters, run) + 2 * embedded + _SLACK,
        copied=0
        if uses_graph_runner(architecture, parameters, run)
        else _mask(architecture, parameters, run) + embedded,
        output=_outputs(architecture, parameters, run) * _FLOAT * _number(parameters.get("vocab_size")),
        work=_WORK_BASE
        + int(
            run.batch * _WORK_BYTES * max(_intermediate_size(parameters), _number(parameters.get("embedding_length")))
        )
        + _NODE_BYTES * _batch(run) * _NODES_PER_TOKEN.get(architecture, 0),
        vocabulary=(_BYTES_PER_TOKEN if merges else _BYTES_PER_TOKEN_ALONE) * tokens,
        recurrent=bool(state),
    )


def _outputs(architecture: str, parameters: Metadata, run: RunShape) -> int:
    """Return the positions whose logits are handed out at once: the last of each chat, and those of guessed tokens."""
    guesses = not (recurrent_blocks(architecture, parameters) or uses_graph_runner(architecture, parameters, run))
    return max(run.parallel, min(run.parallel + MOST_GUESSES, _batch(run))) if guesses else run.parallel


def kv_cache(parameters: Metadata, context: int, kv_type: str) -> list[int]:
    """Return each block's key-value cache in bytes, grouped heads and head sizes of their own included."""
    count = _number(parameters.get("block_count"))
    heads = _per_block(parameters.get("attention.head_count"), count, 0)
    kv_heads = _per_block(parameters.get("attention.head_count_kv"), count, max(heads, default=0))
    usual = _number(parameters.get("embedding_length")) // max(1, max(heads, default=1))
    key = _number(parameters.get("attention.key_length")) or usual
    value = _number(parameters.get("attention.value_length")) or usual
    if "attention.key_length_mla" in parameters:  # values are made of the keys' latent vectors
        value = 0
    cells = rounded_context(context)
    return [cells * (_row_bytes(kv_type, number * key) + _row_bytes(kv_type, number * value)) for number in kv_heads]


def mixed_cache(parameters: Metadata, context: int, kv_type: str) -> list[int]:
    """Return each block's memory in bytes where some blocks (Qwen3.5's) have a delta rule's state in the place of a cache.

    The state is one matrix for each value head, and the last inputs of the convolution in front of it.
    """
    cache = kv_cache(parameters, context, kv_type)
    rules = _delta_rules(parameters)
    state = _delta_state(parameters)
    return [state if rule else bytes_ for bytes_, rule in zip(cache, rules, strict=True)] if rules else cache


def _delta_rules(parameters: Metadata) -> list[bool]:
    """Return which blocks have a delta rule, or Mamba-2 (where there are no keys), whose state has the same sizes; [] if none."""
    heads = parameters.get("attention.head_count_kv")
    without = [number == 0 for number in heads] if isinstance(heads, list) and _delta_state(parameters) else None
    recurrent = parameters.get("attention.recurrent_layers", without)
    if not isinstance(recurrent, list) or len(recurrent) != _number(parameters.get("block_count")):
        return []
    return [is_recurrent is True for is_recurrent in recurrent]


def _delta_state(parameters: Metadata) -> int:
    size, inner_size = _number(parameters.get("ssm.state_size")), _number(parameters.get("ssm.inner_size"))
    channels = inner_size + 2 * _number(parameters.get("ssm.group_count")) * size
    kept = max(_number(parameters.get("ssm.conv_kernel")) - 1, 0)
    return _FLOAT * (size * inner_size + kept * channels)


def recurrent_state(architecture: str, parameters: Metadata) -> int:
    """Return one block's recurrent state in bytes, 0 for models with attention: two shifted tokens and one matrix a head."""
    size = _number(parameters.get("wkv.head_size"))
    hidden = _number(parameters.get("embedding_length"))
    if architecture == "rwkv4":
        return 5 * hidden * _FLOAT
    return (2 * hidden + hidden * size) * _FLOAT if size else 0


def recurrent_blocks(architecture: str, parameters: Metadata) -> int:
    """Return how many blocks have a recurrent state in the place of a cache."""
    if recurrent_state(architecture, parameters):
        return _number(parameters.get("block_count"))
    return sum(_delta_rules(parameters))


def compute_buffer(architecture: str, parameters: Metadata, run: RunShape, live: Activations) -> int:
    """Return the bytes of a graph's intermediate results for a full batch with flash attention."""
    hidden = _number(parameters.get("embedding_length"))
    batch = _batch(run)
    used = _number(parameters.get("expert_used_count"))
    intermediate_size = _intermediate_size(parameters)
    # The experts' inputs and outputs are live at once, one of each for every expert in use.
    experts = 2 * used * hidden + live.expert * intermediate_size + live.beside * hidden if used else 0
    widest = max(
        live.hidden * hidden + live.intermediate_size * intermediate_size,
        experts,
        _latent_activations(parameters, experts),
    )
    widest = max(widest, _delta_activations(parameters))
    if _masks(parameters) > 1 and run.kv_type != "f16":  # a copy of the queries; without a window it finds room
        widest += _number(parameters.get("attention.head_count")) * _number(parameters.get("attention.key_length"))
    logits = _outputs(architecture, parameters, run) * _number(parameters.get("vocab_size"))
    body = _FLOAT * max(batch * widest + live.state * hidden, batch * hidden + logits)
    return int(body + _rotated_keys(parameters, run) + _mask(architecture, parameters, run)) + _SLACK


def _latent_activations(parameters: Metadata, experts: float) -> float:
    """Return the floats live for each token where queries are multiplied into latent vectors (DeepSeek), 0 elsewhere."""
    if "attention.key_length_mla" not in parameters:
        return 0
    heads, rank = _number(parameters.get("attention.head_count")), _number(parameters.get("attention.value_length"))
    hidden, key = _number(parameters.get("embedding_length")), _number(parameters.get("attention.key_length"))
    return max(heads * (2 * key + rank) + 4 * hidden + rank, experts + 2 * hidden)


def _delta_activations(parameters: Metadata) -> float:
    """Return the floats live for each token in a delta rule (Qwen3.5), 0 elsewhere."""
    inner_size = _number(parameters.get("ssm.inner_size"))
    keys = _number(parameters.get("ssm.group_count")) * _number(parameters.get("ssm.state_size"))
    return 6 * keys + 3.2 * inner_size + 3 * _number(parameters.get("embedding_length")) if inner_size else 0


def _masks(parameters: Metadata) -> int:
    """Return how many attention masks there are: two where some layers see a window and others everything."""
    pattern = parameters.get("attention.sliding_window_pattern")
    return 2 if isinstance(pattern, list) and True in pattern and False in pattern else 1


def _batch(run: RunShape) -> int:
    return min(run.batch, rounded_context(run.context))


def _mask(architecture: str, parameters: Metadata, run: RunShape) -> int:
    """Return the bytes of the attention masks: a float16 for each token of the batch and each of the context."""
    if recurrent_state(architecture, parameters):
        return 0
    return 2 * _batch(run) * rounded_context(run.context) * _masks(parameters)


def _rotated_keys(parameters: Metadata, run: RunShape) -> int:
    """Return the bytes of one block's keys after their rotation, where they are cached before it."""
    if parameters.get(RULE) != INTERNLM or not is_beyond_trained_context(parameters, run.context):
        return 0
    width = _number(parameters.get("attention.head_count_kv")) * _number(parameters.get("attention.key_length"))
    return rounded_context(run.context) * width * (2 if run.kv_type == "f16" else _FLOAT)


def uses_graph_runner(architecture: str, parameters: Metadata, run: RunShape) -> bool:
    """Tell whether our graph runner computes a model, as `engine.load.load_runner` decides."""
    return architecture in _OF_THE_GRAPH_RUNNER or is_beyond_trained_context(parameters, run.context)


def _intermediate_size(parameters: Metadata) -> int:
    intermediate_size = _number(parameters.get("feed_forward_length"))
    used = _number(parameters.get("expert_used_count"))
    if used:
        return used * (_number(parameters.get("expert_feed_forward_length")) or intermediate_size)
    return intermediate_size


def _row_bytes(kv_type: str, elements: int) -> int:
    block, size = GGML_QUANT_SIZES[GGMLQuantizationType[kv_type.upper()]]
    return int(elements // block * size)


def _per_block(value: object, count: int, default: int) -> list[int]:
    """Return a number for each block; untrusted files may hold one, a list, or nonsense."""
    if isinstance(value, list) and len(value) == count:
        return [_number(item) for item in value]
    return [_number(value) or default] * count


def _number(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0
