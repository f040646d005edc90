"""The messages between the application and the engine process: one JSON object a line, over stdin and stdout.

Requests carry an `id`; every event names the request it belongs to. A request ends with exactly one `Done` or `Failed`;
`Progress` and `Text` come before it. Large arrays go through files that the client names.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from desktop_app.engine.results import (
    AnyResult,
    CollectedChunks,
    Coverage,
    Divergences,
    Durations,
    LogitsShape,
    Losses,
    ModelInfo,
    ProcessStats,
    RenderedPrompt,
    Reply,
    RestoredState,
    SavedState,
    Scores,
    TokenIds,
    TokenLogprob,
    Vectors,
)
from desktop_app.system.devices import ComputeFacts
from desktop_app.system.read_speed import ReadSpeed

R = TypeVar("R")

Message = Mapping[str, Any]
"""A chat message as OpenAI's API writes it: role, content, optionally tool_calls, name, reasoning_content."""
LONGEST_CONTEXT = 2**31 - 256
"""Tokens that llama.cpp can count, rounded up as it does."""
MOST_THREADS = 512
"""GGML_MAX_N_THREADS."""
MOST_SEQUENCES = 256
"""LLAMA_MAX_SEQ."""
LOGIT_ROWS = 64
"""Positions whose logits are computed at once where all of them are wanted: more are hardly faster."""


@dataclass(frozen=True)
class LoadSettings:
    """How a model is put into memory."""

    context: Annotated[int, Meta(ge=0, le=LONGEST_CONTEXT)] = 4096
    """Tokens that a chat may hold; 0: as many as the model was trained for."""
    gpu_layers: Annotated[int, Meta(ge=-1, le=LONGEST_CONTEXT)] = -1
    """Layers on GPUs, counted from the last one; -1: all when there is one."""
    tensor_split: tuple[float, ...] = ()
    """Layers on each GPU, in ggml's order; (): by their free memory."""
    threads: Annotated[int, Meta(ge=0, le=MOST_THREADS)] = 0
    """0: those of `engine.threads`."""
    batch: Annotated[int, Meta(ge=1, le=LONGEST_CONTEXT)] = 512
    """Tokens of a prompt computed at once."""
    kv_type: str = "f16"
    """ggml type of the key-value cache."""
    mmap: bool = True
    mlock: bool = False
    parallel: Annotated[int, Meta(ge=1, le=MOST_SEQUENCES)] = 1
    """Chats that are computed at once, each with a context of its own; runners that compute one only pass over it."""
    logit_rows: Annotated[int, Meta(ge=1, le=LONGEST_CONTEXT)] = 1
    """Positions whose logits are computed at once: a chat needs the last one's, `Logits` and `Score` want `LOGIT_ROWS`."""
    draft: Path | None = None
    """A small model of the same vocabulary that guesses tokens; None: there is none."""
    importance: bool = False
    """`CollectImportance` may be asked for: nothing else computes as fast then."""


@dataclass(frozen=True)
class AdapterUse:
    """An adapter on the loaded model: what it changes counts `scale` times."""

    path: Path
    """A GGUF file with `general.type` adapter."""
    scale: float = 1.0


@dataclass(frozen=True)
class SamplingSettings:
    """How the next token is chosen."""

    temperature: float = 0.7
    """0: always the most probable token."""
    top_k: int = 40
    """0: no limit."""
    top_p: float = 0.95
    min_p: float = 0.05
    repeat_penalty: float = 1.0
    """Applied to the last 64 tokens; 1: none."""
    seed: int | None = None
    """None: another one each time."""
    max_tokens: int = 0
    """0: until the model ends or the context is full."""
    stop: tuple[str, ...] = ()
    presence_penalty: float = 0.0
    """Taken off the logit of each of the last 64 tokens; 0: none."""
    frequency_penalty: float = 0.0
    """The same, times how often it is among them."""
    logit_bias: tuple[tuple[int, float], ...] = ()
    """Token ids, each with what is added to its logit."""
    grammar: str = ""
    """What the reply is held to, in llama.cpp's GBNF; "": nothing."""
    guesses: bool = True
    """Tokens may be guessed and verified several at once, where that is faster; the model chooses each of them all the same."""
    logprobs: int | None = None
    """Alternatives that are reported for each token, with its own logarithm of probability; None: nothing is reported."""


class Request(Struct, Generic[R], frozen=True, tag_field="kind"):
    """Base of all requests; its parameter is the type of the result."""


class Load(Request[ModelInfo], frozen=True, tag="load"):
    """Load a GGUF file, unloading the current one."""

    path: Path
    settings: LoadSettings = LoadSettings()
    adapters: tuple[AdapterUse, ...] = ()


class SetAdapters(Request[None], frozen=True, tag="set_adapters"):
    """Put these adapters, and no others, on the loaded model; it is not loaded again.

    The cache is emptied when they differ from the ones before. On failure those before stay.
    """

    adapters: tuple[AdapterUse, ...]


