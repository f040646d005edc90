"""Finds out which tokenizer a folder holds and reads it."""

from __future__ import annotations

from pathlib import Path

from models.config import Config
from models.errors import NoTokenizer
from models.untrusted_json import TokenId, read_struct
from models.vocab.sentencepiece import read_sentencepiece
from models.vocab.special import add_special_tokens, read_tokenizer_config
from models.vocab.tiktoken import HUNYUAN_FILE, QWEN_FILE, is_rank_file, read_tiktoken
from models.vocab.tokenizer_json import read_tokenizer_json, read_vocab_and_merges
from models.vocab.unigram import FAIRSEQ_FILE, read_fairseq
from models.vocab.vocabulary import Vocabulary
from models.vocab.wordpiece import read_vocab_txt


def read_vocabulary(folder: Path, config: Config) -> Vocabulary:
    """Read the tokenizer beside a checkpoint, its special tokens and its chat template included.

    A sentencepiece model counts before a tokenizer.json, which repeats it less exactly; tiktoken's ranks count after one, which
    says more.

    Raises:
        NoTokenizer: there is none.
        BadFile: it is damaged.
        UnsupportedModel: a kind of tokenizer that llama.cpp cannot run.
    """
    model = folder / "tokenizer.model"
    files = (folder / QWEN_FILE, folder / HUNYUAN_FILE, model)
    ranks = next((path for path in files if path.is_file() and is_rank_file(path)), None)
    if ranks is not None and not (folder / "tokenizer.json").is_file():
        vocabulary = read_tiktoken(ranks, _added_tokens(folder))
    elif model.is_file() and ranks is None:
        vocabulary = read_sentencepiece(model, _added_tokens(folder))
    elif (folder / "tokenizer.json").is_file():
        vocabulary = read_tokenizer_json(folder / "tokenizer.json")
    elif (folder / FAIRSEQ_FILE).is_file():
        vocabulary = read_fairseq(folder / FAIRSEQ_FILE)
    elif (folder / "vocab.txt").is_file():
        vocabulary = read_vocab_txt(folder)
    elif (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        vocabulary = read_vocab_and_merges(folder, _added_tokens(folder))
    else:
        raise NoTokenizer(
            "{folder} has no tokenizer (tokenizer.json, tokenizer.model or {file}); download it too, name another "
            "folder with --tokenizer, or convert without one by --tokenizer none.",
            folder=folder,
            file=QWEN_FILE,
        )
    return add_special_tokens(vocabulary, folder, config)


def _added_tokens(folder: Path) -> dict[int, tuple[str, bool]]:
    """Return the tokens that were added to a sentencepiece model: id -> (text, special)."""
    plain = folder / "added_tokens.json"
    added = read_struct(plain, dict[str, TokenId]) if plain.is_file() else {}
    described = read_tokenizer_config(folder).added_tokens_decoder or {}
    return {
        **{number: (text, text.startswith("<") and text.endswith(">")) for text, number in added.items()},
        **{number: (token.content, bool(token.special)) for number, token in described.items()},
    }
