"""Clients that leave half-way: what they asked for is stopped, and the next one is answered."""

from __future__ import annotations

import time
from collections.abc import Iterator

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
