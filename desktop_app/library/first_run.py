"""The first run: this computer's hardware, and three models that run well on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from desktop_app.library.catalogue import CatalogueOffer, Overview
from desktop_app.system.hardware import Hardware

Purpose = Literal["chinese", "english", "smallest"]

USUAL_RATE = 50_000_000 / 8
"""Bytes a second of a usual connection: what is counted with before anything was downloaded here."""
_OPEN = ("Apache-2.0", "MIT")
"""Licences of models that every host gives to anybody: others may want an account, which is more than a click."""
_LEAST = 0.5
"""Thousand millions of parameters; smaller models are hardly better than the starter."""
_LARGEST = 20_000_000_000
"""Bytes of a download; nobody waits for more before the first word."""
_CAREFUL = 3_000_000_000
"""Bytes of weights that are read a few times a second by any computer of these years: the most where no speed is known."""


@dataclass(frozen=True)
class Suggestion:
    """One model, and what it is suggested for."""

    purpose: Purpose
    offer: CatalogueOffer
    seconds: float | None
    """That the download is likely to take; None: its size is not known."""


@dataclass(frozen=True)
class FirstRun:
    """Everything that is said before the first model is chosen."""

    hardware: Hardware
    suggestions: tuple[Suggestion, ...]
    """The best for Chinese, the best for English, the smallest; fewer where one model is several of them or none fits."""
    rate: float
    """Bytes a second that the downloads are counted with."""
    rate_measured: bool
    """They came at that rate before; otherwise it is `USUAL_RATE`."""
    speed_measured: bool
    """How fast this computer reads weights is known."""


def first_run(hardware: Hardware, overview: Overview, rate: float = 0) -> FirstRun:
    """Return what to offer.

    Args:
        hardware: this computer.
        overview: the catalogue as planned for it.
        rate: bytes a second of an earlier download; 0: there was none.
    """
    counted = rate or USUAL_RATE
    return FirstRun(hardware, suggestions(overview, counted), counted, bool(rate), overview.measured)


def suggestions(overview: Overview, rate: float) -> tuple[Suggestion, ...]:
    """Return the best model for each purpose among those that run well, each model once."""
    suited = [offer for offer in overview.offers if _is_suited(offer, overview)]
    newest = max((offer.entry.year for offer in suited), default=0)
    recent = [offer for offer in suited if offer.entry.year >= newest - 1]
    chosen: dict[Purpose, CatalogueOffer | None] = {
        "chinese": _most_able(suited, lambda offer: offer.entry.languages[0] == "zh"),
        "english": _most_able(suited, lambda offer: offer.entry.languages[0] == "en"),
        "smallest": min(recent, key=lambda offer: (offer.download or 0, offer.model.name), default=None),
    }
    unique = {offer.model.source: (purpose, offer) for purpose, offer in reversed(chosen.items()) if offer is not None}
    return tuple(
        Suggestion(purpose, offer, None if offer.download is None else offer.download / rate)
        for purpose, offer in reversed(unique.values())
    )


def _is_suited(offer: CatalogueOffer, overview: Overview) -> bool:
    """Tell whether a model may be had with one click and then answers well and fast enough, as far as is known."""
    option = offer.option
    if option is None or not offer.model.chat or offer.entry.licence not in _OPEN or not overview.fits(offer):
        return False
    if (offer.download or 0) > _LARGEST or offer.model.parameters < _LEAST:
        return False
    if not overview.measured and (offer.disk or 0) > _CAREFUL:
        return False
    return option.good and option.comfortable


def _most_able(offers: list[CatalogueOffer], is_meant: Callable[[CatalogueOffer], bool]) -> CatalogueOffer | None:
    meant = filter(is_meant, offers)
    return max(meant, key=lambda offer: (offer.entry.year, offer.model.parameters, offer.model.name), default=None)
