"""Nothing is bound that only lives in a plug-in: in an engine of parts, the processor's library is one too."""

from __future__ import annotations

import ast
import ctypes
from pathlib import Path

import desktop_app
from converter.ggml import library_folder
from desktop_app.engine.graph import library

ROOT = Path(desktop_app.__file__).parents[1]


def test_the_graphs_functions_are_in_the_base_libraries() -> None:
    folder = library_folder()
    libraries = {name: ctypes.CDLL(str(folder / f"lib{name}.so.0")) for name in ("ggml-base", "ggml")}
    assert [name for name in library._BASE if not hasattr(libraries["ggml-base"], name)] == []
    assert [name for name in library._REGISTRY if not hasattr(libraries["ggml"], name)] == []


def test_no_module_loads_the_processors_library_by_itself() -> None:
    for path in [*(ROOT / "desktop_app").rglob("*.py"), *(ROOT / "converter").rglob("*.py")]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "load_library" and node.args:
                assert isinstance(node.args[0], ast.Constant), path
                assert node.args[0].value in ("ggml", "ggml-base"), path
