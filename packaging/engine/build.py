"""Builds llama.cpp's libraries as engine parts, from the sources inside the llama-cpp-python release that pyproject.toml names.

    uv run --group engine python packaging/engine/build.py base vulkan --out dist/engine

One part is one folder and one archive: `base` (libllama, ggml, the processor's variants; on a Mac Metal), `vulkan`, `cuda`, and
`rpc`, which lends this computer to another one and uses others (docs/scaling.md).
ggml chooses the variant of the processor and the devices when it runs (`GGML_BACKEND_DL`), so that nothing here depends on the
computer that builds. A plug-in fits the base of the same sources only: they share structures that have no version of their own.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

import tomllib

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from cuda_toolkit import Toolkit, architectures, toolkit  # noqa: E402

from desktop_app.engine.parts.manifest import MANIFEST, this_system  # noqa: E402

PACKAGE = "llama-cpp-python"
SHARED = [
    "-DCMAKE_BUILD_TYPE=Release",
    "-DBUILD_SHARED_LIBS=ON",
    "-DGGML_BACKEND_DL=ON",
    "-DGGML_NATIVE=OFF",
    "-DLLAMA_CURL=OFF",
    "-DLLAMA_OPENSSL=OFF",
    "-DCMAKE_BUILD_WITH_INSTALL_RPATH=ON",
    f"-DCMAKE_INSTALL_RPATH={'@loader_path' if sys.platform == 'darwin' else '$ORIGIN'}",
    *(f"-DLLAMA_BUILD_{name}=OFF" for name in ("COMMON", "TESTS", "EXAMPLES", "TOOLS", "SERVER", "APP")),
]
# On arm64 Windows llama.cpp has no variants.
HAS_VARIANTS = not (sys.platform == "win32" and platform.machine().lower() in ("arm64", "aarch64"))
# Variants of x86 for servers' processors, and for one that was hardly sold: with the next one below they are nearly as fast, and
# the newest computes wrongly with AMX on some. Ten stay.
LEFT_OUT = ("cannonlake", "cascadelake", "cooperlake", "sapphirerapids")
PARTS: dict[str, tuple[list[str], list[str]]] = {
    # options of CMake, targets ([]: everything)
    "base": ([f"-DGGML_CPU_ALL_VARIANTS={'ON' if HAS_VARIANTS else 'OFF'}"], []),
    "vulkan": (["-DGGML_CPU=OFF", "-DGGML_VULKAN=ON"], ["ggml-vulkan"]),
    "cuda": (["-DGGML_CPU=OFF", "-DGGML_CUDA=ON", "-DGGML_CUDA_NCCL=OFF"], ["ggml-cuda"]),
    "rpc": (["-DGGML_CPU=OFF", "-DGGML_RPC=ON"], ["ggml-rpc"]),
}
PATTERNS = {
    # One name each: an archive without links would hold every library three times. llama_cpp asks for the first without a
    # version, the libraries for each other with one.
    "base": {"linux": ("libllama.so", "libggml.so.0", "libggml-base.so.0", "libggml-cpu-*.so"), "win32": ("*.dll",)},
    "vulkan": {"linux": ("libggml-vulkan.so",), "win32": ("ggml-vulkan.dll",)},
    "cuda": {"linux": ("libggml-cuda.so",), "win32": ("ggml-cuda.dll",)},
    "rpc": {"linux": ("libggml-rpc.so",), "win32": ("ggml-rpc.dll",)},
}
MAC = {
    "rpc": ("libggml-rpc.so",),
    "base": ("libllama.dylib", "libggml.0.dylib", "libggml-base.0.dylib", "libggml-cpu-*.so", "libggml-metal.so"),
}


def version() -> str:
    """Return the pinned release of llama-cpp-python."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return next(line.split("==")[1] for line in project["dependencies"] if line.startswith(f"{PACKAGE}=="))


def sources(folder: Path) -> tuple[Path, str]:
    """Fetch and unpack the release; return llama.cpp's folder and the SHA-256 of the archive."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = f"{PACKAGE}=={version()}"
    found = list(folder.glob(f"llama_cpp_python-{version()}.tar.gz"))
    if not found:
        # Of this package alone the sources: pip would compile CMake otherwise, which it needs to read the version.
        from_source = f"--no-binary={PACKAGE}"
        run([sys.executable, "-m", "pip", "download", "--quiet", from_source, "--no-deps", wanted, "-d", folder])
        found = list(folder.glob(f"llama_cpp_python-{version()}.tar.gz"))
    unpacked = folder / f"llama_cpp_python-{version()}"
    if not unpacked.is_dir():
        with tempfile.TemporaryDirectory(dir=folder) as temporary, tarfile.open(found[0]) as archive:
            archive.extractall(temporary, filter="data")
            leave_variants_out(
                Path(temporary) / unpacked.name / "vendor" / "llama.cpp" / "ggml" / "src" / "CMakeLists.txt"
            )
            (Path(temporary) / unpacked.name).rename(unpacked)
    return unpacked / "vendor" / "llama.cpp", hashlib.sha256(found[0].read_bytes()).hexdigest()


def leave_variants_out(recipe: Path) -> None:
    """Take the variants that are not wanted from the list of ggml's own recipe, which has no option for it."""
    text = recipe.read_text("utf-8")
    for name in LEFT_OUT:
        text, found = re.subn(rf"^ *ggml_add_cpu_backend_variant\({name} [^)]*\)\n", "", text, flags=re.MULTILINE)
        if found != 1:
            raise SystemExit(f"{recipe} has no variant {name}")
    recipe.write_text(text, "utf-8")


