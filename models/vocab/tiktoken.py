"""Tiktoken's files: one token a line, base64 and rank (`qwen.tiktoken`, `hy.tiktoken`, GLM-4's `tokenizer.model`).

Sources: openai/tiktoken, tiktoken/load.py and src/lib.rs (a piece that is a token is taken whole; else neighbours merge, those of
the lowest rank first); Qwen/Qwen-7B, tokenization_qwen.py, and tencent/Hunyuan-7B-Instruct, tokenization_hy.py (special tokens;
Hunyuan's tokens are numbered in the order of their lines). The files name no merges and no rules for cutting a text: the merges
follow from the ranks, the rules stand in the publisher's Python code beside, which is read, never run.
"""

from __future__ import annotations

import ast
import base64
import binascii
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from models.errors import BadFile
from models.sentence import Sentence
from models.untrusted_json import LARGEST, read_bytes, read_start
from models.vocab.byte_level import written
from models.vocab.pretokenizer import NAMED_RULES, Rules, canonical, name_rules
from models.vocab.special import read_tokenizer_config
from models.vocab.structures import AddedToken
from models.vocab.vocabulary import NORMALIZATION, TokenType, Vocabulary, by_number

QWEN_FILE, HUNYUAN_FILE = "qwen.tiktoken", "hy.tiktoken"
_QWEN_END = "<|endoftext|>"
_QWEN_SPECIAL = (_QWEN_END, "<|im_start|>", "<|im_end|>", *(f"<|extra_{number}|>" for number in range(205)))
_HUNYUAN_SPECIAL = (
    _QWEN_END, "<|startoftext|>", "<|bos|>", "<|eos|>", "<|pad|>", *(f"<|extra_{number}|>" for number in range(205)),
)  # fmt: skip
_LINE = re.compile(rb"([A-Za-z0-9+/]{2,1366}={0,2}) (\d{1,6})\r?\n")
"""A token of at most 1024 bytes and its rank."""
_LONGEST_LINE = 2048
_MOST_WORK = 64_000_000
"""Sum of the squares of the tokens' lengths, which finding the merges takes; the largest published files have 20 million."""
_LONGEST_CODE = 256 * 1024
_LONGEST_EXPRESSION = 16 * 1024
_GLM4_CLASS = "ChatGLM4Tokenizer"
_LETTERS = r"\p{L}"


def is_rank_file(path: Path) -> bool:
    """Tell whether a file holds ranks; `tokenizer.model` is the name of sentencepiece models, too."""
    return _LINE.match(read_start(path, _LONGEST_LINE)) is not None


def read_tiktoken(path: Path, added: Mapping[int, AddedToken]) -> Vocabulary:
    """Read a file of ranks and the tokens added beside it, by their ids.

    Raises:
        BadFile: the file is damaged.
    """
    ranks = _ranks(path)
    if path.name == HUNYUAN_FILE:
        ranks = {token: number for number, token in enumerate(ranks)}
    by_id: dict[int, tuple[str | bytes, TokenType]] = {
        rank: (written(token), TokenType.NORMAL) for token, rank in ranks.items()
    }
    special: dict[str, int] = {}
    extra = {}
    if path.name in (QWEN_FILE, HUNYUAN_FILE):
        first = len(ranks)
        hunyuan = path.name == HUNYUAN_FILE
        texts = _HUNYUAN_SPECIAL if hunyuan else _QWEN_SPECIAL
        own = {first + number: AddedToken(first + number, text, special=True) for number, text in enumerate(texts)}
        added = own | dict(added)
        special = (
            {"bos": first + 1, "eos": first + 3, "padding": first + 4} if hunyuan else {"bos": first, "eos": first}
        )
        extra = {NORMALIZATION: "NFC"}
    for number, token in added.items():
        kind = TokenType.CONTROL if token.special else TokenType.USER_DEFINED
        by_id.setdefault(number, (token.content, kind))
    tokens, types = by_number(path, by_id)
    merges, unreached = _merges(ranks)
    pre, warning = _name(path, ignore_merges=unreached)
    return Vocabulary(
        model="gpt2",
        pre=pre,
        tokens=tokens,
        types=types,
        merges=merges,
        special=special,
        flags={"add_bos_token": False},
        extra=extra,
        added=added,
        warnings=() if warning is None else (warning,),
    )


