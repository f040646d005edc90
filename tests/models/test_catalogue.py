"""The catalogue against the families, and against itself."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import resources
from models.catalogue import Catalogue, read_catalogue
from models.config import Config
from models.embedding import Pooling
from models.errors import BadFile
from models.families import families, family_of
from models.family import Blueprint

FOLDER = Path(resources.__file__).with_name("catalogue")
REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")

PARAMETERS = {
    "Llama-2-7B": 6_738_415_616,
    "Llama-2-13B": 13_015_864_320,
    "Llama-2-70B": 68_976_648_192,
    "Llama-3-8B": 8_030_261_248,
    "Llama-3-70B": 70_553_706_496,
    "Llama-3.2-1B": 1_235_814_400,
    "Llama-3.2-3B": 3_212_749_824,
    "Yi-6B": 6_061_035_520,
    "Yi-9B": 8_829_407_232,
    "Yi-34B": 34_388_917_248,
    "DeepSeek-LLM-7B": 6_910_365_696,
    "Mistral-7B-v0.2": 7_241_732_096,
    "Mixtral-8x7B": 46_702_792_704,
    "Qwen-1.8B": 1_836_828_672,
    "Qwen-7B": 7_721_324_544,
    "Qwen-14B": 14_167_290_880,
    "Qwen-72B": 72_287_920_128,
    "Qwen1.5-0.5B": 463_987_712,
    "Qwen1.5-4B": 3_950_369_280,
    "Qwen1.5-32B": 32_512_218_112,
    "Qwen2.5-0.5B": 494_032_768,
    "Qwen2.5-1.5B": 1_543_714_304,
    "Qwen2.5-7B": 7_615_616_512,
    "Qwen2.5-14B": 14_770_033_664,
    "Qwen2.5-32B": 32_763_876_352,
    "R1-Distill-Qwen-1.5B": 1_777_088_000,
    "Qwen1.5-MoE-A2.7B": 14_315_784_192,
    "Qwen3-0.6B": 596_049_920,
    "Qwen3-Embedding-0.6B": 595_776_512,
    "Qwen3-Embedding-4B": 4_021_774_336,
    "Qwen3-Embedding-8B": 7_567_295_488,
    "BGE-Reranker-v2-M3": 567_755_777,
    "Qwen3-4B": 4_022_468_096,
    "Qwen3-8B": 8_190_735_360,
    "Qwen3-14B": 14_768_307_200,
    "Qwen3-32B": 32_762_123_264,
    "Qwen3-30B-A3B": 30_532_122_624,
    "Qwen3-235B-A22B": 235_093_634_560,
    "InternLM-20B": 20_088_714_240,
    "InternLM2-1.8B": 1_889_110_016,
    "InternLM2-7B": 7_737_708_544,
    "InternLM2-20B": 19_861_149_696,
    "InternLM3-8B": 8_804_241_408,
    "MiniCPM-2B": 2_724_880_896,
    "Baichuan-7B": 7_000_559_616,
    "Baichuan-13B": 13_264_901_120,
    "Baichuan2-7B": 7_505_973_248,
    "Baichuan2-13B": 13_896_668_160,
    "ChatGLM3-6B": 6_243_584_000,
    "GLM-4-9B": 9_399_951_360,
    "GLM-4-32B-0414": 32_566_081_536,
    "MiniCPM3-4B": 4_073_875_968,
    "DeepSeek-V2-Lite": 15_706_484_224,
    "ERNIE-4.5-0.3B": 360_748_032,
    "Granite-3.3-2B": 2_533_539_840,
    "Granite-3.3-8B": 8_170_864_640,
    "SmolLM3-3B": 3_075_098_624,
    "Phi-3.5-mini": 3_821_079_552,
    "Phi-4-mini": 3_836_021_760,
    "Phi-4": 14_659_507_200,
    "Gemma-2-2B": 2_614_341_888,
    "Gemma-2-9B": 9_241_705_984,
    "Gemma-3-1B": 999_885_952,
    "Qwen3.5-35B-A3B": 34_660_610_688,
    "DeepSeek-MoE-16B": 16_375_728_128,
    "gpt-oss-20B": 20_914_757_184,
    "gpt-oss-120B": 116_829_156_672,
    "RWKV-7-0.1B": 191_034_624,
    "RWKV-7-0.4B": 450_767_872,
    "RWKV-7-1.5B": 1_527_404_544,
    "RWKV-7-2.9B": 2_947_735_040,
}
"""As the Hub counts the tensors of the repositories (heads that repeat the embedding once), and the RWKV-7 paper (table 2)."""


def blueprint_of(catalogue: Catalogue, shape: str) -> Blueprint:
    config = Config(catalogue.shapes[shape], shape)
    return family_of(config).blueprint(config, None)


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return read_catalogue(FOLDER)


def test_every_family_has_an_entry_and_every_entry_a_family(catalogue: Catalogue) -> None:
    assert {entry.family for entry in catalogue.entries} == {family.name for family in families()}


def test_what_measures_texts_is_no_chat_model_and_of_the_kind_that_its_configuration_says(catalogue: Catalogue) -> None:
    kinds = {model.name: model.measures for _, model in catalogue.models() if model.measures}
    assert len(kinds) == 26 and set(kinds.values()) == {"vectors", "ranks"}
    for entry, model in catalogue.models():
        assert not (model.chat and model.measures), model.name
        if entry.family in ("bert", "jina_bert", "gemma_embedding"):
            ranks = blueprint_of(catalogue, str(model.shape)).parameters["pooling_type"] == Pooling.RANK
            assert (model.measures == "ranks") == ranks, model.name
        assert bool(model.measures) == bool(re.search("embedding|reranker|bge|e5-|gte-", model.name.lower())), (
            model.name
        )


def test_shapes_have_the_parameters_that_are_published(catalogue: Catalogue) -> None:
    for name, parameters in PARAMETERS.items():
        assert blueprint_of(catalogue, name).stored == parameters, name


def test_every_shape_is_of_its_family_and_of_the_size_that_its_models_are_sold_by(catalogue: Catalogue) -> None:
    for entry, model in catalogue.models():
        config = catalogue.config(model)
        assert config is not None, f"{model.name} has no badge; say here why"
        assert family_of(config).name == entry.family, model.name
        blueprint = blueprint_of(catalogue, str(model.shape))
        assert blueprint.stored / 1e9 == pytest.approx(model.parameters, rel=0.25, abs=0.11), model.name
        if (
            model.file
        ):  # the one file of weights: its bytes are published, two for each parameter and some hundred names
            assert model.download == pytest.approx(2 * blueprint.stored, rel=1e-3), model.file
    assert set(catalogue.shapes) == {model.shape for _, model in catalogue.models()}


def test_a_model_is_found_by_its_name_on_either_hub(catalogue: Catalogue) -> None:
    assert [model.name for model in catalogue.named("qwen/qwen3-8b")] == ["Qwen3-8B"]
    assert [model.name for model in catalogue.named("01ai/Yi-6B")] == ["Yi-6B"]
    assert len(catalogue.named("BlinkDL/rwkv-7-world")) == 4
    file = "BlinkDL/rwkv-7-world/RWKV-x070-World-1.5B-v3-20250127-ctx4096.pth"
    assert [model.name for model in catalogue.named(file)] == ["RWKV-x070-World-1.5B"]
    assert not catalogue.named("nobody/nothing")


def test_facts_are_complete_and_plausible(catalogue: Catalogue) -> None:
    for entry in catalogue.entries:
        assert 2022 < entry.year < 2027
        assert entry.title
        assert entry.languages
        assert all(re.fullmatch("[a-z]{2}", language) for language in entry.languages)
        assert set(entry.good_for) == {"en", "zh", "zh_TW"}
        assert entry.good_for["en"].endswith(".")
        assert entry.good_for["zh"].endswith("。")
        assert entry.good_for["zh_TW"].endswith("。")
        assert entry.models
        for model in entry.models:
            assert (0.02 if model.measures else 0.05) < model.parameters < 1000
            assert (512 if model.measures else 1024) <= model.context <= 1024 * 1024
            assert REPOSITORY.fullmatch(model.huggingface)
            assert model.modelscope is None or REPOSITORY.fullmatch(model.modelscope)


def test_sizes_agree_with_names(catalogue: Catalogue) -> None:
    for entry in catalogue.entries:
        for model in entry.models:
            said = re.search(r"(?<![\w.])(\d+(?:[._]\d+)?)b(?![a-z])", model.huggingface.lower())
            if said is not None:
                assert model.parameters == pytest.approx(float(said[1].replace("_", ".")), rel=0.25, abs=0.75)


def test_sizes_and_contexts_are_those_of_the_published_configurations(catalogue: Catalogue) -> None:
    """`published.json` holds configurations with the parameters that the model cards count."""
    listed = {model.huggingface.rpartition("/")[2]: model for _, model in catalogue.models()}
    said = json.loads((Path(__file__).parent / "families" / "published.json").read_text("utf-8"))
    compared = 0
    for names, (parameters, context, _) in said.items():
        for name in names.split(", "):
            model = listed.get(name)
            if model is not None:
                compared += 1
                assert model.parameters == pytest.approx(parameters / 1e9, rel=0.1), name
                assert model.context == context, name
    assert compared > 10


def test_no_checkpoint_is_listed_twice(catalogue: Catalogue) -> None:
    listed = [model.source for _, model in catalogue.models()]
    assert len(set(listed)) == len(listed)


def test_a_damaged_catalogue_is_refused(tmp_path: Path) -> None:
    for name in ("models.json", "shapes.json"):
        for text in ("", "{}x", '[{"family": 1}]', "[3]", "3"):
            for other in ("models.json", "shapes.json"):
                (tmp_path / other).write_bytes((FOLDER / other).read_bytes())
            (tmp_path / name).write_text(text, "utf-8")
            with pytest.raises(BadFile):
                read_catalogue(tmp_path)
    with pytest.raises(BadFile):
        read_catalogue(tmp_path / "absent")
