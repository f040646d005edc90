"""Parses what a user pastes: a repository's name on the Hub or ModelScope, or the address of one of its pages."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from models.errors import ZhiyinError

_REPOSITORY = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
HUB = "https://huggingface.co"
_OFFICIAL = ("huggingface.co", "www.huggingface.co", "hf.co")
MODELSCOPE = "https://modelscope.cn"
_OFFICIAL_MODELSCOPE = ("modelscope.cn", "www.modelscope.cn")
MODELSCOPE_PREFIX = "modelscope:"
"""In front of a repository's name: it is on ModelScope."""
_OTHER_KINDS = ("datasets", "spaces", "collections", "papers", "docs", "blog")


@dataclass(frozen=True)
class HubAddress:
    """A repository, or one file of it."""

    repository: str
    """ORG/NAME, or ORG/NAME/FILE."""
    revision: str = ""
    endpoint: str = ""
    """Of a mirror whose page it is, or ModelScope's; "": the Hub's own, so that any endpoint will do."""


def usual_endpoint() -> str:
    """Return where a repository is looked for that is asked for by its name alone: `HF_ENDPOINT`, or huggingface.co."""
    return os.environ.get("HF_ENDPOINT", "").strip().rstrip("/") or HUB


def split_address(address: str) -> SplitResult:
    """Return an address's parts, all of them empty where it is none: `http://[` has an open bracket, `http://a:b` no port."""
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        return SplitResult("", "", "", "", "")
    return parts


def origin(address: str) -> str:
    """Return the scheme, host and port of an address, to which tokens belong; "": it is none of the web."""
    url = split_address(address)
    port = url.port or {"http": 80, "https": 443}.get(url.scheme, 0)
    if not port:
        return ""
    return f"{url.scheme}://{url.hostname}:{port}" if url.hostname else ""


def is_web_address(text: str, schemes: tuple[str, ...] = ("http", "https")) -> bool:
    """Tell whether a text is a whole address with a host, and a port within range where it has one."""
    try:
        parts = urlsplit(text)
        host = (parts.hostname or "").encode("idna").decode()
        port = parts.port
    except ValueError:
        return False
    visible = text.isprintable() and not any(mark in text for mark in " \\<>\"'`{}|^")
    is_host = bool(re.fullmatch(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*\.?|[0-9a-f:.]+(%\w+)?", host))
    return visible and is_host and port != 0 and parts.scheme in schemes


def is_modelscope(host: str | None) -> bool:
    """Tell whether a host's name is ModelScope's."""
    return f".{host}".endswith((".modelscope.cn", ".modelscope.ai"))


def read_address(text: str) -> HubAddress:
    """Return what a name or an address means.

    Raises:
        ZhiyinError: it names no model.
    """
    text = text.strip()
    if text.startswith(MODELSCOPE_PREFIX):
        return HubAddress(_checked(text.removeprefix(MODELSCOPE_PREFIX).strip("/"), text), endpoint=MODELSCOPE)
    scheme, mark, rest = text.rpartition("://")
    host, _, path = rest.partition("/")
    is_page = bool(mark) or (
        "." in host and path.count("/") >= 1 and host.rpartition(".")[2] in ("ai", "co", "com", "cn", "org")
    )
    url = split_address(text if mark else f"https://{text}")
    if not is_page:
        return HubAddress(_checked(text.strip("/"), text))
    if scheme not in ("", "http", "https"):
        raise _no_model(text)
    parts = [unquote(part) for part in url.path.strip("/").split("/")]
    if parts[0] in _OTHER_KINDS:
        raise _no_model(text)
    parts = parts[1:] if parts[0] == "models" else parts
    repository = _checked("/".join(parts[:2]), text)
    main = "main"
    if is_modelscope(url.hostname):
        main = "master"
        parts = [*parts[:2], "blob", *parts[4:]] if parts[2:4] == ["file", "view"] else parts
    others = MODELSCOPE if url.hostname in _OFFICIAL_MODELSCOPE else f"{url.scheme}://{url.netloc}"
    endpoint = "" if url.hostname in _OFFICIAL else others
    if len(parts) > 4 and parts[2] in ("blob", "resolve"):
        repository = "/".join((repository, *parts[4:]))
    revision = parts[3] if len(parts) > 3 and parts[2] in ("tree", "blob", "resolve") and parts[3] != main else ""
    return HubAddress(repository, revision, endpoint)


def _checked(name: str, text: str) -> str:
    if not _REPOSITORY.fullmatch("/".join(name.split("/")[:2])) or any(p in ("", ".", "..") for p in name.split("/")):
        raise _no_model(text)
    return name


def _no_model(text: str) -> ZhiyinError:
    return ZhiyinError(
        "{text!r} names no model; write it as ORG/NAME, or paste the address of its page.", text=text[:200]
    )
