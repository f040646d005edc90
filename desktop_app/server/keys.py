"""The server's key: made once, kept in the system's keyring, or where there is none in a file that its owner alone reads."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from converter.atomic_write import write_file
from desktop_app.paths import data_folder

_SERVICE, _USER = "Zhiyin", "server"
_FILE = "server.key"
_VARIABLE = "ZHIYIN_API_KEY"


def server_key() -> str:
    """Return the key: that of the environment variable ZHIYIN_API_KEY, else the one that is kept, else a new one.

    Raises:
        OSError: there is no keyring, and the file cannot be written.
    """
    return environment_key() or kept_key() or _keep(f"zhiyin-{secrets.token_urlsafe(24)}")


def environment_key() -> str:
    """Return the key of the environment variable ZHIYIN_API_KEY; "": none is set."""
    return os.environ.get(_VARIABLE, "")


def kept_key() -> str:
    """Return the key that is kept; "": there is none."""
    return _from_keyring() or _from_file()


def _from_keyring() -> str:
    import keyring
    from keyring.errors import KeyringError

    with suppress(KeyringError, OSError, RuntimeError):
        return keyring.get_password(_SERVICE, _USER) or ""
    return ""


def _from_file() -> str:
    with suppress(OSError, UnicodeError):
        return _path().read_text("ascii").strip()
    return ""


def _keep(key: str) -> str:
    import keyring
    from keyring.errors import KeyringError

    with suppress(KeyringError, OSError, RuntimeError):
        keyring.set_password(_SERVICE, _USER, key)
        if _from_keyring() == key:
            return key
    write_file(_path(), lambda file: file.write(key.encode("ascii")), private=True)
    return key


def _path() -> Path:
    return data_folder() / _FILE
