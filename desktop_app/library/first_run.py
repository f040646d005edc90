"""The first run: this computer's hardware, and three models that run well on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
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
    """The best for Chinese, the best for English, the smallest; fewer where no three fit."""
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
    """Return a model for each purpose, each once: the best of those that run well; where none is left, of all that fit."""
    to_be_had = [offer for offer in overview.offers if _is_to_be_had(offer, overview)]
    suited = [offer for offer in to_be_had if _is_suited(offer, overview)]
    chosen: dict[Purpose, CatalogueOffer] = {}
    for purpose, choose in _CHOICES.items():
        for offers in (suited, to_be_had):
            others = [offer for offer in offers if all(offer is not one for one in chosen.values())]
            if (best := choose(others)) is not None:
                chosen[purpose] = best
                break
    return tuple(
        Suggestion(purpose, offer, None if offer.download is None else offer.download / rate)
        for purpose in _ORDER
        if (offer := chosen.get(purpose)) is not None
    )


def _is_to_be_had(offer: CatalogueOffer, overview: Overview) -> bool:
    """Tell whether a model may be had with one click, in a time that somebody waits for, and runs here."""
    if offer.option is None or not offer.model.chat or offer.entry.licence not in _OPEN or not overview.fits(offer):
        return False
    return (offer.download or 0) <= _LARGEST


def _is_suited(offer: CatalogueOffer, overview: Overview) -> bool:
    """Tell whether a model answers well and fast enough, as far as is known."""
    option = offer.option
    if option is None or offer.model.parameters < _LEAST:
        return False
    if not overview.measured and (offer.disk or 0) > _CAREFUL:
        return False
    return option.good and option.comfortable


def _smallest(offers: Sequence[CatalogueOffer]) -> CatalogueOffer | None:
    """Return the smallest of the newest."""
    newest = max((offer.entry.year for offer in offers), default=0)
    recent = [offer for offer in offers if offer.entry.year >= newest - 1]
    return min(recent, key=lambda offer: (offer.download or 0, offer.model.name), default=None)


def _most_able(offers: Sequence[CatalogueOffer], language: str) -> CatalogueOffer | None:
    meant = [offer for offer in offers if offer.entry.languages[0] == language]
    return max(meant, key=lambda offer: (offer.entry.year, offer.model.parameters, offer.model.name), default=None)


_CHOICES: dict[Purpose, Callable[[Sequence[CatalogueOffer]], CatalogueOffer | None]] = {
    "smallest": _smallest,  # first, so that none of the others is smaller
    "chinese": partial(_most_able, language="zh"),
    "english": partial(_most_able, language="en"),
}
_ORDER: tuple[Purpose, ...] = ("chinese", "english", "smallest")
