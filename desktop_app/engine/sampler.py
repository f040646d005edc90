"""Choosing the next token: llama.cpp's samplers, usable with or without a llama.cpp context."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import llama_cpp.llama_cpp as llama
import numpy as np

from desktop_app.engine.grammar import TOKEN_DATA, Grammar, token_array
from desktop_app.engine.protocol import SamplingSettings

_REPEAT_WINDOW = 64
NO_TOKEN = -1
"""Chosen where a grammar allows no token: the reply is whole."""


class Sampler:
    """A chain of llama.cpp samplers: penalties, top-k, top-p, min-p, temperature, then the draw."""

    def __init__(
        self, settings: SamplingSettings, vocabulary_size: int, history: Sequence[int], grammar: Grammar | None = None
    ) -> None:
        """Build the chain.

        Args:
            settings: how tokens are chosen.
            vocabulary_size: the number of logits.
            history: the tokens before the reply, which the repeat penalty looks back on.
            grammar: what the reply is held to; it is closed with the sampler.
        """
        self.grammar = grammar
        penalised = _has_penalties(settings)
        self.takes_best = settings.temperature <= 0 and not penalised and not settings.logit_bias
        """The largest logit is all that counts: looking for it costs half of what the chain does."""
        chain = llama.llama_sampler_chain_init(llama.llama_sampler_chain_default_params())
        if chain is None:
            raise MemoryError
        self.chain = chain
        for sampler in _samplers(settings, vocabulary_size):
            llama.llama_sampler_chain_add(chain, sampler)
        if penalised:
            for token in history[-_REPEAT_WINDOW:]:
                llama.llama_sampler_accept(chain, token)

    def choose(self, logits: np.ndarray) -> int:
        """Choose from float32 logits [vocabulary]; where a llama.cpp context holds them, its own way is as fast."""
        if self.takes_best and self.grammar is None:
            return int(logits.argmax())
        token = int(logits.argmax()) if self.takes_best else self._drawn(_candidates(logits))
        if self.grammar is not None:
            token = token if self.grammar.allows(token) else self._allowed(logits, self.grammar)
            if token == NO_TOKEN:
                return token
            self.grammar.accept(token)
        llama.llama_sampler_accept(self.chain, token)
        return token

    def _allowed(self, logits: np.ndarray, grammar: Grammar) -> int:
        """Choose among the tokens that the grammar allows."""
        candidates = _candidates(logits)
        grammar.restrict(candidates)
        candidates = np.ascontiguousarray(candidates[np.isfinite(candidates["logit"])])
        return self._drawn(candidates) if len(candidates) else NO_TOKEN

    def _drawn(self, candidates: np.ndarray) -> int:
        """Apply the chain."""
        array = token_array(candidates)
        llama.llama_sampler_apply(self.chain, ctypes.byref(array))
        return int(array.data[array.selected].id)

    def close(self) -> None:
        """Free the chain and the grammar."""
        llama.llama_sampler_free(self.chain)
        if self.grammar is not None:
            self.grammar.close()


def _candidates(logits: np.ndarray) -> np.ndarray:
    """Return TOKEN_DATA of all tokens."""
    candidates = np.zeros(len(logits), TOKEN_DATA)
    candidates["id"] = np.arange(len(logits), dtype=np.int32)
    candidates["logit"] = logits
    return candidates


def _has_penalties(settings: SamplingSettings) -> bool:
    return settings.repeat_penalty != 1.0 or bool(settings.presence_penalty or settings.frequency_penalty)


def _samplers(settings: SamplingSettings, vocabulary_size: int) -> list[llama.llama_sampler_p | None]:
    chosen: list[llama.llama_sampler_p | None] = []
    if settings.logit_bias:
        chosen.append(_bias(settings.logit_bias, vocabulary_size))
    if _has_penalties(settings):
        chosen.append(
            llama.llama_sampler_init_penalties(
                vocabulary_size,
                _REPEAT_WINDOW,
                settings.repeat_penalty,
                settings.frequency_penalty,
                settings.presence_penalty,
            )
        )
    if settings.temperature <= 0:
        return [*chosen, llama.llama_sampler_init_greedy()]
    if settings.top_k > 0:
        chosen.append(llama.llama_sampler_init_top_k(settings.top_k))
    chosen += [
        llama.llama_sampler_init_top_p(settings.top_p, 1),
        llama.llama_sampler_init_min_p(settings.min_p, 1),
        llama.llama_sampler_init_temp(settings.temperature),
        llama.llama_sampler_init_dist(
            llama.LLAMA_DEFAULT_SEED if settings.seed is None else settings.seed & 0xFFFFFFFF
        ),
    ]
    return chosen


def _bias(biases: Sequence[tuple[int, float]], vocabulary_size: int) -> llama.llama_sampler_p | None:
    """Return the sampler that adds to logits; ids that the vocabulary lacks are passed over."""
    known = [(token, bias) for token, bias in biases if 0 <= token < vocabulary_size]
    array = (llama.llama_logit_bias * len(known))(*(llama.llama_logit_bias(token, bias) for token, bias in known))
    return llama.llama_sampler_init_logit_bias(vocabulary_size, len(known), array)
