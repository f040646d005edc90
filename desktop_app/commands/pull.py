"""`zhiyin pull`: a model from the Hub or ModelScope, ready for chatting."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from converter.progress import Progress
from desktop_app.commands.options import add_json, add_threads
from desktop_app.commands.source import add_hub_arguments, say_fetched, saying_silence, show_progress
from desktop_app.commands.terminal import ProgressLine, human_bytes, print_json, say
from desktop_app.library.download_record import Ended, Wanted, keep_ended
from desktop_app.library.install import Installed, InstallRequest, install
from desktop_app.library.installed import Library
from desktop_app.library.ready_made import WAYS
from desktop_app.paths import downloads_folder, free_space, models_folder
from models.errors import ZhiyinError
from models.sentence import Sentence

if TYPE_CHECKING:
    from converter.hub.request import Download
    from desktop_app.library.source_facts import WayCost


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "repository",
        metavar="REPO",
        help="ORG/NAME, or ORG/NAME/FILE where it holds several models; modelscope:ORG/NAME is on ModelScope",
    )
    parser.add_argument("--quant", default="auto", help="auto, Q8_0, Q4_K_M …: which file to take, or how to convert")
    parser.add_argument(
        "--way",
        choices=WAYS,
        default="auto",
        help="convert: from the checkpoint, here; ready: a GGUF file that somebody made; auto: the publisher's own GGUF file "
        "where there is one in the wanted quantization, else convert",
    )
    add_hub_arguments(parser)
    parser.add_argument(
        "--mirror",
        action="append",
        default=[],
        metavar="URL",
        help="a mirror of the Hub that a file comes from where the host fails, checked by the host's own checksum; "
        "may be given several times",
    )
    add_threads(parser)
    add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    """Fetch, then register a GGUF file or convert a checkpoint into the models folder."""
    from converter.hub.hosts import checked_endpoint

    quant = arguments.quant if arguments.quant == "auto" else arguments.quant.upper()
    request = InstallRequest(
        arguments.repository,
        quant,
        revision=arguments.revision,
        endpoint=arguments.endpoint,
        mirrors=tuple(map(checked_endpoint, arguments.mirror)),
        threads=arguments.threads,
        way=arguments.way,
    )
    try:
        made = _installed(_told(request))
        model = Library(models_folder()).import_file(made.path)
    except ZhiyinError as error:
        _record(Ended(Wanted.of(request), "failed", time.time(), error=error))
        raise
    _record(Ended(Wanted.of(request), "done", time.time(), model.bytes, str(model.path)))
    facts = {**asdict(model), "repository": made.repository, "commit": made.commit}
    if arguments.json:
        print_json(facts)
    else:
        print(model.name)
    return 0


def _record(ended: Ended) -> None:
    """Put the outcome on the list that the window's page of downloads shows; a full disk loses that alone."""
    with suppress(OSError):
        keep_ended(ended)


def _told(request: InstallRequest) -> InstallRequest:
    """Say what each way to a model costs, before anything is fetched; return the request with what was found out for it."""
    from desktop_app.library.source_facts import judge, look_and_tell, ways
    from desktop_app.planning.automatic import this_computer

    try:
        with saying_silence() as hear:
            facts = look_and_tell(request, hear, lambda: False)
    except ZhiyinError:
        return request  # whoever fetches it says why
    if not facts.download or not facts.offers:
        return request
    quant = request.quant
    if quant == "auto":
        request = replace(request, computer=this_computer())
        quant = judge(facts, request.computer).quant if request.computer is not None else facts.usual
    if quant in facts.offers:
        free = free_space(downloads_folder())
        for cost in ways(facts, quant):
            say(_way_words(cost, free))
        if facts.ready and facts.model is not None:
            return replace(request, quant=quant)  # the files' headers were read for it; they are not fetched again
    return request


def _way_words(cost: WayCost, free: int) -> str:
    room = f"{human_bytes(free)} are free on the disk"
    if cost.maker is not None:
        whose = "its publisher" if cost.maker.own else cost.maker.maker
        return f"Ready-made by {whose} (--way ready): {human_bytes(cost.download)} to download ({cost.quant}); {room}."
    if not cost.made:
        return f"{human_bytes(cost.download)} to download ({cost.quant}); {room}."
    words = (
        f"Converted here (--way convert): {human_bytes(cost.download)} to download, then a file of {human_bytes(cost.made)} "
        f"({cost.quant}), {human_bytes(cost.disk)} together; {room}."
    )
    if cost.least < cost.disk and free < cost.disk:
        words += f" Each file of weights is deleted once it is converted, so {human_bytes(cost.least)} are enough."
    return words


def _installed(request: InstallRequest) -> Installed:
    """Install a model with progress and notes on stderr."""
    line = ProgressLine()
    downloads: list[Download] = []

    def show(progress: Progress) -> None:
        show_progress(line, progress, "files" if progress.phase == "downloading" else "tensors")

    def fetched(done: Download) -> None:
        line.clear()
        say_fetched(done)
        downloads.append(done)

    try:
        made = install(request, show, on_planned=lambda plan: _say_notes(plan.warnings), on_fetched=fetched)
    finally:
        line.clear()
    if made.conversion is None and not any(made.path in (done.source, done.made) for done in downloads):
        _say_notes(made.warnings)
        say(f"{made.path} was converted from it before.")
    return made


def _say_notes(warnings: Iterable[Sentence]) -> None:
    for warning in warnings:
        say(f"Note: {warning}")
