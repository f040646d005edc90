"""The 20B vocabulary of GPT-NeoX, which RWKV-4 Pile and Raven use; built in, because their `.pth` files come without it.

Source: EleutherAI/gpt-neox-20b, tokenizer.json (Apache-2.0). `data/gpt_neox_20b.gz` holds the single characters in one line and
the merges below it; every further token is what a merge makes.
"""

from __future__ import annotations

import gzip
from pathlib import Path

from models.vocab.vocabulary import NORMALIZATION, TokenType, Vocabulary

NEOX_SIZE = 50277
"""Tokens, and rows of the embedding of every RWKV-4 model with this vocabulary."""
_LONGEST_SPACES = 24


def neox_vocabulary() -> Vocabulary:
    """Return the built-in vocabulary."""
    data = gzip.decompress(Path(__file__).with_name("data").joinpath("gpt_neox_20b.gz").read_bytes())
    alphabet, *merges = data.decode("utf-8").split("\n")
    control = ["<|endoftext|>", "<|padding|>"]
    learned = [*alphabet, *(merge.replace(" ", "") for merge in merges)]
    spaces = [" " * count for count in range(_LONGEST_SPACES, 1, -1)]
    kinds = ((TokenType.CONTROL, control), (TokenType.NORMAL, learned), (TokenType.USER_DEFINED, spaces))
    return Vocabulary(
        model="gpt2",
        pre="olmo",  # GPT-2's splitting with this tokenizer's other rules
        tokens=[token for _, group in kinds for token in group],
        types=[kind for kind, group in kinds for _ in group],
        merges=merges,
        special={"bos": 0, "eos": 0},
        flags={"add_bos_token": False},
        extra={NORMALIZATION: "NFC"},
    )
