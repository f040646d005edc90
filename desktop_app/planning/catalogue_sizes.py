"""The catalogue's shapes as the planner sees them, computed beforehand: `resources/catalogue/sizes.json`.

Choosing types for 40,000 tensors in seven quantizations takes seconds, reading what came out takes milliseconds. After a change
of a family, a recipe or a shape `python -m desktop_app.planning.catalogue_sizes` writes the file anew; a test holds it to the
computation.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import resources
from converter.atomic_write import write_atomically
from desktop_app.planning.candidates import model_of_config
from desktop_app.planning.configuration import Candidate, Model
from desktop_app.planning.footprint import TensorSize
from desktop_app.system.read_speed import Weights
from models.catalogue import read_catalogue
from models.config import Config
from models.errors import BadFile
from models.families import family_of
from models.system_reasons import system_reason

FOLDER = Path(resources.__file__).with_name("catalogue")
_FILE = "sizes.json"
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_EMBEDDING, _HEAD, _OTHERS = "token_embd.weight", "output.weight", "output_norm.weight"


@dataclass(frozen=True)
class Sizes:
    """One shape."""

    model: Model
    """Its tensors are added up: each block's, the embedding, the head, and all others."""
    parameters: int
    """Numbers that the checkpoint holds."""


def compute(config: Config) -> Sizes:
    """Return a configuration's sizes.

    Raises:
        ZhiyinError: no family knows it.
    """
    blueprint = family_of(config).blueprint(config, None)
    return Sizes(model_of_config(config), blueprint.stored)


def read_sizes(folder: Path = FOLDER) -> dict[str, Sizes]:
    """Return the sizes of all shapes by name.

    Raises:
        BadFile: the file is missing or damaged.
    """
    path = folder / _FILE
    try:
        return {name: _sizes(data) for name, data in json.loads(path.read_text("utf-8")).items()}
    except OSError as error:
        raise BadFile(
            "{path} cannot be read: {reason}; install Zhiyin again.", path=path, reason=system_reason(error)
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise BadFile("{path} is damaged ({reason}); install Zhiyin again.", path=path, reason=repr(error)) from error


def as_json(sizes: Sizes) -> dict[str, Any]:
    """Return sizes as the file holds them."""
    model = sizes.model
    numbers = {key: value for key, value in model.parameters.items() if isinstance(value, (int, list))}
    return {
        "architecture": model.architecture,
        "context": model.trained_context,
        "parameters": sizes.parameters,
        "hyperparameters": numbers,
        "candidates": {candidate.quant: _candidate_as_json(candidate) for candidate in model.candidates},
    }


def write(folder: Path = FOLDER) -> None:
    """Compute the sizes of all shapes of the catalogue and write them beside it, one line a shape."""
    catalogue = read_catalogue(folder)
    computed = {name: as_json(compute(Config(shape, name))) for name, shape in catalogue.shapes.items()}
    lines = (f"{json.dumps(name)}: {json.dumps(data)}" for name, data in computed.items())
    write_atomically(folder / _FILE, "{\n" + ",\n".join(lines) + "\n}\n")


def _candidate_as_json(candidate: Candidate) -> dict[str, Any]:
    parts: Counter[str] = Counter()
    for tensor in candidate.tensors:
        parts[_part(tensor.name)] += tensor.bytes
    blocks = [parts[str(number)] for number in range(sum(name.isdigit() for name in parts))]
    kinds = sorted(set(blocks))
    return {
        "read": {name: list(weights) for name, weights in candidate.read.items()},
        "operations": candidate.operations,
        "type": candidate.embedding_type,
        "embedding": parts[_EMBEDDING],
        "head": parts[_HEAD],
        "others": parts[_OTHERS],
        "kinds": kinds,
        "blocks": "".join(_DIGITS[kinds.index(size)] for size in blocks),
    }


def _part(name: str) -> str:
    """Return the number of a tensor's block, or the name that stands for it in `desktop_app.planning.footprint`."""
    if name.startswith("blk."):
        return name.split(".")[1]
    if name.startswith("token_embd"):
        return _EMBEDDING
    return _HEAD if name == _HEAD else _OTHERS


def _sizes(data: dict[str, Any]) -> Sizes:
    parameters = data["hyperparameters"]
    candidates = tuple(_candidate(quant, entry) for quant, entry in data["candidates"].items())
    model = Model(data["architecture"], parameters, data["context"], parameters["vocab_size"], candidates)
    return Sizes(model, data["parameters"])


def _candidate(quant: str, data: dict[str, Any]) -> Candidate:
    head = [TensorSize(_HEAD, data["head"])] if data["head"] else []
    outside = (TensorSize(_EMBEDDING, data["embedding"]), TensorSize(_OTHERS, data["others"]), *head)
    blocks = (data["kinds"][_DIGITS.index(digit)] for digit in data["blocks"])
    tensors = (TensorSize(f"blk.{number}.all", size) for number, size in enumerate(blocks))
    read = {name: Weights(*numbers) for name, numbers in data["read"].items()}
    return Candidate(quant, (*outside, *tensors), read, data["operations"], data["type"])


if __name__ == "__main__":
    write()
