"""Checkpoints that no family can convert, recognised by their configuration, with the reason and the remedy."""

from __future__ import annotations

from collections.abc import Mapping

from models.config import Config
from models.errors import UnsupportedModel

_METHODS = {
    "gptq": "GPTQ",
    "awq": "AWQ",
    "bitsandbytes": "bitsandbytes",
    "compressed-tensors": "compressed-tensors",
    "modelopt": "ModelOpt",
    "eetq": "EETQ",
    "hqq": "HQQ",
    "aqlm": "AQLM",
    "exl2": "EXL2",
    "mxfp4": "MXFP4",
}
SECTIONS = ("quantization_config", "compression_config")
"""Where a configuration says how its weights were quantized."""
_SCALED_FLOATS = ("float-quantized", "naive-quantized")
"""Formats of compressed-tensors whose weights are 8-bit floats with scales beside them."""
_SENSES = ("vision_config", "visual", "vision_tower", "mm_vision_tower", "audio_config", "audio", "thinker_config")
_SENSES_IN_NAMES = (
    "VL",
    "Vision",
    "Llava",
    "Audio",
    "Omni",
    "MiniCPMV",
    "XComposer",
    "InternVL",
    "ConditionalGeneration",
)
_JUDGES = ("SequenceClassification", "RewardModel", "TokenClassification", "QuestionAnswering")


def refuse_quantized(config: Config, taken: tuple[str, ...] = ()) -> None:
    """Refuse weights that were quantized by another program, where the configuration is all that is known of them.

    Tensors that can be looked at say it themselves (`converter.checkpoint.quantized`); 8-bit floats with scales are read exactly.

    Args:
        config: the checkpoint's.
        taken: methods whose weights its family takes as they are.

    Raises:
        UnsupportedModel: they were; the sentence names the method.
    """
    inner = config.section("text_config") if "text_config" in config else config
    within = config if any(key in config for key in SECTIONS) else inner
    written = within.section(*SECTIONS)
    method = written.str("quant_method", default="").lower()
    if not method and (written.data.get("load_in_4bit") or written.data.get("load_in_8bit")):
        method = "bitsandbytes"
    if method == "compressed-tensors" and written.str("format", default="") in _SCALED_FLOATS:
        return
    if method not in ("", "fp8", *taken):
        raise UnsupportedModel(
            "{path}: this checkpoint is already quantized as {method}; download the original repository, whose "
            "weights are F16, BF16 or F32.",
            path=config.origin,
            method=_METHODS.get(method, method[:40]),
        )


def without_quantization(config: Config) -> Config:
    """Return a configuration without what it says of how its weights were quantized."""
    plain = {key: value for key, value in config.data.items() if key not in SECTIONS}
    part = plain.get("text_config")
    if isinstance(part, Mapping):
        plain["text_config"] = {key: value for key, value in part.items() if key not in SECTIONS}
    return config.replaced(plain)


def refuse_other_senses(config: Config) -> None:
    """Refuse models that take images or sound, also where they share a class name with a model of text.

    Raises:
        UnsupportedModel: it is one.
    """
    if any(config.data.get(key) for key in _SENSES):
        raise _other_senses(config)


def is_of_another_task(config: Config) -> bool:
    """Tell whether a configuration names a class that writes no text, or takes more than text."""
    return any(part in name for name in config.classes for part in (*_JUDGES, *_SENSES_IN_NAMES))


def unknown_class(config: Config, known: tuple[str, ...]) -> UnsupportedModel:
    """Return why no family knows this class; `known` are the titles of the families."""
    classes = ", ".join(config.classes) or "no architecture"
    if any(part in classes for part in _JUDGES):
        return UnsupportedModel(
            "{path}: {name} judges texts and writes none; choose a chat or base model.",
            path=config.origin,
            name=classes[:100],
        )
    if any(part in classes for part in _SENSES_IN_NAMES):
        return _other_senses(config)
    return UnsupportedModel(
        "{path} names {name}, which Zhiyin cannot convert; the known families are: {families}.",
        path=config.origin,
        name=classes[:200],
        families=known,
    )


def _other_senses(config: Config) -> UnsupportedModel:
    classes = ", ".join(config.classes) or "the model"
    return UnsupportedModel(
        "{path}: {name} takes images or sound as well, and Zhiyin converts models of text only; choose the text "
        "model of the same family.",
        path=config.origin,
        name=classes[:100],
    )
