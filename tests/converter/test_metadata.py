"""What a model card says, good or strange, and the name that follows from it."""

from __future__ import annotations

import json
from pathlib import Path

import gguf
import pytest

from converter.pipeline import ConvertRequest, convert, plan
from tests.support.checkpoints import write_checkpoint
from tests.support.random_llama import random_llama, random_mixtral
from tests.support.random_rwkv import random_rwkv
from tests.support.torch_files import write_torch


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return write_checkpoint(tmp_path / "Tiny-Chat-v1.5", *random_llama())


def fields(source: Path, out: Path) -> dict[str, object]:
    convert(ConvertRequest(source, out, "Q8_0", tokenizer="none"))
    return {name: entry.contents() for name, entry in gguf.GGUFReader(out).fields.items()}


def card(source: Path, yaml: str) -> None:
    (source / "README.md").write_text(f"---\n{yaml}\n---\n# A model\n", "utf-8")


def test_the_model_card_is_read(source: Path, tmp_path: Path) -> None:
    card(source, "license: other\nlicense_name: qwen\nlanguage: [zh, en]\nbase_model: Qwen/Qwen2.5-0.5B\ntags: [chat]")
    found = fields(source, tmp_path / "out.gguf")
    assert found["general.name"] == "Tiny Chat v1.5"
    assert found["general.basename"] == "Tiny"
    assert found["general.finetune"] == "Chat"
    assert found["general.version"] == "v1.5"
    assert found["general.license"] == "other"
    assert found["general.license.name"] == "qwen"
    assert found["general.languages"] == ["zh", "en"]
    assert found["general.base_model.0.name"] == "Qwen2.5 0.5B"
    assert found["general.base_model.0.organization"] == "Qwen"
    assert found["general.base_model.0.repo_url"] == "https://huggingface.co/Qwen/Qwen2.5-0.5B"
    assert found["general.file_type"] == gguf.LlamaFileType.MOSTLY_Q8_0
    assert found["general.quantization_version"] == 2


@pytest.mark.parametrize(
    "yaml",
    [
        "version: 1.0\nname: [a, 2]\ntags: [1, {a: b}]\nlanguage: {zh: true}\nlicense: [mit, 3]",
        "base_model: [1, {name: 5, version: [1]}, null]\ndatasets: [{name: {}}]\nauthor: {a: b}",
        "name: !!python/object/apply:os.system [id]",
        "\t: [",
        "a: &a [*a]",
        "finetune: ../../../../tmp/evil\nbasename: 'C:\\evil'\nversion: \"a\\u0000b\"",
    ],
)
def test_a_strange_model_card_stops_nothing(source: Path, tmp_path: Path, yaml: str) -> None:
    card(source, yaml)
    found = fields(source, tmp_path / "out.gguf")
    assert isinstance(found["general.name"], str)
    assert isinstance(found.get("general.version", ""), str)
    out = plan(ConvertRequest(source, None, "Q8_0", tokenizer="none")).out
    assert out.parent == Path()
    assert not set(out.name) & set("/\\:\0")


def test_a_download_is_named_after_its_repository(source: Path, tmp_path: Path) -> None:
    note = {"repository": "org/Small-7B-Instruct", "endpoint": "https://hub.example"}
    (source / ".hub.json").write_text(json.dumps(note), "utf-8")
    card(source, "license: mit\n\t: [")
    found = fields(source, tmp_path / "out.gguf")
    assert found["general.name"] == "Small 7B Instruct"
    assert found["general.source.repo_url"] == "https://hub.example/org/Small-7B-Instruct"


def test_a_single_file_is_named_without_its_ending(tmp_path: Path) -> None:
    (tmp_path / "RWKV-5.2-World").mkdir()
    card(tmp_path / "RWKV-5.2-World", "name: Another model")
    source = tmp_path / "RWKV-5.2-World.pth"
    write_torch(source, random_rwkv("5.2"))
    assert fields(source, tmp_path / "out.gguf")["general.name"] == "RWKV 5.2 World"
    assert ".pth" not in plan(ConvertRequest(source, None, "Q8_0", tokenizer="none")).out.name


def test_a_mixture_is_named_by_its_experts(tmp_path: Path) -> None:
    source = write_checkpoint(tmp_path / "Mixture", *random_mixtral(num_local_experts=8, intermediate_size=4096))
    out = plan(ConvertRequest(source, None, "Q8_0", tokenizer="none")).out
    shared = 2 * (2 * 64 * 64 + 2 * 32 * 64 + 2 * 64 + 8 * 64) + 2 * 128 * 64 + 64
    label = gguf.size_label(0, shared, 2 * 3 * 64 * 4096, 8)
    assert out.name == f"Mixture-{label}-Q8_0.gguf" == "Mixture-8x1.6M-Q8_0.gguf"
