"""LoRA adapters as PEFT saves them: adapter_config.json beside adapter_model.safetensors or adapter_model.bin.

Formulas: Hu et al. 2021 (LoRA: W + alpha/r · B · A), Kalajdzievski 2023 (rsLoRA: alpha/sqrt(r)), Liu et al. 2024 (DoRA: the rows
of that sum get the lengths of a magnitude vector). Layout and names: huggingface/peft, tuners/lora and utils/save_and_load.py.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from converter.checkpoint import Checkpoint, shape_text
from converter.checkpoint.adapter_folder import CONFIG_FILE
from converter.checkpoint.alpha_patterns import AlphaPatterns
from converter.checkpoint.other_adapters import refuse_other_adapters, refuse_other_programs
from converter.checkpoint.quantized import is_float
from converter.checkpoint.safetensors import SafetensorsFile
from converter.checkpoint.torch_pickle import TorchPickleFile
from converter.checkpoint.usual_names import WRAPPERS
from converter.ggml import widen
from models.config import Config
from models.errors import BadFile, UnsupportedModel
from models.family import Shape
from models.untrusted_json import read_object

_WEIGHTS = (("adapter_model.safetensors", SafetensorsFile), ("adapter_model.bin", TorchPickleFile))
_LONGEST_NAME = 255
_LORA, _TOKENS_ALONE = "LORA", "TRAINABLE_TOKENS"
_JUDGING_TASKS = ("SEQ_CLS", "TOKEN_CLS", "QUESTION_ANS")
_PREFIX = "base_model.model."
_PART = re.compile(
    r"(?P<module>.+)\.(?P<part>lora_A|lora_B|lora_embedding_A|lora_embedding_B|lora_magnitude_vector)"
    r"(?:\.(?!weight$|bias$)[^.]+)?(?:\.weight|(?<=lora_B)\.bias|(?<=lora_B\.default)\.bias)?"
)
_TOKENS = re.compile(r"(?P<module>.+?)(?:\.token_adapter)?\.trainable_tokens_delta(?:\.[^.]+)?")
_BASE_LAYERS = re.compile(r"\.base_layer(?=\.|$)")
_PARAMETERS = ("gate_up_proj", "down_proj", "weight")
_WRAPPERS = re.compile(r"\.modules_to_save\.(?:[^.]+\.(?=weight$|bias$))?|\.(?:token_adapter\.)?base_layer\.")
_LONGEST_TENSOR_NAME = 1000
_PLAIN_BEGINNINGS = ("gaussian", "eva", "orthogonal", "mica")
"""`init_lora_weights` that leave the base as it is; any other text may stand for a method that changes it."""
_PLAIN_OPTIONS = frozenset(
    (
        "alpha_pattern", "auto_mapping", "base_model_name_or_path", "bias", "corda_config", "ensure_weight_tying", "eva_config",
        "exclude_modules", "fan_in_fan_out", "inference_mode", "init_lora_weights", "layers_pattern", "layers_to_transform",
        "loftq_config", "lora_alpha", "lora_bias", "lora_dropout", "lora_ga_config", "megatron_config", "megatron_core",
        "modules_to_save",
        "peft_type", "peft_version", "qalora_group_size", "r", "rank_pattern", "revision", "runtime_config", "target_modules",
        "target_parameters", "task_type", "token_indices", "trainable_token_indices", "use_dora", "use_qalora", "use_rslora",
    )
)  # fmt: skip
"""Options of PEFT's LoraConfig (0.21) that ask for nothing but a change of the base's weights, as it is read here."""
_SUSPICIOUS = re.compile(r"(use|enable)_.+|.+_config|lora_.+|.*(invocation|replication|indices).*")
"""Options by whose names an unknown one is taken for another method; what training programs note besides is left aside."""
_USUAL_ALPHA = 8.0
"""What PEFT's LoraConfig takes where a file does not say."""


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
    experts: int = 0
    """A and B hold the factors of so many experts, PEFT's `target_parameters`; then all this is of each of them."""
    expert: int | None = None
    """The one whose matrix this is; None: the matrices of all lie in one tensor."""
    rows: slice = field(default_factory=lambda: slice(None))
    """Of the matrix of an expert that was trained, those which its own matrix is."""


@dataclass(frozen=True)
class NewRows:
    """Rows of a matrix that take the place of the base's: PEFT's `trainable_token_indices`."""

    key: str
    """Their name in the adapter."""
    indices: tuple[int, ...]


