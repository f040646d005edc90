"""Names of models: labels that tell equal names apart, and the model that a name means."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace

from desktop_app.library.file_names import composed, folded, raw_name
from desktop_app.library.installed_model import Entry, InstalledModel
from models.errors import ZhiyinError
from models.visible import visible


class AmbiguousModel(ZhiyinError):
    """Several models have the name."""

    default_code = "ambiguous-model"
    candidates: Sequence[Entry] = ()


def labelled(models: Sequence[InstalledModel]) -> list[InstalledModel]:
    """Give models of one name labels that tell them apart: their repositories, or the ends of their folders' paths."""
    counts = Counter(folded(model.name) for model in models)
    return [
        model
        if counts[folded(model.name)] == 1
        else replace(model, label=f"{model.name} ({_difference(model, models)})")
        for model in models
    ]


def _difference(model: InstalledModel, models: Sequence[InstalledModel]) -> str:
    others = [other for other in models if other is not model and folded(other.name) == folded(model.name)]
    if model.starter:
        return "Zhiyin"
    if model.origin and all(other.origin != model.origin for other in others):
        return model.origin
    folder = model.path.parent.parts
    for length in range(1, len(folder) + 1):
        if all(other.path.parent.parts[-length:] != folder[-length:] for other in others):
            return visible("/".join(folder[-length:]))
    return visible(str(model.path))


def named(entries: Iterable[Entry], text: str) -> list[Entry]:
    """Return the entries that have a name; where none has it, the one that the text identifies."""
    wanted, entries = composed(text), list(entries)
    named = [
        entry for entry in entries if wanted in (entry.name, *map(composed, (entry.path.name, raw_name(entry.path))))
    ]
    return named or [
        entry for entry in entries if wanted in map(composed, (entry.identifier, getattr(entry, "label", "")))
    ]


def identified(models: Iterable[InstalledModel], identifier: str) -> InstalledModel | None:
    """Return the model with an identifier, else the one that had it before it was renamed."""
    models = list(models)
    exact = (model for model in models if model.identifier == identifier)
    former = (model for model in models if identifier in model.own.former)
    return next(exact, None) or next(former, None)


def the_one(name: str, matches: Sequence[Entry]) -> Entry:
    """Return the only one that was found; raises `AmbiguousModel` where there are several."""
    if len(matches) == 1:
        return matches[0]
    paths = ", ".join(str(entry.path) for entry in matches)
    error = AmbiguousModel(
        "{name} is the name of several models; give the path of one: {paths}.", name=name, paths=paths
    )
    error.candidates = tuple(matches)
    raise error
