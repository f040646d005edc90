"""The folder that PyInstaller makes works where there is nothing else: `uv run --group bundle pytest -m slow tests/packaging`."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path

import httpx2
import psutil
import pytest

from desktop_app.smoke_parts import TRIALS
from tests.support.checkpoints import write_checkpoint
from tests.support.documents import write_pdf, write_sheets, write_slides, write_word
from tests.support.random_llama import random_llama
from tests.support.scripts import load_script

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
    with_models = os.environ | {"ZHIYIN_MODELS": "starter embedding"}
    command = [sys.executable, "-m", "PyInstaller", "--noconfirm", *work, str(spec)]
    subprocess.run(command, cwd=ROOT, check=True, env=with_models)
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
        timeout=600,
    )


def test_the_smoke_test_passes_inside(bundle: Path, bare: dict[str, str]) -> None:
    done = run(bundle, bare, "--smoke-test")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["frozen"] is True
    assert facts["tokens"] == 8
    assert set(facts["parts"]) == {trial.name for trial in TRIALS}
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


def test_documents_are_indexed_and_found_inside(bundle: Path, bare: dict[str, str], tmp_path: Path) -> None:
    shelf = tmp_path / "文档 a"
    shelf.mkdir()
    write_pdf(shelf / "a.pdf", ["The warranty lasts two years."])
    write_word(shelf / "b.docx")
    write_slides(shelf / "c.pptx")
    write_sheets(shelf / "d.xlsx")
    added = run(bundle, bare, "docs", "add", "shelf", str(shelf))
    assert added.returncode == 0, added.stderr
    for question, name in (("销售额", "b.docx"), ("How long is the guarantee?", "a.pdf"), ("香蕉", "d.xlsx")):
        found = run(bundle, bare, "docs", "search", "shelf", question)
        assert name in found.stdout, (question, found.stdout, found.stderr)


def test_checkpoints_are_converted_inside(bundle: Path, bare: dict[str, str], tmp_path: Path) -> None:
    config, weights = random_llama(vocab_size=320)
    write_checkpoint(tmp_path / "checkpoint", config, weights)
    out = tmp_path / "out.gguf"
    words = ("convert", str(tmp_path / "checkpoint"), "--quant", "Q4_K_M", "--tokenizer", "none", "--out", str(out))
    done = run(bundle, bare, *words)
    assert done.returncode == 0, done.stderr
    assert out.read_bytes()[:4] == b"GGUF"


def test_the_server_answers_inside(bundle: Path, bare: dict[str, str]) -> None:
    with subprocess.Popen(
        [bundle / EXECUTABLE, "serve", "--port", "0", "--ctx", "256"],
        env=bare,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        asked = {"model": "", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 4, "temperature": 0}
        try:
            models = httpx2.get(f"{address}/v1/models", timeout=60).json()["data"]
            asked["model"] = next(model["id"] for model in models if "SmolLM2" in model["id"])
            answer = httpx2.post(f"{address}/v1/chat/completions", json=asked, timeout=300).json()
        finally:
            server.terminate()
    assert answer["choices"][0]["message"]["content"]


def test_servers_of_mcp_are_used_inside(bundle: Path, bare: dict[str, str], tmp_path: Path) -> None:
    """The server's program is the system's own, which must not find the bundle's libraries."""
    server = {"command": sys.executable, "args": [str(ROOT / "tests" / "support" / "mcp_server.py"), "good"]}
    settings = tmp_path / "mcp.json"
    settings.write_text(json.dumps({"mcpServers": {"echo": server}}), "utf-8")
    done = run(bundle, bare, "chat", "--mcp", str(settings), "--yes", "--prompt", "Say hi.", "--max-tokens", "4")
    assert (done.returncode, done.stderr) == (0, "")


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
        if sys.platform == "linux":  # PyInstaller's own start had QtCore in every process: 0.3 seconds
            mapped = [file.path for process in (psutil.Process(chat.pid), engine) for file in process.memory_maps()]
            assert not [path for path in mapped if "libQt6" in path]
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


@pytest.mark.skipif(sys.platform != "linux", reason="asks readelf")
def test_no_file_needs_a_newer_system_than_is_said(bundle: Path) -> None:
    """Qt needs glibc 2.34; what is compiled here needs at most the one that is here, which the package declares."""
    floor = load_script(ROOT / "packaging" / "linux" / "symbol_floor.py")
    here = floor.version(platform.libc_ver()[1])
    assert here <= (2, 36), "build on an older system: Debian 12 or Ubuntu 22.04"
    found = {path.relative_to(bundle): floor.needs_of(path) for path in floor.elf_files(bundle)}
    assert len(found) > 100
    assert floor.above(found, {"GLIBC": here, "GLIBCXX": (3, 4, 30), "CXXABI": (1, 3, 13), "GCC": (12, 0, 0)}) == []


@pytest.mark.skipif(sys.platform != "linux", reason="asks ldd")
def test_every_library_finds_the_others(bundle: Path) -> None:
    missing = set()
    for path in bundle.rglob("*.so*"):
        listing = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
        missing |= {line.split()[0] for line in listing.splitlines() if "not found" in line}
    # Wayland's libraries are the desktop's: Qt's plug-in is left alone where there is none.
    assert not {name for name in missing if not name.startswith("libwayland")}
