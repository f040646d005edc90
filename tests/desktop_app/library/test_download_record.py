"""What is written down of downloads: as it was, whatever the file holds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from desktop_app.library.download_record import (
    MOST,
    DownloadRecord,
    Ended,
    Wanted,
    forget,
    keep_ended,
    keep_unfinished,
    read_record,
)
from desktop_app.library.install import Calibration, InstallRequest
from desktop_app.paths import record_file
from desktop_app.quality.target import MixtureTarget
from models.errors import ZhiyinError

TEA = InstallRequest(
    "org/tea",
    "Q8_0",
    revision="v2",
    endpoint="https://hf-mirror.com",
    way="convert",
    calibration=Calibration(Path("notes.txt")),
    mixture=MixtureTarget(bits=4.5),
)


@pytest.mark.usefixtures("data_home")
def test_it_comes_back_as_it_was(tmp_path: Path) -> None:
    milk = InstallRequest(tmp_path / "milk", lora=(tmp_path / "lora",))
    keep_unfinished([Wanted.of(TEA), Wanted.of(milk)])
    failed = Ended(Wanted.of(TEA), "failed", 5.0, 70, error=ZhiyinError("{name} is gone.", code="refused", name="tea"))
    done = Ended(Wanted.of(milk), "done", 6.0, 80, str(tmp_path / "milk.gguf"))
    keep_ended(failed)
    keep_ended(done)
    record = read_record()
    assert [wanted.request for wanted in record.unfinished] == [TEA], "a folder can be dropped on the window again"
    assert record.ended[0] == done
    assert record.ended[0].wanted.request == milk
    assert (str(record.ended[1].error), record.ended[1].time) == ("tea is gone.", 5.0)
    forget([done])
    assert [one.time for one in read_record().ended] == [5.0]


@pytest.mark.usefixtures("data_home")
def test_the_newest_are_kept() -> None:
    for time in range(MOST + 3):
        keep_ended(Ended(Wanted.of(TEA), "cancelled", float(time)))
    ended = read_record().ended
    assert (len(ended), ended[0].time) == (MOST, MOST + 2.0)


@pytest.mark.usefixtures("data_home")
@pytest.mark.parametrize(
    "broken",
    [
        {"wanted": 3},
        {"outcome": "lost"},
        {"time": "now"},
        {"time": float("nan")},
        {"time": 1e300},
        {"bytes": -1},
        {"model": None},
        {"error": {"template": 3}},
    ],
)
def test_damaged_entries_are_left_out(broken: dict[str, object]) -> None:
    keep_ended(Ended(Wanted.of(TEA), "done", 1.0))
    keep_unfinished([Wanted.of(TEA)])
    stored = json.loads(record_file().read_text("utf-8"))
    stored["ended"].append(stored["ended"][0] | broken)
    wanted = stored["unfinished"][0]
    stored["unfinished"] += [wanted | {"way": "by-air"}, wanted | {"mixture": [-1, 0]}, wanted | {"calibration": 3}, 7]
    record_file().write_text(json.dumps(stored), "utf-8")
    record = read_record()
    assert (len(record.ended), len(record.unfinished)) == (1, 1)


@pytest.mark.usefixtures("data_home")
def test_a_file_of_something_else_is_no_record() -> None:
    record_file().write_text("[]", "utf-8")
    assert read_record() == DownloadRecord()
