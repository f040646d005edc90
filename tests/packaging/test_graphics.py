"""The Vulkan part of this build, on lavapipe, Mesa's Vulkan for processors, and bundles whose graphics do not work.

bash packaging/build.sh; uv run pytest -m slow tests/packaging/test_graphics.py
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.engine_parts import part_archive, plug_in

ROOT = Path(__file__).parents[2]
ENGINE, BUNDLE = ROOT / "dist" / "engine", ROOT / "dist" / "zhiyin"
PLUG_IN = "libggml-vulkan.so"
DRIVERS = Path("/usr/share/vulkan/icd.d")
LOADER = Path("/usr/lib/x86_64-linux-gnu/libvulkan.so.1")
SYSTEM = ("PATH", "TEMP", "TMP")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(sys.platform != "linux", reason="lavapipe is tried on Linux"),
    pytest.mark.skipif(
        not (ENGINE / "vulkan" / PLUG_IN).is_file(), reason="packaging/build.sh comes first, with Vulkan"
    ),
    pytest.mark.skipif(
        not list(DRIVERS.glob("lvp_icd*.json")), reason="lavapipe is not installed: mesa-vulkan-drivers"
    ),
]


@pytest.fixture
def bare(tmp_path: Path, data_home: Path) -> dict[str, str]:
    """The environment of a person whose only Vulkan is lavapipe."""
    kept = {name: os.environ[name] for name in SYSTEM if name in os.environ}
    (driver,) = DRIVERS.glob("lvp_icd*.json")
    return kept | {
        "HOME": str(tmp_path),
        "ZHIYIN_HOME": str(data_home),
        "VK_DRIVER_FILES": str(driver),
        "VK_ICD_FILENAMES": str(driver),  # the older name of the same
        "GGML_VK_VISIBLE_DEVICES": "0",  # ggml leaves Vulkan on a processor alone unless it is named
    }


def run(
    bundle: Path, bare: dict[str, str], *words: str, before: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*before, str(bundle / "zhiyin"), *words],
        env=bare,
        cwd=bare["HOME"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=900,
    )


def part_of(bundle: Path, bare: dict[str, str], before: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return what `engine list` says of the Vulkan part that is used."""
    listed = run(bundle, bare, "engine", "list", "--json", before=before)
    assert listed.returncode == 0, listed.stderr
    return next(part for part in json.loads(listed.stdout)["parts"] if part["state"] != "off")


def assert_it_goes_on(bundle: Path, bare: dict[str, str], before: tuple[str, ...] = ()) -> None:
    said = run(bundle, bare, "chat", "--prompt", "Say hello.", "--temperature", "0", "--max-tokens", "8", before=before)
    assert said.returncode == 0, said.stderr
    assert said.stdout.strip()
    assert "Traceback" not in said.stderr


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """A copy of the bundle that a test may damage."""
    return Path(shutil.copytree(BUNDLE, tmp_path / "my 知音", symlinks=True))


def test_layers_are_computed_by_this_builds_plug_in(bare: dict[str, str], tmp_path: Path) -> None:
    """The tests of offloading, on the libraries of this build: processor's variants and Vulkan."""
    libraries = tmp_path / "libraries"
    libraries.mkdir()
    for path in (*(ENGINE / "base").glob("lib*"), ENGINE / "vulkan" / PLUG_IN):
        (libraries / path.name).symlink_to(path)
    command = [sys.executable, "-m", "pytest", "-v", "-n", "0", "-rs", "tests/desktop_app/engine/test_offload.py"]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | bare | {"LLAMA_CPP_LIB_PATH": str(libraries), "HOME": os.environ["HOME"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]
    passed = re.search(r"(\d+) passed", done.stdout)
    assert passed is not None, done.stdout[-4000:]
    assert int(passed[1]) > 20, done.stdout[-4000:]
    assert "ggml has no GPU" not in done.stdout


@pytest.mark.skipif(not (BUNDLE / "zhiyin").is_file(), reason="packaging/build.sh comes first")
class TestBundle:
    def test_the_card_is_listed_and_a_reply_comes(self, bare: dict[str, str]) -> None:
        part = part_of(BUNDLE, bare)
        assert (part["part"], part["state"], part["reason"]) == ("vulkan", "loaded", "")
        hardware = json.loads(run(BUNDLE, bare, "hardware", "--json").stdout)
        assert any("llvmpipe" in device["description"] for device in hardware["devices"]), hardware["devices"]
        assert_it_goes_on(BUNDLE, bare)

    def test_a_broken_libvulkan_is_named(self, bare: dict[str, str], tmp_path: Path) -> None:
        broken = tmp_path / "broken"
        broken.mkdir()
        (broken / "libvulkan.so.1").write_bytes(b"no library")
        bare["LD_LIBRARY_PATH"] = str(broken)
        part = part_of(BUNDLE, bare)
        assert part["state"] == "failed"
        assert "libvulkan.so.1" in part["reason"]
        assert "libvulkan.so.1" in run(BUNDLE, bare, "doctor").stdout
        assert_it_goes_on(BUNDLE, bare)

    @pytest.mark.skipif(shutil.which("bwrap") is None, reason="hides the system's library with bubblewrap")
    def test_a_missing_libvulkan_is_named(self, bare: dict[str, str], tmp_path: Path) -> None:
        everything, without = tmp_path / "everything", tmp_path / "without"
        everything.mkdir()
        without.mkdir()
        for path in LOADER.parent.iterdir():
            if not path.name.startswith("libvulkan.so"):
                (without / path.name).symlink_to(everything / path.name)
        binds = ((Path("/"), Path("/")), (LOADER.parent, everything), (without, LOADER.parent))
        hidden = ("bwrap", *(word for source, target in binds for word in ("--dev-bind", str(source), str(target))))
        part = part_of(BUNDLE, bare, hidden)
        assert part["state"] == "failed"
        assert "libvulkan.so.1" in part["reason"]
        assert_it_goes_on(BUNDLE, bare, hidden)

    def test_a_flipped_byte_is_noticed(self, bare: dict[str, str], copied: Path) -> None:
        (path,) = copied.rglob(PLUG_IN)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        part = part_of(copied, bare)
        assert part["state"] == "failed"
        assert "is damaged" in part["reason"]
        assert_it_goes_on(copied, bare)

    def test_a_part_of_another_version_is_refused(self, bare: dict[str, str], tmp_path: Path) -> None:
        archive = part_archive(tmp_path / "a.zip", {PLUG_IN: b"x" * 99}, changes={"llama_cpp_python": "0.0.1"})
        added = run(BUNDLE, bare, "engine", "add", str(archive), "--unsigned")
        assert added.returncode == 1
        assert "was built for the engine 0.0.1" in added.stderr
        assert part_of(BUNDLE, bare)["state"] == "loaded"

    def test_an_aborting_part_is_tried_once_and_left_alone(self, bare: dict[str, str], tmp_path: Path) -> None:
        archive = part_archive(tmp_path / "a.zip", {PLUG_IN: plug_in("aborting", tmp_path)})
        added = run(BUNDLE, bare, "engine", "add", str(archive), "--unsigned")
        assert added.returncode == 0, added.stderr
        for _ in range(2):
            part = part_of(BUNDLE, bare)
            assert part["state"] == "failed"
            assert "crashed in its trial" in part["reason"]
        assert_it_goes_on(BUNDLE, bare)
        assert run(BUNDLE, bare, "engine", "rollback").returncode == 0
        assert part_of(BUNDLE, bare)["state"] == "loaded"
