"""The starter file against our F16 and F32 conversions of its weights, all as they are, on kernels that compute in floats.

    python -m tests.benchmarks.compare_starter_logits FOLDER_OF_LIBRARIES

ggml's own CPU kernels round activations to 8 bits where weights are quantized, and so tell more of themselves than of the files.
Its BLAS backend widens any weights to F32 and calls sgemm for 32 tokens and more. It is built from the sources inside the
llama-cpp-python sdist (the same version):

    cmake -S vendor/llama.cpp -B build -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=ON -DGGML_BLAS=ON \\
        -DGGML_BLAS_VENDOR=OpenBLAS
    cmake --build build --target llama

FOLDER_OF_LIBRARIES is then build/bin. Each text has 200 tokens; all logits of all positions are compared. The F32 file shows
that nothing is lost on the way; what the F16 file differs by is the rounding of its weights to 16 bits.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from converter.pipeline import ConvertRequest, convert
from desktop_app.library.installed import Library
from tests.support.checkpoints import checkpoint_of_gguf

ROOT = Path(__file__).parents[2]
TOKENS = 200
PLACES = (
    ("LICENSE", 2500),  # the text of tests/desktop_app/test_smollm2.py
    ("LICENSE", 0),
    ("LICENSE", 6000),
    ("README.md", 0),
    ("README.md", 3000),
    ("README.zh-CN.md", 0),
    ("CONTRIBUTING.md", 0),
    ("docs/architecture.md", 1000),
    ("desktop_app/planning/footprint.py", 0),
    ("converter/pipeline.py", 3000),
)


def texts() -> Iterator[tuple[str, str | Sequence[int]]]:
    """Yield a label and a text, or token ids."""
    for name, start in PLACES:
        yield f"{name} from character {start}", (ROOT / name).read_text("utf-8")[start : start + 5000]
    yield "random ids", np.random.default_rng(1).integers(0, 49152, TOKENS).tolist()


def compare(first: Path, second: Path) -> list[tuple[float, int]]:
    """Return the largest difference and the positions of the same largest logit for each text; runs with the named libraries."""
    import llama_cpp.llama_cpp as llama

    from desktop_app.engine.backends import backends

    @llama.llama_log_callback
    def silent(level: int, text: bytes, _: object) -> None:
        """llama.cpp's log would drown the result."""

    llama.llama_log_set(silent, None)
    llama.llama_backend_init()
    if "BLAS" not in backends():
        raise SystemExit(
            f"The libraries have no BLAS backend, only {', '.join(backends())}; build them as described above."
        )
    return [
        (float(np.abs(one - other).max()), int((one.argmax(1) == other.argmax(1)).sum()))
        for one, other in zip(file_logits(llama, first), file_logits(llama, second), strict=True)
    ]


def file_logits(llama: Any, path: Path) -> Iterator[np.ndarray]:
    """Yield float32 [tokens, vocabulary] for each text."""
    model_params = llama.llama_model_default_params()
    model_params.use_extra_bufts = False  # repacked weights would stay with the CPU's own kernels
    model = llama.llama_model_load_from_file(str(path).encode(), model_params)
    params = llama.llama_context_default_params()
    params.n_ctx = params.n_batch = params.n_ubatch = params.n_outputs_max = 256
    params.type_k = params.type_v = llama.GGML_TYPE_F32
    params.flash_attn_type = llama.LLAMA_FLASH_ATTN_TYPE_DISABLED
    context = llama.llama_init_from_model(model, params)
    vocab = llama.llama_model_get_vocab(model)
    size = llama.llama_vocab_n_tokens(vocab)
    batch = llama.llama_batch_init(TOKENS, 0, 1)
    for _, text in texts():
        batch.n_tokens = TOKENS
        for index, token in enumerate(tokens(llama, vocab, text)):
            batch.token[index], batch.pos[index], batch.n_seq_id[index] = token, index, 1
            batch.seq_id[index][0], batch.logits[index] = 0, True
        llama.llama_memory_clear(llama.llama_get_memory(context), True)
        assert llama.llama_decode(context, batch) == 0
        yield np.ctypeslib.as_array(llama.llama_get_logits(context), (TOKENS * size,)).reshape(TOKENS, size).copy()
    llama.llama_batch_free(batch)
    llama.llama_free(context)
    llama.llama_model_free(model)


def tokens(llama: Any, vocab: Any, text: str | Sequence[int]) -> Sequence[int]:
    if not isinstance(text, str):
        return text
    data = text.encode()
    ids = (ctypes.c_int32 * len(data))()
    count = llama.llama_tokenize(vocab, data, len(data), ids, len(data), True, False)
    assert count >= TOKENS, f"the text has {count} tokens only"
    return ids[:TOKENS]


def main(libraries: str) -> int:
    """Print the largest difference and the agreement for each conversion and text."""
    starter = Library(Path(tempfile.mkdtemp())).starter()
    if starter is None:
        raise SystemExit("the dependency group `starter` is not installed")
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        source = checkpoint_of_gguf(starter.path, folder / "SmolLM2-135M-Instruct")
        files = [convert(ConvertRequest(source, folder / f"{quant}.gguf", quant)).path for quant in ("F16", "F32")]
        os.environ["LLAMA_CPP_LIB_PATH"] = str(Path(libraries).resolve())
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            for file in files:
                found = pool.apply(compare, (file, starter.path))
                for (label, _), (difference, same) in zip(texts(), found, strict=True):
                    print(
                        f"{file.stem}, {label}: largest difference {difference:.4f}, same best token at {same} of {TOKENS}"
                    )
                print(f"{file.stem}, all texts: {max(difference for difference, _ in found):.4f}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]) if len(sys.argv) == 2 else __doc__)
