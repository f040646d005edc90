"""The pre-tokenizer's name (`tokenizer.ggml.pre`), found from the tokenizer's own rules.

llama.cpp has a fixed set of named rules (src/llama-vocab.cpp, `llm_tokenizer_bpe`); tokenizer.json and tiktoken's users spell the
rules out. Comparing rules instead of model names serves every fine-tune of a known tokenizer; rules that nobody has named get
the name of those that they share most with.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher

from models.sentence import Sentence
from models.vocab.structures import Pattern, Step

_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_WORDS = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_SPACES = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_REST = rf" ?[^\s\p{{L}}\p{{N}}]+[\r\n]*|{_SPACES}"
_LLAMA3 = rf"{_CONTRACTIONS}|{_WORDS}|\p{{N}}{{1,3}}|{_REST}"
_QWEN2 = rf"{_CONTRACTIONS}|{_WORDS}|\p{{N}}|{_REST}"
_QWEN35 = (
    rf"{_CONTRACTIONS}|[^\r\n\p{{L}}\p{{N}}]?[\p{{L}}\p{{M}}]+|\p{{N}}| ?[^\s\p{{L}}\p{{M}}\p{{N}}]+[\r\n]*|{_SPACES}"
)
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_CASED = tuple(rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}{a}{_LOWER}{b}" for a, b in (("*", "+"), ("+", "*")))
_SLASHED_REST = rf" ?[^\s\p{{L}}\p{{N}}]+[\r\n/]*|{_SPACES}"
_TEKKEN = rf"{_CASED[0]}|{_CASED[1]}|\p{{N}}|{_SLASHED_REST}"
_GPT4O = rf"{_CASED[0]}{_CONTRACTIONS}?|{_CASED[1]}{_CONTRACTIONS}?|\p{{N}}{{1,3}}|{_SLASHED_REST}"
_DEEPSEEK3 = (
    r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|"""
    + _SPACES
)
_CJK_AND_KANA = "[一-龥぀-ゟ゠-ヿ]+"
_KIMI_UPPER, _KIMI_LOWER = (f"{group[:-1]}&&[^\\p{{Han}}]]" for group in (_UPPER, _LOWER))
_KIMI = (
    rf"[\p{{Han}}]+|[^\r\n\p{{L}}\p{{N}}]?{_KIMI_UPPER}*{_KIMI_LOWER}+{_CONTRACTIONS}?|"
    rf"[^\r\n\p{{L}}\p{{N}}]?{_KIMI_UPPER}+{_KIMI_LOWER}*{_CONTRACTIONS}?|\p{{N}}{{1,3}}|{_REST}"
)
_BAILING = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
_SEED = rf"{_CONTRACTIONS}|{_WORDS}|\p{{N}}{{1}}| ?[^\s\p{{L}}\p{{N}}\r\n]+|{_SPACES}"
_LETTERS_OF_DEEPSEEK = (
    "\\s?[A-Za-z\u00b5À-ÖØ-öø-ƺƼ-ƿ\u01c4-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-\u03f5Ϸ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅ"
    "ὐ-ὗὙὛὝὟ-\u1f7dᾀ-ᾴᾶ-ᾼ\u1fbeῂ-ῄῆ-ῌῐ-\u1fd3ῖ-\u1fdbῠ-Ῥῲ-ῴῶ-ῼ\u2102\u2107\u210a-\u2113\u2115\u2119-\u211d\u2124"
    "\u2126\u2128\u212a-\u212d\u212f-\u2134\u2139\u213c-\u213f\u2145-\u2149ⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿ\ufb00-"
    "\ufb06\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+"
)
_CJK_OF_DEEPSEEK = "[一-龥ࠀ-一가-\ud7ff]+"
_DIGIT, _DIGITS = r"\p{N}", r"\p{N}+"
_PUNCTUATION = r"[\p{P}$+<=>^~|`]+"


@dataclass(frozen=True)
class Rules:
    """How one tokenizer cuts a text before it merges."""

    expressions: tuple[str, ...]
    """Each cuts the pieces that the one before left: its matches, and what lies between them."""
    ignore_merges: bool = False
    """A piece that is a token as a whole is not merged from bytes."""


