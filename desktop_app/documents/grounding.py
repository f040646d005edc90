"""Grounding of one message in documents: full texts and passages. The window, the terminal and the server all ask here."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from desktop_app.chat.attachment import Attachment
from desktop_app.chat.attachment_parts import pages_of
from desktop_app.chat.grounding import Grounding, Quotation
from desktop_app.documents import kinds
from desktop_app.documents.chunking import passages
from desktop_app.documents.document import Block, Document, Kind, Page
from desktop_app.documents.embedder import Embedder
from desktop_app.documents.fitting import Chat, Costs, fit
from desktop_app.documents.formats.plain import markdown_blocks, paragraphs
from desktop_app.documents.indexing import embed
from desktop_app.documents.reranker import Reranker
from desktop_app.documents.retrieval import Found, RetrievalSettings, Retriever
from desktop_app.documents.store import Collection, Store


class Grounder:
    """Decides what of documents goes into a prompt; one is kept, because vectors and the embedding model stay in memory."""

    def __init__(
        self,
        store: Store,
        embedder: Embedder | None,
        settings: RetrievalSettings | None = None,
        reranker: Reranker | None = None,
    ) -> None:
        """Take the store of all collections; the models are those of `Retriever`."""
        self._store, self._embedder = store, embedder
        self._settings = settings or RetrievalSettings()
        self._retriever = Retriever(store, embedder, reranker)

    def ground(
        self,
        chat: Chat,
        context: int,
        costs: Costs,
        on_progress: Callable[[str, float], None] = lambda name, part: None,
        stopped: Callable[[], bool] = lambda: False,
    ) -> Grounding | None:
        """Return what the model is to read of documents for a reply; None: there are none.

        Args:
            chat: what was said, and which collections are asked.
            context: tokens that the model keeps in mind; 0: any number.
            costs: of the chat.
            on_progress: hears of which document vectors are made, and how far that is.
            stopped: True stops the work.

        Raises:
            Cancelled: it was stopped.
            ZhiyinError: the store or the embedding model fails.
        """
        fitting = fit(chat, context, costs)
        if not fitting.searched and not chat.collections:
            return fitting.grounding()
        known = {collection.name: collection for collection in self._store.collections()}
        searched = [known[name] for name in chat.collections if name in known]  # others were removed meanwhile
        for one in fitting.searched:
            searched.append(self._indexed(chat.path[-1].conversation, one, on_progress, stopped))
        new_passages = self._new(chat, [one.id for one in searched], {document.attachment for document in fitting.full})
        kept = _within(new_passages, fitting.room, costs)
        return Grounding(
            fitting.full,
            (*chat.collections, *(one.name for one in fitting.searched)),
            tuple(quotation(entry, number) for number, entry in enumerate(kept, fitting.next_number)),
            by_words=self._embedder is None,
        )

    def _indexed(
        self, chat: str, attachment: Attachment, tell: Callable[[str, float], None], stopped: Callable[[], bool]
    ) -> Collection:
        """Return the collection of an attachment, made the first time."""
        key = hashlib.sha256(attachment.text.encode("utf-8", "replace")).hexdigest()  # copies have ids of their own
        collection = self._store.attached(chat, key)
        if collection is None:
            collection = self._store.attach(
                chat, key, attachment.path or attachment.name, passages(document_of(attachment))
            )
        if self._embedder is not None and collection.waiting:

            def show(made: int, everything: int) -> None:
                tell(attachment.name, made / max(1, everything))

            embed(self._store, self._embedder, collection.name, show, stopped)
        return collection

    def _new(self, chat: Chat, collections: Sequence[int], complete: set[str]) -> list[Found]:
        """Return relevant passages that the model does not read anyway."""
        read = [" ".join(one.text.split()) for one in chat.attachments if one.id in complete]
        results = self._retriever.search(collections, chat.path[-1].content, self._settings, without=read)
        return [entry for entry in results if entry.relevant]


def document_of(attachment: Attachment) -> Document:
    """Return an attachment's text as the document that it was."""
    return Document([Page(page.page, _blocks(page.text, attachment.kind)) for page in pages_of(attachment.text)])


def _blocks(text: str, kind: str) -> list[Block]:
    if kind == kinds.MARKDOWN:
        return markdown_blocks(text)
    return [Block(text, Kind.CODE)] if kind == kinds.CODE else [_block(block) for block in paragraphs(text)]


def _block(block: Block) -> Block:
    """Return a paragraph, or a table where each line has cells."""
    lines = block.text.split("\n")
    return Block(block.text, Kind.TABLE) if len(lines) > 1 and all(" | " in line for line in lines) else block


def _within(results: Sequence[Found], room: int, costs: Costs) -> list[Found]:
    """Return the best passages that there is room for; the best one is there in any case."""
    kept: list[Found] = []
    for entry in results:
        room -= costs.of(entry.passage.text)
        if room < 0 and kept:
            break
        kept.append(entry)
    return kept


def quotation(entry: Found, number: int) -> Quotation:
    """Return what was found, with the number that an answer names it by."""
    passage = entry.passage
    path = Path(passage.path)
    return Quotation(
        number,
        path.name,
        passage.text,
        str(path) if path.is_absolute() else "",
        passage.page,
        passage.last_page,
        entry.score,
        entry.lexical,
        entry.vector,
    )
