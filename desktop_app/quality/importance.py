"""Makes importance matrices: a text read by a model, in chunks, and between two chunks on the disk for the next run.

A chunk is one batch, as in llama.cpp's tools/imatrix, whose values these are for the same text.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from converter.atomic_write import unfinished_folder
from converter.progress import Progress as Conversion
from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import (
    CollectImportance,
    Load,
    LoadSettings,
    Progress,
    Prompt,
    ResumeImportance,
    Tokenize,
    Update,
    WriteImportance,
)
from desktop_app.engine.results import Coverage
from desktop_app.paths import data_folder, importance_folder
from desktop_app.quality.chunks import CONTEXT, chunks_of, cut_chunks, read_text
from desktop_app.quality.measurement import check_context
from desktop_app.quality.memory import Room
from desktop_app.quality.references import reference_identity, runnable
from desktop_app.quality.texts import BUILT_IN, calibration_dialogues, calibration_prose
from models.errors import Cancelled, ZhiyinError
from models.system_errors import cannot_write

_SECONDS = 30.0
"""Between two times at which what was collected is stored."""

Listener = Callable[[float, str], None]
"""Hears of the part that is done (0 to 1), and of the phase ("convert", "load", "read")."""


@dataclass(frozen=True)
class ImportanceRequest:
    """A request for an importance matrix."""

    model: Path
    """A GGUF file."""
    out: Path
    text: str | None = None
    """None: our own text, whose chats are written by the model's own template."""
    source: Path = BUILT_IN
    """Where the text is from."""
    context: int = CONTEXT


def make_importance(
    request: ImportanceRequest,
    on_progress: Listener = lambda *_: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Coverage:
    """Write an importance matrix, in an engine process of its own; a run that was stopped goes on where it was.

    Raises:
        Cancelled: `cancelled` said so, between two chunks.
        ZhiyinError: one sentence.
    """
    check_context(request.model, request.context)

    def loading(update: Update) -> None:
        if isinstance(update, Progress):
            on_progress(update.part, "load")

    with Engine() as engine:
        settings = LoadSettings(
            context=request.context, batch=request.context, logit_rows=request.context, importance=True
        )
        Room(engine).check(request.model, settings)
        engine.submit(Load(request.model, settings), loading).result()
        chunks = _chunks(engine, request)
        key = _key(request.model, chunks)
        unfinished = importance_folder() / f"{key}.gguf"
        done = engine.submit(ResumeImportance(unfinished, key)).result().chunks
        stored = time.monotonic()
        for number, chunk in enumerate(chunks):
            on_progress(number / len(chunks), "read")
            if cancelled():
                _store(engine, request, unfinished, key)
                raise Cancelled("Stopped.")
            if number >= done:
                engine.submit(CollectImportance(chunk)).result()
                if time.monotonic() - stored > _SECONDS:
                    _store(engine, request, unfinished, key)
                    stored = time.monotonic()
        coverage = engine.submit(WriteImportance(request.out, request.context, str(request.source), "")).result()
    with suppress(OSError):
        unfinished.unlink()
    return coverage


@contextmanager
def lent_importance(
    source: Path,
    on_progress: Listener = lambda *_: None,
    text: Path | None = None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Iterator[Path]:
    """Lend an importance matrix of a checkpoint or a GGUF file; it is removed afterwards.

    Args:
        source: what is to be converted.
        on_progress: see `Listener`.
        text: a file; None: our own text.
        cancelled: asked all the time; True ends the work.

    Raises:
        ZhiyinError: as `make_importance` and `runnable`.
    """
    words = None if text is None else read_text(text)

    def converting(progress: Conversion) -> None:
        if cancelled():
            raise Cancelled("Stopped.")
        on_progress(progress.bytes_done / max(1, progress.bytes_total), "convert")

    target = data_folder() / f"{source.stem}.imatrix.gguf"
    try:
        with unfinished_folder(target) as folder:
            with runnable(source, converting) as model:
                request = ImportanceRequest(model, folder / target.name, words, text or BUILT_IN)
                make_importance(request, on_progress, cancelled)
            yield folder / target.name
    except OSError as error:
        raise cannot_write(target, error) from error


def _store(engine: Engine, request: ImportanceRequest, path: Path, key: str) -> None:
    """Store what was collected; a full disk only means that the next run begins anew."""
    with suppress(ZhiyinError):
        engine.submit(WriteImportance(path, request.context, str(request.source), key)).result()


def _chunks(engine: Engine, request: ImportanceRequest) -> list[tuple[int, ...]]:
    if request.text is not None:
        return cut_chunks(engine, request.text, request.context, request.source)
    beginning = engine.submit(Tokenize("")).result().ids
    ids = beginning + engine.submit(Tokenize(calibration_prose(), add_special=False, special=False)).result().ids
    for chat in calibration_dialogues():
        ids += _chat_ids(engine, chat)
    return chunks_of(ids, len(beginning), request.context, request.source)


def _chat_ids(engine: Engine, chat: Sequence[dict[str, str]]) -> list[int]:
    """Return a chat's tokens by the model's template; where it has none, or refuses the chat, by lines of its own."""
    try:
        return engine.submit(Prompt(tuple(chat))).result().ids
    except ZhiyinError:
        lines = "\n".join(f"{message['role']}: {message['content']}" for message in chat)
        return engine.submit(Tokenize(lines, add_special=False, special=False)).result().ids


def _key(model: Path, chunks: Sequence[Sequence[int]]) -> str:
    facts = [reference_identity(model), [list(chunk) for chunk in chunks]]
    return blake2b(json.dumps(facts).encode(), digest_size=20).hexdigest()
