"""When two paths are one file, and when two names are one name: links, upper and lower case, Unicode's two spellings."""

from __future__ import annotations

import unicodedata
from pathlib import Path

from models.visible import visible


def shown_name(path: Path) -> str:
    """Return what a model file is called in lists: hidden characters are escaped."""
    return visible(raw_name(path))


def raw_name(path: Path) -> str:
    """Return a model file's name without `.gguf`; other endings belong to it."""
    return path.stem if path.suffix.lower() == ".gguf" else path.name


def composed(text: str) -> str:
    """Return a text in one of Unicode's two spellings: file systems and keyboards differ in theirs."""
    return unicodedata.normalize("NFC", text)


def folded(name: str) -> str:
    """Return what names have in common that some file systems take for one."""
    return composed(name).casefold()


def plain_path(path: str | Path) -> Path:
    """Return an absolute path without links among its folders; a file that is a link keeps its own name."""
    try:
        path = Path(path).expanduser()
        return path.parent.resolve() / path.name
    except (OSError, RuntimeError, ValueError):  # circles of links, ~ of nobody
        return Path(path).absolute()


def exists(path: Path) -> bool:
    """Tell whether there is anything at a path, be it a link to nothing."""
    try:
        path.lstat()
    except (OSError, ValueError):
        return False
    return True


def same_file(path: Path) -> tuple[int, int, str, str]:
    """Return what a file's other paths have in common: through links, in another case or spelling; not another name of it."""
    status = path.stat()
    return status.st_dev, status.st_ino, folded(str(path.resolve())), folded(path.name)


def is_same(path: Path, other: Path) -> bool:
    """Tell whether two paths are one file under one name."""
    try:
        return path == other or same_file(path) == same_file(other)
    except (OSError, ValueError):
        return False
