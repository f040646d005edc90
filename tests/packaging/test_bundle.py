"""The folder that PyInstaller makes works where there is nothing else: `uv run --group bundle pytest -m slow tests/packaging`."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

pytest.importorskip("PyInstaller", reason="the dependency group `bundle` is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(2400)]

ROOT = Path(__file__).parents[2]
EXECUTABLE = "zhiyin.exe" if sys.platform == "win32" else "zhiyin"
SYSTEM = ("PATH", "SYSTEMROOT", "TEMP", "TMP")
FORBIDDEN = re.compile(
    r"virtualkeyboard|webengine|qt6?(qml|quick)|tkinter|/tests?/|lib(vulkan|cuda)\.|ggml.*\.so\.\d+\.\d", re.IGNORECASE
)


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The application in a folder whose name has a space and Chinese in it."""
    folder = tmp_path_factory.mktemp("bundle") / "my 知音"
    spec = ROOT / "packaging" / "zhiyin.spec"
    if not (ROOT / "dist" / "engine" / "base").is_dir():
        command = ["uv", "run", "--group", "engine", "python", "packaging/engine/build.py", "base"]
        subprocess.run(command, cwd=ROOT, check=True)
    work = ["--workpath", str(folder / "work"), "--distpath", str(folder)]
    subprocess.run([sys.executable, "-m", "PyInstaller", "--noconfirm", *work, str(spec)], cwd=ROOT, check=True)
    return folder / "zhiyin"


@pytest.fixture
def bare(tmp_path: Path, data_home: Path) -> dict[str, str]:
    """The environment of a computer without Python, display or language."""
    kept = {name: os.environ[name] for name in SYSTEM if name in os.environ}
    return kept | {"PATH": os.defpath, "HOME": str(tmp_path), "ZHIYIN_HOME": str(data_home)}


def run(bundle: Path, bare: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [bundle / EXECUTABLE, *arguments],
        env=bare,
        cwd=bare["HOME"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=120,
    )


def test_the_smoke_test_passes_inside(bundle: Path, bare: dict[str, str]) -> None:
    done = run(bundle, bare, "--smoke-test")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["frozen"] is True
    assert facts["tokens"] == 8
    assert facts["window"]["png_bytes"] > 10_000
    assert "missing" not in facts["versions"].values()
    assert any(device["type"] == "cpu" for device in facts["devices"])


def test_the_commands_work_inside(bundle: Path, bare: dict[str, str]) -> None:
    done = run(bundle, bare, "chat", "--prompt", "Say hello.", "--temperature", "0", "--max-tokens", "8")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()
    assert run(bundle, bare, "nonsense").returncode == 2
    assert run(bundle, bare, "doctor").returncode == 0
    refused = run(bundle, bare, "convert", "nowhere")
    assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 1)


def test_the_engine_is_the_same_executable_and_dies_with_it(bundle: Path, bare: dict[str, str]) -> None:
    with subprocess.Popen(
        [bundle / EXECUTABLE, "chat", "--max-tokens", "4"], env=bare, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as chat:
        assert chat.stdin is not None
        assert chat.stdout is not None
        chat.stdin.write(b"Hello\n")
        chat.stdin.flush()
        assert chat.stdout.readline()
        (engine,) = psutil.Process(chat.pid).children()
        assert engine.cmdline()[:2] == [str(bundle / EXECUTABLE), "--engine"]
        chat.kill()
        chat.wait()
        engine.wait(10)


def test_every_family_is_inside(bundle: Path, bare: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"architectures": ["UnknownForCausalLM"]}', "utf-8")
    from models.families import families

    message = run(bundle, bare, "convert", str(tmp_path)).stderr
    assert all(family.title in message for family in families()), message


def test_nothing_is_inside_that_must_not_be(bundle: Path) -> None:
    names = [path.relative_to(bundle).as_posix() for path in bundle.rglob("*")]
    assert not [name for name in names if FORBIDDEN.search(name)]
    assert len([name for name in names if name.endswith(".gguf")]) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="asks ldd")
def test_every_library_finds_the_others(bundle: Path) -> None:
    missing = set()
    for path in bundle.rglob("*.so*"):
        listing = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
        missing |= {line.split()[0] for line in listing.splitlines() if "not found" in line}
    # Wayland's libraries are the desktop's: Qt's plug-in is left alone where there is none.
    assert not {name for name in missing if not name.startswith("libwayland")}
