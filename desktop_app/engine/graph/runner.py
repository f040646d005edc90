"""Runs what llama.cpp lacks, as graphs of our own on its libggml, behind the interface of every runner.

That is whole architectures, and texts longer than what a model was trained with where positions change with their length.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from converter.gguf_header import GGUFHeader
from desktop_app.engine.backends import devices_for
from desktop_app.engine.graph.architecture import MOST_LAYERS, MakeModel, whole_number
from desktop_app.engine.graph.chatglm1 import ChatGLM1
from desktop_app.engine.graph.dense import Dense
from desktop_app.engine.graph.devices import Backends
from desktop_app.engine.graph.rwkv4 import RWKV4
from desktop_app.engine.graph.rwkv5 import RWKV5, runs_on_gpus
from desktop_app.engine.graph.tokenizer import open_tokenizer
from desktop_app.engine.graph.weights import Weights
from desktop_app.engine.llama.importance import ImportanceCollector
from desktop_app.engine.llama.log import begin_log
from desktop_app.engine.protocol import LONGEST_CONTEXT, AdapterUse, LoadSettings
from desktop_app.engine.results import ModelInfo
from desktop_app.engine.runner import ContextFull, Part, ProgressCallback
from desktop_app.engine.sampler import Sampler
from desktop_app.engine.state.cells import Assembly, Cells
from desktop_app.engine.state.files import read_state_file, write_state_file
from desktop_app.engine.state.snapshots import State
from desktop_app.engine.stop_flag import StopFlag
from desktop_app.sequences import common_prefix
from desktop_app.system.threads import usual_threads
from models.chat import chat_formats
from models.chat.template_facts import template_facts
from models.errors import BadFile, UnsupportedModel
from models.vocab.vocabulary import CHAT_TEMPLATE, PLAIN, TOOL_USE

ARCHITECTURES: dict[str, MakeModel] = {"chatglm1": ChatGLM1, "rwkv4": RWKV4, "rwkv5": RWKV5}
"""By `general.architecture`: those of which llama.cpp computes nothing."""


class GraphRunner:
    """One model, one sequence; see `desktop_app.engine.runner.Runner`."""

    number, streams = 0, 1
    can_share = False

    def __init__(self, header: GGUFHeader, settings: LoadSettings, on_progress: ProgressCallback) -> None:
        """Load the file.

        Raises:
            OutOfMemory: the weights or the context do not fit.
            BadFile: tensors or hyperparameters are missing or wrong.
        """
        start = time.perf_counter()
        begin_log()
        self.chat_template = header.text(CHAT_TEMPLATE)
        self.tool_template = header.text(f"{CHAT_TEMPLATE}.{TOOL_USE}")
        self.stop_texts = header.texts("zhiyin.chat.stop")
        self.batch = LONGEST_CONTEXT
        self._stop = StopFlag()
        self._batch, self.largest_batch, self.most_guesses = settings.batch, 0, 0
        self.importance: ImportanceCollector | None = None
        with ExitStack() as stack:
            threads = settings.threads or usual_threads()
            gpus = devices_for(settings) if header.architecture != "rwkv5" or runs_on_gpus(header) else []
            backends = Backends(threads, self._stop, gpus)
            stack.callback(backends.close)
            placement = backends.place(whole_number(header, "block_count", most=MOST_LAYERS), settings.gpu_layers)
            weights = Weights(header, backends, placement, mapped=settings.mmap)
            stack.callback(weights.close)
            self._model = ARCHITECTURES.get(header.architecture, Dense)(weights, backends, settings)
            stack.callback(self._model.close)
            self._model.load(on_progress)
            self.vocabulary = open_tokenizer(header)
            stack.callback(self.vocabulary.close)
            self._close = stack.pop_all()
        self.memory_kind = settings.kv_type if self._model.context else ""
        self.info = self._describe(header, weights.parameters, time.perf_counter() - start)

    @property
    def tokens(self) -> Sequence[int]:
        """The tokens that the sequence holds now."""
        return self._model.tokens

    def tokenize(self, text: str, *, add_special: bool, special: bool) -> list[int]:
        """Return token ids."""
        ids = self.vocabulary.encode(text, add_special=add_special, special=special)
        return self._model.with_special(ids) if add_special else ids

    def truncate(self, count: int, prompt: int = 0) -> int:
        """Shorten the sequence as far as the architecture can go back, and use of it what a prompt of a length can use."""
        self._model.truncate(count, prompt)
        return len(self._model.tokens)

    def decode(self, ids: Sequence[int], *, on_progress: ProgressCallback | None = None) -> None:
        """Append tokens and compute the logits after the last one."""
        self._check_room(len(self._model.tokens) + len(ids))
        self._check_ids(ids)
        if ids:
            self._note_batch(len(ids))
            self._model.decode(ids, on_progress=on_progress or _ignore)

    @property
    def sequences(self) -> Sequence[GraphRunner]:
        """The one sequence there is."""
        return (self,)

    def decode_together(self, parts: Sequence[Part], on_progress: ProgressCallback | None = None) -> None:
        """Append tokens to the one sequence."""
        for part in parts:
            self.decode(part.ids, on_progress=on_progress)

    def pass_on(self, *, more: bool, at_least: int) -> None:
        """Do nothing: `decode` keeps what a stop should not cost."""

    def sample(self, sampler: Sampler, back: int = 0) -> int:
        """Choose the next token from the logits after the last token; there are no guesses."""
        return sampler.choose(self._model.logits)

    def logits(self, back: int = 0) -> np.ndarray:
        """Return float32 [vocabulary], the logits after the last token."""
        return self._model.logits

    def logit_blocks(self, ids: Sequence[int], start: int = 0) -> Iterator[np.ndarray]:
        """Yield float32 [len(ids) - start, vocabulary] of a fresh sequence, all at once."""
        yield self.all_logits(ids)[start:]

    def all_logits(self, ids: Sequence[int]) -> np.ndarray:
        """Return float32 [len(ids), vocabulary] of a fresh sequence."""
        self._check_room(len(ids))
        self._check_ids(ids)
        self._note_batch(len(ids))
        return self._model.all_logits(ids)

    def snapshot(self) -> None:
        """Take a snapshot of a recurrent state."""
        self._model.snapshot()

    @property
    def state_bytes(self) -> int:
        """The size of the state now, where it is large."""
        return self._model.state_bytes

    def states(self) -> Sequence[State]:
        """Return the snapshots and the whole state now."""
        return self._model.states()

    def restore(self, tokens: Sequence[int], states: Sequence[State]) -> None:
        """Put states in the sequence's place."""
        self._model.restore(tokens, states)

    def cells(self) -> Cells | None:
        """Return nothing: these graphs have `states`."""
        return None

    def restore_cells(self, tokens: Sequence[int], state: Assembly) -> None:
        """Do nothing: these graphs have `states`."""

    @property
    def unmoved(self) -> int:
        """All tokens: none is moved."""
        return len(self.tokens)

    def movable(self, prompt: Sequence[int]) -> int:
        """Return what it holds as it is."""
        return common_prefix(self.tokens, prompt)

    def move(self, prompt: Sequence[int]) -> None:
        """Do nothing: what follows turns that are left out is computed anew."""

    def take_from(self, other: GraphRunner, count: int) -> None:
        """Do nothing: there is one sequence."""

    def save_state(self, path: Path) -> int:
        """Write the sequence's cache or recurrent state; return its bytes."""
        return write_state_file(path, self.info.architecture, self._model.tokens, self._model.read_state())

    def load_state(self, path: Path) -> int:
        """Take up a written state; return its number of tokens."""
        stored = read_state_file(path, self.info.architecture)
        known = stored is not None and all(0 <= token < self.info.vocabulary_size for token in stored[0])
        if stored is None or not known or not self._model.write_state(*stored):
            self._model.truncate(0)
            raise BadFile(
                "{path} does not hold a state of this model; the chat is read again from its messages.", path=path
            )
        return len(self._model.tokens)

    def bare_speeds(self, ids: Sequence[int], tokens: int) -> tuple[float, float]:
        """Refuse: llama.cpp has no such model, or none with such a context."""
        raise UnsupportedModel("{path} is not computed by llama.cpp.", path=self.info.path)

    def set_adapters(self, adapters: Sequence[AdapterUse]) -> None:
        """Refuse adapters: these graphs have none."""
        if adapters and self.info.architecture not in ARCHITECTURES:
            raise UnsupportedModel(
                "Past {context} tokens this model takes no adapters while it runs; load it with no larger context, "
                "or merge the adapter into its base (zhiyin convert --base BASE --lora ADAPTER).",
                context=self.info.trained_context,
            )
        if adapters:
            raise UnsupportedModel(
                "{architecture} models take no adapters while they run; merge it into its base (zhiyin convert "
                "--base BASE --lora ADAPTER).",
                architecture=self.info.architecture,
            )

    def interrupt(self, stop: bool) -> None:
        """Make a running `decode` give up at the next node of its graph (True), or let the next one run (False)."""
        self._stop.set(stop)

    def close(self) -> None:
        """Free the memory."""
        self._close.close()

    def _note_batch(self, count: int) -> None:
        self.largest_batch = max(self.largest_batch, min(count, self._batch))

    def _check_room(self, needed: int) -> None:
        room = self._model.context
        if room and needed > room:
            raise ContextFull(
                "This chat needs {needed} tokens, but the loaded context holds {room}; load the model with a "
                "larger context or start a new chat.",
                needed=needed,
                room=room,
            )

    def _check_ids(self, ids: Sequence[int]) -> None:
        """Refuse ids that the embeddings lack: a file's vocabulary may be longer, and ggml would end the process."""
        rows = len(self._model.logits)
        wrong = next((token for token in ids if not 0 <= token < rows), None)
        if wrong is not None:
            raise BadFile(
                "{path}: its vocabulary has the token id {wrong}, but its embeddings have only {rows} rows; "
                "convert the model again, with its own tokenizer.",
                path=self.info.path,
                wrong=wrong,
                rows=rows,
            )

    def _describe(self, header: GGUFHeader, parameters: int, seconds: float) -> ModelInfo:
        facts = template_facts(self.chat_template or "")
        trained = header.parameter("context_length")
        return ModelInfo(
            path=header.path,
            name=str(header.metadata.get("general.name", header.path.stem)),
            architecture=header.architecture,
            vocabulary_size=len(self._model.logits),
            context=self._model.context,
            can_trim=self._model.context != 0,
            trained_context=trained if isinstance(trained, int) else 0,
            parameters=parameters,
            file_type=header.quantization,
            chat=self.chat_template is not None,
            reasoning=facts.reasoning,
            tools=facts.tools or self.tool_template is not None,
            seconds=seconds,
            chat_format=chat_formats.name_of(header.metadata, self.tool_template or self.chat_template),
            plain_text=header.metadata.get(PLAIN) is True,
        )


def _ignore(part: float) -> None:
    """Take a progress report that nobody asked for."""
