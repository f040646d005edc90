"""Runs every architecture that llama.cpp knows, through its C API."""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import llama_cpp.llama_cpp as llama
import numpy as np

from converter.atomic_write import replace_file, sync, unfinished_folder
from converter.gguf_header import GGUFHeader, all_tensors
from desktop_app.engine.backends import devices_for, has_pinned_memory, has_working_repack, loads_from_maps
from desktop_app.engine.graph.cache_type import cache_type
from desktop_app.engine.graph.repacking import repacks_any
from desktop_app.engine.llama.adapters import LlamaAdapters
from desktop_app.engine.llama.bare import bare_speeds
from desktop_app.engine.llama.importance import ImportanceCollector
from desktop_app.engine.llama.loading import load_model, overridden
from desktop_app.engine.llama.log import begin_log, log_lines
from desktop_app.engine.llama.sequence import LlamaSequence
from desktop_app.engine.llama.vocabulary import LlamaVocabulary
from desktop_app.engine.protocol import AdapterUse, LoadSettings
from desktop_app.engine.results import ModelInfo
from desktop_app.engine.runner import ContextFull, OutOfMemory, Part, ProgressCallback
from desktop_app.engine.sampler import Sampler
from desktop_app.engine.state.snapshots import State
from desktop_app.engine.stop_flag import StopFlag
from desktop_app.sequences import MOST_GUESSES, rounded_context
from desktop_app.system.threads import usual_threads
from models.chat import chat_formats
from models.chat.template_facts import template_facts
from models.errors import BadFile, Cancelled, UnsupportedModel, ZhiyinError
from models.gguf_constants import GGMLQuantizationType
from models.vocab.vocabulary import CHAT_TEMPLATE, PLAIN, TOOL_USE

_DECODED, _NO_ROOM, _ABORTED = 0, 1, 2
_ALL_LAYERS = 999
_TURNED = ("f16", "f32")
"""Types of keys that llama.cpp turns to other positions in their place."""
_ALIGNMENT = 32
"""What ggml asks of the addresses of the CPU's tensors; a file's own may be less."""


