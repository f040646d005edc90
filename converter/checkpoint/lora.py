"""LoRA adapters as PEFT saves them: adapter_config.json beside adapter_model.safetensors or adapter_model.bin.

Formulas: Hu et al. 2021 (LoRA: W + alpha/r · B · A), Kalajdzievski 2023 (rsLoRA: alpha/sqrt(r)), Liu et al. 2024 (DoRA: the rows
of that sum get the lengths of a magnitude vector). Layout and names: huggingface/peft, tuners/lora and utils/save_and_load.py.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from converter.checkpoint import Checkpoint, StoredTensor, shape_text
from converter.checkpoint.other_adapters import refuse_other_adapters, refuse_other_programs
from converter.checkpoint.safetensors import SafetensorsFile
from converter.checkpoint.source_file import Rows
from converter.checkpoint.torch_pickle import TorchPickleFile
from converter.ggml import widen
from models.config import Config
from models.errors import BadFile, UnsupportedModel
from models.family import Shape
from models.sentence import Sentence
from models.untrusted_json import read_object

CONFIG_FILE = "adapter_config.json"
_WEIGHTS = (("adapter_model.safetensors", SafetensorsFile), ("adapter_model.bin", TorchPickleFile))
_LONGEST_NAME = 255
_PREFIX = "base_model.model."
_PART = re.compile(
    r"(?P<module>.+)\.(?P<part>lora_A|lora_B|lora_embedding_A|lora_embedding_B|lora_magnitude_vector)"
    r"(?:\.(?!weight$|bias$)[^.]+)?(?:\.weight)?"
)
_WRAPPERS = re.compile(r"\.modules_to_save\.(?:[^.]+\.(?=weight$|bias$))?|\.base_layer\.")
_REPEAT = re.compile(r"[*+{]")
_MOST_STEPS = 1_000_000_000
"""Of matching names, estimated from above."""
_LONGEST_TENSOR_NAME = 1000
_PLAIN_BEGINNINGS = ("gaussian", "eva", "orthogonal", "mica")
"""`init_lora_weights` that leave the base as it is; any other text may stand for a method that changes it."""
_PLAIN_OPTIONS = frozenset(
    (
        "alpha_pattern", "auto_mapping", "base_model_name_or_path", "bias", "corda_config", "ensure_weight_tying", "eva_config",
        "exclude_modules", "fan_in_fan_out", "inference_mode", "init_lora_weights", "layers_pattern", "layers_to_transform",
        "loftq_config", "lora_alpha", "lora_dropout", "lora_ga_config", "megatron_config", "megatron_core", "modules_to_save",
        "peft_type", "peft_version", "qalora_group_size", "r", "rank_pattern", "revision", "runtime_config", "target_modules",
        "target_parameters", "task_type", "use_dora", "use_qalora", "use_rslora",
    )
)  # fmt: skip
"""Options of PEFT's LoraConfig (0.21) that ask for nothing but a change of the base's weights, as it is read here."""
_SUSPICIOUS = re.compile(r"(use|enable)_.+|.+_config|lora_.+|.*(invocation|replication|indices).*")
"""Options by whose names an unknown one is taken for another method; what training programs note besides is left aside."""


@dataclass(frozen=True)
class LowRank:
    """The change of one matrix W [rows, columns]: W + scale · up · down, with up [rows, rank] and down [rank, columns]."""

    shape: Shape
    """Of the matrix as the base stores it."""
    rank: int
    scale: float
    a: str
    """Name of A in the adapter."""
    b: str
    flipped: bool
    """up is A transposed and down B transposed: embeddings, and layers stored as (in, out)."""
    magnitude: str | None = None
    """DoRA: the name of the lengths of the layer's outputs: rows, or columns where `flipped`."""


