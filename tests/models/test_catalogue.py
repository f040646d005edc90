"""The catalogue against the families, and against itself."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

import resources
from models.catalogue import CatalogueEntry, read_catalogue
from models.errors import BadFile
from models.families import families

PATH = Path(resources.__file__).with_name("catalogue") / "models.json"
REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


@pytest.fixture(scope="module")
def catalogue() -> tuple[CatalogueEntry, ...]:
    return read_catalogue(PATH)


def test_every_family_has_an_entry_and_every_entry_a_family(catalogue: tuple[CatalogueEntry, ...]) -> None:
    assert {entry.family for entry in catalogue} == {family.name for family in families()}


def test_facts_are_complete_and_plausible(catalogue: tuple[CatalogueEntry, ...]) -> None:
    for entry in catalogue:
        assert entry.title
        assert entry.languages
        assert all(re.fullmatch("[a-z]{2}", language) for language in entry.languages)
        assert set(entry.good_for) == {"en", "zh"}
        assert entry.good_for["en"].endswith(".")
        assert entry.good_for["zh"].endswith("。")
        assert entry.models
        for model in entry.models:
            assert 0.05 < model.parameters < 1000
            assert 1024 <= model.context <= 1024 * 1024
            assert REPOSITORY.fullmatch(model.huggingface)
            assert model.modelscope is None or REPOSITORY.fullmatch(model.modelscope)


def test_sizes_agree_with_names(catalogue: tuple[CatalogueEntry, ...]) -> None:
    for entry in catalogue:
        for model in entry.models:
            said = re.search(r"(?<![\w.])(\d+(?:[._]\d+)?)b(?![a-z])", model.huggingface.lower())
            if said is not None:
                assert model.parameters == pytest.approx(float(said[1].replace("_", ".")), rel=0.25, abs=0.75)


def test_sizes_and_contexts_are_those_of_the_published_configurations(catalogue: tuple[CatalogueEntry, ...]) -> None:
    """`published.json` holds configurations with the parameters that the model cards count."""
    listed = {model.huggingface.rpartition("/")[2]: model for entry in catalogue for model in entry.models}
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


def test_no_checkpoint_is_listed_twice(catalogue: tuple[CatalogueEntry, ...]) -> None:
    listed = [(model.huggingface, model.parameters) for entry in catalogue for model in entry.models]
    assert len(set(listed)) == len(listed)


def test_a_damaged_catalogue_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "models.json"
    for text in ("", "{}x", '[{"family": 1}]', "[3]"):
        path.write_text(text, "utf-8")
        with pytest.raises(BadFile):
            read_catalogue(path)
    with pytest.raises(BadFile):
        read_catalogue(tmp_path / "absent.json")
