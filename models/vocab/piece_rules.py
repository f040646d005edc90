"""The rules of a tokenizer.json from a piece to tokens, as stored in a GGUF file of ours."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

KEY = "zhiyin.tokenizer.pieces"
"""GGUF key: the rules as JSON; with them nothing is left to llama.cpp's tokenizer."""
MERGES = "zhiyin.tokenizer.merges"
"""GGUF key: the ids of BPE's merges, two each."""
NO_PIECES = "zhiyin.tokenizer.no_pieces"
"""GGUF key: the ids of added tokens whose texts are no pieces: the model's own vocabulary lacks them."""
SCORES = "zhiyin.tokenizer.scores"
"""GGUF key: Unigram's scores as JSON, where they are no 32-bit floats: which way is the better one may hang on the rest."""


class PieceRules(msgspec.Struct, omit_defaults=True):
    """Rules of one model."""

    type: str = "BPE"
    """Or "Unigram", "WordPiece", "WordLevel"."""
    unknown: int | None = None
    """The token of what is in no other."""
    fuse_unknown: bool = False
    """Of several unknown characters in a row there is one such token."""
    byte_fallback: bool = False
    """Unknown characters are spelled in bytes."""
    ignore_merges: bool = False
    """A piece that is a token as a whole is not merged from its parts."""
    prefix: str = ""
    """Of characters inside a word."""
    suffix: str = ""
    """Of the last one."""
    longest: int = 100
    """WordPiece: a word of more characters is unknown."""
    writes_bytes: bool = False
    """Pieces are still to be written in the alphabet of bytes."""
    plain: bool = False
    """Tokens stand in replies as they are, but for what follows."""
    joined: str | None = None
    """What comes in front of one without `prefix`; None: nothing, and a `suffix` becomes a space."""
    cleanup: bool = False
    """Spaces in front of punctuation are left out."""

    def written(self, token: str) -> str:
        """Return what a token stands for where `plain` says so."""
        if self.joined is None:
            return token.replace(self.suffix, " ") if self.suffix else token
        continues = self.prefix and token.startswith(self.prefix)
        return self._cleaned(token[len(self.prefix) :] if continues else self.joined + token)

    def written_first(self, token: str) -> str:
        """Return the same of a text's first token: nothing is in front of it, and it keeps its `prefix`."""
        return self.written(token) if self.joined is None else self._cleaned(token)

    def ends_word(self, token: str) -> bool:
        """Tell whether a token's last space, which `written` gives it, is left out at the end of a text."""
        return self.joined is None and bool(self.suffix) and token.endswith(self.suffix)

    def _cleaned(self, text: str) -> str:
        for spaced, close in _CLEANED if self.cleanup else ():
            text = text.replace(spaced, close)
        return text


_CLEANED = (
    *((f" {mark}", mark) for mark in (".", "?", "!", ",")),
    (" ' ", "'"),
    (" n't", "n't"),
    (" 'm", "'m"),
    (" do not", " don't"),
    (" 's", "'s"),
    (" 've", "'ve"),
    (" 're", "'re"),
)
"""huggingface/tokenizers, decoders/wordpiece.rs (`cleanup`)."""


def bytes_of(ids: Mapping[str, int]) -> dict[int, int]:
    """Return the ids of the tokens that stand for single bytes."""
    return {byte: ids[text] for byte in range(256) if (text := f"<0x{byte:02X}>") in ids}
