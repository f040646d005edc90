"""Folders of good small files for every reader of untrusted files, and damages that keep to the structure of each kind."""

from __future__ import annotations

import base64
import io
import json
import pickletools
import random
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import gguf
import numpy as np

from converter.checkpoint import Checkpoint
from converter.checkpoint.gguf_file import GGUFFile
from converter.checkpoint.meta_llama import MetaCheckpoint
from converter.checkpoint.open import open_checkpoint, read_config
from converter.checkpoint.safetensors import SafetensorsFile
from converter.checkpoint.torch_pickle import TorchPickleFile
from converter.gguf_writer import lay_out
from converter.importance import read_importance
from converter.merging import open_merged
from converter.pipeline import ConvertRequest, plan
from desktop_app.planning import planner
from desktop_app.planning.candidates import model_of_config
from models.config import Config
from models.families import family_of
from models.rwkv import read_rwkv_vocabulary
from models.vocab import read_vocabulary
from models.vocab.byte_level import written
from models.vocab.chatglm import read_chatglm_vocabulary
from models.vocab.icetk import IcetkTokenizer, read_icetk_vocabulary
from models.vocab.vocabulary import Vocabulary
from tests.converter.checkpoint.test_meta_llama import write_meta
from tests.desktop_app.planning.test_planner import laptop
from tests.support.adapters import random_adapter, write_adapter
from tests.support.checkpoints import write_checkpoint, write_safetensors
from tests.support.damaged_gguf import damaged, take_apart
from tests.support.damaged_json import damaged_json, known_keys
from tests.support.gguf_seeds import seed_files
from tests.support.random_chinese import random_internlm2, random_minicpm, random_qwen
from tests.support.random_glm import random_chatglm, random_chatglm1, random_glm
from tests.support.random_gpt_oss import random_gpt_oss
from tests.support.random_latent import random_deepseek, random_deepseek3, random_minicpm3
from tests.support.random_llama import random_llama, random_mixtral, random_qwen2_moe, random_qwen3, random_qwen3_moe
from tests.support.random_relatives import (
    random_ernie,
    random_gemma2,
    random_gemma3,
    random_granite4,
    random_hunyuan,
    random_phi3,
    random_qwen35,
    random_qwen35_moe,
    random_smollm3,
)
from tests.support.random_rwkv import random_rwkv
from tests.support.random_shared_experts import random_deepseek_moe, random_glm4_moe
from tests.support.sentencepieces import trained
from tests.support.torch_files import write_torch

Damage = Callable[[bytes, random.Random], bytes]
SAVED = Path(__file__).parents[1] / "data" / "torch"
INTERESTING = (0, 1, 127, 128, 255, *b'R}(cQ.tr\x8a\x96"[]{}:,0959')
_HEADER = 6000
RANDOM_MODELS: dict[str, Callable[..., Any]] = {
    name.__name__.removeprefix("random_"): name
    for name in (
        random_llama, random_qwen3, random_qwen3_moe, random_qwen2_moe, random_mixtral, random_qwen, random_internlm2,
        random_minicpm, random_chatglm, random_glm, random_chatglm1, random_gpt_oss, random_deepseek, random_deepseek3,
        random_minicpm3, random_ernie, random_gemma2, random_gemma3, random_granite4, random_hunyuan, random_phi3, random_qwen35,
        random_qwen35_moe, random_smollm3, random_glm4_moe, random_deepseek_moe,
    )
}  # fmt: skip
_CONFIG = Config({"vocab_size": 400, "bos_token_id": 1, "eos_token_id": 2})


