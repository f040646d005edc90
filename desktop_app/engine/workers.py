"""Workers: computers that lend their devices by llama.cpp's RPC protocol, asked by the application before its engine uses them.

ggml ends the engine's process where a worker does not answer as it should. So a worker is asked here first: with limits of time,
by the offline switch's rules, and with a sentence for what is wrong. What it has, and how fast the way to it is, goes to the
planner. Source of the messages: ggml/src/ggml-rpc/ggml-rpc.cpp.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
import time
from collections.abc import Sequence
from contextlib import suppress

from msgspec import Struct

from converter.hub.permission import Contact, in_own_network, is_this_computer, note, permitted, switched_off
from desktop_app.system.link import Link
from models.errors import ZhiyinError
from models.sentence import Sentence
from models.system_reasons import system_reason

DEFAULT_PORT = 50052
"""llama.cpp's own."""
MAJOR = 7
"""Of the protocol: workers and computers that use them need the same."""
_SECONDS = 5.0
_STARTING = 30.0
"""The process that answers is started for each connection."""
_ALLOC, _ALIGNMENT, _SET_TENSOR, _MEMORY, _HELLO, _COUNT = 0, 1, 6, 11, 14, 15
_CAPABILITIES = 24
_TENSOR = struct.Struct("<QIQ4I4Ii16ii10QQQQ64si")
_SAMPLE = 4 << 20
"""Bytes that are sent to measure the way."""
_MOST_DEVICES = 64


class WorkerFailed(ZhiyinError):
    """A worker cannot be used."""

    default_code = "worker"


class Lent(Struct, frozen=True):
    """The devices that a worker lends."""

    devices: int
    link: Link


def read_worker(text: str) -> str:
    """Return a worker's address as HOST:PORT; raises `WorkerFailed`."""
    host, port = split_address(text)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def read_workers(text: str) -> tuple[str, ...]:
    """Return the workers that a text names, with commas or blanks between them; raises `WorkerFailed`."""
    return tuple(map(read_worker, text.replace(",", " ").split()))


def split_address(text: str) -> tuple[str, int]:
    """Return host and port of `HOST:PORT`, `[IPV6]:PORT` or a host alone; raises `WorkerFailed`."""
    text = text.strip()
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]") or (text.count(":") > 1 and not text.startswith("[")):
        host, port = text, str(DEFAULT_PORT)
    host = host.strip("[]")
    if not host or not port.isdigit() or int(port) > 65535 or any(mark in host for mark in " ,/@"):
        raise WorkerFailed("{text!r} is no address of a worker; write it as 192.168.1.5:50052.", text=text[:100])
    return host, int(port)


def ask_workers(workers: Sequence[str]) -> list[Lent]:
    """Ask workers what they lend.

    Args:
        workers: as `read_worker` returns them.

    Raises:
        WorkerFailed: one does not answer, or is of another version.
    """
    return [_ask(worker) for worker in workers]


def _ask(worker: str) -> Lent:
    host, port = split_address(worker)
    if switched_off() and not is_this_computer(host) and not in_own_network(host):
        raise WorkerFailed(
            "Zhiyin is switched to offline, and the worker {worker} is not in a network that you allowed; allow its network "
            "(`zhiyin network --own 192.168.1.0/24`), or switch offline off.",
            code="offline",
            worker=worker,
        )
    state = "failed"
    try:
        with permitted(own_network=True), socket.create_connection((host, port), _SECONDS) as connection:
            lent = _Conversation(worker, connection).lent()
        state = "done"
    except ConnectionRefusedError as error:
        raise _unreachable(worker, Sentence("the connection was refused")) from error
    except TimeoutError as error:
        raise _unreachable(worker, Sentence("it did not answer in time")) from error
    except socket.gaierror as error:
        raise _unreachable(worker, Sentence("its name cannot be resolved")) from error
    except (ConnectionError, EOFError) as error:
        raise _unreachable(worker, Sentence("the connection was closed early")) from error
    except OSError as error:
        raise _unreachable(worker, system_reason(error)) from error
    finally:
        note(Contact(host, port, "worker", 0, state))
    return lent


def _unreachable(worker: str, reason: str | Sentence) -> WorkerFailed:
    return WorkerFailed(
        "The worker {worker} cannot be used ({reason}); look whether `zhiyin worker` runs there and allows this computer.",
        worker=worker,
        reason=reason,
    )


class _Conversation:
    """Questions in ggml's protocol."""

    def __init__(self, worker: str, connection: socket.socket) -> None:
        self._worker, self._connection = worker, connection
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def lent(self) -> Lent:
        """Ask for everything."""
        self._connection.settimeout(_STARTING)
        version = self._answer(_HELLO, bytes(_CAPABILITIES), 4 + _CAPABILITIES)[0]
        if version != MAJOR:
            raise WorkerFailed(
                "The worker {worker} speaks version {version} of llama.cpp's protocol, and this Zhiyin {wanted}; take the same "
                "Zhiyin on both.",
                worker=self._worker,
                version=version,
                wanted=MAJOR,
            )
        self._connection.settimeout(_SECONDS)
        (count,) = struct.unpack("<I", self._answer(_COUNT, b"", 4))
        if not 0 < count <= _MOST_DEVICES:
            raise EOFError
        round_trip = min(self._seconds(self._look_at_memory) for _ in range(3))
        return Lent(count, Link(self._worker, round_trip, self._speed(round_trip)))

    def _look_at_memory(self) -> None:
        self._answer(_MEMORY, struct.pack("<I", 0), 16)

    def _speed(self, round_trip: float) -> float:
        """Send some bytes into a buffer of the worker's first device; return how many go in a second, both ways alike."""
        pointer, size = struct.unpack("<QQ", self._answer(_ALLOC, struct.pack("<IQ", 0, _SAMPLE + 4096), 16))
        if not pointer or size < _SAMPLE:
            return 0.0  # its memory is full: the plan will say so
        base = struct.unpack("<Q", self._answer(3, struct.pack("<Q", pointer), 8))[0]
        tensor = _TENSOR.pack(
            *(1, 0, pointer), *(_SAMPLE // 4, 1, 1, 1), *(4, _SAMPLE, _SAMPLE, _SAMPLE), 0, *(0,) * 16, 0, *(0,) * 10,
            *(0, 0, base), b"", 0,
        )  # fmt: skip

        def send() -> None:
            self._send(_SET_TENSOR, tensor + struct.pack("<Q", 0) + bytes(_SAMPLE))
            self._answer(_ALIGNMENT, struct.pack("<I", 0), 8)

        return _SAMPLE / max(1e-6, self._seconds(send) - round_trip)

    @staticmethod
    def _seconds(work: object) -> float:
        begin = time.perf_counter()
        work()  # type: ignore[operator]
        return time.perf_counter() - begin

    def _send(self, command: int, data: bytes) -> None:
        self._connection.sendall(struct.pack("<BQ", command, len(data)) + data)

    def _answer(self, command: int, data: bytes, size: int) -> bytes:
        self._send(command, data)
        (length,) = struct.unpack("<Q", self._received(8))
        if length != size:
            raise EOFError
        return self._received(size)

    def _received(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self._connection.recv(size - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data


def networks(texts: Sequence[str]) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    """Return the addresses and networks that --allow names; raises `WorkerFailed`."""
    addresses = []
    for text in texts:
        with suppress(ValueError):
            addresses.append(ipaddress.ip_network(text, strict=False))
            continue
        raise WorkerFailed("{text!r} is no address; write it as 192.168.1.7 or 192.168.1.0/24.", text=text)
    return addresses
