"""What is said of a mixture by measurement before it is measured, held to the converter's own plans."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from converter.pipeline import ConvertRequest
from desktop_app.library.install import InstallRequest
from desktop_app.library.mixture_offers import MixtureOffers, mixture_offers
from desktop_app.library.source_facts import SourceFacts, facts_of, judge
from desktop_app.planning.configuration import Computer
from desktop_app.quality.mixing import bytes_of_bits
from desktop_app.quality.target import MixtureTarget
from tests.desktop_app.planning.test_planner import COMPUTERS
from tests.support.random_rwkv import random_rwkv
from tests.support.torch_files import write_torch

COMPUTER = next(iter(COMPUTERS.values()))


@pytest.fixture(scope="module")
def facts(smollm2_outline: Path) -> SourceFacts:
    """The starter model's sizes as a checkpoint."""
    return facts_of(InstallRequest(smollm2_outline))


def offers_on(computer: Computer, facts: SourceFacts) -> MixtureOffers:
    offers = mixture_offers(facts, judge(facts, computer))
    assert offers is not None
    return offers


def test_a_size_lies_between_the_usual_ones(facts: SourceFacts) -> None:
    """What a usual quantization has in its size, a mixture of that size is said to have; between two it is between."""
    offers = offers_on(COMPUTER, facts)
    options = judge(facts, COMPUTER).options
    assert offers.sizes == (min(facts.offers.values()), max(facts.offers.values()))
    for quant in ("Q8_0", "Q5_K_M", "Q2_K"):
        option = offers.option(facts.offers[quant])
        assert option.divergence == pytest.approx(options[quant].divergence)
        assert option.bytes == options[quant].bytes
        assert option.tokens_per_second == pytest.approx(options[quant].tokens_per_second)
    least, most = offers.sizes
    ladder = [offers.option(least + (most - least) * step // 20) for step in range(21)]
    for worse, better in pairwise(ladder):
        assert better.divergence < worse.divergence
        assert better.bytes > worse.bytes


def test_bits_are_those_of_the_converter(facts: SourceFacts) -> None:
    offers = offers_on(COMPUTER, facts)
    assert isinstance(facts.request.source, Path)
    for bits in (7.0, 8.5, 10.0):
        size = bytes_of_bits(ConvertRequest(facts.request.source), bits)
        assert offers.size_of(MixtureTarget(bits=bits)) == pytest.approx(size, rel=0.005)
        assert offers.bits_of(size) == pytest.approx(bits, rel=0.005)
    assert offers.size_of(MixtureTarget(bits=1)) == offers.sizes[0]
    assert offers.size_of(MixtureTarget(size=10**15)) == offers.sizes[1]


def test_what_fits_is_the_largest_that_does(facts: SourceFacts) -> None:
    offers = offers_on(COMPUTER, facts)
    assert offers.size_of(MixtureTarget()) == offers.sizes[1], "there is room for the most exact one"
    needed = offers.option(facts.offers["Q6_K"])
    spare = needed.shares[0].free - needed.shares[0].total
    small = replace(COMPUTER, free_bytes=COMPUTER.free_bytes - spare, accelerators=())
    offers = offers_on(small, facts)
    size = offers.size_of(MixtureTarget())
    assert not offers.option(size).shortfall
    step = (offers.sizes[1] - offers.sizes[0]) // 1000 + 1
    assert offers.option(size + step).shortfall
    nothing = offers_on(replace(small, free_bytes=0), facts)
    assert nothing.size_of(MixtureTarget()) == nothing.sizes[0]


def test_what_cannot_be_measured_is_not_offered(facts: SourceFacts, tmp_path: Path) -> None:
    assessment = judge(facts, COMPUTER)
    assert mixture_offers(facts, None) is None
    assert mixture_offers(replace(facts, ready=True), assessment) is None
    merged = replace(facts, request=replace(facts.request, lora=(tmp_path,)))
    assert mixture_offers(merged, assessment) is None
    path = tmp_path / "RWKV-4-World-tiny.pth"
    write_torch(path, random_rwkv("4", 3, hidden=64, rows=65536, size=32))
    ours = facts_of(InstallRequest(path))
    assert mixture_offers(ours, judge(ours, COMPUTER)) is None, (
        "llama.cpp runs no RWKV-4: there is no importance matrix"
    )


def test_files_for_another_size_have_another_name() -> None:
    targets = (MixtureTarget(), MixtureTarget(size=5), MixtureTarget(bits=5), MixtureTarget(bits=4.5))
    assert len({target.name for target in targets}) == len(targets)
    assert [target.fits for target in targets] == [True, False, False, False]
