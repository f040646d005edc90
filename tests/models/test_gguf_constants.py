"""Our copy of GGUF's numbers against the package gguf's."""

from __future__ import annotations

from enum import IntEnum

import gguf
import pytest

from models import gguf_constants as ours


@pytest.mark.parametrize("name", ["GGMLQuantizationType", "LlamaFileType", "ExpertGatingFuncType", "GGUFValueType"])
def test_numbers_are_those_of_the_package(name: str) -> None:
    mine, theirs = getattr(ours, name), getattr(gguf, name)
    assert issubclass(mine, IntEnum)
    assert {member.name: int(member) for member in mine} == {member.name: int(member) for member in theirs}


def test_sizes_are_those_of_the_package() -> None:
    assert ours.GGML_QUANT_SIZES == gguf.GGML_QUANT_SIZES
