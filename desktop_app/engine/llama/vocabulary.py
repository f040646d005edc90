"""llama.cpp's tokenizers: of a model that it has loaded, or of any file's vocabulary alone."""

from __future__ import annotations

import ctypes
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import llama_cpp.llama_cpp as llama

from desktop_app.engine.llama.loading import load_model
from models.errors import BadFile, ZhiyinError
from models.vocab.vocabulary import ENDS, NORMALIZATION, PREFIX
from models.vocab.wordpiece_tokenizer import WordPieceTokenizer

_DEMOTED = ("<|start|>", "<|channel|>", "<|message|>", "<|constrain|>", "<|end|>")
"""gpt-oss's control tokens, which llama.cpp takes for ordinary ones whatever the file says (src/llama-vocab.cpp)."""
_SPACE = "▁"
_WORDPIECE_UNKNOWN = 100
"""llama.cpp's own, where a file does not say."""
_CUT = "\ufdd0"
_NORMAL_FORMS = ("NFC", "NFD", "NFKC", "NFKD")


def without_tokenizer() -> ZhiyinError:
    """Return the error of a model that knows no text."""
    return ZhiyinError(
        "This model was converted without a tokenizer; name token ids (--ids), or convert it with one.",
        code="no-tokenizer",
    )


class LlamaVocabulary:
    """A vocabulary in llama.cpp."""

    def __init__(self, pointer: llama.llama_vocab_p, metadata: Mapping[str, Any] | None = None) -> None:
        """Wrap the vocabulary of a model that stays loaded.

        Args:
            pointer: llama.cpp's.
            metadata: the file's, which may be wrong: ids that begin every input, further ends of a reply, texts' normal form.
        """
        said = metadata or {}
        self._vocab = pointer
        self._empty = llama.llama_vocab_type(pointer) == llama.LLAMA_VOCAB_TYPE_NONE
        """llama.cpp ends the process when asked about tokens of a file without any."""
        self._pieces: dict[int, bytes] = {}
        self._control: tuple[str, ...] | None = None
        self.pointer = pointer
        """llama.cpp's own, for what it does by itself with a vocabulary."""
        self.size = int(llama.llama_vocab_n_tokens(pointer))
        self._bytes_left, self._characters = self._spelling()
        self._wordpiece = self._wordpiece_tokenizer(said)
        self._demoted: dict[int, str] = {} if self._empty else dict(self._find_demoted())
        self._prefix = self._ids(said.get(PREFIX))
        self._ends = frozenset(self._ids(said.get(ENDS)))
        self._normal_form = said.get(NORMALIZATION)
        self.bos_text = "".join(map(self._text, self._prefix or [llama.llama_vocab_bos(pointer)]))
        self.eos_text = self._text(llama.llama_vocab_eos(pointer))

    def tokenize(self, text: str, *, add_special: bool, special: bool) -> list[int]:
        """Return token ids.

        Raises:
            ZhiyinError: the model has no tokenizer, or a damaged one.
        """
        if self._empty:
            raise without_tokenizer()
        if self._normal_form in _NORMAL_FORMS:
            text = unicodedata.normalize(self._normal_form, text)
        if self._wordpiece is not None:
            return self._wordpieces(self._wordpiece, text, add_special=add_special, special=special)
        first, *others = [text] if special else self._apart(text)
        ids = self._encoded(first, add_special=add_special, special=special)
        for part in others:
            ids += self._encoded(part, add_special=False, special=False)
        return [*self._prefix, *ids] if add_special else ids

    def _wordpiece_tokenizer(self, said: Mapping[str, Any]) -> WordPieceTokenizer | None:
        """Return the tokenizer of a WordPiece vocabulary, None for others."""
        if llama.llama_vocab_type(self._vocab) != llama.LLAMA_VOCAB_TYPE_WPM:
            return None
        texts = (llama.llama_vocab_get_text(self._vocab, token) or b"" for token in range(self.size))
        lowercase = said.get("tokenizer.ggml.normalizer.lowercase") is not False
        strips = said.get("tokenizer.ggml.normalizer.strip_accents", lowercase)
        unknown = said.get("tokenizer.ggml.unknown_token_id")
        return WordPieceTokenizer(
            {text.decode("utf-8", "replace"): token for token, text in enumerate(texts)},
            unknown if isinstance(unknown, int) and 0 <= unknown < self.size else _WORDPIECE_UNKNOWN,
            lowercase=lowercase,
            strip_accents=strips is not False,
        )

    def _wordpieces(self, tokenizer: WordPieceTokenizer, text: str, *, add_special: bool, special: bool) -> list[int]:
        controls = "|".join(map(re.escape, self.control_texts())) if special else ""
        ids: list[int] = []
        for part in re.split(f"({controls})", text) if controls else [text]:
            control = controls and re.fullmatch(controls, part)
            ids += self._encoded(part, add_special=False, special=True) if control else tokenizer.tokenize(part)
        if not add_special:
            return ids
        return [llama.llama_vocab_bos(self._vocab), *ids, llama.llama_vocab_sep(self._vocab)]

    def _check_spelling(self, text: str, *, special: bool) -> None:
        """Refuse characters that there are no tokens for: llama.cpp would end the process."""
        if special:
            for control in self.control_texts():
                text = text.replace(control, "")
        for character in text.replace(" ", _SPACE):
            if character not in self._characters and not self._bytes_left.isdisjoint(
                character.encode("utf-8", "replace")
            ):
                raise ZhiyinError(
                    "The model's vocabulary has no token for {character}; leave it out, or convert the model again with its "
                    "own tokenizer.",
                    character=repr(character),
                )

    def _spelling(self) -> tuple[set[int], set[str]]:
        """Return the bytes that a sentencepiece vocabulary has no token for, and where there are any, its characters."""
        if llama.llama_vocab_type(self._vocab) != llama.LLAMA_VOCAB_TYPE_SPM:
            return set(), set()
        left = {b"<0x%02X>" % byte: byte for byte in range(256)}
        texts = []
        for token in range(self.size):
            texts.append(llama.llama_vocab_get_text(self._vocab, token) or b"")
            left.pop(texts[-1], None)
            if not left:
                return set(), set()
        decoded = (text.decode("utf-8", "replace") for text in texts)
        return set(left.values()), {text for text in decoded if len(text) == 1}

    def _encoded(self, text: str, *, add_special: bool, special: bool) -> list[int]:
        if self._bytes_left:
            self._check_spelling(text, special=special)
        data = text.encode("utf-8", "replace")
        room = len(data) + 16
        ids = (llama.llama_token * room)()
        count = llama.llama_tokenize(self._vocab, data, len(data), ids, room, add_special, special)
        if count < 0:
            raise ZhiyinError("The text could not be tokenized; the model's vocabulary is damaged: convert it again.")
        return list(ids[:count])

    def _apart(self, text: str) -> list[str]:
        """Cut a text inside each demoted control token's, so that no token is found where only a text is meant."""
        for markup in self._demoted.values():
            text = text.replace(markup, f"{markup[0]}{_CUT}{markup[1:]}")
        return text.split(_CUT) if self._demoted else [text]

    def _find_demoted(self) -> Iterator[tuple[int, str]]:
        for text in _DEMOTED if not self._bytes_left else ():
            ids = self._encoded(text, add_special=False, special=True)
            if len(ids) == 1 and llama.llama_vocab_get_attr(self._vocab, ids[0]) & llama.LLAMA_TOKEN_ATTR_USER_DEFINED:
                yield ids[0], text

    def piece(self, token: int) -> bytes:
        """Return a token's bytes, b"" for control tokens, and for rows of the head beyond the vocabulary."""
        known = self._pieces.get(token)
        if known is None:
            silent = token in self._demoted or not 0 <= token < self.size
            known = b"" if silent else self._read_piece(token, special=False)
            self._pieces[token] = known
        return known

    def control_texts(self) -> Sequence[str]:
        """Return the texts of the control tokens, which llama.cpp finds in prompts."""
        if self._control is None:
            kinds = llama.LLAMA_TOKEN_ATTR_CONTROL | llama.LLAMA_TOKEN_ATTR_UNKNOWN
            size = 0 if self._empty else self.size
            found = (token for token in range(size) if llama.llama_vocab_get_attr(self._vocab, token) & kinds)
            self._control = (*(text for text in map(self._text, found) if text), *self._demoted.values())
        return self._control

    def is_end(self, token: int) -> bool:
        """Tell whether a token ends a reply."""
        return token in self._ends or bool(llama.llama_vocab_is_eog(self._vocab, token))

    def _ids(self, value: Any) -> list[int]:
        ids = value if isinstance(value, list) else []
        return ids if all(isinstance(number, int) and 0 <= number < self.size for number in ids) else []

    def _read_piece(self, token: int, *, special: bool) -> bytes:
        size = 64
        while True:
            buffer = ctypes.create_string_buffer(size)
            count = llama.llama_token_to_piece(self._vocab, token, buffer, size, 0, special)
            if count >= 0:
                return buffer.raw[:count]
            size = -count

    def _text(self, token: int) -> str:
        """Return what llama.cpp looks for in prompts: of RWKV's control token not its bytes, but how the file writes them."""
        if token < 0:
            return ""
        control = llama.llama_vocab_get_attr(self._vocab, token) & llama.LLAMA_TOKEN_ATTR_CONTROL
        text = llama.llama_vocab_get_text(self._vocab, token) if control else self._read_piece(token, special=True)
        return (text or b"").decode("utf-8", "replace")


class VocabularyFile(LlamaVocabulary):
    """The vocabulary of a GGUF file whose architecture llama.cpp does not know."""

    def __init__(self, path: Path, metadata: Mapping[str, Any]) -> None:
        """Load no more than the vocabulary, under the name of an architecture that llama.cpp knows.

        Raises:
            BadFile: llama.cpp refuses it.
        """
        overrides = (llama.llama_model_kv_override * 2)()
        overrides[0].tag = llama.LLAMA_KV_OVERRIDE_TYPE_STR
        overrides[0].key = b"general.architecture"
        overrides[0].value.val_str = b"llama"
        params = llama.llama_model_default_params()
        params.vocab_only = True
        params.kv_overrides = overrides
        self._model = load_model(path, params)
        if self._model is None:
            raise BadFile("{path} has a vocabulary that llama.cpp cannot read; convert the model again.", path=path)
        super().__init__(llama.llama_model_get_vocab(self._model), metadata)

    def close(self) -> None:
        """Free it."""
        llama.llama_model_free(self._model)