class Adapter:
    """One adapter; opening reads its configuration and the header of its weights."""

    def __init__(self, path: Path) -> None:
        """Open the folder `path`.

        Raises:
            BadFile: something is missing or damaged.
            UnsupportedModel: not LoRA, or a kind of LoRA that is no plain change of the base's weights.
        """
        self.path = path
        if not (path / CONFIG_FILE).is_file():
            refuse_other_adapters(path)
            raise BadFile(
                "{path} is no adapter: it has no {file}; name the folder that holds one.", path=path, file=CONFIG_FILE
            )
        self.config = Config(read_object(path / CONFIG_FILE), str(path / CONFIG_FILE))
        _refuse_other_kinds(self.config)
        self.weights = _open_weights(path)
        refuse_other_programs(path, self.weights)
        self._refuse_empty()
        self._alphas = self._read_alphas()
        self.low_rank: dict[str, LowRank] = {}
        """By the name of the base's tensor."""
        self.whole: dict[str, str] = {}
        """Tensors that take the place of the base's: name in the base -> name in the adapter (`modules_to_save`, biases)."""
        parts: dict[str, dict[str, str]] = {}
        for key in self.weights.tensors:
            self._sort(key, parts)
        self._refuse_slow_patterns(parts)
        for module, found in parts.items():
            self.low_rank[f"{module}.weight"] = self._paired(module, found)

    @property
    def base_name(self) -> str:
        """The base that the configuration names: a repository or a folder; "" when it names none."""
        name = self.config.str("base_model_name_or_path", default="")
        return name if len(name) <= _LONGEST_NAME and name.isprintable() else ""

    def factors(self, change: LowRank) -> tuple[np.ndarray, np.ndarray]:
        """Return up [rows, rank] and down [rank, columns] in float32, the scale not applied."""
        a, b = widen(self.weights.read(change.a)), widen(self.weights.read(change.b))
        return (a.T, b.T) if change.flipped else (b, a)

    def rename(self, names: Mapping[str, str]) -> None:
        """Take other names of the base's tensors; what `names` does not have is dropped."""
        self.low_rank = {names[name]: change for name, change in self.low_rank.items() if name in names}
        self.whole = {names[name]: key for name, key in self.whole.items() if name in names}

    def _refuse_empty(self) -> None:
        empty = next((name for name, tensor in self.weights.tensors.items() if 0 in tensor.shape), None)
        if empty is not None:
            raise BadFile(
                "{path} holds empty tensors ({tensor}): DeepSpeed's ZeRO-3 keeps weights in pieces, and they were not gathered "
                "when it was saved; make the adapter anew of the training's checkpoint (zero_to_fp32.py), or get it again.",
                path=self.path,
                tensor=empty[:100],
            )

    def _sort(self, key: str, parts: dict[str, dict[str, str]]) -> None:
        name = key.removeprefix(_PREFIX)
        match = _PART.fullmatch(name) if len(name) <= _LONGEST_TENSOR_NAME else None
        if match is not None:
            module = match["module"].removesuffix(".base_layer")
            parts.setdefault(module, {})[match["part"].replace("embedding_", "")] = key
            if "embedding" in match["part"]:
                parts[module]["embedding"] = key
            return
        if ".original_module." in name:
            return  # the base's own, saved by the way
        target = _WRAPPERS.sub(".", name)
        if "lora_" in target or not target.endswith((".weight", ".bias")):
            raise UnsupportedModel(
                "{path} holds {name}, which is no part of a LoRA that can be merged; merge it with the program "
                "that trained it, then convert the result.",
                path=self.path,
                name=name[:100],
            )
        self.whole[target] = key

    def _paired(self, module: str, found: Mapping[str, str]) -> LowRank:
        if "lora_A" not in found or "lora_B" not in found:
            raise BadFile(
                "{path} holds only one half of the change of {module}; download the adapter again.",
                path=self.path,
                module=module[:100],
            )
        a, b = (self.weights.tensors[found[part]].shape for part in ("lora_A", "lora_B"))
        if len(a) != 2 or len(b) != 2 or a[0] != b[1] or not a[0]:
            raise BadFile(
                "{path}: the two halves of the change of {module} do not fit ({first} and {second}); download the "
                "adapter again.",
                path=self.path,
                module=module[:100],
                first=shape_text(a),
                second=shape_text(b),
            )
        flipped = "embedding" in found or self.config.bool("fan_in_fan_out", default=False)
        rows, columns = (a[1], b[0]) if flipped else (b[0], a[1])
        magnitude = found.get("lora_magnitude_vector")
        if magnitude is not None and self.weights.tensors[magnitude].shape != (b[0],):
            raise BadFile(
                "{path}: the magnitudes of {module} do not fit; download the adapter again.",
                path=self.path,
                module=module[:100],
            )
        if magnitude is None and self.config.bool("use_dora", default=False):
            raise BadFile(
                "{path} is a DoRA, but holds no magnitudes for {module}; download it again.",
                path=self.path,
                module=module[:100],
            )
        scale = self._scale(module, a[0])
        return LowRank((rows, columns), a[0], scale, found["lora_A"], found["lora_B"], flipped, magnitude)

    def _scale(self, module: str, rank: int) -> float:
        alpha = next((alpha for pattern, alpha in self._alphas if pattern.fullmatch(module)), None)
        if alpha is None:
            alpha = self.config.float("lora_alpha")
        return alpha / (math.sqrt(rank) if self.config.bool("use_rslora", default=False) else rank)

    def _read_alphas(self) -> list[tuple[re.Pattern[str], float]]:
        """Return `alpha_pattern`, whose keys are regular expressions of an untrusted file for the ends of names."""
        patterns = self.config.section("alpha_pattern")
        return [(self._compiled(key), patterns.float(key)) for key in patterns.data]

    def _refuse_slow_patterns(self, modules: Collection[str]) -> None:
        """Raise `UnsupportedModel` where matching the patterns could take minutes: each repeat tries every end."""
        for pattern, _ in self._alphas:
            repeats = len(_REPEAT.findall(pattern.pattern))
            if len(self._alphas) * sum(len(module) ** repeats for module in modules) > _MOST_STEPS:
                raise self._too_intricate(pattern.pattern)

    def _too_intricate(self, pattern: str) -> UnsupportedModel:
        return UnsupportedModel(
            "{path}: the alpha_pattern {pattern!r} is too intricate; merge the adapter with the program that "
            "trained it, then convert the result.",
            path=self.path,
            pattern=pattern[:60],
        )

    def _compiled(self, pattern: str) -> re.Pattern[str]:
        if len(pattern) > 200 or len(_REPEAT.findall(pattern)) > 2 or re.search(r"\)[*+{]|\(\?", pattern):
            raise self._too_intricate(pattern)
        try:
            return re.compile(rf"(.*\.)?({pattern})")
        except (re.error, OverflowError, RecursionError) as error:
            raise BadFile(
                "{path}: the alpha_pattern {pattern!r} is malformed ({reason}); correct it.",
                path=self.path,
                pattern=pattern[:60],
                reason=error,
            ) from error


