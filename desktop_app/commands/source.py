"""Shared by the commands that take a checkpoint: SOURCE may be a path or a repository of a hub, which is fetched first."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from converter.hub.selection import LOSSLESS_QUANTS, DownloadSelection
from converter.progress import Progress, ProgressListener, Retry
from desktop_app.commands.terminal import ProgressLine, human_bytes, say
from desktop_app.library.hub_tokens import token_at
from desktop_app.paths import downloads_folder, require_storage

if TYPE_CHECKING:
    from converter.hub.request import Download

CHECKPOINT = DownloadSelection(LOSSLESS_QUANTS)
"""What can be converted."""


def add_hub_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options of a repository."""
    parser.add_argument("--revision", default="", metavar="R", help="a branch, tag or commit of the repository")
    parser.add_argument(
        "--endpoint", default="", metavar="URL", help="a mirror, or https://modelscope.cn (also HF_ENDPOINT)"
    )


def fetch(arguments: argparse.Namespace, repository: str, selection: DownloadSelection = CHECKPOINT) -> Download:
    """Fetch a repository with a progress line on stderr.

    Args:
        arguments: with `revision` and `endpoint`.
        repository: ORG/NAME, or ORG/NAME/FILE; with "modelscope:" in front, on ModelScope.
        selection: what to take of several things.
    """
    # The library for the Hub takes a third of a second to import; converting a folder does without.
    from converter.hub.repository import download
    from converter.hub.request import DownloadRequest

    request = DownloadRequest(
        repository, downloads_folder(), arguments.revision, arguments.endpoint, selection, kept_token=token_at
    )
    require_storage()
    line = ProgressLine()
    try:
        done = download(request, lambda progress: show_progress(line, progress, "files"))
    finally:
        line.clear()
    say_fetched(done)
    return done


@contextmanager
def saying_silence() -> Iterator[ProgressListener]:
    """Draw a line as long as a host says nothing before there is anything to fetch."""
    line = ProgressLine()
    try:
        yield lambda progress: show_progress(line, progress, "files")
    finally:
        line.clear()


def say_fetched(done: Download) -> None:
    """Say where a repository is now."""
    if done.made is not None:
        say(f"{done.made} was converted from {done.repository} before; nothing had to be fetched.")
        return
    how = f"{human_bytes(done.fetched)} fetched" if done.fetched else "nothing had to be fetched"
    say(f"{done.repository} is in {done.folder} ({how}).")


def local_path(arguments: argparse.Namespace, given: str) -> Path:
    """Return the path of what was given, fetched first if it names a repository."""
    if "/" not in given or Path(given).exists():
        return Path(given)
    from converter.hub.repository import is_repository

    return fetch(arguments, given).source if is_repository(given) else Path(given)


def show_progress(line: ProgressLine, progress: Progress, items: str) -> None:
    """Draw how far a download or a conversion is."""
    if progress.retry is not None:
        line.show(progress.bytes_done / max(1, progress.bytes_total), _retry_words(progress.retry))
        return
    if not progress.bytes_total:
        line.show(0, "the host says nothing yet")
        return
    left = f", {progress.seconds_left:.0f} s left" if progress.seconds_left is not None else ""
    resumed = progress.resumed and progress.phase == "downloading"
    done = f"{human_bytes(progress.bytes_left)} left" if resumed else human_bytes(progress.bytes_done)
    words = [f"{done} of {human_bytes(progress.bytes_total)}", f"{progress.items_done}/{progress.items_total} {items}"]
    if progress.mirror:
        words.append(f"from {progress.mirror}")
    if progress.stalled:
        words.insert(0, "nothing comes now")  # in front, where a narrow terminal cuts nothing
    else:
        words.append(f"{human_bytes(progress.bytes_per_second)}/s{left}")
    line.show(progress.bytes_done / max(1, progress.bytes_total), ", ".join(words))


def _retry_words(retry: Retry) -> str:
    at = time.strftime("%H:%M:%S", time.localtime(retry.at))
    return f"{retry.reason}: trying again at {at}"
