"""Conversions and downloads for the window: one at a time in a process of its own, the others wait."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from PySide6.QtCore import QObject, QTimer, Signal
from shiboken6 import isValid

from desktop_app.library.installed_model import InstalledModel
from desktop_app.library.jobs import ConversionJob, JobQueue
from desktop_app.paths import downloads_folder
from desktop_app.settings import Settings
from desktop_app.ui.bridges.background import Background
from desktop_app.ui.bridges.library_bridge import LibraryBridge
from desktop_app.ui.models.model_session import ModelSession
from models.errors import Cancelled, ZhiyinError

if TYPE_CHECKING:
    from converter.hub.cleanup import KeptDownload
    from converter.hub.leftovers import Leftover
    from converter.hub.request import Description
    from converter.progress import Progress
    from desktop_app.library.download_record import DownloadRecord, Ended
    from desktop_app.library.install import Installed, InstallRequest
    from desktop_app.library.other_hosts import OtherHost
    from desktop_app.library.source_facts import Assessment, SourceFacts
    from desktop_app.planning.configuration import Computer
    from desktop_app.processes.worker import Work

T = TypeVar("T")

LARGE_DOWNLOAD = 1_000_000_000
"""Bytes; more than this can be undone before it begins."""
HELD_MS = 6000


class ConversionBridge(QObject):
    """Installs models from checkpoints and from the Hub, in the order in which they were asked for."""

    changed = Signal()
    """A job was added, began or ended: `current` and `waiting` are new; or downloads were deleted."""
    progressed = Signal(object, ConversionJob)
    """A `Progress`, and whose."""
    finished = Signal(InstalledModel, ConversionJob)
    """The model is on the library's list."""
    recorded = Signal()
    """`history` is new."""
    failed = Signal(ConversionJob)
    cancelled = Signal(ConversionJob)

    def __init__(
        self, library: LibraryBridge, models: ModelSession, settings: Settings, parent: QObject | None = None
    ) -> None:
        """Nothing is under way.

        Args:
            library: gets the finished models.
            models: knows what the model in use would free, which "auto" counts with.
            settings: has the address to download from.
            parent: the owner.
        """
        super().__init__(parent)
        self._library = library
        self._models = models
        self._settings = settings
        self._background = Background("conversion", self)
        self._looking = Background("descriptions", self)
        self._downloads = Background("downloads", self)
        self._looks: list[threading.Event] = []
        self._closed = False
        self._on_hold = False
        self.queue = JobQueue()
        self.history: tuple[Ended, ...] = ()
        """What came of earlier jobs, the newest first."""

    def begin(self) -> None:
        """Find out what came of earlier jobs, and let downloads pause that an earlier run did not finish."""

        def read(record: DownloadRecord) -> None:
            from desktop_app.library.download_record import Wanted

            self.history = record.ended
            known = [Wanted.of(job.request) for job in self.jobs]
            for wanted in record.unfinished:
                if wanted not in known:
                    self.queue.queued.append(ConversionJob(wanted.request, "paused"))
            self.recorded.emit()
            self.changed.emit()

        def read_record() -> DownloadRecord:
            from desktop_app.library.download_record import read_record

            return read_record()

        self._downloads.run(read_record, read, lambda _: None)

    @property
    def current(self) -> ConversionJob | None:
        """The running job."""
        return self.queue.current

    @property
    def jobs(self) -> list[ConversionJob]:
        """The running jobs, and those that wait or pause, in order."""
        return self.queue.jobs

    def start(
        self, source: str | Path, quant: str = "auto", lora: tuple[Path, ...] = (), *, fetches: int = 0
    ) -> ConversionJob:
        """Install a model as soon as the jobs before it are over.

        Args:
            source: a checkpoint's folder or file; as a string, a repository of the Hub: owner/name or owner/name/file.
            quant: a recipe's name, an encoding that the repository offers as GGUF, or "auto": what fits this computer.
            lora: adapters to merge into the checkpoint.
            fetches: as in `install`.
        """
        from desktop_app.library.install import InstallRequest

        return self.install(InstallRequest(source, quant, lora), fetches=fetches)

    def install(self, request: InstallRequest, *, fetches: int = 0) -> ConversionJob:
        """Install a model as soon as the jobs before it are over.

        Args:
            request: what to install.
            fetches: bytes of the download, 0 where there is none or it is not known. More than a gigabyte waits a moment
                in which it can be cancelled: a click may have met another model than the one that was meant.
        """
        job = ConversionJob(request, fetches=fetches, held=fetches > LARGE_DOWNLOAD)
        self.queue.queued.append(job)
        if job.held:
            QTimer.singleShot(HELD_MS, self, lambda: self._release(job))
        self._begin_next()
        self._moved()
        return job

    def describe(
        self, request: InstallRequest, on_done: Callable[[SourceFacts], None], on_failed: Callable[[Exception], None]
    ) -> threading.Event:
        """Find out what a source is; `facts_of` says how. Setting what is returned ends it: then nothing is called."""
        from desktop_app.library.source_facts import look_and_tell

        return self._look(partial(look_and_tell, self._with_endpoint(request)), on_done, on_failed)

    def read_card(
        self, request: InstallRequest, on_done: Callable[[Description], None], on_failed: Callable[[Exception], None]
    ) -> threading.Event:
        """Find out what a person reads of a repository, as `describe`."""
        from desktop_app.library.model_search import describe_and_tell

        return self._look(partial(describe_and_tell, self._with_endpoint(request)), on_done, on_failed)

    def _look(
        self, work: Work[T], on_done: Callable[[T], None], on_failed: Callable[[Exception], None]
    ) -> threading.Event:
        from desktop_app.processes.worker import in_process

        stop = threading.Event()

        def unless_stopped(call: Callable[[Any], None]) -> Callable[[Any], None]:
            return lambda result: None if stop.is_set() else call(result)

        self._looking.run(
            lambda: in_process(work, lambda _: None, stop, grace=0),
            unless_stopped(on_done),
            unless_stopped(on_failed),
        )
        self._looks = [look for look in self._looks if not look.is_set()] + [stop]
        return stop

    def judge(self, facts: SourceFacts, on_done: Callable[[Assessment | None], None]) -> None:
        """Find out what this computer can run of a source; None: it cannot be known."""
        self._models.find_assessment(facts, on_done)

    def other_hosts(self, request: InstallRequest, error: Exception | None) -> list[OtherHost]:
        """Return where else a source may be fetched from that failed; []: another host would not help."""
        from desktop_app.library.other_hosts import other_hosts

        return other_hosts(request, self._settings.endpoint, error)

    def cancel(self, job: ConversionJob | None = None) -> None:
        """Stop a job, or the current one; of a download what came is kept for another try, of a conversion nothing."""
        job = job or self.current
        if job in self.queue.queued:
            self.queue.queued.remove(job)
            job.state = "cancelled"
            if not job.held:
                self._record(job)
            self.cancelled.emit(job)
            self._moved()
        elif job is not None and job.state == "preparing":
            self._not_done(job, Cancelled("It was stopped."))
        elif job is not None and job.state in ("running", "stopping"):
            job.state, job.pausing = "stopping", False
            job.stop.set()
            self.changed.emit()

    def pause(self, job: ConversionJob) -> None:
        """Let a download stop until `resume`; the next job begins."""
        if not job.can_pause:
            return
        if job.state == "waiting":
            job.state = "paused"
            self._moved()
        elif job.state == "preparing":
            self._paused(job)
        else:
            job.state, job.pausing = "stopping", True
            job.stop.set()
            self.changed.emit()

    def resume(self, job: ConversionJob) -> None:
        """Let a download go on that pauses, when its turn comes."""
        if job.state == "paused":
            job.state = "waiting"
            self._begin_next()
            self._moved()

    def move(self, job: ConversionJob, steps: int) -> None:
        """Let a job come earlier (-1) or later (1)."""
        self.queue.move(job, steps)
        self._moved()

    def hold(self, *, held: bool) -> None:
        """Let nothing begin for a while, or go on."""
        self._on_hold = held
        self._begin_next()

    def dismiss(self, job: ConversionJob) -> None:
        """Put an outcome away: it stays in the history."""
        if job in self.queue.outcomes:
            self.queue.outcomes.remove(job)
            self.changed.emit()

    def forget(self, ended: Sequence[Ended]) -> None:
        """Take outcomes off the history."""
        from desktop_app.library.download_record import forget

        self.history = tuple(one for one in self.history if one not in ended)
        self.recorded.emit()
        self._downloads.run(partial(forget, ended), None, lambda _: None)

    def find_downloads(self, asker: QObject, on_done: Callable[[list[KeptDownload]], None]) -> None:
        """Find out which downloads may be deleted: their models are made, and no job needs them.

        Args:
            asker: nothing is called once it is gone.
            on_done: gets them.
        """
        from converter.hub.cleanup import kept_downloads

        def deliver(kept: list[KeptDownload]) -> None:
            if isValid(asker):
                sources = [self._with_endpoint(job.request).source for job in self.jobs]
                on_done([one for one in kept if not any(_needs(source, one) for source in sources)])

        self._downloads.run(lambda: kept_downloads(downloads_folder()), deliver, lambda _: deliver([]))

    def find_leftovers(self, asker: QObject, on_done: Callable[[list[Leftover]], None]) -> None:
        """Find out what interrupted downloads left that no job goes on with; as `find_downloads`."""
        from converter.hub.leftovers import leftovers

        def deliver(left: list[Leftover]) -> None:
            if isValid(asker):
                sources = [self._with_endpoint(job.request).source for job in self.jobs]
                on_done([one for one in left if not any(_needs(source, one) for source in sources)])

        self._downloads.run(lambda: leftovers(downloads_folder()), deliver, lambda _: deliver([]))

    def delete_leftover(self, left: Leftover, on_failed: Callable[[Exception], None]) -> None:
        """Delete what was left; `changed` tells of the end."""
        from converter.hub.leftovers import delete_leftover

        self._downloads.run(partial(delete_leftover, left), lambda _: self.changed.emit(), on_failed)

    def delete_downloads(self, kept: Sequence[KeptDownload], on_failed: Callable[[Exception], None]) -> None:
        """Delete downloads; `changed` tells of the end."""

        def failed(error: Exception) -> None:
            self.changed.emit()
            on_failed(error)

        def delete() -> None:
            from converter.hub.cleanup import delete_download

            for one in kept:
                delete_download(one)

        self._downloads.run(delete, lambda _: self.changed.emit(), failed)

    def close(self) -> None:
        """Stop everything and wait for the end, some seconds at most."""
        self._closed = True
        if self.current is not None:
            self.current.stop.set()
        for look in self._looks:
            look.set()
        self._looking.close()
        self._downloads.close()
        self._background.close()

    def _with_endpoint(self, request: InstallRequest) -> InstallRequest:
        """Add the address of the settings; that of a pasted page stays.

        Where the settings say ModelScope, the catalogue's models are fetched by their names there.
        """
        from converter.hub.address import is_modelscope, origin, split_address, usual_endpoint
        from desktop_app.library.catalogue import catalogue

        endpoint = self._settings.endpoint
        if request.endpoint and origin(request.endpoint) != origin(endpoint or usual_endpoint()):
            return request
        source = request.source
        if isinstance(source, str) and is_modelscope(split_address(endpoint).hostname):
            known = (model.modelscope_source for model in catalogue().named(source) if model.source == source)
            source = next(known, None) or source
        return replace(request, source=source, endpoint=endpoint)

    def _release(self, job: ConversionJob) -> None:
        """Let a large download begin that nobody undid."""
        job.held = False
        if job in self.queue.queued:
            self._begin_next()
            self._moved()

    def _begin_next(self) -> None:
        job = None if self._closed or self._on_hold else self.queue.take_next()
        if job is None:
            return
        job.state = "preparing"
        if job.request.quant == "auto":
            self._models.find_computer(partial(self._run, job), lambda _: self._run(job, None))
        else:
            self._run(job, None)

    def _run(self, job: ConversionJob, computer: Computer | None) -> None:
        from desktop_app.library.install import install_in_process

        if self._closed or job.state != "preparing":
            return
        job.state = "running"
        mirrors = (self._settings.mirror,) if self._settings.mirror else ()
        request = replace(self._with_endpoint(job.request), computer=computer, mirrors=mirrors)
        self._background.run(
            lambda: install_in_process(
                request, lambda event: self._background.post(lambda: self._tell(job, event)), job.stop
            ),
            partial(self._done, job),
            partial(self._not_done, job),
        )

    def _tell(self, job: ConversionJob, event: Progress | Path) -> None:
        if isinstance(event, Path):
            job.out = event
        else:
            job.progress = event
            if event.phase == "downloading" and event.bytes_per_second:
                self._settings.download_rate = event.bytes_per_second
            self.progressed.emit(event, job)

    def _done(self, job: ConversionJob, installed: Installed) -> None:
        job.installed = installed

        def listed(model: InstalledModel) -> None:
            job.state, job.model = "done", model
            self._ended(job)
            self.finished.emit(model, job)

        self._library.add(installed.path, listed, partial(self._not_done, job))

    def _not_done(self, job: ConversionJob, error: Exception) -> None:
        from desktop_app.processes.worker import Unexpected

        if job.pausing and isinstance(error, Cancelled):
            self._paused(job)
            return
        if isinstance(error, ZhiyinError) and not isinstance(error, Unexpected):
            job.error = error
        else:
            job.error, job.details = _own_fault(job, error)
        job.state = "cancelled" if isinstance(error, Cancelled) else "failed"
        self._ended(job)
        if job.state == "cancelled":
            self.cancelled.emit(job)
        else:
            self.failed.emit(job)

    def _paused(self, job: ConversionJob) -> None:
        self.queue.put_back(job)
        self._begin_next()
        self._moved()

    def _ended(self, job: ConversionJob) -> None:
        self.queue.current = None
        self._record(job)
        self._begin_next()
        self._moved()

    def _moved(self) -> None:
        """Write down what is not finished, and tell."""
        from desktop_app.library.download_record import Wanted, keep_unfinished

        wanted = [Wanted.of(job.request) for job in self.jobs if not job.held]
        self._downloads.run(partial(keep_unfinished, wanted), None, lambda _: None)
        self.changed.emit()

    def _record(self, job: ConversionJob) -> None:
        """Write down what came of a job; a full disk must not hide it."""
        from desktop_app.library.download_record import MOST, Ended, keep_ended

        job.ended = time.time()
        ended = Ended.of(job)
        if job.state != "cancelled":
            self.queue.outcomes.append(job)
        self.history = (ended, *self.history)[:MOST]
        self._downloads.run(partial(keep_ended, ended), None, lambda _: None)
        self.recorded.emit()


