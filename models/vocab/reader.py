"""Finds out which tokenizer a folder holds and reads it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from models.config import Config
from models.errors import NoTokenizer
from models.sentence import Sentence
from models.vocab.added_tokens import read_added_tokens
from models.vocab.sections import SpacePrefix
from models.vocab.sentencepiece import read_sentencepiece
from models.vocab.special import add_special_tokens, read_tokenizer_config
from models.vocab.structures import AnyTokenizer
from models.vocab.text_rules import with_text_rules
from models.vocab.tiktoken import HUNYUAN_FILE, QWEN_FILE, is_rank_file, read_tiktoken
from models.vocab.tokenizer_json import read_any_tokenizer, read_tokenizer_json, read_vocab_and_merges
from models.vocab.unigram import FAIRSEQ_FILE, read_fairseq
from models.vocab.vocabulary import TokenType, Vocabulary
from models.vocab.wordpiece import read_vocab_txt


def read_vocabulary(folder: Path, config: Config) -> Vocabulary:
    """Read the tokenizer beside a checkpoint, its special tokens and its chat template included.

    Pieces and their scores are a sentencepiece model's, which a tokenizer.json repeats less exactly; all else, and the pieces
    where the two differ, is the tokenizer.json's, as in transformers. Tiktoken's ranks count after one, which says more.

    Raises:
        NoTokenizer: there is none.
        BadFile: it is damaged.
        UnsupportedModel: a kind of tokenizer that llama.cpp cannot run.
    """
    model = folder / "tokenizer.model"
    files = (folder / QWEN_FILE, folder / HUNYUAN_FILE, model)
    ranks = next((path for path in files if path.is_file() and is_rank_file(path)), None)
    if ranks is not None and not (folder / "tokenizer.json").is_file():
        added = read_added_tokens(folder)
        vocabulary = read_tiktoken(ranks, added.tokens)
        vocabulary = replace(vocabulary, warnings=(*vocabulary.warnings, *added.warnings()))
    elif model.is_file() and ranks is None:
        vocabulary = _read_sentencepiece(folder)
    elif (folder / "tokenizer.json").is_file():
        vocabulary = read_tokenizer_json(folder / "tokenizer.json")
    elif (folder / FAIRSEQ_FILE).is_file():
        vocabulary = read_fairseq(folder / FAIRSEQ_FILE)
    elif (folder / "vocab.txt").is_file():
        vocabulary = read_vocab_txt(folder)
    elif (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        vocabulary = read_vocab_and_merges(folder)
    else:
        raise NoTokenizer(
            "{folder} has no tokenizer (tokenizer.json, tokenizer.model or {file}); download it too, name another "
            "folder with --tokenizer, or convert without one by --tokenizer none.",
            folder=folder,
            file=QWEN_FILE,
        )
    return add_special_tokens(vocabulary, folder, config)


def _read_sentencepiece(folder: Path) -> Vocabulary:
    """Read tokenizer.model with what the files beside it add and do around it."""
    path, beside = folder / "tokenizer.model", folder / "tokenizer.json"
    document = read_any_tokenizer(beside) if beside.is_file() else AnyTokenizer()
    added = read_added_tokens(folder, document.added_tokens or ())
    vocabulary = read_sentencepiece(path, added.tokens)
    vocabulary = replace(vocabulary, warnings=(*vocabulary.warnings, *added.warnings()))
    if document.model is None or document.model.type not in (None, "BPE"):
        return replace(vocabulary, space=_space_of_class(folder, vocabulary))
    repeated = read_tokenizer_json(beside)
    different = _differences(vocabulary, repeated)
    if not different:
        return with_text_rules(vocabulary, beside, document)
    warning = Sentence(
        "tokenizer.model and tokenizer.json in {folder} differ in {count} tokens ({names}); tokenizer.json counts, as in "
        "transformers.",
        folder=folder,
        count=len(different),
        names=", ".join(different[:5]) + (" …" if len(different) > 5 else ""),
    )
    return replace(repeated, warnings=(warning, *repeated.warnings))


def _differences(pieces: Vocabulary, repeated: Vocabulary) -> list[str]:
    """Return the ordinary tokens that a tokenizer.json has under other ids than the pieces, or the pieces lack."""
    known = dict(enumerate(pieces.tokens))
    ordinary = (TokenType.NORMAL, TokenType.BYTE)
    return [
        f"{text!s} = {number}"
        for number, (text, kind) in enumerate(zip(repeated.tokens, repeated.types, strict=True))
        if kind in ordinary and known.get(number) != text
    ]


def _space_of_class(folder: Path, vocabulary: Vocabulary) -> SpacePrefix | None:
    """Return the rule of the tokenizer's class in transformers: not `legacy` means the beginning of a text alone."""
    described = read_tokenizer_config(folder)
    if vocabulary.space is not SpacePrefix.EACH:
        return vocabulary.space
    if described.add_prefix_space is False:
        return SpacePrefix.NONE
    return SpacePrefix.FIRST if described.legacy is False else SpacePrefix.EACH
