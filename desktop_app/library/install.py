"""From a checkpoint here or a repository of the Hub to an installed model: what `zhiyin pull` and the window share."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from converter.atomic_write import remove_leftovers, unfinished_folder
from converter.gguf_header import is_named_gguf
from converter.hub.manifest import earlier_conversion, in_use, note_conversion
from converter.hub.selection import DownloadSelection
from converter.progress import Progress, ProgressListener
from desktop_app.library.hub_tokens import token_at
from desktop_app.library.ready_made import Way, better_deal
from desktop_app.paths import data_folder, downloads_folder, models_folder, require_storage
from desktop_app.planning.configuration import Computer
from desktop_app.processes.worker import Tell, in_process
from desktop_app.quality.target import MixtureTarget
from models.errors import Cancelled, ZhiyinError
from models.regular_file import read_regular
from models.sentence import Sentence
from models.system_errors import cannot_write

if TYPE_CHECKING:
    from converter.hub.request import Download, DownloadRequest
    from converter.pipeline import ConversionPlan, ConversionResult
    from models.config import Config

_PARTS = 1000
"""Into which what is measured before a conversion is divided for its progress."""


@dataclass(frozen=True)
class Calibration:
    """The text that an importance matrix is made from."""

    text: Path | None = None
    """None: our own."""

    @property
    def name(self) -> str:
        """The suffix of file names made with it, without spaces."""
        return (
            "imatrix" if self.text is None else f"imatrix-{blake2b(read_regular(self.text), digest_size=8).hexdigest()}"
        )


@dataclass(frozen=True)
class InstallRequest:
    """A request to install a model."""

    source: Path | str
    """A checkpoint (with `lora`, the base), or the name of a repository, as in `DownloadRequest`."""
    quant: str = "auto"
    lora: tuple[Path, ...] = ()
    """Adapters to merge into the source, in this order."""
    revision: str = ""
    endpoint: str = ""
    """As in `DownloadRequest`."""
    mirrors: tuple[str, ...] = ()
    """As in `DownloadRequest`."""
    threads: int = 0
    way: Way = "auto"
    """What to do where there is a checkpoint and GGUF files of it."""
    computer: Computer | None = None
    """What "auto" chooses for; None: this computer as it is now."""
    calibration: Calibration | None = None
    """How the importance matrix is made of what is converted; None: there is none, or our own text's for a mixture."""
    mixture: MixtureTarget | None = None
    """The types are chosen by measuring what is converted; None: `quant` names them."""


@dataclass(frozen=True)
class Installed:
    """An installed model's files."""

    path: Path
    """The GGUF file, or the first of several."""
    warnings: tuple[Sentence, ...] = ()
    conversion: ConversionResult | None = None
    """None: it was there already, or came as GGUF."""
    repository: str = ""
    commit: str = ""
    """Where it came from, if it was fetched."""


Planned: TypeAlias = "Callable[[ConversionPlan], None]"
"""Hears of the plan before the first byte is written; `ConversionPlan.out` is where it will be."""


Fetched = Callable[["Download"], None]


def install(
    request: InstallRequest,
    on_progress: ProgressListener | None = None,
    cancelled: Callable[[], bool] | None = None,
    on_planned: Planned | None = None,
    on_fetched: Fetched | None = None,
) -> Installed:
    """Fetch what has to be fetched, and convert what has to be converted into the models folder.

    Args:
        request: what to install.
        on_progress: hears of progress about ten times a second, on this thread.
        cancelled: asked all the time; True ends the work. Only what was downloaded is kept, for the next try.
        on_planned: see `Planned`.
        on_fetched: hears of the download before it is converted; not where its files go as they are converted.

    Raises:
        ZhiyinError: one sentence.
    """
    require_storage()
    if isinstance(request.source, Path):
        return install_checkpoint(request, request.source, None, on_progress, cancelled, on_planned)
    from converter.hub.repository import ROOM_FOR_PARTS, TooLittleRoom, Waiting, download

    wanted, selection = _what_to_fetch(request, Waiting(on_progress, cancelled))
    wanted = replace(wanted, selection=selection, made=_bytes_made(request, selection))
    try:
        done = download(wanted, on_progress, cancelled)
    except TooLittleRoom as error:
        if error.code != ROOM_FOR_PARTS:
            raise
        return _install_file_by_file(request, wanted, on_progress, cancelled, on_planned)
    if on_fetched is not None:
        on_fetched(done)
    if done.made is not None or is_named_gguf(done.source):
        made = Installed(done.made or done.source)
    else:
        origin = None if request.lora else done
        made = install_checkpoint(request, done.source, origin, on_progress, cancelled, on_planned)
    return replace(made, repository=done.repository, commit=done.commit)


