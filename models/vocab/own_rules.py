"""What of a tokenizer.json is computed by the engine itself, because llama.cpp has no rules that give the same tokens.

The keys hold all that lies between an added token and the next: the steps that cut, and how a piece becomes tokens.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping
from typing import Any

import msgspec

from models.vocab import cutting
from models.vocab.piece_rules import KEY, MERGES, NO_PIECES, PieceRules
from models.vocab.structures import BPE, AddedToken, Step, Tokenizer

BLANK = cutting.BLANK
_USUAL_SUFFIX = "</w>"
USUAL_PREFIX = "##"
"""Of WordPiece's tokens inside a word."""


def own_rules(
    pre_tokenizer: Step | None,
    rules: PieceRules,
    added: Iterable[AddedToken],
    vocab: Container[str],
    merges: Iterable[tuple[int, int]] = (),
) -> dict[str, Any]:
    """Return the GGUF keys by which the engine cuts and looks up by itself; {}: a step is not known here.

    Args:
        pre_tokenizer: cuts.
        rules: of the model.
        added: the tokens beside it.
        vocab: the model's own.
        merges: of BPE, by ids.
    """
    steps = cutting.steps_of([] if pre_tokenizer is None else pre_tokenizer.leaves())
    if steps is None:
        return {}
    lists = {
        MERGES: [number for pair in merges for number in pair],
        NO_PIECES: sorted(token.id for token in added if token.content not in vocab),
    }
    written = msgspec.json.encode(rules).decode()
    return {cutting.KEY: cutting.as_json(steps), KEY: written} | {key: ids for key, ids in lists.items() if ids}


def unknown_steps(pre_tokenizer: Step | None) -> list[str]:
    """Return the names of the steps that are not known here."""
    leaves = [] if pre_tokenizer is None else pre_tokenizer.leaves()
    return [step.type or "?" for step in leaves if cutting.steps_of([step]) is None]


def of_bpe(tokenizer: Tokenizer, ids: Mapping[str, int], added: Iterable[AddedToken]) -> dict[str, Any]:
    """Return the keys for a BPE tokenizer whose texts have these ids."""
    model = tokenizer.model
    pairs = (merge if isinstance(merge, tuple) else tuple(merge.split(" ", 1)) for merge in model.merges)
    merges = [(ids[pair[0]], ids[pair[1]]) for pair in pairs if len(pair) == 2 and pair[0] in ids and pair[1] in ids]
    rules = PieceRules(
        unknown=model.vocab.get(model.unk_token or ""),
        fuse_unknown=model.fuse_unk,
        byte_fallback=model.byte_fallback,
        ignore_merges=model.ignore_merges,
        prefix=model.continuing_subword_prefix or "",
        suffix=model.end_of_word_suffix or "",
        **writing(
            tokenizer.decoder, model.vocab, model.end_of_word_suffix, prefix=model.continuing_subword_prefix or ""
        ),
    )
    return own_rules(tokenizer.pre_tokenizer, rules, added, model.vocab, merges)


def has_blanks(tokens: Iterable[str | bytes]) -> bool:
    """Tell whether tokens of more than one character hold U+2581, which stands for a space."""
    return any(isinstance(token, str) and len(token) > 1 and BLANK in token for token in tokens)


def writing(
    decoder: Step | None, tokens: Collection[str | bytes], suffix: str | None = None, *, prefix: str = ""
) -> dict[str, Any]:
    """Return the fields of `PieceRules` that say how tokens become text; {}: not by these rules.

    Args:
        decoder: the publisher's.
        tokens: the vocabulary.
        suffix: of the last token of a word.
        prefix: of the tokens inside a word.
    """
    leaves = [] if decoder is None else [*decoder.leaves()]
    kinds = [step.type for step in leaves]
    if "<0x00>" in tokens:
        return {}
    at_words = (kinds == ["WordPiece"] and not suffix and (leaves[0].prefix or USUAL_PREFIX) == prefix) or (
        kinds == ["BPEDecoder"] and (leaves[0].suffix or _USUAL_SUFFIX) == suffix
    )
    unmarked = {*kinds} <= {"Fuse"} and not has_blanks(tokens)
    if not at_words and not unmarked:
        return {}
    joined = " " if kinds in ([], ["WordPiece"]) else None
    return {"plain": True, "joined": joined, "cleanup": any(step.cleanup for step in leaves)}


def merges_like_sentencepiece(model: BPE) -> bool:
    """Tell whether merging by rank is merging what is a token, the better piece first, as sentencepiece and llama.cpp do."""
    ranks: dict[str, int] = {}
    pairs = set()
    last = ""
    for merge in model.merges:
        first, _, second = merge.partition(" ") if isinstance(merge, str) else (merge[0], "", merge[1])
        made = first + second
        if made != last and made in ranks:
            return False
        ranks.setdefault(made, len(ranks))
        pairs.add((first, second))
        last = made
    return all(
        (text[:at], text[at:]) in pairs
        for text in model.vocab
        if text in ranks
        for at in range(1, len(text))
        if text[:at] in model.vocab and text[at:] in model.vocab
    )
