"""MiniCPM's forward pass in plain NumPy: LLaMA's with three multipliers.

Source: Hu et al. 2024 (MiniCPM, section 3: embedding, depth and width scaling) and the publisher's modeling_minicpm.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tests.reference import llama


def forward(config: Mapping[str, Any], weights: llama.Weights, ids: Sequence[int]) -> np.ndarray:
    """Return the logits at every position: [len(ids), vocabulary]."""
    logits = llama.decoder(
        config,
        weights,
        ids,
        feed_forward=llama.swiglu,
        residual=config["scale_depth"] / math.sqrt(config["num_hidden_layers"]),
        embedding=config["scale_emb"],
    )
    return logits / (config["hidden_size"] / config["dim_model_base"])
