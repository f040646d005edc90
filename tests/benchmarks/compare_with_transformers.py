"""Converts what `make_transformers_models` saved, and compares the logits with transformers' own.

    uv run python -m tests.benchmarks.compare_with_transformers FOLDER [TEXT ...]

Prints every model that is refused, with the sentence, or whose logits differ by more than 1e-4 (Gemma: 2e-2, because llama.cpp
takes its activation from a table of 16-bit floats), and how many are right; TEXT chooses models by a part of their names.

One differs: gpt_oss without rope_parameters, by 4.5e-4. Its YaRN has bounds that are no whole numbers there, and llama.cpp rounds
them, as the conversion says; with "truncate" true transformers computes what we do.
"""

from __future__ import annotations

import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from converter.pipeline import ConvertRequest, convert
from desktop_app.engine.client import Engine
from models.errors import ZhiyinError
from tests.data.transformers.weights import IDS
from tests.support.logits import engine_logits

_MOST, _MOST_WITH_TABLE = 1e-4, 2e-2


def main() -> None:
    """Compare and print."""
    folders = [folder for folder in sorted(Path(sys.argv[1]).iterdir()) if (folder / "logits.npy").is_file()]
    chosen = [folder for folder in folders if not sys.argv[2:] or any(text in folder.name for text in sys.argv[2:])]
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as work, Engine() as engine:
        for folder in chosen:
            verdict, detail = _verdict(engine, folder, Path(work))
            counts[verdict] += 1
            if verdict != "right":
                print(f"{folder.name}: {verdict}, {detail}", flush=True)
    print(", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items())))


def _verdict(engine: Engine, folder: Path, work: Path) -> tuple[str, str]:
    try:
        out = convert(ConvertRequest(folder, work / "model.gguf", "F32", tokenizer="none")).path
        found = engine_logits(engine, out, IDS, work / "logits.npy")
    except ZhiyinError as error:
        return "refused", str(error)
    error_ = float(np.abs(found - np.load(folder / "logits.npy")).max())
    most = _MOST_WITH_TABLE if folder.name.startswith("gemma") else _MOST
    return ("right" if error_ < most else "wrong"), f"{error_:.2g}"


if __name__ == "__main__":
    main()
