"""Facts of a chat template that need no rendering, and so no Jinja."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import lru_cache

from models.errors import ZhiyinError

MEGABYTE = 1024 * 1024
LARGEST_PROMPT = 16 * MEGABYTE
LARGEST_TEMPLATE = MEGABYTE


class TemplateLimit(ZhiyinError):
    """A template is larger, slower or needs more memory than any template should."""

    default_code = "template-limit"


@dataclass(frozen=True)
class TemplateFacts:
    """Facts of the model, taken from its template's text."""

    reasoning: bool
    """It knows thinking blocks."""
    tools: bool
    """It renders tool lists."""


def check_size(template: str, path: str | os.PathLike[str]) -> None:
    """Raise `TemplateLimit` where a template, of this file, is too large to be looked at."""
    if len(template) > LARGEST_TEMPLATE:
        raise TemplateLimit(
            "The chat template of {path} is larger than {size} MB; get the model elsewhere.",
            path=path,
            size=LARGEST_TEMPLATE // MEGABYTE,
        )


@lru_cache(maxsize=64)
def template_facts(template: str) -> TemplateFacts:
    """Return what a template's text shows."""
    reasoning = re.search(r"<think>|enable_thinking|reasoning_content|<\|channel\|>", template) is not None
    tools = re.search(r"(?<!['\"])\b(xml_)?tools\b", template) is not None  # SmolLM3's name for them
    return TemplateFacts(reasoning, tools)
