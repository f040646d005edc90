"""The tokens that the user entered for hosts of models: each goes to the address for which it was entered, and to no other.

They lie with the user's other keys (`desktop_app.key_store`). A small file names the addresses that have one, so that the
system's keyring, which may ask for a password, is not opened for everybody who downloads a public model.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from converter.hub.address import origin, usual_endpoint
from desktop_app.key_store import is_in_file, keep_key, kept_key
from desktop_app.paths import tokens_file
from desktop_app.settings import Settings
from desktop_app.small_files import Parsed, SmallFile
from models.errors import ZhiyinError
from models.system_reasons import system_reason


@dataclass(frozen=True)
class KeptToken:
    """The token of an address."""

    token: str = ""
    """"": there is none."""
    in_file: bool = False
    """This computer has no keyring: it is in a file that its owner alone reads."""

    def __repr__(self) -> str:
        """Never show the token."""
        return f"KeptToken({'***' if self.token else ''})"


def token_at(endpoint: str) -> str:
    """Return the token that was entered for an address, "" being the usual one; "": there is none."""
    where = _where(endpoint)
    return kept_key(_key_name(where)) if where and where in _addresses().read() else ""


def find_token(endpoint: str) -> KeptToken:
    """Return the token of an address and where it is kept."""
    token = token_at(endpoint)
    return KeptToken(token, bool(token) and is_in_file(_key_name(_where(endpoint))))


def keep_token(endpoint: str, token: str) -> None:
    """Keep a token for an address, "" being the usual one; "" forgets what it had.

    Raises:
        ZhiyinError: it cannot be kept.
    """
    where = _where(endpoint)
    if not where:
        return
    try:
        keep_key(_key_name(where), token)
        _addresses().change(lambda known: known - {where} | ({where} if token else set()))
    except OSError as error:
        raise ZhiyinError("The token cannot be kept: {reason}.", reason=system_reason(error)) from error


def tokens_in(settings: Settings) -> Mapping[str, str]:
    """Return the tokens that earlier versions kept among the settings, by their addresses."""
    where = _where(settings.endpoint)
    return settings.tokens | ({where: settings.token} if where and settings.token else {})


def _where(endpoint: str) -> str:
    return origin(endpoint or usual_endpoint())


def _key_name(where: str) -> str:
    import hashlib

    return f"hub-{hashlib.sha256(where.encode()).hexdigest()[:16]}"


def _addresses() -> SmallFile[frozenset[str]]:
    return SmallFile(tokens_file(), frozenset, _parsed, sorted)


def _parsed(stored: Any) -> Parsed[frozenset[str]]:
    if not isinstance(stored, list):
        raise TypeError(stored)
    good = frozenset(entry for entry in stored if isinstance(entry, str) and origin(entry))
    return Parsed(good, len(good) == len(stored))