def _bytes_made(request: InstallRequest, selection: DownloadSelection) -> Callable[[Config], int] | None:
    """Return what tells the bytes of the result beside a checkpoint; None: that must be here whole anyway."""
    from desktop_app.library.arriving_install import can_install
    from desktop_app.planning.candidates import bytes_in

    return partial(bytes_in, selection.converted) if selection.converted and can_install(request) else None


def _install_file_by_file(
    request: InstallRequest,
    wanted: DownloadRequest,
    on_progress: ProgressListener | None,
    cancelled: Callable[[], bool] | None,
    on_planned: Planned | None,
) -> Installed:
    """Fetch, convert and delete one file of weights after the other: the disk has no room for them all."""
    from converter.hub.repository import arriving
    from desktop_app.library.arriving_install import ArrivingInstall

    with arriving(wanted, on_progress, cancelled) as arrival:
        job = ArrivingInstall(request, arrival, on_progress, cancelled)
        origin = arrival.repository, arrival.commit
        if (made := job.finished) is not None:
            job.note(made)
            return Installed(made, job.plan.warnings, None, *origin)
        earlier, _ = earlier_conversion(arrival.folder, arrival.folder, arrival.commit, job.plan.recipe.name)
        with ExitStack() as stack:
            out, work = stack.enter_context(_target(models_folder() / job.plan.out.name, earlier))
            if on_planned is not None:
                on_planned(job.plan.written_to(out))
            result = job.run(out, work or stack.enter_context(unfinished_folder(out)))
        return Installed(result.path, job.plan.warnings, result, *origin)


def download_request(request: InstallRequest) -> DownloadRequest:
    """Return what to ask of a host for a repository, with what the user entered as its token."""
    from converter.hub.request import DownloadRequest

    source = str(request.source)
    return DownloadRequest(
        source, downloads_folder(), request.revision, request.endpoint, kept_token=token_at, mirrors=request.mirrors
    )


def install_in_process(request: InstallRequest, tell: Tell, stop: threading.Event) -> Installed:
    """`install` in a process of its own; however that ends, nothing half-written is left.

    Args:
        request: what to install.
        tell: hears of `Progress`, and of the path that is about to be written.
        stop: set it to stop the work.

    Raises:
        ZhiyinError: as `install` and `in_process`.
    """
    try:
        return in_process(partial(_install_and_tell, request), tell, stop)
    finally:
        for folder in (models_folder(), data_folder()):
            remove_leftovers(folder)  # of a process that was killed


def _install_and_tell(request: InstallRequest, tell: Tell, cancelled: Callable[[], bool]) -> Installed:
    return install(request, tell, cancelled, on_planned=lambda planned: tell(planned.out))


def _what_to_fetch(
    request: InstallRequest, on_wait: Callable[[], None] | None = None
) -> tuple[DownloadRequest, DownloadSelection]:
    """Return which repository to ask for what: a checkpoint to convert, or a GGUF file where `InstallRequest.way` prefers it."""
    wanted = replace(download_request(request), on_wait=on_wait)
    selection = _selection(request, wanted)
    quant = selection.converted
    deal = better_deal(wanted, request.way, quant) if quant else None
    if deal is None:
        return wanted, replace(selection, quants=()) if quant and request.way == "convert" else selection
    wanted = replace(wanted, repository=deal.source, revision=deal.revision)
    if quant not in deal.files:
        from desktop_app.planning.automatic import choose_file

        quant = choose_file(deal.files, {}, request.computer)
    return wanted, DownloadSelection((quant,), checkpoint=False)


def _selection(request: InstallRequest, wanted: DownloadRequest) -> DownloadSelection:
    """Return what to take of a repository; with "auto" what this computer runs best of it, by its headers."""
    from converter.hub.repository import outline
    from desktop_app.planning.automatic import choose_file, quant_by_configuration

    if request.quant != "auto":
        selection = selection_for(request.quant)
    elif (outlined := outline(wanted)).quants:
        return DownloadSelection((choose_file(outlined.quants, outlined.headers, request.computer),), checkpoint=False)
    else:
        selection = DownloadSelection(converted=quant_by_configuration(outlined.config, request.computer))
    return replace(selection, converted="") if request.lora else selection


def selection_for(quant: str) -> DownloadSelection:
    """Return what to take of a repository for a quantization that was named."""
    from converter.recipes import recipe_names

    is_recipe = quant in recipe_names()
    return DownloadSelection((quant,), checkpoint=is_recipe, converted=quant if is_recipe else "")


