"""Reads damaged files for hours if need be: every one must end in what it holds or in one clear refusal.

    python -m tests.benchmarks.fuzz_readers [COUNT] [SEED] [KIND ...]

Files are taken apart and damaged in their structure (values of JSON by type, range and depth, fields of protocol buffers, opcodes
of pickles, headers of safetensors and GGUF), and read through the public functions, in a process of its own that may take 1.5 GB.
It counts as a failure when anything but a `ZhiyinError` is raised, when an input takes more than 5 seconds of processor time
(which other programs do not distort) or 400 MB more than before, or when the process dies. Prints, for each kind, how many were
refused, the slowest and the largest; failures are kept as folders `fuzz-KIND-NUMBER`.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import random
import resource
import sys
import tempfile
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

import psutil

from models.errors import ZhiyinError
from tests.support.damaged_files import Kind, kinds

_ADDRESS_SPACE = 1_500_000_000
_LONGEST = 5.0
_ROUND = 100
_LARGEST = 400
"""MB that one input may take."""


@dataclass
class Tally:
    """What became of one kind's inputs."""

    count: int = 0
    refused: int = 0
    slowest: float = 0.0
    largest: int = 0
    """MB."""
    failed: int = 0


def input_of(kind: Kind, name: str, seed: int, number: int) -> dict[str, bytes]:
    return kind.damage(random.Random(f"{seed} {name} {number}"))


def peak_memory() -> int:
    """Return the most memory this process had since the last call, in MB."""
    status = Path("/proc/self/status").read_text()
    peak = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    Path("/proc/self/clear_refs").write_text("5")
    return peak // 1024


def work(pipe: Connection, kind: Kind, name: str, seed: int, numbers: range) -> None:
    """Read the inputs of these numbers, telling each one's beginning and end."""
    room = psutil.Process().memory_info().vms + _ADDRESS_SPACE
    resource.setrlimit(resource.RLIMIT_AS, (room, room))
    for number in numbers:
        pipe.send(number)
        files = input_of(kind, name, seed, number)
        peak_memory()
        before = psutil.Process().memory_info().rss // 2**20
        start = time.process_time()
        refused, error = False, ""
        try:
            kind.smoke_load(files)
        except ZhiyinError as refusal:
            refused = bool(str(refusal))
        except BaseException:
            error = traceback.format_exc()
        pipe.send((refused, error, time.process_time() - start, peak_memory() - before))
    pipe.send(None)


def run(kind: Kind, name: str, seed: int, numbers: range, tally: Tally) -> None:
    """Read the inputs of these numbers of one kind; a process that dies or hangs is replaced."""
    next_number = numbers.start
    context = multiprocessing.get_context("fork")
    while next_number < numbers.stop:
        ours, theirs = context.Pipe()
        left = range(next_number, numbers.stop)
        child = context.Process(target=work, args=(theirs, kind, name, seed, left), daemon=True)
        child.start()
        theirs.close()
        process = psutil.Process(child.pid)
        try:
            while (number := ours.recv()) is not None:
                next_number = number + 1
                begun = sum(process.cpu_times()[:2])
                while not ours.poll(0.5):
                    if sum(process.cpu_times()[:2]) - begun > _LONGEST + 1:
                        child.kill()
                refused, error, seconds, megabytes = ours.recv()
                tally.count += 1
                tally.refused += refused
                tally.slowest, tally.largest = max(tally.slowest, seconds), max(tally.largest, megabytes)
                if error or seconds > _LONGEST or megabytes > _LARGEST:
                    keep(kind, name, seed, number, tally, error or f"{seconds:.1f} s, {megabytes} MB")
        except EOFError:
            tally.count += 1
            keep(
                kind,
                name,
                seed,
                next_number - 1,
                tally,
                f"the process ended ({child.exitcode}): killed after too long, or died",
            )
        finally:
            child.join()
        if number is None:
            break


def keep(kind: Kind, name: str, seed: int, number: int, tally: Tally, reason: str) -> None:
    tally.failed += 1
    if tally.failed > 20:
        return
    folder = Path(f"fuzz-{name.replace(' ', '-')}-{seed}-{number}")
    folder.mkdir(exist_ok=True)
    for file, data in input_of(kind, name, seed, number).items():
        (folder / file).write_bytes(data)
    (folder / "why.txt").write_text(reason)
    print(f"{folder}: {reason.strip().splitlines()[-1][:200]}", flush=True)


def main(count: int = 50_000, seed: int = 0, *names: str) -> int:
    logging.disable()
    with tempfile.TemporaryDirectory() as temporary:
        found = kinds(Path(temporary), names)
        tallies = {name: Tally() for name in found}
        each = -(-count // len(found))
        for start in range(0, each, _ROUND):  # kinds in turn, so that a run that is ended early has tried them all
            for name, kind in found.items():
                run(kind, name, seed, range(start, min(start + _ROUND, each)), tallies[name])
            print(json.dumps(summary(tallies)), flush=True)
    for name, tally in tallies.items():
        print(f"{name}: {tally}")
    return 1 if summary(tallies)["failed"] else 0


def summary(tallies: Mapping[str, Tally]) -> dict[str, float]:
    every = tallies.values()
    return {
        "inputs": sum(tally.count for tally in every),
        "refused": sum(tally.refused for tally in every),
        "failed": sum(tally.failed for tally in every),
        "slowest": round(max(tally.slowest for tally in every), 2),
        "largest": max(tally.largest for tally in every),
    }


if __name__ == "__main__":
    raise SystemExit(main(*map(int, sys.argv[1:3]), *sys.argv[3:]))
