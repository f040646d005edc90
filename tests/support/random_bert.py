"""Embedding and reranking models with random weights, and tokenizers of their kinds, trained on a few texts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

from tests.support.random_llama import Checkpoint, RandomWeights

TEXTS = (
    "知音是一个离线的助手，它读得懂中文。",
    "The quick brown fox jumps over the lazy dog.",
    "你好，世界！ Hello world, café",
    "1234 + 5678 = ?",
    "한국어 हिन्दी Ελληνικά",
    "a b c d e f g h",
)
_CORPUS = TEXTS * 4


def random_bert(seed: int = 0, *, tokens: int, **changes: Any) -> Checkpoint:
    """Return a BERT without its pooler."""
    config: dict[str, Any] = {
        "architectures": ["BertModel"],
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 130,
        "type_vocab_size": 2,
        "layer_norm_eps": 1e-12,
        "hidden_act": "gelu",
        "vocab_size": tokens,
        "pad_token_id": 0,
        **changes,
    }
    draw, hidden, inner = RandomWeights(seed), config["hidden_size"], config["intermediate_size"]
    weights: dict[str, np.ndarray] = {}
    for name, rows in (
        ("word", tokens),
        ("position", config["max_position_embeddings"]),
        ("token_type", config["type_vocab_size"]),
    ):
        weights[f"embeddings.{name}_embeddings.weight"] = draw.matrix(rows, hidden)
    shapes = {
        "attention.self.query": (hidden, hidden),
        "attention.self.key": (hidden, hidden),
        "attention.self.value": (hidden, hidden),
        "attention.output.dense": (hidden, hidden),
        "intermediate.dense": (inner, hidden),
        "output.dense": (hidden, inner),
    }
    norms = ["embeddings.LayerNorm"]
    for layer in range(config["num_hidden_layers"]):
        prefix = f"encoder.layer.{layer}."
        norms += [prefix + "attention.output.LayerNorm", prefix + "output.LayerNorm"]
        for name, shape in shapes.items():
            weights[f"{prefix}{name}.weight"], weights[f"{prefix}{name}.bias"] = (
                draw.matrix(*shape),
                draw.bias(shape[0]),
            )
    for name in norms:
        weights[f"{name}.weight"], weights[f"{name}.bias"] = draw.norm(hidden), draw.bias(hidden)
    if "SequenceClassification" in config["architectures"][0]:
        weights = {f"roberta.{name}": array for name, array in weights.items()}
        for name, rows in (("dense", hidden), ("out_proj", 1)):
            weights[f"classifier.{name}.weight"] = draw.matrix(rows, hidden)
            weights[f"classifier.{name}.bias"] = draw.bias(rows)
    return config, weights


def random_jina_bert(seed: int = 0, *, tokens: int, later: bool = False, **changes: Any) -> Checkpoint:
    """Return a JinaBERT; `later`: as jina-embeddings-v2-base-code is, with norms of queries and keys."""
    config, weights = random_bert(
        seed,
        tokens=tokens,
        **{
            "architectures": ["JinaBertForMaskedLM"],
            "model_type": "bert",
            "position_embedding_type": "alibi",
            "feed_forward_type": "geglu",
            **changes,
        },
    )
    del weights["embeddings.position_embeddings.weight"]
    draw, hidden, inner = RandomWeights(seed + 1), config["hidden_size"], config["intermediate_size"]
    for layer in range(config["num_hidden_layers"]):
        prefix = f"encoder.layer.{layer}."
        for name in [name for name in weights if name.startswith((f"{prefix}intermediate", f"{prefix}output"))]:
            del weights[name]
        both, down = ("up_gated_layer", "down_layer") if later else ("gated_layers", "wo")
        weights[f"{prefix}mlp.{both}.weight"] = draw.matrix(2 * inner, hidden)
        weights[f"{prefix}mlp.{down}.weight"], weights[f"{prefix}mlp.{down}.bias"] = (
            draw.matrix(hidden, inner),
            draw.bias(hidden),
        )
        norms = ("layer_norm_1", "layer_norm_2", "attention.self.layer_norm_q", "attention.self.layer_norm_k")
        for name in norms if later else ("mlp.layernorm",):
            weights[f"{prefix}{name}.weight"], weights[f"{prefix}{name}.bias"] = draw.norm(hidden), draw.bias(hidden)
    return config, weights


def wordpiece() -> Tokenizer:
    """Return a tokenizer of BERT's kind."""
    made = Tokenizer(models.WordPiece(unk_token="[UNK]"))  # noqa: S106 - a token of a vocabulary
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    made.train_from_iterator(
        _CORPUS, trainers.WordPieceTrainer(vocab_size=250, special_tokens=special, show_progress=False)
    )
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return made


def unigram() -> Tokenizer:
    """Return a tokenizer of XLM-RoBERTa's kind."""
    made = Tokenizer(models.Unigram())
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    trainer = trainers.UnigramTrainer(vocab_size=200, special_tokens=special, unk_token="<unk>", show_progress=False)  # noqa: S106
    made.train_from_iterator(_CORPUS, trainer)
    made.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return made


def byte_level() -> Tokenizer:
    """Return a tokenizer of Qwen3-Embedding's kind: a text ends in a token."""
    made = Tokenizer(models.BPE())
    made.normalizer = normalizers.NFC()
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        _CORPUS, trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet, show_progress=False)
    )
    made.add_special_tokens([AddedToken("<|endoftext|>"), AddedToken("<|im_start|>"), AddedToken("<|im_end|>")])
    end = made.token_to_id("<|endoftext|>")
    made.post_processor = processors.TemplateProcessing(
        single="$A <|endoftext|>", special_tokens=[("<|endoftext|>", end)]
    )
    return made


def roberta(*, byte_level: bool) -> Tokenizer:
    """Return a tokenizer of the kind of jina-embeddings-v2 in other languages: bytes, or words that were apart at spaces."""
    made = Tokenizer(models.BPE(unk_token="<unk>"))  # noqa: S106 - a token of a vocabulary
    made.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False) if byte_level else pre_tokenizers.Whitespace()
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet() if byte_level else []
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator(_CORPUS, trainer)
    made.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return made


def write_modules(
    folder: Path,
    pooling: str,
    *,
    dense: tuple[tuple[int, int], ...] = (),
    prompts: dict[str, str] | None = None,
    most: int = 0,
) -> None:
    """Write what sentence-transformers keeps beside a transformer; `pooling` is mean_tokens, cls_token or lasttoken."""
    kinds = [
        ("", "Transformer"),
        ("1_Pooling", "Pooling"),
        *((f"{n}_Dense", "Dense") for n in range(2, 2 + len(dense))),
    ]
    listed = [
        {"idx": n, "name": str(n), "path": path, "type": f"sentence_transformers.models.{kind}"}
        for n, (path, kind) in enumerate([*kinds, ("9_Normalize", "Normalize")])
    ]
    (folder / "modules.json").write_text(json.dumps(listed))
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling/config.json").write_text(json.dumps({f"pooling_mode_{pooling}": True}))
    for number, (inputs, outputs) in enumerate(dense, 2):
        said = {
            "in_features": inputs,
            "out_features": outputs,
            "bias": False,
            "activation_function": "torch.nn.Identity",
        }
        (folder / f"{number}_Dense").mkdir()
        (folder / f"{number}_Dense/config.json").write_text(json.dumps(said))
    if prompts is not None:
        (folder / "config_sentence_transformers.json").write_text(json.dumps({"prompts": prompts}))
    if most:
        (folder / "sentence_bert_config.json").write_text(json.dumps({"max_seq_length": most, "do_lower_case": False}))