NAMED_RULES: dict[str, Rules] = {
    "gpt-2": Rules((_GPT2,)),
    "smollm": Rules((_DIGIT, _GPT2)),
    "llama-bpe": Rules((_LLAMA3,), True),
    "chatglm-bpe": Rules((_LLAMA3,)),
    "minicpm5": Rules((r"\p{N}{1,3}", _LLAMA3.replace(r"\p{N}{1,3}", _DIGITS)), True),
    "qwen2": Rules((_QWEN2,)),
    "qwen35": Rules((_QWEN35,)),
    "deepseek-llm": Rules(
        (
            r"[\r\n]",
            _LETTERS_OF_DEEPSEEK,
            "\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e‘-‟\u3000-。]+",
            r"\s+$",
            _CJK_OF_DEEPSEEK,
            _DIGITS,
        )
    ),
    "deepseek-coder": Rules((r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", _CJK_OF_DEEPSEEK, _DIGIT)),
    "deepseek-v3": Rules((r"\p{N}{1,3}", _CJK_AND_KANA, _DEEPSEEK3)),
    "tekken": Rules((_TEKKEN,), True),
    "gpt-4o": Rules((_GPT4O,)),
    "kimi-k2": Rules((_KIMI,)),
    "bailingmoe": Rules((_BAILING,)),
    "seed-coder": Rules((_SEED,)),
    "falcon": Rules((_PUNCTUATION, _GPT2, "[0-9][0-9][0-9]")),
    "bloom": Rules((r" ?[^(\s|.,!?…。，、।۔،)]+",)),
    "viking": Rules((r" ?[^(\s|.,!?…。，、।۔،)]+", _DIGIT)),
}
"""llama.cpp's name -> rules, one name where several behave alike (hunyuan, megrez, stablelm2 … cut as qwen2 does)."""

_SPACES_OUTSIDE_ASCII = Sentence(
    "Spaces outside of ASCII, such as the ideographic one, become other tokens than the publisher's: llama.cpp does not take "
    "them for spaces with this tokenizer."
)
LIMITS: dict[str, Sentence] = {
    "tekken": Sentence(
        "Words with combining marks, as in Hindi, Thai and Arabic with vowel signs, become other tokens than the publisher's: "
        "llama.cpp cuts them at the marks with this tokenizer."
    ),
    **dict.fromkeys(("deepseek-llm", "deepseek-coder", "falcon"), _SPACES_OUTSIDE_ASCII),
}
"""What llama.cpp does otherwise than rules that it has a name for."""
_GLM_MARK = "[gMASK]"
_LONGEST = 4000
"""Characters of expressions that are compared; the longest known ones have 500."""


def name_pretokenizer(step: Step | None, *, ignore_merges: bool, added: Iterable[str]) -> tuple[str, Sentence | None]:
    """Return llama.cpp's name for a tokenizer.json's rules, and a warning when the rules are new to llama.cpp.

    Args:
        step: its pre-tokenizer.
        ignore_merges: as `Rules` have it.
        added: texts of its added tokens.
    """
    expressions = () if step is None else tuple(rule for leaf in step.leaves() for rule in _rules(leaf))
    name, warning = name_rules(Rules(expressions, ignore_merges))
    # The same rules; this name alone tells llama.cpp that there is no beginning-of-sequence token.
    return ("glm4" if name == "llama-bpe" and _GLM_MARK in added else name), warning


def name_rules(rules: Rules) -> tuple[str, Sentence | None]:
    """Return llama.cpp's name for rules, and a warning unless it cuts exactly so."""
    for name, named in NAMED_RULES.items():
        if named == rules:
            return name, LIMITS.get(name)
    same = [name for name, named in NAMED_RULES.items() if named.expressions == rules.expressions]
    if same:  # looking whole pieces up matters only for tokens that merging does not reach
        return same[0], LIMITS.get(same[0])
    shown = json.dumps(rules.expressions, ensure_ascii=False)[:300]
    nearest = max(NAMED_RULES, key=lambda name: _likeness(rules, NAMED_RULES[name]))
    common = _likeness(rules, NAMED_RULES[nearest])[0]
    return nearest, Sentence(
        "The tokenizer cuts texts by rules that llama.cpp has no name for ({rules}); the nearest, {nearest}, which shares "
        "{part:.0%} of their parts, is used, and some words may be cut differently.",
        rules=shown,
        nearest=nearest,
        part=common,
    )


def canonical(expression: str) -> str:
    """Return an expression with line ends written as escapes: publishers write them either way."""
    return expression.replace("\r", r"\r").replace("\n", r"\n").replace("\t", r"\t")


def _likeness(rules: Rules, named: Rules) -> tuple[float, float, bool]:
    """Return how alike rules are: the share of common alternatives, of common text, the same look-up of whole pieces."""
    left, right = ("\n".join(one.expressions)[:_LONGEST] for one in (rules, named))
    mine, theirs = Counter(_alternatives(left)), Counter(_alternatives(right))
    common = 2 * sum((mine & theirs).values()) / (sum(mine.values()) + sum(theirs.values()))
    text = SequenceMatcher(None, left, right, autojunk=False).ratio()
    return common, text, rules.ignore_merges == named.ignore_merges


def _alternatives(text: str) -> Iterator[str]:
    """Cut regular expressions at the bars that lie outside all brackets."""
    start = depth = 0
    in_set = escaped = False
    for at, character in enumerate(text):
        if escaped or character == "\\":
            escaped = not escaped
        elif in_set or character == "[":
            in_set = character != "]"
        elif character in "()":
            depth += 1 if character == "(" else -1
        elif depth == 0 and character in "|\n":
            yield text[start:at]
            start = at + 1
    yield text[start:]


def _rules(step: Step) -> Iterator[str]:
    """Yield the regular expression of a pre-tokenizer that is no sequence, where it has one."""
    kind = step.type
    if kind == "Split":
        pattern = step.pattern or Pattern()
        yield canonical(pattern.Regex or "") if pattern.String is None else re.escape(pattern.String)
    elif kind == "Digits":
        yield _DIGIT if step.individual_digits else _DIGITS
    elif kind == "Punctuation":
        yield _PUNCTUATION if step.behavior == "Contiguous" else _PUNCTUATION.removesuffix("+")
    elif kind == "ByteLevel" and step.use_regex is not False:
        yield _GPT2
    elif kind not in ("ByteLevel", None):
        yield kind
