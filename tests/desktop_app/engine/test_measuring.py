"""`zhiyin perplexity` against NumPy, and `zhiyin bench`."""

from __future__ import annotations

import json
import re
import struct
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from pathlib import Path

import gguf
import numpy as np
import pytest

from converter.pipeline import ConvertRequest, convert
from desktop_app.commands.perplexity import measure
from desktop_app.engine.client import Engine, EngineFailed
from desktop_app.engine.protocol import Load, LoadSettings, Score, Tokenize
from tests.support.checkpoints import write_checkpoint
from tests.support.commands import zhiyin
from tests.support.graph_models import graph_case
from tests.support.logits import loaded_logits
from tests.support.random_gguf import write_mixture
from tests.support.random_llama import random_llama
from tests.support.rwkv_world import world_model

STARTER = "SmolLM2-135M-Instruct"
TEXT = (Path(__file__).parents[3] / "LICENSE").read_text("utf-8")


def losses(logits: np.ndarray, ids: Sequence[int]) -> np.ndarray:
    """Return -log p of the second half's tokens but its first one, from logits [len(ids), vocabulary]."""
    rows = logits[len(ids) // 2 : -1].astype(np.float64)
    rows -= rows.max(1, keepdims=True)
    wanted = ids[len(ids) // 2 + 1 :]
    return np.log(np.exp(rows).sum(1)) - rows[np.arange(len(wanted)), wanted]


def test_perplexity_of_floats_is_the_one_of_the_logits(tmp_path: Path) -> None:
    config, weights = random_llama(vocab_size=320)
    write_checkpoint(tmp_path / "from", config, weights)
    path = convert(ConvertRequest(tmp_path / "from", tmp_path / "float.gguf", "F32", tokenizer="none")).path
    chunks = [[int(number) for number in row] for row in np.random.default_rng(7).integers(0, 320, (3, 64))]
    with Engine() as engine:
        engine.submit(Load(path, LoadSettings(context=64, kv_type="f32", threads=2))).result(60)
        exact = measure(engine, chunks)
        wanted = np.concatenate([losses(loaded_logits(engine, chunk, tmp_path / "x.npy"), chunk) for chunk in chunks])
    perplexity = np.exp(wanted.mean())
    assert exact.perplexity == pytest.approx(perplexity, rel=1e-5)
    assert exact.error == pytest.approx(perplexity * wanted.std() / np.sqrt(len(wanted) - 1), rel=1e-5)


def test_perplexity_is_the_one_of_the_logits(starter_gguf: Path, tmp_path: Path) -> None:
    """Of 4-bit weights nearly: on some processors ggml multiplies them with batches of another size in another way."""
    text = tmp_path / "text.txt"
    text.write_text(TEXT[3000:3700], "utf-8")
    with Engine() as engine:
        # An F32 cache: ggml's attention on 16 bits rounds otherwise in batches of another size.
        engine.submit(Load(starter_gguf, LoadSettings(context=64, kv_type="f32", threads=2))).result(60)
        ids = engine.submit(Tokenize(text.read_text("utf-8"))).result(60).ids
        chunks = [ids[start : start + 64] for start in range(0, len(ids) - 63, 64)]
        exact = measure(engine, chunks)
        wanted = np.concatenate([losses(loaded_logits(engine, chunk, tmp_path / "x.npy"), chunk) for chunk in chunks])
    perplexity = np.exp(wanted.mean())
    assert len(chunks) >= 2
    assert exact.perplexity == pytest.approx(perplexity, rel=0.02)
    done = zhiyin("perplexity", STARTER, str(text), "--ctx", "64")
    found = re.search(r"^perplexity +([0-9.]+) ± [0-9.]+\nscored +(\d+) tokens in (\d+) chunks of 64\n$", done.stdout)
    assert found is not None, done
    assert (int(found[2]), int(found[3])) == (31 * len(chunks), len(chunks))
    assert float(found[1]) == pytest.approx(perplexity, rel=0.15)


def test_a_model_that_computes_nan_is_refused(tmp_path: Path) -> None:
    path = write_mixture(tmp_path / "broken.gguf", 4, layers=1)
    tensor = next(tensor for tensor in gguf.GGUFReader(path, "r+").tensors if tensor.name == "output_norm.weight")
    tensor.data[:] = np.nan
    tensor.data.flush()
    with Engine() as engine:
        engine.submit(Load(path, LoadSettings(context=64))).result(60)
        with pytest.raises(EngineFailed, match=r"broken\.gguf computes NaN"):
            engine.submit(Score((1, 2, 3))).result(60)


def test_each_chunk_begins_as_the_models_texts_do(tmp_path: Path) -> None:
    """ChatGLM-6B's begin with [gMASK] <sop>; held to the forward pass in float64."""
    case = graph_case("chatglm1", tmp_path)
    text = tmp_path / "text.txt"
    text.write_text(TEXT[3000:3120], "utf-8")
    with Engine() as engine:
        engine.submit(Load(case.path, LoadSettings(context=64))).result(60)
        begin = engine.submit(Tokenize("")).result(60).ids
        ids = begin + engine.submit(Tokenize(text.read_text("utf-8"), add_special=False)).result(60).ids
    assert len(begin) == 2
    chunks = [begin + ids[start + 2 : start + 32] for start in range(0, len(ids) - 31, 32)]
    assert len(chunks) >= 2
    wanted = np.concatenate([losses(case.logits(chunk), chunk) for chunk in chunks])
    found = json.loads(zhiyin("perplexity", str(case.path), str(text), "--ctx", "32", "--json").stdout)
    assert found["scored_tokens"] == len(wanted)
    assert found["perplexity"] == pytest.approx(np.exp(wanted.mean()), rel=1e-3)


@pytest.mark.parametrize(
    ("content", "options", "said"),
    [
        (None, (), "cannot be read"),
        (b" \n", (), "is empty"),
        ("知音".encode("gb18030"), (), "is not a text in UTF-8"),
        (b"A short text.", (), "has 4 tokens, but two chunks of 512 are the least"),
        (b"A short text.", ("--ctx", "9000"), "was trained for 8192 tokens of context"),
    ],
    ids=["missing", "empty", "encoding", "short", "context"],
)
def test_files_that_have_no_perplexity(
    content: bytes | None, options: tuple[str, ...], said: str, tmp_path: Path
) -> None:
    file = tmp_path / "text.txt"
    if content is not None:
        file.write_bytes(content)
    done = zhiyin("perplexity", STARTER, str(file), *options)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert said in done.stderr


def test_no_chunk_is_too_long_for_a_recurrent_model(tmp_path: Path) -> None:
    """Whatever its file says of a trained length: files of others say some thousands."""
    made, path = world_model(tmp_path, "7"), tmp_path / "short.gguf"
    trained = struct.pack("<Q20sI", 20, b"rwkv7.context_length", 4)
    data = made.read_bytes()
    assert data.count(trained) == 1
    path.write_bytes(data.replace(trained + struct.pack("<I", 1 << 20), trained + struct.pack("<I", 32)))
    text = tmp_path / "text.txt"
    text.write_text(TEXT[3000:4000], "utf-8")
    done = zhiyin("perplexity", str(path), str(text), "--ctx", "64", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["context"] == 64


def test_bench_tells_speeds_and_memory(tmp_path: Path) -> None:
    checkpoint = write_checkpoint(tmp_path / "tiny", *random_llama(max_position_embeddings=1024))
    path = convert(ConvertRequest(checkpoint, tmp_path / "tiny.gguf", "F16", tokenizer="none")).path
    done = zhiyin("bench", str(path), "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["model"], found["context"]) == ("tiny", 1024)
    assert (found["prompt"]["tokens"], found["generation"]["tokens"]) == (512, 128)
    for test in ("prompt", "generation"):
        speed = found[test]
        assert 0 < speed["lowest"] <= speed["median"] <= speed["highest"]
    assert found["prompt"]["median"] > found["generation"]["median"], "a batch is faster than one after the other"
    assert found["peak_bytes"] > path.stat().st_size
    assert found["planned_bytes"] > path.stat().st_size
    text = tmp_path / "text.txt"
    text.write_text(TEXT, "utf-8")
    assert "converted without a tokenizer" in zhiyin("perplexity", str(path), str(text)).stderr


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_full_bench_of_a_chat_model(starter_gguf: Path, tmp_path: Path) -> None:
    picture = tmp_path / "speeds.svg"
    done = zhiyin("bench", str(starter_gguf), "--full", "--plot", str(picture), timeout=600)
    assert done.returncode == 0, done.stderr
    drawn = set(ET.parse(picture).getroot().itertext())  # noqa: S314 - our own file
    assert {"Zhiyin", "bare llama.cpp", "tokens of context", "tokens a second", "128"} <= drawn
    assert re.search(
        r"^128 tokens +[0-9.]+ tokens/s +[0-9.]+ tokens/s +[0-9.]+ +[0-9.]+ tokens/s", done.stdout, re.MULTILINE
    )
    for row in ("new chat", "next question", "after a restart"):
        assert re.search(rf"^first token, {row} +[0-9.]+ s", done.stdout, re.MULTILINE)
    assert re.search(r"^with guessed tokens +[0-9.]+ tokens/s, [0-9.]+ times as fast", done.stdout, re.MULTILINE)
    assert "--plot draws what --full measures" in zhiyin("bench", str(starter_gguf), "--plot", "picture.svg").stderr


def test_bench_of_a_short_context_in_the_graph_runner(tmp_path: Path) -> None:
    table = zhiyin("bench", str(graph_case("chatglm1", tmp_path).path)).stdout
    assert "chatglm1, F32, 512 tokens of context" in table
    assert re.search(r"^reads 511 tokens +[0-9.]+ tokens/s +[0-9.]+ +[0-9.]+ *$", table, re.MULTILINE)
    assert re.search(r"^writes 128 tokens +[0-9.]+ tokens/s", table, re.MULTILINE)
    assert re.search(r"^main memory, at most +[0-9.]+ MB +[0-9.]+ MB$", table, re.MULTILINE)
