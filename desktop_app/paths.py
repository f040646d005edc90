"""Folders and files of Zhiyin."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress
from pathlib import Path

import platformdirs

from desktop_app.remove_tree import remove_tree
from models.errors import ZhiyinError
from models.system_reasons import system_reason

READ_ONLY = (errno.EACCES, errno.EPERM, errno.EROFS)
"""What the system says where nothing may be written."""
STATES = "states"
"""The folder of what models remember of chats, beside the chats."""
_MOVED = "storage.txt"
"""The file that says where models and downloads are: the folder, and in a second line the one that they were moved from."""
WORK = "work"
"""The folder of what chats' tools made, one folder a chat."""


def data_folder() -> Path:
    """Return the folder of all data, made if needed: `ZHIYIN_HOME`, or the system's place for application data.

    Where the system lets nothing be written it may not be there: reading finds nothing, and whoever writes hears of it.

    Raises:
        ZhiyinError: it cannot be one.
    """
    named = os.environ.get("ZHIYIN_HOME")
    return _made(Path(named) if named else Path(platformdirs.user_data_dir("Zhiyin", appauthor=False)))


def storage_folder() -> Path:
    """Return the folder in which models and downloads are: the data folder, or where the user moved them."""
    return _storage()[0] or data_folder()


def storage_away() -> ZhiyinError | None:
    """Return the sentence for a storage folder whose disk is not there now; None: it is there."""
    storage = storage_folder()
    if storage.is_dir():
        return None
    return ZhiyinError(
        "The folder of models {path} is not there now; connect its disk and try again. Until then nothing can be added.",
        path=storage,
    )


def require_storage() -> None:
    """Raise where models and downloads cannot be kept, since their disk is away: in its place they would be lost to sight."""
    if (error := storage_away()) is not None:
        raise error


def left_storage() -> Path | None:
    """Return the folder that models and downloads were moved out of and that may still have some; None: there is none."""
    return _storage()[1]


def use_storage(folder: Path, left: Path | None) -> None:
    """Write down where models and downloads are from now on.

    Args:
        folder: which has them all.
        left: which has them too, until they are removed there.

    Raises:
        OSError: it cannot be written.
    """
    moved = data_folder() / _MOVED
    if left is None and folder == data_folder():
        moved.unlink(missing_ok=True)
        return
    work = moved.with_name(f".{_MOVED}.new")
    with work.open("w", encoding="utf-8") as file:
        file.write("\n".join((str(folder), str(left or ""))))
        file.flush()
        os.fsync(file.fileno())
    work.replace(moved)


def _storage() -> tuple[Path | None, Path | None]:
    try:
        lines = (data_folder() / _MOVED).read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError):
        return None, None
    first, second, *_ = (*lines, "", "")
    return tuple(Path(line) if Path(line).is_absolute() and "\0" not in line else None for line in (first, second))  # type: ignore[return-value]


def _stored(name: str) -> Path:
    """Return a folder of the storage, made if needed; where its disk is away nothing is made in its place."""
    storage = storage_folder()
    return _made(storage / name) if storage.is_dir() else storage / name


def models_folder() -> Path:
    """Return the folder of installed models, made if needed."""
    return _stored("models")


def documents_file() -> Path:
    """Return the SQLite file of the document collections."""
    return data_folder() / "documents.sqlite3"


def embedding_folder() -> Path:
    """Return the folder of the embedding model that comes with the application, made if needed."""
    return _made(data_folder() / "embedding")


def downloads_folder() -> Path:
    """Return the folder of what was fetched from the Hub, made if needed."""
    return _stored("downloads")


def database_file() -> Path:
    """Return the SQLite file of the chats."""
    return data_folder() / "chats.sqlite3"


def chat_state_file(conversation: str) -> Path:
    """Return the file of what a model remembers of a chat; a folder beside it is named like it without its ending."""
    return data_folder() / STATES / f"{conversation}.npz"


