"""Hugging Face's `tokenizer.json`: byte-level BPE, and sentencepiece-like BPE with byte fallback.

Source of the format: huggingface/tokenizers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from models.errors import BadFile, UnsupportedModel
from models.untrusted_json import LARGEST_TABLE, read_bytes, read_object
from models.vocab.pretokenizer import NAMED_RULES, name_pretokenizer
from models.vocab.vocabulary import NORMALIZATION, TokenType, Vocabulary

_LARGEST_VOCABULARY = 4_000_000
_QWEN_CLASSES = ("Qwen2Tokenizer", "Qwen2TokenizerFast")
_GPT2_CLASSES = ("GPT2Tokenizer", "CodeGenTokenizer")
_NORMAL_FORMS = ("NFC", "NFD", "NFKC", "NFKD")
_BYTE_TOKEN = re.compile(r"<0x[0-9A-F]{2}>")


def read_tokenizer_json(path: Path) -> Vocabulary:
    """Read a tokenizer.json.

    Raises:
        BadFile: it is damaged.
        UnsupportedModel: its model is not BPE.
    """
    return _vocabulary(path, read_object(path, largest=LARGEST_TABLE))


def read_vocab_and_merges(folder: Path, added: Mapping[int, tuple[str, bool]]) -> Vocabulary:
    """Read vocab.json and merges.txt, as tokenizers not written in Rust leave them, and the tokens added beside them.

    The rules for cutting a text stand in the tokenizer's class, whose name tokenizer_config.json gives.

    Raises:
        BadFile: one is damaged.
    """
    path, described = folder / "vocab.json", folder / "tokenizer_config.json"
    name = str(read_object(described).get("tokenizer_class")) if described.is_file() else ""
    steps = [_split(NAMED_RULES["qwen2"].expressions[0])] if name in _QWEN_CLASSES else []
    lines = read_bytes(folder / "merges.txt").decode("utf-8", "replace").split("\n")
    merges = [line.rstrip("\r") for line in lines if line.strip() and not line.startswith("#version")]
    vocabulary = _vocabulary(
        path,
        {
            "normalizer": {"type": "NFC"} if steps else None,
            "pre_tokenizer": {
                "type": "Sequence",
                "pretokenizers": [*steps, {"type": "ByteLevel", "use_regex": not steps}],
            },
            "added_tokens": [
                {"id": number, "content": text, "special": special} for number, (text, special) in added.items()
            ],
            "model": {"type": "BPE", "vocab": read_object(path, largest=LARGEST_TABLE), "merges": merges},
        },
    )
    known = steps or name.removesuffix("Fast") in _GPT2_CLASSES
    warning = (
        f"{folder} has no tokenizer.json, and its tokenizer's class ({name or 'none is named'}) is not known here; texts are cut "
        "by GPT-2's rules, and some words may be cut differently."
    )
    return vocabulary if known else replace(vocabulary, warnings=(*vocabulary.warnings, warning))


def _split(expression: str) -> dict[str, Any]:
    return {"type": "Split", "pattern": {"Regex": expression}}


def _vocabulary(path: Path, tokenizer: dict[str, Any]) -> Vocabulary:
    model = tokenizer.get("model")
    if not isinstance(model, dict) or not isinstance(model.get("vocab"), dict):
        kind = model.get("type") if isinstance(model, dict) else None
        if kind in (None, "BPE"):
            raise BadFile("{path} has no vocabulary; download it again.", path=path)
        raise UnsupportedModel(
            "{path} is a tokenizer of type {kind}; Zhiyin converts BPE tokenizers.", path=path, kind=kind
        )
    tokens, types = _tokens(path, tokenizer, model)
    if model.get("byte_fallback"):
        return _sentencepiece_like(path, tokenizer, model, tokens, types)
    pre, warning = name_pretokenizer(tokenizer)
    return Vocabulary(
        model="gpt2",
        pre=pre,
        tokens=tokens,
        types=types,
        merges=_merges(path, model),
        extra=_normalization(tokenizer),
        warnings=() if warning is None else (warning,),
    )


def _normalization(tokenizer: dict[str, Any]) -> dict[str, str]:
    """Return the GGUF key for a Unicode normal form, where the tokenizer asks for one."""
    steps = [tokenizer.get("normalizer")]
    while steps:
        step = steps.pop()
        if isinstance(step, dict):
            steps += step.get("normalizers") or []
            if step.get("type") in _NORMAL_FORMS:
                return {NORMALIZATION: str(step["type"])}
    return {}


def _tokens(path: Path, tokenizer: dict[str, Any], model: dict[str, Any]) -> tuple[list[str | bytes], list[TokenType]]:
    by_id: dict[int, tuple[str, TokenType]] = {
        number: (text, TokenType.NORMAL) for text, number in model["vocab"].items() if isinstance(number, int)
    }
    for entry in tokenizer.get("added_tokens") or ():
        if isinstance(entry, dict) and isinstance(entry.get("id"), int) and isinstance(entry.get("content"), str):
            kind = TokenType.CONTROL if entry.get("special") else TokenType.USER_DEFINED
            by_id[entry["id"]] = (entry["content"], kind)
    if not by_id or min(by_id) < 0 or max(by_id) > _LARGEST_VOCABULARY:
        raise BadFile("{path} has token ids out of all bounds; download it again.", path=path)
    tokens: list[str | bytes] = []
    types: list[TokenType] = []
    for number in range(max(by_id) + 1):
        text, kind = by_id.get(number, (f"[PAD{number}]", TokenType.UNUSED))
        tokens.append(text)
        types.append(kind)
    return tokens, types


def _merges(path: Path, model: dict[str, Any]) -> list[str]:
    """Return the merges as "left right"; newer files hold pairs, older ones such strings."""
    merges = []
    for merge in model.get("merges") or ():
        if isinstance(merge, str):
            merges.append(merge)
        elif isinstance(merge, list) and len(merge) == 2 and all(isinstance(part, str) for part in merge):
            # A space inside a part would read as the separator; byte-level alphabets write it as another character.
            merges.append(" ".join(part.replace(" ", "\u0120") for part in merge))
        else:
            raise BadFile(
                "{path} has a merge that is no pair ({merge}); download it again.", path=path, merge=str(merge)[:40]
            )
    return merges


def _sentencepiece_like(
    path: Path,
    tokenizer: dict[str, Any],
    model: dict[str, Any],
    tokens: list[str | bytes],
    types: list[TokenType],
) -> Vocabulary:
    """Bring a converted sentencepiece BPE back: a piece's score is minus its rank, as sentencepiece numbers it."""
    ranks: dict[str, int] = {}
    for rank, merge in enumerate(_merges(path, {"merges": model.get("merges")})):
        ranks.setdefault(merge.replace(" ", "").replace("\u0120", " "), rank)
    scores = []
    for number, text in enumerate(tokens):
        if types[number] is TokenType.NORMAL and _BYTE_TOKEN.fullmatch(str(text)):
            types[number] = TokenType.BYTE
        # Pieces that no merge makes are single characters, which come after all merges in a sentencepiece model.
        ranked = types[number] is TokenType.NORMAL
        scores.append(-float(ranks.get(str(text), len(ranks) + number)) if ranked else 0.0)
    unknown = model.get("unk_token")
    special = {}
    if unknown in model["vocab"]:
        special["unknown"] = model["vocab"][unknown]
        types[special["unknown"]] = TokenType.UNKNOWN
    return Vocabulary(
        model="llama",
        pre="default",
        tokens=tokens,
        types=types,
        scores=scores,
        special=special,
        flags={"add_space_prefix": _adds_space(tokenizer)},
    )


def _adds_space(tokenizer: dict[str, Any]) -> bool:
    """Tell whether a text gets a space in front: a Prepend normaliser or a Metaspace step says so."""
    steps = [tokenizer.get("normalizer"), tokenizer.get("pre_tokenizer")]
    while steps:
        step = steps.pop()
        if not isinstance(step, dict):
            continue
        steps += step.get("normalizers") or step.get("pretokenizers") or []
        if step.get("type") == "Prepend":
            return True
        if step.get("type") == "Metaspace":
            return step.get("prepend_scheme", "always") != "never" and bool(step.get("add_prefix_space", True))
    return False
