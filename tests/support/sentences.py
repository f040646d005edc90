"""The core's sentences, found by walking the code: each is a literal template in a call of `Sentence` or of an error's class."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from string import Formatter

ROOT = Path(__file__).parents[2]
PACKAGES = ("models", "converter", "desktop_app")
_FROM_DATA = "models/errors.py"
"""Where sentences are made again of other sentences, and of what another process or a file has."""


@cache
def modules() -> dict[str, ast.Module]:
    """Return the syntax trees of all modules, by their path in the repository."""
    files = sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
    return {file.relative_to(ROOT).as_posix(): ast.parse(file.read_text("utf-8")) for file in files}


@cache
def sentence_classes() -> frozenset[str]:
    """Return the names of `Sentence` and all classes derived from it."""
    nodes = (node for tree in modules().values() for node in ast.walk(tree))
    bases = {node.name: {_name(base) for base in node.bases} for node in nodes if isinstance(node, ast.ClassDef)}
    found = {"Sentence"}
    while new := {name for name, parents in bases.items() if parents & found} - found:
        found |= new
    return frozenset(found)


def sentence_calls() -> Iterator[tuple[str, ast.Call]]:
    """Yield every call that makes a sentence, with where it stands."""
    for path, tree in modules().items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or _name(node.func) not in sentence_classes():
                continue
            if path != _FROM_DATA or isinstance(node.args[0], ast.Constant):
                yield f"{path}:{node.lineno}", node


def templates() -> set[str]:
    """Return all templates that are more than one placeholder."""
    found = {node.args[0].value for _, node in sentence_calls() if node.args and isinstance(node.args[0], ast.Constant)}
    return {template for template in found if is_translated(template)}


def is_translated(template: str) -> bool:
    """Tell whether there is anything to translate beside a placeholder."""
    return any(text for text, *_ in Formatter().parse(template))


def placeholders(template: str) -> set[tuple[str, str, str]]:
    """Return the placeholders: name, format specification, conversion."""
    return {
        (name, form or "", conversion or "")
        for _, name, form, conversion in Formatter().parse(template)
        if name is not None
    }


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
