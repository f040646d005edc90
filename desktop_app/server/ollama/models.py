"""Ollama's `/api/tags`, `/api/show`, `/api/ps` and `/api/version`: what it tells of models."""

from __future__ import annotations

import asyncio
import hashlib
import math
from datetime import datetime, timezone
from importlib.metadata import version
from typing import Any

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from converter.gguf_header import GGUFHeader, read_gguf_header
from desktop_app.library.installed_model import InstalledModel
from desktop_app.server.body import read_json
from desktop_app.server.errors import APIError
from desktop_app.server.serving import json_response, services
from models.chat.template_facts import template_facts

_PLAIN = (str, int, float, bool)
_FOR_EVER = 9999
"""The year in which a model leaves that stays for ever."""


class ShowRequest(Struct):
    """The body of a request to describe a model."""

    model: str = ""
    name: str = ""
    verbose: bool | None = None


async def tags(request: Request) -> Response:
    """Answer `GET /api/tags`."""
    models = await services(request).pool.models()
    return json_response({"models": [_entry(model) for model in models]})


async def running(request: Request) -> Response:
    """Answer `GET /api/ps`."""
    rows = []
    for loaded in services(request).pool.loaded:
        best = loaded.planned.plan.best
        on_gpus = sum(share.total for share in best.shares[1:]) if best is not None else 0
        together = sum(share.total for share in best.shares) if best is not None else loaded.model.bytes
        sizes = {"size": together, "size_vram": on_gpus, "context_length": loaded.info.context}
        rows.append(_entry(loaded.model) | sizes | {"expires_at": _time(loaded.leaves)})
    return json_response({"models": rows})


async def show(request: Request) -> Response:
    """Answer `POST /api/show`."""
    asked = await read_json(request, ShowRequest)
    name = asked.model or asked.name
    if not name:
        raise APIError(400, "model is required")
    model = await services(request).pool.find(name)
    header = await asyncio.to_thread(read_gguf_header, model.path, arrays=False)
    template = header.text("tokenizer.chat_template") or ""
    facts = template_facts(template)
    capabilities = ["completion", *(["tools"] if facts.tools else []), *(["thinking"] if facts.reasoning else [])]
    if model.measures:
        capabilities = ["embedding"]
    return json_response(
        {
            "modelfile": f"FROM {model.label}\n",
            "parameters": "\n".join(f"{name} {value}" for name, value in model.sampling.items()),
            "template": template,
            "details": _details(model, header),
            "model_info": {key: value for key, value in header.metadata.items() if isinstance(value, _PLAIN)},
            "capabilities": capabilities,
            "modified_at": _time(model.modified),
        }
    )


async def server_version(request: Request) -> Response:
    """Answer `GET /api/version`."""
    return json_response({"version": version("zhiyin")})


async def alive(request: Request) -> Response:
    """Answer `GET /`, as Ollama does: programs look whether it runs by these words."""
    return PlainTextResponse(
        "Ollama is running" if "ollama" in request.headers.get("user-agent", "").lower() else "Zhiyin"
    )


def _entry(model: InstalledModel) -> dict[str, Any]:
    digest = model.sha256 or hashlib.sha256(f"{model.path}\0{model.bytes}\0{model.modified}".encode()).hexdigest()
    return {
        "name": model.label,
        "model": model.label,
        "modified_at": _time(model.modified),
        "size": model.bytes,
        "digest": digest,
        "details": _details(model, None),
    }


def _details(model: InstalledModel, header: GGUFHeader | None) -> dict[str, Any]:
    size = header.metadata.get("general.size_label", "") if header is not None else ""
    return {
        "parent_model": "",
        "format": "gguf",
        "family": model.architecture,
        "families": [model.architecture],
        "parameter_size": str(size),
        "quantization_level": model.file_type,
    }


def _time(seconds: float) -> str:
    moment = datetime(_FOR_EVER, 1, 1, tzinfo=timezone.utc)
    if seconds != math.inf:
        moment = datetime.fromtimestamp(seconds, timezone.utc)
    return moment.isoformat().replace("+00:00", "Z")
