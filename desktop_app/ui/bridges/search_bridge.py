"""Looking for models on a host, for the window: in a process of its own, and how each would run here for those in sight."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QObject, Signal

from desktop_app.settings import Settings
from desktop_app.ui.bridges.background import Background
from desktop_app.ui.models.model_session import ModelSession
from models.errors import Cancelled
from models.sentence import Sentence

if TYPE_CHECKING:
    from converter.hub.request import FoundRepository
    from desktop_app.library.model_search import Fit
    from desktop_app.planning.configuration import Computer


class SearchBridge(QObject):
    """One search at a time; nothing is asked before the user asks."""

    results = Signal(list)
    """The repositories (`FoundRepository`)."""
    failed = Signal(Exception)
    waiting = Signal(Sentence, float)
    """Why a busy host is asked again, and in how many seconds."""
    fitted = Signal()
    """`fits` knows more."""

    def __init__(self, models: ModelSession, settings: Settings, parent: QObject | None = None) -> None:
        """Nothing is asked for.

        Args:
            models: knows what there is for a model.
            settings: have the address that is asked.
            parent: the owner.
        """
        super().__init__(parent)
        self._models = models
        self._settings = settings
        self._searching = Background("search", self)
        self._looking = Background("fits", self)
        self._stop = threading.Event()
        self._asked: set[str] = set()
        self._wanted: list[str] = []
        self._busy = False
        self._endpoint = ""
        self.fits: dict[str, Fit] = {}
        """What is known so far, by `FoundRepository.source`."""

    def hosts(self) -> tuple[str, str]:
        """Return the addresses of the Hub, or of its mirror in the settings, and of ModelScope."""
        from converter.hub.address import MODELSCOPE, is_modelscope, usual_endpoint

        chosen = self._settings.endpoint
        on_modelscope = is_modelscope(chosen.partition("://")[2].partition("/")[0])
        return (usual_endpoint(), chosen) if on_modelscope else (chosen or usual_endpoint(), MODELSCOPE)

    def search(self, words: str, endpoint: str) -> None:
        """Look for words; `results` or `failed` tells of the end. What was looked for before counts no more."""
        from converter.hub.address import MODELSCOPE_PREFIX
        from desktop_app.library.model_search import search_and_tell
        from desktop_app.processes.worker import in_process

        self.stop()
        stop = self._stop = threading.Event()
        self._endpoint, self._asked, self._wanted, self.fits = endpoint, set(), [], {}

        def deliver(repositories: list[FoundRepository]) -> None:
            if not stop.is_set():
                self.results.emit(repositories)

        def failed(error: Exception) -> None:
            if not stop.is_set() and not isinstance(error, Cancelled):
                self.failed.emit(error)

        def wait(event: tuple[Sentence, float]) -> None:
            self._searching.post(lambda: None if stop.is_set() else self.waiting.emit(*event))

        text = words.removeprefix(MODELSCOPE_PREFIX)
        self._searching.run(
            lambda: in_process(partial(search_and_tell, text, endpoint), wait, stop, grace=0), deliver, failed
        )

    def look(self, sources: Sequence[str]) -> None:
        """Find out how repositories would run here, each once; what is in sight last comes first."""
        new = [source for source in sources if source not in self._asked]
        self._wanted = [*new, *(source for source in self._wanted if source not in new)]
        self._asked |= set(new)
        if self._wanted and not self._busy:
            self._busy = True
            self._models.find_computer(self._look_at_wanted, lambda _: self._looked())

    def stop(self) -> None:
        """Give up what is under way."""
        self._stop.set()

    def close(self) -> None:
        """Give up and wait for the threads."""
        self.stop()
        self._searching.close()
        self._looking.close()

    def _look_at_wanted(self, computer: Computer) -> None:
        from desktop_app.library.install import InstallRequest
        from desktop_app.library.model_search import fits_and_tell
        from desktop_app.processes.worker import in_process

        wanted, self._wanted, stop = self._wanted, [], self._stop
        requests = [InstallRequest(source, endpoint=self._endpoint) for source in wanted]

        def tell(event: Any) -> None:
            self._looking.post(lambda: None if stop.is_set() else self._told(*event))

        self._looking.run(
            lambda: in_process(partial(fits_and_tell, requests, computer), tell, stop, grace=0),
            lambda _: self._looked(),
            lambda _: self._looked(),
        )

    def _told(self, source: str, fit: Fit) -> None:
        self.fits[source] = fit
        self.fitted.emit()

    def _looked(self) -> None:
        self._busy = False
        if self._wanted:
            self.look(())
