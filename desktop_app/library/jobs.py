"""Models that are to be installed one after the other: what is under way, what waits or pauses, and in which order."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from models.errors import ZhiyinError

if TYPE_CHECKING:
    from converter.progress import Progress
    from desktop_app.library.install import Installed, InstallRequest
    from desktop_app.library.installed_model import InstalledModel

State = Literal["waiting", "preparing", "running", "stopping", "paused", "done", "failed", "cancelled"]


@dataclass(eq=False)
class ConversionJob:
    """One model that is to be installed, and how that stands."""

    request: InstallRequest
    state: State = "waiting"
    progress: Progress | None = None
    """The newest; None: it has not begun."""
    out: Path | None = None
    """The file that is being written; None: not known yet."""
    installed: Installed | None = None
    model: InstalledModel | None = None
    """Once it is done."""
    error: ZhiyinError | None = None
    """Why it failed."""
    details: str = ""
    """Of a fault of our own: what a report of it needs."""
    stop: threading.Event = field(default_factory=threading.Event, repr=False)
    fetches: int = 0
    """Bytes of the download, as far as they are known beforehand."""
    held: bool = False
    """A large download that can still be undone: it begins after a moment."""
    pausing: bool = False
    """It is being stopped, and goes on later."""
    ended: float = 0.0
    """Seconds since 1970; 0: it has not."""

    @property
    def name(self) -> str:
        """The displayed name: the folder's or the file's name, or the repository's."""
        source = self.request.source
        return source.name if isinstance(source, Path) else source

    @property
    def is_over(self) -> bool:
        """Nothing more will happen to it."""
        return self.state in ("done", "failed", "cancelled")

    @property
    def can_pause(self) -> bool:
        """Whether it can pause without loss: it is a download, and its conversion has not begun."""
        fetching = self.progress is None or self.progress.phase == "downloading"
        begun = self.state in ("preparing", "running")
        return not isinstance(self.request.source, Path) and fetching and (begun or self._can_wait)

    @property
    def _can_wait(self) -> bool:
        return self.state == "waiting" and not self.held


class JobQueue:
    """The job under way and those behind it, some of which pause."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.current: ConversionJob | None = None
        self.queued: list[ConversionJob] = []
        self.outcomes: list[ConversionJob] = []
        """Those that are done or failed, and that the user has not put away."""

    @property
    def jobs(self) -> list[ConversionJob]:
        """The running jobs, then those that wait or pause, in order."""
        return [*([self.current] if self.current is not None else []), *self.queued]

    @property
    def shown_outcomes(self) -> list[ConversionJob]:
        """Outcomes but those whose model was removed since."""
        return [job for job in self.outcomes if job.model is None or job.model.path.exists()]

    @property
    def is_busy(self) -> bool:
        """Something is under way, or about to be."""
        return self.current is not None or any(job.state == "waiting" for job in self.queued)

    def take_next(self) -> ConversionJob | None:
        """Make the first job that may begin the current one, and return it; None: there is none, or one is under way."""
        job = next((job for job in self.queued if job.state == "waiting" and not job.held), None)
        if self.current is not None or job is None:
            return None
        self.queued.remove(job)
        self.current = job
        return job

    def put_back(self, job: ConversionJob) -> None:
        """Let the current job pause: it is the first one behind the next."""
        self.current = None
        job.state, job.pausing, job.stop, job.progress = "paused", False, threading.Event(), None
        self.queued.insert(0, job)

    def can_move(self, job: ConversionJob, steps: int) -> bool:
        """Tell whether `move` would change anything."""
        return job in self.queued and 0 <= self.queued.index(job) + steps < len(self.queued)

    def move(self, job: ConversionJob, steps: int) -> None:
        """Let a job come earlier (-1) or later (1)."""
        if self.can_move(job, steps):
            place = self.queued.index(job)
            self.queued.insert(place + steps, self.queued.pop(place))
