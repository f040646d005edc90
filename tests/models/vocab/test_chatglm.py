"""The vocabularies and prompts of ChatGLM2, ChatGLM3 and GLM-4, from a checkpoint to the ids that the engine feeds."""

from __future__ import annotations

import base64
import json
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
import tiktoken
import tokenizers

from converter.gguf_header import read_gguf_header
from converter.pipeline import ConvertRequest, convert
from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import Load, LoadSettings, Prompt, Tokenize
from models.chat.glm import CHATGLM3
from models.vocab.byte_level import written
from models.vocab.pretokenizer import NAMED_RULES
from models.vocab.vocabulary import TokenType
from tests.support.checkpoints import write_checkpoint
from tests.support.random_glm import random_chatglm, random_glm
from tests.support.sentencepieces import CORPUS, processor, trained

NAMES = ["[MASK]", "[gMASK]", "[sMASK]", "<sop>", "<eop>"]
ROLES = ["<|system|>", "<|user|>", "<|assistant|>", "<|observation|>"]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ZHIYIN_HOME", str(tmp_path_factory.mktemp("engine")))
        with Engine() as running:
            yield running


@pytest.fixture(scope="module")
def model() -> bytes:
    """Return a tokenizer.model with ChatGLM2's rules: BPE, bytes for unknown characters, spaces kept, nothing normalised."""
    rules = {"normalization_rule_name": "identity", "remove_extra_whitespaces": False, "byte_fallback": True}
    return trained("bpe", 420, **rules)


@pytest.fixture(scope="module")
def library(model: bytes) -> sentencepiece.SentencePieceProcessor:
    return processor(model)


def converted(folder: Path, model: bytes, files: Mapping[str, str], **changes: Any) -> Path:
    config, weights = random_chatglm(padded_vocab_size=512, **changes)
    source = write_checkpoint(folder / "checkpoint", config, weights)
    (source / "tokenizer.model").write_bytes(model)
    for name, text in files.items():
        (source / name).write_text(text, "utf-8")
    return convert(ConvertRequest(source, folder / "model.gguf", "F32")).path


def third(folder: Path, model: bytes) -> Path:
    template = "{% for message in messages %}[gMASK]sop{{ message['content'] }}{% endfor %}"
    described = json.dumps({"tokenizer_class": "ChatGLMTokenizer", "eos_token": "</s>", "chat_template": template})
    code = "role_special_tokens = ['<|system|>', '<|user|>', '<|assistant|>', '<|observation|>']\n"
    return converted(folder, model, {"tokenizer_config.json": described, "tokenization_chatglm.py": code})


def texts(count: int) -> list[str]:
    rng = random.Random(7)
    parts = [
        *CORPUS,
        "sop eop people philosophy",
        "<|user|>",
        "[gMASK]sop",
        "   ",
        "\n\n\t",
        "🙂",
        "</s><unk>",
        "<0x0A>",
        "，",
    ]
    found = ["你好", "def main():\n    print('hello world')\t# greeting", " leading", "<|observation|>", "\n", "sop"]
    for _ in range(count):
        found.append(
            "".join(rng.choice(parts)[rng.randint(0, 3) : rng.randint(4, 40)] for _ in range(rng.randint(1, 4)))
        )
    return [text for text in found if text]


def test_special_tokens_come_after_the_last_piece(
    model: bytes, library: sentencepiece.SentencePieceProcessor, tmp_path: Path
) -> None:
    metadata = read_gguf_header(third(tmp_path, model)).metadata
    count = library.vocab_size()
    key = "tokenizer.ggml."
    assert metadata[key + "tokens"][count : count + 9] == NAMES + ROLES
    assert len(metadata[key + "tokens"]) == 512
    kinds = metadata[key + "token_type"]
    assert {kinds[count + number] for number in range(9)} == {TokenType.CONTROL}
    assert set(kinds[count + 9 :]) == {TokenType.UNUSED}
    assert (metadata[key + "model"], metadata[key + "pre"]) == ("llama", "chatglm-spm")
    assert (metadata[key + "eos_token_id"], metadata[key + "eot_token_id"]) == (2, count + 6)
    assert metadata[key + "eom_token_id"] == count + 8
    assert metadata["general.sampling.top_p"] == pytest.approx(0.8)


def test_every_text_begins_with_gmask_and_sop_and_never_holds_a_special_token(
    model: bytes, library: sentencepiece.SentencePieceProcessor, engine: Engine, tmp_path: Path
) -> None:
    engine.submit(Load(third(tmp_path, model), LoadSettings(context=512))).result(60)
    count = library.vocab_size()
    for text in texts(300):
        ids = engine.submit(Tokenize(text)).result(60).ids
        assert ids == [count + 1, count + 3, *library.encode(text)], text