def is_adapter(path: Path) -> bool:
    """Tell whether a folder holds an adapter and no model of its own."""
    if not (path / CONFIG_FILE).is_file():
        return False
    weights = [*path.glob("*.safetensors"), *path.glob("pytorch_model*.bin")]
    return all(file.name.startswith("adapter") for file in weights)


class MergedCheckpoint:
    """A base and the adapters on it, in their order, as one checkpoint.

    Nothing is merged before it is read. A change [rows, columns] is computed in float32 for the rows that are asked for, so that
    beside one tensor of the base only its two thin factors are in memory.
    """

    def __init__(
        self,
        base: Checkpoint,
        adapters: tuple[Adapter, ...],
        config: Config,
        tokenizer: Path,
        copies: Mapping[str, str],
        steps: tuple[Sentence, ...],
        notes: tuple[Sentence, ...] = (),
    ) -> None:
        """Join them; `converter.merging.open_merged` has checked that they fit.

        Args:
            base: the checkpoint below.
            adapters: each was trained on the result of the ones before it.
            config: the base's configuration with the merged model's vocabulary.
            tokenizer: the folder whose tokenizer counts.
            copies: tensors that the base lacks and what they begin as: a head that was tied to the embeddings.
            steps: what is merged.
            notes: what was done with the base that a user should know.
        """
        self._base = base
        self.adapters = adapters
        self.config = config
        self.tokenizer = tokenizer
        self.steps = steps
        self.notes = notes
        self._origins: dict[str, tuple[Checkpoint, str]] = {
            **{name: (base, name) for name in base.tensors},
            **{name: (base, source) for name, source in copies.items()},
        }
        self._changes: dict[str, list[tuple[Adapter, LowRank]]] = {}
        for adapter in adapters:
            for name, key in adapter.whole.items():
                self._origins[name] = adapter.weights, key
                self._changes.pop(name, None)
            for name, change in adapter.low_rank.items():
                self._changes.setdefault(name, []).append((adapter, change))
        self.tensors: Mapping[str, StoredTensor] = {
            name: StoredTensor(
                np.dtype(np.float32) if name in self._changes else home.tensors[key].dtype, home.tensors[key].shape
            )
            for name, (home, key) in self._origins.items()
        }

    @property
    def path(self) -> Path:
        """The base's folder or file."""
        return self._base.path

    def read(self, name: str) -> np.ndarray:
        """Return one tensor, merged whole where an adapter changes it."""
        rows = self.merged_rows(name)
        if rows is not None:
            return np.asarray(rows)
        home, key = self._origins[name]
        values = home.read(key)
        for adapter, change in self._changes.get(name, ()):
            values = _changed(widen(values), _Factors.of(adapter, change), slice(None))
        return values

    def rows(self, name: str) -> Rows:
        """Return one tensor, its rows read and merged when they are used, where that can be."""
        if name not in self._changes:
            home, key = self._origins[name]
            return home.rows(key)
        merged = self.merged_rows(name)
        return self.read(name) if merged is None else merged

    def merged_rows(self, name: str, order: np.ndarray | None = None) -> MergedRows | None:
        """Return a tensor's rows, in another order where one is given, each merged when it is asked for.

        None: no adapter changes the tensor, or a row's values depend on other rows (DoRA by columns).
        """
        changes = self._changes.get(name)
        if not changes or any(change.flipped and change.magnitude is not None for _, change in changes):
            return None
        home, key = self._origins[name]
        factors = [_Factors.of(adapter, change) for adapter, change in changes]
        return MergedRows(home.read(key), factors, np.arange(len(factors[0].up)) if order is None else order)

    def check(self) -> None:
        """Raise `BadFile` where a file was changed since it was opened."""
        self._base.check()
        for adapter in self.adapters:
            adapter.weights.check()

    def close(self) -> None:
        """Let go of the files."""
        self._base.close()
        for adapter in self.adapters:
            adapter.weights.close()