def work_folder(conversation: str) -> Path:
    """Return the folder in which a chat's tools write; it need not exist."""
    return data_folder() / WORK / conversation


def remove_if_empty(folder: Path) -> None:
    """Remove a chat's work folder where nobody sees a file in it."""
    with suppress(OSError):
        if all(path.name.startswith(".") for path in folder.iterdir()):
            remove_tree(folder)


def approvals_file() -> Path:
    """Return the file of the tools that may always be used without asking."""
    return data_folder() / "approvals.json"


def mcp_file() -> Path:
    """Return the file of the MCP servers, in the form that other programs use, too (`mcpServers`)."""
    return data_folder() / "mcp.json"


def settings_file() -> Path:
    """Return the file of the settings."""
    return data_folder() / "settings.json"


def remotes_file() -> Path:
    """Return the file of the servers whose models the user added."""
    return data_folder() / "remotes.json"


def tokens_file() -> Path:
    """Return the file of the hosts of models for which a token was entered; the tokens are not in it."""
    return data_folder() / "tokens.json"


def assistants_file() -> Path:
    """Return the file of the user's own assistants."""
    return data_folder() / "assistants.json"


def network_file() -> Path:
    """Return the file of all connections that were made."""
    return data_folder() / "network.jsonl"


def record_file() -> Path:
    """Return the file of what was downloaded and converted, and what is still to be."""
    return data_folder() / "downloads.json"


def further_folders_file() -> Path:
    """Return the file of the user's own folders whose models are read where they lie."""
    return data_folder() / "model-folders.json"


def newer_file() -> Path:
    """Return the file of what hosts publish anew of the downloads that are here."""
    return data_folder() / "newer.json"


def used_file() -> Path:
    """Return the file that says when each model was loaded last."""
    return data_folder() / "used.json"


def model_settings_file() -> Path:
    """Return the file of what was set for single models."""
    return data_folder() / "model-settings.json"


def rename_file() -> Path:
    """Return the file of a model's rename that is under way."""
    return data_folder() / "rename.json"


def speed_file() -> Path:
    """Return the file of what `desktop_app.planning.speed` measured."""
    return data_folder() / "speed.json"


def loads_file() -> Path:
    """Return the file of what loads took."""
    return data_folder() / "loads.json"


def references_folder() -> Path:
    """Return the folder of reference distributions (`desktop_app.quality.references`), made if needed."""
    return _made(data_folder() / "references")


def font_lists_folder() -> Path:
    """Return the folder of lists of this computer's fonts (`desktop_app.assistant.sandbox.drawing`)."""
    return data_folder() / "fonts"


def importance_folder() -> Path:
    """Return the folder of unfinished importance matrices, made if needed."""
    return _made(data_folder() / "importance")


def qualities_file() -> Path:
    """Return the file of what `desktop_app.quality` measured of models."""
    return data_folder() / "quality.json"


def engine_parts_folder() -> Path:
    """Return the folder of engine parts that were added; it need not exist."""
    return data_folder() / "engine"


def log_file(name: str) -> Path:
    """Return a log file's path, its folder made if needed."""
    return _made(data_folder() / "logs") / f"{name}.log"


def free_space(folder: Path) -> int:
    """Return the bytes that are free where a folder is, or is to be."""
    existing = next(path for path in (folder, *folder.parents) if path.is_dir())
    return shutil.disk_usage(existing).free


def unusable_folder(folder: Path, error: Exception) -> ZhiyinError:
    """Return the sentence for a folder of ours that the system refuses."""
    return ZhiyinError(
        "The data folder {path} cannot be used ({reason}); set ZHIYIN_HOME to a folder that can be written.",
        path=folder,
        reason=system_reason(error),
    )


def _made(folder: Path) -> Path:
    try:
        folder = folder.expanduser().resolve()  # notes and lists have one name for each file, wherever one starts from
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: ~ of nobody
        if getattr(error, "errno", 0) not in READ_ONLY:
            raise unusable_folder(folder, error) from error
    return folder
