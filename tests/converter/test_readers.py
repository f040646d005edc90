"""Readers of untrusted files refuse whatever is not whole, quickly and in one sentence."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from converter.checkpoint.open import open_checkpoint
from converter.checkpoint.safetensors import SafetensorsFile
from converter.gguf_header import ArrayLength, read_gguf_header
from converter.pipeline import ConvertRequest, convert
from models.errors import BadFile, ZhiyinError
from tests.support.checkpoints import write_checkpoint, write_safetensors
from tests.support.random_llama import random_llama


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """One good file of each kind."""
    folder = tmp_path_factory.mktemp("whole")
    config, weights = random_llama(num_hidden_layers=1, vocab_size=32)
    source = write_checkpoint(folder / "tiny", config, weights)
    convert(ConvertRequest(source, folder / "tiny.gguf", "Q8_0", tokenizer="none"))
    return {
        "safetensors": (source / "model.safetensors").read_bytes(),
        "gguf": (folder / "tiny.gguf").read_bytes(),
    }


def read_all(kind: str, path: Path) -> None:
    if kind == "gguf":
        read_gguf_header(path)
        return
    file = SafetensorsFile(path)
    for name in file.tensors:
        file.read(name).sum(dtype=np.float64)
    file.close()


@pytest.mark.parametrize("kind", ["safetensors", "gguf"])
def test_every_truncation_is_refused(kind: str, whole: dict[str, bytes], tmp_path: Path) -> None:
    data = whole[kind]
    path = tmp_path / "cut"
    for length in [
        0,
        1,
        3,
        4,
        7,
        8,
        9,
        100,
        len(data) // 2,
        len(data) - 33,
        *random.Random(0).sample(range(len(data) - 33), 100),
    ]:
        path.write_bytes(data[:length])
        with pytest.raises(BadFile, match="cut"):
            read_all(kind, path)


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=1000)
@given(data=st.data(), kind=st.sampled_from(["safetensors", "gguf"]))
def test_mutations_end_well(data: st.DataObject, kind: str, whole: dict[str, bytes], tmp_path: Path) -> None:
    """A changed head is either still readable or refused by a sentence; nothing else escapes."""
    content = bytearray(whole[kind])
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, 1500))] = data.draw(st.integers(0, 255))
    path = tmp_path / "mutated"
    path.write_bytes(content)
    try:
        read_all(kind, path)
    except ZhiyinError as error:
        assert "mutated" in str(error)


def test_text_named_gguf(tmp_path: Path) -> None:
    path = tmp_path / "letter.gguf"
    path.write_text("Dear user, this is a letter.")
    with pytest.raises(BadFile, match="not a GGUF file"):
        read_gguf_header(path)


def test_arrays_can_be_left_out(whole: dict[str, bytes], starter_gguf: Path) -> None:
    metadata = read_gguf_header(starter_gguf, arrays=False).metadata
    assert metadata["tokenizer.ggml.tokens"] == ArrayLength(49152)
    assert metadata["general.architecture"] == "llama"


@pytest.mark.parametrize("dtype", [np.float32, np.float16, ml_dtypes.bfloat16])
def test_values_come_back_exactly(dtype: type, tmp_path: Path) -> None:
    values = np.random.default_rng(0).standard_normal((7, 5)).astype(dtype)
    write_safetensors(tmp_path / "a.safetensors", {"x": values, "y": values.T})
    file = SafetensorsFile(tmp_path / "a.safetensors")
    assert file.read("x").tobytes() == values.tobytes()
    assert file.read("y").tobytes() == values.T.tobytes()


def huge_gguf(pairs: int, array: bytes) -> bytes:
    pair = struct.pack("<Q", 1) + b"a" + array
    return b"GGUF" + struct.pack("<IQQ", 3, 0, pairs) + pair * pairs


@pytest.mark.parametrize(
    ("name", "data", "why"),
    [
        ("x.safetensors", lambda: struct.pack("<Q", 9_000_000) + b" " * 9_000_000, "a header of 9000000 bytes"),
        (
            "x.gguf",
            lambda: huge_gguf(1, struct.pack("<IIQ", 9, 0, 3_000_000) + bytes(3_000_000)),
            "longer than any vocabulary",
        ),
        (
            "x.gguf",
            lambda: huge_gguf(1, struct.pack("<IIQ", 9, 8, 3_000_000) + bytes(24_000_000)),
            "longer than any vocabulary",
        ),
        ("x.gguf", lambda: huge_gguf(70_000, struct.pack("<IB", 0, 1)), "claims 0 tensors and 70000 metadata"),
    ],
    ids=["header", "bytes", "texts", "pairs"],
)
def test_a_small_file_cannot_take_much_memory(name: str, data: Callable[[], bytes], why: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(data())
    with pytest.raises(BadFile, match=why):
        open_checkpoint(path)


def test_a_dimension_of_zero_hides_nothing(tmp_path: Path) -> None:
    gguf_file, safetensors_file = tmp_path / "x.gguf", tmp_path / "x.safetensors"
    tensor = struct.pack("<Q", 1) + b"a" + struct.pack("<I3QIQ", 3, 0, 1 << 62, 1 << 40, 0, 0)
    gguf_file.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, 1, 0) + tensor + bytes(64))
    header = b'{"a": {"dtype": "F32", "shape": [0, 4611686018427387904, 4], "data_offsets": [0, 0]}}'
    safetensors_file.write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(BadFile, match="dimensions that no file can hold"):
        open_checkpoint(gguf_file)
    with pytest.raises(BadFile, match="describes tensor a wrongly"):
        open_checkpoint(safetensors_file)
