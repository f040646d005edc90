"""The graph runner keeps every promise of the runners' interface, for each of its architectures."""

from __future__ import annotations

import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
from msgspec import structs

from converter.gguf_header import read_gguf_header
from converter.pipeline import ConvertRequest, convert
from desktop_app.engine.client import Engine, EngineFailed
from desktop_app.engine.generation import generate
from desktop_app.engine.graph.runner import GraphRunner
from desktop_app.engine.load import load_runner
from desktop_app.engine.protocol import Generate, Load, LoadSettings, SamplingSettings, Text, Tokenize
from desktop_app.engine.results import Reply
from desktop_app.engine.runner import ContextFull
from models.errors import BadFile, Cancelled, ZhiyinError
from tests.support.checkpoints import write_checkpoint, write_safetensors
from tests.support.graph_models import ARCHITECTURES, GraphCase, graph_case
from tests.support.prompts import prompt_tokens
from tests.support.random_glm import random_chatglm1
from tests.support.random_rwkv import random_rwkv

EXACT = LoadSettings(context=400, threads=2, kv_type="f32", batch=32)
GREEDY = SamplingSettings(temperature=0, max_tokens=12)
ERROR = 1e-4


@pytest.fixture(scope="module", params=ARCHITECTURES)
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> GraphCase:
    return graph_case(request.param, tmp_path_factory.mktemp(request.param))


Open = Callable[..., GraphRunner]


@pytest.fixture
def opened(case: GraphCase) -> Iterator[Open]:
    runners = []

    def open_runner(path: Path = case.path, settings: LoadSettings = EXACT) -> GraphRunner:
        runner = load_runner(path, settings, lambda part: None)
        assert isinstance(runner, GraphRunner)
        runners.append(runner)
        return runner

    yield open_runner
    for runner in runners:
        runner.close()


def prompt_of(runner: GraphRunner, text: str, words: int = 40) -> list[int]:
    """Return a prompt of more than one chunk."""
    ids = runner.tokenize(f"{text} " + "hello world 你好 " * words, add_special=False, special=True)
    return runner._model.with_special(ids[:words])


def last(runner: GraphRunner) -> np.ndarray:
    return runner._model.logits.copy()


def reply_of(runner: GraphRunner, prompt: list[int], sampling: SamplingSettings = GREEDY) -> Reply:
    return generate(runner, prompt, sampling, lambda text: None, lambda part: None)


def test_every_position_agrees_with_the_reference(case: GraphCase, opened: Open) -> None:
    runner = opened()
    ids = prompt_of(runner, "a") + [5, 6, 7, 8, 9, 10, 11] * 6
    assert np.abs(runner.all_logits(ids) - case.logits(ids)).max() < ERROR


@pytest.mark.parametrize("batch", [1, 7, 512])
def test_any_batch_computes_the_same(case: GraphCase, opened: Open, batch: int) -> None:
    runner = opened(settings=replace(EXACT, batch=batch))
    prompt = prompt_of(runner, "b")
    runner.decode(prompt)
    assert np.abs(last(runner) - case.logits(prompt)[-1]).max() < ERROR


def test_token_by_token_agrees_with_the_reference(case: GraphCase, opened: Open) -> None:
    runner = opened()
    prompt, reply = prompt_of(runner, "c"), [3, 9, 27, 81, 4, 16, 64, 5]
    expected = case.logits(prompt + reply)
    runner.decode(prompt)
    for number, token in enumerate(reply):
        assert np.abs(last(runner) - expected[len(prompt) + number - 1]).max() < ERROR
        runner.decode((token,))
    assert np.abs(last(runner) - expected[-1]).max() < ERROR
    assert list(runner.tokens) == prompt + reply


def test_a_conversation_over_rounds_computes_what_a_fresh_one_does(case: GraphCase, opened: Open) -> None:
    runner = opened()
    ids: list[int] = []
    text = ""
    for number in range(3):
        text += f" question {number}"
        ids = prompt_of(runner, text, 8)
        reply_of(runner, ids)
        assert np.abs(last(runner) - case.logits(list(runner.tokens))[-1]).max() < ERROR


