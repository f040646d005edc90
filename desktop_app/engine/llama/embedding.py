"""Runs embedding and reranking models in llama.cpp: texts in, one vector or score each out."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Iterator, Sequence

import llama_cpp.llama_cpp as llama
import numpy as np

from converter.gguf_header import GGUFHeader
from desktop_app.engine.llama.log import begin_log, log_lines
from desktop_app.engine.llama.runner import load_weights
from desktop_app.engine.llama.vocabulary import LlamaVocabulary
from desktop_app.engine.protocol import LoadSettings
from desktop_app.engine.results import ModelInfo
from desktop_app.engine.runner import OutOfMemory, ProgressCallback
from desktop_app.engine.stop_flag import StopFlag
from desktop_app.system.threads import usual_threads
from models.embedding import DOCUMENT_PREFIX, ENCODERS, MOST_TOKENS, NORMALIZED, POOLING, QUERY_PREFIX, Pooling
from models.errors import Cancelled, ZhiyinError
from models.gguf_constants import GGMLQuantizationType

_SEQUENCES = 32
"""Texts computed at once, as far as a batch has room for their tokens."""
_LEAST_CONTEXT = 64
_USUAL_CONTEXT = 2048
_PACKED = 512
"""Tokens of several short texts that are computed together."""
_LOGITS = 1 << 25
"""llama.cpp keeps and clears a float for each token of a batch and each of the vocabulary, though nothing computes logits: of
large vocabularies fewer texts are computed together."""
_CAUSAL_BATCH = 256
"""Of decoders it computes these logits, too."""
_ABORTED = 2
_PAIR = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct provided. Note "
    'that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n<Instruct>: Given a web search query, retrieve '
    "relevant passages that answer the query\n<Query>: ",
    "\n<Document>: ",
    "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
)
"""What Qwen3-Reranker reads around a question and a passage (its model card)."""


class EmbeddingRunner:
    """One embedding or reranking model in llama.cpp."""

    def __init__(self, header: GGUFHeader, settings: LoadSettings, on_progress: ProgressCallback) -> None:
        """Load the file.

        Raises:
            OutOfMemory: llama.cpp could not allocate the weights or the context.
            BadFile: llama.cpp refuses the file.
        """
        start = time.perf_counter()
        self._stop = StopFlag()
        llama.llama_backend_init()
        begin_log()
        self._model = load_weights(header, settings, on_progress)
        self.vocabulary = LlamaVocabulary(llama.llama_model_get_vocab(self._model), header)
        trained = int(llama.llama_model_n_ctx_train(self._model))
        self._room = min(settings.context or _USUAL_CONTEXT, trained)
        self._packed = min(_PACKED, max(_LEAST_CONTEXT, _LOGITS // max(1, self.vocabulary.size)))
        try:
            self._context = self._create_context(header, settings)
        except ZhiyinError:
            llama.llama_model_free(self._model)
            raise
        self._memory = llama.llama_get_memory(self._context)
        self._batch = int(llama.llama_n_batch(self._context))
        self._ranks = llama.llama_pooling_type(self._context) == Pooling.RANK
        self._architecture = header.architecture
        self._prefixes = {"query": header.text(QUERY_PREFIX) or "", "document": header.text(DOCUMENT_PREFIX) or ""}
        self._normalized = header.metadata.get(NORMALIZED) is not False
        most = header.metadata.get(MOST_TOKENS)
        self._most = min(most, self._room) if isinstance(most, int) and most > 2 else self._room
        self.largest_batch, self.importance = 0, None
        self.info = self._describe(header, trained, time.perf_counter() - start)

    def tokenize(self, text: str, *, add_special: bool, special: bool) -> list[int]:
        """Return token ids, without `vocabulary.closing`."""
        return self.vocabulary.tokenize(text, add_special=add_special, special=special)

    def embed(self, texts: Sequence[str], role: str, on_progress: ProgressCallback | None = None) -> np.ndarray:
        """Return float32 [len(texts), dimensions]; texts that are too long are cut, as the publisher's code does.

        Args:
            texts: any; markup of control tokens in them stays text.
            role: "query" or "document" puts in front what the model was trained with, "" nothing.
            on_progress: hears of the part that is done.

        Raises:
            ZhiyinError: the model ranks pairs of texts.
            Cancelled: after `interrupt`.
        """
        if self._ranks:
            raise ZhiyinError(
                "{name} ranks passages and makes no vectors; choose an embedding model.", name=self.info.name
            )
        prefix = self._prefixes.get(role, "")
        vectors = self._computed([self._ids(prefix + text) for text in texts], self.info.embedding, on_progress)
        if self._normalized:
            lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
            vectors = vectors / np.maximum(lengths, 1e-12)
        return vectors.astype(np.float32)

    def rerank(self, query: str, texts: Sequence[str], on_progress: ProgressCallback | None = None) -> list[float]:
        """Return how well each text answers a question, from 0 to 1.

        Raises:
            ZhiyinError: the model makes vectors.
            Cancelled: after `interrupt`.
        """
        if not self._ranks:
            raise ZhiyinError(
                "{name} makes vectors and ranks no passages; choose a reranking model.", name=self.info.name
            )
        two = self._architecture == "qwen3"
        scores = self._computed([self._pair(query, text) for text in texts], 2 if two else 1, on_progress)
        # Of two answers llama.cpp has taken the softmax; of one score the publishers take the logistic function.
        relevance = scores[:, 0] if two else 1 / (1 + np.exp(-np.clip(scores[:, 0], -60, 60)))
        return [float(score) for score in relevance]

    def interrupt(self, stop: bool) -> None:
        """Make a running computation give up soon (True), or let the next one run (False)."""
        self._stop.set(stop)

    def close(self) -> None:
        """Free the memory."""
        llama.llama_free(self._context)
        llama.llama_model_free(self._model)

    def _ids(self, text: str) -> list[int]:
        """Return a text's tokens, cut behind the last one that fits, with the ones at its ends."""
        ids = [*self.tokenize(text, add_special=True, special=False), *self.vocabulary.closing]
        if len(ids) > self._most:
            tail = self._tail()
            ids = [*ids[: self._most - len(tail)], *tail]
        return ids

    def _tail(self) -> list[int]:
        """Return what ends every text."""
        vocab = llama.llama_model_get_vocab(self._model)
        if llama.llama_vocab_type(vocab) == llama.LLAMA_VOCAB_TYPE_WPM:
            return [int(llama.llama_vocab_sep(vocab))]
        return [int(llama.llama_vocab_eos(vocab))] if llama.llama_vocab_get_add_eos(vocab) else []

    def _pair(self, query: str, text: str) -> list[int]:
        if self._architecture == "qwen3":
            before, between, after = (self.tokenize(part, add_special=False, special=True) for part in _PAIR)
            asked, read = (self.tokenize(part, add_special=False, special=False) for part in (query, text))
            room = max(0, self._room - len(before) - len(between) - len(after) - len(asked))
            return [*before, *asked, *between, *read[:room], *after][: self._room]
        asked = self.tokenize(query, add_special=True, special=False)
        asked = [*asked, *self.vocabulary.closing][: self._room // 2]
        tail = self._tail()
        read = self.tokenize(text, add_special=False, special=False)
        room = self._room - len(asked) - 2 * len(tail)
        return [*asked, *tail, *read[: max(0, room)], *tail]

    def _computed(self, texts: Sequence[Sequence[int]], size: int, on_progress: ProgressCallback | None) -> np.ndarray:
        rows = np.zeros((len(texts), size), np.float32)
        done = 0
        batch = llama.llama_batch_init(self._batch, 0, 1)
        try:
            for numbers in self._batches(texts):
                self._fill(batch, [texts[number] for number in numbers])
                self._check(self._run(batch))
                for sequence, number in enumerate(numbers):
                    pointer = llama.llama_get_embeddings_seq(self._context, sequence)
                    rows[number] = np.ctypeslib.as_array(pointer, (size,))
                done += len(numbers)
                if on_progress is not None:
                    on_progress(done / len(texts))
        finally:
            llama.llama_batch_free(batch)
        return rows

    def _batches(self, texts: Sequence[Sequence[int]]) -> Iterator[list[int]]:
        """Yield the numbers of texts that are computed together: of about one length, no more than a batch has room for."""
        order = sorted(range(len(texts)), key=lambda number: len(texts[number]))
        waiting: list[int] = []
        tokens = 0
        for number in order:
            length = len(texts[number])
            if waiting and (tokens + length > min(self._batch, self._packed) or len(waiting) == _SEQUENCES):
                yield waiting
                waiting, tokens = [], 0
            waiting.append(number)
            tokens += length
        if waiting:
            yield waiting

    def _fill(self, batch: llama.llama_batch, texts: Sequence[Sequence[int]]) -> None:
        at = 0
        for sequence, ids in enumerate(texts):
            for position, token in enumerate(ids):
                batch.token[at] = token
                batch.pos[at] = position
                batch.n_seq_id[at] = 1
                batch.seq_id[at][0] = sequence
                batch.logits[at] = True
                at += 1
        batch.n_tokens = at
        self.largest_batch = max(self.largest_batch, at)

    def _run(self, batch: llama.llama_batch) -> int:
        if not self._memory:
            return int(llama.llama_encode(self._context, batch))
        llama.llama_memory_clear(self._memory, True)
        return int(llama.llama_decode(self._context, batch))

    def _check(self, status: int) -> None:
        if status == _ABORTED:
            raise Cancelled("Stopped.")
        if status:
            reason = log_lines[-1] if log_lines else f"code {status}"
            raise ZhiyinError(
                "llama.cpp failed to compute the vectors ({reason}); load the model again.", reason=reason
            )

    def _create_context(self, header: GGUFHeader, settings: LoadSettings) -> llama.llama_context_p:
        params = llama.llama_context_default_params()
        # A multiple of the sequences: llama.cpp rounds up, and then asserts where it takes the mean.
        room = -(-max(self._room, _LEAST_CONTEXT) // _SEQUENCES) * _SEQUENCES
        params.n_ctx = params.n_batch = params.n_ubatch = room
        if header.parameters.get(POOLING) in (Pooling.LAST, Pooling.RANK) and header.architecture not in ENCODERS:
            params.n_ubatch = min(params.n_ubatch, _CAUSAL_BATCH)
        params.n_seq_max = _SEQUENCES
        params.kv_unified = True
        params.embeddings = True
        params.flash_attn_type = llama.LLAMA_FLASH_ATTN_TYPE_DISABLED  # on the processor it rounds to 16 bits
        params.type_k = params.type_v = GGMLQuantizationType.F32
        params.n_threads = params.n_threads_batch = settings.threads or usual_threads()
        if header.parameters.get(POOLING, 0) == Pooling.NONE:
            params.pooling_type = llama.LLAMA_POOLING_TYPE_MEAN
        params.abort_callback = ctypes.cast(self._stop.callback, llama.ggml_abort_callback)
        params.abort_callback_data = self._stop.data
        params.no_perf = True
        context = llama.llama_init_from_model(self._model, params)
        if context is None:
            raise OutOfMemory(
                "{name} does not fit in memory; close other programs, or choose a smaller model.", name=header.path.name
            )
        return context

    def _describe(self, header: GGUFHeader, trained: int, seconds: float) -> ModelInfo:
        return ModelInfo(
            path=header.path,
            name=str(header.metadata.get("general.name", header.path.stem)),
            architecture=header.architecture,
            vocabulary_size=self.vocabulary.size,
            context=self._most,
            trained_context=trained,
            parameters=llama.llama_model_n_params(self._model),
            file_type=header.quantization,
            chat=False,
            seconds=seconds,
            embedding=0 if self._ranks else int(llama.llama_model_n_embd_out(self._model)),
            reranks=bool(self._ranks),
        )
