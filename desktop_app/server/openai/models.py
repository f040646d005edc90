"""`/v1/models`: the models of this computer, in OpenAI's and in Anthropic's shape."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from desktop_app.library.installed_model import InstalledModel
from desktop_app.server.serving import json_response, services


async def list_models(request: Request) -> Response:
    """Answer `GET /v1/models`."""
    models = await services(request).pool.models()
    if "anthropic-version" in request.headers:
        data = [_anthropic(model) for model in models]
        ends = {"first_id": data[0]["id"], "last_id": data[-1]["id"]} if data else {"first_id": None, "last_id": None}
        return json_response({"data": data, "has_more": False, **ends})
    return json_response({"object": "list", "data": [_openai(model) for model in models]})


async def show_model(request: Request) -> Response:
    """Answer `GET /v1/models/NAME`."""
    model = await services(request).pool.find(request.path_params["name"])
    return json_response(_anthropic(model) if "anthropic-version" in request.headers else _openai(model))


def _openai(model: InstalledModel) -> dict[str, Any]:
    return {"id": model.label, "object": "model", "created": int(model.modified), "owned_by": "zhiyin"}


def _anthropic(model: InstalledModel) -> dict[str, Any]:
    created = datetime.fromtimestamp(model.modified, timezone.utc).isoformat().replace("+00:00", "Z")
    return {"type": "model", "id": model.label, "display_name": model.label, "created_at": created}
