"""NVIDIA's compiler and libraries for the CUDA part: the system's toolkit, else one made of NVIDIA's packages on PyPI."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

PACKAGES = (
    # CUDA 13.0: the oldest driver that runs it is 580. Turing and newer.
    "nvidia-cuda-nvcc==13.0.88",
    "nvidia-cuda-crt==13.0.88",
    "nvidia-nvvm==13.0.88",
    "nvidia-cuda-runtime==13.0.96",
    "nvidia-cuda-cccl==13.0.85",
    "nvidia-cublas==13.1.0.3",
)
_LIBRARIES = (
    ("cudart64_*.dll", "cublas64_*.dll", "cublasLt64_*.dll")
    if sys.platform == "win32"
    else ("libcudart.so.*", "libcublas.so.*", "libcublasLt.so.*")
)
_UNVERSIONED = ("libcudart.so", "libcublas.so", "libcublasLt.so")
"""What the linker asks for; the packages carry the names of their versions alone."""


@dataclass(frozen=True)
class Toolkit:
    """Where CUDA's compiler and libraries lie."""

    root: Path
    licence: Path | None
    """NVIDIA's terms, which go with the libraries that are handed on; None: none was found beside the toolkit."""

    @property
    def compiler(self) -> Path:
        """The program nvcc."""
        return self.root / "bin" / ("nvcc.exe" if sys.platform == "win32" else "nvcc")

    def options(self) -> list[str]:
        """Return what CMake is told to find it."""
        found = [f"-DCMAKE_CUDA_COMPILER={self.compiler}", f"-DCUDAToolkit_ROOT={self.root}"]
        stub = self.root / "lib64" / "stubs" / "libcuda.so"
        # The driver's own library is linked only for its virtual memory: without a stub of it there is nothing to link with.
        has_driver_stub = sys.platform == "win32" or stub.exists()
        return found if has_driver_stub else [*found, "-DGGML_CUDA_NO_VMM=ON"]

    def libraries(self) -> list[Path]:
        """Return the libraries that the plug-in needs beside itself: NVIDIA's terms allow handing them on.

        Raises:
            FileNotFoundError: one is not there.
        """
        folders = [self.root / name for name in ("lib64", "lib", "bin/x64", "bin")]
        found = []
        for pattern in _LIBRARIES:
            files = [path for folder in folders for path in folder.glob(pattern)]
            if not files:
                raise FileNotFoundError(f"{self.root} has no {pattern}")
            # The shortest name is the one that programs are linked with (libcublas.so.13, beside libcublas.so.13.1.0.3).
            found.append(min(files, key=lambda path: len(path.name)))
        return found


def toolkit(work: Path) -> Toolkit:
    """Return the system's toolkit (CUDA_PATH, or that of the nvcc which the shell finds) if it is whole, else one from PyPI."""
    root = _system_root()
    if root is not None:
        licence = next((root / name for name in ("EULA.txt", "LICENSE") if (root / name).is_file()), None)
        system = Toolkit(root, licence)
        try:
            system.libraries()
        except FileNotFoundError as error:
            print(f"{error}: NVIDIA's packages on PyPI are taken instead.", file=sys.stderr)
        else:
            return system
    return from_packages(work / "cuda-toolkit")


def _system_root() -> Path | None:
    """Return the folder of the system's toolkit. The nvcc in the path may be a link or a script: it is asked."""
    if named := os.environ.get("CUDA_PATH"):
        return Path(named)
    compiler = shutil.which("nvcc")
    if compiler is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "empty.cu"
        source.touch()
        said = subprocess.run([compiler, "--dryrun", str(source)], capture_output=True, text=True, check=False).stderr
    top = re.search(r"^#\$ TOP=(.+?)\s*$", said, re.MULTILINE)
    return Path(top[1]).resolve() if top else None


def from_packages(folder: Path) -> Toolkit:
    """Fetch NVIDIA's packages and lay them out as its installer does."""
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:"]
            code = subprocess.run([*pip, "--target", temporary, *PACKAGES], check=False).returncode
            if code:
                raise SystemExit("NVIDIA's packages cannot be had; install the CUDA toolkit, or set CUDA_PATH to it.")
            _lay_out(Path(temporary))
            Path(temporary).rename(folder)
            Path(temporary).mkdir()  # its context removes it
    root = next(folder.glob("nvidia/cu*"))
    return Toolkit(root, next(folder.glob("nvidia_cublas-*.dist-info/licenses/*")))


def _lay_out(folder: Path) -> None:
    """Give the packages' files the names that CMake and the linker look for."""
    root = next(folder.glob("nvidia/cu*"))
    if sys.platform == "win32":
        return
    (root / "lib64").symlink_to("lib")
    for name in _UNVERSIONED:
        (root / "lib" / name).symlink_to(next((root / "lib").glob(f"{name}.*")).name)


def architectures() -> str:
    """Return the cards to compile for: the one in this computer, else all that this release of CUDA runs and people have."""
    has_card = Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None
    return "native" if has_card else "75-virtual;80-virtual;86-real;89-real;90-virtual;120-virtual"
