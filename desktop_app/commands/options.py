"""Options that several commands have, and numbers that are checked where they are typed."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path

from desktop_app.engine.protocol import LONGEST_CONTEXT, MOST_THREADS
from desktop_app.engine.workers import WorkerFailed, read_worker
from models.chat.efforts import EFFORTS


def add_json(parser: argparse.ArgumentParser) -> None:
    """Declare --json."""
    parser.add_argument("--json", action="store_true", help="print the facts as JSON")


def add_model(parser: argparse.ArgumentParser) -> None:
    """Declare MODEL."""
    parser.add_argument("model", metavar="MODEL", help="a name that `zhiyin models` lists, or a GGUF file")


def context_length(text: str) -> int:
    """Return the number of tokens that --ctx asks for."""
    return integer(1, LONGEST_CONTEXT)(text)


def add_threads(parser: argparse.ArgumentParser) -> None:
    """Declare --threads."""
    parser.add_argument(
        "--threads", type=integer(0, MOST_THREADS), default=0, metavar="N", help="default: as many as are fastest here"
    )


def add_workers(parser: argparse.ArgumentParser) -> None:
    """Declare --worker."""
    parser.add_argument(
        "--worker",
        action="append",
        type=_worker,
        default=[],
        metavar="HOST:PORT",
        help="use the devices of another computer too, where `zhiyin worker` runs; may be repeated",
    )


def _worker(text: str) -> str:
    try:
        return read_worker(text)
    except WorkerFailed as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def integer(least: int, most: int | None = None) -> Callable[[str], int]:
    """Return the type of an option that takes a whole number between two others."""

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None
        _check(number, least, math.inf if most is None else most)
        return number

    return read


def real(least: float, most: float) -> Callable[[str], float]:
    """Return the type of an option that takes a number between two others."""

    def read(text: str) -> float:
        try:
            number = float(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
        _check(number, least, most)
        return number

    return read


def _check(number: float, least: float, most: float) -> None:
    if not least <= number <= most:  # also where it is NaN
        allowed = f"not be less than {least}" if most == math.inf else f"lie between {least} and {most}"
        raise argparse.ArgumentTypeError(f"{number} must {allowed}")


def add_thinking(parser: argparse.ArgumentParser) -> None:
    """Declare whether models that can do both think before they answer, and how long."""
    parser.add_argument(
        "--thinking",
        action=argparse.BooleanOptionalAction,
        help="think before the answer, where the model's template leaves the choice (default: as the template does)",
    )
    parser.add_argument(
        "--effort",
        choices=EFFORTS,
        help="how long to think, where the model's template leaves that choice (gpt-oss; default: as the template does)",
    )


def add_weights(parser: argparse.ArgumentParser) -> None:
    """Declare which of several sets of weights in a checkpoint's folder is meant."""
    parser.add_argument(
        "--weights",
        type=Path,
        metavar="FILE",
        help="the file (or index) of weights that is meant, where a folder holds several",
    )
