"""The one reader of what a host of models answers: bounded in bytes, time, slowness and redirects, over HTTP and HTTPS.

A request runs on a thread of its own; whoever asked waits for it in short steps. Neither name resolution nor a handshake nor a
silent connection can be interrupted otherwise, and a stop has to be heard at any moment. Tokens go to the endpoint's origin only.
"""

from __future__ import annotations

import errno
import ipaddress
import queue
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, TypeVar

import httpx2

from converter.hub.address import is_web_address, origin, split_address
from converter.hub.network_errors import ELSEWHERE, BadAnswer, Offline, Phase, Unreachable, explain, refusal
from converter.hub.network_settings import Proxy, no_address_of_a_proxy, offline_setting, proxy_for, tls_context
from converter.hub.permission import SWITCH, Contact, note, permitted, switched_off
from converter.hub.speed_limit import LIMIT
from models.errors import Cancelled, ZhiyinError
from models.sentence import Sentence

HEAD_SECONDS = 20.0
"""From the request to the header of the last answer: name resolution, connecting and redirects included."""
ANSWER_SECONDS = 300.0
"""For an answer that is read into memory."""
WINDOW_SECONDS = 15.0
WINDOW_BYTES = 1500
"""What must come within each window: a hundred bytes a second, less than any connection that is of use."""
_CONNECT_SECONDS = 10.0
_LOOK_UP_SECONDS = 1.0
"""For a name that was asked for before."""
_STEP = 0.1
"""Seconds between two looks at whether to stop."""
_ASKED_AGAIN = 3
"""Times that a busy host is asked again."""
_MOST_WAIT = 120.0
"""Seconds that it may ask to wait before a download has begun."""
_MOST_REDIRECTS = 10
_SHORT_BODY = 4096
"""A redirect's body of so many bytes is read, which keeps the connection; of a longer one nothing is."""
_QUEUED = 8
"""Pieces of an answer, of a megabyte at most, that wait to be taken."""
_ENCODINGS = ("", "identity", "gzip", "deflate")
_REDIRECTS = (301, 302, 303, 307, 308)
T = TypeVar("T")
_OK = (httpx2.codes.OK, httpx2.codes.PARTIAL_CONTENT)


@dataclass(frozen=True)
class Place:
    """Where something is: an address, and whether a host outside of this computer's network led there."""

    url: str
    from_outside: bool = False


def refuse_offline() -> None:
    """Raise `Offline` where the user, or a setting of this computer, wants no connection."""
    if switched_off():
        raise Offline(
            "Zhiyin is switched to offline and makes no connection; `zhiyin network asked`, or Settings, ends that.",
            setting=SWITCH,
            reason=Sentence("Zhiyin is switched to offline"),
        )
    if setting := offline_setting():
        raise Offline(
            "{setting} forbids every connection; unset it.",
            setting=setting,
            reason=Sentence("{setting} forbids it", setting=setting),
        )


