"""The one connection to servers on other computers: the offline switch counts, each request is on the list, a stop is heard.

No redirect is followed: the key and the chat go to the address that the user entered, and nowhere else.
"""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import httpx2

from converter.hub.network_errors import Phase
from converter.hub.network_settings import Proxy, proxy_for, tls_context
from converter.hub.permission import Contact, in_own_network, is_this_computer, note, permitted, switched_off
from desktop_app.remote.addresses import place_of
from desktop_app.remote.failures import RemoteFailed, broken_off, lost, refusal, silent, unreadable
from models.errors import Cancelled
from models.sentence import Sentence

LARGEST = 64 << 20
"""Bytes of an answer."""
_LONGEST_REFUSAL = 64 << 10


@dataclass(frozen=True)
class Patience:
    """Seconds that a server may take."""

    connect: float = 10.0
    first: float = 600.0
    """Until the first byte of an answer: a long prompt on a slow computer is read that long."""
    next: float = 120.0
    """Between two pieces of an answer."""


class Request:
    """One request, which another thread may stop."""

    def __init__(self, address: str, key: str, patience: Patience) -> None:
        """Connect to nothing yet; arguments as of `Remote`, `keep_key_for`."""
        self._address, self._key, self._patience = address, key, patience
        self._place = place_of(address)
        self._socket: socket.socket | None = None
        self._stopped = threading.Event()
        self._phase: Phase = "connecting"
        self._received = 0

    @property
    def stopped(self) -> bool:
        """Tell whether `stop` was called."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """End it, whatever it waits for."""
        self._stopped.set()
        if self._socket is not None:
            with suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    @contextmanager
    def ask(
        self, path: str, body: Mapping[str, Any] | None = None, model: str = ""
    ) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Give an answer's content type and its pieces.

        Args:
            path: behind the address.
            body: sent as JSON; None: nothing is sent, and the answer is fetched.
            model: the one that is asked for, for sentences.

        Raises:
            ZhiyinError: no answer came, or not the whole one; the sentence says why.
            Cancelled: `stop` was called.
        """
        url = f"{self._address}/{path}"
        host = httpx2.URL(url).host
        self._refuse_offline(host)
        proxy = None if is_this_computer(host) or in_own_network(host) else proxy_for(url)
        state = "failed"
        try:
            with permitted(own_network=True), self._client(url, proxy) as client:
                request = client.build_request(
                    "GET" if body is None else "POST",
                    url,
                    json=body,
                    headers=self._headers(),
                    extensions={"trace": self._trace},
                )
                response = client.send(request, stream=True)
                try:
                    self._begin(response, model)
                    yield response.headers.get("Content-Type", ""), self._pieces(response)
                    state = "done"
                finally:
                    response.close()
        except (httpx2.HTTPError, httpx2.InvalidURL, OSError) as error:
            raise self._explained(error, url, proxy) from error
        finally:
            port = httpx2.URL(url).port or (443 if url.startswith("https") else 80)
            note(Contact(host, port, httpx2.URL(url).path, self._received, state))

    def _refuse_offline(self, host: str) -> None:
        if switched_off() and not is_this_computer(host) and not in_own_network(host):
            raise RemoteFailed(
                "Zhiyin is switched to offline, and {place} is not in a network that you allowed; allow its network by its "
                "numbers (`zhiyin network --own 192.168.1.0/24`, or Settings), or switch offline off.",
                code="offline",
                place=self._place,
            )

    def _client(self, url: str, proxy: Proxy | None) -> httpx2.Client:
        is_secure = url.startswith("https:") or (proxy is not None and proxy.url.startswith("https:"))
        context = tls_context() if is_secure else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        through = None if proxy is None else httpx2.Proxy(proxy.url)
        patience = self._patience
        return httpx2.Client(
            transport=httpx2.HTTPTransport(verify=context, trust_env=False, proxy=through),
            trust_env=False,
            timeout=httpx2.Timeout(patience.first, connect=patience.connect, read=patience.first),
        )

    def _headers(self) -> dict[str, str]:
        key = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        return {"Accept-Encoding": "identity", "Accept": "application/json, text/event-stream", **key}

    def _begin(self, response: httpx2.Response, model: str) -> None:
        self._phase = "reading"
        response.request.extensions["timeout"]["read"] = self._patience.next
        if response.status_code != httpx2.codes.OK:
            body = b""
            for piece in response.iter_bytes():
                body += piece
                if len(body) > _LONGEST_REFUSAL:
                    break
            raise refusal(self._place, response.status_code, body, model, has_key=bool(self._key))

    def _pieces(self, response: httpx2.Response) -> Iterator[bytes]:
        for piece in response.iter_raw():
            self._received += len(piece)
            if self._stopped.is_set():
                raise Cancelled("It was stopped.")
            if self._received > LARGEST:
                raise unreadable(self._place, Sentence("it is too long"))
            yield piece
        if self._stopped.is_set():  # its socket was shut, which looks like an end
            raise Cancelled("It was stopped.")

    def _explained(self, error: Exception, url: str, proxy: Proxy | None) -> Exception:
        if self._stopped.is_set():
            return Cancelled("It was stopped.")
        if isinstance(error, httpx2.ReadTimeout):
            return silent(self._place, self._patience.next if self._phase == "reading" else self._patience.first)
        if isinstance(error, httpx2.RemoteProtocolError) and self._phase == "reading":
            return broken_off(self._place)
        return lost(error, url, proxy, self._phase, self._place)

    def _trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Hear what the connection does, so that a stop reaches its socket."""
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            self._socket = info["return_value"].get_extra_info("socket")
        elif event.endswith("send_request_headers.started"):
            self._phase = "waiting"
        if event.endswith(".started") and not event.endswith("closed.started") and self._stopped.is_set():
            raise Cancelled("It was stopped.")
