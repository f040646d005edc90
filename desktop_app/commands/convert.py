"""`zhiyin convert`: checkpoint to GGUF."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

from converter.atomic_write import write_file
from converter.hub.manifest import in_use
from converter.mixtures import Mixture, read_mixture
from converter.pipeline import ConversionPlan, ConversionResult, ConvertRequest, convert, plan
from desktop_app.commands.imatrix import PHASES
from desktop_app.commands.lora import add_lora_arguments, show_plan, sources
from desktop_app.commands.options import add_json, add_threads, add_weights, real
from desktop_app.commands.source import add_hub_arguments, show_progress
from desktop_app.commands.terminal import ProgressLine, print_json, say
from desktop_app.library.smoke_load import smoke_load
from desktop_app.planning.automatic import fitted, this_computer
from desktop_app.quality.importance import lent_importance
from desktop_app.quality.mixing import measure_costs, plan_for
from desktop_app.quality.target import MixtureTarget
from models.errors import ZhiyinError
from models.system_errors import OTHER_PLACE, cannot_write

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "source",
        nargs="?",
        metavar="SOURCE",
        help="a checkpoint's or adapter's folder, a file of weights (.pth …), a GGUF file, ORG/NAME or modelscope:ORG/NAME",
    )
    parser.add_argument(
        "--quant",
        default="auto",
        help="auto, F32, F16, BF16, Q8_0, Q6_K, Q5_K_M, Q4_K_M …; fit: a mixture for what is free",
    )
    budget = parser.add_mutually_exclusive_group()
    budget.add_argument(
        "--size",
        type=_bytes,
        metavar="N[M|G]",
        help="the best mixture of types for a file of this size, by measuring this model",
    )
    budget.add_argument(
        "--bits", type=real(2, 16), metavar="N", help="the same, for so many bits for each weight on average"
    )
    budget.add_argument(
        "--recipe", type=Path, metavar="FILE", help="a mixture that --save-recipe wrote, or that of another GGUF file"
    )
    parser.add_argument(
        "--min-speed",
        type=real(0.1, 10_000),
        metavar="N",
        help="with --size, --bits or fit: types that write at least N tokens a second here, as predicted",
    )
    parser.add_argument("--save-recipe", type=Path, metavar="FILE.json", help="write the mixture, for --recipe")
    parser.add_argument("--out", type=Path, metavar="FILE", help="the GGUF file to write")
    parser.add_argument("--tokenizer", metavar="PATH", help="folder of another tokenizer, or none")
    add_weights(parser)
    parser.add_argument(
        "--imatrix",
        metavar="FILE",
        help="an importance matrix, GGUF or .dat; auto: made here, as by `zhiyin imatrix`, from a text of our own",
    )
    parser.add_argument(
        "--tensor-type", action="append", default=[], metavar="NAME=TYPE", help="another type for tensors of this name"
    )
    parser.add_argument("--allow-requantize", action="store_true", help="quantize a lossy GGUF file once more")
    parser.add_argument(
        "--split-max-size", type=_bytes, default=0, metavar="N[M|G]", help="write several files of at most this size"
    )
    add_lora_arguments(parser)
    add_hub_arguments(parser)
    add_threads(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Convert, with a progress line on stderr."""
    if (arguments.size is not None or arguments.bits is not None) and arguments.quant.lower() not in ("auto", "fit"):
        raise ZhiyinError(
            "--quant {quant} names the types, and --size and --bits choose them; leave one of them out.",
            quant=arguments.quant,
        )
    source, adapters = sources(arguments)
    if _is_measured(arguments) and (adapters or arguments.as_adapter):
        raise ZhiyinError(
            "A mixture is measured on the model itself; merge the adapter first, then convert the result with --size or --bits."
        )
    if arguments.save_recipe is not None and not (_is_measured(arguments) or arguments.recipe):
        raise ZhiyinError("There is no mixture to save; give --size, --bits or --quant fit too.")
    if arguments.min_speed is not None and not _is_measured(arguments):
        raise ZhiyinError("--min-speed chooses among mixtures; give --size, --bits or --quant fit too.")
    with in_use(source, *adapters), _importance(arguments, source) as imatrix:
        return _convert(arguments, source, adapters, imatrix)


