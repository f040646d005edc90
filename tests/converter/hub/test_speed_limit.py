"""The limit of speed: one allowance for all connections, heard of while a download is under way."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from converter.hub import connection
from converter.hub.repository import download
from converter.hub.request import DownloadRequest
from converter.hub.speed_limit import SpeedLimit
from desktop_app.network import bytes_per_second
from desktop_app.paths import settings_file
from desktop_app.settings import Settings, save_settings
from models.errors import Cancelled
from tests.support.hub_server import HubServer, Repository


class Clock:
    """Time that passes by sleeping alone."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limit(clock: Clock) -> SpeedLimit:
    return SpeedLimit(clock, clock.sleep)


def nothing() -> None:
    pass


def test_all_connections_together_keep_to_the_limit(clock: Clock, limit: SpeedLimit) -> None:
    limit.follow(lambda: 1000.0)
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: limit.take(100, nothing), range(60)))
    assert clock.now - 100 >= (60 * 100 - 500) / 1000 - 0.2


def test_what_rounding_leaves_is_waited_for_once(clock: Clock, limit: SpeedLimit) -> None:
    """Waits too short to move the clock never ended."""
    clock.now = 1e9
    limit.follow(lambda: 1000.0)
    waits = 0

    def count() -> None:
        nonlocal waits
        waits += 1
        assert waits < 1000

    for size in (1, 3, 7, 100, 333):
        limit.take(size, count)
        limit._there -= 1e-9


def test_without_a_limit_nobody_waits_and_a_new_one_counts_soon(clock: Clock, limit: SpeedLimit) -> None:
    chosen = [0.0]
    limit.follow(lambda: chosen[0])
    limit.take(10**9, nothing)
    assert clock.now == 100
    chosen[0] = 1000.0
    clock.now += 2
    for _ in range(5):
        limit.take(1000, nothing)
    assert 102 + 3.5 <= clock.now <= 102 + 6
    limit.take(10**6, lambda: chosen.__setitem__(0, 0.0))
    assert clock.now < 112, "who waits goes on when the limit is taken away"


def test_who_waits_can_be_stopped(limit: SpeedLimit) -> None:
    limit.follow(lambda: 1.0)
    limit.take(1, nothing)

    def stop() -> None:
        raise Cancelled("It was stopped.")

    with pytest.raises(Cancelled):
        limit.take(10**6, stop)


def test_a_download_keeps_to_it(
    tmp_path: Path, clock: Clock, limit: SpeedLimit, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit.follow(lambda: 100_000.0)
    monkeypatch.setattr(connection, "LIMIT", limit)
    with HubServer({"a/tea": Repository({"main": {"m-Q8_0.gguf": b"x" * 700_000}})}) as server:
        done = download(DownloadRequest("a/tea", tmp_path, endpoint=server.endpoint))
    assert done.fetched == 700_000
    assert clock.now - 100 >= 6


def test_the_limit_is_the_settings(data_home: Path) -> None:
    assert bytes_per_second() == 0
    save_settings(Settings(download_limit=8), settings_file())
    assert bytes_per_second() == 1_000_000
