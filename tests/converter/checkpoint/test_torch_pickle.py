"""PyTorch's files: every dtype, views, and nothing but tensors."""

from __future__ import annotations

import pickle
import random
import struct
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from converter.checkpoint.safe_pickle import DamagedPickle, load_pickle_bytes
from converter.checkpoint.torch_pickle import TorchPickleFile
from converter.pipeline import ConvertRequest, convert
from models.errors import BadFile, ZhiyinError
from tests.support.checkpoints import write_checkpoint
from tests.support.random_llama import random_llama
from tests.support.torch_files import number, tensor_pickle, text, write_pickle, write_torch, write_torch_checkpoint

SAVED = Path(__file__).parents[2] / "data" / "torch"
BASE = np.arange(60, dtype=np.float32).reshape(6, 10)
PLAIN = ["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool"]


@pytest.mark.parametrize("file", ["plain_zip.bin", "plain_legacy.bin"])
def test_what_torch_saved(file: str) -> None:
    """Files of torch 2.13 in both formats (see make.py there)."""
    opened = TorchPickleFile(SAVED / file)
    for name in [*PLAIN, *(["float8_e4m3fn", "float8_e5m2", "uint16"] if "zip" in file else [])]:
        kind = np.dtype(getattr(ml_dtypes, name)) if hasattr(ml_dtypes, name) else np.dtype(name)
        assert opened.tensors[name].dtype == kind
        np.testing.assert_array_equal(opened.read(name), np.arange(6).reshape(2, 3).astype(kind))
    wanted = {"shared_a": BASE, "shared_b": BASE[2:4], "strided": BASE.T, "step": BASE[::2, 1::3], "parameter": BASE[0]}
    for name, values in wanted.items():
        np.testing.assert_array_equal(opened.read(name), values)
        np.testing.assert_array_equal(np.asarray(opened.rows(name)[1:2]), values[1:2])
    assert opened.read("scalar") == 3.5
    assert opened.read("empty").shape == (0, 4)
    opened.close()


@pytest.mark.parametrize("file", sorted((SAVED / "forms").glob("*.bin")), ids=lambda path: path.stem)
def test_forms_that_people_save(file: Path) -> None:
    """Both formats, every protocol, parameters, views, and what training programs wrap weights in (see make.py there)."""
    opened = TorchPickleFile(file)
    np.testing.assert_array_equal(opened.read("a.weight"), BASE[:4, :6])
    np.testing.assert_array_equal(np.asarray(opened.rows("b.weight")[1:3]), BASE[0, 1:3])
    assert set(opened.tensors) <= {"a", "a.weight", "b.weight"}
    opened.close()


def test_the_weights_inside_a_training_checkpoint() -> None:
    opened = TorchPickleFile(SAVED / "module_zip.pt")
    assert {name: tensor.shape for name, tensor in opened.tensors.items()} == {"weight": (2, 3), "bias": (2,)}


@pytest.mark.parametrize("shards", [1, 2])
def test_a_bin_checkpoint_gives_the_same_file_as_safetensors(shards: int, tmp_path: Path) -> None:
    config, weights = random_llama(num_hidden_layers=1)
    weights = {name: array.astype(ml_dtypes.bfloat16) for name, array in weights.items()}
    folders = {kind: tmp_path / kind / "tiny" for kind in ("safe", "torch")}
    write_checkpoint(folders["safe"], config, weights)
    write_torch_checkpoint(folders["torch"], config, weights, shards=shards)
    made = []
    for kind, folder in folders.items():
        convert(ConvertRequest(folder, tmp_path / f"{kind}.gguf", "Q8_0", tokenizer="none"))
        made.append((tmp_path / f"{kind}.gguf").read_bytes())
    assert made[0] == made[1]


def test_a_single_file_is_a_source(tmp_path: Path) -> None:
    config, weights = random_llama(num_hidden_layers=1)
    folder = write_checkpoint(tmp_path / "tiny", config, weights)
    (folder / "model.safetensors").unlink()
    write_torch(folder / "weights.pth", weights)
    out = tmp_path / "out.gguf"
    assert convert(ConvertRequest(folder / "weights.pth", out, "Q8_0", tokenizer="none")).size == out.stat().st_size


class Attack:
    def __init__(self, *call: object) -> None:
        self.call = call

    def __reduce__(self) -> tuple:
        return self.call[0], tuple(self.call[1:])