def build(part: str, source: Path, work: Path, options: Iterable[str]) -> Path:
    """Configure and compile a part; return the folder of its libraries."""
    given, targets = PARTS[part]
    folder = work / part
    run(["cmake", "-G", "Ninja", "-S", source, "-B", folder, *SHARED, *given, *options])
    wanted = [word for target in targets for word in ("--target", target)]
    run(["cmake", "--build", folder, "--parallel", str(os.cpu_count() or 1), *wanted])
    return folder / "bin"


def cuda_options(cuda: Toolkit, given: Iterable[str]) -> list[str]:
    """Return CMake's options for CUDA: those that are given decide which cards it is for."""
    chosen = any("CMAKE_CUDA_ARCHITECTURES" in option for option in given)
    return cuda.options() + ([] if chosen else [f"-DCMAKE_CUDA_ARCHITECTURES={architectures()}"])


def collect(part: str, built: Path, target: Path) -> None:
    """Copy a part's libraries, links as what they name, stripped."""
    patterns = MAC.get(part, ()) if sys.platform == "darwin" else PATTERNS[part][sys.platform]
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    for pattern in patterns:
        found = sorted(built.glob(pattern))
        if not found:
            raise SystemExit(f"{built} has no {pattern}")
        for path in found:
            shutil.copyfile(path, target / path.name)
    if sys.platform == "linux":
        for path in sorted(target.iterdir()):
            run(["strip", "--strip-unneeded", path])


def add_libraries(cuda: Toolkit, target: Path) -> None:
    """Copy NVIDIA's libraries, as they are, and their licence beside the plug-in: a computer with a driver has none of them."""
    for path in cuda.libraries():
        shutil.copyfile(path, target / path.name)
    if cuda.licence is None:
        raise SystemExit(f"{cuda.root} has no licence, without which its libraries cannot be handed on.")
    shutil.copyfile(cuda.licence, target / "LICENSE-nvidia-cuda.txt")


def write_manifest(part: str, target: Path, source_hash: str, licences: list[Path]) -> Path:
    """Copy the licences and write `manifest.json`: what the part is, what it fits, and the hash of every file."""
    for path in licences:
        shutil.copyfile(path, target / f"LICENSE-{path.parent.name if path.name == 'LICENSE' else path.stem}.txt")
    files = {
        path.name: {"size": path.stat().st_size, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for path in sorted(target.iterdir())
    }
    manifest = {
        "format": 1,
        "part": part,
        "system": this_system(),
        "llama_cpp_python": version(),
        "sources_sha256": source_hash,
        "files": files,
    }
    out = target / MANIFEST
    out.write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n", "utf-8")
    return out


def archive(part: str, folder: Path, out: Path) -> Path:
    """Pack a part into one file that `zhiyin engine add` takes."""
    target = out / f"zhiyin-engine-{part}-{version()}-{this_system()}.zip"
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as packed:
        for path in sorted(folder.iterdir()):
            packed.write(path, path.name)
    return target


def run(command: list[object]) -> None:
    """Run a command and end with it where it fails."""
    words = [str(word) for word in command]
    try:
        code = subprocess.run(words, check=False).returncode
    except OSError as error:
        raise SystemExit(f"{words[0]} cannot be started ({error.strerror}); install it.") from error
    if code:
        raise SystemExit(f"{' '.join(words[:4])} … failed ({code}).")


def main() -> None:
    """Build the parts that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="+", choices=sorted(PARTS))
    parser.add_argument("--out", type=Path, default=ROOT / "dist" / "engine")
    parser.add_argument("--work", type=Path, default=ROOT / "build" / "engine")
    parser.add_argument("--option", action="append", default=[], help="a further option of CMake")
    given = parser.parse_args()
    source, source_hash = sources(given.work)
    licences = [source / "LICENSE", *sorted((source / "licenses").glob("LICENSE*"))]
    for part in given.parts:
        target = given.out / part
        cuda = toolkit(given.work) if part == "cuda" else None
        options = [*given.option, *(cuda_options(cuda, given.option) if cuda else [])]
        collect(part, build(part, source, given.work, options), target)
        if cuda:
            add_libraries(cuda, target)
        write_manifest(part, target, source_hash, licences)
        print(archive(part, target, given.out))


if __name__ == "__main__":
    main()
