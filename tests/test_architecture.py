"""The rules that keep the structure: import directions, no shadowed library, nothing of one machine in the repository."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("models", "converter", "desktop_app", "resources")

MAY_IMPORT = {
    "models": {"models"},
    "converter": {"converter", "models"},
    "resources": {"resources"},
    "desktop_app": {"desktop_app", "converter", "models", "resources"},
}
FORBIDDEN_LIBRARIES = {
    "models": {"PySide6", "llama_cpp", "huggingface_hub", "socket", "urllib", "http", "requests", "httpx"},
    "converter": {"PySide6", "llama_cpp"},
}


LAYERS = (
    "models",
    "converter",
    "resources",
    "desktop_app.remove_tree",
    "desktop_app.paths",
    "desktop_app.release_key",
    "desktop_app.sequences",
    "desktop_app.reports",
    "desktop_app.plots",
    "desktop_app.small_files",
    "desktop_app.settings",
    "desktop_app.key_store",
    "desktop_app.backup",
    "desktop_app.connections",
    "desktop_app.network",
    "desktop_app.processes",
    "desktop_app.system",
    "desktop_app.about",
    "desktop_app.engine",
    "desktop_app.updates",
    "desktop_app.planning",
    "desktop_app.quality",
    "desktop_app.library",
    "desktop_app.remote",
    "desktop_app.chat",
    "desktop_app.assistant",
    "desktop_app.server",
    "desktop_app.documents",
    "desktop_app.commands",
    "desktop_app.ui",
    "desktop_app.smoke_parts",
    "desktop_app.smoke_test",
    "desktop_app.cli",
)
"""Packages and modules, each of which imports itself and those before it. A new one gets its place here."""
ENGINE_FROM_OUTSIDE = {
    "desktop_app.engine",
    "desktop_app.engine.client",
    "desktop_app.engine.protocol",
    "desktop_app.engine.results",
    "desktop_app.engine.lender",
    "desktop_app.engine.parts",
    "desktop_app.engine.parts.manifest",
    "desktop_app.engine.parts.packing",
    "desktop_app.engine.parts.store",
    "desktop_app.engine.worker_variable",
    "desktop_app.engine.workers",
}
"""What other packages use of the engine: nothing in it loads ggml."""
PROCESSES = {
    "desktop_app.documents.extraction_process",
    "desktop_app.engine.server",
    "desktop_app.engine.lending_process",
    "desktop_app.engine.parts.trial_process",
    "desktop_app.server.process",
}
"""Begun by `cli`, each in a process of its own."""
PLAIN = (
    "planning.planner",
    "planning.configuration",
    "planning.explanation",
    "planning.footprint",
    "planning.candidates",
    "settings",
    "system.hardware",
    "system.threads",
)
"""They compute with plain data: the engine is not among what they import, nor among what that imports."""


@cache
def imports_of(path: Path) -> set[str]:
    """Return the full names of everything a module imports, also inside functions, but not for type checkers alone."""
    names: set[str] = set()
    for node in nodes_at_runtime(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports with their whole names"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def nodes_at_runtime(node: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and isinstance(child.test, ast.Name) and child.test.id == "TYPE_CHECKING":
            for other in child.orelse:
                yield from (other, *nodes_at_runtime(other))
        else:
            yield from (child, *nodes_at_runtime(child))


def modules() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def packages_of(module: str) -> set[str]:
    parts = module.split(".")
    return {".".join(parts[:count]) for count in range(1, len(parts))}


@cache
def import_graph() -> dict[str, set[str]]:
    """Return which of our modules each of them imports, the packages that this runs included."""
    ours = {name_of(path): path for path in modules()}
    graph: dict[str, set[str]] = {}
    for module, path in ours.items():
        imported: set[str] = set()
        for name in imports_of(path):
            target = name if name in ours else name.rpartition(".")[0]
            if target in ours:
                imported |= {target, *(packages_of(target) - packages_of(module))}
        graph[module] = imported - {module}
    return graph


def reached_from(module: str) -> set[str]:
    """Return all that a module imports, and what that imports."""
    reached: set[str] = set()
    waiting = [module]
    while waiting:
        new = import_graph()[waiting.pop()] - reached
        reached |= new
        waiting += new
    return reached


def layer_of(module: str) -> int:
    for number, layer in enumerate(LAYERS):
        if module == layer or module.startswith(f"{layer}."):
            return number
    raise AssertionError(f"give {module} its place in LAYERS")


def test_there_is_no_import_circle() -> None:
    circles = [module for module in import_graph() if module in reached_from(module)]
    assert circles == []


def test_each_layer_imports_those_before_it_only() -> None:
    wrong = [
        f"{module} imports {imported}"
        for module, names in import_graph().items()
        for imported in names
        if module != "desktop_app" != imported and layer_of(imported) > layer_of(module)
    ]
    assert wrong == []


def test_ggml_is_used_inside_the_engine_only() -> None:
    """And by the converter, to quantize: in worker processes and those of commands."""
    for path in modules():
        module, names = name_of(path), imports_of(path)
        if not module.startswith("desktop_app.engine."):
            assert not any(name.split(".")[0] == "llama_cpp" for name in names), module
            assert module.startswith("converter.") or not any(name.startswith("converter.ggml.") for name in names), (
                module
            )
            entries = PROCESSES if module == "desktop_app.cli" else set()
            engine = {name for name in import_graph()[module] if name.startswith("desktop_app.engine")}
            assert not engine - ENGINE_FROM_OUTSIDE - entries, module
    for module in ENGINE_FROM_OUTSIDE:
        assert (
            not {name for name in reached_from(module) if name.startswith("desktop_app.engine")} - ENGINE_FROM_OUTSIDE
        )


@pytest.mark.parametrize("module", PLAIN)
def test_plans_and_facts_are_plain_data(module: str) -> None:
    assert not any(name.startswith("desktop_app.engine") for name in reached_from(f"desktop_app.{module}"))


def test_settings_know_no_converter() -> None:
    assert not any(name.startswith("converter") for name in import_graph()["desktop_app.settings"])


def test_the_window_deletes_no_files() -> None:
    """What is unfinished, and what may go, is known by those that wrote it."""
    for path in (ROOT / "desktop_app" / "ui").rglob("*.py"):
        calls = (node.func for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call))
        names = {call.attr for call in calls if isinstance(call, ast.Attribute)}
        assert not names & {"rmtree", "unlink", "rmdir"}, path


def test_imports_go_one_way() -> None:
    wrong = []
    for path in modules():
        package = path.relative_to(ROOT).parts[0]
        tops = {name.split(".")[0] for name in imports_of(path)}
        forbidden = FORBIDDEN_LIBRARIES.get(package, set()) | {"tests", "torch", "transformers"}
        wrong += [f"{name_of(path)} imports {name}" for name in (tops & set(PACKAGES)) - MAY_IMPORT[package]]
        wrong += [f"{name_of(path)} imports {name}" for name in tops & forbidden]
    assert wrong == []


def test_only_the_window_imports_the_window() -> None:
    entries = {"desktop_app.cli", "desktop_app.smoke_parts", "desktop_app.smoke_test"}
    wrong = []
    for path in modules():
        module, names = name_of(path), imports_of(path)
        if module == "desktop_app.ui" or module.startswith("desktop_app.ui."):
            continue
        if module not in entries:
            wrong += [f"{module} imports {name}" for name in names if name.startswith("desktop_app.ui")]
        if module != "desktop_app.commands.doctor":
            wrong += [f"{module} imports {name}" for name in names if name.startswith("PySide6")]
    assert wrong == []


def packages() -> list[Path]:
    return [path.parent for path in modules() if path.name == "__init__.py"]


@pytest.mark.parametrize("folder", packages(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_folder_says_what_belongs_there(folder: Path) -> None:
    assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text("utf-8")))
    name = f"`{folder.relative_to(ROOT).as_posix()}/`"
    assert name in (ROOT / "docs" / "architecture.md").read_text("utf-8"), f"name {name} in docs/architecture.md"


def tracked_files() -> list[Path]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listing.returncode:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listing.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def test_a_local_is_named_after_what_it_holds() -> None:
    wrong = []
    for path in modules():
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            name = node.id if isinstance(node, ast.Name) else node.arg if isinstance(node, ast.arg) else ""
            if name in {"found", "whole", "said", "there"}:
                wrong.append(f"{path.relative_to(ROOT)}:{node.lineno} {name}")
    assert wrong == []


def test_packaging_does_not_shadow_the_library() -> None:
    assert not (ROOT / "packaging" / "__init__.py").exists()


def test_no_file_names_a_registry_or_a_path_of_one_machine() -> None:
    # Written in parts, so that this file passes its own test.
    hosts = ["pypi" + ".org", "python" + "hosted.org", "npmjs" + ".org", "deb" + ".debian.org", "crates" + ".io"]
    paths = ["/" + "work/", "/" + "root/", "/" + "farm/"]
    pattern = re.compile("|".join(re.escape(word) for word in hosts + paths))
    found = []
    for path in tracked_files():
        text = path.read_bytes().decode("utf-8", "ignore")
        found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in pattern.finditer(text)]
    assert not found


def test_the_lock_file_is_not_tracked() -> None:
    assert ROOT / "uv.lock" not in tracked_files()


def test_the_documents_name_files_that_are_there() -> None:
    names = {path.relative_to(ROOT).as_posix() for path in tracked_files()}
    for page in (*(ROOT / "docs").glob("*.md"), ROOT / "CONTRIBUTING.md"):
        named = re.findall(r"`([\w./-]+\.py)`", page.read_text("utf-8"))
        gone = [
            name for name in named if "NAME" not in name and not any(f"/{path}".endswith(f"/{name}") for path in names)
        ]
        assert gone == [], page
