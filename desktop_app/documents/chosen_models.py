"""Which models documents are searched with: the embedding model, the bundled one unless another was chosen, and a reranker."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

from desktop_app import reports
from desktop_app.documents.embedder import Embedder
from desktop_app.documents.reranker import Reranker
from desktop_app.library.embedding_model import bundled_embedding_model
from desktop_app.library.installed import Library
from desktop_app.library.installed_model import InstalledModel
from desktop_app.library.model_names import identified
from desktop_app.paths import models_folder, settings_file
from desktop_app.settings import Settings, load_settings
from models.errors import ZhiyinError


@dataclass(frozen=True)
class SearchModels:
    """What searches."""

    embedder: Embedder | None
    """None: words alone count."""
    reranker: Reranker | None = None
    """None: passages stay in the order of both rankings."""


def search_models(
    stack: ExitStack, *, idle: bool = False, vector: bool = True, settings: Settings | None = None
) -> SearchModels:
    """Return the chosen models, whose processes end with `stack`.

    Args:
        stack: closes them.
        idle: the embedding model gives way to everything else; nothing is ranked anew then.
        vector: vectors are wanted.
        settings: with the choice; None: as they are stored.

    Raises:
        BadFile: the bundled model is damaged.
    """
    chosen = settings or load_settings(settings_file())
    embedder = _embedder(chosen.embedder, idle=idle) if vector else None
    reranker = None if idle or not chosen.reranker else _chosen(chosen.reranker, ranks=True)
    return SearchModels(
        None if embedder is None else stack.enter_context(embedder),
        None if reranker is None else stack.enter_context(Reranker(reranker.path)),
    )


def embedder_name(model: InstalledModel) -> str:
    """Return what a collection notes of the model that made its vectors: a name, and what tells other files of it."""
    return f"{model.path.name}:{model.bytes}"


def _embedder(identifier: str, *, idle: bool) -> Embedder | None:
    model = _chosen(identifier, ranks=False) if identifier else None
    if model is not None:
        return Embedder(model.path, idle=idle, name=embedder_name(model))
    bundled = bundled_embedding_model()
    return None if bundled is None else Embedder(bundled, idle=idle)


def _chosen(identifier: str, *, ranks: bool) -> InstalledModel | None:
    """Return a model that was chosen; None: it is not there any more, which is said."""
    model = identified((one for one in Library(models_folder()).models() if one.measures), identifier)
    if model is not None and model.ranks == ranks:
        return model
    reports.say(
        ZhiyinError(
            "{name} is not there any more, so documents are searched without it; choose another model for documents.",
            name=identifier,
        )
    )
    return None
