"""The network settings of this computer: proxies, certificates, tokens, offline mode.

Each is checked where it is used: a mistake in one is told by its name, never blamed on the server or the disk.
"""

from __future__ import annotations

import os
import re
import ssl
import urllib.request
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from urllib.parse import urlsplit

from converter.hub.address import is_web_address
from models.errors import ZhiyinError
from models.sentence import Sentence
from models.system_reasons import system_reason

_SPOKEN_TO_PROXIES = ("http", "https", "socks5", "socks5h")
_TOKEN = re.compile(r"[!#-+\--:<-\[\]-~]+")
"""Visible ASCII without the four marks that end a value in a header: quote, comma, semicolon, backslash."""
_HASHED = re.compile(r"[0-9a-f]{8}\.\d+")
"""How OpenSSL names certificates in a folder (`openssl rehash`)."""
_TRUE = ("1", "ON", "YES", "TRUE")


class BadSetting(ZhiyinError):
    """A setting of this computer cannot be used as it is."""

    default_code = "setting"


@dataclass(frozen=True)
class Proxy:
    """A program or computer through which others are reached."""

    url: str
    setting: str
    """The environment variable that names it; "": the system's settings."""

    @property
    def shown(self) -> str:
        """Its address without a password."""
        return _without_password(self.url)

    @property
    def speaks_socks(self) -> bool:
        """Tell whether it is reached by SOCKS rather than by HTTP."""
        return self.url.startswith("socks")


def proxy_for(url: str) -> Proxy | None:
    """Return the proxy for an address, None where it is reached directly, by the rules of Python's own urllib and of curl.

    Raises:
        BadSetting: it is no address of a proxy, or of a kind that is not spoken here.
    """
    parts = urlsplit(url)
    proxies = urllib.request.getproxies()
    key = parts.scheme if proxies.get(parts.scheme) else "all"
    text = proxies.get(key, "").strip()
    if not text or urllib.request.proxy_bypass(parts.netloc.rpartition("@")[2]) or _is_excepted(parts.hostname or ""):
        return None
    setting = _variable_of(f"{key}_proxy")
    address = text if "://" in text else f"http://{text}"
    scheme, _, rest = address.partition("://")
    scheme = {"socks": "socks5"}.get(scheme.lower(), scheme.lower())  # so GNOME writes it
    if scheme not in _SPOKEN_TO_PROXIES:
        raise BadSetting(
            "{setting} names a proxy of the kind {scheme!r}, which Zhiyin does not speak; set it to http://HOST:PORT or "
            "socks5://HOST:PORT, or unset it.",
            code="proxy",
            setting=named(setting),
            scheme=scheme[:20],
        )
    address = f"{scheme}://{rest}"
    if not is_web_address(address, schemes=_SPOKEN_TO_PROXIES):
        login, _, behind = rest.rpartition("@")
        if login and is_web_address(f"{scheme}://{behind}", schemes=_SPOKEN_TO_PROXIES):
            raise BadSetting(
                "The name or password in {setting} has characters that mean something else in an address; write them as % and "
                "two hexadecimal digits: %23 for #, %2F for /, %3F for ?, %5B for [, %20 for a space.",
                code="proxy",
                setting=named(setting),
            )
        raise no_address_of_a_proxy(setting, address)
    return Proxy(address, setting)


def no_address_of_a_proxy(setting: str, address: str) -> BadSetting:
    """Return the error for a setting that names a proxy by what is no address."""
    return BadSetting(
        "{setting} is no address of a proxy ({text!r}); write it as http://HOST:PORT, or unset it.",
        code="proxy",
        setting=named(setting),
        text=address.rpartition("@")[2][:80],
    )


def _is_excepted(host: str) -> bool:
    """Tell whether NO_PROXY names a host in a way that urllib does not understand: after blanks, as a network, as an address."""
    listed = urllib.request.getproxies_environment().get("no", "")
    for entry in re.split(r"[\s,;]+", listed):
        name = entry.partition("://")[2] or entry
        if "/" in name.strip("/"):
            with suppress(ValueError):
                if ip_address(host) in ip_network(name, strict=False):
                    return True
        name = name.strip("/").removeprefix("*").removeprefix(".").lower()
        if name and (host == name or host.endswith(f".{name}")):
            return True
    return False


