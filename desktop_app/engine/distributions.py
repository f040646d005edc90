"""Next-token distributions of a reference model in a file, and how far another model's are from them.

Definitions: tools/perplexity of llama.cpp (`--kl-divergence`), whose figures these are. It stores a logarithm of probability in
16 bits on a scale that ends 16 below the row's largest one, and leaves out of the divergence what is less probable than exp(-16).
Here those entries are not stored either, which gives the same figures.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO

import numpy as np

from converter.atomic_write import write_file
from desktop_app.engine.measuring import check_finite
from desktop_app.engine.results import Divergences
from desktop_app.engine.runner import Runner
from models.errors import BadFile
from models.system_errors import cannot_write

_STEPS = 65535
_RANGE = np.float32(16)
_KEYS = ("ids", "start", "vocabulary", "scale", "floor", "targets", "ends", "mask", "values")


def write_reference(runner: Runner, ids: Sequence[int], start: int, path: Path) -> None:
    """Write the distributions after ids[start], ids[start + 1] … but the last one.

    Raises:
        BadFile: the file cannot be written.
        ZhiyinError: the model computes NaN or infinity.
    """
    rows: list[Mapping[str, np.ndarray]] = []
    for logits, targets in _blocks(runner, ids, start):
        rows.append(_packed(logits, targets))
    joined = {key: np.concatenate([row[key] for row in rows]) for key in rows[0]}
    arrays = {
        "ids": np.array(ids, np.int32),
        "start": np.array(start, np.int64),
        "vocabulary": np.array(runner.info.vocabulary_size, np.int64),
        "ends": np.cumsum(joined.pop("counts"), dtype=np.int64),
        **joined,
    }

    def write(file: BinaryIO) -> None:
        np.savez(file, **arrays)  # type: ignore[arg-type]

    try:
        write_file(path, write)
    except OSError as error:
        raise cannot_write(path, error) from error


def compare(runner: Runner, ids: Sequence[int], start: int, path: Path) -> Divergences:
    """Return how far the loaded model is from what `write_reference` wrote for the same ids.

    Raises:
        BadFile: the file is damaged, or of other ids or another vocabulary.
        ZhiyinError: the model computes NaN or infinity.
    """
    reference = _read(path, ids, start, runner.info.vocabulary_size)
    divergences = Divergences([], [], [], [])
    for logits, targets in _blocks(runner, ids, start):
        _compare_block(logits, targets, reference, divergences)
    return divergences


def _blocks(runner: Runner, ids: Sequence[int], start: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield float32 [some, vocabulary], finite, and the token that follows each row."""
    at = start + 1
    for logits in runner.logit_blocks(ids, start):
        targets = np.array(ids[at : at + len(logits)], np.int64)
        check_finite(runner, logits.max(axis=1))
        if len(targets):  # the last row predicts what is not there
            yield logits[: len(targets)], targets
        at += len(logits)


def _packed(logits: np.ndarray, targets: np.ndarray) -> dict[str, np.ndarray]:
    """Return rows as llama.cpp rounds them, without the entries that its divergence leaves out."""
    rows = np.arange(len(logits))
    largest = logits.max(axis=1, keepdims=True)
    least = np.maximum(logits.min(axis=1, keepdims=True), largest - _RANGE)
    total = np.log(np.exp(logits - largest).sum(axis=1, dtype=np.float64)).astype(np.float32)[:, None]
    floor = least - largest - total
    scale = (largest - least) / np.float32(_STEPS)
    steps = np.rint(np.maximum(logits - least, 0) / np.where(scale > 0, scale, 1)).astype(np.uint16)
    mask = steps * scale + floor > -_RANGE
    return {
        "scale": scale[:, 0],
        "floor": floor[:, 0],
        "targets": steps[rows, targets],
        "counts": mask.sum(axis=1),
        "mask": np.packbits(mask, axis=1),
        "values": steps[mask],
    }


def _compare_block(
    logits: np.ndarray, targets: np.ndarray, reference: Mapping[str, np.ndarray], divergences: Divergences
) -> None:
    largest = logits.max(axis=1, keepdims=True)
    totals = np.log(np.exp(logits - largest).sum(axis=1, dtype=np.float64)).astype(np.float32) + largest[:, 0]
    tops = logits.argmax(axis=1)
    first = len(divergences.losses)
    for row, (values, target) in enumerate(zip(logits, targets, strict=True)):
        place = first + row
        begin, end = reference["bounds"][place], reference["bounds"][place + 1]
        entries = np.flatnonzero(np.unpackbits(reference["mask"][place], count=len(values)))
        expected = reference["values"][begin:end] * reference["scale"][place] + reference["floor"][place]
        terms = np.exp(expected) * (expected - values[entries] + totals[row])
        divergences.losses.append(float(totals[row] - values[target]))
        step = np.float32(reference["targets"][place])
        divergences.reference_losses.append(-float(step * reference["scale"][place] + reference["floor"][place]))
        divergences.divergences.append(float(terms.sum(dtype=np.float64)))
        divergences.same_top.append(bool(len(entries)) and bool(entries[expected.argmax()] == tops[row]))


def _read(path: Path, ids: Sequence[int], start: int, vocabulary: int) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:  # zip's checksums tell damage
            arrays = {key: file[key] for key in _KEYS}
        is_complete = _is_whole(arrays, ids, start, vocabulary)
    except Exception as error:  # what NumPy and zipfile raise over damaged files has no common kind
        raise _damaged(path) from error
    if not is_complete:
        raise _damaged(path)
    arrays["bounds"] = np.concatenate([[0], arrays["ends"]])
    return arrays


def _is_whole(arrays: Mapping[str, np.ndarray], ids: Sequence[int], start: int, vocabulary: int) -> bool:
    rows = len(ids) - 1 - start
    counts = np.unpackbits(arrays["mask"], axis=1).sum(axis=1)
    ends = arrays["ends"].tolist()
    return (
        arrays["ids"].tolist() == list(ids)
        and (int(arrays["start"]), int(arrays["vocabulary"])) == (start, vocabulary)
        and arrays["mask"].shape == (rows, -(-vocabulary // 8))
        and all(arrays[key].shape == (rows,) for key in ("scale", "floor", "targets", "ends"))
        and [end - begin for begin, end in pairwise([0, *ends])] == counts.tolist()
        and len(arrays["values"]) == ends[-1]
    )


def _damaged(path: Path) -> BadFile:
    return BadFile(
        "{path} does not hold the reference's distributions for this text; delete it and measure again.", path=path
    )
