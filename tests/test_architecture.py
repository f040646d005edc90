"""The rules that keep the structure: import directions, no shadowed library, nothing of one machine in the repository."""

from __future__ import annotations

import ast
import re
import subprocess
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


def imports_of(path: Path) -> set[str]:
    """Return the full names of everything a module imports, also inside functions."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: write imports with their whole names"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def modules() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_go_one_way(path: Path) -> None:
    package = path.relative_to(ROOT).parts[0]
    tops = {name.split(".")[0] for name in imports_of(path)}
    assert not (tops & set(PACKAGES)) - MAY_IMPORT[package]
    assert not tops & FORBIDDEN_LIBRARIES.get(package, set())
    assert not tops & {"tests", "torch", "transformers"}


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_window_imports_the_window(path: Path) -> None:
    relative = path.relative_to(ROOT)
    inside = relative.parts[:2] == ("desktop_app", "ui")
    entry = relative in (Path("desktop_app/cli.py"), Path("desktop_app/smoke_test.py"))
    if not inside and not entry:
        assert not any(name.startswith("desktop_app.ui") for name in imports_of(path))
    if not inside and relative != Path("desktop_app/commands/doctor.py"):
        assert not any(name.startswith("PySide6") for name in imports_of(path))


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
