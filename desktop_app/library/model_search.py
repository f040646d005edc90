"""Models found by words on a host: their families, and how each would run here, by the planner."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from converter.hub.request import Description, FoundRepository
from desktop_app.library.install import InstallRequest, download_request
from desktop_app.library.source_facts import facts_of, judge
from desktop_app.planning.configuration import Computer
from desktop_app.processes.worker import Tell
from models.errors import ZhiyinError
from models.families import families


@dataclass(frozen=True)
class Fit:
    """How a repository's model would run here; only what is known."""

    verdict: str = ""
    """`RunConfiguration.verdict` of the automatic choice."""
    quant: str = ""
    """The automatic choice."""
    bytes: int = 0
    """Of its file."""
    download: int = 0
    """Bytes to be fetched for it."""
    speed: float | None = None
    """Tokens a second."""
    size_label: str = ""
    models: int = 0
    """The repository holds so many models, one of which has to be named."""
    problem: ZhiyinError | None = None
    """Why it cannot run here, or cannot be looked at."""


def search_and_tell(words: str, endpoint: str, tell: Tell, cancelled: Callable[[], bool]) -> list[FoundRepository]:
    """`search` as a `worker.Work`; it tells why a busy host is asked again and in how many seconds. A stop ends the process."""
    from converter.hub.search import search  # with the library for connections, which the window does not load

    return search(words, endpoint, again=lambda reason, seconds: tell((reason, seconds)))


def describe_and_tell(request: InstallRequest, tell: Tell, cancelled: Callable[[], bool]) -> Description:
    """`describe` as a `worker.Work`."""
    from converter.hub.repository import describe

    return describe(download_request(request))


def fits_and_tell(
    requests: Sequence[InstallRequest], computer: Computer, tell: Tell, cancelled: Callable[[], bool]
) -> None:
    """Look at repositories one after the other, and tell of each its source and its `Fit`."""
    for request in requests:
        if cancelled():
            return
        tell((str(request.source), fit_of(request, computer)))


def fit_of(request: InstallRequest, computer: Computer) -> Fit:
    """Return how a repository's model would run, by its config.json or its GGUF files' headers; no weights are fetched."""
    try:
        facts = facts_of(request)
    except ZhiyinError as error:
        return Fit(problem=error)
    if facts.models:
        return Fit(models=len(facts.models))
    if not facts.offers:
        return Fit(download=facts.download)
    assessment = judge(facts, computer)
    size = facts.offers.get(assessment.quant, 0)
    way = assessment.options.get(assessment.quant)
    return Fit(
        assessment.verdicts.get(assessment.quant, ""),
        assessment.quant,
        size,
        size if facts.ready else facts.download,
        None if way is None else way.tokens_per_second,
        facts.size_label,
    )


def family_title(architecture: str) -> str:
    """Return what a family's authors call it, given the class or kind that a configuration names; "": it is unknown here."""
    return _titles().get(architecture.lower(), "")


@cache
def _titles() -> dict[str, str]:
    kinds = {family.name.lower(): family.title for family in families()}
    return kinds | {name.lower(): family.title for family in families() for name in family.classes}
