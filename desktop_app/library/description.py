"""A GGUF file's header read as a model: name, size, quantization, and why a file is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from converter.gguf_header import GGUFHeader, read_gguf_header, split_parts
from desktop_app.library.file_names import shown_name
from desktop_app.library.installed_model import BrokenModel, InstalledModel
from desktop_app.library.other_programs import name_of_blob
from models.chat.sampling import recommended_sampling
from models.embedding import POOLING, Pooling, is_embedding
from models.errors import BadFile, ZhiyinError
from models.system_reasons import system_reason
from models.visible import visible

_OTHER_KINDS = ("adapter", "mmproj", "imatrix")
"""`general.type` of GGUF files that are no models."""


class NoModel(BadFile):
    """A good GGUF file that is something else: an adapter, an importance matrix, a vision encoder."""


class Descriptions:
    """Reads each file once, and again when it has changed."""

    def __init__(self, folder: Path) -> None:
        """Models in `folder` are identified by their path from there on."""
        self._folder = folder
        self._known: dict[tuple[str, int, int], InstalledModel] = {}

    def of(self, path: Path) -> InstalledModel:
        """Return what a file is.

        Raises:
            NoModel: it is a good file that is something else.
            BadFile: it cannot be used.
        """
        try:
            status = path.stat()
        except OSError as error:
            raise BadFile("{path} cannot be read: {reason}.", path=path, reason=system_reason(error)) from error
        key = (str(path), status.st_size, status.st_mtime_ns)
        if key not in self._known:
            model = described(read_gguf_header(path, arrays=False), status.st_mtime)
            blob = name_of_blob(path)
            self._known[key] = replace(model, name=visible(blob)) if blob else model
        return self._known[key]

    def broken(self, path: Path, error: ZhiyinError) -> BrokenModel:
        """Return what can be said of a file that cannot be used."""
        try:
            status = path.stat()
        except OSError:
            return BrokenModel(shown_name(path), path, error, identifier=self.identifier(path))
        return BrokenModel(shown_name(path), path, error, status.st_size, status.st_mtime, self.identifier(path))

    def identifier(self, path: Path) -> str:
        """Return how the settings name a file."""
        return path.relative_to(self._folder).as_posix() if path.is_relative_to(self._folder) else str(path)


def described(header: GGUFHeader, modified: float = 0.0) -> InstalledModel:
    """Return the model that a header announces; raises where it announces none."""
    kind = header.metadata.get("general.type")
    if kind == "adapter":
        raise NoModel(
            "{path} is an adapter, no model; put it on its model: zhiyin chat --model MODEL --adapter FILE.",
            path=header.path,
        )
    if kind in _OTHER_KINDS or header.architecture == "clip":
        raise NoModel(
            "{path} belongs to a model and is none itself ({kind}); choose the model.",
            path=header.path,
            kind=kind or "clip",
        )
    count = header.metadata.get("split.count")
    parts = split_parts(header.path)
    if isinstance(count, int) and count > 1 and len(parts) == 1:
        raise BadFile(
            "{path} is one of {count} parts of a model, whose names must end in -00001-of-{number}.gguf and so on; give them "
            "these names.",
            path=header.path,
            count=count,
            number=f"{count:05}",
        )
    name = shown_name(header.path)
    return InstalledModel(
        name,
        header.path,
        sum(part.stat().st_size for part in parts),
        header.architecture,
        header.quantization,
        sampling=recommended_sampling(header.metadata),
        modified=modified,
        identifier=str(header.path),
        label=name,
        measures=is_embedding(header.architecture, header.parameters),
        ranks=header.parameters.get(POOLING) == Pooling.RANK,
    )
