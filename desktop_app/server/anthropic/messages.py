"""`/v1/messages` and its `count_tokens`: Anthropic's protocol. Source of names and shapes: Anthropic's API reference."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Annotated, Any

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from desktop_app.engine.protocol import Generate, Prompt
from desktop_app.server.anthropic.conversation import template_messages, template_tools
from desktop_app.server.anthropic.events import MessageEvents, content_blocks, stop_reason, usage
from desktop_app.server.asked import needs_message, sampling_settings, stop_texts, with_instructions
from desktop_app.server.body import read_json
from desktop_app.server.errors import APIError, as_api_error
from desktop_app.server.formats import Answer, answer_of, schema_of
from desktop_app.server.model_pool import LoadedModel
from desktop_app.server.replies import complete_reply, new_id, replying
from desktop_app.server.serving import Streaming, exchange, json_response, services, unless_gone

_UNKNOWN = "unknown_parameter"


class Thinking(Struct):
    """The switch of reasoning."""

    type: str = "enabled"
    budget_tokens: int | None = None
    display: Any = None


class Conversation(Struct, forbid_unknown_fields=True, kw_only=True):
    """The conversation of a request."""

    model: str
    messages: list[dict[str, Any]]
    system: str | list[dict[str, Any]] | None = None
    tools: list[dict[str, Any]] | None = None
    tool_choice: dict[str, Any] | None = None
    thinking: Thinking | None = None
    # What changes nothing here: where Anthropic's service would cache, route or run something by it.
    cache_control: Any = None
    context_management: Any = None
    diagnostics: Any = None
    mcp_servers: Any = None
    output_config: Any = None
    output_format: Any = None
    speed: Any = None
    user_profile_id: Any = None
    workspace_id: Any = None


class MessagesRequest(Conversation, forbid_unknown_fields=True, kw_only=True):
    """The body of a request."""

    max_tokens: Annotated[int, Meta(ge=1, le=1 << 31)]
    stream: bool | None = None
    temperature: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_k: Annotated[int, Meta(ge=0, le=1 << 31)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    stop_sequences: list[str] | None = None
    container: Any = None
    inference_geo: Any = None
    metadata: Any = None
    service_tier: Any = None


async def messages(request: Request) -> Response:
    """Answer `POST /v1/messages`."""
    asked = await _read(request, MessagesRequest)
    async with AsyncExitStack() as stack:
        loaded = await unless_gone(request, stack.enter_async_context(services(request).pool.use(asked.model)))
        noted = exchange(request)
        noted.model = loaded.model.label
        held = _held(asked)
        made = replying(loaded.engine, _generate(asked, held, loaded), is_call=held.is_call)
        stream = await unless_gone(request, stack.enter_async_context(made))
        if asked.stream:
            events = MessageEvents(loaded.model.label).of(stream, noted.add)
            return Streaming(events, stack.pop_all(), "text/event-stream")
        done = await unless_gone(request, complete_reply(stream))
        noted.add([done.reply])
        return json_response(
            {
                "id": f"msg_{new_id()}",
                "type": "message",
                "role": "assistant",
                "model": loaded.model.label,
                "content": content_blocks(done),
                "stop_reason": stop_reason(done.reply, called=bool(done.calls)),
                "stop_sequence": done.reply.stop or None,
                "usage": usage(done.reply),
            }
        )


async def count_tokens(request: Request) -> Response:
    """Answer `POST /v1/messages/count_tokens`."""
    asked = await _read(request, Conversation)
    async with services(request).pool.use(asked.model) as loaded:
        exchange(request).model = loaded.model.label
        asking = _generate(asked, _held(asked), loaded).prompt
        return json_response({"input_tokens": len(await _prompt_ids(loaded, asking))})


async def _prompt_ids(loaded: LoadedModel, prompt: Prompt) -> Sequence[int]:
    try:
        return (await asyncio.wrap_future(loaded.engine.submit(prompt).future)).ids
    except Exception as error:
        raise as_api_error(error) from error


async def _read(request: Request, kind: type[Any]) -> Any:
    """Return the body, with Anthropic's words for fields that it does not know."""
    try:
        asked = await read_json(request, kind)
    except APIError as error:
        if error.code == _UNKNOWN:
            raise APIError(400, f"{error.param}: Extra inputs are not permitted") from error
        raise
    needs_message(asked.messages)
    return asked


def _held(asked: Conversation) -> Answer:
    """Return what the answer has to be."""
    output = asked.output_config if isinstance(asked.output_config, Mapping) else {}
    schema = schema_of(output.get("format", asked.output_format), "output_config.format")
    choice: Any = asked.tool_choice
    if choice is not None:
        choice = {"auto": "auto", "any": "required", "none": "none"}.get(str(choice.get("type")), choice)
    return answer_of(template_tools(asked.tools or ()), choice, schema)


def _generate(asked: Conversation, held: Answer, loaded: LoadedModel) -> Generate:
    sampling: dict[str, Any] = {}
    if isinstance(asked, MessagesRequest):
        sampling = {
            "max_tokens": asked.max_tokens,
            "temperature": asked.temperature,
            "top_k": asked.top_k,
            "top_p": asked.top_p,
            "stop": stop_texts(asked.stop_sequences),
        }
    return Generate(
        with_instructions(loaded.model, template_messages(asked.messages, asked.system)),
        sampling_settings(loaded.model, **sampling),
        tools=held.tools,
        schema=held.schema,
        thinking=None if asked.thinking is None else asked.thinking.type != "disabled",
    )
