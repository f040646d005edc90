"""Looking for models by words on the Hub, a mirror or ModelScope: one request, whose answer says what each repository is.

No token is sent: what is found is what everybody sees. Sources: huggingface-hub (`list_models`, `expand`), ModelScope's OpenAPI
(`GET /openapi/v1/models`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from typing import Any
from urllib.parse import urlencode, urlsplit

import msgspec

from converter.hub.address import MODELSCOPE, MODELSCOPE_PREFIX, is_modelscope
from converter.hub.connection import Connection
from converter.hub.hosts import OURSELVES, checked_endpoint, checked_usual_endpoint
from converter.hub.loose import count, licence_in, mapping, text, texts
from converter.hub.names import REPOSITORY
from converter.hub.network_errors import ELSEWHERE, BadAnswer
from converter.hub.request import FoundRepository
from models.errors import ZhiyinError
from models.sentence import Sentence

_MOST_BYTES = 8 * 1024 * 1024
_LONGEST_WORDS = 200
_MOST = 30
"""Repositories that are asked for."""
_EXPANDED = ("cardData", "config", "downloads", "gated", "gguf", "pipeline_tag", "safetensors", "tags")
_TEXT_TASKS = (
    "text-generation", "text2text-generation", "image-text-to-text", "any-to-any", "feature-extraction",
    "sentence-similarity", "text-ranking", "text-classification", "conversational", "question-answering", "translation",
    "summarization",
)  # fmt: skip
"""Tasks, in either host's words, of models that may be of use here; others make pictures or sound."""


def search(
    words: str,
    endpoint: str = "",
    check: Callable[[], None] = lambda: None,
    again: Callable[[Sentence, float], None] = lambda reason, seconds: None,
) -> list[FoundRepository]:
    """Return the repositories that a host finds, those with the most downloads first.

    Args:
        words: what to look for; with "modelscope:" in front, on ModelScope.
        endpoint: address of the Hub, a mirror or ModelScope; "": as the words say, or else HF_ENDPOINT, or huggingface.co.
        check: called about ten times a second; it may raise to stop.
        again: hears that a busy host is asked again, why and in how many seconds.

    Raises:
        ZhiyinError: nothing was asked for, or the host gives no answer.
    """
    on_modelscope = words.startswith(MODELSCOPE_PREFIX)
    asked = " ".join(words.removeprefix(MODELSCOPE_PREFIX).split())[:_LONGEST_WORDS]
    if not asked:
        raise ZhiyinError("Write what to look for.")
    where = checked_endpoint(endpoint) or (MODELSCOPE if on_modelscope else checked_usual_endpoint())
    on_modelscope = on_modelscope or is_modelscope(urlsplit(where).hostname)
    url = _modelscope_url(where, asked) if on_modelscope else _hub_url(where, asked)
    with closing(Connection(where, OURSELVES, {})) as connection:
        connection.on_wait(check, again)
        answer = connection.patiently(lambda: connection.read(url, _MOST_BYTES, {"Accept-Encoding": "gzip"}))
    try:
        decoded = msgspec.json.decode(answer.data)
        entries = decoded["data"]["models"] if on_modelscope else decoded
        return list(_modelscope_entries(entries) if on_modelscope else _hub_entries(entries))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, LookupError, TypeError, AttributeError) as error:
        raise BadAnswer(
            "{endpoint} does not answer as a host of models does; {elsewhere}.", endpoint=where, elsewhere=ELSEWHERE
        ) from error


def _hub_url(endpoint: str, words: str) -> str:
    query = [("search", words), ("sort", "downloads"), ("direction", "-1"), ("limit", str(_MOST))]
    return f"{endpoint}/api/models?{urlencode([*query, *(('expand[]', name) for name in _EXPANDED)])}"


def _modelscope_url(endpoint: str, words: str) -> str:
    query = {"search": words, "sort": "downloads", "page_number": "1", "page_size": str(_MOST)}
    return f"{endpoint}/openapi/v1/models?{urlencode(query)}"


def _hub_entries(entries: list[Any]) -> Iterator[FoundRepository]:
    for entry in _named(entries):
        task, tags = text(entry.get("pipeline_tag")), texts(entry.get("tags"))
        gguf, weights = mapping(entry.get("gguf")), mapping(entry.get("safetensors"))
        if task and task not in _TEXT_TASKS:
            continue
        yield FoundRepository(
            entry["id"],
            _architecture_in(mapping(entry.get("config"))) or text(gguf.get("architecture")),
            count(weights.get("total")) or count(gguf.get("total")),
            licence_in(mapping(entry.get("cardData")), tags),
            count(entry.get("downloads")),
            entry.get("gated") not in (None, False),
            bool(gguf) or "gguf" in tags,
        )


def _modelscope_entries(entries: list[Any]) -> Iterator[FoundRepository]:
    for entry in _named(entries):
        tasks, tags = texts(entry.get("tasks")), texts(entry.get("tags"))
        if tasks and not set(tasks) & set(_TEXT_TASKS):
            continue
        yield FoundRepository(
            MODELSCOPE_PREFIX + entry["id"],
            parameters=count(entry.get("params")),
            licence=text(entry.get("license")),
            downloads=count(entry.get("downloads")),
            gated=entry.get("gated") not in (None, False),
            gguf="gguf" in (tag.lower() for tag in tags) or entry["id"].lower().endswith("gguf"),
        )


def _architecture_in(config: Mapping[str, Any]) -> str:
    """Return the class or kind of model that a configuration names."""
    return next(iter(texts(config.get("architectures"))), "") or text(config.get("model_type"))


def _named(entries: list[Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the entries with the name of a repository; others are of no use."""
    for entry in entries[:_MOST]:
        if REPOSITORY.fullmatch(text(entry.get("id"), 200)):
            yield entry