def test_the_same_question_again_uses_what_was_computed(case: GraphCase, opened: Open) -> None:
    runner = opened()
    prompt = prompt_of(runner, "d")
    first = reply_of(runner, prompt)
    second = reply_of(runner, prompt)
    assert (first.reused_tokens, second.reused_tokens) == (0, len(prompt) - 1)
    assert first.text == second.text
    other = prompt_of(runner, "another")
    third = reply_of(runner, other)
    runner.truncate(0)
    assert third.text == reply_of(runner, other).text


def test_a_reply_is_continued_from_where_it_was_cut(case: GraphCase, opened: Open) -> None:
    runner = opened()
    prompt = prompt_of(runner, "e")
    reply_of(runner, prompt)
    longer = [*runner.tokens, 5]
    assert runner.truncate(len(longer) - 1) == len(longer) - 1
    runner.decode([5])
    assert np.abs(last(runner) - case.logits(longer)[-1]).max() < ERROR


def test_a_state_is_taken_up_by_another_runner(case: GraphCase, opened: Open, tmp_path: Path) -> None:
    runner = opened()
    prompt = prompt_of(runner, "f")
    reply_of(runner, prompt)
    kept = list(runner.tokens)
    size = runner.save_state(tmp_path / "state")
    assert size == (tmp_path / "state").stat().st_size
    other = opened()
    assert other.load_state(tmp_path / "state") == len(kept)
    assert list(other.tokens) == kept
    assert np.array_equal(last(other), last(runner))
    for token in (7, 8):
        runner.decode((token,))
        other.decode((token,))
    assert np.array_equal(last(other), last(runner))