def install_checkpoint(
    request: InstallRequest,
    source: Path,
    download: Download | None,
    on_progress: ProgressListener | None = None,
    cancelled: Callable[[], bool] | None = None,
    on_planned: Planned | None = None,
) -> Installed:
    """Convert a checkpoint into the models folder, unless the very same download was converted before.

    Args:
        request: how.
        source: the checkpoint.
        download: where it came from, for the note there; None: it was here, or something is merged into it.
        on_progress: as in `install`.
        cancelled: as in `install`.
        on_planned: see `Planned`.
    """
    from converter.pipeline import ConvertRequest, convert, plan
    from desktop_app.library.smoke_load import smoke_load
    from desktop_app.planning.automatic import fitted

    with ExitStack() as stack:
        stack.enter_context(in_use(source, *request.lora))
        planned = plan(ConvertRequest(source, quant=request.quant, threads=request.threads, lora=request.lora))
        if request.quant == "auto":
            planned = fitted(planned, request.computer)
        types = _types_name(request, planned)
        out, current = None, False
        if download is not None:
            out, current = earlier_conversion(download.folder, source, download.commit, types)
        if out is not None and current and not (request.mixture is not None and request.mixture.fits):
            return Installed(out, planned.warnings)
        calibration = request.calibration or (Calibration() if request.mixture is not None else None)
        if calibration is not None:
            imatrix = stack.enter_context(_importance(source, calibration, on_progress, cancelled))
            planned = plan(replace(planned.request, quant=planned.recipe.name, imatrix=imatrix))
        if request.mixture is not None:
            planned = _measured(planned, request.mixture, request.computer, on_progress, cancelled)
        with _target(models_folder() / planned.out.name, out) as (out, work):
            if on_planned is not None:
                on_planned(planned.written_to(out))
            made = convert(planned.written_to(out), on_progress, cancelled, smoke_load, work)
        if download is not None:
            note_conversion(download.folder, source, download.commit, types, made.path)
        return Installed(made.path, planned.warnings, made)


def _types_name(request: InstallRequest, planned: ConversionPlan) -> str:
    """Return what tells a conversion's types from others', without spaces."""
    types = planned.recipe.name if request.mixture is None else request.mixture.name
    return types if request.calibration is None else f"{types}+{request.calibration.name}"


def _measured(
    planned: ConversionPlan,
    target: MixtureTarget,
    computer: Computer | None,
    on_progress: ProgressListener | None,
    cancelled: Callable[[], bool] | None,
) -> ConversionPlan:
    """Return the plan with the types that lose least, found by measuring."""
    from desktop_app.planning.automatic import this_computer
    from desktop_app.quality.mixing import measure_costs, plan_for

    request = planned.request
    assert request.imatrix is not None  # noqa: S101 - made before
    costs = measure_costs(request, request.imatrix, _teller(on_progress, cancelled))
    return plan_for(request, costs, target, lambda: computer or this_computer())


def _teller(on_progress: ProgressListener | None, cancelled: Callable[[], bool] | None) -> Callable[[float, str], None]:
    """Return what hears of a part that is done, and of its phase; it raises where the work is to end."""

    def tell(part: float, phase: str) -> None:
        if cancelled is not None and cancelled():
            raise Cancelled("Stopped.")
        if on_progress is not None:
            on_progress(Progress(int(_PARTS * part), _PARTS, 0, 1, phase, 0.0, None, "calibrating"))

    return tell


@contextmanager
def _importance(
    source: Path,
    calibration: Calibration,
    on_progress: ProgressListener | None,
    cancelled: Callable[[], bool] | None,
) -> Iterator[Path]:
    """Lend an importance matrix, made here."""
    from desktop_app.quality.importance import lent_importance

    tell = _teller(on_progress, cancelled)
    with lent_importance(source, tell, calibration.text, cancelled or (lambda: False)) as path:
        yield path


@contextmanager
def _target(path: Path, earlier: Path | None) -> Iterator[tuple[Path, Path | None]]:
    """Reserve where a model is written: in place of an earlier one, or at a path that nobody has or is about to have.

    Yields:
        the path, and the unfinished folder where this made one.
    """
    if earlier is not None:
        yield earlier, None
        return
    with ExitStack() as stack:
        for candidate in _numbered(path):
            if not os.path.lexists(candidate) and (work := _reserved(stack, candidate)) is not None:
                break
        yield candidate, work


def _reserved(stack: ExitStack, path: Path) -> Path | None:
    """Return an unfinished folder of a path; None: another process writes it, or was done with it this moment."""
    try:
        work = stack.enter_context(unfinished_folder(path))
    except OSError as error:
        raise cannot_write(path, error) from error
    except ZhiyinError as error:
        if error.code != "busy":
            raise
        return None
    return None if os.path.lexists(path) else work


def unused_path(path: Path) -> Path:
    """Return a path at which there is no file: another publisher's model may have the same name."""
    return next(other for other in _numbered(path) if not os.path.lexists(other))


def _numbered(path: Path) -> Iterator[Path]:
    yield path
    yield from (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in count(2))