class Unload(Request[None], frozen=True, tag="unload"):
    """Free the model."""


class Prompt(Request[RenderedPrompt], frozen=True, tag="prompt"):
    """Render a chat without running it."""

    messages: tuple[Message, ...]
    tools: tuple[Mapping[str, Any], ...] = ()
    """In OpenAI's form."""
    thinking: bool | None = None
    """Whether the reply begins with reasoning, where the template leaves the choice; None: as the template does."""
    effort: str = ""
    """How long to think (`models.chat.efforts.EFFORTS`), where the template leaves that choice; "": as the template does."""


class Generate(Request[Reply], frozen=True, tag="generate"):
    """Reply to a chat, streaming `Text`."""

    messages: tuple[Message, ...]
    sampling: SamplingSettings = SamplingSettings()
    tools: tuple[Mapping[str, Any], ...] = ()
    schema: Mapping[str, Any] | None = None
    """The JSON schema that the answer is held to, by a grammar; None: it is free. `sampling.grammar` comes first."""
    state: Path | None = None
    """Where what the model remembers of this chat is kept: this file, or the folder of its name without ending; None: nowhere."""
    thinking: bool | None = None
    effort: str = ""
    """Both as in `Prompt`."""
    begun: str = ""
    """The beginning of the reply, which goes on from there; what is streamed is what follows, `Reply.text` is all of it."""
    shortened: bool = False
    """Turns were left out of the chat's beginning: what is remembered of the others is moved to their places where the model can,
    though it was computed with those before it, instead of being computed anew."""

    @property
    def prompt(self) -> Prompt:
        """The prompt's fields, without sampling."""
        return Prompt(self.messages, self.tools, self.thinking, self.effort)


class Complete(Request[Reply], frozen=True, tag="complete"):
    """Go on with a text as it is, without a chat's template, streaming `Text`."""

    text: str
    """Markup such as <|im_start|> becomes its control token."""
    sampling: SamplingSettings = SamplingSettings()


class Cancel(Request[None], frozen=True, tag="cancel"):
    """Stop the request `target` within 100 ms; that one ends as usual."""

    target: int


class Tokenize(Request[TokenIds], frozen=True, tag="tokenize"):
    """Turn a text into token ids; `special`: markup such as <|im_start|> becomes its control token."""

    text: str
    add_special: bool = True
    special: bool = True


class Logits(Request[LogitsShape], frozen=True, tag="logits"):
    """Write the float32 logits [n_tokens, n_vocab] of every position to `out` (.npy)."""

    ids: tuple[int, ...]
    out: Path


class Score(Request[Losses], frozen=True, tag="score"):
    """Tell how well the model predicts a text: -log p of each of `ids` after number `start`, given those before it."""

    ids: tuple[int, ...]
    start: int = 0


class Embed(Request[Vectors], frozen=True, tag="embed"):
    """Make one vector of each text, in the loaded embedding model; control tokens' markup in them stays text.

    Texts of any number and length: those that are too long are cut. A number of them at once is faster than one by one.
    """

    texts: tuple[str, ...]
    role: Literal["", "query", "document"] = ""
    """Puts in front what the model was trained with for questions or passages; "": nothing."""


class Rerank(Request[Scores], frozen=True, tag="rerank"):
    """Tell how well each text answers a question, by the loaded reranking model."""

    query: str
    texts: tuple[str, ...]


class WriteReference(Request[None], frozen=True, tag="write_reference"):
    """Write the distributions after `ids` from number `start` on to `out`, for `Compare` with another model loaded."""

    ids: tuple[int, ...]
    start: int
    out: Path


class Compare(Request[Divergences], frozen=True, tag="compare"):
    """Tell how far the distributions after the same `ids` are from those that `WriteReference` wrote."""

    ids: tuple[int, ...]
    start: int
    reference: Path


class CollectImportance(Request[None], frozen=True, tag="collect_importance"):
    """Read `ids` in a fresh sequence, and add what its matrix products see to the importance matrix."""

    ids: tuple[int, ...]


class ResumeImportance(Request[CollectedChunks], frozen=True, tag="resume_importance"):
    """Go on with an importance matrix that `WriteImportance` wrote with the same key, if it is there; tell its chunks."""

    path: Path
    key: str


class WriteImportance(Request[Coverage], frozen=True, tag="write_importance"):
    """Write the importance matrix as llama-imatrix does."""

    out: Path
    chunk_size: int
    dataset: str
    key: str


class Measure(Request[Durations], frozen=True, tag="measure"):
    """Read `ids` into an empty context, then write `tokens` tokens after them; what they are does not matter."""

    ids: tuple[int, ...]
    tokens: int = 0
    bare: bool = False
    """By llama.cpp's own calls in a plain loop, in a context beside ours; fails where llama.cpp does not run the model."""


class MeasureReadSpeed(Request[ReadSpeed], frozen=True, tag="measure_read_speed"):
    """Measure how fast this computer reads weights of each type, which takes one or two seconds."""


