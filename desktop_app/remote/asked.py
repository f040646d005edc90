"""Our requests in OpenAI's words. What nobody chose is left out: the server decides it, and strict ones refuse nothing."""

from __future__ import annotations

from typing import Any

from desktop_app.engine.protocol import Complete, Generate, SamplingSettings

_NAMES = {
    "temperature": "temperature",
    "top_k": "top_k",
    "top_p": "top_p",
    "min_p": "min_p",
    "repeat_penalty": "repeat_penalty",
    "presence_penalty": "presence_penalty",
    "frequency_penalty": "frequency_penalty",
    "seed": "seed",
    "max_tokens": "max_tokens",
    "grammar": "grammar",
}
"""Of our sampling, in OpenAI's words, and in llama-server's where OpenAI has none."""


def chat_body(request: Generate, model: str) -> dict[str, Any]:
    """Return the body of `/chat/completions`."""
    begun = [{"role": "assistant", "content": request.begun}] if request.begun else []
    body: dict[str, Any] = {"messages": [*request.messages, *begun], **_shared(request.sampling, model)}
    if request.tools:
        body["tools"] = list(request.tools)
    if request.schema is not None:
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": {"name": "answer", "strict": True, "schema": request.schema},
        }
    if request.thinking is not None:
        body["chat_template_kwargs"] = {"enable_thinking": request.thinking}
    if request.effort:
        body["reasoning_effort"] = request.effort
    return body


def completion_body(request: Complete, model: str) -> dict[str, Any]:
    """Return the body of `/completions`."""
    return {"prompt": request.text, **_shared(request.sampling, model)}


def _shared(sampling: SamplingSettings, model: str) -> dict[str, Any]:
    usual = SamplingSettings()
    chosen = {
        theirs: getattr(sampling, ours)
        for ours, theirs in _NAMES.items()
        if getattr(sampling, ours) != getattr(usual, ours)
    }
    if sampling.stop:
        chosen["stop"] = list(sampling.stop)
    if sampling.logit_bias:
        chosen["logit_bias"] = {str(token): bias for token, bias in sampling.logit_bias}
    return {"model": model, "stream": True, "stream_options": {"include_usage": True}, **chosen}
