"""GGUF files as sources, importance matrices, chosen types, split files, verification."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import gguf
import ml_dtypes
import numpy as np
import pytest

from converter.checkpoint.gguf_file import GGUFFile
from converter.checkpoint.open import open_checkpoint
from converter.ggml import quantize
from converter.importance import read_importance
from converter.pipeline import ConvertRequest, convert
from models.errors import BadFile, ZhiyinError
from models.sentence import Sentence
from tests.support.checkpoints import write_checkpoint, write_safetensors
from tests.support.random_gguf import write_mixture
from tests.support.random_llama import random_llama


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config, weights = random_llama(hidden_size=256, intermediate_size=512, vocab_size=320)
    return write_checkpoint(tmp_path_factory.mktemp("source") / "tiny", config, weights)


def made(source: Path, out: Path, quant: str, **options: object) -> Path:
    return convert(ConvertRequest(source, out, quant, tokenizer="none", **options)).path  # type: ignore[arg-type]


def contents(path: Path) -> dict[str, tuple[str, bytes]]:
    file = GGUFFile(path)
    return {name: (type_.name, file.encoded(name).tobytes()) for name, type_ in file.types.items()}


@pytest.mark.parametrize("quant", ["Q4_K_M", "Q8_0", "IQ4_XS", "F16"])
def test_f32_gguf_gives_what_the_checkpoint_gives(quant: str, source: Path, tmp_path: Path) -> None:
    wide = made(source, tmp_path / "wide.gguf", "F32")
    again, direct = made(wide, tmp_path / "again.gguf", quant), made(source, tmp_path / "direct.gguf", quant)
    assert contents(again) == contents(direct)
    a, b = (gguf.GGUFReader(path).fields for path in (again, direct))
    assert a.keys() == b.keys()
    assert all(a[key].contents() == b[key].contents() and a[key].types == b[key].types for key in a if key[0] != "G")


def test_q8_0_is_near_enough_to_the_original(source: Path, tmp_path: Path) -> None:
    eight = made(source, tmp_path / "eight.gguf", "Q8_0")
    again = gguf.GGUFReader(made(eight, tmp_path / "again.gguf", "Q5_K_M"))
    _, weights = random_llama(hidden_size=256, intermediate_size=512, vocab_size=320)
    wanted = weights["model.layers.0.mlp.up_proj.weight"]
    tensor = next(tensor for tensor in again.tensors if tensor.name == "blk.0.ffn_up.weight")
    assert (
        np.abs(gguf.quants.dequantize(tensor.data, tensor.tensor_type) - wanted).mean() < 0.06 * np.abs(wanted).mean()
    )


def test_a_second_loss_must_be_insisted_on(source: Path, tmp_path: Path) -> None:
    four = made(source, tmp_path / "model-Q4_0.gguf", "Q4_0")
    with pytest.raises(ZhiyinError, match="--allow-requantize"):
        made(four, tmp_path / "again.gguf", "Q5_0")
    assert contents(made(four, tmp_path / "same.gguf", "Q4_0", allow_requantize=True)) == contents(four)
    again = made(four, tmp_path / "again.gguf", "Q3_K_S", allow_requantize=True)
    assert contents(again)["blk.0.ffn_up.weight"][0] == "Q3_K"


def test_the_customary_name(source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wide = made(source, tmp_path / "tiny-0.1M-F32.gguf", "F32")
    monkeypatch.chdir(tmp_path)
    assert convert(ConvertRequest(wide, quant="Q8_0")).path.name == "tiny-0.1M-Q8_0.gguf"


def test_split_and_merged_again(source: Path, tmp_path: Path) -> None:
    whole = made(source, tmp_path / "whole.gguf", "Q8_0")
    result = convert(ConvertRequest(source, tmp_path / "cut.gguf", "Q8_0", tokenizer="none", split_max_size=400_000))
    assert [path.name for path in result.parts[:2]] == [f"cut-0000{n}-of-0000{len(result.parts)}.gguf" for n in (1, 2)]
    assert result.path == result.parts[0]
    assert sum(path.stat().st_size for path in result.parts) == result.size
    assert contents(result.parts[1]) == contents(whole)
    fields = gguf.GGUFReader(result.path).fields
    assert fields["split.count"].types == [gguf.GGUFValueType.UINT16]
    assert fields["split.tensors.count"].contents() == len(contents(whole))
    assert made(result.path, tmp_path / "merged.gguf", "Q8_0").read_bytes() == whole.read_bytes()
    result.parts[-1].unlink()
    with pytest.raises(BadFile, match=result.parts[-1].name):
        GGUFFile(result.path)


def test_chosen_types(source: Path, tmp_path: Path) -> None:
    chosen = ("attn_v=q8_0", r"blk\.1\.ffn_up=F16", "norm=Q4_0", "ffn_gate=Q4_K")
    types = {
        name: kind
        for name, (kind, _) in contents(made(source, tmp_path / "a.gguf", "Q4_0", tensor_types=chosen)).items()
    }
    assert types["blk.0.attn_v.weight"] == types["blk.1.attn_v.weight"] == "Q8_0"
    assert (types["blk.0.ffn_up.weight"], types["blk.1.ffn_up.weight"]) == ("Q4_0", "F16")
    assert types["blk.0.attn_norm.weight"] == "F32"
    assert types["blk.0.ffn_gate.weight"] == "Q4_K"


@pytest.mark.parametrize("text", ["attn_v", "=Q8_0", "attn_v=", "attn_v=Q9", "(=Q8_0"])
def test_chosen_types_that_are_none(text: str, source: Path, tmp_path: Path) -> None:
    with pytest.raises(ZhiyinError, match="--tensor-type"):
        made(source, tmp_path / "a.gguf", "Q4_0", tensor_types=(text,))


def legacy_matrix(values: dict[str, np.ndarray], calls: int) -> bytes:
    data = struct.pack("<i", len(values))
    for name, array in values.items():
        data += struct.pack("<i", len(name)) + name.encode() + struct.pack("<ii", calls, array.size)
        data += (array * calls).astype("<f4").tobytes()
    return data + struct.pack("<i", 7) + struct.pack("<i", 4) + b"text"


def test_importance_reaches_every_expert(tmp_path: Path) -> None:
    """Both formats; each expert is quantized with its own weights."""
    mixture = write_mixture(tmp_path / "mixture.gguf", 4, layers=1)
    rng = np.random.default_rng(0)
    name = "blk.0.ffn_up_exps.weight"
    weights = rng.random((4, 256), np.float32)
    (tmp_path / "old.dat").write_bytes(legacy_matrix({name: weights}, 4))
    writer = gguf.GGUFWriter(tmp_path / "new.gguf", "")
    writer.add_array("imatrix.datasets", ["text"])
    writer.add_uint32("imatrix.chunk_count", 7)
    writer.add_tensor(f"{name}.in_sum2", weights * 8)
    writer.add_tensor(f"{name}.counts", np.full((4, 1), 8, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    original = GGUFFile(mixture).read(name)
    for matrix in ("old.dat", "new.gguf"):
        out = made(mixture, tmp_path / "out.gguf", "IQ4_NL", imatrix=tmp_path / matrix)
        found = GGUFFile(out).encoded(name).reshape(4, 256, -1)
        for expert in range(4):
            wanted = np.empty_like(found[expert])
            quantize(original[expert], gguf.GGMLQuantizationType.IQ4_NL, wanted, weights[expert])
            assert np.array_equal(found[expert], wanted)
        fields = gguf.GGUFReader(out).fields
        assert fields["quantize.imatrix.dataset"].contents() == "text"
        assert fields["quantize.imatrix.chunks_count"].contents() == 7


def test_importance_of_another_model(tmp_path: Path) -> None:
    mixture = write_mixture(tmp_path / "mixture.gguf", 4, layers=1)
    (tmp_path / "old.dat").write_bytes(legacy_matrix({"blk.0.attn_q.weight": np.ones(7)}, 1))
    with pytest.raises(BadFile, match="another model"):
        made(mixture, tmp_path / "out.gguf", "Q4_K_M", imatrix=tmp_path / "old.dat")


@pytest.mark.parametrize(
    "data", [b"", b"\1", b"\xff\xff\xff\x7f", b"\1\0\0\0\xff\xff\xff\xff", legacy_matrix({"a": np.array([np.nan])}, 1)]
)
def test_damaged_importance(data: bytes, tmp_path: Path) -> None:
    (tmp_path / "bad.dat").write_bytes(data)
    with pytest.raises(BadFile, match=r"bad\.dat"):
        read_importance(tmp_path / "bad.dat")


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("quant", ["Q8_0", "Q4_K_M", "F16"])
def test_values_that_are_no_numbers_are_found(value: float, quant: str, tmp_path: Path) -> None:
    config, weights = random_llama(hidden_size=256, intermediate_size=256)
    weights["model.layers.1.mlp.up_proj.weight"][3, 5] = value
    checkpoint = write_checkpoint(tmp_path / "tiny", config, weights)
    with pytest.raises(BadFile, match=r"blk\.1\.ffn_up"):
        made(checkpoint, tmp_path / "out.gguf", quant)
    assert [path.name for path in tmp_path.iterdir()] == ["tiny"]


def test_a_failed_trial_leaves_nothing(source: Path, tmp_path: Path) -> None:
    seen: list[Path] = []

    def refuse(path: Path) -> str:
        seen.append(path)
        assert path.stat().st_size > 0
        raise BadFile("it cannot be run")

    with pytest.raises(BadFile, match="cannot be run"):
        convert(ConvertRequest(source, tmp_path / "out.gguf", "Q8_0", tokenizer="none"), smoke_load=refuse)
    assert seen
    assert not list(tmp_path.iterdir())


def test_the_verification_is_reported(source: Path, tmp_path: Path) -> None:
    request = ConvertRequest(source, tmp_path / "out.gguf", "Q4_0", tokenizer="none")
    result = convert(request, smoke_load=lambda path: Sentence("fine"))
    assert result.verification.types == {"F32": 5, "Q4_0": 15, "Q6_K": 1}
    assert result.verification.bytes == result.size
    assert result.verification.smoke_load == Sentence("fine")


def test_eight_bit_floats_are_scaled(tmp_path: Path) -> None:
    """Blocks of 128 x 128, one scale a row, one scale a tensor."""
    rng = np.random.default_rng(0)
    values = rng.standard_normal((200, 300)).astype(ml_dtypes.float8_e4m3fn)
    blocks = rng.random((2, 3), np.float32)
    rows = rng.random((200, 1), np.float32)
    tensors = {
        "a.weight": values,
        "a.weight_scale_inv": blocks,
        "b.weight": values.astype(ml_dtypes.float8_e5m2),
        "b.weight_scale": rows.astype(ml_dtypes.bfloat16),
        "c.weight": values,
        "c.weight_scale": np.array([0.5], np.float32),
        "d.weight": values,
    }
    write_safetensors(tmp_path / "model.safetensors", tensors)
    checkpoint = open_checkpoint(tmp_path)
    assert set(checkpoint.tensors) == {"a.weight", "b.weight", "c.weight", "d.weight"}
    wide = values.astype(np.float32)
    scale = np.repeat(np.repeat(blocks, 128, 0), 128, 1)[:200, :300]
    np.testing.assert_array_equal(checkpoint.read("a.weight"), wide * scale)
    second = tensors["b.weight"].astype(np.float32) * tensors["b.weight_scale"].astype(np.float32)
    np.testing.assert_array_equal(checkpoint.read("b.weight"), second)
    np.testing.assert_array_equal(checkpoint.read("c.weight"), wide / 2)
    assert checkpoint.read("d.weight").dtype == ml_dtypes.float8_e4m3fn
    write_safetensors(tmp_path / "model.safetensors", tensors | {"a.weight_scale_inv": blocks[:1]})
    with pytest.raises(BadFile, match="weight_scale_inv"):
        open_checkpoint(tmp_path)


SAYINGS: dict[str, dict[str, Any]] = {
    "at the top": {"quantization_config": {"quant_method": "fp8", "weight_block_size": [32, 48]}},
    "of the part for text": {"text_config": {"quantization_config": {"weight_block_size": [32, 48]}}},
    "compressed-tensors": {
        "compression_config": {
            "config_groups": {"group_0": {"weights": {"strategy": "block", "block_structure": [32, 48]}}}
        }
    },
}


@pytest.mark.parametrize("saying", SAYINGS)
@pytest.mark.parametrize("shape", [(200, 300), (3, 200, 300)])
def test_eight_bit_floats_are_scaled_by_blocks_of_any_size(tmp_path: Path, saying: str, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(0)
    values = rng.standard_normal(shape).astype(ml_dtypes.float8_e4m3fn)
    blocks = rng.random((*shape[:-2], 7, 7), np.float32)
    write_checkpoint(tmp_path, SAYINGS[saying], {"a.weight": values, "a.weight_scale_inv": blocks})
    scale = np.repeat(np.repeat(blocks, 32, -2), 48, -1)[..., :200, :300]
    checkpoint = open_checkpoint(tmp_path)
    np.testing.assert_array_equal(checkpoint.read("a.weight"), values.astype(np.float32) * scale)
    part = np.asarray(checkpoint.rows("a.weight")[1:3])
    np.testing.assert_array_equal(part, (values.astype(np.float32) * scale)[1:3])


def test_eight_bit_floats_without_a_said_size_are_scaled_by_the_square_that_fits(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = rng.standard_normal((200, 300)).astype(ml_dtypes.float8_e4m3fn)
    powers = (2.0 ** rng.integers(-8, 1, (4, 5))).astype(ml_dtypes.float8_e8m0fnu)
    write_checkpoint(tmp_path, {}, {"a.weight": values, "a.weight_scale_inv": powers})
    scale = np.repeat(np.repeat(powers.astype(np.float32), 64, 0), 64, 1)[:200, :300]
    np.testing.assert_array_equal(open_checkpoint(tmp_path).read("a.weight"), values.astype(np.float32) * scale)


@pytest.mark.parametrize("size", [[0, 128], [128], [128, 128, 128]])
def test_sizes_of_blocks_that_are_none_are_refused(tmp_path: Path, size: list[int]) -> None:
    values = np.ones((200, 300), ml_dtypes.float8_e4m3fn)
    said = {"quantization_config": {"weight_block_size": size}}
    write_checkpoint(tmp_path, said, {"a.weight": values, "a.weight_scale_inv": np.ones((2, 3), np.float32)})
    with pytest.raises(BadFile, match="rows and columns"):
        open_checkpoint(tmp_path)
