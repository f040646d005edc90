"""Remote headers: facts of a repository's weights before any is fetched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, cast

from converter.checkpoint import StoredTensor
from converter.checkpoint.quantized import is_float, quantized_by, refusal
from converter.checkpoint.safetensors import tensors_of_header
from converter.checkpoint.torch_pickle import tensors_of_stream
from converter.hub.network_errors import BadAnswer
from converter.hub.remote_headers import ReadPart
from converter.hub.remote_stream import RemoteStream
from converter.hub.selection import RemoteFile, is_model_file
from models.config import Config
from models.errors import BadFile, UnsupportedModel, ZhiyinError
from models.families import family_of
from models.refusals import SECTIONS, without_quantization


def as_stored(repository: str, config: Config, files: Mapping[str, RemoteFile], read: ReadPart) -> Config:
    """Return a repository's configuration without a `quantization_config` that its tensors do not bear out.

    Where that says nothing against the model nothing is read; otherwise the headers of the first and the last file of weights.

    Args:
        repository: its name, for sentences.
        config: as `understood`.
        files: of its top folder, by name.
        read: fetches bytes of one.
    """
    part = config.section("text_config")
    if not any(key in one for key in SECTIONS for one in (config, part)) or not _is_refused(config):
        return config
    weights = of_one_format([file for name, file in sorted(files.items()) if is_model_file(name)])
    try:
        headers = [_tensors(repository, file, read) for file in {*weights[:1], *weights[-1:]}]
    except ZhiyinError:
        return config
    plain = bool(headers) and all(all(map(is_float, one.values())) and quantized_by(one) is None for one in headers)
    return without_quantization(config) if plain else config


def refuse_quantized_weights(repository: str, config: Config, weights: Sequence[RemoteFile], read: ReadPart) -> None:
    """Refuse weights that another program quantized, as the headers of the first and the last file tell.

    Args:
        repository: its name, for sentences.
        config: as `understood`.
        weights: the files that would be fetched.
        read: fetches bytes of one.

    Raises:
        UnsupportedModel: they are; the sentence names the program.
    """
    files = of_one_format(weights)
    try:
        blueprint = family_of(config).blueprint(config, None)
        headers = {file: _tensors(repository, file, read) for file in {*files[:1], *files[-1:]}}
    except (BadAnswer, BadFile, UnsupportedModel):
        return  # of what the configuration says, or a damaged file, one hears where it is taken
    integers = {source.name for tensor in blueprint.tensors for source in tensor.sources if source.integers}
    for file, tensors in headers.items():
        scheme = quantized_by({name: tensor for name, tensor in tensors.items() if name not in integers})
        if scheme is not None and not _is_left_over(tensors, scheme[1]):
            raise refusal(Path(repository, file.name), *scheme)


def of_one_format(weights: Sequence[RemoteFile]) -> list[RemoteFile]:
    """Return the files in safetensors; where there are none, those that torch.save wrote."""
    safetensors = [file for file in weights if file.name.endswith(".safetensors")]
    return safetensors or [file for file in weights if file.name.endswith((".bin", ".pt", ".pth"))]


def _is_left_over(tensors: Mapping[str, StoredTensor], name: str) -> bool:
    """Tell whether the weight that a tensor of another program belongs to is there as floats."""
    parts = name.split(".")
    modules = (".".join(parts[:count]) for count in range(len(parts), 0, -1))
    weight = next((f"{module}.weight" for module in modules if f"{module}.weight" in tensors), None)
    return weight is not None and is_float(tensors[weight])


def _is_refused(config: Config) -> bool:
    try:
        family_of(config)
    except UnsupportedModel:
        return True
    return False


def _tensors(repository: str, file: RemoteFile, read: ReadPart) -> dict[str, StoredTensor]:
    path, stream = Path(repository, file.name), RemoteStream(file, read)
    if file.name.endswith(".safetensors"):
        return tensors_of_header(path, file.size, stream.at)
    return tensors_of_stream(path, cast("BinaryIO", stream), file.size)
