"""Workers for tests: the engine part `rpc`, and `zhiyin worker` in network namespaces, each a computer of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from desktop_app.engine.parts.store import part_store
from tests.support.commands import without_display

ROOT = Path(__file__).parents[2]
PORT = 50052


def add_rpc_part() -> None:
    """Add the part that `packaging/engine/build.py rpc` made, or that ZHIYIN_RPC_PART names; or skip."""
    named = os.environ.get("ZHIYIN_RPC_PART")
    found = [Path(named)] if named else sorted((ROOT / "dist" / "engine").glob("zhiyin-engine-rpc-*.zip"))
    if not found:
        pytest.skip("no engine part rpc: packaging/engine/build.py rpc makes it")
    part_store().add(found[-1], unsigned=True)


@contextmanager
def worker(*options: str, namespace: str = "") -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Run `zhiyin worker`; give its address and its process."""
    inside = ("ip", "netns", "exec", namespace) if namespace else ()
    process = subprocess.Popen(
        [*inside, sys.executable, "-m", "desktop_app.cli", "worker", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=without_display(),
        cwd=ROOT,
    )
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip(), process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def namespaces(count: int) -> Iterator[list[tuple[str, str, str]]]:
    """Make computers of their own; give of each its name, its address, and ours as it sees us."""
    made: list[tuple[str, str, str]] = []
    try:
        for number in range(count):
            name, ours, theirs = f"zhiyin{os.getpid()}w{number}", f"zyo{number}", f"zyt{number}"
            here, there = f"10.213.{number}.1", f"10.213.{number}.2"
            for command in (
                f"ip netns add {name}",
                f"ip link add {ours} type veth peer name {theirs} netns {name}",
                f"ip addr add {here}/24 dev {ours}",
                f"ip link set {ours} up",
                f"ip -n {name} addr add {there}/24 dev {theirs}",
                f"ip -n {name} link set {theirs} up",
                f"ip -n {name} link set lo up",
            ):
                try:
                    subprocess.run(command.split(), check=True, capture_output=True)
                except (OSError, subprocess.CalledProcessError):
                    pytest.skip("network namespaces cannot be made here")
            made.append((name, there, here))
        yield made
    finally:
        for number in range(count):
            subprocess.run(["ip", "netns", "del", f"zhiyin{os.getpid()}w{number}"], check=False, capture_output=True)
            subprocess.run(["ip", "link", "del", f"zyo{number}"], check=False, capture_output=True)
