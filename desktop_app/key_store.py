"""Keys of the user's: kept in the system's keyring, or where there is none in a file that its owner alone reads."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from converter.atomic_write import write_file
from desktop_app.paths import data_folder

_SERVICE = "Zhiyin"


def kept_key(name: str) -> str:
    """Return the key that is kept under a name; "": there is none."""
    return _from_keyring(name) or _from_file(name)


def keep_key(name: str, key: str) -> None:
    """Keep a key under a name in place of the one before; "" forgets it.

    Raises:
        OSError: there is no keyring, and the file cannot be written.
    """
    if key and _into_keyring(name, key):
        _path(name).unlink(missing_ok=True)
    elif key:
        write_file(_path(name), lambda file: file.write(key.encode("utf-8")), private=True)
    else:
        _forget(name)


def is_in_file(name: str) -> bool:
    """Tell whether the key of a name is in a file, for want of a keyring."""
    return _path(name).is_file()


def _from_keyring(name: str) -> str:
    import keyring
    from keyring.errors import KeyringError

    with suppress(KeyringError, OSError, RuntimeError):
        return keyring.get_password(_SERVICE, name) or ""
    return ""


def _into_keyring(name: str, key: str) -> bool:
    import keyring
    from keyring.errors import KeyringError

    with suppress(KeyringError, OSError, RuntimeError):
        keyring.set_password(_SERVICE, name, key)
        return _from_keyring(name) == key
    return False


def _forget(name: str) -> None:
    import keyring
    from keyring.errors import KeyringError

    with suppress(KeyringError, OSError, RuntimeError):
        keyring.delete_password(_SERVICE, name)
    _path(name).unlink(missing_ok=True)


def _from_file(name: str) -> str:
    with suppress(OSError, UnicodeError):
        return _path(name).read_text("utf-8").strip()
    return ""


def _path(name: str) -> Path:
    return data_folder() / f"{name}.key"
