"""Chooses the model that is loaded at the start."""

from __future__ import annotations

from pathlib import Path

from desktop_app.library.file_names import shown_name
from desktop_app.library.installed_model import InstalledModel, Listing
from desktop_app.library.model_names import identified
from models.errors import BadFile, ZhiyinError


def first_model(listing: Listing, last: str) -> tuple[InstalledModel, ZhiyinError | None]:
    """Return the model to begin with: the one used last, else the newest that the user brought, else the starter.

    Args:
        listing: of the library.
        last: identifies the model used last; "": none was.

    Returns:
        the model, and what is wrong with the one that it stands in for.

    Raises:
        ZhiyinError: there is no model.
    """
    models = [model for model in listing.models if not model.measures]
    if not models:
        raise ZhiyinError("No model is installed; convert or import one first (zhiyin convert, zhiyin models import).")
    identical = identified(models, last) if last else None
    used = [model for model in models if last == model.name] if identical is None else [identical]
    if len(used) == 1:
        return used[0], None
    own = [model for model in models if not model.starter]
    best = max(own, key=lambda model: model.modified) if own else models[0]
    if last:
        missed = next((broken for broken in listing.broken if last in (broken.identifier, broken.name)), None)
        gone = BadFile("{path} is not there any more; put it back, or choose another model.", path=last)
        name, reason = (missed.name, missed.error) if missed is not None else (shown_name(Path(last)), gone)
    else:
        newer = [broken for broken in listing.broken if broken.modified > best.modified]
        if not newer:
            return best, None
        missed = max(newer, key=lambda broken: broken.modified)
        name, reason = missed.name, missed.error
    return best, ZhiyinError(
        "{name} cannot be used, so {other} is used. {reason}", name=name, other=best.label, reason=reason
    )
