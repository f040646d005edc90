"""What starts import: the window before its first paint, commands and processes no more than they need.

Whatever is needed later is imported by the function that needs it (CONTRIBUTING.md).
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.test_architecture import ROOT, modules, name_of, packages_of

HEAVY = {
    *("asyncio", "gguf", "httpx2", "llama_cpp", "markdown_it", "ml_dtypes", "numpy"),
    *("psutil", "pygments", "send2trash", "sentencepiece", "yaml"),
}
QT = {"PySide6"}
WORKING = {"filelock", "msgspec", "sqlite3"}
"""What reads and writes needs, and no start."""
UNPAINTED = {
    *("hashlib", "importlib.metadata", "importlib.resources", "ssl", "urllib.request", "uuid"),
    *("xml.etree.ElementTree", "PySide6.QtNetwork"),
}
"""What takes a millisecond or more each, and paints nothing."""
NOT_AT_START = {
    "desktop_app.cli": HEAVY | QT | WORKING | UNPAINTED | {"argparse"},
    "desktop_app.ui.app": HEAVY | WORKING | UNPAINTED,
    "desktop_app.ui.services": HEAVY | WORKING,
    "desktop_app.commands.models": HEAVY | QT,
    "desktop_app.commands.fit": HEAVY | QT,
    "desktop_app.engine.server": HEAVY - {"numpy", "llama_cpp", "psutil"} | QT,
    "desktop_app.processes.renderer": HEAVY | QT,
    "desktop_app.processes.worker": HEAVY | QT,
}
"""Of each module that a process begins with: the libraries that it leaves alone."""
WINDOW = 152
"""Modules of ours that the window may need for its first paint: each takes about half a millisecond."""
PAINT = """
import os, sys
os.environ["QT_QPA_PLATFORM"] = "offscreen"
from desktop_app.ui.plain_imports import use_plain_imports
use_plain_imports()
from desktop_app.ui.app import create_window, make_application
application = make_application()
window = create_window(application)
window.services.begin = lambda: None  # what follows the first paint
window.show()
application.processEvents()
import linecache
print(*sys.modules)
print(*linecache.cache)
sys.stdout.flush()
os._exit(0)
"""


def statements_at_import(node: ast.AST) -> Iterator[ast.AST]:
    """Yield what runs when a module is imported."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and any(word in ast.unparse(child.test) for word in ("TYPE_CHECKING", "__name__")):
            continue
        yield child
        yield from statements_at_import(child)


@cache
def own_modules() -> dict[str, Path]:
    return {name_of(path): path for path in modules()}


@cache
def imported_by(module: str) -> set[str]:
    """Return what a module of ours imports when it is imported."""
    names: set[str] = set()
    for node in statements_at_import(ast.parse(own_modules()[module].read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            named = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= {name if name in own_modules() else str(node.module) for name in named}
    return names | {package for name in names for package in packages_of(name)}


def chains_from(module: str) -> dict[str, str]:
    """Return all that importing a module imports, each with the way to it."""
    chains = {module: module}
    waiting = [module]
    while waiting:
        importing = waiting.pop()
        for name in imported_by(importing) - chains.keys():
            chains[name] = f"{chains[importing]} -> {name}"
            if name in own_modules():
                waiting.append(name)
    return chains


@pytest.mark.parametrize("module", NOT_AT_START)
def test_a_start_leaves_what_comes_later_alone(module: str) -> None:
    chains = chains_from(module)
    assert [chains[name] for name in sorted(NOT_AT_START[module] & chains.keys())] == []


def test_the_first_paint_needs_little() -> None:
    done = subprocess.run([sys.executable, "-c", PAINT], cwd=ROOT, capture_output=True, text=True, check=True)
    loaded, read = map(str.split, done.stdout.splitlines())
    assert set(loaded) & NOT_AT_START["desktop_app.ui.app"] == set()
    ours = [name for name in loaded if name.split(".")[0] in {"models", "converter", "desktop_app", "resources"}]
    assert len(ours) <= WINDOW, f"imported before the first paint: {ours}"
    assert not [
        path for path in read if path.startswith(str(ROOT / "desktop_app"))
    ]  # PySide6 looks for its name in sources
