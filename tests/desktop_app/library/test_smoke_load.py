"""What a converted file is thrown away for, and what not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from converter.pipeline import ConvertRequest, convert
from desktop_app.library.smoke_load import smoke_load
from models.errors import BadFile
from tests.support.checkpoints import write_checkpoint
from tests.support.random_llama import random_llama


def converted(folder: Path, embedding: slice, value: float) -> Path:
    """Convert a model without an epsilon in its norms, whose rows of the vocabulary hold a value."""
    config, weights = random_llama(rms_norm_eps=0.0)
    for name in weights:
        if "embed_tokens" in name:
            weights[name] = np.array(weights[name])
            weights[name][embedding] = value
    source = write_checkpoint(folder / "checkpoint", config, weights)
    return convert(ConvertRequest(source, folder / "model.gguf", "F32", tokenizer="none")).path


def test_a_row_of_zeros_for_padding_condemns_no_model(tmp_path: Path) -> None:
    assert str(smoke_load(converted(tmp_path, slice(0, 1), 0.0))) == "The engine loaded it and decoded 1 tokens."


def test_a_model_that_computes_no_number_for_any_token_is_thrown_away(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="computes NaN or infinity"):
        smoke_load(converted(tmp_path, slice(None), 0.0))
