"""Past the trained length: our graph of dense decoders against the publishers' rules in NumPy, before it against llama.cpp."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from converter.pipeline import ConvertRequest, convert
from desktop_app.engine.client import Engine
from desktop_app.engine.generation import generate
from desktop_app.engine.graph.runner import GraphRunner
from desktop_app.engine.llama.runner import LlamaRunner
from desktop_app.engine.load import load_runner
from desktop_app.engine.protocol import AdapterUse, Generate, Load, LoadSettings, Logits, SamplingSettings
from desktop_app.engine.results import Reply
from desktop_app.engine.runner import Runner
from models.errors import BadFile, Cancelled, UnsupportedModel
from tests.reference import internlm2, llama, qwen
from tests.reference.long_text import LongText, of_internlm, of_internlm2, of_qwen, of_transformers
from tests.support.agreement import converted, random_ids
from tests.support.checkpoints import write_checkpoint
from tests.support.commands import zhiyin
from tests.support.random_chinese import (
    random_internlm,
    random_internlm2,
    random_internlm3,
    random_minicpm,
    random_qwen,
)
from tests.support.random_llama import Checkpoint, RandomWeights, random_llama, random_qwen2, random_qwen3
from tests.support.sentencepieces import trained

TRAINED = 32
EXACT = LoadSettings(context=320, threads=2, kv_type="f32", batch=32)
GREEDY = SamplingSettings(temperature=0, max_tokens=12)
ERROR = 1e-4
DYNAMIC: dict[str, Any] = {
    "max_position_embeddings": TRAINED,
    "rope_scaling": {"type": "dynamic", "factor": 2.0},
}
CASES: dict[str, tuple[Checkpoint, Callable[..., LongText]]] = {
    "Qwen": (random_qwen(seq_length=TRAINED), of_qwen),
    "Qwen, log n alone": (random_qwen(seq_length=TRAINED, use_dynamic_ntk=False), of_qwen),
    "Qwen, half of a head": (random_qwen(seq_length=TRAINED, use_logn_attn=False, rotary_pct=0.5), of_qwen),
    "InternLM-7B": (random_internlm(max_position_embeddings=TRAINED), of_internlm),
    "InternLM-20B": (
        random_internlm(
            bias=False,
            max_position_embeddings=TRAINED,
            rotary={"base": 10000, "type": "dynamic", "scaling_factor": 2.0},
        ),
        of_internlm,
    ),
    "InternLM2": (random_internlm2(**DYNAMIC), of_internlm2),
    "InternLM3": (random_internlm3(qkv_bias=True, bias=True, max_position_embeddings=TRAINED), of_transformers),
    "LLaMA": (random_llama(**DYNAMIC), of_transformers),
    "LLaMA, tied": (random_llama(**DYNAMIC, tie_word_embeddings=True), of_transformers),
    "MiniCPM": (random_minicpm(**DYNAMIC), of_transformers),
    "Qwen2": (random_qwen2(**DYNAMIC), of_transformers),
    "Qwen3": (random_qwen3(**DYNAMIC), of_transformers),
}
KEPT_BASE, NEW_BASES, TURNED_ANEW = "Qwen", "InternLM2", "InternLM-7B"
"""One case of each rule."""
RULES = (KEPT_BASE, NEW_BASES, TURNED_ANEW)


@dataclass(frozen=True)
class Case:
    path: Path
    config: dict[str, Any]
    reference: LongText


Made = Callable[[str], Case]
Open = Callable[..., Runner]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    found: dict[str, Case] = {}

    def make(name: str) -> Case:
        if name not in found:
            (config, weights), reference = CASES[name]
            path = converted(tmp_path_factory.mktemp("model"), config, weights).path
            found[name] = Case(path, config, reference(config, weights))
        return found[name]

    return make


@pytest.fixture
def opened() -> Iterator[Open]:
    with ExitStack() as stack:

        def open_runner(path: Path, **settings: Any) -> Runner:
            runner = load_runner(path, replace(EXACT, **settings), lambda part: None)
            stack.callback(runner.close)
            return runner

        yield open_runner


def ours(runner: Runner) -> GraphRunner:
    assert isinstance(runner, GraphRunner)
    return runner


def last(runner: Runner) -> np.ndarray:
    return ours(runner)._model.logits.copy()


def error(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max())


@pytest.mark.parametrize("name", CASES)
def test_every_position_of_a_long_prompt(name: str, made: Made, opened: Open) -> None:
    case = made(name)
    runner = ours(opened(case.path))
    for count in (TRAINED, TRAINED + 1, 2 * TRAINED, 2 * TRAINED + 1, 4 * TRAINED + 7, 9 * TRAINED):
        ids = random_ids(case.config, count)
        assert error(runner.all_logits(ids), case.reference.replied(ids, [])) < ERROR, count


@pytest.mark.parametrize("name", CASES)
def test_within_the_trained_length_both_runners_agree(name: str, made: Made, opened: Open) -> None:
    case = made(name)
    ids = random_ids(case.config, TRAINED)
    theirs, both = opened(case.path, context=TRAINED), opened(case.path, context=TRAINED + 1)
    assert isinstance(theirs, LlamaRunner)
    assert isinstance(both, GraphRunner)
    assert (theirs.info.context, both.info.context) == (TRAINED, TRAINED + 1)
    assert error(both.all_logits(ids), theirs.all_logits(ids)) < ERROR
    assert isinstance(opened(case.path, context=0), LlamaRunner)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("count", [20, 50, 120])
def test_a_reply_token_by_token(name: str, count: int, made: Made, opened: Open) -> None:
    """Replies that pass the trained length, and twice and four times of it."""
    case = made(name)
    prompt, reply = random_ids(case.config, count), random_ids(case.config, 20)
    expected = case.reference.replied(prompt, reply)
    runner = opened(case.path)
    runner.decode(prompt)
    for index, token in enumerate(reply):
        assert error(last(runner), expected[count + index - 1]) < ERROR
        runner.decode((token,))
    assert error(last(runner), expected[-1]) < ERROR


def test_the_rules_differ() -> None:
    """Were they confused, the tests above would see it: what one rule computes another does not."""
    config, weights = random_internlm(max_position_embeddings=TRAINED)
    turned_anew = of_internlm(config, weights)
    new_bases = replace(turned_anew, cached_before_rotation=False)
    kept_base = replace(new_bases, frequencies=lambda prompt, length: turned_anew.frequencies(prompt, prompt))
    prompt, reply = random_ids(config, 50), random_ids(config, 20)
    found = [model.replied(prompt, reply) for model in (turned_anew, new_bases, kept_base)]
    assert error(found[0][:50], found[1][:50]) == 0
    for one, other in ((0, 1), (1, 2), (0, 2)):
        assert error(found[one], found[other]) > 100 * ERROR


def test_the_reference_reads_a_prompt_as_the_others_do() -> None:
    ids = random_ids({"vocab_size": 128}, 100)
    for name, forward in (("Qwen", qwen.forward), ("InternLM2", internlm2.forward), ("LLaMA", llama.forward)):
        (config, weights), long_text = CASES[name]
        assert error(long_text(config, weights).replied(ids, []), forward(config, weights, ids)) < 1e-9


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("batch", [1, 7, 512])
def test_any_batch_computes_the_same(name: str, batch: int, made: Made, opened: Open) -> None:
    case = made(name)
    prompt = random_ids(case.config, 100)
    runner = opened(case.path, batch=batch)
    runner.decode(prompt)
    runner.decode([5, 6, 7])
    assert error(last(runner), case.reference.replied(prompt, [5, 6, 7])[-1]) < ERROR


def answered(runner: Runner, prompt: list[int]) -> Reply:
    return generate(runner, prompt, GREEDY, lambda text: None, lambda part: None)


@pytest.mark.parametrize("name", RULES)
def test_a_conversation_across_the_switching_point(name: str, made: Made, opened: Open) -> None:
    """Each round is computed as by code that reads its prompt anew, whatever the cache holds of the rounds before."""
    case = made(name)
    runner = opened(case.path)
    prompt = random_ids(case.config, 10)
    reused = []
    for more in (5, 30, 3, 40, 25):
        reused.append(answered(runner, prompt).reused_tokens)
        held = list(runner.tokens)
        assert held[: len(prompt)] == prompt
        assert error(last(runner), case.reference.replied(prompt, held[len(prompt) :])[-1]) < ERROR
        prompt = [*held, *random_ids(case.config, more)]
    # Prompts of 10, 27, 69, 84 and 136 tokens; what is cached counts where the base stays the same: Qwen's is that of 64 to 128.
    assert reused == [0, 22, 0, 81 if name == KEPT_BASE else 0, 0]


@pytest.mark.parametrize("name", RULES)
def test_the_same_question_again_uses_what_was_computed(name: str, made: Made, opened: Open) -> None:
    case = made(name)
    runner = opened(case.path)
    prompt = random_ids(case.config, 70)
    first, second = answered(runner, prompt), answered(runner, prompt)
    assert (first.reused_tokens, second.reused_tokens) == (0, 69)
    assert first.text == second.text
    one_longer = [*prompt, 9]
    assert answered(runner, one_longer).reused_tokens == (70 if name == KEPT_BASE else 0)
    reply = list(runner.tokens)[71:]
    assert error(last(runner), case.reference.replied(one_longer, reply)[-1]) < ERROR


@pytest.mark.parametrize("name", RULES)
def test_a_stop_leaves_a_sequence_that_goes_on(name: str, made: Made, opened: Open) -> None:
    case = made(name)
    runner = opened(case.path)
    prompt = random_ids(case.config, 100)

    def stop(part: float) -> None:
        runner.interrupt(part > 0.5)

    with pytest.raises(Cancelled):
        runner.decode(prompt, on_progress=stop)
    runner.interrupt(False)
    assert 0 < len(runner.tokens) < 100
    assert runner.truncate(99, 100) == len(runner.tokens)
    runner.decode(prompt[len(runner.tokens) :])
    assert error(last(runner), case.reference.replied(prompt, [])[-1]) < ERROR


@pytest.mark.parametrize("name", RULES)
def test_a_state_is_taken_up_by_another_runner(name: str, made: Made, opened: Open, tmp_path: Path) -> None:
    case = made(name)
    runner, other = opened(case.path), opened(case.path)
    prompt = random_ids(case.config, 50)
    runner.decode(prompt)
    runner.decode((4,))
    runner.save_state(tmp_path / "state")
    assert other.load_state(tmp_path / "state") == 51
    other.decode((8,))
    assert error(last(other), case.reference.replied(prompt, [4, 8])[-1]) < ERROR
    third = opened(case.path)
    third.restore([*prompt, 4], runner.states())
    third.decode((8,))
    assert error(last(third), case.reference.replied(prompt, [4, 8])[-1]) < ERROR
    third.restore([*prompt, 4], [(51, b"no state")])
    assert not third.tokens
    with pytest.raises(BadFile, match="state"):
        opened(case.path, kv_type="f16").load_state(tmp_path / "state")


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("kv_type", ["f16", "q8_0"])
def test_rounded_caches_stay_near(name: str, kv_type: str, opened: Open, tmp_path: Path) -> None:
    sizes = {"hidden_size": 128, "num_attention_heads": 4, "num_hidden_layers": 2}
    makers = {KEPT_BASE: random_qwen, NEW_BASES: random_internlm2, TURNED_ANEW: random_internlm}
    lengths = {"max_position_embeddings": TRAINED, "seq_length": TRAINED, "kv_channels": 32}
    config, weights = makers[name](**sizes, **lengths)
    prompt = random_ids(config, 100)
    runner = opened(converted(tmp_path, config, weights).path, kv_type=kv_type)
    runner.decode(prompt)
    expected = CASES[name][1](config, weights).replied(prompt, [])[-1]
    assert error(last(runner), expected) < (0.3 if kv_type == "q8_0" else 0.03)


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("quant", ["F16", "Q8_0"])
def test_quantized_weights_are_used_as_they_are(
    name: str, quant: str, made: Made, opened: Open, tmp_path: Path
) -> None:
    case = made(name)
    out = tmp_path / "model.gguf"
    convert(ConvertRequest(case.path, out, quant))
    ids = random_ids(case.config, 150)
    expected = case.reference.replied(ids, [])
    apart = np.abs(ours(opened(out)).all_logits(ids) - expected).mean() / expected.std()
    assert apart < {"F16": 0.01, "Q8_0": 0.03}[quant]


def test_the_engine_process_chooses_the_runner(made: Made, tmp_path: Path) -> None:
    case = made(NEW_BASES)
    ids = random_ids(case.config, 100)
    with Engine() as engine:
        info = engine.submit(Load(case.path, replace(EXACT, context=100))).result(300)
        assert (info.context, info.trained_context) == (100, TRAINED)
        engine.submit(Logits(tuple(ids), tmp_path / "logits.npy")).result(300)
        assert error(np.load(tmp_path / "logits.npy"), case.reference.replied(ids, [])) < ERROR
        info = engine.submit(Load(case.path, replace(EXACT, context=TRAINED))).result(300)
        assert info.context == TRAINED


def test_the_command_logits_needs_no_option(made: Made, tmp_path: Path) -> None:
    case, out = made(KEPT_BASE), tmp_path / "logits.npy"
    ids = random_ids(case.config, 600)
    done = zhiyin("logits", str(case.path), "--ids", ",".join(map(str, ids)), "--out", str(out))
    assert done.returncode == 0, done.stderr
    assert error(np.load(out), case.reference.replied(ids, [])) < ERROR


@pytest.fixture(scope="module")
def chat_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An InternLM2 with a true vocabulary and chat format."""
    folder = tmp_path_factory.mktemp("chat")
    config, weights = random_internlm2(**DYNAMIC | {"vocab_size": 500, "eos_token_id": 2})
    draw = RandomWeights(5)
    write_checkpoint(folder / "model", config, weights | {"output.weight": draw.matrix(500, 64)})
    (folder / "model" / "tokenizer.model").write_bytes(trained("bpe", 500, byte_fallback=True))
    described = {"chat_template": "{{ bos_token }}{% for m in messages %}{{ m.content }}\n{% endfor %}"}
    (folder / "model" / "tokenizer_config.json").write_text(json.dumps(described), "utf-8")
    return convert(ConvertRequest(folder / "model", folder / "chat.gguf", "F32")).path


