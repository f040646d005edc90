"""`zhiyin serve` under load, beside llama-server in the same run: tokens per second, mixed-up answers, clients that leave.

    uv run python -m tests.benchmarks.bench_server [--peer PATH/llama-server] [--requests 200] [--slots 4]

Both serve the starter model with the same slots, context and threads, one after the other for each number of clients. An answer
belongs to its prompt when it is the one of a run alone (greedy); where batches round otherwise it may differ, which is counted.
llama-server comes from the sources in the llama-cpp-python sdist:

    cmake -G Ninja -S vendor/llama.cpp -B build -DBUILD_SHARED_LIBS=OFF -DLLAMA_CURL=OFF && ninja -C build llama-server
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import httpx2
import psutil

from desktop_app.engine.backends import has_working_repack
from desktop_app.library.installed import Library
from desktop_app.system.threads import usual_threads
from tests.support.serving import STARTER, served

CLIENTS = (1, 4, 16, 64)
CONTEXT = 8192
TOKENS = 48
LEAVING = 1000
LONG_PROMPT = 4000
TOPICS = ("rain", "bread", "the moon", "a bridge", "an old map", "bees", "a train", "winter", "salt", "a letter")


@dataclass(frozen=True)
class Server:
    """One that is measured."""

    name: str
    address: str
    pid: int


def prompts(count: int) -> list[str]:
    draw = random.Random(1)
    return [
        f"Tell me about {draw.choice(TOPICS)} and {draw.choice(TOPICS)} in {number} words." for number in range(count)
    ]


async def answer(client: httpx2.AsyncClient, prompt: str, tokens: int = TOKENS) -> tuple[str, int]:
    body = {
        "model": STARTER,
        "messages": [{"role": "user", "content": prompt}],
        "temperature": 0,
        "max_tokens": tokens,
    }
    reply = (await client.post("/v1/chat/completions", json=body)).json()
    return reply["choices"][0]["message"]["content"], reply["usage"]["completion_tokens"]


async def pieces(client: httpx2.AsyncClient, prompt: str, tokens: int) -> AsyncIterator[str]:
    body = {
        "model": STARTER,
        "messages": [{"role": "user", "content": prompt}],
        "temperature": 0,
        "max_tokens": tokens,
        "stream": True,
    }
    async with client.stream("POST", "/v1/chat/completions", json=body) as stream:
        async for line in stream.aiter_lines():
            if line.startswith("data: {"):
                delta = json.loads(line[6:])["choices"][0]["delta"]
                if delta.get("content"):
                    yield delta["content"]


def connected(server: Server, most: int) -> httpx2.AsyncClient:
    limits = httpx2.Limits(max_connections=most, max_keepalive_connections=most)
    return httpx2.AsyncClient(base_url=server.address, timeout=600, limits=limits)


async def load(server: Server, clients: int, asked: list[str]) -> tuple[float, float, list[str]]:
    """Return the seconds for all answers, the tokens per second, and the answers in the order of their prompts."""
    waiting = list(enumerate(asked))
    found: dict[int, tuple[str, int]] = {}

    async def ask(client: httpx2.AsyncClient) -> None:
        while waiting:
            number, prompt = waiting.pop(0)
            found[number] = await answer(client, prompt)

    async with connected(server, clients) as client:
        start = time.perf_counter()
        await asyncio.gather(*(ask(client) for _ in range(clients)))
        seconds = time.perf_counter() - start
    assert len(found) == len(asked), "a request was lost"
    tokens = sum(tokens for _, tokens in found.values())
    return seconds, tokens / seconds, [found[n][0] for n in range(len(asked))]


async def gaps(server: Server, *, beside: bool) -> list[float]:
    """Return the seconds between pieces of a running reply, while a long prompt arrives or while nothing else happens."""
    async with connected(server, 4) as client:
        running = pieces(client, "Tell me a very long story.", 200)
        await anext(running)
        other = asyncio.ensure_future(answer(client, "word " * LONG_PROMPT, 1)) if beside else None
        found, last = [], time.perf_counter()
        async for _ in running:
            now = time.perf_counter()
            found.append(now - last)
            last = now
            if other is not None and other.done():
                break
        if other is not None:
            await other
    return found


async def leave(server: Server, count: int) -> None:
    """Let clients ask and leave half-way, some before and some after the first piece."""

    async def one(client: httpx2.AsyncClient, number: int) -> None:
        try:
            with anyio.fail_after(0.05 * (number % 20) + 0.02):
                async for _ in pieces(client, f"Count to {number}.", 400):
                    pass
        except TimeoutError:
            pass

    async with connected(server, 64) as client:
        for start in range(0, count, 50):
            await asyncio.gather(*(one(client, number) for number in range(start, min(start + 50, count))))


def busy_seconds(pid: int, seconds: float) -> float:
    """Return the processor time that a process and its children take in some seconds."""
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]

    def used() -> float:
        return sum(sum(process.cpu_times()[:2]) for process in family if process.is_running())

    before = used()
    time.sleep(seconds)
    return used() - before


@contextmanager
def ours(home: Path, slots: int) -> Iterator[Server]:
    options = ("--ctx", str(CONTEXT), "--parallel", str(slots), "--threads", str(usual_threads()), "--idle", "0")
    with served(home, *options, "-m", STARTER) as running:
        yield Server("zhiyin serve", running.address, running.process.pid)


@contextmanager
def theirs(peer: Path, slots: int) -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as folder:
        starter = Library(Path(folder)).starter()
        assert starter is not None
        port = 18484
        command = [peer, "-m", starter.path, "-c", CONTEXT * slots, "-np", slots, "-t", usual_threads(), "--port", port]
        log = Path(folder, "log")
        with log.open("w") as written:
            process = subprocess.Popen(
                [*map(str, command), "--no-webui", *without_repack()], stdout=written, stderr=written
            )
        address = f"http://127.0.0.1:{port}"
        try:
            while True:
                assert process.poll() is None, log.read_text()[-1000:]
                try:
                    if httpx2.get(f"{address}/health").status_code == 200:
                        break
                except httpx2.TransportError:
                    pass
                time.sleep(0.2)
            yield Server("llama-server", address, process.pid)
        finally:
            process.terminate()
            process.wait()


def without_repack() -> list[str]:
    """Return the option without which llama.cpp crashes on this processor; our engine goes without repacking, too."""
    return [] if has_working_repack() else ["--no-repack"]


def percentile(values: list[float], part: float) -> float:
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


async def measure(servers: list[Server], requests: int) -> None:
    asked = prompts(requests)
    alone: dict[str, list[str]] = {}
    for clients in CLIENTS:
        seconds: dict[str, float] = {}
        for server in servers:
            seconds[server.name], rate, answers = await load(server, clients, asked)
            alone.setdefault(server.name, answers)
            others = set(alone[server.name])
            differ = [n for n, text in enumerate(answers) if text != alone[server.name][n]]
            mixed = [n for n in differ if answers[n] in others - {alone[server.name][n]}]
            print(
                f"{server.name:13} {clients:3} clients {rate:7.1f} tokens/s; {len(differ)} of {requests} answers "
                f"round otherwise than alone, {len(mixed)} are another prompt's"
            )
        if len(servers) == 2:
            ratio = (
                seconds[servers[1].name] / seconds[servers[0].name]
            )  # llama-server counts the end of a reply as a token
            print(f"              {clients:3} clients ratio {ratio:.2f}")


async def measure_waiting(server: Server) -> None:
    quiet, beside = await gaps(server, beside=False), await gaps(server, beside=True)
    ratio = percentile(beside, 0.95) / percentile(quiet, 0.95)
    print(
        f"{server.name:13} next piece of a running reply: quiet {1000 * percentile(quiet, 0.95):.0f} ms, beside a prompt of "
        f"{LONG_PROMPT} words {1000 * percentile(beside, 0.95):.0f} ms (95th percentile; {ratio:.2f} times, of {len(beside)})"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--peer", type=Path)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--slots", type=int, default=4)
    parser.add_argument("--leaving", type=int, default=LEAVING)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, ours(Path(folder), given.slots) as own:
        peers: Any = theirs(given.peer, given.slots) if given.peer else None
        servers = [own, peers.__enter__()] if peers else [own]
        try:
            asyncio.run(measure(servers, given.requests))
            for server in servers:
                asyncio.run(measure_waiting(server))
            before = psutil.Process(own.pid).children(recursive=True)
            held = [sum(p.memory_info().rss for p in before) / 1e6]
            asyncio.run(leave(own, given.leaving))
            time.sleep(1)
            held.append(sum(p.memory_info().rss for p in before) / 1e6)
            print(
                f"{given.leaving} clients that left: {busy_seconds(own.pid, 2):.2f} s of processor time in the next 2 s"
            )
            print(f"memory of the engine before and after: {held[0]:.0f} and {held[1]:.0f} MB")
            print(f"median of 5 answers afterwards: {statistics.median(after(own) for _ in range(5)):.2f} s")
        finally:
            if peers:
                peers.__exit__(None, None, None)


def after(server: Server) -> float:
    start = time.perf_counter()

    async def ask() -> None:
        async with connected(server, 1) as client:
            await answer(client, "Hi", 4)

    asyncio.run(ask())
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
