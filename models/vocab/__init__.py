"""Tokenizer files of every kind, read into one `Vocabulary`."""

from models.vocab.reader import read_vocabulary

__all__ = ["read_vocabulary"]
