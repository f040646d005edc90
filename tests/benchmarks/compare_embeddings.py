"""Compares an embedding model's vectors and token ids with sentence-transformers' own.

    REFERENCE_PYTHON -m tests.benchmarks.compare_embeddings reference CHECKPOINT texts.json out.npz
    uv run python -m tests.benchmarks.compare_embeddings ours MODEL.gguf texts.json out.npz

The first line runs in an environment that has sentence-transformers; texts.json is a list of texts.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np


def reference(checkpoint: str, texts: list[str], out: Path) -> None:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(checkpoint, device="cpu")
    ids = model.tokenizer(texts, truncation=True, max_length=model.max_seq_length)["input_ids"]
    np.savez(out, vectors=model.encode(texts), ids=np.array(json.dumps(ids)))


def ours(gguf: str, texts: list[str], out: Path) -> None:
    from desktop_app.engine.client import Engine
    from desktop_app.engine.protocol import Embed, Load, LoadSettings, Tokenize

    wanted = np.load(out)
    with Engine() as engine:
        most = engine.submit(Load(Path(gguf), LoadSettings(context=0))).result().context
        vectors = np.array(engine.submit(Embed(tuple(texts))).result().rows())
        ids = [engine.submit(Tokenize(text)).result().ids for text in texts]
    cut = [found if len(found) <= most else [*found[: most - 1], found[-1]] for found in ids]
    same = sum(mine == theirs for mine, theirs in zip(cut, json.loads(str(wanted["ids"])), strict=True))
    lengths = np.linalg.norm(vectors, axis=1) * np.linalg.norm(wanted["vectors"], axis=1)
    cosines = (vectors * wanted["vectors"]).sum(1) / lengths
    print(f"token ids equal in {same} of {len(texts)} texts; cosine at least {cosines.min():.6f}")


if __name__ == "__main__":
    kind, model, file, target = sys.argv[1:]
    {"reference": reference, "ours": ours}[kind](model, json.loads(Path(file).read_text("utf-8")), Path(target))
