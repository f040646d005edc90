"""One process owns a data folder, however often it takes it, and until it ends."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from desktop_app.processes.folder_lock import own
from tests.test_architecture import ROOT

_TRY = """
import sys
from pathlib import Path
from desktop_app.processes.folder_lock import own
print(*sorted({"filelock"} & sys.modules.keys()), own(Path(sys.argv[1])) is not None)
"""


def others_may(folder: Path) -> bool:
    done = subprocess.run(
        [sys.executable, "-c", _TRY, str(folder)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.split() == ["True"]


def test_a_folder_is_free_when_all_that_took_it_have_released_it(tmp_path: Path) -> None:
    first, second = own(tmp_path), own(tmp_path)
    assert first is not None
    assert second is not None
    first.release()
    assert not others_may(tmp_path)
    second.release()
    second.release()
    assert others_may(tmp_path)
    third = own(tmp_path)
    assert third is not None
    third.release()


@pytest.mark.skipif(sys.platform == "win32", reason="flock is POSIX's")
def test_where_the_system_has_no_such_lock_filelock_knows_another_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import fcntl

    def refuse(file: int, operation: int) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.warns(UserWarning, match="flock not supported"):
        lock = own(tmp_path)
    assert lock is not None
    lock.release()
