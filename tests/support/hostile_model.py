"""A model whose file would command a terminal and turn the lines of a window round."""

from __future__ import annotations

from pathlib import Path

from gguf import GGUFWriter
from gguf.constants import GGUFValueType
from gguf.scripts import gguf_new_metadata

from tests.support.gguf_reader import GGUFReader

HOSTILE = "evil\x1b[2J\x1b]0;owned\x07\x9b31m\u202etxt\u2066"


def hostile_model(starter: Path, folder: Path) -> Path:
    """Return the starter with names and a template that would command a terminal and turn lines round."""
    path = folder / f"{HOSTILE.replace('/', '')}.gguf"
    reader, writer = GGUFReader(starter), GGUFWriter(path, "llama")
    words = ("name", "author", "organization", "license", "description", "url", "basename", "finetune", "size_label")
    new = {f"general.{word}": gguf_new_metadata.MetadataDetails(GGUFValueType.STRING, HOSTILE) for word in words}
    template = str(reader.get_field("tokenizer.chat_template").contents())
    told = gguf_new_metadata.MetadataDetails(GGUFValueType.STRING, template + "{# " + HOSTILE + " #}" + HOSTILE)
    tokens = list(reader.get_field("tokenizer.ggml.tokens").contents())
    tokens[260] = HOSTILE
    listed = gguf_new_metadata.MetadataDetails(GGUFValueType.ARRAY, tokens, sub_type=GGUFValueType.STRING)
    new |= {"tokenizer.chat_template": told, "tokenizer.ggml.tokens": listed}
    gguf_new_metadata.copy_with_new_metadata(reader, writer, new, [])
    return path
