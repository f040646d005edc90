"""Network failures, classified by cause: settings, network, proxy, host."""

from __future__ import annotations

import errno
import math
import socket
import ssl
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Literal, TypeVar

import h11
import httpx2

from converter.hub.address import MODELSCOPE
from converter.hub.network_settings import BadSetting, Proxy, named
from models.errors import ZhiyinError
from models.sentence import Sentence
from models.system_reasons import system_reason

Phase = Literal["connecting", "waiting", "reading"]
"""What a request does: until it is sent, until its header is here, and then."""
E = TypeVar("E", bound=BaseException)


ELSEWHERE = Sentence("choose another --endpoint")
"""The remedy where a host cannot be helped; the window calls it by the name of its setting."""


class Unreachable(ZhiyinError):
    """No answer came, or not the whole one; another attempt may get it.

    The value `reason` says why in a few words, and `wait` how many seconds the host asks for before the next one.
    """

    default_code = "unreachable"


class Offline(Unreachable):
    """A setting of this computer, the value `setting`, forbids every connection."""

    default_code = "offline"


class Refused(ZhiyinError):
    """A host answers that it does not give what was asked for.

    The value `status` is HTTP's, and `kind` how the Hub names the reason (`X-Error-Code`).
    """

    default_code = "refused"


class BadAnswer(ZhiyinError):
    """A host answers what no host of models does; asking again would not help."""

    default_code = "bad-answer"


DISABLED = "Disabled"
"""The Hub names this reason in words only."""
_LONGEST_WAIT = 24 * 3600
"""Seconds; who asks for more asks for nothing sensible."""
_TEMPORARY = (408, 425, 429, 500, 502, 503, 504)


def refusal(response: httpx2.Response, host: str, proxy: Proxy | None) -> ZhiyinError:
    """Return the error for an answer with another status than wanted."""
    status = response.status_code
    wait = _wait_of(response)
    reason = Sentence("the server answered {status}", status=status)
    if wait:
        reason = Sentence("the server asked to wait {seconds} s", seconds=wait)
    if status == httpx2.codes.PROXY_AUTHENTICATION_REQUIRED and proxy is not None:
        return _wants_password(proxy)
    if status == httpx2.codes.TOO_MANY_REQUESTS:
        return Unreachable(
            "{host} asks to wait, because too much was fetched in a short time; try again in some minutes.",
            code="busy",
            reason=reason,
            host=host,
            wait=wait,
        )
    if status in _TEMPORARY:
        return Unreachable(
            "{host} failed ({status}); try again later, or {elsewhere}.",
            reason=reason,
            host=host,
            status=status,
            wait=wait,
            elsewhere=ELSEWHERE,
        )
    is_disabled = response.headers.get("X-Error-Message") == "Access to this resource is disabled."
    return refused(host, status, DISABLED if is_disabled else response.headers.get("X-Error-Code", ""))


def _wait_of(response: httpx2.Response) -> int:
    """Return the seconds that a host asks to wait (Retry-After, as a number or a date); 0: it asks for none."""
    asked = response.headers.get("Retry-After", "").strip()
    if asked.isascii() and asked.isdigit():
        return min(int(asked[:9]), _LONGEST_WAIT)
    try:
        date = parsedate_to_datetime(asked)
    except (TypeError, ValueError, OverflowError):
        return 0
    date = date if date.tzinfo is not None else date.replace(tzinfo=timezone.utc)
    seconds = (date - datetime.now(timezone.utc)).total_seconds()
    return math.ceil(min(max(seconds, 0), _LONGEST_WAIT))


def refused(host: str, status: int, kind: str) -> Refused:
    """Return the error for a host that says no; who knows what was asked for says more."""
    return Refused("{host} does not give it ({status}).", host=host, status=status, kind=kind)


def explain(error: Exception, url: str, proxy: Proxy | None, phase: Phase) -> ZhiyinError:
    """Return the sentence for what a request raised.

    Args:
        error: of this package, httpx, the system or a library below.
        url: what was asked.
        proxy: through which, None: directly.
        phase: what the request was doing.
    """
    if isinstance(error, ZhiyinError):
        return error
    if isinstance(error, httpx2.InvalidURL | UnicodeError):
        return BadSetting("{url!r} is no address that can be asked for; correct it.", code="endpoint", url=url[:80])
    host, cause = httpx2.URL(url).host, _cause(error, OSError)
    if isinstance(cause, ssl.SSLError):
        return _tls_error(cause, host)
    if proxy is not None and phase == "connecting":
        return _proxy_error(error, cause, host, proxy)
    breaks_rules = not isinstance(error, httpx2.TransportError | OSError) or _cause(error, h11.ProtocolError)
    if breaks_rules and phase != "reading":
        return BadAnswer("{host} does not answer as HTTP wants it; {elsewhere}.", host=host, elsewhere=ELSEWHERE)
    return _network_error(error, cause, httpx2.URL(url))


