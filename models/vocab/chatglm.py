"""The vocabularies of ChatGLM2, ChatGLM3 and GLM-4: special tokens behind the last piece, two of them in front of every input.

Sources: THUDM/chatglm2-6b, THUDM/chatglm3-6b and THUDM/glm-4-9b-chat, tokenization_chatglm.py.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from models.chat.chat_formats import KEY
from models.chat.glm import CHATGLM2, CHATGLM3, GLM4, is_base, is_third
from models.config import Config
from models.family import ChatFormat
from models.untrusted_json import read_bytes
from models.vocab.reader import read_vocabulary
from models.vocab.sentencepiece import read_sentencepiece
from models.vocab.special import add_special_tokens, post_processing
from models.vocab.tiktoken import is_rank_file
from models.vocab.vocabulary import PLAIN, PREFIX, TokenType, Vocabulary

_SPECIAL = ("[MASK]", "[gMASK]", "[sMASK]", "<sop>", "<eop>")
"""The publisher calls the last two `sop` and `eop`; llama.cpp merges pieces into any token's text, so `people` would hold one."""
_ROLES = ("<|system|>", "<|user|>", "<|assistant|>", "<|observation|>")
_TURN, _CALL = "<|user|>", "<|observation|>"
_TOOLS_OF_A_MESSAGE = "item['tools']"
"""The publisher's template for GLM-4 wants tools inside a message; the family's own takes them as everybody passes them."""


def read_chatglm_vocabulary(folder: Path, config: Config) -> Vocabulary:
    """Read the tokenizer of a checkpoint in the publisher's own layout: sentencepiece (2 and 3) or tiktoken's ranks (GLM-4).

    Raises:
        BadFile: it is missing or damaged.
    """
    path = folder / "tokenizer.model"
    if not path.is_file() or is_rank_file(path):
        vocabulary = _glm4(read_vocabulary(folder, config), prefixed=path.is_file() or _has_prefix(folder))
        return vocabulary if is_base(config) else _chatting(vocabulary, GLM4)
    pieces = read_sentencepiece(path, {})
    third = is_third(config) or _names_roles(folder)
    names = _SPECIAL + (_ROLES if third else ())
    count = len(pieces.tokens)
    ids = {name: count + number for number, name in enumerate(names)}
    vocabulary = add_special_tokens(
        replace(
            pieces,
            pre="chatglm-spm",
            tokens=[*pieces.tokens, *names],
            types=[*pieces.types, *(TokenType.CONTROL for _ in names)],
            scores=[*(pieces.scores or []), *(0.0 for _ in names)],
        ),
        folder,
        config,
    )
    ends = {"eot": ids[_TURN], "eom": ids[_CALL]} if third else {}
    vocabulary = replace(
        vocabulary,
        special={name: number for name, number in vocabulary.special.items() if name != "bos"} | ends,
        flags=vocabulary.flags | {"add_bos_token": False, "add_eos_token": False},
        extra={PREFIX: [ids["[gMASK]"], ids["<sop>"]], PLAIN: True},
    )
    if is_base(config):
        return replace(vocabulary, chat_template=None)
    return _chatting(vocabulary, CHATGLM3 if third else CHATGLM2)


def read_glm_vocabulary(folder: Path, config: Config) -> Vocabulary:
    """Read the tokenizer of a checkpoint in the layout of transformers.

    Raises:
        BadFile: it is missing or damaged.
    """
    return _glm4(read_vocabulary(folder, config), prefixed=_has_prefix(folder))


def _glm4(vocabulary: Vocabulary, *, prefixed: bool) -> Vocabulary:
    ids = {str(text): number for number, text in enumerate(vocabulary.tokens)}
    special = {name: number for name, number in vocabulary.special.items() if name != "bos"}
    special |= {name: ids[text] for name, text in (("eot", _TURN), ("eom", _CALL)) if text in ids}
    prefix = [ids[text] for text in ("[gMASK]", "<sop>") if text in ids]
    return replace(
        vocabulary,
        # The same splitting as Llama 3's; the names differ in what llama.cpp does about the beginning of a text.
        pre="glm4" if vocabulary.pre == "llama-bpe" else vocabulary.pre,
        special=special,
        flags=vocabulary.flags | {"add_bos_token": False},
        chat_template=None if _TOOLS_OF_A_MESSAGE in (vocabulary.chat_template or "") else vocabulary.chat_template,
        extra=vocabulary.extra | ({PREFIX: prefix} if prefixed and len(prefix) == 2 else {}),
    )


def _chatting(vocabulary: Vocabulary, chat: ChatFormat) -> Vocabulary:
    """Add a chat format: the checkpoint's own template, unless it is ChatGLM3's published one, which knows no tools."""
    published = vocabulary.chat_template
    if published is None or (chat is not GLM4 and "tools" not in published):
        published = chat.template
    template = published.replace("[gMASK]sop", "[gMASK]<sop>")
    return replace(vocabulary, chat_template=template, extra=vocabulary.extra | {KEY: chat.chat_format})


def _names_roles(folder: Path) -> bool:
    """Tell whether the folder has ChatGLM3's name or its files name that model's roles; they are only read, never run."""
    if "chatglm3" in folder.resolve().name.lower():
        return True
    names = ("tokenization_chatglm.py", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json")
    return any(_CALL.encode() in read_bytes(folder / name) for name in names if (folder / name).is_file())


def _has_prefix(folder: Path) -> bool:
    """Tell whether tokenizer.json writes [gMASK] and <sop> in front of a text."""
    if not (folder / "tokenizer.json").is_file():
        return False
    around = post_processing(folder)
    return around is not None and around[0][:2] == ["[gMASK]", "<sop>"]