@dataclass
class Kind:
    """One kind of file in its folder."""

    folder: Path
    read: Callable[[Path], object]
    damages: dict[str, Damage] = field(default_factory=dict)
    """By the name of the file, the one that matters most first."""

    def __post_init__(self) -> None:
        self._good = {path.name: path.read_bytes() for path in self.folder.iterdir() if path.is_file()}

    def damage(self, rng: random.Random) -> dict[str, bytes]:
        """Return the damaged files of one input."""
        count = min(len(self.damages), rng.choice((1, 1, 1, 1, 2)))
        names = [next(iter(self.damages))] if rng.random() < 0.5 else rng.sample([*self.damages], k=count)
        return {
            name: (damaged_bytes if rng.random() < 0.1 else self.damages[name])(self._good[name], rng) for name in names
        }

    def smoke_load(self, files: dict[str, bytes]) -> None:
        """Read the folder with these files in it, and put the good ones back."""
        try:
            for name, data in files.items():
                (self.folder / name).write_bytes(data)
            self.read(self.folder)
        finally:
            for name in files:
                (self.folder / name).write_bytes(self._good[name])


def damaged_bytes(good: bytes, rng: random.Random) -> bytes:
    """Change bytes, repeat, remove or insert a run, or cut the end off; most often in the header."""
    data = bytearray(good)
    for _ in range(rng.choice((1, 1, 2, 3, 5, 8, 20))):
        at = rng.randrange(min(len(data), _HEADER if rng.random() < 0.9 else len(data)) or 1)
        action = rng.randrange(10)
        if action < 6 or not data:
            data[at : at + 1] = bytes([rng.choice(INTERESTING) if rng.random() < 0.6 else rng.randrange(256)])
        elif action == 6:
            data[at : at + 8] = rng.choice((b"\xff" * 8, b"\0" * 8, b"\xff" * 7 + b"\x7f", b"\0\0\0\0\0\1\0\0"))
        elif action == 7:
            del data[at : at + rng.randint(1, 40)]
        elif action == 8:
            data[at:at] = data[at : at + rng.randint(1, 200)] * rng.choice((1, 1, 1, 50))
        else:
            del data[rng.randrange(len(data)) :]
    return bytes(data)


@cache
def _keys() -> tuple[str, ...]:
    return known_keys()


def as_json(good: bytes, rng: random.Random) -> bytes:
    return damaged_json(good, rng, _keys())


def as_safetensors(good: bytes, rng: random.Random) -> bytes:
    """Damage the header; its length stays true, mostly."""
    (length,) = struct.unpack_from("<Q", good)
    header = damaged_json(good[8 : 8 + length], rng, ("dtype", "shape", "data_offsets", "__metadata__"))
    said = len(header) if rng.random() < 0.95 else rng.choice((0, 1, 2**63, len(header) + 1, len(header) - 1))
    return struct.pack("<Q", max(said, 0)) + header + good[8 + length :]


def as_lines(good: bytes, rng: random.Random) -> bytes:
    """Damage lines of words: ranks, merges, RWKV's vocabulary, YAML, Python."""
    lines = good.split(b"\n")
    odd = (
        b"",
        b" ",
        b"a",
        b"1 2 3",
        b"-1",
        b"9" * 30,
        b"\xff",
        b"\0",
        b"A" * 100_000,
        b"a: &a [*a]",
        b"300 'a\\x",
        b"(" * 3000,
    )
    for _ in range(rng.choice((1, 1, 2, 5))):
        at = rng.randrange(len(lines))
        words = lines[at].split(b" ")
        action = rng.randrange(6)
        if action == 0:
            lines[at] = rng.choice(odd)
        elif action == 1:
            words[rng.randrange(len(words))] = rng.choice(odd)
            lines[at] = b" ".join(words)
        elif action == 2:
            lines.insert(at, rng.choice(lines))
        elif action == 3:
            del lines[at]
            lines = lines or [b""]
        elif action == 4:
            lines[at] = b" ".join(words[::-1])
        else:
            lines[at:at] = [lines[at]] * rng.choice((10, 3000))
    return b"\n".join(lines)