@pytest.mark.parametrize(
    ("attack", "named"),
    [
        (Attack(eval, "open('pwned', 'w')"), ".eval"),
        (Attack(getattr, 1, "real"), ".getattr"),
        (Attack(Path, "pwned"), "pathlib"),
        (Attack(bytearray, 1 << 40), ".bytearray"),
        ({1, 2}, "set"),
        (random.Random(0), "random"),
    ],
)
@pytest.mark.parametrize("protocol", [2, 4])
def test_other_classes_are_refused_by_name(attack: object, named: str, protocol: int, tmp_path: Path) -> None:
    path = tmp_path / "evil.bin"
    write_pickle(path, pickle.dumps({"weight": attack}, protocol))
    with pytest.raises(BadFile) as caught:
        TorchPickleFile(path)
    assert named in str(caught.value).lower()
    assert not Path("pwned").exists()


@pytest.mark.parametrize(
    "bomb",
    [
        b"\x80\x02Nr\xff\xff\xff\x7f.",  # a memo index of two thousand million
        b"\x80\x05\x96" + b"\xff" * 7 + b"\x00.",  # a bytearray of 2**56
        b"\x80\x02)" + b"\x85" * 200_000 + b"}" + b"q\x00h\x00Ns.",  # nested so deeply that hashing would overflow
        b"\x80\x02}" + b"(" + b")" + b"\x85" * 200_000 + b"Nu.",
        b"\x80\x02\x8b\xff\xff\xff\x7f",  # a number of 2**31 bytes
        b"\x80\x02Q.",
        b"",
    ],
)
def test_bombs(bomb: bytes, tmp_path: Path) -> None:
    path = tmp_path / "bomb.bin"
    write_pickle(path, bomb)
    with pytest.raises(BadFile, match=r"bomb\.bin"):
        TorchPickleFile(path)


@pytest.mark.parametrize("opcode", [b"]", b"\x94"], ids=["lists", "memo"])
def test_a_short_pickle_cannot_take_much_memory(opcode: bytes) -> None:
    framed = b"\x80\x04\x95" + struct.pack("<Q", 1_200_002) + b"]" + opcode * 1_200_000 + b"."
    with pytest.raises(DamagedPickle, match="absurdly long"):
        load_pickle_bytes(framed, {}, lambda _: None)


def test_a_view_cannot_leave_its_storage(tmp_path: Path) -> None:
    weights = {"w": np.zeros((4, 4), np.float32)}
    path = tmp_path / "w.bin"
    good = tensor_pickle(weights)
    for bad in (good.replace(number(0), number(1), 1), good.replace(number(4), number(400))):
        assert bad != good
        write_torch(path, weights)
        data = path.read_bytes()
        assert good in data
        path.write_bytes(data.replace(good, bad))
        with pytest.raises(BadFile, match=r"w\.bin"):
            TorchPickleFile(path)


def test_a_text_file(tmp_path: Path) -> None:
    (tmp_path / "letter.bin").write_text("Dear user, this is a letter.")
    with pytest.raises(BadFile, match=r"letter\.bin"):
        TorchPickleFile(tmp_path / "letter.bin")


@pytest.mark.parametrize("file", ["plain_zip.bin", "plain_legacy.bin", "module_zip.pt"])
def test_mutations_end_well(file: str, tmp_path: Path) -> None:
    """Changed bytes and truncations: tensors or one sentence, nothing else."""
    good = (SAVED / file).read_bytes()
    rng = random.Random(1)
    path = tmp_path / "mutated.bin"
    for _ in range(700):
        data = bytearray(good)
        for _ in range(rng.randint(1, 8)):
            data[rng.randrange(len(data))] = rng.choice((rng.randrange(256), 0, 255, *b"R}(cQ.t"))
        path.write_bytes(data[: rng.randint(0, len(data)) if rng.random() < 0.2 else None])
        try:
            opened = TorchPickleFile(path)
            for name in opened.tensors:
                opened.read(name).astype(np.float32)
        except ZhiyinError as error:
            assert "mutated" in str(error)


def test_names_in_messages_are_short(tmp_path: Path) -> None:
    path = tmp_path / "long.bin"
    write_pickle(path, b"\x80\x02cmodule\n" + b"x" * 100_000 + b"\n.")
    with pytest.raises(BadFile) as caught:
        TorchPickleFile(path)
    assert len(str(caught.value)) < 500 + len(str(path))
    write_pickle(path, b"\x80\x02}" + text("w") + b"Ns.")
    with pytest.raises(BadFile, match="no tensors"):
        TorchPickleFile(path)