def _network_error(error: Exception, cause: OSError | None, url: httpx2.URL) -> ZhiyinError:
    """Say what is wrong between this computer and a host."""
    host, reason = url.host, _reason(error, cause)
    if isinstance(cause, socket.gaierror):
        return Unreachable(
            "The name {host} cannot be resolved; check the connection to the network, its DNS, and how the name is written.",
            code="name-resolution",
            reason=reason,
            host=host,
        )
    if cause is not None and cause.errno in _NO_ROUTE:
        return Unreachable(
            "There is no way from this computer to {host} ({reason}); connect it to the network, then try again.",
            code="no-route",
            reason=reason,
            host=host,
        )
    if cause is not None and cause.errno in (errno.EACCES, errno.EPERM):
        return BadSetting(
            "This computer forbids a connection to {host} ({reason}); allow it in the firewall.",
            code="firewall",
            reason=reason,
            host=host,
        )
    return Unreachable(
        "{endpoint} cannot be reached ({reason}); check the connection, or choose another address with --endpoint or "
        "HF_ENDPOINT: a mirror, or {modelscope}.",
        reason=reason,
        endpoint=f"{url.scheme}://{url.netloc.decode()}",
        modelscope=MODELSCOPE,
    )


def _proxy_error(error: Exception, cause: OSError | None, host: str, proxy: Proxy) -> ZhiyinError:
    """Say what is wrong with the way through a proxy."""
    text = str(error)
    if isinstance(error, httpx2.ProxyError) and (text.startswith("407") or "username" in text.lower()):
        return _wants_password(proxy)
    if isinstance(error, httpx2.ProxyError):
        return Unreachable(
            "The proxy {proxy} ({setting}) does not connect to {host} ({reason}); ask who runs it, or name that host in "
            "NO_PROXY.",
            code="proxy",
            reason=Sentence("the proxy says {answer!r}", answer=text[:80]),
            proxy=proxy.shown,
            setting=named(proxy.setting),
            host=host,
        )
    if cause is None and not isinstance(error, httpx2.TimeoutException | httpx2.NetworkError):
        return BadSetting(
            "What answers at {proxy} ({setting}) is no proxy of that kind; correct the address, or unset it.",
            code="proxy",
            proxy=proxy.shown,
            setting=named(proxy.setting),
        )
    return Unreachable(
        "The proxy {proxy} ({setting}) cannot be reached ({reason}); start it, or change or unset the setting.",
        code="proxy",
        reason=_reason(error, cause),
        proxy=proxy.shown,
        setting=named(proxy.setting),
    )


def _wants_password(proxy: Proxy) -> BadSetting:
    return BadSetting(
        "The proxy {proxy} ({setting}) wants a name and a password; write them into its address: "
        "http://NAME:PASSWORD@HOST:PORT.",
        code="proxy",
        proxy=proxy.shown,
        setting=named(proxy.setting),
    )


def _tls_error(error: ssl.SSLError, host: str) -> ZhiyinError:
    if isinstance(error, ssl.SSLCertVerificationError):
        return BadSetting(
            "The certificate of {host} is not trusted here ({reason}); check this computer's clock, and where a proxy or a "
            "virus scanner reads along, name its certificate in SSL_CERT_FILE.",
            code="certificates",
            host=host,
            reason=error.verify_message,
        )
    return BadAnswer(
        "{host} makes no secure connection ({reason}); if it speaks plain HTTP, write its address with http://.",
        code="tls",
        host=host,
        reason=(error.reason or type(error).__name__).replace("_", " ").lower(),
    )


def _reason(error: Exception, cause: OSError | None) -> Sentence:
    """Say in a few words why a connection failed."""
    if isinstance(cause, socket.gaierror):
        return Sentence("its name cannot be resolved")
    if isinstance(error, httpx2.TimeoutException) or (cause is not None and cause.errno == errno.ETIMEDOUT):
        return Sentence("it did not answer in time")
    if isinstance(cause, ConnectionRefusedError):
        return Sentence("the connection was refused")
    if cause is None or isinstance(cause, ConnectionError):
        return Sentence("the connection was closed early")
    return Sentence("the system says: {reason}", reason=system_reason(cause))


def _cause(error: BaseException | None, kind: type[E]) -> E | None:
    """Return the first error of a kind among an error and what it was raised from."""
    while error is not None and not isinstance(error, kind):
        error = error.__cause__ or error.__context__
    return error


_NO_ROUTE = (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN, errno.EADDRNOTAVAIL)
