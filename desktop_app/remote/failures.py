"""Failures of a server on another computer: one sentence for each, with the remedy."""

from __future__ import annotations

import json
from typing import Any

from converter.hub.network_errors import Phase, explain
from converter.hub.network_settings import Proxy
from models.errors import ZhiyinError
from models.sentence import Sentence
from models.visible import visible

_LONGEST_SAID = 300
_NEAR_ENOUGH = ("name-resolution", "no-route", "firewall", "certificates", "tls", "proxy")
"""Codes of `explain` whose sentences are right for any server."""
_TOO_LONG = ("context_length_exceeded", "exceed_context_size_error", "input_tokens")
"""The code of OpenAI, the type of llama-server, the parameter of vLLM."""
_TOO_LONG_IN_WORDS = "maximum context length"
"""What older vLLM, SGLang and others write, with a code that says nothing."""


class RemoteFailed(ZhiyinError):
    """A server on another computer gave no reply, or not the whole one."""

    default_code = "remote"


def refusal(place: str, status: int, body: bytes, model: str, *, has_key: bool) -> ZhiyinError:
    """Return the error for an answer with another status than 200.

    Args:
        place: host and port.
        status: HTTP's.
        body: what the server says of it.
        model: the one that was asked for; "": none was.
        has_key: a key was sent.
    """
    kind, reason = _said(body)
    if kind:
        return RemoteFailed(
            "The chat is longer than {place} takes ({said}); start a new one, or give that server a larger context.",
            code="context-full",
            place=place,
            said=reason,
        )
    if status in (401, 403):
        return _about_key(place, status, has_key)
    return _refused(place, status, reason, model)


def _refused(place: str, status: int, reason: str | Sentence, model: str) -> ZhiyinError:
    """Return the error for a status that has nothing to do with keys."""
    if status == 404 and model:
        return RemoteFailed(
            "{place} has no model {model!r}, or does not do with it what was asked ({said}); look at its list "
            "of models, and at the path of the address.",
            place=place,
            model=model,
            said=reason,
        )
    if status == 404:
        return RemoteFailed(
            "{place} does not speak OpenAI's protocol at this address ({said}); look at its path, which often ends in /v1.",
            place=place,
            said=reason,
        )
    if status == 429:
        return RemoteFailed(
            "{place} asks to wait: too much was asked for, or an account is used up ({said}); try again later.",
            code="busy",
            place=place,
            said=reason,
        )
    if 300 <= status < 400:
        return RemoteFailed(
            "{place} sends on to another address, which could be anybody's; enter that address itself.", place=place
        )
    if status >= 500:
        return RemoteFailed(
            "{place} failed ({status}: {said}); try again, and look there for the reason if it fails again.",
            place=place,
            status=status,
            said=reason,
        )
    return RemoteFailed("{place} refuses the request ({status}: {said}).", place=place, status=status, said=reason)


def _about_key(place: str, status: int, has_key: bool) -> ZhiyinError:
    if has_key:
        return RemoteFailed(
            "{place} refuses the key ({status}); enter the right one.", code="remote-key", place=place, status=status
        )
    return RemoteFailed(
        "{place} wants a key ({status}); enter it with the address, or with `zhiyin remote add --key`.",
        code="remote-key",
        place=place,
        status=status,
    )


def lost(error: Exception, url: str, proxy: Proxy | None, phase: Phase, place: str) -> ZhiyinError:
    """Return the sentence for a connection that was not made or broke off; arguments as of `explain`."""
    told = explain(error, url, proxy, phase)
    if told is error or told.code in _NEAR_ENOUGH:
        return told
    if told.code == "bad-answer":
        return RemoteFailed("What answers at {place} does not speak HTTP; look at the address.", place=place)
    reason = told.values.get("reason", Sentence("the connection was closed early"))
    if phase == "reading":
        return broken_off(place, reason)
    return RemoteFailed(
        "{place} cannot be reached ({reason}); look whether its server runs, and at the address.",
        code="unreachable",
        place=place,
        reason=reason,
    )


def broken_off(place: str, reason: str | Sentence = "") -> ZhiyinError:
    """Return the error for a reply that ended before its end."""
    return RemoteFailed(
        "{place} broke off in the middle of the reply ({reason}); ask again. Nothing of the chat is lost.",
        code="unreachable",
        place=place,
        reason=reason or Sentence("it sent no end"),
    )


def silent(place: str, seconds: float) -> ZhiyinError:
    """Return the error for a server that says nothing any more."""
    return RemoteFailed(
        "{place} sent nothing for {seconds} seconds; look whether it still works, then ask again.",
        code="stalled",
        place=place,
        seconds=round(seconds),
    )


def unreadable(place: str, reason: Sentence) -> ZhiyinError:
    """Return the error for an answer that is not of OpenAI's protocol."""
    return RemoteFailed(
        "What {place} sends is not of OpenAI's protocol ({reason}); look at the address, and update that server.",
        place=place,
        reason=reason,
    )


def said_in_stream(place: str, error: Any) -> ZhiyinError:
    """Return the error that a server reports in the middle of a stream."""
    return refusal(place, 500, json.dumps({"error": error}).encode(), "", has_key=True)


def _said(body: bytes) -> tuple[str, str | Sentence]:
    """Return how a server says that a context is full ("": it does not), and what it says in a line that can be shown."""
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return "", _line("" if body.lstrip()[:1] == b"<" else body.decode("utf-8", "replace"))
    error = answer.get("error", answer) if isinstance(answer, dict) else answer
    if not isinstance(error, dict):
        return "", _line(error)
    message = error.get("message") or error.get("detail") or ""
    kinds = {str(error.get(field)) for field in ("code", "type", "param")} & set(_TOO_LONG)
    if _TOO_LONG_IN_WORDS in str(message):
        kinds.add(_TOO_LONG_IN_WORDS)
    return next(iter(kinds), ""), _line(message)


def _line(text: Any) -> str | Sentence:
    words = " ".join(str(text).split())[:_LONGEST_SAID].rstrip(".")
    return visible(words) if words else Sentence("it gives no reason")
