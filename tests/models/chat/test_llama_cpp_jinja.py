"""Every chat format in llama.cpp's own Jinja, which its programs use: compiled from its sources where they are here."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from models.chat import glm, published, rwkv
from models.chat.template import render
from models.family import ChatFormat
from tests.support.vocabularies import llama_cpp_vocabularies

FORMATS = {
    f"{module.__name__.rpartition('.')[2]}.{name}": value
    for module in (published, glm, rwkv)
    for name, value in vars(module).items()
    if isinstance(value, ChatFormat)
}
ROUNDS = [
    {"role": "user", "content": "你好！"},
    {"role": "assistant", "content": "你好，很高兴认识你。"},
    {"role": "user", "content": "Write a poem.\n\nTwo lines."},
    {"role": "assistant", "content": "Roses are red,\nviolets are blue."},
    {"role": "user", "content": "谢谢"},
]
SYSTEM = {"role": "system", "content": "你是知音，一位诗人。"}
CHATS = {"one": ROUNDS[:1], "three": ROUNDS, "system": [SYSTEM, *ROUNDS], "system, one": [SYSTEM, *ROUNDS[:1]]}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile the renderer."""
    sources = llama_cpp_vocabularies().parent
    compiler = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
    if compiler is None:
        pytest.skip("no C++ compiler is here")
    out = tmp_path_factory.mktemp("jinja") / "render_jinja"
    common = sources / "common"
    files = [*sorted((common / "jinja").glob("*.cpp")), common / "json.cpp", common / "unicode.cpp"]
    folders = [common, sources / "vendor", sources / "include", sources / "ggml" / "include"]
    own = Path(__file__).parents[2] / "support" / "render_jinja.cpp"
    command = [
        compiler,
        "-std=c++17",
        "-O0",
        *(f"-I{folder}" for folder in folders),
        str(own),
        *map(str, files),
        "-o",
        str(out),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return out


@pytest.mark.slow
@pytest.mark.parametrize("chat", CHATS)
@pytest.mark.parametrize("name", FORMATS)
def test_llama_cpp_renders_the_same(name: str, chat: str, program: Path, tmp_path: Path) -> None:
    template, messages = FORMATS[name].template, CHATS[chat]
    variables: dict[str, Any] = {
        "messages": messages,
        "bos_token": "<s>",
        "eos_token": "</s>",
        "add_generation_prompt": True,
        "tools": None,
    }
    (tmp_path / "template").write_text(template, "utf-8")
    (tmp_path / "variables.json").write_text(json.dumps(variables), "utf-8")
    command = [str(program), str(tmp_path / "template"), str(tmp_path / "variables.json")]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
    assert done.stdout.decode() == render(template, messages, bos="<s>", eos="</s>")