def as_protobuf(good: bytes, rng: random.Random) -> bytes:
    """Damage fields of a message or of the messages in it."""
    fields = [*_fields(good)]
    for _ in range(rng.choice((1, 1, 2, 4))):
        # Pieces are by far the most; what else there is counts as much as they.
        others = [at for at, (number, _, _) in enumerate(fields) if number != 1]
        at = rng.choice(others) if others and rng.random() < 0.5 else rng.randrange(len(fields))
        number, wire, value = fields[at]
        action = rng.randrange(8)
        if action < 4 and wire == 2 and isinstance(value, bytes) and value:
            fields[at] = number, wire, _damaged_message(value, rng)
        elif action == 4:
            fields[at] = rng.choice((0, 1, 2, 3, 5, 2**29)), rng.choice((0, 1, 2, 3, 4, 5)), value
        elif action == 5:
            fields[at:at] = [fields[at]] * (rng.choice((1, 5000)) if wire == 0 or number == 1 else 2)
        elif action == 6:
            del fields[at]
            fields = fields or [(1, 2, b"")]
        else:
            fields[at] = number, 2, _long(rng)
    return b"".join(_written_field(*one) for one in fields)


def _damaged_message(value: bytes, rng: random.Random) -> bytes:
    try:
        fields = [*_fields(value)]
    except (IndexError, ValueError):
        return damaged_bytes(value, rng)
    at = rng.randrange(len(fields))
    number, wire, inner = fields[at]
    if isinstance(inner, int):
        fields[at] = number, wire, rng.choice((0, 1, 2, 3, 4, 5, 6, 7, 2**31, 2**63, 2**64 - 1, 5000))
    elif wire == 5:
        fields[at] = number, wire, rng.choice((b"\0\0\xc0\x7f", b"\0\0\x80\x7f", b"\0\0\x80\xff", b"\xff\xff\x7f\x7f"))
    else:
        fields[at] = (
            number,
            wire,
            rng.choice((b"", b"\xff\xfe", b"a" * 70_000, b"<0x00>", b"<s>", inner[:-1], _long(rng))),
        )
    if rng.random() < 0.3:
        fields[at] = rng.randrange(50), *fields[at][1:]
    return b"".join(_written_field(*one) for one in fields)


def _long(rng: random.Random) -> bytes:
    """Return the beginning of a field with a length of its own that cannot be."""
    return _varint(rng.choice((2**20, 2**31, 2**62, 2**64 - 1))) + b"a"


