"""The list of this computer's fonts that matplotlib draws with: made once, handed to each chat's Python.

matplotlib makes it when it is imported first in a folder, which takes ten seconds on a computer with many fonts; and each chat
has a folder of its own. So a confined process that runs no code of a model makes the list in a folder of ours, which the
processes of chats may read; each copies it into its own.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

from desktop_app.paths import font_lists_folder
from models.errors import ZhiyinError

FOLDER = ".matplotlib"
"""In a folder of work: matplotlib's own."""
_making = threading.Lock()


def font_list() -> Path:
    """Return the folder that has, or will have, the list that the installed matplotlib reads."""
    return font_lists_folder() / version("zhiyin") / FOLDER


def make_font_list(run: Callable[[Path, str], None]) -> None:
    """Begin to make the list, unless it is there or being made; `run` runs code in a confined process with a folder of work."""
    if not has_font_list() and not _making.locked():
        threading.Thread(target=_make, args=(run,), name="fonts", daemon=True).start()


def copy_font_list(shared: Path, own: Path) -> None:
    """Copy the list into a folder of work that has none; called by the confined process, which may write there only."""
    with suppress(OSError):
        if not own.exists():
            shutil.copytree(shared, own)


def has_font_list() -> bool:
    """Tell whether there is a list to copy."""
    return any(font_list().glob("fontlist-*.json"))


def _make(run: Callable[[Path, str], None]) -> None:
    with _making:
        work = font_list().parent
        shutil.rmtree(work.parent, ignore_errors=True)  # an older version's
        with suppress(ZhiyinError):  # then the chat's own Python makes it
            run(work, "import matplotlib.font_manager")
