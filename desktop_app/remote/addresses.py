"""The servers that the user added: their addresses and models in a small file, their keys in the system's keyring."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from converter.hub.address import is_web_address
from desktop_app.key_store import keep_key, kept_key
from desktop_app.library.installed_model import InstalledModel
from desktop_app.paths import remotes_file
from desktop_app.small_files import Parsed, SmallFile
from models.errors import ZhiyinError
from models.system_reasons import system_reason
from models.visible import visible

_VARIABLE = "ZHIYIN_REMOTE_KEY"
_LONGEST_NAME, _MOST_MODELS = 300, 1000


@dataclass(frozen=True)
class RemoteModel:
    """A model of a server."""

    name: str
    context: int = 0
    """Tokens; 0: the server does not say."""


@dataclass(frozen=True)
class Remote:
    """A server with OpenAI's protocol."""

    address: str
    """With the path in front of `/models` and `/chat/completions`, as in http://192.168.1.5:8080/v1."""
    models: tuple[RemoteModel, ...] = field(default=())

    @property
    def place(self) -> str:
        """The displayed location: host and port."""
        return place_of(self.address)


def read_address(text: str) -> str:
    """Return the address that somebody typed, whole: `gpu:8080` means http://gpu:8080/v1.

    Raises:
        ZhiyinError: it is none.
    """
    typed = text.strip()
    named = (typed if "://" in typed else f"http://{typed}").rstrip("/")
    if not is_web_address(named) or urlsplit(named).username is not None:
        raise ZhiyinError(
            "{text!r} is no address of a server; write it as http://192.168.1.5:8080/v1.", text=visible(text)[:200]
        )
    parts = urlsplit(named)
    path = parts.path.rstrip("/").removesuffix("/chat/completions").removesuffix("/models")
    return urlunsplit((parts.scheme, parts.netloc, path or "/v1", "", ""))


def place_of(address: str) -> str:
    """Return an address's host and port."""
    return urlsplit(address).netloc


def key_for(address: str) -> str:
    """Return the key that is sent to an address: of ZHIYIN_REMOTE_KEY, else the one that is kept; "": none."""
    return os.environ.get(_VARIABLE, "") or kept_key(_key_name(address))


def keep_key_for(address: str, key: str) -> None:
    """Keep a key for an address; "" forgets it.

    Raises:
        ZhiyinError: it cannot be sent, or cannot be kept.
    """
    if not key.isascii() or not key.isprintable() or " " in key:
        raise ZhiyinError("The key holds characters that no key has; copy it again.")
    try:
        keep_key(_key_name(address), key)
    except OSError as error:
        raise ZhiyinError("The key cannot be kept: {reason}.", reason=system_reason(error)) from error


class Remotes:
    """The servers that were added."""

    def __init__(self, path: Path | None = None) -> None:
        """Look after a file; None: that of the data folder."""
        self._file = SmallFile(path or remotes_file(), tuple, _parsed, lambda all_: [asdict(one) for one in all_])

    def all(self) -> tuple[Remote, ...]:
        """Return them in the order in which they were added."""
        return self._file.read()

    def put(self, remote: Remote) -> None:
        """Add a server, or change the one at its address; raises `OSError`."""
        self._file.change(
            lambda known: (
                tuple(remote if one.address == remote.address else one for one in known)
                if any(one.address == remote.address for one in known)
                else (*known, remote)
            )
        )

    def remove(self, address: str) -> None:
        """Forget a server and its key; raises `OSError`."""
        self._file.change(lambda known: tuple(one for one in known if one.address != address))
        keep_key(_key_name(address), "")

    def models(self) -> list[InstalledModel]:
        """Return all their models, as the lists of models show them."""
        return [shown_model(remote, model) for remote in self.all() for model in remote.models]


def shown_model(remote: Remote, model: RemoteModel) -> InstalledModel:
    """Return a server's model among those of this computer; it has no file."""
    identifier = f"{remote.address}#{model.name}"
    return InstalledModel(
        name=visible(model.name),
        path=Path(identifier),
        bytes=0,
        architecture="",
        file_type="",
        identifier=identifier,
        label=f"{visible(model.name)} ({remote.place})",
        remote=remote.address,
        remote_name=model.name,
        context=model.context,
    )


def is_remote(identifier: str) -> bool:
    """Tell whether an `InstalledModel.identifier` is that of a server's model."""
    return identifier.startswith(("http://", "https://"))


def model_named(remote: Remote, name: str | None) -> RemoteModel:
    """Return a server's model.

    Raises:
        ZhiyinError: it lists none of this name, or several where none is named.
    """
    if name:
        listed = next((model for model in remote.models if model.name == name), None)
        if listed is not None:
            return listed
    elif len(remote.models) == 1:
        return remote.models[0]
    if not remote.models:
        raise ZhiyinError("{place} lists no model; load one there first.", place=remote.place)
    names = ", ".join(visible(model.name) for model in remote.models[:20])
    if name:
        raise ZhiyinError("{place} has no model {name!r}; it has: {names}.", place=remote.place, name=name, names=names)
    raise ZhiyinError("{place} has several models; name one with --model: {names}.", place=remote.place, names=names)


def _key_name(address: str) -> str:
    import hashlib

    return f"remote-{hashlib.sha256(address.encode()).hexdigest()[:16]}"


def _parsed(stored: Any) -> Parsed[tuple[Remote, ...]]:
    if not isinstance(stored, list):
        raise TypeError(stored)
    good = [entry for entry in stored if _is_good(entry)]
    remotes = tuple(
        Remote(entry["address"], tuple(RemoteModel(one["name"], one["context"]) for one in entry["models"]))
        for entry in good
    )
    return Parsed(remotes, len(good) == len(stored))


def _is_good(entry: Any) -> bool:
    return (
        isinstance(entry, dict)
        and isinstance(entry.get("address"), str)
        and is_web_address(entry["address"])
        and isinstance(entry.get("models"), list)
        and all(
            isinstance(one, dict) and isinstance(one.get("name"), str) and isinstance(one.get("context"), int)
            for one in entry["models"]
        )
    )


def listed_models(data: Any) -> tuple[RemoteModel, ...]:
    """Return the models of an answer of `/models`; what is none in it is left out."""
    entries = data.get("data") if isinstance(data, dict) else None
    models = [
        RemoteModel(entry["id"], _context(entry))
        for entry in (entries if isinstance(entries, list) else ())
        if isinstance(entry, dict) and isinstance(entry.get("id"), str) and 0 < len(entry["id"]) <= _LONGEST_NAME
    ]
    return tuple(models[:_MOST_MODELS])


def _context(entry: dict[str, Any]) -> int:
    """Return the context that a server says: vLLM's and SGLang's, LM Studio's and other services', llama-server's."""
    meta = entry.get("meta") if isinstance(entry.get("meta"), dict) else {}
    length = (
        entry.get("max_model_len"),
        entry.get("loaded_context_length"),
        entry.get("context_length"),
        meta.get("n_ctx") if isinstance(meta, dict) else None,
    )
    return next((value for value in length if isinstance(value, int) and 0 < value < 1 << 31), 0)
