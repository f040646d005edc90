"""The server's key: made once and kept with the user's other keys."""

from __future__ import annotations

import os
import secrets

from desktop_app.key_store import keep_key, kept_key

_NAME = "server"
_VARIABLE = "ZHIYIN_API_KEY"


def server_key() -> str:
    """Return the key: that of the environment variable ZHIYIN_API_KEY, else the one that is kept, else a new one.

    Raises:
        OSError: there is no keyring, and the file cannot be written.
    """
    return environment_key() or kept_key(_NAME) or _made()


def environment_key() -> str:
    """Return the key of the environment variable ZHIYIN_API_KEY; "": none is set."""
    return os.environ.get(_VARIABLE, "")


def _made() -> str:
    key = f"zhiyin-{secrets.token_urlsafe(24)}"
    keep_key(_NAME, key)
    return key