def _fields(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    at = 0
    while at < len(data):
        key, at = _read_varint(data, at)
        wire = key & 7
        if wire == 0:
            value, at = _read_varint(data, at)
            yield key >> 3, wire, value
            continue
        size, at = _read_varint(data, at) if wire == 2 else ({1: 8, 5: 4}[wire] if wire in (1, 5) else -1, at)
        if size < 0 or at + size > len(data):
            raise ValueError
        yield key >> 3, wire, data[at : at + size]
        at += size


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


def _varint(number: int) -> bytes:
    out = b""
    while number >= 128:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


def _written_field(number: int, wire: int, value: int | bytes) -> bytes:
    key = _varint(number << 3 | wire)
    if isinstance(value, int):
        return key + _varint(value)
    return key + (_varint(len(value)) if wire == 2 else b"") + value


def as_torch(good: bytes, rng: random.Random) -> bytes:
    """Damage the pickle inside a zip opcode by opcode, or a record's name, or the bytes of an old file."""
    if not good.startswith(b"PK"):
        return as_pickle(good, rng)
    out = io.BytesIO()
    archives = zipfile.ZipFile(io.BytesIO(good)), zipfile.ZipFile(out, "w")
    with archives[0] as source, archives[1] as target, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that a damaged file has twice
        for info in source.infolist():
            data, name = source.read(info), info.filename
            if name.endswith("data.pkl") and rng.random() < 0.9:
                data = as_pickle(data, rng)
            elif rng.random() < 0.05:
                data = damaged_bytes(data, rng)
            elif rng.random() < 0.05:
                name = rng.choice((name + "x", "../" + name, "data.pkl", name.replace("data", "")))
            target.writestr(name, data, zipfile.ZIP_DEFLATED if rng.random() < 0.02 else zipfile.ZIP_STORED)
    return out.getvalue()


def as_pickle(good: bytes, rng: random.Random) -> bytes:
    """Exchange, remove, repeat and insert opcodes, and change their numbers and texts."""
    parts, end = [], 0
    stream = io.BytesIO(good)
    try:
        while end < len(good) and len(parts) < 5000:
            starts = [position for _, _, position in pickletools.genops(stream)]
            ends = [*starts[1:], stream.tell()]
            parts += [good[start:stop] for start, stop in zip(starts, ends, strict=True)]
            end = stream.tell()
    except (ValueError, IndexError):
        pass  # behind the pickles of an old file are its weights
    if not parts:
        return damaged_bytes(good, rng)
    for _ in range(rng.choice((1, 1, 2, 4))):
        at = rng.randrange(len(parts))
        action = rng.randrange(6)
        if action == 0:
            del parts[at]
            parts = parts or [b"."]
        elif action == 1:
            parts.insert(at, rng.choice(parts))
        elif action == 2:
            parts.insert(at, rng.choice(_OPCODES))
        elif action == 3:
            parts[at] = rng.choice(_OPCODES)
        elif action == 4:
            parts[at:at] = [rng.choice((b"(", b"]", b"}", b"\x85", b"2", b"0", b"]\x94", parts[at]))] * rng.choice(
                (3, 2000)
            )
        else:
            parts[at] = parts[at][:1] + bytes(rng.choice(INTERESTING) for _ in parts[at][1:])
    return b"".join(parts) + good[end:]


_OPCODES = (
    *(bytes([ord(opcode.code)]) for opcode in pickletools.opcodes),
    b"\x8a\x08" + b"\xff" * 8,
    b"\x8a\x08" + b"\xff" * 7 + b"\x7f",
    b"\x8b\xff\xff\xff\x7f",
    b"\x8d" + b"\xff" * 7 + b"\x7f",
    b"r\xff\xff\xff\x7f",
    b"I" + b"9" * 5000 + b"\n",
    b"L" + b"9" * 100_000 + b"L\n",
    b"cos\nsystem\n",
    b"ctorch\nFloatStorage\n",
    b"ctorch\nfloat32\n",
    b"ctorch._utils\n_rebuild_tensor_v3\n",
    b"ctorch._tensor\n_rebuild_from_type_v2\n",
    b"ccollections\nOrderedDict\n",
    b"ctorch\nSize\n",
)


def read_all(checkpoint: Checkpoint) -> None:
    for name in checkpoint.tensors:
        np.asarray(checkpoint.read(name)).reshape(-1)[:1].astype(np.float32)
    checkpoint.close()


def _read_model(folder: Path) -> None:
    """As `zhiyin fit` and `zhiyin convert` begin."""
    config = read_config(folder)
    family_of(config).blueprint(config, None)
    plan(ConvertRequest(folder, None, "Q4_K_M", tokenizer="none"))
    read_all(open_checkpoint(folder))


def _written(vocabulary: Vocabulary) -> None:
    """Go on as a conversion does: every value has to fit into a file."""
    lay_out({"general.architecture": "llama", **vocabulary.padded(600).metadata()}, [])


def _read_tokenizer(folder: Path) -> None:
    _written(read_vocabulary(folder, _CONFIG))


def _read_icetk(folder: Path) -> None:
    vocabulary = read_icetk_vocabulary(folder, Config({}))
    _written(vocabulary)
    IcetkTokenizer.of_metadata(vocabulary.metadata()).encode("知音 a\nb", special=True)


def _read_merged(folder: Path) -> None:
    merged = open_merged(folder / "base", [folder])
    for name in merged.tensors:
        merged.read(name)
    merged.close()


def _fit(random_model: Callable[..., Any]) -> Callable[[Path], Kind]:
    """As `zhiyin fit` judges a configuration alone, on a small computer."""

    def make(folder: Path) -> Kind:
        (folder / "config.json").write_text(json.dumps(random_model()[0]))

        def read(folder: Path) -> None:
            planner.plan(model_of_config(read_config(folder), quants=("Q4_K_M",)), laptop(8))

        return Kind(folder, read, {"config.json": as_json})

    return make


def kinds(folder: Path, names: tuple[str, ...] = ()) -> dict[str, Kind]:
    """Return the kinds of these names, or all, with their good files below `folder`."""
    makers = {
        **{f"model {name}": _model(random_model) for name, random_model in RANDOM_MODELS.items()},
        **{f"fit {name}": _fit(random_model) for name, random_model in RANDOM_MODELS.items()},
        **{f"gguf {name}": _gguf(name) for name in _GGUF},
        **_MAKERS,
    }
    found = {}
    for name in names or makers:
        path = folder / name
        path.mkdir(parents=True)
        found[name] = makers[name](path)
        found[name].smoke_load({})  # else every damage would be refused for the same reason
    return found


_GGUF = ("llama-bytes", "qwen3moe", "rwkv4")


def _gguf(name: str) -> Callable[[Path], Kind]:
    def make(folder: Path) -> Kind:
        parts = seed_files(folder / "seed", (name,))[name]
        (folder / "model.gguf").write_bytes(parts.written())
        return Kind(
            folder,
            lambda folder: read_all(GGUFFile(folder / "model.gguf")),
            {"model.gguf": lambda _, rng: damaged(parts, rng).written()},
        )

    return make


def _model(random_model: Callable[..., Any]) -> Callable[[Path], Kind]:
    def make(folder: Path) -> Kind:
        write_checkpoint(folder, *random_model())
        said = {"temperature": 0.7, "top_p": 0.8, "top_k": 20, "do_sample": True, "eos_token_id": [1, 2]}
        (folder / "generation_config.json").write_text(json.dumps(said))
        (folder / "README.md").write_text(
            "---\nlicense: mit\ntags: [a, b]\nbase_model: org/Name-7B-Chat\nlanguage:\n- no\n---\n"
        )
        note = {"repository": "org/Small-7B", "endpoint": "https://hub.example", "files": {}, "converted": {}}
        (folder / ".hub.json").write_text(json.dumps(note))
        return Kind(
            folder,
            _read_model,
            {
                "config.json": as_json,
                ".hub.json": as_json,
                "generation_config.json": as_json,
                "README.md": as_lines,
                "model.safetensors": as_safetensors,
            },
        )

    return make


def _byte_level(folder: Path, byte_fallback: bool = False) -> Path:
    letters = [written(bytes([byte])) for byte in range(256)]
    merges = ["h e", "l l", "he ll", "o o"]
    tokens = [*letters, *(merge.replace(" ", "") for merge in merges)]
    added = [
        {"id": 260 + n, "content": text, "special": n < 3}
        for n, text in enumerate(("<s>", "</s>", "<|im_end|>", "<x>"))
    ]
    document: dict[str, Any] = {
        "added_tokens": added,
        "normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Prepend", "prepend": "▁"}]},
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [
                {"type": "Split", "pattern": {"Regex": r"\p{N}{1,3}"}, "behavior": "Isolated"},
                {"type": "Digits", "individual_digits": True},
                {"type": "ByteLevel", "use_regex": True},
            ],
        },
        "post_processor": {
            "type": "Sequence",
            "processors": [
                {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}, {"Sequence": {"id": "A"}}]}
            ],
        },
        "model": {"type": "BPE", "vocab": {text: n for n, text in enumerate(tokens)}, "merges": merges},
    }
    if byte_fallback:
        document["model"] |= {"byte_fallback": True, "unk_token": "a"}
    (folder / "tokenizer.json").write_text(json.dumps(document), "utf-8")
    _beside(folder)
    return folder


