"""The messages between the application and the engine process: one JSON object a line, over stdin and stdout.

Requests carry an `id`; every event names the request it belongs to. A request ends with exactly one `Done` or `Failed`;
`Progress` and `Text` come before it. Large arrays go through files that the client names.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar, TypeVar

Message = Mapping[str, Any]
"""A chat message as OpenAI's API writes it: role, content, optionally tool_calls, name, reasoning_content."""
EFFORTS = ("low", "medium", "high")
"""How long a model may think, in the words of gpt-oss's template."""

LOGIT_ROWS = 64
"""Positions whose logits are computed at once where all of them are wanted: more are hardly faster."""


@dataclass(frozen=True)
class LoadSettings:
    """How a model is put into memory."""

    context: int = 4096
    """Tokens that a chat may hold; 0: as many as the model was trained for."""
    gpu_layers: int = -1
    """Layers on GPUs, counted from the last one; -1: all when there is one."""
    tensor_split: tuple[float, ...] = ()
    """Layers on each GPU, in ggml's order; (): by their free memory."""
    threads: int = 0
    """0: those of `engine.threads`."""
    batch: int = 512
    """Tokens of a prompt computed at once."""
    kv_type: str = "f16"
    """ggml type of the key-value cache."""
    mmap: bool = True
    mlock: bool = False
    logit_rows: int = 1
    """Positions whose logits are computed at once: a chat needs the last one's, `Logits` and `Score` want `LOGIT_ROWS`."""


@dataclass(frozen=True)
class AdapterUse:
    """An adapter on the loaded model: what it changes counts `scale` times."""

    path: str
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


@dataclass(frozen=True)
class Request:
    """Base of all requests."""

    kind: ClassVar[str]


@dataclass(frozen=True)
class Load(Request):
    """Load a GGUF file, unloading the current one. Result: `ModelInfo`."""

    kind: ClassVar[str] = "load"
    path: str
    settings: LoadSettings = field(default_factory=LoadSettings)
    adapters: tuple[AdapterUse, ...] = ()


@dataclass(frozen=True)
class SetAdapters(Request):
    """Put these adapters, and no others, on the loaded model; it is not loaded again. Result: {}.

    The cache is emptied when they differ from the ones before. On failure those before stay.
    """

    kind: ClassVar[str] = "set_adapters"
    adapters: tuple[AdapterUse, ...]


@dataclass(frozen=True)
class Unload(Request):
    """Free the model. Result: {}."""

    kind: ClassVar[str] = "unload"


@dataclass(frozen=True)
class Prompt(Request):
    """Render a chat without running it. Result: {"prompt": text, "ids": [...]}."""

    kind: ClassVar[str] = "prompt"
    messages: tuple[Message, ...]
    tools: tuple[Mapping[str, Any], ...] = ()
    """In OpenAI's form."""
    thinking: bool | None = None
    """Whether the reply begins with a thought, where the template leaves the choice; None: as the template does."""
    effort: str = ""
    """How long to think, one of `EFFORTS`, where the template leaves that choice; "": as the template does."""


@dataclass(frozen=True)
class Generate(Request):
    """Reply to a chat, streaming `Text`. Result: `Reply`."""

    kind: ClassVar[str] = "generate"
    messages: tuple[Message, ...]
    sampling: SamplingSettings = field(default_factory=SamplingSettings)
    tools: tuple[Mapping[str, Any], ...] = ()
    state: str = ""
    """The file in which a recurrent model's state of this chat is kept; "": none. Other models leave it alone."""
    thinking: bool | None = None
    effort: str = ""
    """Both as in `Prompt`."""

    @property
    def prompt(self) -> Prompt:
        """What is asked, without how it is answered."""
        return Prompt(self.messages, self.tools, self.thinking, self.effort)


@dataclass(frozen=True)
class Cancel(Request):
    """Stop the request `target` within 100 ms; that one ends as usual. Result: {}."""

    kind: ClassVar[str] = "cancel"
    target: int


@dataclass(frozen=True)
class Tokenize(Request):
    """Result: {"ids": [...]}. `special`: markup such as <|im_start|> becomes its control token."""

    kind: ClassVar[str] = "tokenize"
    text: str
    add_special: bool = True
    special: bool = True


@dataclass(frozen=True)
class Logits(Request):
    """Write the float32 logits [n_tokens, n_vocab] of every position to `out` (.npy). Result: {"shape": [n, v]}."""

    kind: ClassVar[str] = "logits"
    ids: tuple[int, ...]
    out: str


@dataclass(frozen=True)
class Score(Request):
    """Tell how well the model foretells a text: -log p of each of `ids` after number `start`, given those before it.

    Result: {"losses": [len(ids) - 1 - start numbers]}, in nats.
    """

    kind: ClassVar[str] = "score"
    ids: tuple[int, ...]
    start: int = 0


