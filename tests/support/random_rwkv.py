"""Tiny RWKV checkpoints with random weights, in the publisher's layout, of every version."""

from __future__ import annotations

import numpy as np

_ATTENTION = {
    "4": "kvr",
    "5.0": "kvr",
    "5.1": "kvrg",
    "5.2": "kvrg",
}


def random_rwkv(
    version: str, seed: int = 0, *, hidden: int = 128, layers: int = 2, rows: int = 96, size: int = 64
) -> dict[str, np.ndarray]:
    """Return float32 tensors; `version` is 4, 5.0, 5.1, 5.2, 6 or 7, `size` that of a head."""
    rng = np.random.default_rng(seed)
    inner = hidden * 4 if version in ("4", "5.0", "7") else int(hidden * 3.5) // 32 * 32

    def matrix(*shape: int, scale: float = 1.0) -> np.ndarray:
        return (rng.standard_normal(shape) * scale / np.sqrt(shape[-1])).astype(np.float32)

    def around(center: float, *shape: int, spread: float = 0.1) -> np.ndarray:
        return (center + spread * rng.standard_normal(shape)).astype(np.float32)

    def mix() -> np.ndarray:
        return rng.uniform(0, 1, (1, 1, hidden)).astype(np.float32)

    def norm(name: str) -> dict[str, np.ndarray]:
        return {f"{name}.weight": around(1, hidden), f"{name}.bias": around(0, hidden)}

    tensors = {"emb.weight": matrix(rows, hidden), "head.weight": matrix(rows, hidden, scale=3.0), **norm("ln_out")}
    for layer in range(layers):
        block = f"blocks.{layer}."
        if layer == 0:
            tensors |= norm(f"{block}ln0")
        tensors |= norm(f"{block}ln1") | norm(f"{block}ln2")
        time = _time_mix(version, layer, hidden, size, matrix, around, mix)
        if version != "4":
            time |= norm("ln_x")
        for name in ("receptance", "key", "value", "output"):
            time[f"{name}.weight"] = matrix(hidden, hidden)
        tensors |= {f"{block}att.{name}": value for name, value in time.items()}
        channel = {"key.weight": matrix(inner, hidden), "value.weight": matrix(hidden, inner)}
        if version == "7":
            channel["x_k"] = mix()
        else:
            kind = "time_maa" if version == "6" else "time_mix"
            channel |= {f"{kind}_k": mix(), f"{kind}_r": mix(), "receptance.weight": matrix(hidden, hidden)}
        tensors |= {f"{block}ffn.{name}": value for name, value in channel.items()}
    return tensors


def _time_mix(version, layer, hidden, size, matrix, around, mix) -> dict[str, np.ndarray]:
    heads = hidden // size
    if version in _ATTENTION:
        tensors = {f"time_mix_{name}": mix() for name in _ATTENTION[version]}
        each = {"4": (hidden,), "5.2": (heads, size)}.get(version, (heads,))
        tensors["time_decay"] = around(0, *each, spread=1.0)
        tensors["time_faaaa" if version == "5.2" else "time_first"] = around(0, *each, spread=0.5)
        if version in ("5.1", "5.2"):
            tensors["gate.weight"] = matrix(hidden, hidden)
        return tensors
    if version == "6":
        return {
            **{f"time_maa_{name}": mix() for name in "xwkvrg"},
            "time_maa_w1": matrix(hidden, 5 * 8),
            "time_maa_w2": matrix(5, 8, hidden, scale=0.5),
            "time_decay": around(0, 1, 1, hidden, spread=1.0),
            "time_decay_w1": matrix(hidden, 16),
            "time_decay_w2": matrix(16, hidden, scale=2.0),
            "time_faaaa": around(0, heads, size, spread=0.5),
            "gate.weight": matrix(hidden, hidden),
        }
    tensors = {f"x_{name}": mix() for name in "rwkvag"}
    for name, rank in {"w": 16, "a": 24, "v": 8, "g": 32}.items():
        if name == "v" and layer == 0:
            continue
        if name != "g":
            tensors[f"{name}0"] = around(0, 1, 1, hidden, spread=1.0)
        tensors[f"{name}1"] = matrix(hidden, rank)
        tensors[f"{name}2"] = matrix(rank, hidden, scale=2.0)
    return tensors | {
        "k_k": around(1, 1, 1, hidden),
        "k_a": around(1, 1, 1, hidden),
        "r_k": around(0, heads, size, spread=0.3),
    }
