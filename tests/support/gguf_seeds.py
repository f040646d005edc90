"""Good small GGUF files, whole models of many kinds with vocabularies of every kind, to be damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from converter.pipeline import ConvertRequest, convert
from models.vocab.byte_level import written
from tests.support.checkpoints import write_checkpoint, write_safetensors
from tests.support.damaged_gguf import ARRAY, BOOL, F32, I32, STRING, U32, Parts, take_apart
from tests.support.graph_models import graph_case
from tests.support.random_chinese import random_qwen
from tests.support.random_glm import random_chatglm
from tests.support.random_gpt_oss import random_gpt_oss
from tests.support.random_latent import random_deepseek
from tests.support.random_llama import random_llama, random_qwen3, random_qwen3_moe
from tests.support.random_relatives import random_gemma3, random_granite4, random_phi3, random_qwen35, random_qwen35_moe
from tests.support.random_rwkv import random_rwkv

ROWS = 320
TEMPLATE = (
    b"{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
)
_CONTROL = ("<unk>", "<s>", "</s>", "<|im_start|>", "<|im_end|>", "<|endoftext|>")


def seed_files(folder: Path, names: tuple[str, ...] = ()) -> dict[str, Parts]:
    """Return the files of these names, or of all."""
    folder.mkdir(exist_ok=True)
    return {name: make(folder / name) for name, make in SEEDS.items() if name in (names or SEEDS)}


def _checkpoint(
    random_model: Callable[..., Any], vocabulary: str, quant: str = "F32", **changes: Any
) -> Callable[[Path], Parts]:
    def make(folder: Path) -> Parts:
        source = write_checkpoint(folder, *random_model(**({"vocab_size": ROWS} | changes)))
        return _with_vocabulary(source, folder, vocabulary, quant)

    return make


def _rwkv(version: str, vocabulary: str, quant: str = "F32") -> Callable[[Path], Parts]:
    def make(folder: Path) -> Parts:
        folder.mkdir(parents=True)
        source = folder / "RWKV-x.safetensors"
        write_safetensors(source, random_rwkv(version, rows=ROWS))
        return _with_vocabulary(source, folder, vocabulary, quant)

    return make


def _chatglm1(folder: Path) -> Parts:
    folder.mkdir(parents=True)
    return take_apart(graph_case("chatglm1", folder).path)


def _with_vocabulary(source: Path, folder: Path, vocabulary: str, quant: str) -> Parts:
    out = folder / "model.gguf"
    convert(ConvertRequest(source, out, quant, tokenizer="none"))
    parts = take_apart(out)
    for key, (type_, value) in _VOCABULARIES[vocabulary]().items():
        parts.put(key, type_, value)
    return parts


def _pairs(model: str, tokens: list[str], types: list[int], **more: tuple[int, Any]) -> dict[str, tuple[int, Any]]:
    tokens += [f"<unused{number}>" for number in range(ROWS - len(tokens))]
    types += [5] * (ROWS - len(types))
    return {
        "tokenizer.ggml.model": (STRING, model.encode()),
        "tokenizer.ggml.tokens": (ARRAY, (STRING, [token.encode() for token in tokens])),
        "tokenizer.ggml.token_type": (ARRAY, (I32, types)),
        "tokenizer.chat_template": (STRING, TEMPLATE),
        **{f"tokenizer.ggml.{key}": value for key, value in more.items()},
    }


def _byte_level() -> dict[str, tuple[int, Any]]:
    letters = [written(bytes([byte])) for byte in range(256)]
    merged = ["he", "ll", "hell", "hello", "wor", "ld"]
    merges = ["h e", "l l", "he ll", "hell o", "w o", "l d"]
    tokens = [*_CONTROL, *letters, *merged, "wo", *_zh()]
    types = [3] * len(_CONTROL) + [1] * (len(tokens) - len(_CONTROL))
    ids = {"bos_token_id": (U32, 1), "eos_token_id": (U32, 4), "padding_token_id": (U32, 0), "add_bos_token": (BOOL, 0)}
    return _pairs(
        "gpt2", tokens, types, pre=(STRING, b"qwen2"), merges=(ARRAY, (STRING, [m.encode() for m in merges])), **ids
    )


def _zh() -> list[str]:
    return [written(character.encode()) for character in "知音你好"]


def _sentencepiece(model: str = "llama") -> dict[str, tuple[int, Any]]:
    tokens = [
        *_CONTROL,
        *(f"<0x{byte:02X}>" for byte in range(256)),
        "▁",
        *"helowrd",
        "▁he",
        "llo",
        "▁hello",
        *"知音你好",
    ]
    types = [2, *[3] * (len(_CONTROL) - 1), *[6] * 256, *[1] * (len(tokens) - 256 - len(_CONTROL))]
    scores = (ARRAY, (F32, [-float(number) for number in range(ROWS)]))
    ids = {"bos_token_id": (U32, 1), "eos_token_id": (U32, 2), "unknown_token_id": (U32, 0), "add_bos_token": (BOOL, 1)}
    return _pairs(model, tokens, types, scores=scores, add_space_prefix=(BOOL, 1), **ids)


def _word_pieces() -> dict[str, tuple[int, Any]]:
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *"▁helowrd", "▁hello", "▁world", "ing", *"知音你好"]
    types = [3] * 5 + [1] * (len(tokens) - 5)
    ids = {
        "bos_token_id": (U32, 2),
        "eos_token_id": (U32, 3),
        "unknown_token_id": (U32, 1),
        "seperator_token_id": (U32, 3),
    }
    return _pairs("bert", tokens, types, token_type_count=(U32, 2), **ids)


def _trie() -> dict[str, tuple[int, Any]]:
    tokens = ["<s>", *(f"\\x{byte:02x}" for byte in range(256)), "hello", "\\n\\n"]
    return _pairs("rwkv", tokens, [3, *[1] * 258], eos_token_id=(U32, 0))


_VOCABULARIES: dict[str, Callable[[], dict[str, tuple[int, Any]]]] = {
    "bytes": _byte_level,
    "pieces": _sentencepiece,
    "unigram": lambda: _sentencepiece("t5"),
    "words": _word_pieces,
    "trie": _trie,
    "none": lambda: {"tokenizer.ggml.model": (STRING, b"none")},
}

SEEDS: dict[str, Callable[[Path], Parts]] = {
    "llama-bytes": _checkpoint(random_llama, "bytes"),
    "llama-pieces": _checkpoint(random_llama, "pieces", "Q8_0"),
    "llama-words": _checkpoint(random_llama, "words"),
    "llama-unigram": _checkpoint(random_llama, "unigram"),
    "llama-none": _checkpoint(random_llama, "none"),
    "qwen3": _checkpoint(random_qwen3, "bytes", "F16"),
    "qwen3moe": _checkpoint(random_qwen3_moe, "bytes"),
    "qwen": _checkpoint(random_qwen, "bytes"),
    "gemma3": _checkpoint(random_gemma3, "pieces"),
    "phi3": _checkpoint(random_phi3, "pieces"),
    "chatglm": _checkpoint(random_chatglm, "bytes", padded_vocab_size=ROWS),
    "gpt-oss": _checkpoint(random_gpt_oss, "bytes"),
    "deepseek2": _checkpoint(random_deepseek, "bytes"),
    "qwen35": _checkpoint(random_qwen35, "bytes"),
    "qwen35moe": _checkpoint(random_qwen35_moe, "bytes"),
    "granitehybrid": _checkpoint(random_granite4, "bytes"),
    "rwkv6": _rwkv("6", "trie"),
    "rwkv7": _rwkv("7", "trie", "F16"),
    "rwkv4": _rwkv("4", "bytes"),
    "rwkv5": _rwkv("5.0", "trie"),
    "chatglm1": _chatglm1,
}
