"""Converts what `make_peft_adapters` made, merged and as files of their own, and compares the logits with PEFT's own.

    uv run python -m tests.benchmarks.compare_with_peft FOLDER [TEXT ...]

Prints every adapter that is not right, and how many are right, refused by name, or neither. Right is: within 1e-4 of PEFT's own
merge, or of its forward pass where PEFT's merge differs from that or does not work (which is said); Gemma 5e-2, because llama.cpp
takes its activation from a table of 16-bit floats. Refused by name: the sentence has the method or the option.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

from converter.pipeline import ConvertRequest, convert
from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import AdapterUse
from models.errors import ZhiyinError
from tests.data.transformers.weights import IDS
from tests.support.logits import engine_logits

_MOST, _MOST_WITH_TABLE = 1e-4, 5e-2
_SAYS_WHY = "llama.cpp cannot apply"


def main() -> None:
    """Compare and print."""
    root = Path(sys.argv[1])
    counts = compare(root, sys.argv[2:])
    print(", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items())))


def compare(root: Path, only: list[str]) -> Counter[str]:
    """Compare what is in a folder, print what is not right, and count the verdicts."""
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as work, Engine() as engine:
        for folder in sorted((root / "adapters").iterdir()):
            if only and not any(text in folder.name for text in only):
                continue
            for way, as_adapter in (("merged", False), ("as adapter", True)):
                verdict, detail = _verdict(engine, root, folder, Path(work), as_adapter=as_adapter)
                counts[f"{way}: {verdict}"] += 1
                if verdict != "right":
                    print(f"{folder.name}, {way}: {verdict}, {detail}", flush=True)
    return counts


def _verdict(engine: Engine, root: Path, folder: Path, work: Path, *, as_adapter: bool) -> tuple[str, str]:
    case = json.loads((folder / "case.json").read_text("utf-8"))
    base = root / "bases" / case["base"]
    try:
        made = _convert(base, work / "made.gguf", folder, as_adapter=as_adapter)
        model = _convert(base, work / "base.gguf") if as_adapter else made
        use = (AdapterUse(made),) if as_adapter else ()
        found = engine_logits(engine, model, IDS, work / "logits.npy", *use)
    except ZhiyinError as error:
        sentence = str(error).replace(str(folder), "")
        named = any(word in sentence for word in case["words"]) or (as_adapter and _SAYS_WHY in sentence)
        return "refused by name" if named else "refused without a name", sentence
    most = _MOST_WITH_TABLE if case["base"].startswith("gemma") else _MOST
    errors = {name: _error(found, folder / f"{name}.npy") for name in ("merged", "forward")}
    if errors["merged"] < most:
        return "right", ""
    return ("as the forward pass" if errors["forward"] < most else "wrong"), str(errors)


def _convert(base: Path, out: Path, *lora: Path, as_adapter: bool = False) -> Path:
    return convert(ConvertRequest(base, out, "F32", tokenizer="none", lora=lora, as_adapter=as_adapter)).path


def _error(found: np.ndarray, path: Path) -> float:
    return float(np.abs(found - np.load(path)).max()) if path.is_file() else float("inf")


if __name__ == "__main__":
    main()
