"""The time of an importance matrix against llama.cpp's own tool: `python -m tests.benchmarks.bench_imatrix MODEL LLAMA_IMATRIX`.

Both read the same text in chunks of 512 tokens, one chunk in a batch, collect the head's inputs too, and compute no perplexity.
They take turns (ours, theirs, theirs, ours) on a computer that does nothing else; processor time stands beside wall time, because
another program disturbs it less. What starting takes, the loading of the model included, is measured with a text of two chunks
and given apart: `zhiyin imatrix` starts Python and an engine process. Build llama-imatrix from the sources inside the
llama-cpp-python sdist, so that both have the same version:

    cmake -S vendor/llama.cpp -B build -DCMAKE_BUILD_TYPE=Release -DLLAMA_CURL=OFF
    cmake --build build --target llama-imatrix
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from statistics import median

from converter.importance import read_importance
from desktop_app.system.threads import usual_threads
from tests.benchmarks.bench_convert import Cost, measured

_TEXTS = Path(__file__).parents[2] / "resources" / "texts"
_CONTEXT = 512
_SHORT = 8000
"""Characters that are two chunks in any language of ours."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("peer", type=Path, metavar="LLAMA_IMATRIX")
    parser.add_argument("--rounds", type=int, default=2, help="of four runs each")
    parser.add_argument("--repeat", type=int, default=4, help="times our calibration text is read")
    arguments = parser.parse_args()
    prose = "\n\n".join(path.read_text("utf-8") for path in sorted(_TEXTS.glob("calibrate_*.txt")))
    with tempfile.TemporaryDirectory() as folder:
        print(
            "| text | ours | llama-imatrix | ratio | ours, processor | llama-imatrix | ratio |\n" + "| --- " * 7 + "|"
        )
        for name, text in (("two chunks", prose[:_SHORT]), ("all", "\n\n".join([prose] * arguments.repeat))):
            path = Path(folder) / "text.txt"
            path.write_text(text, "utf-8")
            ours, theirs = _rounds(arguments, path)
            print(
                f"| {name} | {_row(ours, theirs, 'seconds')} | {_row(ours, theirs, 'processor_seconds')} |", flush=True
            )


def _rounds(arguments: argparse.Namespace, text: Path) -> tuple[list[Cost], list[Cost]]:
    """Return what each run of ours and of the peer's took."""
    out = text.with_suffix(".gguf")
    ours = [
        sys.executable,
        "-m",
        "desktop_app.cli",
        "imatrix",
        str(arguments.model),
        "--text",
        str(text),
        "--out",
        str(out),
    ]
    peer = text.with_name("peer.gguf")
    theirs = [str(arguments.peer), "-m", str(arguments.model), "-f", str(text), "-o", str(peer), "--process-output"]
    theirs += ["--no-ppl", "-c", str(_CONTEXT), "-b", str(_CONTEXT), "-t", str(usual_threads()), "-ngl", "0"]
    costs: tuple[list[Cost], list[Cost]] = ([], [])
    for _ in range(arguments.rounds):
        for side in (0, 1, 1, 0):
            costs[side].append(measured((ours, theirs)[side]))
            for path in (out, peer):
                if side == (path is peer):
                    assert read_importance(path).chunks > 0
                    path.unlink()
    return costs


def _row(ours: list[Cost], theirs: list[Cost], figure: str) -> str:
    a, b = (median(getattr(cost, figure) for cost in costs) for costs in (ours, theirs))
    return f"{a:.1f} s | {b:.1f} s | {a / b:.2f}"


if __name__ == "__main__":
    main()
