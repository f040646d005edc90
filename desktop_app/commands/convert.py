"""`zhiyin convert`: checkpoint to GGUF."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

from converter.hub.manifest import in_use
from converter.pipeline import ConversionResult, ConvertRequest, convert, plan
from desktop_app.commands.imatrix import PHASES
from desktop_app.commands.lora import add_lora_arguments, show_plan, sources
from desktop_app.commands.options import add_json, add_threads, add_weights
from desktop_app.commands.source import add_hub_arguments, show_progress
from desktop_app.commands.terminal import ProgressLine, print_json, say
from desktop_app.library.smoke_load import smoke_load
from desktop_app.planning.automatic import fitted
from desktop_app.quality.importance import lent_importance

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "source",
        nargs="?",
        metavar="SOURCE",
        help="a checkpoint's or adapter's folder, a file of weights (.pth …), a GGUF file, ORG/NAME or modelscope:ORG/NAME",
    )
    parser.add_argument("--quant", default="auto", help="auto, F32, F16, BF16, Q8_0, Q6_K, Q5_K_M, Q4_K_M …")
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
    source, adapters = sources(arguments)
    with in_use(source, *adapters), _importance(arguments, source) as imatrix:
        return _convert(arguments, source, adapters, imatrix)


@contextmanager
def _importance(arguments: argparse.Namespace, source: Path) -> Iterator[Path | None]:
    """Lend the importance matrix that is asked for; made here, it is that of the source without adapters."""
    if arguments.imatrix != "auto":
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
        quant=arguments.quant,
        tokenizer=_tokenizer(arguments.tokenizer),
        threads=arguments.threads,
        imatrix=imatrix,
        tensor_types=tuple(arguments.tensor_type),
        allow_requantize=arguments.allow_requantize,
        split_max_size=arguments.split_max_size,
        lora=adapters,
        as_adapter=arguments.as_adapter,
        weights=arguments.weights,
    )
    planned = plan(request)
    if request.quant == "auto":
        planned = fitted(planned)
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


def _tokenizer(given: str | None) -> Path | str | None:
    return given if given in (None, "none") else Path(str(given))


def _bytes(text: str) -> int:
    number, unit = (text[:-1], text[-1].upper()) if text[-1:].isalpha() else (text, "")
    if not number.isdecimal() or int(number) == 0 or unit not in _UNITS:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size such as 500M or 2G")
    return int(number) * _UNITS[unit]


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
