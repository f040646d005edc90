"""Version, components and licences of Zhiyin, and the report for a support request."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distributions, version

import psutil

from desktop_app.system import processor

PACKAGES = ("zhiyin", "llama-cpp-python", "gguf", "pyside6-essentials", "huggingface-hub", "numpy", "psutil")
_CLASSIFIER = "License :: OSI Approved :: "
_LONGEST_NAME = 60
"""Some packages have the whole text of their licence where its name belongs."""


@dataclass(frozen=True)
class Component:
    """A library that is installed with Zhiyin."""

    name: str
    version: str
    licence: str
    """As its makers name it; "" where they name none."""


def versions() -> dict[str, str]:
    """Return the versions of everything that matters."""
    facts = {"python": platform.python_version(), "system": platform.platform()}
    for package in PACKAGES:
        try:
            facts[package] = version(package)
        except PackageNotFoundError:
            facts[package] = "missing"
    return facts


def components() -> list[Component]:
    """Return the libraries that are here, by name; one that is found twice counts once."""
    named = ((_field(one, "Name"), one) for one in distributions())
    by_name = {name.lower(): Component(name, one.version, licence_of(one)) for name, one in named if name}
    return [by_name[name] for name in sorted(by_name)]


def licence_of(distribution: Distribution) -> str:
    """Return the name of a library's licence."""
    facts = distribution.metadata
    named = _field(distribution, "License-Expression") or _field(distribution, "License")
    if named.strip() and "\n" not in named.strip() and len(named) <= _LONGEST_NAME:
        return str(named).strip()
    classified = [one.removeprefix(_CLASSIFIER) for one in facts.get_all("Classifier") or [] if _CLASSIFIER in one]
    return ", ".join(classified)


def _field(distribution: Distribution, name: str) -> str:
    """Return a field or "": asked by [], a missing one raises KeyError where importlib_metadata is imported."""
    return str((distribution.metadata.get_all(name) or [""])[0])


def report(facts: Mapping[str, str]) -> str:
    """Return versions, the computer and further facts, a line each: nothing of the user's, no path, no name."""
    gigabytes = psutil.virtual_memory().total / (1 << 30)
    computer = {"processor": processor.name(), "memory": f"{gigabytes:.0f} GiB"}
    return "\n".join(f"{name}: {value}" for name, value in {**versions(), **computer, **facts}.items())