def _beside(folder: Path) -> None:
    special = {"bos_token": "<s>", "eos_token": {"content": "</s>", "lstrip": False}, "unk_token": None}
    described = {
        **special,
        "add_bos_token": True,
        "tokenizer_class": "Qwen2Tokenizer",
        "num_image_tokens": 20,
        "added_tokens_decoder": {"264": {"content": "<y>", "special": True}},
        "chat_template": [{"name": "default", "template": "{{ messages }}"}],
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(described))
    (folder / "special_tokens_map.json").write_text(json.dumps(special))
    (folder / "added_tokens.json").write_text(json.dumps({"<z>": 265}))
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [1, 2], "bos_token_id": 1}))


_BESIDE: dict[str, Damage] = dict.fromkeys(
    ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "generation_config.json"), as_json
)


def _tokenizer_json(folder: Path) -> Kind:
    return Kind(_byte_level(folder), _read_tokenizer, {"tokenizer.json": as_json} | _BESIDE)


def _byte_fallback(folder: Path) -> Kind:
    return Kind(_byte_level(folder, byte_fallback=True), _read_tokenizer, {"tokenizer.json": as_json} | _BESIDE)


def _vocab_json(folder: Path) -> Kind:
    document = json.loads((_byte_level(folder) / "tokenizer.json").read_bytes())
    (folder / "tokenizer.json").unlink()
    (folder / "vocab.json").write_text(json.dumps(document["model"]["vocab"]))
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *document["model"]["merges"]]))
    return Kind(folder, _read_tokenizer, {"vocab.json": as_json, "merges.txt": as_lines} | _BESIDE)


