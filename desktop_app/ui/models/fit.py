"""Badges and reasons of a model's fit, in the user's language."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from PySide6.QtCore import QCoreApplication

from desktop_app.ui.i18n.formats import number, size
from desktop_app.ui.i18n.translate import to_translate

if TYPE_CHECKING:
    from desktop_app.library.source_facts import Assessment
    from desktop_app.planning.configuration import DeviceAllocation, RunConfiguration

_VERDICTS = {
    "gpu": to_translate("Fit", "fits on the GPU"),
    "ram": to_translate("Fit", "fits"),
    "tight": to_translate("Fit", "tight"),
    "too_large": to_translate("Fit", "too large"),
}
_ROOMS = {
    "ready_made": to_translate("Fit", "fits ready-made"),
    "none": to_translate("Fit", "disk too full"),
}
_QUALITIES = {
    "exact": to_translate("Fit", "as the original"),
    "excellent": to_translate("Fit", "excellent"),
    "good": to_translate("Fit", "good"),
    "fair": to_translate("Fit", "noticeable loss"),
    "poor": to_translate("Fit", "heavy loss"),
}
COLOURS = {
    "gpu": "accent",
    "ram": "accent",
    "tight": "code_number",
    "too_large": "danger",
    "ready_made": "code_number",
    "none": "danger",
}
"""A verdict's colour in the theme."""


def verdict_words(verdict: str) -> str:
    """Return what `RunConfiguration.verdict`, or a `DiskRoom` that is too small, means; "" for none."""
    return QCoreApplication.translate("Fit", (_VERDICTS | _ROOMS)[verdict]) if verdict else ""


def reason(option: RunConfiguration) -> str:
    """Say how a model is loaded and what that takes of what is free, one line for each."""
    return "\n".join((_placement(option), _context(option), *map(_share, reversed(option.shares))))


def speed_words(option: RunConfiguration) -> str:
    """Say how fast a model is likely to write, "" where that is not known."""
    speed = option.tokens_per_second
    if speed is None:
        return ""
    text = QCoreApplication.translate("Fit", "about {count} tokens a second")
    return text.format(count=speed_number(option))


def speed_number(option: RunConfiguration) -> str:
    """Return how many tokens a second a model is likely to write, "" where that is not known."""
    speed = option.tokens_per_second
    return "" if speed is None else number(speed, 0 if speed >= 10 else 1)


def quality_words(option: RunConfiguration) -> str:
    """Say how near to the original's its answers are: a word, and the KL divergence."""
    if option.quality == "exact":
        return QCoreApplication.translate("Fit", _QUALITIES[option.quality])
    about = "" if option.is_measured else "≈\u2009"
    digits = 4 if option.is_measured else max(2, 1 - math.floor(math.log10(option.divergence)))
    return (
        f"{QCoreApplication.translate('Fit', _QUALITIES[option.quality])} · {about}{number(option.divergence, digits)}"
    )


def quality_meaning() -> str:
    """Say what the number of `quality_words` is."""
    return QCoreApplication.translate(
        "Fit",
        "The KL divergence from what the original expects to come next: 0 is the original. ≈ marks what is predicted by the "
        "types of the weights; “Measure a model” in the list of models measures it.",
    )


def choice_words(assessment: Assessment, quant: str) -> str:
    """Say how an offer would run and, of the automatic choice, what kept the next better one from being chosen."""
    way = assessment.options.get(quant)
    if way is None:
        return ""
    lines = [line for line in (reason(way), speed_words(way)) if line]
    better = _next_better(assessment, quant) if quant == assessment.quant else None
    if better is not None and better.shortfall:
        text = QCoreApplication.translate("Fit", "{quant} would need {bytes} more than is free")
        lines.append(text.format(quant=better.quant, bytes=size(better.shortfall)))
    elif better is not None and better.tokens_per_second is not None:
        text = QCoreApplication.translate("Fit", "{quant} would fit too, but write only {count} tokens a second")
        lines.append(text.format(quant=better.quant, count=number(better.tokens_per_second)))
    return "\n".join(lines)


def _next_better(assessment: Assessment, quant: str) -> RunConfiguration | None:
    """Return what would have been chosen before an offer: too large, or too slow."""
    if assessment.plan is None:
        return None
    planned = {way.quant for way in (assessment.plan.chosen, *assessment.plan.alternatives)}  # the unchanged one is not
    before = list(assessment.options.values())[: list(assessment.options).index(quant)]
    better = [way for way in before if way.quant in planned and (way.shortfall or way.good)]
    return better[-1] if better else None


def fix_words(option: RunConfiguration) -> str:
    """Return the button's text for a way that would fit."""
    if option.kv_type != "f16":
        text = QCoreApplication.translate("Fit", "Use a {type} cache")
    else:
        text = QCoreApplication.translate("Fit", "Use a context of {count}")
    return text.format(type=option.kv_type, count=number(option.context, 0))


def _placement(option: RunConfiguration) -> str:
    if option.gpu_layers > option.layers:
        return QCoreApplication.translate("Fit", "All {count} layers on the GPU").format(count=option.layers)
    if option.gpu_layers:
        text = QCoreApplication.translate("Fit", "{part} of {count} layers on the GPU")
        return text.format(part=option.gpu_layers, count=option.layers + 1)
    return QCoreApplication.translate("Fit", "On the processor")


def _context(option: RunConfiguration) -> str:
    if option.recurrent:
        return QCoreApplication.translate("Fit", "Context without limit")
    if option.beyond_trained_context:
        text = QCoreApplication.translate("Fit", "Context: {count} tokens, more than it was trained with")
    else:
        text = QCoreApplication.translate("Fit", "Context: {count} tokens")
    return text.format(count=number(option.context, 0))


def _share(share: DeviceAllocation) -> str:
    if share.device == "RAM":
        text = QCoreApplication.translate("Fit", "{part} of {free} free in main memory")
    else:
        text = QCoreApplication.translate("Fit", "{part} of {free} free on {device}")
    return text.format(part=size(share.total), free=size(max(0, share.free)), device=share.device)