def named(setting: str) -> str | Sentence:
    """Return what sentences call the setting of a proxy: its variable, or the system's settings."""
    return setting or Sentence("The system's setting of a proxy")


def tls_context() -> ssl.SSLContext:
    """Return which certificates are trusted: those of SSL_CERT_FILE or SSL_CERT_DIR, else the system's.

    Raises:
        BadSetting: the file or folder is not there or holds none.
    """
    import httpx2

    file, folder = os.environ.get("SSL_CERT_FILE", ""), os.environ.get("SSL_CERT_DIR", "")
    if not file and not folder:
        return httpx2.create_ssl_context(trust_env=False)
    setting, path = ("SSL_CERT_FILE", file) if file else ("SSL_CERT_DIR", folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if file:
            context.load_verify_locations(cafile=file)
        else:
            _check_folders([Path(part) for part in folder.split(os.pathsep)])
            context.load_verify_locations(capath=folder)
    except ssl.SSLError as error:
        raise BadSetting(
            "{setting} names {path}, which holds no certificates; correct it or unset it.",
            code="certificates",
            setting=setting,
            path=path,
        ) from error
    except (OSError, ValueError) as error:
        raise BadSetting(
            "{setting} names {path}, which cannot be read ({reason}); correct it or unset it.",
            code="certificates",
            setting=setting,
            path=path,
            reason=system_reason(error),
        ) from error
    return context


def _check_folders(folders: Sequence[Path]) -> None:
    """Refuse folders none of which is one, or where OpenSSL, which looks in them when it needs one, would find no certificate."""
    existing = [folder for folder in folders if folder.is_dir()]
    if not existing:
        raise FileNotFoundError(2, os.strerror(2))
    if not any(_HASHED.fullmatch(name) for folder in existing for name in os.listdir(folder)):  # noqa: PTH208 - names are enough
        raise ssl.SSLError


def checked_token(token: str, setting: str, page: str) -> str:
    """Return a token that can be sent.

    Args:
        token: the text that somebody entered.
        setting: where: an environment variable, a file, or "" for the window's settings.
        page: where tokens are made.

    Raises:
        BadSetting: it holds what no token has; the sentence does not show it.
    """
    if _TOKEN.fullmatch(token):
        return token
    if not setting:
        raise BadSetting(
            "The token in the settings holds characters that no token has; copy it again from {page}.",
            code="token",
            page=page,
        )
    raise BadSetting(
        "The token in {setting} holds characters that no token has; copy it again from {page}.",
        code="token",
        setting=setting,
        page=page,
    )


def login_token(page: str) -> str:
    """Return the token that huggingface-hub keeps of a login, "": there is none.

    Args:
        page: where tokens are made.

    Raises:
        BadSetting: its file or its settings cannot be read.
    """
    try:
        from huggingface_hub import constants, get_token

        if constants.HF_HUB_DISABLE_IMPLICIT_TOKEN:
            return ""
        token = (get_token() or "").removeprefix("\ufeff")  # what Notepad begins a file with
        setting = constants.HF_TOKEN_PATH
    except OSError as error:
        raise BadSetting(
            "The token of a login cannot be read: {path} ({reason}); make it readable, or set HF_TOKEN.",
            code="token",
            path=error.filename or "~/.cache/huggingface/token",
            reason=system_reason(error),
        ) from error
    except ValueError as error:
        raise BadSetting(
            "A setting of huggingface-hub (an HF_ variable, or the token of a login) cannot be read ({reason}); correct or "
            "unset it.",
            code="token",
            reason=str(error)[:200],
        ) from error
    variable = next((name for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN") if os.environ.get(name)), "")
    return checked_token(token, variable or setting, page) if token else ""


def offline_setting() -> str:
    """Return the environment variable that forbids every connection to the Hub, as huggingface-hub reads them; "": none."""
    names = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
    return next((name for name in names if os.environ.get(name, "").upper() in _TRUE), "")


def _variable_of(name: str) -> str:
    """Return how an environment variable is written here, "" where it is not set; small letters come first, as in urllib."""
    variables = (
        other for other in (name, name.upper(), *os.environ) if other.lower() == name and os.environ.get(other)
    )
    return next(variables, "")


def _without_password(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