class LlamaRunner:
    """One model in llama.cpp, one sequence or several; see `desktop_app.engine.runner.Runner`."""

    def __init__(self, header: GGUFHeader, settings: LoadSettings, on_progress: ProgressCallback) -> None:
        """Load the file.

        Raises:
            OutOfMemory: llama.cpp could not allocate the weights or the context.
            BadFile: llama.cpp refuses the file.
        """
        start = time.perf_counter()
        self.chat_template = header.text(CHAT_TEMPLATE)
        self.tool_template = header.text(f"{CHAT_TEMPLATE}.{TOOL_USE}")
        self.stop_texts = header.texts("zhiyin.chat.stop")
        self._settings = settings
        self._stop = StopFlag()
        self.importance: ImportanceCollector | None = ImportanceCollector() if settings.importance else None
        llama.llama_backend_init()
        begin_log()
        self._model = load_weights(header, settings, on_progress)
        self.vocabulary = LlamaVocabulary(llama.llama_model_get_vocab(self._model), header)
        try:
            self._context = self._create_context(header, settings)
        except ZhiyinError:
            llama.llama_model_free(self._model)
            raise
        self._adapters = LlamaAdapters(self._model, self._context, header)
        self.batch = llama.llama_n_batch(self._context)
        self.kinds = llama.llama_model_is_recurrent(self._model), llama.llama_model_is_hybrid(self._model)
        """Whether it has recurrent layers alone, and whether it has some beside attention."""
        self.window = int(llama.llama_model_n_swa(self._model))
        """Tokens that some layers see at most; 0: all see everything."""
        self.can_move = settings.kv_type in _TURNED and bool(
            llama.llama_memory_can_shift(llama.llama_get_memory(self._context))
        )
        """Keys can be turned to other positions, without room that no plan counts."""
        self.streams = llama.llama_n_seq_max(self._context)
        self.memory_kind = "" if self.kinds[0] else f"{settings.kv_type} {self._uses_long_rotation(header)}"
        self.most_guesses = 0 if any(self.kinds) else min(MOST_GUESSES, self.batch - settings.parallel)
        self.largest_batch = 0
        self._next = (llama.llama_token * 1)()
        self._together = llama.llama_batch_init(self.batch, 0, 1)
        self.sequences = tuple(LlamaSequence(self, self._context, number) for number in range(settings.parallel))
        self._first = self.sequences[0]
        self.info = self._describe(header, time.perf_counter() - start)

    @property
    def tokens(self) -> Sequence[int]:
        """The tokens that the first sequence holds now."""
        return self._first.tokens

    def tokenize(self, text: str, *, add_special: bool, special: bool) -> list[int]:
        """Return token ids."""
        return self.vocabulary.tokenize(text, add_special=add_special, special=special)

    def truncate(self, count: int, prompt: int = 0) -> int:
        """Shorten the first sequence to its first `count` tokens, or fewer where the model cannot."""
        return self._first.truncate(count, prompt)

    def decode(self, ids: Sequence[int], *, on_progress: ProgressCallback | None = None) -> None:
        """Append tokens to the first sequence and compute the logits after the last one."""
        self._check_room(self._first, len(ids))
        for start in range(0, len(ids), self.batch):
            part = ids[start : start + self.batch]
            self.decode_together([Part(self._first, part)])
            self._first.pass_on(more=start + len(part) < len(ids), at_least=self.batch)
            if on_progress is not None and len(ids) > 1:
                on_progress((start + len(part)) / len(ids))

    def decode_together(self, parts: Sequence[Part], on_progress: ProgressCallback | None = None) -> None:
        """Append tokens to each of some sequences, `batch` at most in all, and compute the logits that are asked for."""
        for part in parts:
            self._check_room(part.sequence, len(part.ids))
        count = sum(len(part.ids) for part in parts)
        sequence, ids, guessed = parts[0]
        if len(parts) == 1 and sequence is self._first and not guessed:
            array = self._next if count == 1 else (llama.llama_token * count)()
            array[:] = ids
            sequence.row = -1
            status = llama.llama_decode(self._context, llama.llama_batch_get_one(array, count))
        else:
            status = llama.llama_decode(self._context, self._filled(parts, count))
        self._check(status, count, [part.sequence for part in parts])
        for part in parts:
            part.sequence.ids.extend(part.ids)

    def _filled(self, parts: Sequence[Part], count: int) -> llama.llama_batch:
        batch, at = self._together, 0
        for sequence, ids, guessed in parts:
            start = len(sequence.ids)
            for offset, token in enumerate(ids):
                batch.token[at] = token
                batch.pos[at] = start + offset
                batch.n_seq_id[at] = 1
                batch.seq_id[at][0] = sequence.number
                batch.logits[at] = offset >= len(ids) - 1 - guessed
                at += 1
            sequence.row = at - 1
        batch.n_tokens = count
        return batch

    def _check_room(self, sequence: LlamaSequence, count: int) -> None:
        if self.info.context and len(sequence.ids) + count > self.info.context:
            raise _full(len(sequence.ids) + count, self.info.context)

    def sample(self, sampler: Sampler) -> int:
        """Choose the next token from the logits after the first sequence's last token."""
        return self._first.sample(sampler)

    def logits(self) -> np.ndarray:
        """Return float32 [vocabulary], the logits after the first sequence's last token."""
        return self._first.logits()

    def logit_blocks(self, ids: Sequence[int], start: int = 0) -> Iterator[np.ndarray]:
        """Yield float32 [some, vocabulary] of a fresh sequence, from the logits after ids[start] on."""
        self.truncate(0)
        if self.info.context and len(ids) > self.info.context:
            raise _full(len(ids), self.info.context)
        step, size = self._logit_rows, self.info.vocabulary_size
        if len(ids) <= self.batch and len(ids) - start <= step:
            begin, step = (
                0,
                len(ids),
            )  # as llama.cpp's tools do: of quantized weights, products of another batch round otherwise
        else:
            begin = start
            self.decode(ids[:start])
        batch = llama.llama_batch_init(step, 0, 1)
        try:
            for at in range(begin, len(ids), step):
                part = ids[at : at + step]
                _fill(batch, part, at, start)
                self._check(llama.llama_decode(self._context, batch), len(part), [self._first])
                self._first.ids.extend(part)
                rows = at + len(part) - max(at, start)
                flat = np.ctypeslib.as_array(llama.llama_get_logits(self._context), (rows * size,))
                yield flat.reshape(rows, size)
        finally:
            llama.llama_batch_free(batch)

    def all_logits(self, ids: Sequence[int]) -> np.ndarray:
        """Return float32 [len(ids), vocabulary] of a fresh sequence."""
        rows = np.empty((len(ids), self.info.vocabulary_size), np.float32)
        done = 0
        for block in self.logit_blocks(ids):
            rows[done : done + len(block)] = block
            done += len(block)
        return rows

    def snapshot(self) -> None:
        """Take a snapshot of the first sequence's recurrent state."""
        self._first.snapshot()

    def states(self) -> Sequence[State]:
        """Return the snapshots of the first sequence, and its whole state now."""
        return self._first.states()

    def restore(self, tokens: Sequence[int], states: Sequence[State]) -> None:
        """Put states in the first sequence's place."""
        self._first.restore(tokens, states)

    def save_state(self, path: Path) -> int:
        """Write the sequence's cache or recurrent state; return its bytes."""
        tokens = self._first.ids
        ids = (llama.llama_token * len(tokens))(*tokens)
        try:
            with unfinished_folder(path) as folder:
                part = folder / path.name
                size = llama.llama_state_seq_save_file(self._context, os.fsencode(part), 0, ids, len(tokens))
                is_complete = size == part.stat().st_size  # llama.cpp does not see what fails when it closes the file
                if is_complete:
                    with part.open("rb+") as file:
                        sync(file.fileno())
                    replace_file(part, path)
        except OSError:
            is_complete = False
        if not is_complete:
            raise ZhiyinError(
                "The state could not be written to {path}; free disk space or choose another folder.", path=path
            )
        return int(size)

    def load_state(self, path: Path) -> int:
        """Take up a written state; return its number of tokens."""
        room = 1 << 20
        ids = (llama.llama_token * room)()
        count = ctypes.c_size_t()
        size = llama.llama_state_seq_load_file(self._context, os.fsencode(path), 0, ids, room, ctypes.byref(count))
        if not size:
            self.truncate(0)
            raise BadFile(
                "{path} does not hold a state of this model; the chat is read again from its messages.", path=path
            )
        self._first.restored(ids[: count.value])
        return count.value

    def bare_speeds(self, ids: Sequence[int], tokens: int) -> tuple[float, float]:
        """Return the seconds that a plain loop over llama.cpp's calls takes."""
        return bare_speeds(self._model, self._settings, ids, tokens)

    def set_adapters(self, adapters: Sequence[AdapterUse]) -> None:
        """Put these adapters, and no others, on the model."""
        if self._adapters.use(adapters):
            for sequence in self.sequences:
                sequence.clear()

    def interrupt(self, stop: bool) -> None:
        """Make a running `decode` give up at the next node of its graph (True), or let the next one run (False)."""
        self._stop.set(stop)

    def close(self) -> None:
        """Free the memory."""
        llama.llama_batch_free(self._together)
        llama.llama_free(self._context)
        llama.llama_model_free(self._model)

    def _uses_long_rotation(self, header: GGUFHeader) -> bool:
        """Tell whether the context is one for which llama.cpp takes other factors of the rotation (LongRoPE)."""
        original = header.parameter("rope.scaling.original_context_length")
        return isinstance(original, int) and llama.llama_n_ctx_seq(self._context) > original

    def _create_context(self, header: GGUFHeader, settings: LoadSettings) -> llama.llama_context_p:
        trained = llama.llama_model_n_ctx_train(self._model)
        params = llama.llama_context_default_params()
        params.n_ctx = min(settings.context, trained) if settings.context else trained
        params.n_batch = params.n_ubatch = max(min(settings.batch, params.n_ctx), settings.parallel)
        # llama.cpp would keep room for a whole batch of logits.
        self._logit_rows = min(settings.logit_rows, params.n_ubatch)
        params.n_outputs_max = max(self._logit_rows, min(settings.parallel + MOST_GUESSES, params.n_ubatch))
        if settings.parallel > 1:  # each sequence has a cache of its own, as large as a single one's
            params.n_seq_max = settings.parallel
            params.n_ctx = settings.parallel * rounded_context(params.n_ctx)
        params.n_threads = params.n_threads_batch = settings.threads or usual_threads()
        kind = cache_type(settings.kv_type)
        params.type_k = params.type_v = kind
        if (
            kind == GGMLQuantizationType.F32
        ):  # asked for to be exact; ggml's flash attention on the CPU rounds to 16 bits
            params.flash_attn_type = llama.LLAMA_FLASH_ATTN_TYPE_DISABLED
        params.abort_callback = ctypes.cast(self._stop.callback, llama.ggml_abort_callback)
        params.abort_callback_data = self._stop.data
        params.no_perf = True
        if self.importance is not None:
            params.cb_eval = self.importance.callback
        context = llama.llama_init_from_model(self._model, params)
        if context is None:
            raise OutOfMemory(
                "A context of {count} tokens for {name} does not fit in memory; choose a smaller one.",
                count=params.n_ctx,
                name=header.path.name,
            )
        return context

    def _describe(self, header: GGUFHeader, seconds: float) -> ModelInfo:
        facts = template_facts(self.chat_template or "")
        trained = int(llama.llama_model_n_ctx_train(self._model))
        return ModelInfo(
            path=header.path,
            name=str(header.metadata.get("general.name", header.path.stem)),
            architecture=header.architecture,
            vocabulary_size=self.vocabulary.size,
            context=0 if self.kinds[0] else min(llama.llama_n_ctx_seq(self._context), trained),  # it rounds up
            can_trim=not any(self.kinds),
            sequences=len(self.sequences),
            trained_context=trained,
            parameters=llama.llama_model_n_params(self._model),
            file_type=header.quantization,
            chat=self.chat_template is not None,
            reasoning=facts.reasoning,
            tools=facts.tools or self.tool_template is not None,
            seconds=seconds,
            chat_format=chat_formats.name_of(header.metadata, self.tool_template or self.chat_template),
            plain_text=header.metadata.get(PLAIN) is True,
        )

    def _check(self, status: int, count: int, sequences: Sequence[LlamaSequence]) -> None:
        self.largest_batch = max(self.largest_batch, count)
        if status == _DECODED:
            return
        for sequence in sequences:
            sequence.rewind(len(sequence.ids))  # drops what an unfinished batch left in the cache
        if status == _ABORTED:
            raise Cancelled("Stopped.")
        if status == _NO_ROOM:
            raise _full(len(sequences[0].ids) + 1, self.info.context)
        reason = log_lines[-1] if log_lines else f"code {status}"
        raise ZhiyinError(
            "llama.cpp failed to compute the next tokens ({reason}); load the model again.", reason=reason
        )


