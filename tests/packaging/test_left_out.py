"""What the bundle leaves out is not missed: every module and trial, with those modules refused."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

from desktop_app.smoke_parts import TRIALS

ROOT = Path(__file__).parents[2]
# Figures are drawn in a process of its own there, and the embedding model is converted, which takes long; both import below.
ELSEWHERE = {"python", "embedding"}
PROGRAM = """
import importlib, pkgutil, sys, tempfile
from pathlib import Path

left_out = sys.argv[2:]


class Refusing:
    def find_spec(self, name, path=None, target=None):
        if any(name == module or name.startswith(module + ".") for module in left_out):
            raise ModuleNotFoundError(f"No module named {name!r}: it is left out", name=name)


sys.meta_path.insert(0, Refusing())
sys.path.insert(0, sys.argv[1])
import converter, desktop_app, models

for package in (models, converter, desktop_app):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)

import matplotlib
matplotlib.use("agg")
import matplotlib.pyplot as plots
from desktop_app.documents.extraction import extract
from desktop_app import smoke_parts

with tempfile.TemporaryDirectory() as folder:
    plots.figure().add_subplot(projection="3d")
    plots.title("$x^2$")
    plots.savefig(Path(folder, "a.png"), bbox_inches="tight")
    for path in smoke_parts.write_documents(Path(folder)):
        extract(path)
    for trial in smoke_parts.TRIALS:
        if trial.name not in %r:
            work = Path(folder, trial.name)
            work.mkdir()
            trial.run(work)
            print(trial.name)
"""


def unused_modules() -> list[str]:
    """Return the list of PyInstaller's recipe."""
    tree = ast.parse((ROOT / "packaging" / "zhiyin.spec").read_text("utf-8"))
    (value,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "UNUSED_MODULES"
    )
    return list(eval(compile(ast.Expression(value), "zhiyin.spec", "eval")))  # noqa: S307 - our own file


def test_nothing_needs_what_is_left_out() -> None:
    modules = unused_modules()
    assert {"openai", "PIL._avif"} <= set(modules)
    command = [sys.executable, "-c", PROGRAM % ELSEWHERE, str(ROOT), *modules]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split("\n")) - {""} == {trial.name for trial in TRIALS} - ELSEWHERE
