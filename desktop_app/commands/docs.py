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
from desktop_app.documents.chosen_models import SearchModels, search_models
from desktop_app.documents.fitting import Chat, costs_of
from desktop_app.documents.grounding import Grounder, quotation
from desktop_app.documents.indexing import Indexer, IndexProgress
from desktop_app.documents.retrieval import Found, RetrievalSettings, Retriever
from desktop_app.documents.store import Collection, Store
from desktop_app.engine.protocol import Generate, LoadSettings, SamplingSettings, Text, Update
from desktop_app.library.embedding_model import NAME as BUNDLED
from desktop_app.library.installed import Library
from desktop_app.library.installed_model import InstalledModel
from desktop_app.paths import documents_file, models_folder, settings_file
from desktop_app.settings import load_settings, save_settings
from models.errors import BadFile, ZhiyinError
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
        action.add_argument(
            "--no-rerank", action="store_true", help="keep the order, though a reranking model was chosen"
        )
    ask.add_argument("-m", "--model", metavar="MODEL", help="the chat model; default: the one used last")
    chooser = actions.add_parser("models", help="show or choose the models that make vectors and put passages in order")
    chooser.add_argument("--embedder", metavar="MODEL", help=f"an embedding model; {BUNDLED}: the one that comes along")
    chooser.add_argument("--reranker", metavar="MODEL", help="a reranking model; none: passages stay in their order")
    for action in (add, listing, remove, search, ask, chooser):
        add_json(action)


def run(arguments: argparse.Namespace) -> int:
    """Do what is asked."""
    with closing(Store(documents_file())) as store:
        does = {"add": _add, "list": _list, "remove": _remove, "search": _search, "ask": _ask, "models": _models}
        return does[arguments.action](store, arguments)


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
        models = _search_models(stack)
        collection = Indexer(store, models.embedder, on_progress=show).update(arguments.collection)
    if arguments.json:
        print_json(_facts(collection))
    else:
        say(f"{collection.name}: {_counts(collection)}, {collection.failed} failed.")
    return 0


def _search_models(stack: ExitStack, *, vector: bool = True, reranks: bool = False) -> SearchModels:
    models = search_models(stack, vector=vector)
    if vector and models.embedder is None:
        say("No embedding model comes with this installation: documents are found by their words alone.")
    return models if reranks else replace(models, reranker=None)


def _models(store: Store, arguments: argparse.Namespace) -> int:
    """Show or choose the models of all collections."""
    settings = load_settings(settings_file())
    before = (settings.embedder, settings.reranker)
    if arguments.embedder is not None:
        named = arguments.embedder not in ("", BUNDLED)
        settings.embedder = _measuring(arguments.embedder, ranks=False).identifier if named else ""
    if arguments.reranker is not None:
        named = arguments.reranker not in ("", "none")
        settings.reranker = _measuring(arguments.reranker, ranks=True).identifier if named else ""
    if (settings.embedder, settings.reranker) != before:
        save_settings(settings, settings_file())
    if settings.embedder != before[0] and store.collections():
        say("Vectors are made anew when a collection is indexed next: zhiyin docs add COLLECTION.")
    names = {"embedder": settings.embedder or BUNDLED, "reranker": settings.reranker or None}
    if arguments.json:
        print_json(names)
    else:
        print_table((kind, visible(name or "none")) for kind, name in names.items())
    return 0


def _measuring(name: str, *, ranks: bool) -> InstalledModel:
    """Return an installed model of a kind; raises where it is of another one."""
    model = Library(models_folder()).find_installed(name)
    if not isinstance(model, InstalledModel):
        raise model.error
    if not model.measures or model.ranks != ranks:
        if ranks:
            raise ZhiyinError("{name} ranks no passages; choose a reranking model.", name=model.name)
        raise ZhiyinError("{name} makes no vectors; choose an embedding model.", name=model.name)
    return model


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
    rerank = "" if entry.rerank is None else f", reranked {entry.rerank:.3f}"
    return f"score {entry.score:.4f}, words {lexical}, meaning {vector}{rerank}"


def _found(store: Store, arguments: argparse.Namespace) -> list[Found]:
    numbers = [store.collection(name).id for name in _names(arguments)]
    settings = _settings(arguments)
    with ExitStack() as stack:
        models = _search_models(stack, vector=settings.vector, reranks=settings.rerank)
        return Retriever(store, models.embedder, models.reranker).search(numbers, arguments.question, settings)


def _names(arguments: argparse.Namespace) -> list[str]:
    return [name.strip() for name in arguments.collection.split(",") if name.strip()] or [arguments.collection]


def _settings(arguments: argparse.Namespace) -> RetrievalSettings:
    return RetrievalSettings(
        arguments.count,
        lexical=arguments.by != "meaning",
        vector=arguments.by != "words",
        rerank=not arguments.no_rerank,
    )


def _ask(store: Store, arguments: argparse.Namespace) -> int:
    settings, question = _settings(arguments), Message("", None, "user", arguments.question)
    model = find_model(arguments.model)
    with ExitStack() as stack:
        session = stack.enter_context(loaded_by_plan(model, LoadSettings(), _PASSAGE_CONTEXT))
        models = _search_models(stack, vector=settings.vector, reranks=settings.rerank)
        context = session.info.context
        chat = Chat([question], _names(arguments))
        costs = costs_of(chat, session.engine.count_tokens)
        grounding = Grounder(store, models.embedder, settings, models.reranker).ground(chat, context, costs)
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
