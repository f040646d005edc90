"""The tokens that the user entered for hosts of models: each goes to the address for which it was entered, and to no other."""

from __future__ import annotations

from converter.hub.address import origin, usual_endpoint
from desktop_app.settings import Settings


def token_at(settings: Settings, endpoint: str) -> str:
    """Return the token that was entered for an address, "" being the usual one; "": there is none."""
    _take_over(settings)
    return settings.tokens.get(_where(endpoint), "")


def keep_token(settings: Settings, endpoint: str, token: str) -> None:
    """Keep a token for an address, "" being the usual one; "" forgets what it had."""
    _take_over(settings)
    settings.tokens.pop(where := _where(endpoint), None)
    if where and token:
        settings.tokens[where] = token


def _where(endpoint: str) -> str:
    return origin(endpoint or usual_endpoint())


def _take_over(settings: Settings) -> None:
    """Keep Zhiyin 0.1's token for the address that is set."""
    where, token, settings.token = _where(settings.endpoint), settings.token, ""
    if where and token:
        settings.tokens[where] = token
