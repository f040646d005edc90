"""`zhiyin fit`: what this computer can run of a model, with the bytes of each part, and why."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from converter.gguf_header import is_named_gguf
from desktop_app.commands.options import add_json, add_weights, add_workers, context_length
from desktop_app.commands.session import find_model
from desktop_app.commands.source import add_hub_arguments, saying_silence
from desktop_app.commands.terminal import human_bytes, print_json, print_table, say
from desktop_app.engine.client import Engine
from desktop_app.library.hub_tokens import token_at
from desktop_app.paths import downloads_folder, free_space, loads_file, qualities_file
from desktop_app.planning.calibration import Loads
from desktop_app.planning.candidates import model_of_config, model_of_gguf, model_of_headers
from desktop_app.planning.computer import computer_now
from desktop_app.planning.configuration import Model, RunConfiguration
from desktop_app.planning.explanation import rate
from desktop_app.planning.footprint import KV_TYPES
from desktop_app.planning.planner import plan
from desktop_app.quality.kept import Qualities
from models.errors import ZhiyinError
from models.sentence import Sentence

_WEIGHTS = (".safetensors", ".bin", ".pth", ".pt")
_QUALITIES = {
    "exact": "as the original",
    "excellent": "excellent",
    "good": "good",
    "fair": "noticeable loss",
    "poor": "heavy loss",
}
_VERDICTS = {"gpu": "fits on the GPU", "ram": "fits", "tight": "tight", "too_large": "too large"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "source",
        metavar="SOURCE_OR_MODEL",
        help="an installed model, a GGUF file, a checkpoint, ORG/NAME or modelscope:ORG/NAME",
    )
    parser.add_argument(
        "--ctx", type=context_length, metavar="N", help="tokens of context (default: 8192 where that fits)"
    )
    parser.add_argument("--quant", metavar="Q", help="only this quantization")
    parser.add_argument("--kv-type", choices=KV_TYPES, default="f16", help="type of the key-value cache")
    add_workers(parser)
    add_weights(parser)
    add_hub_arguments(parser)
    add_json(parser)


@dataclass(frozen=True)
class Asked:
    """The model asked about."""

    model: Model
    origin: str = ""
    """A sentence on where its sizes come from, where that is not plain."""
    download: int | None = None
    """Bytes of weights that would have to be fetched; None: none, or not known."""
    held: int = 0
    """As in `Preview`."""
    files: Mapping[str, int] = field(default_factory=dict)
    """The same as `download` for each quantization, where only one of them would be fetched."""
    notes: tuple[Sentence, ...] = ()


def run(arguments: argparse.Namespace) -> int:
    """Print the plan; exit 1 where nothing fits."""
    asked = find_asked(arguments)
    model = asked.model
    with Engine(workers=arguments.worker) as engine:
        computer = computer_now(engine)
    planned = plan(model, computer, context=arguments.ctx, kv_type=arguments.kv_type)
    download = asked.files.get(planned.chosen.quant, asked.download)
    correction = Loads(loads_file()).correction()
    if arguments.json:
        options = [_facts(option) for option in planned.alternatives]
        best = _facts(planned.best) if planned.best is not None else None
        facts = {"best": best, "reason": planned.reason, "lesson": correction, "alternatives": options}
        print_json(
            facts
            | {"origin": asked.origin, "download_bytes": download}
            | {"disk_bytes": _disk(asked, planned.chosen), "least_disk_bytes": _least_disk(asked, planned.chosen)}
        )
        return 0 if planned.best is not None else 1
    _say_costs(asked, planned.chosen, download)
    if planned.best is None:
        raise planned.refusal
    say(str(planned.reason))
    if not planned.best.recurrent and planned.best.context < (arguments.ctx or 0):
        say(f"It was trained with {planned.best.context} tokens of context and is run with no more.")
    if computer.speed is not None and computer.speed.disturbed:
        say("Other programs were too busy to measure this computer's speed, so how fast it writes is not known.")
    if correction:
        say(correction)
    if planned.best.gpu_layers <= planned.best.layers:
        say(_weights_sentence(planned.best))
    if planned.best.recurrent:
        say(_state_sentence(planned.best))
    _print_shares(planned.best)
    _print_options((planned.best, *planned.alternatives))
    return 0


def _say_costs(asked: Asked, chosen: RunConfiguration, download: int | None) -> None:
    """Say where the sizes come from, what is to be fetched, and what that and the conversion take of the disk."""
    if asked.origin:
        whose = "Its weights are" if not asked.files else f"{chosen.quant} is"
        say(asked.origin + ("" if download is None else f" {whose} {human_bytes(download)} to fetch."))
    if (disk := _disk(asked, chosen)) is not None:
        free = free_space(downloads_folder())
        say(
            f"Converting it takes {human_bytes(disk)} of disk, download and file together; {human_bytes(free)} are free."
        )
        if (least := _least_disk(asked, chosen)) is not None and least < disk:
            say(
                f"Where that is too much each file of weights is deleted once it is converted, which takes {human_bytes(least)}."
            )
    for note in asked.notes:
        say(f"Note: {note}")


def _disk(asked: Asked, option: RunConfiguration) -> int | None:
    """Return the bytes that a download and what is made of it take together; None: nothing is converted."""
    made = _made(asked, option)
    return None if made is None or asked.download is None else asked.download + made


def _least_disk(asked: Asked, option: RunConfiguration) -> int | None:
    """Return the same where each file of weights goes once it is converted; None: nothing is converted, or none can go."""
    made = _made(asked, option)
    return None if made is None or not asked.held else asked.held + made


def _made(asked: Asked, option: RunConfiguration) -> int | None:
    if asked.download is None or asked.files:
        return None
    chosen = next(candidate for candidate in asked.model.candidates if candidate.quant == option.quant)
    return sum(tensor.bytes for tensor in chosen.tensors)


def find_asked(arguments: argparse.Namespace) -> Asked:
    """Return what may be chosen from: for an installed model, a GGUF file or a checkpoint here, or one of the Hub.

    Raises:
        ZhiyinError: there is no such thing, or it is damaged.
    """
    source, quant = arguments.source, (arguments.quant or "").upper()
    path = Path(source).expanduser()
    if path.is_dir() or (path.is_file() and not is_named_gguf(path)):
        return Asked(_model_of_checkpoint(path, arguments.weights, _recipes(quant)))
    if not path.exists() and "/" in source:
        elsewhere = bool(arguments.revision or arguments.endpoint)
        listed = None if elsewhere else _of_the_catalogue(source, quant)
        if listed is not None:
            return listed
        from converter.hub.repository import is_repository

        if is_repository(source):
            return _of_the_hub(arguments, quant)
    return _of_a_file(source, quant)


def _of_a_file(source: str, quant: str) -> Asked:
    """Return an installed model or a GGUF file, whose quantization cannot be chosen any more."""
    path = find_model(source).path
    model = model_of_gguf(path)
    kept = Qualities(qualities_file()).of(path)
    if kept is not None:
        model = replace(model, candidates=(replace(model.candidates[0], measured=kept.kl_mean),))
    stored_quant = model.candidates[0].quant
    if quant not in ("", stored_quant):
        raise ZhiyinError(
            "{path} is a finished file ({found}); leave out --quant, or name the checkpoint that it was made of.",
            path=source,
            found=stored_quant,
        )
    return Asked(model)


def _recipes(quant: str) -> tuple[str, ...]:
    """Return the quantization that was asked for, which must be one that checkpoints are converted to; (): none was."""
    from converter.recipes import find_recipe

    return (find_recipe(quant).name,) if quant else ()


def _model_of_checkpoint(path: Path, weights: Path | None, quants: Sequence[str]) -> Model:
    from converter.checkpoint.open import read_config
    from converter.checkpoint.prepared import open_prepared

    if path.is_file() or any(entry.suffix in _WEIGHTS for entry in path.iterdir()):
        checkpoint = open_prepared(path, weights)
        return model_of_config(checkpoint.config, checkpoint, quants)
    return model_of_config(read_config(path), None, quants)


def _of_the_catalogue(source: str, quant: str) -> Asked | None:
    """Return a model of the catalogue, for which nothing is fetched; None: it is not there, or its sizes are not known.

    Raises:
        ZhiyinError: the repository holds several models.
    """
    from desktop_app.library.catalogue import catalogue, weights_bytes

    entry = catalogue().named(source)
    if len(entry) > 1:
        raise ZhiyinError(
            "{name} holds several models; name one: {names}.",
            name=source,
            names=", ".join(model.source for model in entry),
        )
    if not entry or (config := catalogue().config(entry[0])) is None:
        return None
    model = replace(model_of_config(config, quants=_recipes(quant)), trained_context=entry[0].context)
    return Asked(model, f"{entry[0].source}: by the sizes in Zhiyin's catalogue.", weights_bytes(entry[0]))


def _of_the_hub(arguments: argparse.Namespace, quant: str) -> Asked:
    """Return a model of the Hub by its configuration alone, or by the headers of its GGUF files."""
    from converter.hub.repository import Waiting, preview
    from converter.hub.request import DownloadRequest
    from converter.hub.selection import DownloadSelection
    from desktop_app.library.install import selection_for

    name, selection = arguments.source, selection_for(quant) if quant else DownloadSelection()
    request = DownloadRequest(
        name, downloads_folder(), arguments.revision, arguments.endpoint, selection, kept_token=token_at
    )
    with saying_silence() as hear:
        previewed = preview(replace(request, on_wait=Waiting(hear, None)))
    if previewed.headers:
        origin = f"{name}: by the headers of its GGUF files; no weights were fetched."
        return Asked(model_of_headers(previewed.headers), origin, files=previewed.quants, notes=previewed.unread)
    if previewed.unread:
        raise previewed.unread[0]
    if previewed.question is not None:
        raise previewed.question
    if previewed.config is None:
        raise ZhiyinError(
            "{name} has no config.json that would say what model it is; fetch it first (zhiyin pull {name}), then "
            "ask again with its name.",
            name=name,
        )
    origin = f"{name}: by its config.json; no weights were fetched."
    model = model_of_config(previewed.config, quants=_recipes(quant))
    return Asked(model, origin, previewed.weights, previewed.held)


def _facts(option: RunConfiguration) -> dict[str, Any]:
    judged = {"quality": option.quality, "missing": option.shortfall, "verdict": option.verdict}
    return asdict(option) | {"bytes": option.bytes} | judged


def _state_sentence(option: RunConfiguration) -> str:
    kept = human_bytes(option.snapshots * option.state_bytes)
    return (
        f"Its state takes {human_bytes(option.state_bytes)} however long a chat is; up to {option.snapshots} earlier ones "
        f"({kept}) are kept, so that a question or an answer can be changed at once."
    )


def _weights_sentence(option: RunConfiguration) -> str:
    if not option.mapped:
        where = "are read into memory, in the order that the processor's or the graphics' instructions want"
    elif option.locked:
        where = "stay in the file's pages, which are kept in memory so that an answer after a pause begins at once"
    else:
        where = "stay in the file's pages, which the system may drop and read again when memory is short"
    return f"The processor's weights {where}."


def _print_shares(option: RunConfiguration) -> None:
    rows: list[tuple[str, ...]] = [
        ("", "layers", "weights", "state" if option.recurrent else "cache", "buffers", "together", "free")
    ]
    for share in option.shares:
        sizes = (share.weights, share.cache, share.compute, share.total, share.free)
        rows.append((share.device, str(share.layers), *map(human_bytes, sizes)))
    print_table(rows)


def _print_options(options: Sequence[RunConfiguration]) -> None:
    if not all(option.is_measured for option in options):
        say(
            "KL is the divergence from the original's answers; ~ marks what the types predict, and zhiyin quality measures it."
        )
    rows = [_row(option) for option in sorted(options, key=lambda o: (-o.context, -o.bytes))]
    print()
    print_table([("quantization", "quality", "KL", "context", "memory", "GPU layers", "tokens/s", ""), *rows])


def _row(option: RunConfiguration) -> tuple[str, ...]:
    context = "any" if option.recurrent else str(option.context)
    has_usual = option.recurrent or option.kv_type == "f16"  # a state is no cache
    cache = "" if has_usual else f" ({option.kv_type} cache)"
    speed = "?" if option.tokens_per_second is None else str(rate(option.tokens_per_second))
    verdict = _VERDICTS[option.verdict]
    lacking = f", {human_bytes(option.shortfall)} lacking" if option.shortfall else ""
    kl = f"{option.divergence:.4f}" if option.is_measured else f"~{option.divergence:.2g}"
    quality = (_QUALITIES[option.quality], kl)
    sizes = (human_bytes(option.bytes), str(option.gpu_layers))
    return (option.quant + cache, *quality, context, *sizes, speed, verdict + lacking)
