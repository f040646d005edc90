"""The CUDA part is built with a whole toolkit: the system's, else NVIDIA's packages, laid out as its installer does."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.support.scripts import load_script

SCRIPT = Path(__file__).parents[2] / "packaging" / "engine" / "cuda_toolkit.py"
LIBRARIES = ("libcudart.so.13", "libcublas.so.13", "libcublasLt.so.13")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the names of Linux' libraries")


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.delenv("CUDA_PATH", raising=False)
    return load_script(SCRIPT)


def write_toolkit(root: Path, folder: str, libraries: tuple[str, ...] = LIBRARIES) -> Path:
    (root / folder).mkdir(parents=True)
    for name in libraries:
        (root / folder / name).write_bytes(b"library")
    return root


@pytest.fixture
def fetched(tmp_path: Path, script: ModuleType) -> Path:
    """The work folder of a build that has fetched NVIDIA's packages before."""
    packages = tmp_path / "work" / "cuda-toolkit"
    write_toolkit(packages / "nvidia" / "cu13", "lib")
    licences = packages / "nvidia_cublas-13.1.0.3.dist-info" / "licenses"
    licences.mkdir(parents=True)
    (licences / "License.txt").write_text("terms", "utf-8")
    script._lay_out(packages)
    return tmp_path / "work"


def install_nvcc(folder: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script in the path that starts the compiler elsewhere, as some systems have it."""
    folder.mkdir()
    (folder / "nvcc").write_text(f"#!/bin/sh\necho '#$ TOP={root}/bin/..' >&2\n", "utf-8")
    (folder / "nvcc").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_a_whole_toolkit_of_the_system_is_taken(
    script: ModuleType, fetched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = write_toolkit(tmp_path / "my cuda", "lib64")
    (root / "bin").mkdir()
    (root / "EULA.txt").write_text("terms", "utf-8")
    install_nvcc(tmp_path / "bin", root, monkeypatch)
    found = script.toolkit(fetched)
    assert found.root == root
    assert found.licence == root / "EULA.txt"
    assert found.compiler == root / "bin" / "nvcc"


def test_a_toolkit_without_cublas_is_not(
    script: ModuleType,
    fetched: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = write_toolkit(tmp_path / "half", "lib64", LIBRARIES[:1])
    install_nvcc(tmp_path / "bin", root, monkeypatch)
    found = script.toolkit(fetched)
    assert found.root == fetched / "cuda-toolkit" / "nvidia" / "cu13"
    assert "has no libcublas.so.*" in capsys.readouterr().err


def test_packages_have_the_names_that_the_linker_asks_for(script: ModuleType, fetched: Path) -> None:
    found = script.from_packages(fetched / "cuda-toolkit")
    for name in LIBRARIES:
        assert (found.root / "lib64" / name.removesuffix(".13")).resolve().name == name
    assert [path.name for path in found.libraries()] == list(LIBRARIES)
    assert found.licence.read_text("utf-8") == "terms"
    assert "-DGGML_CUDA_NO_VMM=ON" in found.options()  # there is no stub of the driver to link with


def test_the_name_that_programs_are_linked_with_is_handed_on(script: ModuleType, tmp_path: Path) -> None:
    whole = (*LIBRARIES, "libcublas.so.13.1.0.3", "libcublasLt.so.13.1.0.3", "libcudart.so.13.0.96")
    root = write_toolkit(tmp_path, "lib64", whole)
    assert [path.name for path in script.Toolkit(root, None).libraries()] == list(LIBRARIES)
