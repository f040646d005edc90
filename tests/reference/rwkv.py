"""RWKV-4 to 7 in NumPy, float64, token by token, from the formulas of the papers.

Peng et al. 2023 (RWKV-4), 2024 (Eagle and Finch: 5 and 6), 2025 (Goose: 7); the publisher's code decides where a paper is silent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

_GROUP_EPSILON = 64e-5
"""Training divides by 8 before a group norm of epsilon 1e-5."""


def forward(version: str, tensors: Mapping[str, np.ndarray], ids: Sequence[int]) -> np.ndarray:
    """Return logits [len(ids), rows]."""
    model = _Model(version, {name: value.astype(np.float64) for name, value in tensors.items()})
    return np.stack([model.step(token) for token in ids])


class _Model:
    def __init__(self, version: str, tensors: dict[str, np.ndarray]) -> None:
        self.version = version
        self.w = tensors
        self.layers = 1 + max(int(name.split(".")[1]) for name in tensors if name.startswith("blocks."))
        self.state: dict[tuple[str, int], np.ndarray] = {}
        self.first_value: np.ndarray | None = None

    def step(self, token: int) -> np.ndarray:
        x = self.norm("blocks.0.ln0", self.w["emb.weight"][token])
        for layer in range(self.layers):
            block = f"blocks.{layer}."
            mixer = {"4": self.time_mix_4, "6": self.time_mix_6, "7": self.time_mix_7}.get(
                self.version, self.time_mix_5
            )
            x = x + mixer(layer, *self.shifted("att", layer, self.norm(f"{block}ln1", x)))
            x = x + self.channel_mix(layer, *self.shifted("ffn", layer, self.norm(f"{block}ln2", x)))
        return self.w["head.weight"] @ self.norm("ln_out", x)

    def norm(self, name: str, x: np.ndarray) -> np.ndarray:
        return (x - x.mean()) / np.sqrt(x.var() + 1e-5) * self.w[f"{name}.weight"] + self.w[f"{name}.bias"]

    def group_norm(self, layer: int, y: np.ndarray) -> np.ndarray:
        """Normalize each head of [heads, size]."""
        y = (y - y.mean(1, keepdims=True)) / np.sqrt(y.var(1, keepdims=True) + _GROUP_EPSILON)
        prefix = f"blocks.{layer}.att.ln_x."
        return y.ravel() * self.w[f"{prefix}weight"] + self.w[f"{prefix}bias"]

    def shifted(self, kind: str, layer: int, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the input and the one before it."""
        before = self.state.get((kind, layer), np.zeros_like(x))
        self.state[kind, layer] = x
        return x, before

    def part(self, layer: int, name: str) -> np.ndarray:
        return self.w[f"blocks.{layer}.att.{name}"]

    def time_mix_4(self, layer: int, x: np.ndarray, before: np.ndarray) -> np.ndarray:
        mixed = {c: x * self.part(layer, f"time_mix_{c}").ravel() for c in "kvr"}
        mixed = {c: v + before * (1 - self.part(layer, f"time_mix_{c}").ravel()) for c, v in mixed.items()}
        r = _sigmoid(self.part(layer, "receptance.weight") @ mixed["r"])
        k, v = self.part(layer, "key.weight") @ mixed["k"], self.part(layer, "value.weight") @ mixed["v"]
        # Plain sums in float64 with a common exponent, not the publisher's running maximum.
        history = self.state.get(("kv", layer), np.zeros((0, 2, len(x))))
        decay = np.exp(self.part(layer, "time_decay"))
        ages = np.arange(len(history) - 1, -1, -1)[:, None]
        exponents = np.concatenate([history[:, 0] - ages * decay, [k + self.part(layer, "time_first")]])
        weights = np.exp(exponents - exponents.max(0))
        values = np.concatenate([history[:, 1], [v]])
        self.state["kv", layer] = np.concatenate([history, [[k, v]]])
        return self.part(layer, "output.weight") @ (r * (weights * values).sum(0) / weights.sum(0))

    def time_mix_5(self, layer: int, x: np.ndarray, before: np.ndarray) -> np.ndarray:
        def mixed(c: str) -> np.ndarray:
            mix = self.part(layer, f"time_mix_{c}").ravel()
            return x * mix + before * (1 - mix)

        decay = self.part(layer, "time_decay")
        heads = decay.shape[0]
        first = (
            self.part(layer, "time_faaaa")
            if f"blocks.{layer}.att.time_faaaa" in self.w
            else np.exp(self.part(layer, "time_first"))
        )
        y = self.linear_attention(
            layer,
            *(
                (self.part(layer, f"{name}.weight") @ mixed(c)).reshape(heads, -1)
                for c, name in (("r", "receptance"), ("k", "key"), ("v", "value"))
            ),
            np.exp(-np.exp(decay)).reshape(heads, -1),
            first.reshape(heads, -1),
        )
        if self.version != "5.0":
            y = y * _silu(self.part(layer, "gate.weight") @ mixed("g"))
        return self.part(layer, "output.weight") @ y

    def time_mix_6(self, layer: int, x: np.ndarray, before: np.ndarray) -> np.ndarray:
        difference = before - x
        probe = x + difference * self.part(layer, "time_maa_x").ravel()
        w2 = self.part(layer, "time_maa_w2")
        bottleneck = np.tanh(probe @ self.part(layer, "time_maa_w1")).reshape(5, -1)
        mixed = {
            c: x + difference * (self.part(layer, f"time_maa_{c}").ravel() + bottleneck[i] @ w2[i])
            for i, c in enumerate("wkvrg")
        }
        first = self.part(layer, "time_faaaa")
        heads = first.shape[0]
        change = np.tanh(mixed["w"] @ self.part(layer, "time_decay_w1")) @ self.part(layer, "time_decay_w2")
        decay = np.exp(-np.exp(self.part(layer, "time_decay").ravel() + change))
        y = self.linear_attention(
            layer,
            *(
                (self.part(layer, f"{name}.weight") @ mixed[c]).reshape(heads, -1)
                for c, name in (("r", "receptance"), ("k", "key"), ("v", "value"))
            ),
            decay.reshape(heads, -1),
            first,
        )
        return self.part(layer, "output.weight") @ (y * _silu(self.part(layer, "gate.weight") @ mixed["g"]))

    def linear_attention(self, layer, r, k, v, decay, first) -> np.ndarray:
        """Return the normalized readout of the state [heads, key channel, value channel]; all arguments [heads, size]."""
        state = self.state.get(("kv", layer), np.zeros((*k.shape, v.shape[1])))
        new = k[:, :, None] * v[:, None, :]
        y = np.einsum("hk,hkv->hv", r, state + first[..., None] * new)
        self.state["kv", layer] = decay[..., None] * state + new
        return self.group_norm(layer, y)

    def time_mix_7(self, layer: int, x: np.ndarray, before: np.ndarray) -> np.ndarray:
        mixed = {c: x + (before - x) * self.part(layer, f"x_{c}").ravel() for c in "rwkvag"}
        heads, size = self.part(layer, "r_k").shape
        r, k, v = (
            self.part(layer, f"{name}.weight") @ mixed[c]
            for c, name in (("r", "receptance"), ("k", "key"), ("v", "value"))
        )

        def low_rank(name: str, c: str, inner=lambda z: z) -> np.ndarray:
            return inner(mixed[c] @ self.part(layer, f"{name}1")) @ self.part(layer, f"{name}2")

        w = np.exp(-np.exp(-0.5) * _sigmoid(self.part(layer, "w0").ravel() + low_rank("w", "w", np.tanh)))
        a = _sigmoid(self.part(layer, "a0").ravel() + low_rank("a", "a"))
        g = low_rank("g", "g", _sigmoid)
        removed = (k * self.part(layer, "k_k").ravel()).reshape(heads, size)
        removed = removed / np.maximum(np.linalg.norm(removed, axis=1, keepdims=True), 1e-12)
        k = k * (1 + (a - 1) * self.part(layer, "k_a").ravel())
        if layer == 0:
            self.first_value = v
        else:
            v = v + (self.first_value - v) * _sigmoid(self.part(layer, "v0").ravel() + low_rank("v", "v"))
        r, k, v, w, a = (vector.reshape(heads, size) for vector in (r, k, v, w, a))
        state = self.state.get(("kv", layer), np.zeros((heads, size, size)))
        read = np.einsum("hvk,hk->hv", state, -removed)
        state = state * w[:, None, :] + read[:, :, None] * (removed * a)[:, None, :] + v[:, :, None] * k[:, None, :]
        self.state["kv", layer] = state
        y = self.group_norm(layer, np.einsum("hvk,hk->hv", state, r))
        bonus = (r * k * self.part(layer, "r_k")).sum(1, keepdims=True) * v
        return self.part(layer, "output.weight") @ ((y + bonus.ravel()) * g)

    def channel_mix(self, layer: int, x: np.ndarray, before: np.ndarray) -> np.ndarray:
        prefix = f"blocks.{layer}.ffn."

        def mixed(c: str) -> np.ndarray:
            if self.version == "7":
                share = self.w[f"{prefix}x_{c}"]
            elif self.version == "6":
                share = self.w[f"{prefix}time_maa_{c}"]
            else:
                share = 1 - self.w[f"{prefix}time_mix_{c}"]
            return x + (before - x) * share.ravel()

        k = self.w[f"{prefix}value.weight"] @ np.maximum(self.w[f"{prefix}key.weight"] @ mixed("k"), 0) ** 2
        return k if self.version == "7" else _sigmoid(self.w[f"{prefix}receptance.weight"] @ mixed("r")) * k


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def _silu(x: np.ndarray) -> np.ndarray:
    return x * _sigmoid(x)
