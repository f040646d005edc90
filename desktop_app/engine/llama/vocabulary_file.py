"""llama.cpp's tokenizer of a file alone, without its model."""

from __future__ import annotations

import llama_cpp.llama_cpp as llama

from converter.gguf_header import GGUFHeader
from desktop_app.engine.llama.loading import load_model, overridden
from desktop_app.engine.llama.vocabulary import LlamaVocabulary
from models.errors import BadFile


class VocabularyFile(LlamaVocabulary):
    """The vocabulary of a GGUF file whose architecture llama.cpp does not know."""

    def __init__(self, header: GGUFHeader) -> None:
        """Load no more than the vocabulary, under the name of an architecture that llama.cpp knows.

        Raises:
            BadFile: llama.cpp refuses it.
        """
        params = llama.llama_model_default_params()
        params.vocab_only = True
        params.kv_overrides = overrides = overridden(header.metadata, architecture="llama")
        self._model = load_model(header.path, params)
        del overrides  # llama.cpp reads it while it loads
        if self._model is None:
            raise BadFile(
                "{path} has a vocabulary that llama.cpp cannot read; convert the model again.", path=header.path
            )
        super().__init__(llama.llama_model_get_vocab(self._model), header)

    def close(self) -> None:
        """Free it."""
        llama.llama_model_free(self._model)
