"""One small file a family; this module only finds them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache

from models.config import Config
from models.family import Family, Shape
from models.refusals import is_of_another_task, refuse_other_senses, refuse_quantized, unknown_class
from models.transformers_configs import CONFIGS
from models.transformers_words import in_transformers_words


@cache
def families() -> tuple[Family, ...]:
    """Return every family, in the order of their file names."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return tuple(importlib.import_module(f"{__name__}.{name}").FAMILY for name in names)


def understood(config: Config) -> Config:
    """Return a published configuration in the words of the families: `in_transformers_words`, and with a class that is known.

    A checkpoint may name no class, or one of a part of the model or around it (LlamaModel, PeftModelForCausalLM): then its code
    names the class (`auto_map`), or its `model_type`, as for transformers' AutoModelForCausalLM.
    """
    config = in_transformers_words(config)
    if any(family.recognise(config) for family in _known(config.classes)) or is_of_another_task(config):
        return config
    named = _implied_class(config)
    return config.changed(architectures=[named]) if named else config


def family_of(config: Config, *, tensors_decide: bool = False) -> Family:
    """Return the family that a configuration belongs to.

    Args:
        config: as `understood` returns it.
        tensors_decide: the weights are here and tell whether they are quantized; otherwise the configuration is believed.

    Raises:
        UnsupportedModel: the weights are quantized already, the model is not of text alone, or no family knows its class.
    """
    known = next((family for family in _known(config.classes) if family.recognise(config)), None)
    if not tensors_decide:
        refuse_quantized(config, () if known is None else known.quantized)
    if known is None or not known.language_part:
        refuse_other_senses(config)
    if known is None:
        raise unknown_class(config, tuple(family.title for family in families()))
    return known


def config_of_tensors(shapes: Mapping[str, Shape], origin: str) -> Config | None:
    """Return the configuration that tensor names and shapes alone imply, or None.

    Args:
        shapes: of a checkpoint's tensors by name.
        origin: names its file in error messages.

    Raises:
        UnsupportedModel: it is of a known family, but of a kind that nothing here runs.
        BadFile: it is of a known family and not whole.
    """
    configs = (family.config_of(shapes, origin) for family in families())
    return next((config for config in configs if config is not None), None)


def _known(classes: tuple[str, ...]) -> list[Family]:
    wanted = {name.lower() for name in classes}
    return [family for family in families() if wanted & {name.lower() for name in family.classes}]


def _implied_class(config: Config) -> str:
    """Return the class that a configuration means without naming it; "": none that is known."""
    code = config.data.get("auto_map")
    own = [code.get(name) for name in ("AutoModelForCausalLM", "AutoModel")] if isinstance(code, Mapping) else []
    named = [name.rpartition(".")[2] for name in own if isinstance(name, str)]
    if named:
        return next((name for name in named if _known((name,))), "")
    model_type = config.data.get("model_type")
    if not isinstance(model_type, str):
        return ""
    if model_type in CONFIGS:
        return CONFIGS[model_type].model
    return next((family.classes[0] for family in families() if model_type in family.model_types), "")
