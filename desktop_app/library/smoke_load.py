"""Runs a model that was just converted for a moment, so that a file that cannot be used never gets its name."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np

from desktop_app.engine.client import Engine, EngineDied, EngineFailed, EngineKilled
from desktop_app.engine.protocol import Embed, Load, LoadSettings, Logits, Prompt, Rerank
from desktop_app.engine.results import ModelInfo
from models.chat.template_facts import TemplateLimit
from models.errors import BadFile
from models.sentence import Sentence
from models.system_reasons import system_reason

_TOKENS = (0, 1, 2, 3)
_ALONE = 7
"""Tokens that are tried one by one where the first ones together become no numbers."""
_CONTEXT = 64
_CHAT = ({"role": "user", "content": "知音"},)


def smoke_load(path: Path, folder: Path | None = None) -> Sentence:
    """Load a GGUF file and decode a few tokens; return one sentence on how it went.

    Too little memory, or a system that starts no engine, is no fault of the file: then the sentence says that it was not run.

    Args:
        path: the file.
        folder: an unfinished one, in which what is computed lies for a moment, so that a killed process leaves nothing outside
            it; None: that of the file.

    Raises:
        BadFile: the engine refuses the file, dies of it, or computes NaN or infinity; its chat template takes too much.
    """
    out = (folder or path.parent) / "logits.npy"
    try:
        with Engine() as engine:
            return _decode(engine, path, out)
    except OSError as error:
        return Sentence("It was not run, because the system refused it ({reason}).", reason=system_reason(error))
    finally:
        with suppress(OSError):
            out.unlink()


def _decode(engine: Engine, path: Path, out: Path) -> Sentence:
    try:
        info = engine.submit(Load(path, LoadSettings(context=_CONTEXT, batch=_CONTEXT, gpu_layers=0))).result()
        if info.embedding or info.reranks:
            return _measured(engine, info)
        ids = tuple(token for token in _TOKENS if token < info.vocabulary_size)
        engine.submit(Logits(ids, out)).result()
        # A row of zeros, as padding has one, becomes NaN where a norm adds no epsilon: that says nothing of the other tokens.
        if not np.isfinite(np.load(out)).all():
            ids = _computed_alone(engine, info.vocabulary_size, out)
        if info.chat:
            _check_template(engine)
    except EngineFailed as error:
        if error.code == "out-of-memory":
            return Sentence("It was not run, because this computer has too little free memory for it.")
        if error.values.get("path") == str(out):  # the disk is full
            return Sentence("It was not run, because the system refused it ({reason}).", reason=error)
        raise BadFile(
            "The converted file was thrown away, because the engine cannot run it: {reason}", reason=error
        ) from error
    except EngineKilled:
        return Sentence("It was not run, because the system ended the engine, most likely because memory ran out.")
    except EngineDied as error:
        raise BadFile(
            "The converted file was thrown away, because the engine died of it: {reason}", reason=error
        ) from error
    return Sentence("The engine loaded it and decoded {count} tokens.", count=len(ids))


def _computed_alone(engine: Engine, vocabulary_size: int, out: Path) -> tuple[int]:
    """Return the first of some tokens from all over the vocabulary that a model computes numbers for.

    Raises:
        BadFile: there is none.
    """
    for part in range(1, _ALONE + 1):
        token = part * (vocabulary_size - 1) // _ALONE
        engine.submit(Logits((token,), out)).result()
        if np.isfinite(np.load(out)).all():
            return (token,)
    raise _not_finite()


def _measured(engine: Engine, info: ModelInfo) -> Sentence:
    """Have an embedding or reranking model measure a text."""
    text = _CHAT[0]["content"]
    if info.reranks:
        _check_finite(np.array(engine.submit(Rerank(text, (text,))).result().scores))
    else:
        _check_finite(np.array(engine.submit(Embed((text,))).result().rows()))
    return Sentence("The engine loaded it and measured a text.")


def _check_finite(values: np.ndarray) -> None:
    if not np.isfinite(values).all():
        raise _not_finite()


def _not_finite() -> BadFile:
    return BadFile(
        "The converted file was thrown away, because it computes NaN or infinity; the checkpoint is damaged or "
        "overflows this type: choose another --quant."
    )


def _check_template(engine: Engine) -> None:
    """Raise BadFile where the loaded model's template takes too much for the shortest chat; others are the user's to try."""
    try:
        engine.submit(Prompt(_CHAT)).result()
    except EngineFailed as error:
        if error.code == TemplateLimit.default_code:
            raise BadFile(
                "The converted file was thrown away, because no chat can begin with it: {reason}", reason=error
            ) from error
