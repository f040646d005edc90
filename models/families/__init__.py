"""One small file a family; this module only finds them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache

from models.config import Config
from models.family import Family, Shape
from models.refusals import refuse_other_senses, refuse_quantized, unknown_class


@cache
def families() -> tuple[Family, ...]:
    """Return every family, in the order of their file names."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return tuple(importlib.import_module(f"{__name__}.{name}").FAMILY for name in names)


def family_of(config: Config) -> Family:
    """Return the family that a configuration belongs to.

    Raises:
        UnsupportedModel: the weights are quantized already, the model is not of text alone, or no family knows its class.
    """
    wanted = {name.lower() for name in config.classes}
    known = (family for family in families() if wanted & {name.lower() for name in family.classes})
    found = next((family for family in known if family.recognise(config)), None)
    refuse_quantized(config, () if found is None else found.quantized)
    if found is None or not found.language_part:
        refuse_other_senses(config)
    if found is None:
        raise unknown_class(config, "; ".join(family.title for family in families()))
    return found


def config_of_tensors(shapes: Mapping[str, Shape], origin: str) -> Config | None:
    """Return the configuration that tensor names and shapes alone imply, or None.

    Args:
        shapes: of a checkpoint's tensors by name.
        origin: names its file in error messages.

    Raises:
        UnsupportedModel: it is of a known family, but of a kind that nothing here runs.
        BadFile: it is of a known family and not whole.
    """
    found = (family.config_of(shapes, origin) for family in families())
    return next((config for config in found if config is not None), None)
