"""Other hosts of a model, for when the one that was asked cannot be reached."""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from converter.hub.address import HUB, MODELSCOPE, is_modelscope, origin, usual_endpoint
from desktop_app.library.catalogue import catalogue
from desktop_app.library.install import InstallRequest
from models.errors import ZhiyinError

MIRROR = "https://hf-mirror.com"
_HELPED = frozenset(("bad-answer", "busy", "name-resolution", "no-route", "refused", "stalled", "tls", "unreachable"))
"""Codes of failures that another host may not have."""


@dataclass(frozen=True)
class OtherHost:
    """A host to try, and what to ask it for."""

    host: str
    """Its name, as people know it."""
    request: InstallRequest


def other_hosts(request: InstallRequest, endpoint: str, error: Exception | None) -> list[OtherHost]:
    """Return the hosts that may have a repository too; []: another host would not help.

    Args:
        request: what could not be fetched.
        endpoint: the address in the settings, which counts where the request names none.
        error: why not.
    """
    if not isinstance(request.source, str) or not isinstance(error, ZhiyinError) or error.code not in _HELPED:
        return []
    asked = origin(request.endpoint or endpoint or usual_endpoint())
    others = (MIRROR, MODELSCOPE, HUB)
    return [OtherHost(urlsplit(other).netloc, _at(request, other)) for other in others if origin(other) != asked]


def _at(request: InstallRequest, endpoint: str) -> InstallRequest:
    """Name a repository as another host does, as far as the catalogue knows; branches have other names there."""
    source = str(request.source)
    to_modelscope = is_modelscope(urlsplit(endpoint).hostname)
    for model in catalogue().named(source):
        name = model.modelscope_source if to_modelscope else model.source
        if name and source in (model.source, model.modelscope_source):
            return replace(request, source=name, endpoint=endpoint, revision="")
    return replace(request, endpoint=endpoint, revision="")