def _sentencepiece(kind: str, file: str, read: Callable[[Path], object]) -> Callable[[Path], Kind]:
    def make(folder: Path) -> Kind:
        (folder / file).write_bytes(trained(kind, 450, byte_fallback=True, normalization_rule_name="nmt_nfkc"))
        _beside(folder)
        (folder / "added_tokens.json").write_text(json.dumps({"<z>": 460}))
        return Kind(folder, read, {file: as_protobuf} | _BESIDE)

    return make


def _ranks(file: str, read: Callable[[Path], object] = _read_tokenizer) -> Callable[[Path], Kind]:
    def make(folder: Path) -> Kind:
        tokens = [*(bytes([byte]) for byte in range(256)), b"he", b"ll", b"hell", "知".encode()]
        lines = b"".join(b"%s %d\n" % (base64.b64encode(token), rank) for rank, token in enumerate(tokens))
        (folder / file).write_bytes(lines)
        (folder / "tokenization_x.py").write_text('PAT = r"""\\p{N}{1,3}""" + "|".join(["a", r"\\p{L}+"])\n')
        _beside(folder)
        return Kind(folder, read, {file: as_lines, "tokenization_x.py": as_lines} | _BESIDE)

    return make


def _rwkv_world(folder: Path) -> Kind:
    lines = [f"{number + 1} {bytes([number])!r} 1" for number in range(256)]
    (folder / "rwkv_vocab_v1.txt").write_text("\n".join([*lines, "257 '知' 3"]))
    return Kind(folder, lambda folder: _written(read_rwkv_vocabulary(folder, _CONFIG)), {"rwkv_vocab_v1.txt": as_lines})


def _shards(folder: Path) -> Kind:
    write_checkpoint(folder, *random_llama(), shards=2)
    return Kind(
        folder,
        _read_model,
        {"model.safetensors.index.json": as_json, "model-00001-of-00002.safetensors": as_safetensors},
    )


def _safetensors(folder: Path) -> Kind:
    rng = np.random.default_rng(0)
    write_safetensors(folder / "a.safetensors", {f"layer.{n}.weight": rng.random((4, 8), np.float32) for n in range(6)})
    return Kind(
        folder, lambda folder: read_all(SafetensorsFile(folder / "a.safetensors")), {"a.safetensors": as_safetensors}
    )


def _torch(name: str) -> Callable[[Path], Kind]:
    def make(folder: Path) -> Kind:
        (folder / "a.bin").write_bytes((SAVED / name).read_bytes())
        return Kind(folder, lambda folder: read_all(TorchPickleFile(folder / "a.bin")), {"a.bin": as_torch})

    return make


def _rwkv(version: str) -> Callable[[Path], Kind]:
    def make(folder: Path) -> Kind:
        write_torch(folder / "RWKV-x.pth", random_rwkv(version))

        def read(folder: Path) -> None:
            plan(ConvertRequest(folder / "RWKV-x.pth", None, "Q8_0", tokenizer="none"))

        return Kind(folder, read, {"RWKV-x.pth": as_torch})

    return make


