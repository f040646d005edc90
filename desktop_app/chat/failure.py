"""Why a reply failed, as a chat's file has it."""

from __future__ import annotations

from typing import Any

from desktop_app.chat.conversation import Message
from models.errors import ZhiyinError, error_from_data

_OLD_CODES = {
    "context": "context-full",
    "memory": "out-of-memory",
    "died": "engine-died",
    "file": "bad-file",
    "model": "failed",
}
"""The causes that earlier versions stored, beside a sentence in English."""


def failure_facts(error: ZhiyinError) -> dict[str, Any]:
    """Return what a failed reply stores as its `facts`."""
    return {"error": error.data()}


def was_too_large(reply: Message) -> bool:
    """Tell whether a reply failed because what it answers was too large for the model, which has read nothing of it."""
    failure = failure_of(reply)
    return failure is not None and failure.code == "context-full" and not reply.content.strip()


def failure_of(message: Message) -> ZhiyinError | None:
    """Return why a reply failed; None: it did not."""
    facts = message.facts
    if "error" in facts:
        return error_from_data(facts["error"])
    if "message" in facts:
        old = facts["message"]
        return ZhiyinError("{text}", text=old, code=_OLD_CODES.get(facts.get("cause", ""), "internal"))
    return None
