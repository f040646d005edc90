"""Token usage, as OpenAI's API reports it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from desktop_app.engine.results import Reply


class StreamOptions(Struct):
    """Options of a stream."""

    include_usage: bool = False


def usage(replies: Sequence[Reply]) -> dict[str, Any]:
    """Return the tokens of replies to one prompt, which counts once."""
    prompt, written = replies[0].prompt_tokens, sum(reply.tokens for reply in replies)
    return {
        "prompt_tokens": prompt,
        "completion_tokens": written,
        "total_tokens": prompt + written,
        "prompt_tokens_details": {"cached_tokens": replies[0].reused_tokens},
    }
