"""The record of finished and pending downloads and conversions: a small file that outlives the process."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from desktop_app.library.ready_made import WAYS, Way
from desktop_app.paths import record_file
from desktop_app.quality.target import MixtureTarget
from desktop_app.small_files import Parsed, SmallFile
from models.errors import ZhiyinError, error_from_data

if TYPE_CHECKING:
    from desktop_app.library.install import InstallRequest
    from desktop_app.library.jobs import ConversionJob

MOST = 100
"""Outcomes that are kept."""
Outcome = Literal["done", "failed", "cancelled"]
_OUTCOMES = ("done", "failed", "cancelled")


@dataclass(frozen=True)
class Wanted:
    """A model that somebody asked for, as it is written down."""

    source: str
    """A repository, or a path."""
    is_path: bool = False
    quant: str = "auto"
    revision: str = ""
    endpoint: str = ""
    way: Way = "auto"
    lora: tuple[str, ...] = ()
    calibration: str | None = None
    """The text of an importance matrix, "" our own; None: there is none."""
    mixture: tuple[int, float] | None = None
    """The size and the bits of a mixture by measurement; None: it is none."""

    @classmethod
    def of(cls, request: InstallRequest) -> Wanted:
        """Return what a request asks for."""
        is_path = isinstance(request.source, Path)
        calibration, target = request.calibration, request.mixture
        return cls(
            str(request.source),
            is_path,
            request.quant,
            request.revision,
            request.endpoint,
            request.way,
            tuple(map(str, request.lora)),
            None if calibration is None else str(calibration.text or ""),
            None if target is None else (target.size, target.bits),
        )

    @property
    def request(self) -> InstallRequest:
        """The request again."""
        from desktop_app.library.install import Calibration, InstallRequest

        return InstallRequest(
            Path(self.source) if self.is_path else self.source,
            self.quant,
            tuple(map(Path, self.lora)),
            self.revision,
            self.endpoint,
            way=self.way,
            calibration=None
            if self.calibration is None
            else Calibration(Path(self.calibration) if self.calibration else None),
            mixture=None if self.mixture is None else MixtureTarget(*self.mixture),
        )

    @property
    def name(self) -> str:
        """The displayed name."""
        return Path(self.source).name if self.is_path else self.source


@dataclass(frozen=True)
class Ended:
    """How it came out."""

    wanted: Wanted
    outcome: Outcome
    time: float
    """Seconds since 1970."""
    bytes: int = 0
    """Of the model, or of what had come."""
    model: str = ""
    """The file that was made or fetched; "": none."""
    error: ZhiyinError | None = None

    @classmethod
    def of(cls, job: ConversionJob) -> Ended:
        """Return how a job came out that is over."""
        wanted = Wanted.of(job.request)
        outcome = cast(Outcome, job.state)
        if job.model is not None:
            return cls(wanted, outcome, job.ended, job.model.bytes, str(job.model.path))
        came = job.progress.bytes_done if job.progress is not None and job.progress.phase == "downloading" else 0
        return cls(wanted, outcome, job.ended, came, "", job.error if outcome == "failed" else None)


@dataclass(frozen=True)
class DownloadRecord:
    """All of it."""

    unfinished: tuple[Wanted, ...] = ()
    """Downloads that were under way, waited or paused, in their order."""
    ended: tuple[Ended, ...] = ()
    """The newest first."""


def read_record() -> DownloadRecord:
    """Return what is written down."""
    return _file().read()


def keep_unfinished(jobs: Iterable[Wanted]) -> None:
    """Write down which downloads are not finished.

    Raises:
        OSError: the folder cannot be written, or the disk is full.
    """
    wanted = tuple(one for one in jobs if not one.is_path)  # a conversion would begin anew: nothing is lost
    _file().change(lambda record: replace(record, unfinished=wanted))


def keep_ended(ended: Ended) -> None:
    """Write an outcome down; raises as `keep_unfinished`."""
    _file().change(lambda record: replace(record, ended=(ended, *record.ended)[:MOST]))


def forget(ended: Iterable[Ended]) -> None:
    """Take outcomes off the list; raises as `keep_unfinished`."""
    gone = {(one.wanted.source, one.time) for one in ended}
    _file().change(
        lambda record: replace(
            record, ended=tuple(one for one in record.ended if (one.wanted.source, one.time) not in gone)
        )
    )


def _file() -> SmallFile[DownloadRecord]:
    return SmallFile(record_file(), DownloadRecord, _parsed, _dumped)


def _dumped(record: DownloadRecord) -> dict[str, Any]:
    ended = [
        {**asdict(replace(one, error=None)), "error": None if one.error is None else one.error.data()}
        for one in record.ended
    ]
    return {"unfinished": [asdict(one) for one in record.unfinished], "ended": ended}


def _parsed(stored: Any) -> Parsed[DownloadRecord]:
    """Read what `_dumped` wrote; entries that it did not write are left out."""
    is_complete = True
    unfinished, ended = [], []
    for entry in stored["unfinished"]:
        if (wanted := _wanted(entry)) is not None:
            unfinished.append(wanted)
        else:
            is_complete = False
    for entry in stored["ended"]:
        if (one := _ended(entry)) is not None:
            ended.append(one)
        else:
            is_complete = False
    return Parsed(DownloadRecord(tuple(unfinished), tuple(ended)), is_complete)


def _wanted(entry: Any) -> Wanted | None:
    with suppress(TypeError, ValueError, KeyError):
        texts = {name: entry[name] for name in ("source", "quant", "revision", "endpoint")}
        good = all(isinstance(text, str) for text in (*texts.values(), *entry["lora"]))
        if good and entry["source"] and entry["way"] in WAYS:
            return Wanted(
                **texts,
                is_path=bool(entry["is_path"]),
                way=entry["way"],
                lora=tuple(entry["lora"]),
                calibration=_calibration(entry.get("calibration")),
                mixture=_mixture(entry.get("mixture")),
            )
    return None


def _calibration(entry: Any) -> str | None:
    if entry is not None and not isinstance(entry, str):
        raise TypeError(entry)
    return entry


def _mixture(entry: Any) -> tuple[int, float] | None:
    if entry is None:
        return None
    size, bits = entry
    if type(size) is not int or not 0 <= size < 1 << 62 or not 0 <= bits <= _MOST_BITS:
        raise ValueError(entry)
    return size, float(bits)


def _ended(entry: Any) -> Ended | None:
    with suppress(TypeError, ValueError, KeyError, OverflowError):
        wanted, error = _wanted(entry["wanted"]), entry["error"]
        good = entry["outcome"] in _OUTCOMES and isinstance(entry["model"], str)
        if wanted is not None and good and 0 <= entry["time"] < _LATEST and 0 <= entry["bytes"] < 1 << 62:
            failure = None if error is None else error_from_data(error)
            return Ended(wanted, entry["outcome"], float(entry["time"]), int(entry["bytes"]), entry["model"], failure)
    return None


_MOST_BITS = 32
_LATEST = 253_402_300_800.0
"""Seconds: the year 10,000."""