def publishers_chat(library: sentencepiece.SentencePieceProcessor, messages: Sequence[Mapping[str, Any]]) -> list[int]:
    """Return the ids of `build_chat_input` (ChatGLM3's tokenization_chatglm.py): each part is encoded as a text of its own."""
    count = library.vocab_size()
    ids = [count + 1, count + 3]
    for message in messages:
        role = "observation" if message["role"] == "tool" else message["role"]
        ids += [count + 5 + ROLES.index(f"<|{role}|>"), *library.encode(message.get("metadata", "") + "\n")]
        ids += library.encode(message["content"])
    return [*ids, count + 7]


def test_chatglm3_encodes_each_part_of_a_chat_as_a_text_of_its_own(
    model: bytes, library: sentencepiece.SentencePieceProcessor, engine: Engine, tmp_path: Path
) -> None:
    engine.submit(Load(third(tmp_path, model), LoadSettings(context=512))).result(60)
    rng = random.Random(3)
    contents = [*texts(120), ""]
    chats: list[tuple[dict[str, Any], ...]] = [({"role": "user", "content": "你好"},)]
    for _ in range(100):
        roles = rng.choices(["system", "user", "assistant", "tool"], k=rng.randint(1, 5))
        chats.append(tuple({"role": role, "content": rng.choice(contents)} for role in roles))
    for chat in chats:
        assert engine.submit(Prompt(chat)).result(60).ids == publishers_chat(library, chat), chat


def test_chatglm3_tool_turns(
    model: bytes, library: sentencepiece.SentencePieceProcessor, engine: Engine, tmp_path: Path
) -> None:
    engine.submit(Load(third(tmp_path, model), LoadSettings(context=2048))).result(60)
    call = {"type": "function", "function": {"name": "get_weather", "arguments": '{"city": "北京"}'}}
    tools = ({"type": "function", "function": {"name": "get_weather", "parameters": {}}},)
    chat = (
        {"role": "user", "content": "天气？"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "content": "晴"},
    )
    listed = json.dumps([tools[0]["function"]], indent=4, ensure_ascii=False)
    opening = "Answer the following questions as best as you can. You have access to the following tools:\n"
    written = [
        {"role": "system", "content": opening + listed},
        {"role": "user", "content": "天气？"},
        {"role": "assistant", "metadata": "get_weather", "content": "```python\ntool_call(city='北京')\n```"},
        {"role": "tool", "content": "晴"},
    ]
    assert engine.submit(Prompt(chat, tools)).result(60).ids == publishers_chat(library, written)


def test_chatglm2_encodes_the_whole_chat_as_one_text(
    model: bytes, library: sentencepiece.SentencePieceProcessor, engine: Engine, tmp_path: Path
) -> None:
    out = converted(tmp_path, model, {}, _name_or_path="THUDM/chatglm2-6b")
    assert "<|user|>" not in read_gguf_header(out).metadata["tokenizer.ggml.tokens"]
    engine.submit(Load(out, LoadSettings(context=512))).result(60)
    count = library.vocab_size()
    for question in ("你好", "people <|user|> [gMASK]<sop>"):
        chat = (
            {"role": "user", "content": question},
            {"role": "assistant", "content": "好"},
            {"role": "user", "content": "再见"},
        )
        written = f"[Round 1]\n\n问：{question}\n\n答：好\n\n[Round 2]\n\n问：再见\n\n答："
        assert engine.submit(Prompt(chat)).result(60).ids == [count + 1, count + 3, *library.encode(written)]


@pytest.mark.parametrize(
    ("published", "kept"),
    [("[gMASK]sop{{ tools }}", "[gMASK]<sop>{{ tools }}"), ("[gMASK]sop{{ messages[0].content }}", None), (None, None)],
)
def test_a_finetunes_template_counts_where_it_knows_tools(
    published: str | None, kept: str | None, model: bytes, tmp_path: Path
) -> None:
    described = json.dumps({"chat_template": published} if published else {})
    out = converted(tmp_path, model, {"tokenizer_config.json": described}, _name_or_path="THUDM/chatglm3-6b")
    assert read_gguf_header(out).metadata["tokenizer.chat_template"] == (kept or CHATGLM3.template)


def test_base_models_have_no_chat(model: bytes, tmp_path: Path) -> None:
    metadata = read_gguf_header(converted(tmp_path, model, {}, _name_or_path="THUDM/chatglm3-6b-base")).metadata
    assert "tokenizer.chat_template" not in metadata
    assert metadata["zhiyin.tokenizer.prefix"]