@dataclass(frozen=True)
class Measure(Request):
    """Read `ids` into an empty context, then write `tokens` tokens after them; what they are does not matter.

    Result: {"prompt_seconds": s, "seconds": s}.
    """

    kind: ClassVar[str] = "measure"
    ids: tuple[int, ...]
    tokens: int = 0


@dataclass(frozen=True)
class SaveState(Request):
    """Write the cache or recurrent state to `path`. Result: {"bytes": n}."""

    kind: ClassVar[str] = "save_state"
    path: str


@dataclass(frozen=True)
class LoadState(Request):
    """Take up a state written by `SaveState` with the same model. Result: {"tokens": n}."""

    kind: ClassVar[str] = "load_state"
    path: str


@dataclass(frozen=True)
class Stats(Request):
    """Result: {"resident_bytes": n, "private_bytes": n, "peak_bytes": n, "largest_batch": n, "devices": [...]}.

    Peak is the most that was resident since the process began. Private is what the system counts as taken: on Linux without
    pages of mapped files, which it gives to others on demand unless they are locked.
    """

    kind: ClassVar[str] = "stats"


@dataclass(frozen=True)
class Devices(Request):
    """List what ggml can compute on.

    Result: {"devices": [what `engine.backends.devices` tells], "backends": [name], "system_info": text,
    "resident_bytes": n, "rearranged": [type]}.
    """

    kind: ClassVar[str] = "devices"


@dataclass(frozen=True)
class ModelInfo:
    """What the application needs to know of a loaded model."""

    path: str
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
    seconds: float = 0.0
    dialect: str = ""
    """A name in `models.chat.dialects`."""
    plain_text: bool = False
    """The publisher's tokenizer never reads markup in a text as control tokens."""
    forward_only: bool = False
    """What the model remembers cannot be cut back by some tokens: snapshots are taken as turns go (RWKV, Qwen3.5)."""


@dataclass(frozen=True)
class Reply:
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
    tool_calls: tuple[Mapping[str, Any], ...] = ()
    """What the reply calls, as OpenAI's API writes it."""


@dataclass(frozen=True)
class Event:
    """What the engine answers."""

    id: int
    """The request's; 0: none (`Ready`, or the engine itself failed)."""
    kind: str
    """ready, progress, text, done, failed."""
    data: dict[str, Any] = field(default_factory=dict)
    """ready: versions; progress: {"part": 0..1, "phase": "load"|"prompt"}; text: {"text": str}; done: the result;
    failed: {"message": one sentence, "cause": memory|file|model|context|busy|internal}."""


T = TypeVar("T")

REQUESTS: dict[str, type[Request]] = {
    cls.kind: cls
    for cls in (
        Load,
        SetAdapters,
        Unload,
        Generate,
        Cancel,
        Tokenize,
        Prompt,
        Logits,
        Score,
        Measure,
        SaveState,
        LoadState,
        Stats,
        Devices,
    )
}

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_NESTED: dict[str, type[Any]] = {"LoadSettings": LoadSettings, "SamplingSettings": SamplingSettings}
_NESTED_LISTS: dict[str, type[Any]] = {"tuple[AdapterUse, ...]": AdapterUse}


def from_dict(cls: type[T], data: Mapping[str, Any]) -> T:
    """Build a message dataclass from decoded JSON; unknown keys are an error, lists become tuples."""
    types = {f.name: str(f.type) for f in fields(cls)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key, value in data.items():
        nested, listed = _NESTED.get(types[key]), _NESTED_LISTS.get(types[key])
        if nested is not None:
            values[key] = from_dict(nested, value)
        elif listed is not None:
            values[key] = tuple(from_dict(listed, item) for item in value)
        else:
            values[key] = tuple(value) if isinstance(value, list) else value
    return cls(**values)


def encode_request(number: int, request: Request) -> bytes:
    """Return the line that carries a request."""
    return _line({"id": number, "kind": request.kind, "data": asdict(request)})


def decode_request(line: bytes) -> tuple[int, Request]:
    """Return the request's number and the request of a line; raises ValueError or KeyError on anything else."""
    message = json.loads(line)
    return int(message["id"]), from_dict(REQUESTS[message["kind"]], message["data"])


def encode_event(event: Event) -> bytes:
    """Return the line that carries an event."""
    return _line({"id": event.id, "kind": event.kind, "data": event.data})


def decode_event(line: bytes) -> Event:
    """Return the event of a line."""
    return Event(**json.loads(line))


def _line(message: dict[str, Any]) -> bytes:
    return _ENCODER.encode(message).encode("utf-8", "surrogatepass") + b"\n"