def test_text_becomes_the_same_tokens_in_both_runners(chat_model: Path, opened: Open) -> None:
    theirs, both = opened(chat_model, context=TRAINED), opened(chat_model)
    assert isinstance(theirs, LlamaRunner)
    assert isinstance(both, GraphRunner)
    for text in ("hello world", "知音 é\n", "<s> a", ""):
        for add_special in (True, False):
            ids = both.tokenize(text, add_special=add_special, special=True)
            assert ids == theirs.tokenize(text, add_special=add_special, special=True)
    assert both.tokenize("a", add_special=True, special=True)[0] == 1
    texts = [(one.vocabulary.bos_text, one.vocabulary.eos_text, one.stop_texts) for one in (both, theirs)]
    assert texts[0] == texts[1]
    same = msgspec.structs.replace(both.info, context=TRAINED, seconds=0)
    assert same == msgspec.structs.replace(theirs.info, seconds=0)


def test_a_chat_grows_past_the_trained_length(chat_model: Path) -> None:
    messages: list[dict[str, str]] = []
    with Engine() as engine:
        engine.submit(Load(chat_model, replace(EXACT, context=300))).result(300)
        for number in range(3):
            messages.append({"role": "user", "content": f"hello world {number} " * 4})
            reply = engine.submit(Generate(tuple(messages), GREEDY)).result(300)
            messages.append({"role": "assistant", "content": reply.text})
        assert reply.prompt_tokens > 2 * TRAINED
        assert reply.reason in ("length", "end")


