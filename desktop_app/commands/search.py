"""`zhiyin search`: models on the Hub or ModelScope by words."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from desktop_app.commands.options import add_json
from desktop_app.commands.source import saying_silence
from desktop_app.commands.terminal import human_bytes, print_json, print_table, say
from models.sentence import Sentence

if TYPE_CHECKING:
    from converter.hub.request import FoundRepository
    from desktop_app.library.model_search import Fit

_VERDICTS = {"gpu": "fits on the GPU", "ram": "fits", "tight": "tight", "too_large": "too large"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "words", nargs="+", metavar="WORDS", help="what to look for; modelscope:WORDS looks on ModelScope"
    )
    parser.add_argument("--endpoint", default="", metavar="URL", help="a mirror, or https://modelscope.cn")
    parser.add_argument(
        "--fit", action="store_true", help="look at each one's config.json or headers and say how it would run here"
    )
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print what is found, the most downloaded first."""
    # The library for the Hub takes a third of a second to import.
    from converter.hub.repository import Waiting
    from converter.hub.search import search

    with saying_silence() as hear:
        repositories = search(" ".join(arguments.words), arguments.endpoint, Waiting(hear, None), _say_when)
    fits = _fits(repositories, arguments.endpoint) if arguments.fit else {}
    if arguments.json:
        print_json([_facts(one, fits.get(one.source)) for one in repositories])
        return 0
    if not repositories:
        say("Nothing was found; try other words.")
        return 0
    head = ("model", "family", "size", "licence", "downloads", *(("on this computer",) if arguments.fit else ()))
    print_table([head, *(_row(one, fits.get(one.source)) for one in repositories)])
    return 0


def _say_when(reason: Sentence, seconds: float) -> None:
    say(f"zhiyin: {reason}; asking again in {seconds:.0f} s.")


def _fits(repositories: list[FoundRepository], endpoint: str) -> dict[str, Fit]:
    from desktop_app.engine.client import Engine
    from desktop_app.library.install import InstallRequest
    from desktop_app.library.model_search import fit_of
    from desktop_app.planning.computer import computer_now

    with Engine() as engine:
        computer = computer_now(engine)
    return {one.source: fit_of(InstallRequest(one.source, endpoint=endpoint), computer) for one in repositories}


def _facts(one: FoundRepository, fit: Fit | None) -> dict[str, Any]:
    from desktop_app.library.model_search import family_title

    facts = asdict(one) | {"name": one.name, "family": family_title(one.architecture)}
    if fit is None:
        return facts
    told = {"verdict": fit.verdict, "quant": fit.quant, "bytes": fit.bytes, "download_bytes": fit.download}
    return facts | {"fit": told | {"tokens_per_second": fit.speed, "models": fit.models, "problem": fit.problem}}


def _row(one: FoundRepository, fit: Fit | None) -> tuple[str, ...]:
    from desktop_app.library.model_search import family_title

    size = f"{one.parameters / 1e9:.3g}B" if one.parameters else ""
    marks = [mark for mark, applies in (("GGUF", one.gguf), ("gated", one.gated)) if applies]
    name = one.source + (f" ({', '.join(marks)})" if marks else "")
    family = family_title(one.architecture) or one.architecture
    cells = (name, family, size, one.licence, f"{one.downloads:,}")
    return cells if fit is None else (*cells, _fit_words(fit))


def _fit_words(fit: Fit) -> str:
    if fit.problem is not None:
        return str(fit.problem)
    if fit.models:
        return f"{fit.models} models, name one"
    if not fit.verdict:
        return "not known before it is here"
    return f"{_VERDICTS[fit.verdict]}: {fit.quant}, {human_bytes(fit.download)} to fetch"