@contextmanager
def _importance(arguments: argparse.Namespace, source: Path) -> Iterator[Path | None]:
    """Lend the importance matrix that is asked for; made here, it is that of the source without adapters."""
    if arguments.imatrix != "auto" and not (_is_measured(arguments) and arguments.imatrix is None):
        yield None if arguments.imatrix is None else Path(arguments.imatrix)
        return
    line = ProgressLine()
    with ExitStack() as stack:
        try:
            path = stack.enter_context(lent_importance(source, lambda part, phase: line.show(part, PHASES[phase])))
        finally:
            line.clear()
        yield path


def _convert(arguments: argparse.Namespace, source: Path, adapters: tuple[Path, ...], imatrix: Path | None) -> int:
    request = ConvertRequest(
        source=source,
        out=arguments.out,
        quant="auto" if _is_measured(arguments) else arguments.quant,
        tokenizer=_tokenizer(arguments.tokenizer),
        threads=arguments.threads,
        imatrix=imatrix,
        tensor_types=tuple(arguments.tensor_type),
        allow_requantize=arguments.allow_requantize,
        split_max_size=arguments.split_max_size,
        lora=adapters,
        as_adapter=arguments.as_adapter,
        weights=arguments.weights,
        mixture=None if arguments.recipe is None else read_mixture(arguments.recipe),
    )
    planned = _planned(arguments, request)
    mixture = planned.request.mixture
    if arguments.save_recipe is not None and mixture is not None:
        _save(arguments.save_recipe, mixture)
    if adapters:
        show_plan(planned)
    smoke = None if request.as_adapter else smoke_load
    line = ProgressLine()
    try:
        result = convert(planned, lambda progress: show_progress(line, progress, "tensors"), smoke_load=smoke)
    finally:
        line.clear()
    _report(result, as_json=arguments.json)
    return 0


def _is_measured(arguments: argparse.Namespace) -> bool:
    """Tell whether a mixture is to be found by measuring the model."""
    return arguments.size is not None or arguments.bits is not None or arguments.quant.lower() == "fit"


def _planned(arguments: argparse.Namespace, request: ConvertRequest) -> ConversionPlan:
    if not _is_measured(arguments):
        planned = plan(request)
        return fitted(planned) if request.quant == "auto" and request.mixture is None else planned
    assert request.imatrix is not None  # noqa: S101 - `_importance` made one
    line = ProgressLine()
    plan(request)  # what cannot be converted is refused before anything is measured
    try:
        costs = measure_costs(request, request.imatrix, lambda part, phase: line.show(part, PHASES[phase]))
    finally:
        line.clear()
    target = MixtureTarget(arguments.size or 0, arguments.bits or 0.0)
    planned = plan_for(request, costs, target, this_computer, arguments.min_speed)
    mixture = planned.request.mixture
    if mixture is not None and mixture.predicted_kl is not None:
        say(f"Predicted KL divergence from the original: {mixture.predicted_kl:.4f}.")
    return planned


def _save(path: Path, mixture: Mixture) -> None:
    try:
        write_file(path, lambda file: file.write(mixture.text().encode()))
    except OSError as error:
        raise cannot_write(path, error, OTHER_PLACE) from error


def _tokenizer(given: str | None) -> Path | str | None:
    return given if given in (None, "none") else Path(str(given))


def _bytes(text: str) -> int:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMG]?)B?", text.upper())
    if match is None or float(match[1]) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 500M or 2.5G")
    return int(float(match[1]) * _UNITS[match[2]])


def _report(result: ConversionResult, *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(result))
        return
    for warning in result.warnings:
        say(f"Note: {warning}")
    types = ", ".join(f"{count} {name}" for name, count in result.verification.types.items())
    say(f"Checked: {result.verification.tensors} tensors ({types}). {result.verification.smoke_load or ''}".rstrip())
    for path in result.parts:
        print(path)
