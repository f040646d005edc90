"""Sentences and errors as data: filled in, and the same through the pipes of engine and worker and in a file."""

from __future__ import annotations

import errno
import json
import os
import pickle
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converter.gguf_header import read_gguf_header
from desktop_app.engine.client import Engine, EngineFailed
from desktop_app.engine.llama import runner
from desktop_app.engine.measurements import _write_array
from desktop_app.engine.protocol import Failed, Load, decode_event, encode_event
from desktop_app.engine.runner import OutOfMemory
from desktop_app.processes.worker import in_process
from models.errors import BadFile, UnsupportedModel, ZhiyinError, error_from_data, sentence_from_data
from models.sentence import Sentence, size_text
from models.system_errors import as_zhiyin_error

NESTED = BadFile(
    "{path} is refused, since {reason}; it has {names} of {size:size} and {part:.0%}.",
    path=Path("/models/茶.gguf"),
    reason=UnsupportedModel("{key!r} is {value:,}", key="a\n", value=1234, code="x"),
    names=("a", Sentence("b of {count}", count=2)),
    size=6_200_000_000,
    part=0.5,
)
WORDS = r"/models/茶.gguf is refused, since 'a\n' is 1,234; it has a, b of 2 of 6.2 GB and 50%."


def is_the_same(error: ZhiyinError) -> None:
    assert (type(error), error.code, error.template) == (BadFile, "bad-file", NESTED.template)
    assert error.data() == NESTED.data()
    reason = error.values["reason"]
    assert (type(reason), reason.code, reason.values["value"]) == (UnsupportedModel, "x", 1234)
    assert error.values["names"][1] == Sentence("b of {count}", count=2)
    assert str(error) == WORDS


def test_a_template_is_filled_in_with_its_values() -> None:
    is_the_same(NESTED)
    assert str(Sentence("{braces} stay where there are no values")) == "{braces} stay where there are no values"
    assert str(Sentence("{name} twice", name="a\u202eb\nc")) == r"a\u202eb\nc twice"
    assert len(str(Sentence("{name} is pasted", name="x" * 100_000))) < 1000
    assert [size_text(count) for count in (12_000, 3_400_000, 949_999_999, 950_000_000)] == [
        "12 kB",
        "3 MB",
        "950 MB",
        "0.9 GB",
    ]


def test_errors_go_through_json_and_pickle_with_what_is_in_them() -> None:
    is_the_same(error_from_data(json.loads(json.dumps(NESTED.data()))))
    is_the_same(pickle.loads(pickle.dumps(NESTED)))  # noqa: S301  (our own)
    note = Sentence("{error}", error=NESTED)
    again = sentence_from_data(json.loads(json.dumps(note.data())))
    assert again.data() == note.data()
    is_the_same(again.values["error"])
    assert pickle.loads(pickle.dumps(note)).data() == note.data()  # noqa: S301


def test_a_class_that_is_not_loaded_becomes_a_plain_error_with_its_code() -> None:
    error = error_from_data({**NESTED.data(), "class": "OfANewerZhiyin"})
    assert (type(error), error.code, str(error)) == (ZhiyinError, "bad-file", WORDS)


def test_errors_go_through_the_engines_protocol() -> None:
    number, event = decode_event(encode_event(7, Failed(NESTED.data())))
    assert number == 7
    assert isinstance(event, Failed)
    is_the_same(error_from_data(event.error))
    assert type(error_from_data(event.error, EngineFailed)) is EngineFailed


def test_the_engine_tells_code_template_and_values(tmp_path: Path) -> None:
    bad = tmp_path / "茶 {x}.gguf"
    bad.write_bytes(b"no model")
    with Engine() as engine, pytest.raises(EngineFailed) as caught:
        engine.submit(Load(bad)).result(60)
    assert caught.value.code == "bad-file"
    assert caught.value.template.startswith("{path} is not a GGUF file")
    assert caught.value.values == {"path": str(bad)}


def fail(tell: Callable[[Any], None], cancelled: Callable[[], bool]) -> None:
    raise NESTED


def tell_notes(tell: Callable[[Any], None], cancelled: Callable[[], bool]) -> Sentence:
    tell(Sentence("{error}", error=NESTED))
    return Sentence("{size:size}", size=5)


def test_a_worker_tells_errors_and_sentences() -> None:
    with pytest.raises(BadFile) as caught:
        in_process(fail, lambda _: None, threading.Event())
    is_the_same(caught.value)
    told: list[Sentence] = []
    assert in_process(partial(tell_notes), told.append, threading.Event()) == Sentence("{size:size}", size=5)
    is_the_same(told[0].values["error"])


@pytest.mark.parametrize(
    ("raised", "code", "words"),
    [
        (NESTED, "bad-file", WORDS),
        (MemoryError(), "out-of-memory", "There is too little free memory for this"),
        (
            OSError(28, "No space left on device", "/a\nb"),
            "no-room",
            r"/a\nb cannot be written, because the disk is full",
        ),
        (KeyError("x"), "internal", "Zhiyin made a mistake (KeyError('x'))"),
    ],
)
def test_any_exception_becomes_an_error_for_the_user(raised: Exception, code: str, words: str) -> None:
    error = as_zhiyin_error(raised)
    assert error.code == code
    assert str(error).startswith(words)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no limit of a file's size")
def test_a_file_that_the_user_named_is_told_by_its_errno_and_not_sent_to_another_folder_of_ours(
    tmp_path: Path,
) -> None:
    import resource

    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, limits[1]))
    try:
        with pytest.raises(BadFile) as caught:
            _write_array(tmp_path / "x.npy", np.zeros(10_000, np.float32))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert str(caught.value) == (
        f"{tmp_path / 'x.npy'} cannot be written, because its disk takes no files of that size; choose another place."
    )
    assert list(tmp_path.iterdir()) == []


def test_arrays_are_written_as_numpy_writes_them(tmp_path: Path) -> None:
    array = np.arange(12, dtype=np.float32).reshape(3, 4).T
    _write_array(tmp_path / "x.npy", array)
    assert np.array_equal(np.load(tmp_path / "x.npy"), array)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EMFILE, "Too many files are open here"),
        (errno.ENOMEM, "There is too little free memory"),
        (errno.ENOSPC, "The disk is full"),
    ],
)
def test_what_the_system_refuses_without_a_file_is_told_by_its_errno(number: int, words: str) -> None:
    assert words in str(as_zhiyin_error(OSError(number, os.strerror(number))))


@pytest.mark.parametrize(
    "said", ["mmap failed: Cannot allocate memory", "error loading model vocabulary: std::bad_alloc"]
)
def test_a_limit_of_memory_is_not_blamed_on_the_file(
    said: str, starter_gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "log_lines", [f"llama_model_load: error loading model: {said}"])
    assert isinstance(runner._load_error(read_gguf_header(starter_gguf)), OutOfMemory)
