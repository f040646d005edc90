"""Why a reply failed is stored as data; the sentences that earlier versions stored are shown as they are."""

from __future__ import annotations

import json
from typing import Any

import pytest

from desktop_app.chat.conversation import Message
from desktop_app.chat.failure import failure_facts, failure_of
from models.errors import ZhiyinError


def reply(facts: dict[str, Any]) -> Message:
    return Message("chat", None, "assistant", "", state="failed", facts=json.loads(json.dumps(facts)))


def test_a_failure_is_the_same_after_it_was_stored() -> None:
    error = ZhiyinError("This chat needs {needed} tokens.", code="context-full", needed=5000)
    found = failure_of(reply(failure_facts(error)))
    assert found is not None
    assert (found.code, found.values, str(found)) == ("context-full", {"needed": 5000}, str(error))


@pytest.mark.parametrize(
    ("cause", "code"),
    [("context", "context-full"), ("memory", "out-of-memory"), ("died", "engine-died"), ("?", "internal")],
)
def test_an_old_failure_keeps_its_words(cause: str, code: str) -> None:
    found = failure_of(reply({"cause": cause, "message": "It needs {braces} and 5000 tokens."}))
    assert found is not None
    assert (found.code, str(found)) == (code, "It needs {braces} and 5000 tokens.")


def test_a_reply_that_did_not_fail_has_no_failure() -> None:
    assert failure_of(reply({"tokens": 5, "reason": "full"})) is None