def _meta(folder: Path) -> Kind:
    folder.rmdir()
    write_meta(folder, *random_llama(), 2, by_tokens=True)
    return Kind(
        folder,
        lambda folder: read_all(MetaCheckpoint(folder)),
        {"params.json": as_json, "consolidated.00.pth": as_torch, "consolidated.01.pth": as_torch},
    )


def _adapter(torch: bool) -> Callable[[Path], Kind]:
    def make(folder: Path) -> Kind:
        config, weights = random_llama()
        write_checkpoint(folder / "base", config, weights)
        tensors = random_adapter(weights, ("q_proj", "v_proj", *(("embed_tokens",) if torch else ())), dora=not torch)
        write_adapter(
            folder, tensors, torch=torch, use_dora=not torch, alpha_pattern={"q_proj": 4, "layers.0.*v_proj": 5}
        )
        file = "adapter_model.bin" if torch else "adapter_model.safetensors"
        return Kind(folder, _read_merged, {"adapter_config.json": as_json, file: as_torch if torch else as_safetensors})

    return make


def _importance(folder: Path) -> Kind:
    matrix = gguf.GGUFWriter(folder / "m.gguf", "")
    matrix.add_string("general.type", "imatrix")
    matrix.add_array("imatrix.datasets", ["a"])
    matrix.add_uint32("imatrix.chunk_count", 2)
    matrix.add_tensor("a.weight.in_sum2", np.ones((2, 8), np.float32))
    matrix.add_tensor("a.weight.counts", np.ones((2, 1), np.float32))
    matrix.write_header_to_file()
    matrix.write_kv_data_to_file()
    matrix.write_tensors_to_file()
    matrix.close()
    parts = take_apart(folder / "m.gguf")
    return Kind(
        folder,
        lambda folder: read_importance(folder / "m.gguf"),
        {"m.gguf": lambda _, rng: damaged(parts, rng).written()},
    )


def _old_importance(folder: Path) -> Kind:
    entry = b"\1\0\0\0a\1\0\0\0\2\0\0\0" + b"\0\0\x80?" * 2
    (folder / "m.dat").write_bytes(b"\2\0\0\0" + entry * 2 + b"\1\0\0\0\4\0\0\0text")
    return Kind(folder, lambda folder: read_importance(folder / "m.dat"), {"m.dat": _as_numbers})


def _as_numbers(good: bytes, rng: random.Random) -> bytes:
    """Damage 32-bit numbers anywhere."""
    at = rng.randrange(len(good) - 3)
    value = rng.choice((0, 1, -1, -2, -3, -4, 2**31 - 1, -(2**31), 100, 2**20))
    return good[:at] + struct.pack("<i", value) + good[at + 4 :]


_MAKERS: dict[str, Callable[[Path], Kind]] = {
    "tokenizer.json": _tokenizer_json,
    "tokenizer.json with byte fallback": _byte_fallback,
    "vocab.json": _vocab_json,
    "sentencepiece bpe": _sentencepiece("bpe", "tokenizer.model", _read_tokenizer),
    "sentencepiece unigram": _sentencepiece("unigram", "tokenizer.model", _read_tokenizer),
    "chatglm": _sentencepiece(
        "bpe", "tokenizer.model", lambda folder: _written(read_chatglm_vocabulary(folder, _CONFIG))
    ),
    "icetk": _sentencepiece("unigram", "ice_text.model", _read_icetk),
    "qwen.tiktoken": _ranks("qwen.tiktoken"),
    "hy.tiktoken": _ranks("hy.tiktoken"),
    "glm4": _ranks("tokenizer.model", lambda folder: _written(read_chatglm_vocabulary(folder, _CONFIG))),
    "rwkv world": _rwkv_world,
    "shards": _shards,
    "safetensors": _safetensors,
    "torch zip": _torch("plain_zip.bin"),
    "torch module": _torch("module_zip.pt"),
    "torch legacy": _torch("plain_legacy.bin"),
    "rwkv 5": _rwkv("5.2"),
    "rwkv 7": _rwkv("7"),
    "meta llama": _meta,
    "adapter": _adapter(False),
    "adapter in torch": _adapter(True),
    "importance": _importance,
    "old importance": _old_importance,
}
