"""Clients that leave half-way: what they asked for is stopped, and the next one is answered."""

from __future__ import annotations

import time
from collections.abc import Iterator

import anyio
import httpx2
import psutil
import pytest

from tests.support.serving import STARTER, Served, served

ENDLESS = {
    "model": STARTER,
    "messages": [{"role": "user", "content": "Count for ever."}],
    "max_tokens": 7000,
    "temperature": 0,
}
BRIEF = ENDLESS | {"max_tokens": 2}
NO_END = {"logit_bias": {"2": -100, "0": -100}}
"""SmolLM2's end tokens: a reply goes on until it is stopped."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("served"), "--parallel", "2", "--ctx", "8192") as running:
        yield running


def wait_until_idle(server: Served) -> None:
    """Wait until the engine computes nothing any more; a sequence that was left behind would keep it busy for minutes."""
    family = psutil.Process(server.process.pid).children(recursive=True)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        before = sum(sum(process.cpu_times()[:2]) for process in family)
        time.sleep(0.5)
        if sum(sum(process.cpu_times()[:2]) for process in family) - before < 0.05:
            return
    pytest.fail("the engine computes for clients that left")


@pytest.mark.parametrize("stream", [False, True])
def test_what_nobody_waits_for_is_stopped(server: Served, stream: bool) -> None:
    url = f"{server.address}/v1/chat/completions"
    assert httpx2.post(url, json=BRIEF, timeout=120).status_code == 200
    with httpx2.Client() as client:
        for _ in range(6):  # more than there are sequences: some leave while they wait
            with pytest.raises(httpx2.TimeoutException):
                if stream:
                    with client.stream("POST", url, json=ENDLESS | NO_END | {"stream": True}, timeout=60) as answer:
                        for _ in answer.iter_lines():
                            raise httpx2.ReadTimeout("enough")
                else:
                    client.post(url, json=ENDLESS | NO_END, timeout=0.3)
    assert httpx2.post(url, json=BRIEF, timeout=120).json()["usage"]["completion_tokens"] <= 2
    wait_until_idle(server)


MESSAGES = [{"role": "user", "content": "Count for ever."}]
ASKED: list[tuple[str, dict[str, object]]] = [
    ("/v1/chat/completions", ENDLESS | NO_END | {"stream": True}),
    ("/v1/chat/completions", ENDLESS | NO_END),
    ("/v1/completions", {"model": STARTER, "prompt": "One, two,", "max_tokens": 7000, "stream": True} | NO_END),
    ("/v1/messages", {"model": STARTER, "messages": MESSAGES, "max_tokens": 7000, "stream": True}),
    ("/v1/responses", {"model": STARTER, "input": "Count for ever.", "max_output_tokens": 7000, "stream": True}),
    ("/api/chat", {"model": STARTER, "messages": MESSAGES, "options": {"num_predict": 7000}}),
]


async def leave(server: Served, count: int) -> None:
    """Let clients ask in all protocols, 50 at once, and leave before, at or after their first words."""

    async def one(client: httpx2.AsyncClient, number: int) -> None:
        path, body = ASKED[number % len(ASKED)]
        with anyio.move_on_after(0.02 + 0.04 * (number % 17)):
            async with client.stream("POST", path, json=body) as answer:
                async for _ in answer.aiter_bytes():
                    pass

    limits = httpx2.Limits(max_connections=50, max_keepalive_connections=0)
    async with httpx2.AsyncClient(base_url=server.address, timeout=120, limits=limits) as client:
        for start in range(0, count, 50):
            async with anyio.create_task_group() as tasks:
                for number in range(start, min(start + 50, count)):
                    tasks.start_soon(one, client, number)


@pytest.mark.parametrize("count", [pytest.param(1000, marks=pytest.mark.slow), 12])
def test_those_who_leave_leave_nothing_behind(server: Served, count: int) -> None:
    url = f"{server.address}/v1/chat/completions"
    assert httpx2.post(url, json=BRIEF, timeout=120).status_code == 200
    anyio.run(leave, server, min(count, 50))  # what is made once is made
    wait_until_idle(server)
    before = held(server)
    anyio.run(leave, server, count)
    assert httpx2.post(url, json=BRIEF, timeout=300).json()["usage"]["completion_tokens"] <= 2
    wait_until_idle(server)
    after = held(server)
    assert after[0] <= before[0] + 5  # sockets and pipes
    assert after[1] <= before[1] + 10  # threads
    assert after[2] <= before[2] + (64 << 20)  # bytes


def held(server: Served) -> tuple[int, int, int]:
    """Return how many files and threads the server and its engine have, and how much memory."""
    process = psutil.Process(server.process.pid)
    family = [process, *process.children(recursive=True)]
    return (
        sum(one.num_fds() for one in family),
        sum(one.num_threads() for one in family),
        sum(one.memory_info().rss for one in family),
    )


def test_a_killed_engine_is_said_and_comes_back(server: Served) -> None:
    url = f"{server.address}/v1/chat/completions"
    assert httpx2.post(url, json=BRIEF, timeout=120).status_code == 200
    with httpx2.stream("POST", url, json=ENDLESS | NO_END | {"stream": True}, timeout=60) as answer:
        lines = answer.iter_lines()
        next(lines)
        for process in psutil.Process(server.process.pid).children(recursive=True):
            process.kill()
        rest = "".join(lines)
    assert "error" in rest
    assert "[DONE]" not in rest
    assert httpx2.post(url, json=BRIEF, timeout=120).status_code == 200
