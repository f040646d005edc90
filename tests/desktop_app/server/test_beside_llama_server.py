"""The same requests to our server and to llama-server: the same status and text, and every field that it sends, but those listed.

What ours has beyond that is OpenAI's and Anthropic's own (`refusal`, `sequence_number` ...), which their clients test.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.support.other_servers import CONTEXT, KEY, NAME, llama_server, running
from tests.support.serving import STARTER, served

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
ASK = [{"role": "user", "content": "What is the capital of France?"}]
GREEDY = {"messages": ASK, "temperature": 0, "max_tokens": 6}
SCHEMA = {"type": "object", "properties": {"city": {"enum": ["Paris"]}}, "required": ["city"]}
FORMAT = {"type": "json_schema", "json_schema": {"name": "city", "schema": SCHEMA}}
CHAT, PLAIN, RESPONSES, ANTHROPIC = "/v1/chat/completions", "/v1/completions", "/v1/responses", "/v1/messages"
REQUESTS: dict[str, tuple[str, Mapping[str, Any]]] = {
    "chat": (CHAT, GREEDY),
    "two replies": (CHAT, GREEDY | {"n": 2}),
    "probabilities": (CHAT, GREEDY | {"logprobs": True, "top_logprobs": 2}),
    "schema": (CHAT, GREEDY | {"max_tokens": 60, "response_format": FORMAT}),
    "no messages": (CHAT, {"temperature": 0}),
    "messages of another type": (CHAT, {"messages": "a text"}),
    "longer than the context": (CHAT, {"messages": [{"role": "user", "content": "word " * 3000}]}),
    "text": (PLAIN, {"prompt": "The capital of France is", "temperature": 0, "max_tokens": 6}),
    "text with probabilities": (PLAIN, {"prompt": "The capital is", "temperature": 0, "max_tokens": 3, "logprobs": 2}),
    "response": (RESPONSES, {"input": ASK[0]["content"], "temperature": 0, "max_output_tokens": 6}),
    "message": (ANTHROPIC, GREEDY),
    "counted": (f"{ANTHROPIC}/count_tokens", {"messages": ASK}),
}
ONLY_THEIRS = {
    ".timings": "llama.cpp's own measurements",
    ".system_fingerprint": "theirs names a build; of OpenAI's two kinds of answers ours has it in one, empty",
    "logprobs.content[].id": "a token's number beside its probability is no field of OpenAI's",
    "top_logprobs[].id": "the same",
    ".logprobs.content": "of the older completions OpenAI's probabilities are lists of tokens, which ours has",
    ".completed_at": "not in the description of responses that ours follows",
    "error.n_ctx": "ours says both numbers in the message",
    "error.n_prompt_tokens": "ours says both numbers in the message",
}
TEXT_OF = {
    CHAT: lambda answer: [choice["message"]["content"] for choice in answer["choices"]],
    PLAIN: lambda answer: [choice["text"] for choice in answer["choices"]],
    RESPONSES: lambda answer: answer["output"][0]["content"][0]["text"],
    ANTHROPIC: lambda answer: answer["content"][0]["text"],
}


@pytest.fixture(scope="module")
def addresses(starter_gguf: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Ours and theirs."""
    with (
        running(llama_server, starter_gguf, tmp_path_factory.mktemp("llama-server")) as theirs,
        served(tmp_path_factory.mktemp("served"), "--ctx", str(CONTEXT), "--parallel", "2") as ours,
    ):
        yield ours.address, theirs


@pytest.mark.parametrize("name", REQUESTS)
def test_answers_agree_field_by_field(name: str, addresses: tuple[str, str]) -> None:
    path, body = REQUESTS[name]
    asked = zip(addresses, (STARTER, NAME), strict=True)
    ours, theirs = (ask(address + path, {"model": model, **body}) for address, model in asked)
    assert ours.status_code == theirs.status_code
    missing = [field for field in only_second(ours.json(), theirs.json()) if not field.endswith(tuple(ONLY_THEIRS))]
    assert missing == []
    if (
        ours.status_code == 200 and path in TEXT_OF and name != "schema"
    ):  # blanks of a schema's answer are the grammar's
        assert TEXT_OF[path](ours.json()) == TEXT_OF[path](theirs.json())
    if name in ("chat", "text", "message", "counted"):
        assert tokens(ours.json()) == tokens(theirs.json())


@pytest.mark.parametrize(("path", "body"), [(CHAT, GREEDY), (PLAIN, {"prompt": "Paris is", "max_tokens": 6})])
def test_streams_agree(path: str, body: Mapping[str, Any], addresses: tuple[str, str]) -> None:
    asked = zip(addresses, (STARTER, NAME), strict=True)
    more = {"temperature": 0, "stream": True, "stream_options": {"include_usage": True}}
    ours, theirs = (events(ask(address + path, {"model": model, **body, **more}).text) for address, model in asked)
    assert said(ours) == said(theirs)
    assert ours[-1]["usage"]["completion_tokens"] == theirs[-1]["usage"]["completion_tokens"]


def events(stream: str) -> list[dict[str, Any]]:
    *sent, done = [line.removeprefix("data: ") for line in stream.splitlines() if line.startswith("data: ")]
    assert done == "[DONE]"
    return [json.loads(one) for one in sent]


def said(sent: list[dict[str, Any]]) -> str:
    """Return the text of a stream; in how many pieces it comes is a matter of time."""
    choices = [choice for one in sent for choice in one["choices"]]
    return "".join(choice.get("text") or choice.get("delta", {}).get("content") or "" for choice in choices)


def ask(address: str, body: Mapping[str, Any]) -> httpx2.Response:
    return httpx2.post(address, json=body, headers={"Authorization": f"Bearer {KEY}"}, timeout=120)


def only_second(first: Any, second: Any, path: str = "") -> Iterator[str]:
    """Yield the paths of fields that only the second value has, or that are of another type in it."""
    if isinstance(first, dict) and isinstance(second, dict):
        for name in second:
            yield from only_second(first[name], second[name], f"{path}.{name}") if name in first else [f"{path}.{name}"]
    elif isinstance(first, list) and isinstance(second, list):
        for one, other in zip(first, second, strict=True):
            yield from only_second(one, other, f"{path}[]")
    elif kind(first) != kind(second) and not path.endswith(("system_fingerprint", "error.code")):
        yield f"{path}: {first!r} and {second!r}"


def kind(value: Any) -> type:
    return float if isinstance(value, int) and not isinstance(value, bool) else type(value)


def tokens(answer: dict[str, Any]) -> int:
    """Return a prompt's tokens."""
    usage = answer.get("usage", answer)
    cached = usage.get("cache_read_input_tokens", 0)  # Anthropic's count leaves them out
    return int(usage.get("prompt_tokens", usage.get("input_tokens", 0)) + cached)