def _needs(source: Path | str, kept: KeptDownload | Leftover) -> bool:
    """Tell whether a job with this source reads a download, or is about to."""
    from converter.hub.address import MODELSCOPE_PREFIX

    if isinstance(source, Path):
        return source.resolve().is_relative_to(kept.folder.resolve())
    named = source.removeprefix(MODELSCOPE_PREFIX)
    is_ready_made = kept.repository.lower() == f"{named}-gguf".lower()
    return is_ready_made or f"{named}/".startswith(f"{kept.repository}/")


def _own_fault(job: ConversionJob, error: Exception) -> tuple[ZhiyinError, str]:
    """Say what failed, and give the details for a report."""
    from desktop_app.processes.worker import Unexpected

    phase, item = (job.progress.phase, job.progress.item) if job.progress is not None else ("", "")
    raised = error.details if isinstance(error, Unexpected) else "".join(traceback.format_exception(error))
    details = "\n".join(line for line in (str(job.request.source), f"{phase} {item}".strip(), raised) if line)
    return _mistake(phase, job.request.source), details


def _mistake(phase: str, source: Path | str) -> ZhiyinError:
    if phase == "downloading":
        return ZhiyinError(
            "Zhiyin made a mistake while it downloaded {name}; try again, and if it happens again report it with the details.",
            code="internal",
            name=source,
        )
    if phase == "converting":
        return ZhiyinError(
            "Zhiyin made a mistake while it converted {name}; try again, and if it happens again report it with the details.",
            code="internal",
            name=source,
        )
    if phase == "checking":
        return ZhiyinError(
            "Zhiyin made a mistake while it checked {name}; try again, and if it happens again report it with the details.",
            code="internal",
            name=source,
        )
    return ZhiyinError(
        "Zhiyin made a mistake while it read {name}; try again, and if it happens again report it with the details.",
        code="internal",
        name=source,
    )
