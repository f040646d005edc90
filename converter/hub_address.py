"""What a person pastes of a model on the Hub: its name, or the address of one of its pages."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from models.errors import ZhiyinError

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_OFFICIAL = ("huggingface.co", "www.huggingface.co", "hf.co")
_OTHER_KINDS = ("datasets", "spaces", "collections", "papers", "docs", "blog")


@dataclass(frozen=True)
class HubAddress:
    """A repository, or one file of it."""

    repository: str
    """ORG/NAME, or ORG/NAME/FILE."""
    revision: str = ""
    endpoint: str = ""
    """Of a mirror whose page it is; "": the Hub's own, so that any endpoint will do."""


def read_address(text: str) -> HubAddress:
    """Return what a name or an address means.

    Raises:
        ZhiyinError: it names no model.
    """
    text = text.strip()
    scheme, mark, rest = text.rpartition("://")
    host, _, path = rest.partition("/")
    is_page = bool(mark) or (
        "." in host and path.count("/") >= 1 and host.rpartition(".")[2] in ("co", "com", "cn", "org")
    )
    url = urlsplit(text if mark else f"https://{text}")
    if not is_page:
        return HubAddress(_checked(text.strip("/"), text))
    if scheme not in ("", "http", "https"):
        raise _no_model(text)
    if url.hostname is not None and url.hostname.endswith("modelscope.cn"):
        raise ZhiyinError(
            f"{text[:200]} is an address of ModelScope; paste the model's name on Hugging Face, ORG/NAME."
        )
    parts = [unquote(part) for part in url.path.strip("/").split("/")]
    if parts[0] in _OTHER_KINDS:
        raise _no_model(text)
    parts = parts[1:] if parts[0] == "models" else parts
    repository = _checked("/".join(parts[:2]), text)
    endpoint = "" if url.hostname in _OFFICIAL else f"{url.scheme}://{url.netloc}"
    if len(parts) > 4 and parts[2] in ("blob", "resolve"):
        repository = "/".join((repository, *parts[4:]))
    revision = parts[3] if len(parts) > 3 and parts[2] in ("tree", "blob", "resolve") and parts[3] != "main" else ""
    return HubAddress(repository, revision, endpoint)


def _checked(name: str, text: str) -> str:
    if not _REPOSITORY.fullmatch("/".join(name.split("/")[:2])) or any(p in ("", ".", "..") for p in name.split("/")):
        raise _no_model(text)
    return name


def _no_model(text: str) -> ZhiyinError:
    return ZhiyinError(f"{text[:200]!r} names no model; write it as ORG/NAME, or paste the address of its page.")