class SaveState(Request[SavedState], frozen=True, tag="save_state"):
    """Write the cache or recurrent state to `path`."""

    path: Path


class LoadState(Request[RestoredState], frozen=True, tag="load_state"):
    """Restore a state written by `SaveState` with the same model."""

    path: Path


class Stats(Request[ProcessStats], frozen=True, tag="stats"):
    """Tell what the engine process takes."""


class Devices(Request[ComputeFacts], frozen=True, tag="devices"):
    """List what ggml can compute on."""


AnyRequest = (
    Load
    | SetAdapters
    | Unload
    | Prompt
    | Generate
    | Complete
    | Cancel
    | Tokenize
    | Logits
    | Score
    | Embed
    | Rerank
    | WriteReference
    | Compare
    | CollectImportance
    | ResumeImportance
    | WriteImportance
    | Measure
    | MeasureReadSpeed
    | SaveState
    | LoadState
    | Stats
    | Devices
)


class Ready(Struct, frozen=True, tag="ready", tag_field="kind"):
    """The process takes requests; the event has no request of its own and the id 0."""

    pid: int


class Progress(Struct, frozen=True, tag="progress", tag_field="kind"):
    """A part of the work is done."""

    part: float
    """0 to 1."""
    phase: str
    """load, prompt, embed."""


class Text(Struct, frozen=True, tag="text", tag_field="kind", omit_defaults=True):
    """A piece of a reply."""

    text: str
    logprobs: tuple[TokenLogprob, ...] = ()
    """Of the tokens since the piece before, where they are asked for."""


class Done(Struct, frozen=True, tag="done", tag_field="kind"):
    """The request ended well."""

    result: AnyResult | None = None


class Failed(Struct, frozen=True, tag="failed", tag_field="kind"):
    """The request ended in an error."""

    error: dict[str, Any]
    """`ZhiyinError.data()`."""


Event = Ready | Progress | Text | Done | Failed
Update = Progress | Text
"""What comes before the end of a request."""


class Malformed(ValueError):
    """A line that is no message."""

    def __init__(self, reason: Exception, request: int = 0) -> None:
        """`request`: the number of the request that it carries, where that much can be read."""
        super().__init__(str(reason))
        self.request = request


class _RequestLine(Struct, frozen=True):
    id: int
    request: msgspec.Raw


class _EventLine(Struct, frozen=True):
    id: int
    """The request's; 0: none."""
    event: Event


LONGEST_LINE = 1 << 30
"""Bytes; the ids of a text of 100 MB take a quarter of that."""


def _written(value: Any) -> str:
    """Return a path as text: a name that is no UTF-8, which JSON cannot hold, as its bytes behind a NUL, which no path has."""
    if not isinstance(value, Path):
        raise TypeError(f"{value!r} is no part of a message")
    text = str(value)
    try:
        text.encode()
    except UnicodeEncodeError:
        return "\0" + os.fsencode(value).decode("latin-1")
    return text


def _read(kind: type, text: Any) -> Path:
    if kind is not Path or not isinstance(text, str):
        raise ValueError(f"Expected a path, got {text!r}")
    return Path(os.fsdecode(text[1:].encode("latin-1")) if text.startswith("\0") else text)


_REQUEST_LINES = msgspec.json.Decoder(_RequestLine)
_REQUESTS: msgspec.json.Decoder[AnyRequest] = msgspec.json.Decoder(AnyRequest, dec_hook=_read)
_EVENT_LINES = msgspec.json.Decoder(_EventLine, dec_hook=_read)
_LINES = msgspec.json.Encoder(enc_hook=_written)


def encode_request(number: int, request: Request[Any]) -> bytes:
    """Return the line that carries a request."""
    return _line({"id": number, "request": request})


def decode_request(line: bytes) -> tuple[int, AnyRequest]:
    """Return the request of a line, with its number; raises `Malformed`."""
    number = 0
    try:
        parts = _REQUEST_LINES.decode(line)
        number = parts.id
        return number, _REQUESTS.decode(parts.request)
    except (ValueError, RecursionError) as error:
        raise Malformed(error, number) from error


def encode_event(number: int, event: Event) -> bytes:
    """Return the line that carries an event of a request."""
    return _line(_EventLine(number, event))


def decode_event(line: bytes) -> tuple[int, Event]:
    """Return the event of a line, with its request's number; raises `Malformed`."""
    try:
        parts = _EVENT_LINES.decode(line)
    except (ValueError, RecursionError) as error:
        raise Malformed(error) from error
    return parts.id, parts.event


def _line(message: Any) -> bytes:
    try:
        return _LINES.encode(message) + b"\n"
    except UnicodeEncodeError:  # half of a surrogate pair, which is no text
        return (
            json.dumps(msgspec.to_builtins(message, enc_hook=_written), ensure_ascii=False).encode("utf-8", "replace")
            + b"\n"
        )
