"""Models of other programs: found in the layouts that those document, used in place, and never changed."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from desktop_app.library.installed import Library
from desktop_app.library.other_programs import found_models, name_of_blob
from tests.support.commands import zhiyin
from tests.support.tiny_gguf import tiny_gguf

VARIABLES = (
    "OLLAMA_MODELS",
    "LLAMA_CACHE",
    "HF_HOME",
    "HF_HUB_CACHE",
    "MODELSCOPE_CACHE",
    "XDG_DATA_HOME",
    "XDG_CACHE_HOME",
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user's folder with models of every program."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    home = tmp_path / "home 用户"
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))
    monkeypatch.setattr("desktop_app.library.other_programs.sys.platform", "linux")
    ollama(home / ".ollama" / "models", "registry.ollama.ai/library/qwen3/0.6b", "qwen2")
    ollama(home / ".ollama" / "models", "registry.ollama.ai/someone/tea/latest", "llama")
    ollama(home / ".ollama" / "models", "hf.co/org/tea-GGUF/Q4_K_M", "gemma3")
    tiny_gguf(home / ".lmstudio/models/org/tea-GGUF/tea-Q4.gguf", "phi3")
    tiny_gguf(home / ".lmstudio/models/org/tea-GGUF/mmproj-tea.gguf", "clip")
    for part in range(2):
        tiny_gguf(home / f".lmstudio/models/org/big/big-0000{part + 1}-of-00002.gguf", part=part, parts=2)
    tiny_gguf(home / ".local/share/Jan/data/llamacpp/models/org/tea/model.gguf", "granite")
    tiny_gguf(home / ".local/share/nomic.ai/GPT4All/Tea.Q4_0.gguf", "gpt2")
    tiny_gguf(home / ".cache/llama.cpp/org_tea.gguf", "starcoder")
    blob = tiny_gguf(home / ".cache/huggingface/hub/models--org--tea/blobs/abc", "qwen3")
    snapshot = home / ".cache/huggingface/hub/models--org--tea/snapshots/0123/tea.gguf"
    snapshot.parent.mkdir(parents=True)
    snapshot.symlink_to(blob)
    tiny_gguf(home / ".cache/modelscope/hub/models/org/tea/tea-ms.gguf", "internlm2")
    return home


def ollama(folder: Path, name: str, architecture: str) -> None:
    """Write a model as Ollama keeps it; the sizes and the other layers do not matter to anybody else."""
    made = tiny_gguf(folder / "blobs" / "new", architecture)
    digest = hashlib.sha256(made.read_bytes()).hexdigest()
    made.rename(folder / "blobs" / f"sha256-{digest}")
    layers = [
        {"mediaType": "application/vnd.ollama.image.model", "digest": f"sha256:{digest}", "size": 1},
        {"mediaType": "application/vnd.ollama.image.template", "digest": f"sha256:{'0' * 64}", "size": 1},
    ]
    manifest = folder / "manifests" / name
    manifest.parent.mkdir(parents=True, exist_ok=True)
    manifest.write_text(json.dumps({"schemaVersion": 2, "layers": layers}), "utf-8")


def contents(folder: Path) -> dict[str, tuple[int, str]]:
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.usefixtures("home")
def test_every_program_s_models_are_found_once() -> None:
    assert [(model.program, model.name) for model in found_models()] == [
        ("GPT4All", "Tea.Q4_0"),
        ("Hugging Face", "tea"),
        ("Jan", "model"),
        ("LM Studio", "big-00001-of-00002"),
        ("LM Studio", "tea-Q4"),
        ("ModelScope", "tea-ms"),
        ("Ollama", "hf.co/org/tea-GGUF:Q4_K_M"),
        ("Ollama", "qwen3:0.6b"),
        ("Ollama", "someone/tea:latest"),
        ("llama.cpp", "org_tea"),
    ]


def test_they_are_used_where_they_lie_and_stay_as_they_are(home: Path, tmp_path: Path) -> None:
    before = contents(home)
    library = Library(tmp_path / "models")
    for model in found_models():
        library.import_file(model.path)
    names = {model.name for model in library.models() if not model.starter}
    assert {"qwen3:0.6b", "someone/tea:latest", "Tea.Q4_0"} <= names
    one = library.find("qwen3:0.6b")
    assert name_of_blob(one.path) == "qwen3:0.6b"
    library.remove(library.removal(one))
    assert "qwen3:0.6b" not in {model.name for model in library.models()}
    assert contents(home) == before


def test_damaged_manifests_are_passed_over(home: Path) -> None:
    manifests = home / ".ollama" / "models" / "manifests" / "registry.ollama.ai" / "library"
    for number, text in enumerate(
        ("", "[]", "{", '{"layers": 5}', '{"layers": [{"digest": "sha256:../../etc"}]}', "\0" * 99)
    ):
        (manifests / f"bad{number}").mkdir()
        (manifests / f"bad{number}" / "latest").write_text(text, "utf-8")
    (manifests / "flat").write_text("{}", "utf-8")
    assert sum(model.program == "Ollama" for model in found_models()) == 3


def test_the_command_lists_them(home: Path) -> None:
    done = zhiyin("models", "found", "--json")
    assert done.returncode == 0, done.stderr
    listed = json.loads(done.stdout)
    assert {"Ollama", "LM Studio", "Jan", "GPT4All", "llama.cpp", "Hugging Face", "ModelScope"} == {
        m["program"] for m in listed
    }
    assert all(Path(model["path"]).is_file() for model in listed)


def test_a_place_that_is_named_is_looked_at_instead(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OLLAMA_MODELS", str(tmp_path / "elsewhere"))
    ollama(tmp_path / "elsewhere", "registry.ollama.ai/library/tea/latest", "stablelm")
    assert [model.name for model in found_models() if model.program == "Ollama"] == ["tea:latest"]
