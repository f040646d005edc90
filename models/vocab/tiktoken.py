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
from models.untrusted_json import read_bytes, read_object
from models.vocab.byte_level import written
from models.vocab.pretokenizer import NAMED_RULES, Rules, canonical, name_rules
from models.vocab.vocabulary import NORMALIZATION, TokenType, Vocabulary

QWEN_FILE, HUNYUAN_FILE = "qwen.tiktoken", "hy.tiktoken"
_QWEN_END = "<|endoftext|>"
_QWEN_SPECIAL = (_QWEN_END, "<|im_start|>", "<|im_end|>", *(f"<|extra_{number}|>" for number in range(205)))
_HUNYUAN_SPECIAL = (
    _QWEN_END, "<|startoftext|>", "<|bos|>", "<|eos|>", "<|pad|>", *(f"<|extra_{number}|>" for number in range(205)),
)  # fmt: skip
_LINE = re.compile(rb"([A-Za-z0-9+/]+={0,2}) (\d{1,9})\r?\n")
_LONGEST_TOKEN = 1024
_LONGEST_CODE = 1024 * 1024
_GLM4_CLASS = "ChatGLM4Tokenizer"
_LETTERS = r"\p{L}"


def is_rank_file(path: Path) -> bool:
    """Tell whether a file holds ranks; `tokenizer.model` is the name of sentencepiece models, too."""
    with path.open("rb") as file:
        return _LINE.match(file.read(2 * _LONGEST_TOKEN)) is not None


def read_tiktoken(path: Path, added: Mapping[int, tuple[str, bool]]) -> Vocabulary:
    """Read a file of ranks and the tokens added beside it (id -> text, special).

    Raises:
        BadFile: the file is damaged.
    """
    ranks = _ranks(path)
    if path.name == HUNYUAN_FILE:
        ranks = {token: number for number, token in enumerate(ranks)}
    tokens: dict[int, str | bytes] = {rank: written(token) for token, rank in ranks.items()}
    types = dict.fromkeys(tokens, TokenType.NORMAL)
    special: dict[str, int] = {}
    extra = {}
    if path.name in (QWEN_FILE, HUNYUAN_FILE):
        first = len(ranks)
        hunyuan = path.name == HUNYUAN_FILE
        texts = _HUNYUAN_SPECIAL if hunyuan else _QWEN_SPECIAL
        added = {first + number: (text, True) for number, text in enumerate(texts)} | dict(added)
        special = (
            {"bos": first + 1, "eos": first + 3, "padding": first + 4} if hunyuan else {"bos": first, "eos": first}
        )
        extra = {NORMALIZATION: "NFC"}
    for number, (text, is_special) in added.items():
        if number not in tokens:
            tokens[number], types[number] = text, TokenType.CONTROL if is_special else TokenType.USER_DEFINED
    size = max(tokens) + 1
    if size > 2 * len(tokens):
        raise BadFile(
            "{path} numbers its tokens with gaps ({total} ids for {count} tokens); download it again.",
            path=path,
            total=size,
            count=len(tokens),
        )
    merges, unreached = _merges(ranks)
    pre, warning = _name(path, ignore_merges=unreached)
    return Vocabulary(
        model="gpt2",
        pre=pre,
        tokens=[tokens.get(number, f"[PAD{number}]") for number in range(size)],
        types=[types.get(number, TokenType.UNUSED) for number in range(size)],
        merges=merges,
        special=special,
        flags={"add_bos_token": False},
        extra=extra,
        warnings=() if warning is None else (warning,),
    )


def _ranks(path: Path) -> dict[bytes, int]:
    data = read_bytes(path)
    ranks: dict[bytes, int] = {}
    end = 0
    for match in _LINE.finditer(data if data.endswith(b"\n") else data + b"\n"):
        try:
            token = base64.b64decode(match[1], validate=True)
        except binascii.Error:
            token = b""
        if match.start() != end or not 0 < len(token) <= _LONGEST_TOKEN:
            break
        ranks[token] = int(match[2])
        end = match.end()
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


def _name(path: Path, *, ignore_merges: bool) -> tuple[str, str | None]:
    """Return llama.cpp's name for the rules in the code beside the file, and a warning where they are unknown."""
    for code in sorted(path.parent.glob("tokenization*.py")):
        for expression in _expressions(code):
            return name_rules(Rules((canonical(expression),), ignore_merges))
    if path.name in (QWEN_FILE, HUNYUAN_FILE):
        return "qwen2", None
    # Llama 3 and GLM-4 share these; so far nobody publishes other ranks as `tokenizer.model`.
    name, _ = name_rules(Rules(NAMED_RULES["llama-bpe"].expressions, ignore_merges))
    described = path.with_name("tokenizer_config.json")
    if described.is_file() and read_object(described).get("tokenizer_class") == _GLM4_CLASS:
        return name, None
    return name, (
        f"{path.parent} has no tokenization_*.py, which says how {path.name} cuts texts; Llama 3's and GLM-4's rules are used, "
        "and some words may be cut differently."
    )


def _expressions(code: Path) -> Iterator[str]:
    """Yield the regular expressions for cutting texts in a Python file."""
    data = read_bytes(code)
    if len(data) > _LONGEST_CODE:
        return
    try:
        tree = ast.parse(data)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    for node in ast.walk(tree):
        if isinstance(node, (ast.Constant, ast.BinOp, ast.Call)):
            text = _text(node)
            if text is not None and _LETTERS in text:
                yield text
                return


def _text(node: ast.expr) -> str | None:
    """Return the text of a constant, a sum of texts, or `"|".join([...])`."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            parts = [_text(left), _text(right)]
            return None if None in parts else "".join(part or "" for part in parts)
        case ast.Call(
            func=ast.Attribute(value=ast.Constant(value=str(bar)), attr="join"), args=[ast.List(elts=elements)]
        ):
            parts = [_text(element) for element in elements]
            return None if None in parts else bar.join(part or "" for part in parts)
        case _:
            return None
