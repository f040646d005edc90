"""Checkpoints that say a certain text: each token is followed by another one, whatever came before."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from models.vocab.byte_level import written
from tests.support.checkpoints import write_checkpoint


def write_answering(
    folder: Path,
    random_model: Callable[..., tuple[dict[str, Any], dict[str, np.ndarray]]],
    chain: Sequence[str],
    *,
    control: Sequence[str],
    words: Sequence[str],
    ends: Sequence[str],
    template: str,
    more: Sequence[Sequence[str]] = (),
) -> Path:
    """Write a checkpoint whose blocks add nothing and whose head knows the embedding of the token before.

    Args:
        folder: for the checkpoint.
        random_model: makes configuration and weights, given vocab_size and eos_token_id.
        chain: tokens, each said after the one before; one that is there twice is said after either.
        control: tokens beside the 256 bytes, in the vocabulary as special ones.
        words: the same, as ordinary ones.
        ends: control tokens that end a reply, the usual one first.
        template: of its chats.
        more: other chains.
    """
    texts = [*(written(bytes([byte])) for byte in range(256)), *control, *words]
    ids = {text: number for number, text in enumerate(texts)}
    config, weights = random_model(vocab_size=len(texts), eos_token_id=ids[ends[0]])
    for name, values in weights.items():
        if "o_proj" in name or "down_proj" in name:
            values[:] = 0
    weights["lm_head.weight"] *= 0.01
    for before, after in (pair for tokens in (chain, *more) for pair in pairwise(tokens)):
        weights["lm_head.weight"][ids[after]] += weights["model.embed_tokens.weight"][ids[before]]
    source = write_checkpoint(folder, config, weights)
    added = [{"id": ids[text], "content": text, "special": text in control} for text in (*control, *words)]
    tokenizer = {
        "added_tokens": added,
        "pre_tokenizer": {"type": "ByteLevel", "use_regex": True},
        "model": {"type": "BPE", "vocab": {text: ids[text] for text in texts[:256]}, "merges": []},
    }
    (source / "tokenizer.json").write_text(json.dumps(tokenizer), "utf-8")
    (source / "tokenizer_config.json").write_text(json.dumps({"eos_token": ends[0]}), "utf-8")
    (source / "chat_template.jinja").write_text(template, "utf-8")
    generation = {"eos_token_id": [ids[text] for text in ends]}
    (source / "generation_config.json").write_text(json.dumps(generation), "utf-8")
    return source