def _ranks(path: Path) -> dict[bytes, int]:
    data = read_bytes(path, largest=LARGEST)
    lines = data if data.endswith(b"\n") else data + b"\n"
    ranks: dict[bytes, int] = {}
    end = work = 0
    while work <= _MOST_WORK and (match := _LINE.match(lines, end)) is not None:
        try:
            token = base64.b64decode(match[1], validate=True)
        except binascii.Error:
            break
        ranks[token] = int(match[2])
        end = match.end()
        work += len(token) ** 2
    if (
        end < len(data)
        or len(set(ranks.values())) != len(ranks)
        or any(bytes([byte]) not in ranks for byte in range(256))
    ):
        raise BadFile("{path} is not a whole file of tiktoken's ranks; download it again.", path=path)
    return ranks


def _merges(ranks: Mapping[bytes, int]) -> tuple[list[str], bool]:
    """Return the merge that makes each token, by rank, and whether there are tokens that merging does not reach.

    A token comes of the two parts that merges of lower ranks leave of its bytes.
    """
    merges = []
    unreached = False
    for token, rank in sorted(ranks.items(), key=lambda item: item[1]):
        if len(token) < 2:
            continue
        parts = _parts(token, ranks, rank)
        if len(parts) == 2:
            merges.append(f"{written(parts[0])} {written(parts[1])}")
        else:
            unreached = True
    return merges, unreached


def _parts(token: bytes, ranks: Mapping[bytes, int], limit: int) -> list[bytes]:
    """Merge a token's bytes as far as ranks below `limit` allow."""
    parts = [token[at : at + 1] for at in range(len(token))]
    while len(parts) > 1:
        pairs = (ranks.get(parts[at] + parts[at + 1], limit) for at in range(len(parts) - 1))
        rank, at = min((rank, at) for at, rank in enumerate(pairs))
        if rank >= limit:
            break
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return parts


def _name(path: Path, *, ignore_merges: bool) -> tuple[str, Sentence | None]:
    """Return llama.cpp's name for the rules in the code beside the file, and a warning where they are unknown."""
    for code in sorted(path.parent.glob("tokenization*.py")):
        for expression in _expressions(code):
            return name_rules(Rules((canonical(expression),), ignore_merges))
    if path.name in (QWEN_FILE, HUNYUAN_FILE):
        return "qwen2", None
    # Llama 3 and GLM-4 share these; so far nobody publishes other ranks as `tokenizer.model`.
    name, _ = name_rules(Rules(NAMED_RULES["llama-bpe"].expressions, ignore_merges))
    if read_tokenizer_config(path.parent).tokenizer_class == _GLM4_CLASS:
        return name, None
    return name, Sentence(
        "{folder} has no tokenization_*.py, which says how {file} cuts texts; Llama 3's and GLM-4's rules are used, and some "
        "words may be cut differently.",
        folder=path.parent,
        file=path.name,
    )


def _expressions(code: Path) -> Iterator[str]:
    """Yield the regular expression for cutting texts in a Python file."""
    data = read_bytes(code)
    if len(data) > _LONGEST_CODE:
        return
    try:
        nodes = [node for node in ast.walk(ast.parse(data)) if isinstance(node, ast.expr)]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    texts: dict[ast.expr, str] = {}
    for node in reversed(nodes):  # parts before what is made of them
        text = _text(node, texts)
        if text is not None and len(text) <= _LONGEST_EXPRESSION:
            texts[node] = text
    yield from (texts[node] for node in nodes if _LETTERS in texts.get(node, ""))


def _text(node: ast.expr, texts: Mapping[ast.expr, str]) -> str | None:
    """Return the text of a constant, a sum of texts, or `"|".join([...])`, whose parts are known."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            bar, parts = "", [left, right]
        case ast.Call(
            func=ast.Attribute(value=ast.Constant(value=str(bar)), attr="join"), args=[ast.List(elts=elements)]
        ):
            parts = elements
        case _:
            return None
    known = [texts[part] for part in parts if part in texts]
    return bar.join(known) if len(known) == len(parts) else None
