"""Moves of the storage and renames of a model, killed at every moment: `python -m tests.support.killed_moves KIND FOLDER`.

KIND: move or rename; FOLDER: a data folder. For each moment the work is done by a child of this process, on a copy of the folder,
until the child kills itself before its Nth change of a file or its Nth piece of one; then what a next start finds is compared,
and the work is done again. Prints how many moments there were.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from desktop_app.library import storage
from desktop_app.library.installed import Library
from desktop_app.library.model_care import model_facts
from desktop_app.library.renaming import rename_model
from desktop_app.paths import downloads_folder, models_folder, rename_file, storage_folder

CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate")
PIECE = 20_000
"""Bytes that are copied at once."""


def main() -> None:
    """Kill at one moment after the other until the work comes to its end before it."""
    kind, home = sys.argv[1], Path(sys.argv[2])
    storage._AT_ONCE = PIECE
    os.environ["ZHIYIN_HOME"] = str(home)
    before = state()
    moments = 0
    while True:
        copy = home.with_name(f"moment-{moments}")
        shutil.copytree(home, copy, symlinks=True)
        os.environ["ZHIYIN_HOME"] = str(copy)
        (copy / "storage.txt").unlink(missing_ok=True)
        relocate(home, copy)
        killed = run(lambda copy=copy: work(kind, copy), moments)
        looked(kind, copy, before, f"killed at moment {moments}")
        if not killed:
            break
        names = {model.name for model in Library(models_folder()).models()}
        if "Tea" in names if kind == "rename" else storage_folder() != copy / "disk":
            work(kind, copy)
        storage.finish_move()
        looked(kind, copy, before, f"done again after moment {moments}")
        done(kind, copy)
        shutil.rmtree(copy)
        moments += 1
    print(moments)


def relocate(home: Path, copy: Path) -> None:
    """Let a copied data folder name its own files."""
    for note in [*copy.rglob(".hub.json"), *copy.rglob("*.json")]:
        note.write_text(note.read_text("utf-8").replace(f"{home}/", f"{copy}/"), "utf-8")


def work(kind: str, home: Path) -> None:
    """Move everything to another folder, or give the model another name."""
    if kind == "move":
        storage.move_storage(home / "disk", lambda _: None, lambda: False)
    else:
        rename_model(Library(models_folder()).find("Tea"), "Green")


def run(act: Callable[[], None], moment: int) -> bool:
    """Act in a child that kills itself at a moment; return whether it did."""
    child = os.fork()
    if child:
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status) and os.waitstatus_to_exitcode(status):
            raise AssertionError(f"it failed at moment {moment}")
        return os.WIFSIGNALED(status)
    left = moment

    def hear(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if event in CHANGES or writes:
            pass_moment()

    def pass_moment() -> None:
        nonlocal left
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        left -= 1

    counted = storage._Copy._count

    def count(copy: storage._Copy, size: int) -> None:
        pass_moment()
        counted(copy, size)

    storage._Copy._count = count  # type: ignore[method-assign]
    sys.addaudithook(hear)
    try:
        act()
    except BaseException as error:
        print(repr(error), file=sys.stderr)
        os._exit(1)
    os._exit(0)


def state() -> dict[str, object]:
    """Return what a user has: the bytes of every model and download, and what is known of each model."""
    listed = Library(models_folder()).models()
    known = {
        model.sha256 or digest(model.path): (
            model.own.instructions,
            model_facts(model).used,
            model_facts(model).commit,
            model_facts(model).made_here,
        )
        for model in listed
        if not model.starter
    }
    files = [path for folder in (models_folder(), downloads_folder()) for path in folder.rglob("*") if path.is_file()]
    content = sorted(digest(path) for path in files if not path.name.startswith(".") and path.name != "imported.json")
    return {"models": known, "files": content}


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def looked(kind: str, home: Path, before: dict[str, object], what: str) -> None:
    """Compare what a next start finds."""
    now = state()
    for name, value in before.items():
        if now[name] != value:
            raise AssertionError(f"{what}: {name} were {value}, and are {now[name]}")
    names = {model.name for model in Library(models_folder()).models() if not model.starter}
    expected = [{"Tea", "m"}, {"Green", "m"}] if kind == "rename" else [{"Tea", "m"}]
    if names not in expected:
        raise AssertionError(f"{what}: there are {names}")


def done(kind: str, home: Path) -> None:
    """Look at what is left when the work is done."""
    if kind == "rename":
        if rename_file().exists() or (models_folder() / "Tea.gguf").exists():
            raise AssertionError("something is left of the rename")
        return
    old = [path for name in storage.FOLDERS for path in (home / name).rglob("*")]
    left = [path for path in (home / "disk").rglob(".*") if path.name.endswith(".moving") or path.name == storage._MARK]
    if old or left or storage.left_storage() is not None:
        raise AssertionError(f"left over: {old} {left} {storage.left_storage()}")


if __name__ == "__main__":
    main()