@dataclass(frozen=True)
class _Factors:
    """A change in memory."""

    up: np.ndarray
    """float32 [rows, rank], the scale applied."""
    down: np.ndarray
    """float32 [rank, columns]."""
    magnitude: np.ndarray | None
    """float32 [rows], or [columns] where `by_column`."""
    by_column: bool

    @staticmethod
    def of(adapter: Adapter, change: LowRank) -> _Factors:
        up, down = adapter.factors(change)
        magnitude = None if change.magnitude is None else widen(adapter.weights.read(change.magnitude))
        return _Factors(up * np.float32(change.scale), np.ascontiguousarray(down), magnitude, change.flipped)


class MergedRows:
    """Float32 rows that are merged when NumPy asks for them; slicing gives another such object."""

    dtype = np.dtype(np.float32)

    def __init__(self, origin: np.ndarray, factors: list[_Factors], order: np.ndarray) -> None:
        """Take W [n, columns], its changes one after the other, and which of the n rows these are."""
        self._origin = origin
        self._factors = factors
        self._order = order

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, rows: slice) -> MergedRows:
        return MergedRows(self._origin, self._factors, self._order[rows])

    def __array__(self, dtype: np.dtype[np.float32] | None = None, copy: bool | None = None) -> np.ndarray:
        values = widen(self._origin[self._order])
        for factors in self._factors:
            values = _changed(values, factors, self._order)
        return values


def _changed(values: np.ndarray, factors: _Factors, rows: np.ndarray | slice) -> np.ndarray:
    """Return W + up · down for some rows; DoRA then sets each row's (or column's) length."""
    merged: np.ndarray = factors.up[rows] @ factors.down
    merged += values
    if factors.magnitude is None:
        return merged
    axis = 0 if factors.by_column else 1
    length = np.sqrt(np.einsum("ij,ij->j" if factors.by_column else "ij,ij->i", merged, merged, dtype=np.float64))
    chosen = factors.magnitude if factors.by_column else factors.magnitude[rows]
    with np.errstate(all="ignore"):  # a row of zeros has no direction; the NaN is reported with the tensor's name
        merged *= np.expand_dims((chosen / length).astype(np.float32), axis)
    return merged


def _refuse_other_kinds(config: Config) -> None:
    kind = config.str("peft_type", default="LORA")
    if kind != "LORA":
        raise UnsupportedModel(
            "{path} describes an adapter of the kind {kind}; Zhiyin merges LoRA only.",
            path=config.origin,
            kind=kind[:40],
        )
    initial = config.data.get("init_lora_weights")
    if isinstance(initial, str) and initial.lower() not in _PLAIN_BEGINNINGS:
        raise UnsupportedModel(
            "{path} was begun by {origin!r}, which changes the base too; save it once more as a plain LoRA (PEFT's "
            "path_initial_model_for_weight_conversion).",
            path=config.origin,
            origin=initial[:40],
        )
    for key, value in config.data.items():
        is_used = value is not None and value is not False and value != []
        if is_used and key not in _PLAIN_OPTIONS and _SUSPICIOUS.fullmatch(key):
            raise UnsupportedModel(
                "{path} uses {key}, which is no plain change of the base's weights; merge the adapter with the "
                "program that trained it, then convert the result.",
                path=config.origin,
                key=key[:60],
            )


def _open_weights(path: Path) -> Checkpoint:
    for name, reader in _WEIGHTS:
        if (path / name).is_file():
            weights = reader(path / name)
            if not weights.tensors:
                raise BadFile(
                    "{path} holds no tensors: the training program saved nothing; get it again.", path=path / name
                )
            return weights
    refuse_other_adapters(path)
    raise BadFile(
        "{path} has no weights (adapter_model.safetensors or adapter_model.bin); download them too.", path=path
    )
