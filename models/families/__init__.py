"""One small file a family; this module only finds them."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache

from models.config import Config
from models.errors import UnsupportedModel
from models.family import Family, Shape


@cache
def families() -> tuple[Family, ...]:
    """Return every family, in the order of their file names."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return tuple(importlib.import_module(f"{__name__}.{name}").FAMILY for name in names)


def family_of(config: Config) -> Family:
    """Return the family that a configuration belongs to.

    Raises:
        UnsupportedModel: no family knows the class; the sentence names it and the known families.
    """
    wanted = {name.lower() for name in config.classes}
    for family in families():
        if wanted & {name.lower() for name in family.classes} and family.recognise(config):
            return family
    found = ", ".join(config.classes) or "no architecture"
    known = ", ".join(family.title for family in families())
    raise UnsupportedModel(
        f"{config.origin} names {found}, which Zhiyin cannot convert; the known families are: {known}."
    )


def config_of_tensors(shapes: Mapping[str, Shape]) -> Config | None:
    """Return the configuration that tensor names and shapes alone imply, or None."""
    found = (family.config_of(shapes) for family in families())
    return next((config for config in found if config is not None), None)