def load_weights(header: GGUFHeader, settings: LoadSettings, on_progress: ProgressCallback) -> llama.llama_model_p:
    """Have llama.cpp load a file's weights; raises `OutOfMemory`, `UnsupportedModel` or `BadFile`."""
    path = header.path
    params = llama.llama_model_default_params()
    gpus = devices_for(settings)
    params.n_gpu_layers = 0 if not gpus else settings.gpu_layers if settings.gpu_layers > 0 else _ALL_LAYERS
    # Named even where there are none: llama.cpp would take all GPUs, and use their memory for prompts with no layer on them.
    named = (ctypes.c_void_p * (len(gpus) + 1))(*(device for device, _ in gpus), None)
    params.devices = ctypes.cast(named, ctypes.c_void_p)
    split = (ctypes.c_float * llama.llama_max_devices())(*(part for _, part in gpus))
    params.tensor_split = ctypes.cast(split, ctypes.POINTER(ctypes.c_float))
    params.load_mode = {
        (True, True): llama.LLAMA_LOAD_MODE_MMAP_MLOCK,
        (True, False): llama.LLAMA_LOAD_MODE_MMAP,
        (False, True): llama.LLAMA_LOAD_MODE_MLOCK,
        (False, False): llama.LLAMA_LOAD_MODE_NONE,
    }[_maps_file(header, settings, [gpu for gpu, _ in gpus]), settings.mlock]
    params.use_extra_bufts = has_working_repack()
    params.kv_overrides = overridden(header.metadata)

    def progress(part: float, _: ctypes.c_void_p) -> bool:
        on_progress(part)
        return True

    params.progress_callback = llama.llama_progress_callback(progress)
    model = load_model(path, params)
    if model is None:
        raise _load_error(header)
    return model


