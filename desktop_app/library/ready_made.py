"""GGUF files that are there already for a published checkpoint: the publisher's own, or those of a well-known quantizer.

Names are all that is gone by, since no host says surely which repository holds whose files: the publisher's "NAME-GGUF", and
those of the few who quantize nearly everything. Who made a file is said wherever it is offered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from converter.hub.address import MODELSCOPE_PREFIX
from converter.hub.manifest import conversions_by_source, read_manifest, verified_files
from converter.hub.selection import is_small
from models.errors import ZhiyinError

if TYPE_CHECKING:
    from converter.hub.request import DownloadRequest

Way = Literal["auto", "ready", "convert"]
"""To a model of a checkpoint: "convert" it here; take a GGUF file that is "ready", of whomever; "auto": the publisher's own
file in the wanted quantization where there is one, else convert."""
WAYS: tuple[Way, ...] = ("auto", "ready", "convert")
QUANTIZERS = ("ggml-org", "bartowski", "unsloth", "lmstudio-community")
"""Accounts that publish GGUF files of others' models, and say how they made them."""
_NOT_THERE = ("refused", "gated")


@dataclass(frozen=True)
class ReadyMade:
    """A repository with GGUF files of a model."""

    source: str
    """As `DownloadRequest.repository`."""
    own: bool
    """The model's publisher made them."""
    files: Mapping[str, int]
    """Bytes of each quantization."""
    revision: str = ""

    @property
    def maker(self) -> str:
        """The account that published them."""
        return self.source.removeprefix(MODELSCOPE_PREFIX).partition("/")[0]


def better_deal(wanted: DownloadRequest, way: Way, quant: str) -> ReadyMade | None:
    """Return what is to be fetched in place of a checkpoint; None: the checkpoint.

    Args:
        wanted: a repository with a checkpoint.
        way: what the user wants.
        quant: what it would be converted to.

    Raises:
        ZhiyinError: "ready" is wanted, and nobody offers anything.
    """
    if way == "convert" or (way == "auto" and _is_begun(wanted)):
        return None
    deal = ready_made(wanted, others=way == "ready")
    exact = next((one for one in deal if quant in one.files), None)
    if exact is None and way == "ready":
        if not deal:
            raise ZhiyinError(
                "Nobody whom Zhiyin knows offers GGUF files of {name}; convert it here.", name=wanted.repository
            )
        return deal[0]
    return exact


def ready_made(wanted: DownloadRequest, *, others: bool = True) -> tuple[ReadyMade, ...]:
    """Return what is there for a repository with a checkpoint; where its publisher offers anything, nobody else is asked.

    A host that does not answer offers nothing.

    Args:
        wanted: the repository; one that has GGUF in its name, or names a file, has no other.
        others: ask for the files of quantizers, too.
    """
    name = wanted.repository.removeprefix(MODELSCOPE_PREFIX)
    if name.count("/") != 1 or name.lower().endswith("gguf"):
        return ()
    try:
        own = tuple(_those_in(wanted, (name, f"{name}-GGUF"), own=True))
        first = next(_those_in(wanted, _quantizers(name), own=False), None) if others and not own else None
    except ZhiyinError:
        return ()
    return own if first is None else (first,)


def _quantizers(name: str) -> Iterator[str]:
    publisher, _, model = name.partition("/")
    for account in QUANTIZERS:
        yield f"{account}/{model}-GGUF"
        if account == "bartowski":
            yield f"{account}/{publisher}_{model}-GGUF"


def _those_in(wanted: DownloadRequest, names: Iterable[str], *, own: bool) -> Iterator[ReadyMade]:
    from converter.hub.repository import gguf_sizes

    prefix = MODELSCOPE_PREFIX if wanted.repository.startswith(MODELSCOPE_PREFIX) else ""
    for name in names:
        itself = prefix + name == wanted.repository
        asked = wanted if itself else replace(wanted, repository=prefix + name, revision="")
        try:
            files = gguf_sizes(asked)
        except ZhiyinError as error:
            if error.code not in _NOT_THERE:
                raise
            continue
        if files:
            yield ReadyMade(asked.repository, own, files, asked.revision)


def _is_begun(wanted: DownloadRequest) -> bool:
    """Tell whether weights of the checkpoint are here, or a model that was made of it: then nothing else is fetched."""
    from converter.hub.hosts import find_host

    folder = wanted.downloads / find_host(wanted.repository, wanted.revision, wanted.endpoint, token=False).folder
    weights = (
        name for name in verified_files(read_manifest(folder)) if not is_small(name) and (folder / name).exists()
    )
    return bool(conversions_by_source(folder)) or any(weights) or any(folder.glob(".*.part"))
