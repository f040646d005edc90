"""The core's error sentences in the person's language: it writes them in English, with names and numbers in them."""

from __future__ import annotations

import re
from functools import cache

from PySide6.QtCore import QCoreApplication

from desktop_app.ui.translate import to_translate

_TEMPLATES = to_translate(
    "Core",
    "The engine was ended by the system, most likely because memory ran out; choose a smaller context or a "
    "smaller model. Nothing of the chat is lost.",
    "The engine crashed ({signal}); try again, and choose another model if it happens again. Nothing of the chat "
    "is lost.",
    "The engine ended by itself (code {code}); try again, and look at its log if it happens again. Nothing of the"
    " chat is lost.",
    "This chat needs {needed} tokens, but the loaded context holds {room}; load the model with a larger context "
    "or start a new chat.",
    "A context of {count} tokens for {name} does not fit in memory; choose a smaller one.",
    "{name} does not fit in memory; choose a smaller quantization or close other programs.",
    "{path} is not a GGUF file; choose a file that a converter wrote, or convert the checkpoint.",
    "{path} is truncated: tensor {tensor} ends {count} bytes after the end of the file; download it again.",
    "{path} is truncated: its head ends in the middle; download it again.",
    "{path} is damaged: {what}; download it again.",
    "{path} is GGUF version {version}; Zhiyin reads versions 2 and 3: convert it again.",
    "{path} cannot be read: {reason}.",
    "{path} cannot be loaded by llama.cpp ({reason}); convert or download it again.",
    "The disk is full, so {path} cannot take more; free some space.",
    "{path} cannot be written; allow writing to it.",
    "{path} cannot be opened; allow reading and writing in its folder.",
    "{path} is in use by another program; close it.",
    "{path} is damaged; start Zhiyin again to recover what can be read.",
)


def translated(sentence: str) -> str:
    """Return a core sentence in the window's language; one that is not known here stays as it is."""
    for template in _TEMPLATES:
        if found := _pattern(template).fullmatch(sentence):
            return QCoreApplication.translate("Core", template).format(**found.groupdict())
    return sentence


@cache
def _pattern(template: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+)", re.escape(template)), re.DOTALL)
