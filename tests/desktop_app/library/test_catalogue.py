"""The catalogue on simulated computers: the badges, and that the sizes computed beforehand are the planner's own."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from desktop_app.library.catalogue import CatalogueOffer, catalogue, offers
from desktop_app.planning.candidates import model_of_config
from desktop_app.planning.catalogue_sizes import FOLDER, as_json, compute, read_sizes
from desktop_app.planning.configuration import Computer
from desktop_app.planning.footprint import RunShape, footprint
from desktop_app.planning.planner import plan
from models.config import Config
from models.errors import BadFile
from models.families import family_of
from tests.desktop_app.planning.test_planner import COMPUTERS, GB, cuda, laptop

BADGES = """
8 GB laptop           | 0   | 97  | 49 | 56
16 GB laptop          | 0   | 154 | 26 | 22
16 GB, 6 GB CUDA      | 76  | 97  | 16 | 13
16 GB Mac             | 155 | 18  | 7  | 22
32 GB, 8 + 4 GB CUDA  | 142 | 52  | 5  | 3
16 GB, integrated GPU | 140 | 25  | 15 | 22
"""
"""Computer -> models that fit on the GPU, fit, are tight, are too large."""

FIRST = """
8 GB laptop      | Qwen3.5-2B Q8_0, Qwen3.5-0.8B Q8_0, granite-4.0-h-tiny Q4_K_M
16 GB, 6 GB CUDA | GLM-4.7-Flash Q4_K_S, Qwen3.5-9B Q6_K, Qwen3.5-4B Q8_0
16 GB Mac        | Qwen3.5-9B Q6_K, Qwen3.5-4B Q8_0, Qwen3.5-2B Q8_0
"""
"""Computer -> what the list begins with."""


def rows(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")] for line in table.strip().splitlines()]


def found_on(computer: Computer) -> dict[str, CatalogueOffer]:
    return {offer.model.source: offer for offer in offers(computer)}


@pytest.mark.parametrize("row", rows(BADGES), ids=lambda row: row[0])
def test_badges(row: list[str]) -> None:
    counts = Counter(offer.verdict for offer in offers(COMPUTERS[row[0]]))
    assert [str(counts[verdict]) for verdict in ("gpu", "ram", "tight", "too_large")] == row[1:]


@pytest.mark.parametrize("row", rows(FIRST), ids=lambda row: row[0])
def test_the_list_begins_with_the_newest_and_most_able_that_run_well(row: list[str]) -> None:
    first = offers(COMPUTERS[row[0]])[:3]
    assert ", ".join(f"{offer.model.name} {offer.option.quant}" for offer in first if offer.option) == row[1]


def test_the_order_is_chat_models_that_run_well_then_the_others() -> None:
    listed = offers(laptop(8))
    kinds = [(not offer.model.chat, not offer.fits) for offer in listed]
    assert kinds == sorted(kinds)
    assert all(offer.option is not None and offer.option.comfortable for offer in listed[:10])


def test_an_offer_is_what_the_planner_says_of_the_published_configuration() -> None:
    for computer in (laptop(8), laptop(32, cuda(0, 8))):
        for offer in offers(computer)[::12]:
            config = catalogue().config(offer.model)
            assert config is not None
            if config.data.get("max_position_embeddings", offer.model.context) == offer.model.context:
                assert offer.plan == plan(model_of_config(config), computer), offer.model.name


def test_the_sizes_beforehand_are_those_that_are_computed() -> None:
    """Where this fails a family, a recipe or a shape has changed: `python -m desktop_app.planning.catalogue_sizes`."""
    written = json.loads((FOLDER / "sizes.json").read_text("utf-8"))
    assert list(written) == list(catalogue().shapes)
    architectures: set[str] = set()
    for name, shape in catalogue().shapes.items():
        blueprint = family_of(Config(shape, name)).blueprint(Config(shape, name), None)
        hyperparameters = written[name]["hyperparameters"]
        assert hyperparameters.items() <= ({"vocab_size": blueprint.vocabulary_size} | blueprint.parameters).items()
        if blueprint.architecture not in architectures:  # types take long, and differ by architecture
            architectures.add(blueprint.architecture)
            assert as_json(compute(Config(shape, name))) == written[name], name
    assert len(architectures) > 12


def test_added_up_tensors_have_the_footprint_of_single_ones() -> None:
    for name in ("Qwen3-0.6B", "Mixtral-8x7B", "ChatGLM-6B", "RWKV-7-0.1B", "GLM-4-9B"):
        whole, sizes = model_of_config(Config(catalogue().shapes[name], name)), read_sizes()[name]
        for one, other in zip(whole.candidates, sizes.model.candidates, strict=True):
            run = RunShape(4096)
            assert footprint(whole.architecture, whole.parameters, one.tensors, run, whole.tokens) == footprint(
                sizes.model.architecture, sizes.model.parameters, other.tensors, run, sizes.model.tokens
            )
            assert one.read == other.read


def test_what_is_fetched_and_what_is_kept() -> None:
    found = found_on(laptop(16))
    small = found["Qwen/Qwen3-0.6B"]  # model.safetensors there has 1,503,300,328 bytes
    assert small.download == pytest.approx(1_503_300_328, rel=1e-4)
    assert small.option is not None
    assert small.option.quant == "Q8_0"
    assert small.disk == pytest.approx(0.639 * GB, rel=0.03)  # Qwen's own Qwen3-0.6B-Q8_0.gguf: 639,446,688 bytes
    assert found["openbmb/MiniCPM-2B-sft-fp32"].download == 2 * (found["openbmb/MiniCPM-2B-sft-bf16"].download or 0)


def test_a_context_that_the_person_set_counts() -> None:
    long = {offer.model.name: offer for offer in offers(laptop(8), context=32768)}
    assert long["Qwen3-4B"].option is not None
    assert long["Qwen3-4B"].option.context == 32768
    assert long["rwkv7-g1-2.9b"].fits


def test_damaged_sizes_are_refused(tmp_path: Path) -> None:
    for text in ("", "[]", '{"a": 1}', '{"a": {"hyperparameters": {}, "candidates": {}}}'):
        (tmp_path / "sizes.json").write_text(text, "utf-8")
        with pytest.raises(BadFile):
            read_sizes(tmp_path)