@pytest.mark.parametrize("damage", ["text", "cut", "empty"])
def test_what_is_no_state_is_refused(case: GraphCase, opened: Open, tmp_path: Path, damage: str) -> None:
    runner = opened()
    runner.decode(prompt_of(runner, "g"))
    path = tmp_path / "state"
    runner.save_state(path)
    data = path.read_bytes()
    path.write_bytes({"text": b"not a state", "cut": data[: len(data) // 2], "empty": b""}[damage])
    with pytest.raises(BadFile, match="does not hold a state"):
        runner.load_state(path)
    assert list(runner.tokens) == []


def test_stopping_leaves_a_sequence_that_goes_on(case: GraphCase, opened: Open) -> None:
    runner = opened()
    prompt = prompt_of(runner, "h", 150)
    timers = [threading.Timer(delay, runner.interrupt, (True,)) for delay in (0.0, 0.002, 0.01)]
    for timer in timers:
        timer.start()
        try:
            runner.decode(prompt[len(runner.tokens) :])
        except Cancelled:
            assert list(runner.tokens) == prompt[: len(runner.tokens)]
        timer.join()
        runner.interrupt(False)
        runner.truncate(len(prompt) - 1)
    runner.decode(prompt[len(runner.tokens) :])
    assert np.abs(last(runner) - case.logits(prompt)[-1]).max() < ERROR


def test_a_set_flag_stops_at_once(case: GraphCase, opened: Open) -> None:
    runner = opened()
    runner.interrupt(True)
    with pytest.raises(Cancelled):
        runner.decode(prompt_of(runner, "i"))


def test_progress_ends_at_one(case: GraphCase, opened: Open) -> None:
    runner, parts = opened(), []
    runner.decode(prompt_of(runner, "j"), on_progress=parts.append)
    assert parts == sorted(parts)
    assert parts[-1] == 1
    assert len(parts) > 1


def test_text_goes_in_and_comes_out(case: GraphCase, opened: Open) -> None:
    runner = opened()
    text = "def main():\n    print('hello world')\n知音 é"
    ids = runner.tokenize(text, add_special=False, special=False)
    assert b"".join(map(runner.vocabulary.piece, ids)).decode().strip() == text
    assert max(ids) < runner.info.vocabulary_size == case.rows


def test_what_the_application_hears_of_the_model(case: GraphCase, opened: Open) -> None:
    info = opened().info
    assert info.architecture == case.path.stem
    assert info.file_type == "F32"
    assert info.chat == (info.architecture != "rwkv4")  # models of the 20B vocabulary that are no Raven continue text
    assert info.context == (400 if info.architecture == "chatglm1" else 0)
    assert info.parameters > 10_000


@pytest.mark.parametrize("kv_type", ["f16", "q8_0"])
def test_rounded_caches_stay_near(case: GraphCase, opened: Open, kv_type: str) -> None:
    runner = opened(settings=replace(EXACT, kv_type=kv_type))
    prompt = prompt_of(runner, "k")
    runner.decode(prompt)
    assert np.abs(last(runner) - case.logits(prompt)[-1]).max() < (0.2 if kv_type == "q8_0" else 0.02)


def test_weights_copied_instead_of_mapped_compute_the_same(case: GraphCase, opened: Open) -> None:
    ids = prompt_of(opened(), "l")
    both = [opened(settings=replace(EXACT, mmap=mapped)).all_logits(ids) for mapped in (True, False)]
    assert np.array_equal(*both)


@pytest.mark.parametrize("quant", ["F16", "Q8_0", "Q4_0"])
def test_quantized_weights_are_used_as_they_are(case: GraphCase, opened: Open, quant: str, tmp_path: Path) -> None:
    out = tmp_path / "model.gguf"
    convert(ConvertRequest(case.path, out, quant))
    runner = opened(path=out)
    ids = prompt_of(runner, "m")
    expected = case.logits(ids)
    scale = expected.std()
    assert np.abs(runner.all_logits(ids) - expected).mean() / scale < {"F16": 0.01, "Q8_0": 0.03, "Q4_0": 0.35}[quant]


def test_a_split_model_loads(case: GraphCase, opened: Open, tmp_path: Path) -> None:
    out = tmp_path / "model.gguf"
    convert(ConvertRequest(case.path, out, "F32", split_max_size=case.path.stat().st_size // 2))
    first = next(iter(sorted(tmp_path.glob("*.gguf"))))
    assert first.name.startswith("model-00001-of-")
    ids = prompt_of(opened(), "n")
    assert np.array_equal(opened(path=first).all_logits(ids), opened().all_logits(ids))


@pytest.mark.parametrize(("old", "new"), [(b"blk.1.", b"blk.7."), (b"token_embd", b"token_embz")])
def test_a_missing_tensor_is_named(case: GraphCase, tmp_path: Path, old: bytes, new: bytes) -> None:
    damaged = tmp_path / "model.gguf"
    damaged.write_bytes(case.path.read_bytes().replace(old, new))
    with pytest.raises(BadFile, match=f"lacks tensor {old.decode()}"):
        load_runner(damaged, EXACT, lambda part: None)


def test_ids_that_the_embeddings_lack_are_refused(case: GraphCase, opened: Open) -> None:
    runner = opened()
    for wrong in (case.rows, 2**31 - 1, 2**40, -1):
        for compute in (runner.decode, runner.all_logits):
            with pytest.raises(BadFile, match=f"{wrong}, but its embeddings have only {case.rows} rows"):
                compute([1, wrong])
    assert np.array_equal(runner.all_logits([1, 2]), opened().all_logits([1, 2]))


@pytest.fixture(scope="module")
def glm(tmp_path_factory: pytest.TempPathFactory) -> GraphCase:
    return graph_case("chatglm1", tmp_path_factory.mktemp("glm"))


@pytest.mark.parametrize("prefix", [1, 2, 31, 32, 33, 64])
def test_sop_is_computed_with_the_prefix_in_parts_of_any_size(glm: GraphCase, prefix: int) -> None:
    with closing(load_runner(glm.path, replace(EXACT, batch=32), lambda part: None)) as runner:
        assert isinstance(runner, GraphRunner)
        ids = runner._model.with_special([5 + number % 90 for number in range(prefix - 1)])
        assert len(ids) == prefix + 1
        for reply in ([], [7], [8, 9]):
            ids += reply
            runner.decode(tuple(reply) or tuple(ids))
            assert np.abs(last(runner) - glm.logits(ids)[-1]).max() < ERROR


def with_value(case: GraphCase, path: Path, key: str, value: Any) -> Path:
    """Write a case's file with another value of one key; None: without the key."""
    header = read_gguf_header(case.path, encoded=True)
    data = case.path.read_bytes()
    last = list(header.tensors.values())[-1]
    end = data.index(last.name.encode()) + len(last.name) + 4 + 8 * len(last.shape) + 4 + 8
    at = data.index(key.encode()) + len(key)
    if value is None:
        head = data[: at - 1] + b"_" + data[at:end]
    else:
        head = data[:at] + encoded(value) + data[at + len(header.encoded[key]) : end]
    path.write_bytes(head + bytes(-len(head) % 32) + data[header.data_offset :])
    return path


def encoded(value: Any) -> bytes:
    """Return a value's type and bytes as GGUF has them."""
    if isinstance(value, str):
        return struct.pack("<IQ", gguf.GGUFValueType.STRING, len(value)) + value.encode()
    if isinstance(value, list):
        head = struct.pack("<IIQ", gguf.GGUFValueType.ARRAY, gguf.GGUFValueType.INT32, len(value))
        return head + struct.pack(f"<{len(value)}i", *value)
    return struct.pack("<Ii", gguf.GGUFValueType.INT32, value)


def test_a_file_with_the_same_value_again_loads(glm: GraphCase, tmp_path: Path) -> None:
    same = with_value(glm, tmp_path / "model.gguf", "chatglm1.block_count", 2)
    with closing(load_runner(same, EXACT, lambda part: None)) as runner:
        assert np.abs(runner.all_logits([1, 2, 3]) - glm.logits([1, 2, 3])).max() < ERROR


@pytest.mark.parametrize("value", [None, "x", -1, 2**31 - 1, [1, 2]], ids=str)
@pytest.mark.parametrize("key", ["block_count", "vocab_size", "gmask_token_id", "sop_token_id"])
def test_absurd_hyperparameters_are_refused(glm: GraphCase, key: str, value: Any, tmp_path: Path) -> None:
    with pytest.raises(BadFile, match=f"{key} is "):
        load_runner(with_value(glm, tmp_path / "model.gguf", f"chatglm1.{key}", value), EXACT, lambda part: None)


def test_special_ids_lie_within_the_embeddings(glm: GraphCase, tmp_path: Path) -> None:
    damaged = with_value(glm, tmp_path / "model.gguf", "chatglm1.gmask_token_id", glm.rows)
    with pytest.raises(BadFile, match=f"gmask_token_id is {glm.rows}"):
        load_runner(damaged, EXACT, lambda part: None)


@pytest.mark.parametrize("value", [5, [5]], ids=str)
def test_a_template_that_is_no_text_is_refused(glm: GraphCase, value: Any, tmp_path: Path) -> None:
    damaged = with_value(glm, tmp_path / "model.gguf", "tokenizer.chat_template", value)
    with pytest.raises(BadFile, match="chat_template is no text"):
        load_runner(damaged, EXACT, lambda part: None)


@pytest.mark.parametrize("kind", ["Q8_1", "Q8_K", "I32", "F64"])
def test_weights_that_ggml_cannot_multiply_with_are_refused(glm: GraphCase, kind: str, tmp_path: Path) -> None:
    """They would end the process."""
    name = "blk.0.ffn_down.weight"
    data = glm.path.read_bytes()
    at = data.index(name.encode()) + len(name) + 4 + 2 * 8  # behind the number of axes and two lengths
    type_ = int(gguf.GGMLQuantizationType[kind]).to_bytes(4, "little")
    damaged = tmp_path / "model.gguf"
    damaged.write_bytes(data[:at] + type_ + data[at + 4 :] + bytes(1 << 20))
    with pytest.raises(BadFile, match=f"{name} has type {kind}"):
        load_runner(damaged, EXACT, lambda part: None)


def test_chatglm_says_when_the_context_is_full(tmp_path: Path) -> None:
    case = graph_case("chatglm1", tmp_path)
    runner = load_runner(case.path, replace(EXACT, context=32), lambda part: None)
    with pytest.raises(ContextFull):
        runner.decode(list(range(40)))
    reply = reply_of(runner, runner.tokenize("hello", add_special=True, special=True), replace(GREEDY, max_tokens=0))
    assert reply.reason in ("full", "end")
    runner.close()


def test_a_cache_type_that_heads_do_not_fit_is_refused(tmp_path: Path) -> None:
    case = graph_case("chatglm1", tmp_path)
    with pytest.raises(ZhiyinError, match="use f16"):
        load_runner(case.path, replace(EXACT, kv_type="q4_k"), lambda part: None)


def test_neox_text_is_normalized(tmp_path: Path) -> None:
    runner = load_runner(graph_case("rwkv4", tmp_path).path, EXACT, lambda part: None)
    both = [runner.tokenize(text, add_special=False, special=False) for text in ("caf\u00e9", "cafe\u0301")]
    assert both[0] == both[1]
    runner.close()


def test_the_engine_process_runs_it_like_any_other(case: GraphCase) -> None:
    texts: list[str] = []
    with Engine() as engine:
        engine.submit(Load(case.path, replace(EXACT, context=200))).result(60)
        request = Generate(({"role": "user", "content": "你好, what is the time?"},), replace(GREEDY, max_tokens=20))
        job = engine.submit(request, lambda update: texts.append(update.text) if isinstance(update, Text) else None)
        reply = job.result(60)
        assert "".join(texts) == reply.text
        assert reply.reason in ("length", "end", "stop")
        sampled = structs.replace(request, sampling=SamplingSettings(temperature=1.0, seed=7, max_tokens=20))
        assert engine.submit(sampled).result(60).text == engine.submit(sampled).result(60).text
        assert engine.submit(Tokenize("hello")).result(60).ids


def test_without_a_tokenizer_only_ids_are_taken(tmp_path: Path) -> None:
    write_safetensors(tmp_path / "RWKV-x.safetensors", random_rwkv("4"))
    out = tmp_path / "model.gguf"
    convert(ConvertRequest(tmp_path / "RWKV-x.safetensors", out, "F32", tokenizer="none"))
    with Engine() as engine:
        engine.submit(Load(out, EXACT)).result(60)
        with pytest.raises(EngineFailed, match="--ids"):
            engine.submit(Tokenize("hello")).result(60)


def test_an_empty_text_without_a_tokenizer_is_what_begins_every_text(tmp_path: Path) -> None:
    """`zhiyin bench` writes after it; without its <sop> ChatGLM-6B would read all again for each token."""
    with_one = graph_case("chatglm1", tmp_path).path
    without = tmp_path / "without.gguf"
    convert(ConvertRequest(tmp_path / "checkpoint", without, "F32", tokenizer="none"))
    found = []
    for path in (with_one, without):
        with closing(load_runner(path, EXACT, lambda part: None)) as runner:
            found.append(runner.tokenize("", add_special=True, special=False))
    assert found[0] == found[1] != []


def test_the_chats_prompt_ends_in_the_special_tokens(tmp_path: Path) -> None:
    case = graph_case("chatglm1", tmp_path)
    runner = load_runner(case.path, EXACT, lambda part: None)
    ids = prompt_tokens(runner, [{"role": "user", "content": "hello"}])
    assert ids[-2:] == [runner.tokenize(text, add_special=False, special=True)[0] for text in ("[gMASK]", "<sop>")]
    runner.close()


_WITH_LITTLE_MEMORY = """
import resource, sys
from pathlib import Path
from desktop_app.engine.protocol import LoadSettings
from desktop_app.engine.load import load_runner
from desktop_app.engine.runner import OutOfMemory

path = Path(sys.argv[1])
small, large = (LoadSettings(context=context, threads=1, kv_type="f32") for context in (64, 0))
load_runner(path, small, lambda part: None).close()
used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + 300_000_000, -1))
for _ in range(3):
    try:
        load_runner(path, large, lambda part: None)
        sys.exit("it fitted")
    except OutOfMemory as error:
        assert "smaller context" in str(error)
load_runner(path, small, lambda part: None).decode([1, 2, 101, 104])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits its memory as Linux does")
def test_too_little_memory_is_said_and_leaves_nothing_behind(tmp_path: Path) -> None:
    config, weights = random_chatglm1(1, max_sequence_length=1 << 20)
    out = tmp_path / "model.gguf"
    convert(ConvertRequest(write_checkpoint(tmp_path / "checkpoint", config, weights), out, "F32", tokenizer="none"))
    run = subprocess.run(
        [sys.executable, "-c", _WITH_LITTLE_MEMORY, str(out)], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
