"""Small sentencepiece models, trained here, with the special pieces of the GLM family."""

from __future__ import annotations

import io
import struct
from typing import Any

import sentencepiece

CORPUS = [
    "你好，世界。知音难觅，高山流水。",
    "人工智能助手可以回答问题：天气、历史、数学！",
    "请问北京今天的天气怎么样？谢谢你的帮助；再见。",
    "The philosophy of people and their sophisticated hopes, written down in plain words.",
    "def main():\n    print('hello world')\t# greeting",
    "for number in range(100): total += number * 2",
    "A quick brown fox jumps over the lazy dog; the dog sleeps.",
    "人们说：people are people 人民 0123456789 [Round 1] 问答",
]


def trained(kind: str, size: int = 330, **options: Any) -> bytes:
    """Return a model file of a kind (bpe, unigram) with byte fallback, as ChatGLM's are."""
    out = io.BytesIO()
    settings = {
        "model_type": kind,
        "vocab_size": size,
        "character_coverage": 1.0,
        "hard_vocab_limit": False,
        "minloglevel": 2,
        **options,
    }
    lines = [line for text in CORPUS for line in text.split("\n")]
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(lines * 4), model_writer=out, **settings)
    return out.getvalue()


def with_pieces(model: bytes, pieces: list[tuple[str, int]], *, byte_fallback: bool = False) -> bytes:
    """Append pieces (text, type) of score 0 to a model file, as the first release of ChatGLM-6B does when it runs."""
    for text, kind in pieces:
        data = text.encode()
        piece = b"\x0a" + bytes([len(data)]) + data + b"\x15" + struct.pack("<f", 0.0) + b"\x18" + bytes([kind])
        model += b"\x0a" + bytes([len(piece)]) + piece
    trainer = b"\x98\x02\x01"  # byte_fallback (field 35) of trainer_spec (field 2), merged into the one before
    return model + (b"\x12" + bytes([len(trainer)]) + trainer if byte_fallback else b"")


def processor(model: bytes) -> sentencepiece.SentencePieceProcessor:
    """Return the library's own tokenizer."""
    return sentencepiece.SentencePieceProcessor(model_proto=model)
