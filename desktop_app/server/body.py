"""Bodies of requests: bounded in bytes and time, JSON validated once against the structure of the endpoint."""

from __future__ import annotations

from typing import TypeVar

import anyio
from starlette.requests import ClientDisconnect, Request

from desktop_app.server.errors import APIError
from models import untrusted_json
from models.untrusted_json import WHOLE, InvalidJSON

T = TypeVar("T")

LARGEST_BODY = 16 * 1024 * 1024
"""Bytes: a prompt of four million tokens."""
_BODY_SECONDS = 30.0
"""Within which a body has to be here."""


async def read_json(request: Request, kind: type[T]) -> T:
    """Return a request's body as `kind`.

    Raises:
        APIError: it is too large or too slow, no JSON, or has other fields; the sentence names the field.
    """
    return decoded(await _read(request), kind)


def decoded(data: bytes, kind: type[T]) -> T:
    """Return the JSON of a body as `kind`; raises as `read_json`."""
    try:
        return untrusted_json.decode(data, kind)
    except InvalidJSON as error:
        raise _refusal(error) from None


async def _read(request: Request) -> bytes:
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length[:20]) > LARGEST_BODY:
        raise _too_large()
    parts, size = [], 0
    try:
        with anyio.fail_after(_BODY_SECONDS):
            async for part in request.stream():
                size += len(part)
                if size > LARGEST_BODY:
                    raise _too_large()
                parts.append(part)
    except TimeoutError:
        error = APIError(408, f"The request's body was not here within {_BODY_SECONDS:.0f} seconds; send it again.")
        error.headers = {"Connection": "close"}
        raise error from None
    except ClientDisconnect:
        raise APIError(400, "The client left before the request's body was here.") from None
    return b"".join(parts)


def _too_large() -> APIError:
    error = APIError(413, f"The request is larger than {LARGEST_BODY >> 20} MB; send less at once.")
    error.headers = {"Connection": "close"}
    return error


def _refusal(error: InvalidJSON) -> APIError:
    if error.unknown:
        message = f"Unknown parameter: '{error.unknown}'."
        return APIError(400, message, code="unknown_parameter", param=error.unknown)
    if not error.key:
        return APIError(400, f"The body of the request is no valid JSON: {error.reason}.", code="invalid_json")
    if not error.wanted:
        message = f"Missing required parameter: '{error.key}'."
        return APIError(400, message, code="missing_required_parameter", param=error.key)
    actual = f", not {error.actual}" if error.actual else ""
    if error.key == WHOLE:
        return APIError(400, f"The body of the request must be a JSON {error.wanted}{actual}.", code="invalid_value")
    message = f"Invalid value for '{error.key}': it must be {error.wanted}{actual}."
    return APIError(400, message, code="invalid_value", param=error.key)
