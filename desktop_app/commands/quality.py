"""`zhiyin quality`: how near a quantized model is to its original, in the figures of `llama-perplexity --kl-divergence`."""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path

from converter.hub.manifest import in_use
from desktop_app.commands.options import add_json, add_model, integer
from desktop_app.commands.session import find_model
from desktop_app.commands.source import add_hub_arguments, local_path
from desktop_app.commands.terminal import ProgressLine, counted, print_json, print_table, say
from desktop_app.engine.protocol import LONGEST_CONTEXT
from desktop_app.library.installed import Library
from desktop_app.library.origins import checkpoint_of
from desktop_app.paths import downloads_folder, models_folder, qualities_file
from desktop_app.plots import write_picture
from desktop_app.quality.chunks import CONTEXT, read_text
from desktop_app.quality.kept import Qualities, in_words
from desktop_app.quality.measurement import Measurement, MeasureRequest, measure_quality
from desktop_app.quality.plot import plot_svg
from desktop_app.quality.texts import BUILT_IN, measuring_text
from models.errors import ZhiyinError

_SMALLEST_CONTEXT = 8
_PHASES = {"convert": "converting the reference", "load": "loading", "reference": "measuring the reference"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    add_model(parser)
    parser.add_argument(
        "--against",
        metavar="REF",
        help="the original: a GGUF file, a model's name, a checkpoint's folder or ORG/NAME (default: what MODEL was converted "
        "from, if it is still here; else only the perplexity is measured)",
    )
    parser.add_argument(
        "--text", type=Path, metavar="FILE", help="a text in UTF-8 (default: one of our own, 中文 and English)"
    )
    parser.add_argument(
        "--ctx",
        type=integer(_SMALLEST_CONTEXT, LONGEST_CONTEXT),
        default=CONTEXT,
        metavar="N",
        help=f"tokens in a chunk (default: {CONTEXT}, as published values have it)",
    )
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw how the divergences are spread")
    add_hub_arguments(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print the figures, and keep them with the model."""
    model = find_model(arguments.model).path
    text = measuring_text() if arguments.text is None else read_text(arguments.text)
    reference = _reference(arguments, model)
    request = MeasureRequest(model, text, arguments.text or BUILT_IN, reference, arguments.ctx)
    with _kept(reference):
        measurement = _measured(request)
    if arguments.plot is not None:
        _draw(arguments.plot, measurement, model.name)
    if reference is not None and arguments.text is None:
        Qualities(qualities_file()).keep(model, reference, measurement.quality)
    if arguments.json:
        facts = {"model": str(model), "reference": None if reference is None else str(reference)}
        print_json(
            {**facts, **asdict(measurement.quality), "context": measurement.context, "chunks": measurement.chunks}
        )
        return 0
    _print(measurement)
    if reference is None:
        say("There is no original to hold it to; name one by --against for the KL divergence.")
    return 0


def _reference(arguments: argparse.Namespace, model: Path) -> Path | None:
    """Return what the model is held to."""
    given = arguments.against
    if given is None:
        return checkpoint_of(model, downloads_folder())
    if Path(given).exists():
        return Path(given)
    try:
        return Library(models_folder()).find(given).path
    except ZhiyinError:
        if "/" not in given:
            raise
    return local_path(arguments, given)


def _kept(reference: Path | None) -> AbstractContextManager[None]:
    return nullcontext() if reference is None else in_use(reference)


def _measured(request: MeasureRequest) -> Measurement:
    line = ProgressLine()
    begin = time.monotonic()

    def show(part: float, phase: str, so_far: Sequence[float]) -> None:
        text = _PHASES.get(phase, "measuring")
        if so_far:
            text += f", {_so_far(request, so_far)} so far"
        line.show(part, f"{text}, {time.monotonic() - begin:.0f} s")

    try:
        return measure_quality(request, show)
    finally:
        line.clear()


def _so_far(request: MeasureRequest, values: Sequence[float]) -> str:
    mean = math.fsum(values) / len(values)
    return f"perplexity {math.exp(mean):.4f}" if request.reference is None else f"KL divergence {mean:.5f}"


def _draw(path: Path, measurement: Measurement, title: str) -> None:
    if not measurement.divergences:
        raise ZhiyinError("Without an original there is nothing to draw; name one by --against.")
    write_picture(path, plot_svg(measurement.divergences, title))


def _print(measurement: Measurement) -> None:
    quality = measurement.quality
    rows = [("", "", "95 % from", "to")]
    for name, label in _LABELS.items():
        value = getattr(quality, name)
        if value is not None:
            interval = quality.intervals.get(name)
            rows.append(
                (label, _text(name, value), *(("", "") if interval is None else (_text(name, v) for v in interval)))
            )
    print_table(rows)
    print_table(
        [("scored", f"{quality.tokens} tokens in {counted(measurement.chunks, 'chunk')} of {measurement.context}")]
    )
    if quality.same_top is not None:
        print(in_words(quality.same_top))


_LABELS = {
    "perplexity": "perplexity",
    "perplexity_reference": "perplexity of the original",
    "kl_mean": "KL divergence, mean",
    "kl_median": "KL divergence, median",
    "kl_99": "KL divergence, 99 %",
    "kl_max": "KL divergence, maximum",
    "same_top": "same most probable token",
}


def _text(name: str, value: float) -> str:
    if name == "same_top":
        return f"{value:.2%}"
    return f"{value:.4f}" if name.startswith("perplexity") else f"{value:.6f}"
