"""`zhiyin serve` under attack: floods of connections, slow clients, large and malformed requests, while a client is answered.

    uv run python -m tests.benchmarks.attack_server [--connections 10000]

Prints for each attack what the attackers got, the server's memory and open files, and what a well-behaved client got meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import resource
import tempfile
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import psutil

from tests.support.serving import STARTER, Served, open_files, served

CHAT = "/v1/chat/completions"
BODY = {"model": STARTER, "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 2}
SLOW_SECONDS = 45
Attack = Callable[[str, int], Coroutine[Any, Any, str]]


async def answer_of(host: str, port: int, sent: bytes, *, pause: float = 0.0, wait: float = 60.0) -> str:
    """Send bytes, all at once or one at a time; return the status that comes back, "closed", or "open" after `wait`."""
    try:
        reader, writer = await asyncio.open_connection(host, port)
    except OSError:
        return "refused"
    try:
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(writer.close)
            sending = asyncio.ensure_future(send(writer, sent, pause))
            stack.callback(sending.cancel)
            line = await asyncio.wait_for(reader.readline(), wait)
            return line.split()[1].decode() if line.startswith(b"HTTP/") else "closed"
    except asyncio.TimeoutError:
        return "open"
    except OSError:
        return "closed"


async def send(writer: asyncio.StreamWriter, sent: bytes, pause: float) -> None:
    with contextlib.suppress(OSError):
        if not pause:
            writer.write(sent)
        else:
            for byte in sent:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(pause)


async def crowd(host: str, port: int, count: int, sent: bytes, **how: float) -> str:
    found: Counter[str] = Counter()
    for start in range(0, count, 2000):
        size = min(2000, count - start)
        found.update(await asyncio.gather(*(answer_of(host, port, sent, **how) for _ in range(size))))
    return ", ".join(f"{number} {what}" for what, number in found.most_common())


def post(body: bytes, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n".encode() + body


def attacks(connections: int) -> dict[str, Attack]:
    silent = b"GET /v1/models HTTP/1.1\r\n"
    slow = b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 200
    return {
        f"{connections} connections that say nothing": lambda h, p: crowd(h, p, connections, b"", wait=20),
        "200 half headers": lambda h, p: crowd(h, p, 200, silent, wait=SLOW_SECONDS),
        "200 slow loris": lambda h, p: crowd(h, p, 200, slow, pause=0.5, wait=SLOW_SECONDS),
        "200 bodies that never come": lambda h, p: crowd(h, p, 200, post(b"{", 1000), wait=SLOW_SECONDS),
        "50 bodies of 100 MB": lambda h, p: crowd(h, p, 50, post(b"", 100 << 20), wait=SLOW_SECONDS),
        "200 bodies nested 100,000 deep": lambda h, p: crowd(h, p, 200, post(b"[" * 100_000)),
        "200 of no HTTP": lambda h, p: crowd(h, p, 200, b"\x16\x03\x01" * 100),
    }


async def run(server: Served, connections: int) -> None:
    parts = urlsplit(server.address)
    host, port = parts.hostname or "", parts.port or 0
    process = psutil.Process(server.process.pid)
    async with httpx2.AsyncClient(base_url=server.address, timeout=120) as client:
        (await client.post(CHAT, json=BODY)).raise_for_status()
        for name, attack in attacks(connections).items():
            attacking = asyncio.ensure_future(attack(host, port))
            good: Counter[str] = Counter()
            most_files, most_bytes = 0, 0
            while not attacking.done():
                try:
                    good[str((await client.post(CHAT, json=BODY)).status_code)] += 1
                except httpx2.TransportError as error:
                    good[type(error).__name__] += 1
                most_files = max(most_files, open_files(process.pid))
                most_bytes = max(most_bytes, process.memory_info().rss)
                await asyncio.sleep(0.2)
            print(
                f"{name}: {await attacking}; the good client: {dict(good)}; {most_files} files, {most_bytes >> 20} MB"
            )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--connections", type=int, default=10_000)
    given = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65_536), hard))
    with tempfile.TemporaryDirectory() as folder, served(Path(folder), "--ctx", "512") as server:
        asyncio.run(run(server, given.connections))


if __name__ == "__main__":
    main()
