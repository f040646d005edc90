"""The real engine process with the starter model: loading, streaming, stopping, dying, coming back."""

from __future__ import annotations

import io
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import pytest

from converter.pipeline import ConvertRequest, convert
from desktop_app.engine import client, protocol
from desktop_app.engine.client import Engine, EngineDied, EngineExit, EngineFailed
from desktop_app.engine.protocol import Devices, Generate, Load, LoadSettings, Logits, Prompt, SamplingSettings, Text
from desktop_app.engine.results import AnyResult, Reply
from desktop_app.engine.server import EngineProcess
from desktop_app.paths import log_file
from tests.support.checkpoints import write_checkpoint
from tests.support.graph_models import graph_case
from tests.support.random_llama import random_llama

GREEDY = SamplingSettings(temperature=0, max_tokens=24)


@pytest.fixture(scope="module")
def engine(starter_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZHIYIN_HOME", str(tmp_path_factory.mktemp("engine")))
        with Engine() as running:
            running.submit(Load(starter_gguf, LoadSettings(context=1024))).result(60)
            yield running


def question(text: str, sampling: SamplingSettings = GREEDY) -> Generate:
    return Generate(({"role": "user", "content": text},), sampling)


def reply_of(engine: Engine, request: Generate) -> Reply:
    return engine.submit(request).result(60)


def test_load_describes_the_model(starter_gguf: Path, engine: Engine) -> None:
    info = engine.submit(Load(starter_gguf, LoadSettings(context=1024))).result(60)
    assert info.architecture == "llama"
    assert info.parameters == 134_515_008
    assert info.vocabulary_size == 49152
    assert (info.context, info.trained_context) == (1024, 8192)
    assert info.file_type == "Q4_1"
    assert info.chat


def test_text_streams_and_adds_up(engine: Engine) -> None:
    pieces: list[str] = []
    job = engine.submit(
        question("Tell me a long story.", SamplingSettings(temperature=0, max_tokens=96)),
        lambda update: pieces.append(update.text) if isinstance(update, Text) else None,
    )
    reply = job.result(60)
    assert len(pieces) >= 3  # thirty a second at most: a fast computer writes all in a tenth of one
    assert "".join(pieces) == reply.text


def test_greedy_replies_repeat_and_seeds_matter(engine: Engine) -> None:
    first, second = (reply_of(engine, question("Tell me about rain.")).text for _ in range(2))
    assert first == second
    drawn = [
        reply_of(
            engine, question("Tell me about rain.", SamplingSettings(temperature=1.5, seed=seed, max_tokens=24))
        ).text
        for seed in (1, 1, 2)
    ]
    assert drawn[0] == drawn[1] != drawn[2]


def test_a_follow_up_reuses_the_cache(engine: Engine) -> None:
    messages = [{"role": "user", "content": "Name a colour."}]
    first = engine.submit(Generate(tuple(messages), GREEDY)).result(60)
    messages += [{"role": "assistant", "content": first.text}, {"role": "user", "content": "Another one."}]
    second = engine.submit(Generate(tuple(messages), GREEDY)).result(60)
    assert second.reused_tokens >= first.prompt_tokens
    fresh = engine.submit(Generate(tuple(messages), GREEDY)).result(60)
    assert fresh.text == second.text


def test_max_tokens_and_stop_texts(engine: Engine) -> None:
    reply = reply_of(engine, question("Write a story.", SamplingSettings(temperature=0, max_tokens=5)))
    assert (reply.reason, reply.tokens) == ("length", 5)
    whole = reply_of(engine, question("Write a story.")).text
    stop = whole[20:26]
    cut = reply_of(engine, question("Write a story.", SamplingSettings(temperature=0, max_tokens=24, stop=(stop,))))
    assert cut.reason == "stop"
    assert cut.text == whole[: whole.index(stop)]


def test_repeat_penalty_changes_the_reply(engine: Engine) -> None:
    plain = reply_of(engine, question("Repeat the word tea for ever.")).text
    penalized = SamplingSettings(temperature=0, max_tokens=24, repeat_penalty=1.8)
    assert reply_of(engine, question("Repeat the word tea for ever.", penalized)).text != plain


@pytest.mark.parametrize("phase", ["prompt", "reply"])
def test_stop_is_quick(phase: str, engine: Engine) -> None:
    """A running request ends soon after it is cancelled, while it reads the prompt and while it writes."""
    content = "Tell me a very long story. " * (120 if phase == "prompt" else 1)
    started = threading.Event()
    request = question(content, SamplingSettings(temperature=0.8, seed=1))
    job = engine.submit(request, lambda update: started.set() if isinstance(update, Text) else None)
    if phase == "reply":
        assert started.wait(60)
    else:
        time.sleep(0.2)
    begin = time.perf_counter()
    job.cancel()
    reply = job.result(60)
    waited = time.perf_counter() - begin
    assert reply.reason == "cancelled"
    print(f"stopped {waited * 1000:.0f} ms after the request ({phase})")
    assert reply_of(engine, question("Hello")).text, "the engine works on after a stop"


def test_a_full_context_is_said(starter_gguf: Path, engine: Engine) -> None:
    engine.submit(Load(starter_gguf, LoadSettings(context=256))).result(60)
    with pytest.raises(EngineFailed, match="256") as caught:
        reply_of(engine, question("word " * 2000))
    assert caught.value.code == "context-full"
    endless = SamplingSettings(temperature=1.2, seed=3, repeat_penalty=1.3)
    reply = reply_of(engine, question("word " * 190, endless))
    assert reply.reason in ("full", "end")
    engine.submit(Load(starter_gguf, LoadSettings(context=1024))).result(60)


def test_tokenize_and_prompt(engine: Engine) -> None:
    ids = engine.submit(protocol.Tokenize("Hello world")).result(60).ids
    assert ids == [19556, 905]
    prompt = engine.submit(protocol.Prompt(({"role": "user", "content": "Hi"},))).result(60).prompt
    assert prompt.endswith("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n")


def test_ids_out_of_range_are_refused(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(EngineFailed, match="49151"):
        engine.submit(protocol.Logits((1, 49152), tmp_path / "x.npy")).result(60)


def test_a_saved_state_is_taken_up(starter_gguf: Path, engine: Engine, tmp_path: Path) -> None:
    request = question("What is tea?")
    wanted = reply_of(engine, request)
    size = engine.submit(protocol.SaveState(tmp_path / "state")).result(60).bytes
    assert size == (tmp_path / "state").stat().st_size
    engine.submit(Load(starter_gguf, LoadSettings(context=1024))).result(60)
    engine.submit(protocol.LoadState(tmp_path / "state")).result(60)
    again = reply_of(engine, request)
    assert again.text == wanted.text
    assert again.reused_tokens == wanted.prompt_tokens - 1


@pytest.mark.skipif(sys.platform != "linux", reason="limits another process's files")
def test_a_state_that_cannot_be_written_leaves_the_earlier_one(engine: Engine, tmp_path: Path) -> None:
    import resource

    path = tmp_path / "state"
    path.write_bytes(b"before")
    pid = engine.pid
    assert pid is not None
    reply_of(engine, question("What is tea?"))
    limits = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (4096, limits[1]))
    try:
        for wrong in (path, tmp_path / "missing" / "state"):
            with pytest.raises(EngineFailed, match=re.escape(f"could not be written to {wrong};")):
                engine.submit(protocol.SaveState(wrong)).result(60)
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("content", [b"", b"GGUF", b"plain text", b"GGUF\x03\x00\x00\x00" + b"\xff" * 64])
def test_a_bad_file_is_refused_and_the_engine_lives(
    content: bytes, engine: Engine, starter_gguf: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.gguf"
    bad.write_bytes(content)
    with pytest.raises(EngineFailed, match=r"bad\.gguf") as caught:
        engine.submit(Load(bad)).result(60)
    assert caught.value.code == "bad-file"
    engine.submit(Load(starter_gguf, LoadSettings(context=1024))).result(60)


def test_a_truncated_file_is_refused(engine: Engine, starter_gguf: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.gguf"
    with starter_gguf.open("rb") as file:
        cut.write_bytes(file.read(20_000_000))
    with pytest.raises(EngineFailed, match="truncated"):
        engine.submit(Load(cut)).result(60)
    engine.submit(Load(starter_gguf, LoadSettings(context=1024))).result(60)


def test_a_mistake_of_the_engines_own_is_one_sentence_and_its_log_has_the_rest() -> None:
    with Engine() as fresh:
        with pytest.raises(EngineFailed, match=r"a mistake of its own; try again, .*engine\.log") as caught:
            fresh.submit(Load(5)).result(60)  # type: ignore[arg-type]  # a path that is none
        assert caught.value.code == "internal"
        assert "Error" not in str(caught.value)
        assert "Traceback" in log_file("engine").read_text("utf-8")
        assert fresh.submit(Devices()).result(60).backends


def test_requests_without_a_model_are_refused() -> None:
    with Engine() as fresh, pytest.raises(EngineFailed, match="No model is loaded"):
        fresh.submit(protocol.Tokenize("x")).result(60)


@pytest.mark.skipif(os.name == "nt", reason="kills as POSIX does")
@pytest.mark.parametrize(
    ("signal_number", "said"),
    [(signal.SIGKILL, "memory"), (signal.SIGABRT, "SIGABRT"), (signal.SIGILL, "built for every processor")],
)
def test_a_killed_engine_is_noticed_and_comes_back(signal_number: int, said: str, starter_gguf: Path) -> None:
    exits: list[EngineExit] = []
    with Engine(exits.append) as engine:
        engine.submit(Load(starter_gguf, LoadSettings(context=512))).result(60)
        writing = threading.Event()
        job = engine.submit(
            question("Tell me a very long story.", SamplingSettings(temperature=1)),
            lambda update: writing.set() if isinstance(update, Text) else None,
        )
        assert writing.wait(60)
        pid = engine.pid
        assert pid is not None
        os.kill(pid, signal_number)
        with pytest.raises(EngineDied, match=said):
            job.result(60)
        assert reply_of(engine, question("Hello")).text, "the model is loaded again by itself"
        assert [exit_.code for exit_ in exits] == [-signal_number]
    assert len(exits) == 1, "closing is no accident"


@pytest.mark.skipif(os.name == "nt", reason="Windows shortens no mapped file")
@pytest.mark.parametrize("kind", ["llama.cpp", "graph"])
def test_a_model_that_is_shortened_while_it_is_used_is_named(kind: str, tmp_path: Path) -> None:
    """Its pages are mapped: the system ends the process that touches one behind the file's end."""
    path = tmp_path / "tiny.gguf"
    if kind == "graph":
        path = graph_case("rwkv4", tmp_path).path
    else:
        checkpoint = write_checkpoint(tmp_path / "tiny", *random_llama(vocab_size=512, num_hidden_layers=2))
        convert(ConvertRequest(checkpoint, path, "F32", tokenizer="none"))
    exits: list[EngineExit] = []
    with Engine(exits.append) as engine:
        engine.submit(Load(path, LoadSettings(context=64, batch=64))).result(60)
        os.truncate(path, 4096)
        with pytest.raises(EngineDied, match="changed or shortened") as died:
            engine.submit(Logits((1, 2, 3), tmp_path / "logits.npy")).result(60)
        assert died.value.values["path"] == str(path)
        with pytest.raises(EngineFailed, match="No model is loaded"):
            engine.submit(Logits((1, 2, 3), tmp_path / "logits.npy")).result(60)
    assert [exit_.code for exit_ in exits] == [-signal.SIGBUS]


@pytest.mark.skipif(os.name == "nt", reason="asks /proc or kill(0)")
def test_closing_ends_the_process(starter_gguf: Path) -> None:
    engine = Engine()
    engine.submit(protocol.Devices()).result(60)
    pid = engine.pid
    assert pid is not None
    engine.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_process_that_is_left_ends_by_itself() -> None:
    engine = Engine()
    engine.submit(protocol.Devices()).result(60)
    process = engine._process
    assert process is not None
    engine.leave()
    assert process.wait(60) == 0


NOT_MESSAGES = {
    "no JSON": "b'Segmentation fault\\n'",
    "no text": "b'\\xff\\n'",
    "an event of no kind": """b'{"id":1,"event":{"kind":"unheard-of"}}\\n'""",
    "a result without its fields": """b'{"id":1,"event":{"kind":"done","result":{"kind":"Reply"}}}\\n'""",
    "deeply nested": """b'{"id":1,"event":{"kind":"failed","cause":"","error":{"a":' + b'[' * 100_000 + b'\\n'""",
    "no end": "b'x' * (1 << 21)",
}


def speak(monkeypatch: pytest.MonkeyPatch, answer: str, then: str) -> None:
    """Let a process stand for the engine that writes bytes, whatever it is asked."""
    code = f"import os, sys, time; sys.stdout.buffer.write({answer}); sys.stdout.buffer.flush(); {then}"

    def start(mode: str, log: Any, environment: Any = None) -> subprocess.Popen[bytes]:
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": log}
        return subprocess.Popen([sys.executable, "-c", code], **pipes)

    monkeypatch.setattr(client, "start", start)


@pytest.mark.parametrize("answer", NOT_MESSAGES.values(), ids=NOT_MESSAGES)
def test_an_answer_that_is_no_message_ends_the_engine_in_one_sentence(
    answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "LONGEST_LINE", 1 << 20)
    exits: list[EngineExit] = []
    with Engine(exits.append) as engine:
        speak(monkeypatch, answer, "time.sleep(600)")
        with pytest.raises(EngineDied, match=r"answer that cannot be read.* Nothing of the chat is lost\.$"):
            engine.submit(Devices()).result(60)
        monkeypatch.undo()
        assert len(exits) == 1
        assert engine.submit(Devices()).result(60).devices, "the next request starts it again"


def test_a_death_in_the_middle_of_a_line_is_a_death(monkeypatch: pytest.MonkeyPatch) -> None:
    speak(monkeypatch, """b'{"id":1,"event":{"kind"'""", "os._exit(3)")
    with Engine() as engine, pytest.raises(EngineDied, match="code 3"):
        engine.submit(Devices()).result(60)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere every name of a file is Unicode")
def test_a_file_whose_name_is_no_utf8_is_a_file_as_any_other(starter_gguf: Path, tmp_path: Path) -> None:
    """Archives that were made under Windows in China unpack to names in GBK."""
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + "/\u8c46\u5305".encode("gbk")))
    folder.mkdir()
    model, out, state = (folder / name for name in ("a.gguf", "logits.npy", "state"))
    model.symlink_to(starter_gguf)
    with Engine() as fresh:
        assert fresh.submit(Load(model, LoadSettings(context=256))).result(60).path == model
        assert reply_of(fresh, question("Hello")).text
        fresh.submit(protocol.SaveState(state)).result(60)
        fresh.submit(protocol.LoadState(state)).result(60)
        fresh.submit(protocol.Logits((1, 2), out)).result(60)
    assert np.load(out).shape == (2, 49152)


def test_half_a_surrogate_pair_is_sent_as_a_question_mark(engine: Engine) -> None:
    plain, broken = (
        engine.submit(Prompt(({"role": "user", "content": f"a{end}"},))).result(60).prompt for end in ("?", "\udc80")
    )
    assert plain == broken


def test_events_are_typed() -> None:
    event = Text("你好\n\u2028")
    line = protocol.encode_event(3, event)
    assert line.count(b"\n") == 1
    assert protocol.decode_event(line) == (3, event)
    request = Generate(({"role": "user", "content": "é"},), SamplingSettings(stop=("a", "b")))
    assert protocol.decode_request(protocol.encode_request(7, request)) == (7, request)


def test_a_request_that_cannot_be_written_is_no_job(engine: Engine) -> None:
    with pytest.raises(TypeError):
        engine.submit(Generate(({"role": "user", "content": object()},)))
    assert engine.submit(protocol.Tokenize("Hello world")).result(60).ids == [19556, 905], "the model stays loaded"
    assert engine._jobs == {}


@pytest.mark.parametrize("request_type", get_args(protocol.AnyRequest), ids=lambda request_type: request_type.__name__)
def test_every_request_is_answered_with_its_type_of_result(request_type: type[protocol.Request[Any]]) -> None:
    (base,) = request_type.__orig_bases__  # type: ignore[attr-defined]
    (result,) = get_args(base)
    assert result in get_args(AnyResult) or result is type(None)
    # Cancel is answered at once, by the thread that reads requests; replies by the scheduler, when they end.
    if request_type not in (protocol.Cancel, Generate, protocol.Complete):
        handler = EngineProcess(io.BytesIO(), io.BytesIO())._handlers[request_type]
        assert get_type_hints(handler) == {"number": int, "request": request_type, "return": result}
