"""Results of engine requests."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from desktop_app.system.devices import ComputeFacts, Device
from desktop_app.system.read_speed import ReadSpeed


class Result(Struct, frozen=True, tag=True, tag_field="kind"):
    """Base of the results that are defined here."""


class ModelInfo(Result, frozen=True):
    """Facts of a loaded model."""

    path: Path
    name: str
    architecture: str
    vocabulary_size: int
    context: int
    """Tokens that the loaded context holds; 0: no limit (recurrent models)."""
    trained_context: int
    parameters: int
    file_type: str
    """Quantization in words: Q4_K_M …"""
    chat: bool
    """The file carries a chat template."""
    reasoning: bool = False
    """The template knows about thinking."""
    thinking: bool | None = None
    """Where the template leaves the choice whether to think: whether it does so by itself; None: there is no choice."""
    effort: str = ""
    """Where the template leaves the choice how long to think: how long it does so by itself; "": there is no choice."""
    tools: bool = False
    takes_system: bool = True
    """The chat format has a place for a system message; without one it is put in front of the first question."""
    seconds: float = 0.0
    chat_format: str = ""
    """A name in `models.chat.chat_formats`."""
    plain_text: bool = False
    """The publisher's tokenizer never reads markup in a text as control tokens."""
    can_trim: bool = True
    """The cache can be cut back by some tokens; where it cannot (RWKV, Qwen3.5), snapshots are taken as turns go."""
    sequences: int = 1
    """Chats that are computed at once."""
    embedding: int = 0
    """Dimensions of the vectors that an embedding model makes of texts; 0: it makes none."""
    reranks: bool = False
    """The model gives a question and a passage one score."""


class TokenLogprob(Struct, frozen=True):
    """A token of a reply and how probable the model took it to be, by its logits alone: before any sampling setting."""

    text: str
    """Its text; a part of a character is replaced, and whole in `bytes`."""
    bytes: tuple[int, ...]
    logprob: float
    """Natural logarithm."""
    top: tuple[TokenLogprob, ...] = ()
    """The most probable tokens in its place, the best one first."""


class Vectors(Result, frozen=True):
    """One vector for each text."""

    dimensions: int
    data: bytes
    """float32, little-endian, one vector behind the other."""

    def rows(self) -> list[list[float]]:
        """Return the vectors as lists."""
        values = struct.unpack(f"<{len(self.data) // 4}f", self.data)
        return [list(values[at : at + self.dimensions]) for at in range(0, len(values), self.dimensions)]


class Scores(Result, frozen=True):
    """How well each text answers a question, from 0 to 1."""

    scores: list[float]


class Reply(Result, frozen=True):
    """How a generation ended and what it cost."""

    text: str
    """The whole reply, the same as all `Text` pieces together."""
    reason: str
    """end, stop (a stop text), length (max_tokens), full (context full), cancelled."""
    prompt_tokens: int
    reused_tokens: int
    """Tokens of the prompt that were in the cache already."""
    tokens: int
    prompt_seconds: float
    seconds: float
    stop: str = ""
    """The stop text of `SamplingSettings.stop` that ended it."""
    guessed_tokens: int = 0
    """Tokens that were computed before the model had chosen them."""
    right_guesses: int = 0
    """Of them those that it chose then."""
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    """What the reply calls, as OpenAI's API writes it."""
    logprobs: tuple[TokenLogprob, ...] = ()
    """Of the tokens after the last `Text`, where `SamplingSettings.logprobs` asks for them."""


class RenderedPrompt(Result, frozen=True):
    """A chat as the model reads it."""

    prompt: str
    ids: list[int]


class TokenIds(Result, frozen=True):
    """A tokenized text."""

    ids: list[int]


class LogitsShape(Result, frozen=True):
    """The shape of an array of logits."""

    shape: tuple[int, int]


class Losses(Result, frozen=True):
    """-log p of tokens, in nats."""

    losses: list[float]


class Divergences(Result, frozen=True):
    """How far a model's next-token distributions are from a reference's: one value for each scored token."""

    losses: list[float]
    """-log p, in nats."""
    reference_losses: list[float]
    """The reference's."""
    divergences: list[float]
    """Kullback-Leibler divergence of the model's distribution from the reference's, in nats."""
    same_top: list[bool]
    """Both take the same token to be the most probable one."""


class CollectedChunks(Result, frozen=True):
    """How much of an importance matrix is there."""

    chunks: int


class Coverage(Result, frozen=True):
    """The coverage of an importance matrix."""

    entries: int
    """Tensors."""
    chunks: int
    experts: dict[str, list[int]]
    """Of each tensor that holds a mixture's experts: how many tokens each of them saw."""


class Durations(Result, frozen=True):
    """The seconds of `Measure`."""

    prompt_seconds: float
    seconds: float


class SavedState(Result, frozen=True):
    """A state that was written."""

    bytes: int


class RestoredState(Result, frozen=True):
    """A state that was read."""

    tokens: int


class ProcessStats(Result, frozen=True):
    """The memory of the engine process, and what the devices have free."""

    resident_bytes: int
    private_bytes: int
    """What the system counts as taken: on Linux without pages of mapped files, which it may drop unless they are locked."""
    peak_bytes: int
    """The most that was resident since the process began."""
    largest_batch: int
    """The most tokens that the loaded model computed at once."""
    devices: tuple[Device, ...]


AnyResult = (
    ModelInfo
    | Reply
    | RenderedPrompt
    | TokenIds
    | LogitsShape
    | Losses
    | Vectors
    | Scores
    | Divergences
    | CollectedChunks
    | Coverage
    | Durations
    | SavedState
    | RestoredState
    | ProcessStats
    | ComputeFacts
    | ReadSpeed
)
