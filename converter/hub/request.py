"""Requests to a repository, and the facts of one: plain data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from converter.hub.address import MODELSCOPE_PREFIX
from converter.hub.selection import DownloadSelection, RemoteFile, RemoteHeaders
from models.config import Config
from models.errors import ZhiyinError


@dataclass(frozen=True)
class DownloadRequest:
    """A request for a download."""

    repository: str
    """ORG/NAME, or ORG/NAME/FILE for one model of several; with "modelscope:" in front, on ModelScope."""
    downloads: Path
    """The folder of all downloads."""
    revision: str = ""
    """A branch, tag or commit; "": the main branch."""
    endpoint: str = ""
    """Address of the Hub, a mirror or ModelScope; "": `HF_ENDPOINT`, or huggingface.co."""
    selection: DownloadSelection = field(default_factory=DownloadSelection)
    """What to take of several things."""
    token: str | bool = field(default=True, repr=False)
    """The user's token for this endpoint; True: what the environment or huggingface-hub keeps for it; False: none."""
    kept_token: Callable[[str], str] | None = field(default=None, repr=False)
    """Where `token` is True and neither has one: given the endpoint's address, returns the one that the user entered for it, or
    ""."""
    mirrors: tuple[str, ...] = ()
    """Addresses of the Hub's mirrors that a file comes from where `endpoint` fails: what it must be says `endpoint` alone."""
    made: Callable[[Config], int] | None = field(default=None, repr=False, compare=False)
    """Given a checkpoint's configuration, returns the bytes of what will be made of it: the disk must have room for both."""
    on_wait: Callable[[], None] | None = field(default=None, repr=False, compare=False)
    """Called about ten times a second while a host is silent; it may raise to stop."""


@dataclass(frozen=True)
class Download:
    """A finished download."""

    source: Path
    """What to convert or load: the folder, or a file in it."""
    folder: Path
    """Everything of the repository."""
    repository: str
    commit: str
    files: tuple[Path, ...]
    bytes: int
    """Of all files."""
    fetched: int
    """Bytes that came over the network this time."""
    made: Path | None = None
    """What was converted of it before, where that alone is wanted (`selection.converted`); then no file is fetched."""


@dataclass(frozen=True)
class Description:
    """A repository's description for the user."""

    repository: str
    page: str
    """Address of its page."""
    licence: str
    """"": it is not told."""
    downloads: int
    gated: bool
    """Its publisher lets in who accepted the licence."""
    card: str
    """Its card, in Markdown, without the facts for machines in front; "": it has none."""
    withheld: bool
    """The card, and so the weights too, is for those who were let in."""
    files: tuple[RemoteFile, ...]


@dataclass(frozen=True)
class Preview:
    """A repository's facts before anything of it is stored."""

    repository: str
    source: str
    """The file that is the model; "": the whole folder."""
    bytes: int
    """Still to be fetched."""
    weights: int = 0
    """Bytes of the weights alone, whatever is here already."""
    held: int = 0
    """Bytes of weights that are here at the worst moment where each file of them goes once it is converted; 0: none can go."""
    config: Config | None = None
    """None: it has no config.json, or comes as GGUF."""
    has_template: bool | None = None
    """A chat template lies beside it; None: that is not known before it is here."""
    quants: Mapping[str, int] = field(default_factory=dict)
    """Where it comes as GGUF: the bytes of each quantization."""
    quant: str = ""
    """The one that `source` has."""
    headers: RemoteHeaders = field(default_factory=dict)
    """Where it comes as GGUF: the headers of each quantization's parts, as far as they can be read."""
    unread: tuple[ZhiyinError, ...] = ()
    """Why headers cannot be read."""
    models: Mapping[str, int] = field(default_factory=dict)
    """Where it holds several checkpoints, or two sets of weights: the files, one of which must be named, and their bytes."""
    question: ZhiyinError | None = None
    """The sentence that asks for one of `models`."""


@dataclass(frozen=True)
class Outline:
    """The facts that a quantization is chosen by."""

    config: Config | None = None
    """None: it has no config.json, or comes as GGUF."""
    quants: Mapping[str, int] = field(default_factory=dict)
    """Where it comes as several GGUF models: the bytes of each quantization."""
    headers: RemoteHeaders = field(default_factory=dict)
    """As in `Preview`."""


@dataclass(frozen=True)
class FoundRepository:
    """A repository, as far as a list tells."""

    source: str
    """What is asked for: ORG/NAME, with "modelscope:" in front where it is there."""
    architecture: str = ""
    """The class or kind that its configuration names; "": it is not told."""
    parameters: int = 0
    """0: not told."""
    licence: str = ""
    downloads: int = 0
    gated: bool = False
    """Its publisher lets in who accepted the licence."""
    gguf: bool = False
    """It holds GGUF files."""

    @property
    def name(self) -> str:
        """ORG/NAME."""
        return self.source.removeprefix(MODELSCOPE_PREFIX)


@dataclass(frozen=True)
class Newer:
    """Another state of a repository than the one that is here."""

    repository: str
    commit: str
    files: tuple[str, ...]
    """Those of the download that are others now, or are gone; (): they are here no more, and only the state tells."""
