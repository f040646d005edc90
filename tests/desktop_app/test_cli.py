"""The commands, run as a person runs them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.support.commands import zhiyin

STARTER = "SmolLM2-135M-Instruct"


def test_chat_prints_the_reply_alone() -> None:
    done = zhiyin("chat", "--prompt", "Say hello.", "--temperature", "0", "--max-tokens", "12")
    assert done.returncode == 0
    assert done.stdout.strip()
    assert done.stdout.count("\n") == done.stdout.strip().count("\n") + 1
    assert done.stderr == ""


def test_a_converted_checkpoint_knows_the_capital(smollm2_checkpoint: Path, tmp_path: Path) -> None:
    out = tmp_path / "smollm2-f16.gguf"
    converted = zhiyin("convert", str(smollm2_checkpoint), "--quant", "F16", "--out", str(out))
    assert (converted.returncode, converted.stdout) == (0, f"{out}\n")
    done = zhiyin("chat", "--model", str(out), "--temperature", "0", "--prompt", "What is the capital of France?")
    assert "Paris" in done.stdout


def test_without_a_display_it_says_so_and_chats() -> None:
    done = zhiyin(stdin="Say hello.\n")
    assert done.returncode == 0
    assert len([line for line in done.stderr.splitlines() if "no display" in line]) == 1
    assert done.stdout.strip()


def test_a_terminal_chat_remembers(tmp_path: Path) -> None:
    done = zhiyin("chat", "--temperature", "0", "--max-tokens", "16", stdin="My name is Li.\n\nWhat is my name?\n")
    assert done.returncode == 0
    assert len(done.stdout.strip().splitlines()) >= 2


def test_models_list_info_import_remove(starter_gguf: Path, tmp_path: Path) -> None:
    copy = tmp_path / "mine.gguf"
    copy.write_bytes(starter_gguf.read_bytes())
    assert [m["name"] for m in json.loads(zhiyin("models", "--json").stdout)] == [STARTER]
    imported = json.loads(zhiyin("models", "import", str(copy), "--json").stdout)
    assert imported[0]["path"] == str(copy)
    assert [m["name"] for m in json.loads(zhiyin("models", "list", "--json").stdout)] == ["mine", STARTER]
    info = json.loads(zhiyin("models", "info", "mine", "--json").stdout)
    assert info["metadata"]["llama.block_count"] == 30
    assert zhiyin("models", "remove", "mine").returncode == 0
    assert copy.exists(), "a file that was imported where it lies is not deleted"
    assert zhiyin("models", "remove", STARTER).returncode == 1


def test_importing_a_text_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "letter.gguf").write_text("hello")
    done = zhiyin("models", "import", str(tmp_path / "letter.gguf"))
    assert (done.returncode, done.stdout) == (1, "")
    assert "not a GGUF file" in done.stderr


def test_tokenize_prompt_and_logits(tmp_path: Path) -> None:
    assert zhiyin("tokenize", STARTER, "Hello world").stdout == "19556 905\n"
    assert json.loads(zhiyin("tokenize", STARTER, "Hello world", "--json").stdout) == {"ids": [19556, 905]}
    messages = tmp_path / "messages.json"
    messages.write_text(json.dumps([{"role": "user", "content": "你好"}]), "utf-8")
    assert "<|im_start|>user\n你好<|im_end|>" in zhiyin("prompt", STARTER, "--messages", str(messages)).stdout
    out = tmp_path / "logits.npy"
    assert zhiyin("logits", STARTER, "--ids", "19556,905", "--out", str(out)).returncode == 0
    by_text = tmp_path / "text.npy"
    assert zhiyin("logits", STARTER, "--text", "Hello world", "--out", str(by_text)).returncode == 0
    logits = np.load(out)
    assert (logits.dtype, logits.shape) == (np.float32, (2, 49152))
    assert np.array_equal(logits, np.load(by_text))


def test_hardware_and_doctor() -> None:
    hardware = json.loads(zhiyin("hardware", "--json").stdout)
    assert hardware["total_memory"] >= hardware["available_memory"] > 0
    assert hardware["physical_cores"] >= 1
    assert any(device["type"] == "cpu" for device in hardware["devices"])
    done = zhiyin("doctor", "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 0
    assert all(check["good"] for check in report["checks"])
    assert report["versions"]["llama-cpp-python"] == "0.3.36"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["bogus"], 2, "invalid choice"),
        (["convert"], 2, "SOURCE"),
        (["chat", "-m", "nowhere"], 1, "no model and no file named 'nowhere'"),
        (["convert", "nowhere", "--out", "x.gguf"], 1, "does not exist"),
        (["logits", STARTER, "--ids", "1,x", "--out", "x.npy"], 2, "not a list of numbers"),
        (["logits", STARTER, "--ids", "99999999", "--out", "x.npy"], 1, "between 0 and 49151"),
        (["prompt", STARTER, "--messages", "nowhere.json"], 1, "nowhere.json"),
    ],
)
def test_failures_are_one_sentence(arguments: list[str], code: int, words: str) -> None:
    done = zhiyin(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    if code == 1:
        assert len(done.stderr.strip().splitlines()) == 1