def test_the_command_logits_reads_a_long_text(chat_model: Path, tmp_path: Path) -> None:
    done = zhiyin("logits", str(chat_model), "--text", "hello world " * 200, "--out", str(tmp_path / "logits.npy"))
    assert done.returncode == 0, done.stderr
    assert len(np.load(tmp_path / "logits.npy")) > 512


def test_adapters_are_refused_with_the_way_out(made: Made, opened: Open) -> None:
    with pytest.raises(UnsupportedModel, match=f"Past {TRAINED} tokens .* merge the adapter"):
        opened(made(NEW_BASES).path).set_adapters((AdapterUse("some.gguf"),))


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        (b"transformers", b"transformerz", BadFile),
        (b"dynamic.trained_length", b"dynamic.trained_lengtz", BadFile),
        (b"dynamic.log_n", b"dynamic.log_m", BadFile),
        (b"attention.key_length", b"attention.key_lengtz", BadFile),
        (b"blk.1.attn_k.weight", b"blk.1.attn_z.weight", BadFile),
    ],
)
def test_a_damaged_file_is_refused(old: bytes, new: bytes, kind: type[Exception], made: Made, tmp_path: Path) -> None:
    damaged = tmp_path / "model.gguf"
    damaged.write_bytes(made(NEW_BASES).path.read_bytes().replace(old, new))
    with pytest.raises(kind, match=r"model\.gguf"):
        load_runner(damaged, EXACT, lambda part: None)


def test_architectures_that_the_graph_does_not_compute_are_refused(made: Made, tmp_path: Path) -> None:
    other = tmp_path / "model.gguf"
    other.write_bytes(made(NEW_BASES).path.read_bytes().replace(b"internlm2", b"chameleon"))
    with pytest.raises(UnsupportedModel, match="up to their trained length only"):
        load_runner(other, EXACT, lambda part: None)