@dataclass(frozen=True)
class AddedBias:
    """A vector that is added to a layer's bias, which the base may lack: PEFT's `lora_bias`."""

    key: str
    """Its name in the adapter."""
    scale: float


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
        self._refuse_whole_numbers()
        self._alphas = AlphaPatterns(self.config, path)
        self._halves: dict[str, np.ndarray] = {}
        self.low_rank: dict[str, LowRank] = {}
        """By the name of the base's tensor."""
        self.whole: dict[str, str] = {}
        """Tensors that take the place of the base's: name in the base -> name in the adapter (`modules_to_save`, biases)."""
        self.rows: dict[str, NewRows] = {}
        """By the name of the base's tensor."""
        self.biases: dict[str, AddedBias] = {}
        """By the name of the base's tensor."""
        parts: dict[str, dict[str, str]] = {}
        for key in self.weights.tensors:
            self._sort(key, parts)
        for module, tensors_of_module in parts.items():
            bias = tensors_of_module.pop("bias", None)
            change = self.low_rank[f"{module}.weight"] = self._low_rank(module, tensors_of_module)
            if bias is not None:
                self.biases[f"{module}.bias"] = AddedBias(bias, change.scale)

    @property
    def base_name(self) -> str:
        """The base that the configuration names: a repository or a folder; "" when it names none."""
        name = self.config.str("base_model_name_or_path", default="")
        return name if len(name) <= _LONGEST_NAME and name.isprintable() else ""

    def factors(self, change: LowRank) -> tuple[np.ndarray, np.ndarray]:
        """Return up [rows, rank] and down [rank, columns] in float32, the scale not applied; of a stack, of each expert."""
        a, b = self._half(change.a), self._half(change.b)
        if not change.experts:
            return (a.T, b.T) if change.flipped else (b, a)
        down = a.reshape(change.experts, change.rank, -1)
        up = b.reshape(len(b), change.rank, change.experts).transpose(2, 0, 1)
        if change.expert is not None:
            return up[change.expert, change.rows], down[change.expert]
        return (down.swapaxes(1, 2), up.swapaxes(1, 2)) if change.flipped else (up, down)

    def _half(self, key: str) -> np.ndarray:
        if key not in self._halves:  # those of a layer's experts are asked for one after the other
            self._halves = dict([*self._halves.items()][-1:]) | {key: widen(self.weights.read(key))}
        return self._halves[key]

    @property
    def changed(self) -> tuple[str, ...]:
        """The names of all tensors of the base that it changes."""
        return tuple(dict.fromkeys((*self.low_rank, *self.whole, *self.rows, *self.biases)))

    def rename(self, names: Mapping[str, str]) -> None:
        """Take other names of the base's tensors; what `names` does not have is dropped."""
        self.low_rank = {names[name]: change for name, change in self.low_rank.items() if name in names}
        self.whole = {names[name]: key for name, key in self.whole.items() if name in names}
        self.rows = {names[name]: rows for name, rows in self.rows.items() if name in names}
        self.biases = {names[name]: bias for name, bias in self.biases.items() if name in names}

    @property
    def kind(self) -> str:
        """PEFT's name of the method."""
        return self.config.str("peft_type", default=_LORA).upper()

    def target_parameters(self, module: str) -> tuple[str, ...]:
        """Return the parameters of a module that PEFT changed as such, in the order in which it wraps them.

        Source: peft, tuners/tuners_utils.py, `_inject_parameters`: as transformers' modules declare them.
        """
        names = self.config.data.get("target_parameters")
        wanted = tuple(text for text in names if isinstance(text, str)) if isinstance(names, list) else ()
        named = ((name, f"{module}.{name}") for name in _PARAMETERS)
        return tuple(name for name, key in named if any(f".{key}".endswith(f".{text}") for text in wanted))

    def _refuse_empty(self) -> None:
        empty = next((name for name, tensor in self.weights.tensors.items() if 0 in tensor.shape), None)
        if empty is not None:
            raise BadFile(
                "{path} holds empty tensors ({tensor}): DeepSpeed's ZeRO-3 keeps weights in pieces, and they were not gathered "
                "when it was saved; make the adapter anew of the training's checkpoint (zero_to_fp32.py), or get it again.",
                path=self.path,
                tensor=empty[:100],
            )

    def _refuse_whole_numbers(self) -> None:
        tensors = self.weights.tensors
        integer = next((name for name in tensors if "lora_" in name and not is_float(tensors[name])), None)
        if integer is not None:
            raise UnsupportedModel(
                "{path} is quantized: its tensor {tensor} holds {type} instead of floats; get the adapter as it was trained.",
                path=self.path,
                tensor=integer[:100],
                type=tensors[integer].dtype.name,
            )

    def _sort(self, key: str, parts: dict[str, dict[str, str]]) -> None:
        name = WRAPPERS.sub("", key).removeprefix(_PREFIX)
        match = _PART.fullmatch(name) if len(name) <= _LONGEST_TENSOR_NAME else None
        if match is not None:
            # below packed experts each "base_layer" is another of their parameters: `converter.packed_experts`
            inner = match["module"].removesuffix(".base_layer")
            module = match["module"] if self.target_parameters(_BASE_LAYERS.sub("", inner)) else inner
            part = "bias" if name.endswith(".bias") else match["part"].replace("embedding_", "")
            self._refuse_second(parts.setdefault(module, {}).get(part), key)
            parts[module][part] = key
            if "embedding" in match["part"]:
                parts[module]["embedding"] = key
            return
        tokens = _TOKENS.fullmatch(name) if len(name) <= _LONGEST_TENSOR_NAME else None
        if tokens is not None:
            self.rows[f"{tokens['module']}.weight"] = NewRows(key, self._token_indices(tokens["module"], key))
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
        self._refuse_second(self.whole.get(target), key)
        self.whole[target] = key

    def _refuse_second(self, first: str | None, second: str) -> None:
        if first is not None:
            raise BadFile(
                "{path} holds several adapters ({first} and {second} change the same tensor); save the one that is meant alone.",
                path=self.path,
                first=first[:100],
                second=second[:100],
            )

    def _token_indices(self, module: str, key: str) -> tuple[int, ...]:
        """Return which rows of a module's matrix the adapter replaces."""
        indices = self.config.data.get("token_indices" if self.kind == _TOKENS_ALONE else "trainable_token_indices")
        if isinstance(indices, Mapping):
            indices = next((value for name, value in indices.items() if f".{module}".endswith(f".{name}")), None)
        rows = self.weights.tensors[key].shape[:1]
        if (
            not isinstance(indices, list)
            or not all(type(index) is int and index >= 0 for index in indices)
            or rows != (len(indices),)
        ):
            raise BadFile(
                "{path} does not say of which tokens it has rows of {module} (trainable_token_indices); download it again.",
                path=self.config.origin,
                module=module[:100],
            )
        return tuple(indices)

    def _low_rank(self, module: str, parts: Mapping[str, str]) -> LowRank:
        if "lora_A" not in parts or "lora_B" not in parts:
            raise BadFile(
                "{path} holds only one half of the change of {module}; download the adapter again.",
                path=self.path,
                module=module[:100],
            )
        a, b = (self.weights.tensors[parts[part]].shape for part in ("lora_A", "lora_B"))
        if len(a) != 2 or len(b) != 2 or a[0] != b[1] or not a[0]:
            raise BadFile(
                "{path}: the two halves of the change of {module} do not fit ({first} and {second}); download the "
                "adapter again.",
                path=self.path,
                module=module[:100],
                first=shape_text(a),
                second=shape_text(b),
            )
        flipped = "embedding" in parts or self.config.bool("fan_in_fan_out", default=False)
        rows, columns = (a[1], b[0]) if flipped else (b[0], a[1])
        magnitude = parts.get("lora_magnitude_vector")
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
        scale = self.scale(f"{module}.weight" if self.target_parameters(module) else module, a[0])
        return LowRank((rows, columns), a[0], scale, parts["lora_A"], parts["lora_B"], flipped, magnitude)

    def scale(self, module: str, rank: int) -> float:
        """Return what the product of the two halves is multiplied by, where a module has a rank."""
        alpha = self._alphas.alpha(module)
        if alpha is None:
            alpha = self.config.float("lora_alpha") if "lora_alpha" in self.config.data else _USUAL_ALPHA
        return alpha / (math.sqrt(rank) if self.config.bool("use_rslora", default=False) else rank)


def _refuse_other_kinds(config: Config) -> None:
    task = config.data.get("task_type")
    if task in _JUDGING_TASKS:
        raise UnsupportedModel(
            "{path} is of an adapter that judges texts ({task}) and writes none; choose one for chats or for writing.",
            path=config.origin,
            task=str(task),
        )
    kind = config.str("peft_type", default=_LORA).upper()
    if kind not in (_LORA, _TOKENS_ALONE):
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
