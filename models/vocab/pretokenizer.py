"""The pre-tokenizer's name (`tokenizer.ggml.pre`), found from the tokenizer's own rules.

llama.cpp has a fixed set of named rules (src/llama-vocab.cpp); tokenizer.json spells the rules out. Comparing rules instead of
model names serves every fine-tune of a known tokenizer.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_WORDS = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_REST = r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_LLAMA3 = rf"{_CONTRACTIONS}|{_WORDS}|\p{{N}}{{1,3}}|{_REST}"
_QWEN2 = rf"{_CONTRACTIONS}|{_WORDS}|\p{{N}}|{_REST}"
_QWEN35 = (
    rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?[\p{{L}}\p{{M}}]+|\p{{N}}| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
)
_DEEPSEEK3 = (
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
)
_DIGIT = r"\p{N}"

_KNOWN: dict[tuple[tuple[str, ...], bool], str] = {
    ((_GPT2,), False): "gpt-2",
    ((_DIGIT, _GPT2), False): "smollm",
    ((_LLAMA3,), True): "llama-bpe",
    ((_LLAMA3,), False): "chatglm-bpe",
    ((_QWEN2,), False): "qwen2",
    ((_QWEN35,), False): "qwen35",
    ((r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+", _DEEPSEEK3), False): "deepseek-v3",
    ((r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", "[一-龥ࠀ-一가-퟿]+", _DIGIT), False): "deepseek-coder",
}
"""(regular expressions in their order, ignore_merges) -> llama.cpp's name."""

_NEAREST = "gpt-2"


def name_pretokenizer(tokenizer: Mapping[str, Any]) -> tuple[str, str | None]:
    """Return llama.cpp's name for a tokenizer.json's rules, and a warning when the rules are new to llama.cpp."""
    rules = tuple(_rules(tokenizer.get("pre_tokenizer")))
    ignore_merges = bool(_section(tokenizer, "model").get("ignore_merges"))
    for merges in (ignore_merges, not ignore_merges):
        name = _KNOWN.get((rules, merges)) or _by_first_rules(rules, merges)
        if name is not None:
            return name, None
    shown = json.dumps(rules, ensure_ascii=False)[:300]
    return _NEAREST, (
        f"The tokenizer splits text by rules that llama.cpp has no name for ({shown}); the nearest, {_NEAREST}, is used, and "
        "some words may be cut differently."
    )


def _by_first_rules(rules: tuple[str, ...], ignore_merges: bool) -> str | None:
    """Recognise DeepSeek-LLM, whose letter ranges are too long to repeat here, by the rules around them."""
    is_deepseek = len(rules) == 6 and rules[0] == r"[\r\n]" and rules[1].startswith(r"\s?[A-Za-zµ")
    return "deepseek-llm" if is_deepseek and rules[3] == r"\s+$" and not ignore_merges else None


def _rules(step: Any) -> Iterator[str]:
    """Yield the regular expressions of a pre-tokenizer and of its parts."""
    if not isinstance(step, dict):
        return
    kind = step.get("type")
    if kind == "Sequence":
        for part in step.get("pretokenizers") or ():
            yield from _rules(part)
    elif kind == "Split":
        pattern = _section(step, "pattern")
        yield str(pattern.get("Regex") or pattern.get("String") or "")
    elif kind == "Digits":
        yield _DIGIT if step.get("individual_digits") else r"\p{N}+"
    elif kind == "ByteLevel" and step.get("use_regex", True):
        yield _GPT2
    elif kind not in ("ByteLevel", None):
        yield str(kind)


def _section(value: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = value.get(key)
    return found if isinstance(found, dict) else {}