class Connection:
    """Requests to one endpoint and to where it redirects."""

    def __init__(self, endpoint: str, headers: Mapping[str, str], credentials: Mapping[str, str]) -> None:
        """Connect to nothing yet.

        Args:
            endpoint: its origin alone gets the credentials.
            headers: of every request.
            credentials: headers with the user's token.
        """
        self._origin = origin(endpoint)
        self._headers = dict(headers)
        self._credentials = dict(credentials)
        self._clients: dict[tuple[str, str], httpx2.Client] = {}
        self._lock = threading.Lock()
        self._check: Callable[[], None] = lambda: None
        self._again: Callable[[Sentence, float], None] | None = None
        self._stopped = threading.Event()

    def on_wait(self, check: Callable[[], None], again: Callable[[Sentence, float], None] | None = None) -> None:
        """Have something called about ten times a second while an answer is waited for; it may raise to stop.

        Args:
            check: what is called.
            again: hears that a busy host wants to be asked again, why and in how many seconds; None: it is not asked again.
        """
        self._check, self._again = check, again

    def patiently(self, ask: Callable[[], T]) -> T:
        """Return what a small request gives; a host that says when to ask again is asked again then, some times."""
        for _ in range(_ASKED_AGAIN):
            try:
                return ask()
            except Unreachable as error:
                seconds = float(error.values.get("wait", 0))
                if self._again is None or not 0 < seconds <= _MOST_WAIT:
                    raise
                self._again(error.values["reason"], seconds)
                self._pause(seconds)
        return ask()

    def _pause(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._check()
            time.sleep(min(left, _STEP))

    def stop(self) -> None:
        """End every request that another thread waits for."""
        self._stopped.set()

    def close(self) -> None:
        """Close what is open."""
        self.stop()
        with self._lock:
            for client in self._clients.values():
                client.close()

    def read(
        self, url: str, most: int, headers: Mapping[str, str] | None = None, *, also: tuple[int, ...] = ()
    ) -> Answer:
        """Return an answer that is small enough for memory.

        Args:
            url: where.
            most: bytes; a longer answer is refused.
            headers: besides the connection's.
            also: statuses that are answers too, besides 200 and 206.

        Raises:
            Unreachable: no answer came, or it stopped in the middle.
            Refused: the host says no.
            BadAnswer: the answer is longer, or none of HTTP.
            BadSetting: a setting of this computer is in the way.
        """

        def ask() -> Answer:
            with self.stream(url, headers or {}, also=also) as answer:
                answer.take_all(most)
                return answer

        return self.patiently(ask)

    @contextmanager
    def stream(
        self,
        url: str | Place,
        headers: Mapping[str, str],
        tick: Callable[[], None] | None = None,
        *,
        also: tuple[int, ...] = (),
    ) -> Iterator[Answer]:
        """Give an answer whose content is still on its way.

        Args:
            url: where; `Answer.place` is where it was in the end.
            headers: besides the connection's.
            tick: called about ten times a second while nothing comes; may raise to stop. None: what `on_wait` was given.
            also: statuses that are answers too, besides 200 and 206.

        Raises:
            Unreachable: no answer came; while it is read, that it stopped.
            Refused: the host says no.
            BadAnswer: it is none of HTTP, or redirects to where it must not.
            BadSetting: a setting of this computer is in the way.
        """
        refuse_offline()
        request = _Request(self, url if isinstance(url, Place) else Place(url), headers)
        answer = Answer(request, tick or self._check)
        try:
            answer.begin((*_OK, *also))
            yield answer
        finally:
            request.give_up()

    def headers_for(self, url: httpx2.URL) -> dict[str, str]:
        """Return what a request to an address carries."""
        return self._headers | (self._credentials if origin(str(url)) == self._origin else {})

    def client_for(self, url: httpx2.URL, proxy: Proxy | None) -> httpx2.Client:
        """Return what connects to an address; the certificates are read for the first one that needs them."""
        key = (url.scheme, proxy.url if proxy is not None else "")
        with self._lock:
            if key not in self._clients:
                self._clients[key] = _new_client(url, proxy)
            return self._clients[key]

    @property
    def stopped(self) -> bool:
        """Tell whether `stop` was called."""
        return self._stopped.is_set()


class Answer:
    """An answer: status, headers, content."""

    def __init__(self, request: _Request, tick: Callable[[], None]) -> None:
        self._request = request
        self._tick = tick
        self._response: httpx2.Response
        self.data = b""
        """The content, once `take_all` has read it."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self._response.status_code

    @property
    def place(self) -> Place:
        """Where it comes from, after redirects."""
        return self._request.place

    def header(self, name: str) -> str:
        """Return a header's value, "" where it is missing.

        Raises:
            BadAnswer: it comes several times, so that nobody knows which one counts.
        """
        values = self._response.headers.get_list(name)
        if len(values) > 1:
            raise BadAnswer(
                "{host} answers with several headers {name}; {elsewhere}.",
                host=self._request.host,
                name=name,
                elsewhere=ELSEWHERE,
            )
        return values[0] if values else ""

    def begin(self, accepted: tuple[int, ...]) -> None:
        """Wait for the header."""
        waited = 0.0
        while (item := self._next()) is _NOTHING:
            waited += _STEP
            if waited >= HEAD_SECONDS:
                raise self._request.why_not_connected() or self._stalled(HEAD_SECONDS)
        self._response = item
        if item.status_code not in accepted:
            raise refusal(item, self._request.host, self._request.proxy)
        if self.header("Content-Encoding").lower() not in _ENCODINGS:
            raise BadAnswer(
                "{host} packs its answer in a way that was not asked for; {elsewhere}.",
                host=self._request.host,
                elsewhere=ELSEWHERE,
            )

    def pieces(self) -> Iterator[bytes]:
        """Give the content as it comes.

        Raises:
            Unreachable: it stopped, or comes too slowly to be of use.
        """
        waited, came = 0.0, 0
        while (item := self._next()) is not None:
            if item is not _NOTHING:
                came += len(item)
                LIMIT.take(len(item), self._tick)
                yield item
            waited += self._request.waited
            if waited >= WINDOW_SECONDS:
                if came < WINDOW_BYTES:
                    raise self._stalled(WINDOW_SECONDS)
                waited, came = 0.0, 0

    def take_all(self, most: int) -> None:
        """Read the content into `data`, so many bytes at most and for `ANSWER_SECONDS`."""
        data, end = bytearray(), time.monotonic() + ANSWER_SECONDS
        for piece in self.pieces():
            data += piece
            if len(data) > most:
                raise BadAnswer(
                    "{host} answers with more than {count} kB where less is needed; {elsewhere}.",
                    host=self._request.host,
                    count=-(-most // 1000),
                    elsewhere=ELSEWHERE,
                )
            if time.monotonic() > end:
                raise self._stalled(ANSWER_SECONDS)
        self.data = bytes(data)

    def _next(self) -> Any:
        """Return the header, the next piece, None at the end, or `_NOTHING` where none came for a moment."""
        item = self._request.take()
        if item is _NOTHING:
            self._tick()
        return item

    def _stalled(self, seconds: float) -> Unreachable:
        return Unreachable(
            "{host} answers too slowly: next to nothing came within {seconds} seconds; try again later, or "
            "{elsewhere}.",
            code="stalled",
            reason=Sentence("next to nothing came within {seconds} seconds", seconds=round(seconds)),
            host=self._request.host,
            seconds=round(seconds),
            elsewhere=ELSEWHERE,
        )


_NOTHING = object()


class _GivenUp(Exception):
    """Nobody waits for this request any more."""


class _Request:
    """A request on a thread of its own."""

    def __init__(self, connection: Connection, place: Place, headers: Mapping[str, str]) -> None:
        self._connection = connection
        self._headers = {"Accept-Encoding": "identity", **headers}
        self._items: queue.Queue[Any] = queue.Queue(_QUEUED)
        self._given_up = threading.Event()
        self._socket: socket.socket | None = None
        self._came_from_outside = place.from_outside
        self._phase: Phase = "connecting"
        self._is_new = True
        self._received = 0
        self.waited = 0.0
        """Seconds that the last `take` waited."""
        self.url = place.url
        self.proxy: Proxy | None = None
        threading.Thread(target=self._run, name="hub", daemon=True).start()

    @property
    def place(self) -> Place:
        """The address of the current request."""
        return Place(self.url, self._came_from_outside)

    @property
    def host(self) -> str:
        """The host that is asked now, for sentences."""
        return split_address(self.url).hostname or self.url[:80]

    def take(self) -> Any:
        """Return the response, a piece of its content, None at its end; `_NOTHING` after a moment without any.

        Raises:
            ZhiyinError: it failed.
        """
        if self._connection.stopped:
            raise Cancelled("It was stopped.")
        begin = time.monotonic()
        try:
            item = self._items.get(timeout=_STEP)
        except queue.Empty:
            item = _NOTHING
        self.waited = min(time.monotonic() - begin, 2 * _STEP)  # a computer that slept did not wait
        if isinstance(item, Exception):
            raise explain(item, self.url, self.proxy, self._phase) from item
        return item

    def why_not_connected(self) -> ZhiyinError | None:
        """Return what is wrong where a connection has not come about; None: it has, and its other end is silent."""
        if self._phase != "connecting":
            return None
        unknown = socket.gaierror(socket.EAI_AGAIN, "the name is being looked up")
        silent = TimeoutError(errno.ETIMEDOUT, "no answer")
        return explain(silent if self._is_resolved() else unknown, self.url, self.proxy, self._phase)

    def _is_resolved(self) -> bool:
        """Ask once more for the address that is connected to: looking a name up cannot be heard from outside."""
        url = httpx2.URL(self.url if self.proxy is None else self.proxy.url)
        resolved = threading.Event()

        def look_up() -> None:
            with permitted(), suppress(OSError):
                socket.getaddrinfo(url.host, url.port)
                resolved.set()

        threading.Thread(target=look_up, name="hub", daemon=True).start()
        return resolved.wait(_LOOK_UP_SECONDS)

    def give_up(self) -> None:
        """Let the thread end, whatever it waits for."""
        self._given_up.set()
        if self._socket is not None:
            with suppress(OSError):  # of `socket` itself: a TLS socket's own would take its state from the thread
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def _run(self) -> None:
        with permitted():
            self._ask()

    def _ask(self) -> None:
        try:
            with closing(self._open()) as response:
                self._phase = "reading"
                self._put(response)
                for piece in response.iter_bytes():
                    self._received += len(piece)
                    self._put(piece)
            self._note("done")
            self._socket = None  # it may serve another request now
            self._put(None)
        except _GivenUp:
            self._note("done" if self._phase == "reading" else "failed")
        except Exception as error:  # of four libraries, which raise what they like where a server breaks the rules
            self._note("failed")
            with suppress(_GivenUp):
                self._put(error)

    def _note(self, state: str) -> None:
        """Put the request to the host that is asked now on the list of connections."""
        url = split_address(self.url)  # httpx would raise where it takes no such host: that is said elsewhere
        port = url.port or (443 if url.scheme == "https" else 80)
        note(Contact(url.hostname or "", port, url.path or "/", self._received, state))

    def _put(self, item: Any) -> None:
        while not self._given_up.is_set():
            with suppress(queue.Full):
                self._items.put(item, timeout=_STEP)
                return
        raise _GivenUp

    def _open(self) -> httpx2.Response:
        """Send the request and follow redirects."""
        for _ in range(_MOST_REDIRECTS + 1):
            response = self._send()
            if response.status_code not in _REDIRECTS:
                return response
            with closing(response):
                target = self._target(response)
                if int(response.headers.get("Content-Length", _SHORT_BODY + 1)) <= _SHORT_BODY:
                    response.read()
            self._note("done")
            self.url = target
        raise BadAnswer(
            "{host} redirects more than {count} times; {elsewhere}.",
            host=self.host,
            count=_MOST_REDIRECTS,
            elsewhere=ELSEWHERE,
        )

    def _send(self) -> httpx2.Response:
        url = httpx2.URL(self.url)
        self._phase = "connecting"
        self.proxy = proxy_for(self.url)
        client = self._connection.client_for(url, self.proxy)
        headers = self._connection.headers_for(url) | self._headers
        request = client.build_request("GET", url, headers=headers, extensions={"trace": self._trace})
        self._is_new = False
        try:
            response = client.send(request, stream=True)
        except (httpx2.RemoteProtocolError, httpx2.NetworkError):
            if self._is_new:
                raise
            response = client.send(request, stream=True)  # the host had closed a connection that it kept open until now
        if not self._came_from_outside:
            self._came_from_outside = not self._is_inside(url.host, response.extensions.get("network_stream"))
        return response

    def _is_inside(self, host: str, stream: Any) -> bool:
        """Tell whether an answer comes from this computer or its own network."""
        peer = stream.get_extra_info("server_addr") if self.proxy is None and stream is not None else None
        return _is_local(host) or (peer is not None and _is_local(str(peer[0])))

    def _target(self, response: httpx2.Response) -> str:
        """Return where a redirect leads.

        Raises:
            BadAnswer: nobody should follow it.
        """
        here = httpx2.URL(self.url)
        locations = response.headers.get_list("Location")
        try:
            target = here.join(locations[0]) if len(locations) == 1 and locations[0] else None
        except (httpx2.InvalidURL, ValueError):
            target = None
        if target is None or not is_web_address(f"{target.scheme}://{target.netloc.decode()}"):
            raise BadAnswer("{host} redirects to what is no address; {elsewhere}.", host=here.host, elsewhere=ELSEWHERE)
        if here.scheme == "https" and target.scheme == "http":
            raise BadAnswer(
                "{host} redirects from HTTPS to HTTP, which anybody on the way could change; {elsewhere}.",
                host=here.host,
                elsewhere=ELSEWHERE,
            )
        if self._came_from_outside and _is_local(target.host):
            raise self._leads_inside()
        return str(target.copy_with(userinfo=b"", fragment=None))

    def _leads_inside(self) -> BadAnswer:
        return BadAnswer(
            "{host} redirects into this computer or its network, where no public model is; {elsewhere}.",
            host=self.host,
            elsewhere=ELSEWHERE,
        )

    def _trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Hear what the connection does: it stops between two steps, and reaches no local address by a redirect."""
        if event.endswith(".started") and not event.endswith("closed.started") and self._given_up.is_set():
            raise _GivenUp
        if event.endswith((".connect_tcp.complete", ".start_tls.complete")):
            self._is_new = True
            stream = info["return_value"]
            self._socket = stream.get_extra_info("socket")
            if self._came_from_outside and self._is_inside("", stream):
                stream.close()
                raise self._leads_inside()
        elif event.endswith("send_request_headers.started") and info["request"].method != b"CONNECT":
            self._phase = "waiting"


def _new_client(url: httpx2.URL, proxy: Proxy | None) -> httpx2.Client:
    own_tls = proxy is not None and proxy.url.startswith("https:")
    context = (
        tls_context() if url.scheme == "https" or own_tls else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    )  # trusts nobody
    through = None
    if proxy is not None:
        try:
            through = httpx2.Proxy(proxy.url, ssl_context=context if own_tls else None)
        except (httpx2.InvalidURL, ValueError) as error:
            raise no_address_of_a_proxy(proxy.setting, proxy.url) from error
    return httpx2.Client(
        transport=httpx2.HTTPTransport(verify=context, trust_env=False, proxy=through),
        trust_env=False,
        timeout=httpx2.Timeout(2 * HEAD_SECONDS, connect=_CONNECT_SECONDS),  # ends the thread; who waits is gone then
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
    )


def _is_local(host: str) -> bool:
    """Tell whether a host's name or address is one of this computer or of a private network."""
    if host.rstrip(".").lower().endswith("localhost"):
        return True
    with suppress(OSError, ValueError):
        if ":" not in host:
            host = socket.inet_ntoa(socket.inet_aton(host))  # 127.1 and 0x7f000001 too
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return mapped.is_loopback or mapped.is_link_local or mapped.is_unspecified or any(
        mapped in network for network in _PRIVATE if network.version == mapped.version
    )  # fmt: skip


_PRIVATE = tuple(map(ipaddress.ip_network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")))
"""Not all that `is_private` counts: proxies that answer name queries themselves use 198.18.0.0/15."""
