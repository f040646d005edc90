"""The types of every tensor are those that llama-quantize itself chose (noted by the comparison script)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from converter.pipeline import ConvertRequest, convert, plan
from converter.recipes import recipe_names
from tests.support.quantize_facts import notes, sources, write_importance

FACTS = Path(__file__).parents[1] / "data" / "llama_quantize_types.json"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, Path, Path]]:
    """Each model with an importance matrix for it."""
    folder = tmp_path_factory.mktemp("models")
    made = []
    for number, (label, source) in enumerate(sources(folder, ())):
        wide = convert(ConvertRequest(source, folder / "wide.gguf", "F32", tokenizer="none")).path
        made.append((label, source, write_importance(wide, folder / f"importance-{number}.gguf")))
    return made


@pytest.mark.parametrize("quant", recipe_names())
def test_types_are_llama_quantizes(quant: str, models: list[tuple[str, Path, Path]]) -> None:
    facts = json.loads(FACTS.read_text("utf-8"))
    for label, source, matrix in models:
        for imatrix in (None, matrix):
            planned = plan(ConvertRequest(source, quant=quant, tokenizer="none", imatrix=imatrix))
            types = {tensor.name: tensor.type.name for part in planned.parts for tensor in part.layout.tensors}
            key = f"{label}, {quant}{', importance' if imatrix else ''}"
            assert notes(types) == facts[key], key
