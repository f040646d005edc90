"""`zhiyin docs`: collections of documents, searching them, and answers from them."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path

from desktop_app.chat.conversation import Message
from desktop_app.chat.grounding import Quotation, cited, source_words
from desktop_app.chat.request import prompt_messages
from desktop_app.commands.options import add_json, integer
from desktop_app.commands.session import find_model, loaded_by_plan
from desktop_app.commands.terminal import ProgressLine, counted, print_json, print_table, say
from desktop_app.documents.embedder import Embedder
from desktop_app.documents.fitting import Chat, costs_of
from desktop_app.documents.grounding import Grounder, quotation
from desktop_app.documents.indexing import Indexer, IndexProgress
from desktop_app.documents.retrieval import Found, RetrievalSettings, Retriever
from desktop_app.documents.store import Collection, Store
from desktop_app.engine.protocol import Generate, LoadSettings, SamplingSettings, Text, Update
from desktop_app.library.embedding_model import bundled_embedding_model
from desktop_app.paths import documents_file
from models.errors import BadFile
from models.visible import visible

_SHOWN = 300
_PASSAGE_CONTEXT = 4096


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions."""
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    add = actions.add_parser("add", help="add files and folders to a collection, and index what is new or changed")
    add.add_argument("collection", metavar="COLLECTION", help="its name; a new one is made")
    add.add_argument("path", nargs="*", type=Path, metavar="PATH", help="a file or folder; none: look for changes only")
    listing = actions.add_parser("list", help="list the collections, or one's files")
    listing.add_argument("collection", nargs="?", metavar="COLLECTION")
    remove = actions.add_parser("remove", help="remove a collection, or files and folders of it; the files stay")
    remove.add_argument("collection", metavar="COLLECTION")
    remove.add_argument("path", nargs="*", type=Path, metavar="PATH")
    search = actions.add_parser("search", help="show the passages for a question")
    ask = actions.add_parser("ask", help="answer a question from the passages, by a chat model")
    for action in (search, ask):
        action.add_argument("collection", metavar="COLLECTION", help="one, or several with commas between them")
        action.add_argument("question", metavar="QUESTION")
        action.add_argument("--count", type=integer(1, 50), default=6, metavar="N", help="passages; default: 6")
        action.add_argument("--by", choices=("both", "words", "meaning"), default="both", help="default: both")
    ask.add_argument("-m", "--model", metavar="MODEL", help="the chat model; default: the one used last")
    for action in (add, listing, remove, search, ask):
        add_json(action)


def run(arguments: argparse.Namespace) -> int:
    """Do what is asked."""
    with closing(Store(documents_file())) as store:
        return {"add": _add, "list": _list, "remove": _remove, "search": _search, "ask": _ask}[arguments.action](
            store, arguments
        )


def _add(store: Store, arguments: argparse.Namespace) -> int:
    paths = [path.expanduser().resolve() for path in arguments.path]
    for path in paths:
        if not path.exists():
            raise BadFile("{path} does not exist; name a file or a folder.", path=path)
    if paths:
        store.add(arguments.collection, paths)
    line = ProgressLine()

    def show(progress: IndexProgress) -> None:
        if progress.error is not None:
            line.clear()
            say(f"zhiyin: {progress.error}")
        elif progress.all_passages:
            line.show(progress.passages / progress.all_passages, "making vectors")
        else:
            line.show(progress.files / max(1, progress.all_files), f"reading {visible(Path(progress.path).name)}")

    with ExitStack() as stack:
        stack.callback(line.clear)
        embedder = _embedder(stack)
        collection = Indexer(store, embedder, on_progress=show).update(arguments.collection)
    if arguments.json:
        print_json(_facts(collection))
    else:
        say(f"{collection.name}: {_counts(collection)}, {collection.failed} failed.")
    return 0


def _embedder(stack: ExitStack) -> Embedder | None:
    model = bundled_embedding_model()
    if model is None:
        say("No embedding model comes with this installation: documents are found by their words alone.")
        return None
    return stack.enter_context(Embedder(model))


def _list(store: Store, arguments: argparse.Namespace) -> int:
    if arguments.collection is None:
        collections = store.collections()
        if arguments.json:
            print_json([_facts(collection) for collection in collections])
        else:
            print_table(
                (c.name, counted(c.files, "file"), counted(c.passages, "passage"), f"{c.failed} failed")
                for c in collections
            )
        return 0
    files = store.files(arguments.collection)
    if arguments.json:
        print_json(
            [
                {
                    "file": file.path,
                    "bytes": file.bytes,
                    "pages": file.pages or None,
                    "characters": file.characters,
                    "error": None if file.error is None else str(file.error),
                }
                for file in files
            ]
        )
    else:
        print_table(
            (visible(file.path), counted(file.pages, "page") if file.pages else "", str(file.error or ""))
            for file in files
        )
    return 0