def _maps_file(header: GGUFHeader, settings: LoadSettings, gpus: Sequence[int]) -> bool:
    """Tell whether a load maps the file: what the settings ask for, where neither devices nor the file rule it out."""
    possible = settings.mmap and all(map(loads_from_maps, gpus)) and not _has_copies(header, settings, gpus)
    return possible and all(tensor.offset % _ALIGNMENT == 0 for tensor in all_tensors(header).values())


def _has_copies(header: GGUFHeader, settings: LoadSettings, gpus: Sequence[int]) -> bool:
    """Tell whether the processor computes with copies of weights: a mapped file would then be in memory beside them.

    Beside a GPU with pinned memory, llama.cpp leaves the processor's layers as they are in the file.
    """
    blocks = header.parameters.get("block_count")
    computes = not gpus or (isinstance(blocks, int) and 0 < settings.gpu_layers <= blocks)
    return computes and not any(has_pinned_memory(gpu) for gpu in gpus) and repacks_any(header)


_NO_MEMORY = ("out of memory", "failed to allocate", "unable to allocate", "cannot allocate memory", "bad_alloc")
"""How llama.cpp, ggml and the system say it."""


def _load_error(header: GGUFHeader) -> ZhiyinError:
    path = header.path
    log = " ".join(log_lines)
    if any(words in log.lower() for words in _NO_MEMORY):
        return OutOfMemory(
            "{name} does not fit in memory; choose a smaller quantization or close other programs.", name=path.name
        )
    if "unknown model architecture" in log:
        return UnsupportedModel(
            "{path} has the architecture {architecture}, which this version of llama.cpp does not know; update Zhiyin, or "
            "choose another model.",
            path=path,
            architecture=header.architecture,
        )
    reason = next((line for line in log_lines if "error loading model" in line), log[-200:] or "no reason given")
    return BadFile(
        "{path} cannot be loaded by llama.cpp ({reason}); convert or download it again.", path=path, reason=reason
    )


def _fill(batch: llama.llama_batch, ids: Sequence[int], start: int, first_output: int) -> None:
    """Put tokens into a batch that asks for the logits of each from position `first_output` on."""
    batch.n_tokens = len(ids)
    for i, token in enumerate(ids):
        batch.token[i] = token
        batch.pos[i] = start + i
        batch.n_seq_id[i] = 1
        batch.seq_id[i][0] = 0
        batch.logits[i] = start + i >= first_output


def _full(needed: int, room: int) -> ContextFull:
    return ContextFull(
        "This chat needs {needed} tokens, but the loaded context holds {room}; load the model with a larger "
        "context or start a new chat.",
        needed=needed,
        room=room,
    )
