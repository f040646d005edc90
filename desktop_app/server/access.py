"""Who may ask: hosts and origins against DNS rebinding and foreign web pages, and the key.

A page that a browser shows may send requests to this computer. Its own name resolved to 127.0.0.1 (DNS rebinding) stands in the
header Host; a page of another origin names it in the header Origin. Neither is let through unless it was allowed by name.
"""

from __future__ import annotations

import ipaddress
import secrets
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from converter.hub.address import split_address
from desktop_app.server.errors import APIError, error_response

_PREFLIGHT_SECONDS = 600


@dataclass(frozen=True)
class AccessRules:
    """Who may ask."""

    key: str = ""
    """Has to come with every request; "": none has to."""
    hosts: frozenset[str] = frozenset()
    """Names of this computer besides its own and localhost."""
    origins: frozenset[str] = frozenset()
    """Origins whose pages may ask, as in `https://chat.example`; `*`: all."""


class Access:
    """ASGI middleware that answers for the application where somebody may not ask."""

    def __init__(self, app: ASGIApp, rules: AccessRules) -> None:
        """Stand in front of `app`."""
        self._app = app
        self._rules = rules
        own = socket.gethostname().lower()
        self._hosts = {"localhost", own, f"{own}.local"} | {host.lower() for host in rules.hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        refusal = self._refusal(headers, scope["method"])
        if refusal is not None:
            await error_response(refusal, HTTPConnection(scope))(scope, receive, send)
        elif scope["method"] == "OPTIONS" and "origin" in headers:
            await self._preflight(headers)(scope, receive, send)
        elif "origin" in headers:
            await self._app(scope, receive, _with_header(send, headers["origin"]))
        else:
            await self._app(scope, receive, send)

    def _refusal(self, headers: Headers, method: str) -> APIError | None:
        if not self._knows_host(headers.get("host", "")):
            return APIError(403, "This server is not known under that host name; --allow-host allows it.")
        if not self._knows_origin(headers):
            return APIError(403, "Pages of that origin may not ask this server; --allow-origin allows them.")
        if self._rules.key and method != "OPTIONS" and not self._has_key(headers):
            error = APIError(401, "The key is missing or wrong; send it as a bearer token.", code="invalid_api_key")
            error.headers = {"WWW-Authenticate": "Bearer"}
            return error
        return None

    def _knows_host(self, host: str) -> bool:
        """Tell whether a request was sent to this computer's own name: an address is never rebound, a name may be."""
        name = host_name(host)
        return name in self._hosts or _is_address(name)

    def _knows_origin(self, headers: Headers) -> bool:
        origin = headers.get("origin")
        if origin is None or "*" in self._rules.origins or origin in self._rules.origins:
            return True
        parts = split_address(origin)
        return parts.scheme in {"http", "https"} and parts.netloc.lower() == headers.get("host", "").lower()

    def _has_key(self, headers: Headers) -> bool:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        given = (token.strip() if scheme.lower() == "bearer" else "", headers.get("x-api-key", ""))
        key = self._rules.key.encode()
        return any(secrets.compare_digest(text.encode("utf-8", "replace"), key) for text in given)

    def _preflight(self, headers: Headers) -> Response:
        allowed = {
            "Access-Control-Allow-Origin": headers["origin"],
            "Access-Control-Allow-Methods": "GET, POST, DELETE, HEAD",
            "Access-Control-Allow-Headers": headers.get("access-control-request-headers", "*"),
            "Access-Control-Max-Age": str(_PREFLIGHT_SECONDS),
            "Vary": "Origin",
        }
        return Response(status_code=204, headers=allowed)


def host_name(host: str) -> str:
    """Return the name or address in a Host header, without port and brackets, in lower case; "" where it is malformed."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".").lower()
    except ValueError:
        return ""


def is_loopback(host: str) -> bool:
    """Tell whether only this computer reaches what listens on an address."""
    if host.lower() == "localhost":
        return True
    return _is_address(host) and ipaddress.ip_address(host).is_loopback


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _with_header(send: Send, origin: str) -> Send:
    """Let the page of an origin read the answer."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            added = [(b"access-control-allow-origin", origin.encode("latin-1", "replace")), (b"vary", b"Origin")]
            message = {**message, "headers": [*message["headers"], *added]}
        await send(message)

    return sending
