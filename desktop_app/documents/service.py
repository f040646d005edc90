"""The window's requests to the collections, each as a piece of work for a process of its own (`processes.worker`).

Nothing heavy is imported with this module: the window imports it, and what it returns.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from desktop_app.chat.grounding import Grounding
    from desktop_app.documents.fitting import Chat, Costs
    from desktop_app.documents.store import Store
    from models.errors import ZhiyinError

Tell = Callable[[Any], None]
By = Literal["both", "words", "meaning"]


@dataclass(frozen=True)
class CollectionState:
    """A collection as the window shows it."""

    name: str
    sources: tuple[str, ...]
    files: int
    passages: int
    failed: tuple[ZhiyinError, ...]
    """Why files could not be read, or not to their end."""


@dataclass(frozen=True)
class Progress:
    """How far indexing is."""

    part: float
    """0 to 1, of the phase."""
    reading: str
    """The file that is read; "": vectors are made."""


@dataclass(frozen=True)
class ShownPassage:
    """A passage that would be used for a question."""

    file: str
    page: int
    text: str
    score: float
    lexical: float | None
    vector: float | None
    rerank: float | None = None


def overview(tell: Tell, stopped: Callable[[], bool]) -> list[CollectionState]:
    """Return all collections."""
    with ExitStack() as stack:
        store = _store(stack)
        return [_state(store, collection.name) for collection in store.collections()]


def update(name: str, sources: tuple[Path, ...], tell: Tell, stopped: Callable[[], bool]) -> list[CollectionState]:
    """Add files and folders to a collection, index what is new or changed at idle priority, and return all collections."""
    from desktop_app.documents.chosen_models import search_models
    from desktop_app.documents.indexing import Indexer, IndexProgress
    from desktop_app.processes.priority import give_way

    def show(progress: IndexProgress) -> None:
        if progress.all_passages:
            tell(Progress(progress.passages / progress.all_passages, ""))
        else:
            tell(Progress(progress.files / max(1, progress.all_files), progress.path))

    give_way(os.getpid())
    with ExitStack() as stack:
        store = _store(stack)
        store.add(name, list(sources))
        models = search_models(stack, idle=True)
        Indexer(store, models.embedder, on_progress=show, stopped=stopped).update(name)
    return overview(tell, stopped)


def remove(name: str, tell: Tell, stopped: Callable[[], bool]) -> list[CollectionState]:
    """Remove a collection and return the others."""
    with ExitStack() as stack:
        _store(stack).remove(name)
    return overview(tell, stopped)


def search(
    name: str, question: str, by: By, count: int, reranks: bool, tell: Tell, stopped: Callable[[], bool]
) -> list[ShownPassage]:
    """Return the passages that would be used for a question; `reranks`: with the chosen reranking model, if there is one."""
    from desktop_app.documents.chosen_models import search_models
    from desktop_app.documents.retrieval import RetrievalSettings, Retriever

    settings = RetrievalSettings(count, lexical=by != "meaning", vector=by != "words", rerank=reranks)
    with ExitStack() as stack:
        store = _store(stack)
        models = search_models(stack, vector=settings.vector)
        retriever = Retriever(store, models.embedder, models.reranker if reranks else None)
        results = retriever.search([store.collection(name).id], question, settings)
    return [
        ShownPassage(f.passage.path, f.passage.page, f.passage.text, f.score, f.lexical, f.vector, f.rerank)
        for f in results
        if f.relevant
    ]


def ground(chat: Chat, context: int, costs: Costs, tell: Tell, stopped: Callable[[], bool]) -> Grounding | None:
    """Return what a model is to read of documents for a reply."""
    from desktop_app.documents.chosen_models import search_models
    from desktop_app.documents.grounding import Grounder

    with ExitStack() as stack:
        models = search_models(stack)
        grounder = Grounder(_store(stack), models.embedder, reranker=models.reranker)
        return grounder.ground(chat, context, costs, lambda name, part: tell(Progress(part, name)), stopped)


def forget_chats(known: frozenset[str], tell: Tell, stopped: Callable[[], bool]) -> None:
    """Remove what was made of attachments of chats that are gone."""
    with ExitStack() as stack:
        _store(stack).forget_chats(known)


def _store(stack: ExitStack) -> Store:
    from desktop_app.documents.store import Store
    from desktop_app.paths import documents_file

    return stack.enter_context(Store(documents_file()))


def _state(store: Store, name: str) -> CollectionState:
    collection = store.collection(name)
    failed = tuple(file.error for file in store.files(name) if file.error is not None)
    return CollectionState(name, collection.sources, collection.files, collection.passages, failed)