@pytest.fixture(scope="module")
def ranks() -> dict[bytes, int]:
    """Return ranks as tiktoken's files hold them: bytes, then what merging makes."""
    tokenizer = tokenizers.Tokenizer(tokenizers.models.BPE())
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    alphabet = tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(vocab_size=500, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(CORPUS * 4, trainer)
    letters = {written(bytes([byte])): byte for byte in range(256)}
    vocabulary = sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
    return {bytes(letters[letter] for letter in token): rank for rank, (token, _) in enumerate(vocabulary)}


GLM4_SPECIAL = ["<|endoftext|>", "[MASK]", "[gMASK]", "[sMASK]", "<sop>", "<eop>", *ROLES]
GLM4_RULES = NAMED_RULES["llama-bpe"].expressions[0]


def glm4_from_ranks(folder: Path, ranks: dict[bytes, int]) -> Path:
    """Convert a checkpoint of the publisher's layout: ranks, rules in the code, special tokens in tokenizer_config.json."""
    config, weights = random_chatglm(
        padded_vocab_size=640, eos_token_id=[500, 507, 509], _name_or_path="THUDM/glm-4-9b-chat"
    )
    source = write_checkpoint(folder / "checkpoint", config, weights)
    lines = (b"%s %d\n" % (base64.b64encode(token), rank) for token, rank in ranks.items())
    (source / "tokenizer.model").write_bytes(b"".join(lines))
    (source / "tokenization_chatglm.py").write_text(f'pat_str = r"""{GLM4_RULES}"""\n', "utf-8")
    added = {str(500 + number): {"content": text, "special": True} for number, text in enumerate(GLM4_SPECIAL)}
    template = "{% for item in messages %}{% if item['tools'] is defined %}{% endif %}{% endfor %}"
    described = {"added_tokens_decoder": added, "eos_token": "<|endoftext|>", "chat_template": template}
    (source / "tokenizer_config.json").write_text(json.dumps(described), "utf-8")
    return convert(ConvertRequest(source, folder / "model.gguf", "F32")).path


def glm4_from_json(folder: Path, ranks: dict[bytes, int]) -> Path:
    """Convert a checkpoint of transformers' layout: tokenizer.json, whose post-processor writes the prefix."""
    config, weights = random_glm(vocab_size=640, eos_token_id=[500, 507, 509])
    source = write_checkpoint(folder / "checkpoint", config, weights)
    vocabulary = {written(token): rank for token, rank in ranks.items()}
    model = tokenizers.models.BPE(vocabulary, merges_of(ranks), ignore_merges=True)
    tokenizer = tokenizers.Tokenizer(model)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Sequence(
        [
            tokenizers.pre_tokenizers.Split(tokenizers.Regex(GLM4_RULES), "isolated"),
            tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.add_special_tokens(GLM4_SPECIAL)
    tokenizer.post_processor = tokenizers.processors.TemplateProcessing(
        single="[gMASK] <sop> $A", special_tokens=[("[gMASK]", 502), ("<sop>", 504)]
    )
    tokenizer.save(str(source / "tokenizer.json"))
    (source / "tokenizer_config.json").write_text(json.dumps({"eos_token": "<|endoftext|>"}), "utf-8")
    return convert(ConvertRequest(source, folder / "model.gguf", "F32")).path


def merges_of(ranks: dict[bytes, int]) -> list[tuple[str, str]]:
    merges = []
    for token, rank in sorted(ranks.items(), key=lambda item: item[1]):
        parts = [token[at : at + 1] for at in range(len(token))]
        while len(parts) > 2:
            best = min((ranks.get(a + b, rank), at) for at, (a, b) in enumerate(pairwise(parts)))
            parts[best[1] : best[1] + 2] = [parts[best[1]] + parts[best[1] + 1]]
        if len(parts) == 2:
            merges.append((written(parts[0]), written(parts[1])))
    return merges


@pytest.mark.parametrize("make", [glm4_from_ranks, glm4_from_json])
def test_glm4_begins_with_its_prefix_and_encodes_as_tiktoken(
    make: Callable[[Path, dict[bytes, int]], Path], ranks: dict[bytes, int], engine: Engine, tmp_path: Path
) -> None:
    assert len(ranks) == 500
    out = make(tmp_path, ranks)
    library = tiktoken.Encoding("glm", pat_str=GLM4_RULES, mergeable_ranks=ranks, special_tokens={})
    key = "tokenizer.ggml."
    metadata = read_gguf_header(out).metadata
    assert metadata[key + "tokens"][500:510] == GLM4_SPECIAL
    assert [metadata[f"{key}{name}_token_id"] for name in ("eos", "eot", "eom")] == [500, 507, 509]
    engine.submit(Load(out, LoadSettings(context=512))).result(60)
    special = re.compile("|".join(map(re.escape, GLM4_SPECIAL)))
    for text in texts(200):
        if not special.search(text):
            ids = engine.submit(Tokenize(text)).result(60).ids
            assert ids == [502, 504, *library.encode_ordinary(text)], text
        chat = (
            {"role": "user", "content": text},
            {"role": "assistant", "content": "好"},
            {"role": "user", "content": text},
        )
        asked = library.encode_ordinary(f"\n{text}")
        wanted = [502, 504, 507, *asked, 508, *library.encode_ordinary("\n好"), 507, *asked, 508]
        assert engine.submit(Prompt(chat)).result(60).ids == wanted, text