def _counts(collection: Collection) -> str:
    return f"{counted(collection.files, 'file')}, {counted(collection.passages, 'passage')}"


def _facts(collection: Collection) -> dict[str, object]:
    return {
        "name": collection.name,
        "sources": list(collection.sources),
        "files": collection.files,
        "passages": collection.passages,
        "without_vector": collection.waiting,
        "failed": collection.failed,
        "model": collection.model or None,
    }


def _remove(store: Store, arguments: argparse.Namespace) -> int:
    if not arguments.path:
        store.remove(arguments.collection)
        say(f"Removed {arguments.collection}; the files themselves stay.")
        return 0
    for path in arguments.path:
        store.remove_source(arguments.collection, str(path.expanduser().resolve()))
    collection = Indexer(store, None).update(arguments.collection)
    say(f"{collection.name}: {_counts(collection)}.")
    return 0


def _search(store: Store, arguments: argparse.Namespace) -> int:
    passages = _found(store, arguments)
    if arguments.json:
        print_json([entry.facts() for entry in passages])
        return 0
    for number, entry in enumerate(passages, 1):
        print(f"[{number}] {visible(source_words(quotation(entry, number)))}  {_scores(entry)}")
        print(f"    {visible(' '.join(entry.passage.text.split())[:_SHOWN])}")
    if not passages:
        say("Nothing was found.")
    return 0


def _scores(entry: Found) -> str:
    lexical = "-" if entry.lexical is None else f"{entry.lexical:.2f}"
    vector = "-" if entry.vector is None else f"{entry.vector:.3f}"
    return f"score {entry.score:.4f}, words {lexical}, meaning {vector}"


def _found(store: Store, arguments: argparse.Namespace) -> list[Found]:
    numbers = [store.collection(name).id for name in _names(arguments)]
    settings = _settings(arguments)
    with ExitStack() as stack:
        embedder = _embedder(stack) if settings.vector else None
        return Retriever(store, embedder).search(numbers, arguments.question, settings)


def _names(arguments: argparse.Namespace) -> list[str]:
    return [name.strip() for name in arguments.collection.split(",") if name.strip()]


def _settings(arguments: argparse.Namespace) -> RetrievalSettings:
    return RetrievalSettings(count=arguments.count, lexical=arguments.by != "meaning", vector=arguments.by != "words")


def _ask(store: Store, arguments: argparse.Namespace) -> int:
    settings, question = _settings(arguments), Message("", None, "user", arguments.question)
    model = find_model(arguments.model)
    with ExitStack() as stack:
        session = stack.enter_context(loaded_by_plan(model, LoadSettings(), _PASSAGE_CONTEXT))
        embedder = _embedder(stack) if settings.vector else None
        context = session.info.context
        chat = Chat([question], _names(arguments))
        costs = costs_of(chat, session.engine.count_tokens)
        grounding = Grounder(store, embedder, settings).ground(chat, context, costs)
        quotations = grounding.quotations if grounding is not None else ()
        if not quotations:
            say("Nothing in these documents has to do with the question; the model is told so.")

        def write(update: Update) -> None:
            if isinstance(update, Text) and not arguments.json:
                sys.stdout.write(update.text)
                sys.stdout.flush()

        sampling = replace(SamplingSettings(), temperature=0.2, max_tokens=1024)
        messages = tuple(prompt_messages([question], "", grounding))
        reply = session.engine.submit(Generate(messages, sampling), write).result()
    used = cited(reply.text, [one.number for one in quotations])
    if arguments.json:
        sources = [{**_quotation_facts(one), "cited": one.number in used} for one in quotations]
        print_json({"answer": reply.text, "passages": sources})
        return 0
    print()
    for one in quotations:
        print(f"[{one.number}] {visible(source_words(one))}")
    return 0


def _quotation_facts(quotation: Quotation) -> dict[str, object]:
    return {
        "number": quotation.number,
        "file": quotation.path,
        "page": quotation.page or None,
        "text": quotation.text,
        "score": quotation.score,
        "lexical": quotation.lexical,
        "vector": quotation.vector,
    }
