"""A checkpoint's `config.json`, read with types: it is untrusted input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models.errors import BadFile

_LARGEST_INT = 2**31 - 1
_MISSING: Any = object()


class Config:
    """Typed look-ups in a configuration; each takes alternative key names, the first one present counts.

    Every look-up raises `BadFile` naming the file and the key when the value is missing (and no default is given) or has
    another type.
    """

    def __init__(self, data: Mapping[str, Any], origin: str = "config.json") -> None:
        """Wrap `data`; `origin` names the file in error messages."""
        self.data = data
        self.origin = origin

    def __contains__(self, key: str) -> bool:
        return self.data.get(key) is not None

    @property
    def classes(self) -> tuple[str, ...]:
        """The class names listed under `architectures`."""
        names = self.data.get("architectures")
        return tuple(n for n in names if isinstance(n, str)) if isinstance(names, list) else ()

    def int(self, *keys: str, default: int = _MISSING, minimum: int = 0) -> int:
        """Return an integer of at least `minimum`."""
        value = self._find(keys, default)
        if value is not default and (isinstance(value, bool) or not isinstance(value, int)):
            raise self._wrong(keys, value, "a whole number")
        if value is not default and not minimum <= value <= _LARGEST_INT:
            raise self._wrong(keys, value, f"a whole number from {minimum} to {_LARGEST_INT}")
        return value  # type: ignore[no-any-return]

    def float(self, *keys: str, default: float = _MISSING) -> float:
        """Return a number as a float."""
        value = self._find(keys, default)
        if value is default:
            return value  # type: ignore[no-any-return]
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise self._wrong(keys, value, "a number")
        return float(value)

    def bool(self, *keys: str, default: bool = _MISSING) -> bool:
        """Return a boolean."""
        value = self._find(keys, default)
        if value is not default and not isinstance(value, bool):
            raise self._wrong(keys, value, "true or false")
        return value  # type: ignore[no-any-return]

    def str(self, *keys: str, default: str = _MISSING) -> str:
        """Return a string."""
        value = self._find(keys, default)
        if value is not default and not isinstance(value, str):
            raise self._wrong(keys, value, "a text")
        return value  # type: ignore[no-any-return]

    def section(self, *keys: str) -> Config:
        """Return a nested object; an absent one is empty."""
        value = self._find(keys, {})
        if not isinstance(value, Mapping):
            raise self._wrong(keys, value, "an object")
        return Config(value, f"{self.origin}: {keys[0]}")

    def _find(self, keys: tuple[str, ...], default: Any) -> Any:
        for key in keys:
            if self.data.get(key) is not None:
                return self.data[key]
        if default is _MISSING:
            raise BadFile(f"{self.origin} has no {keys[0]!r}; download the checkpoint's configuration again.")
        return default

    def _wrong(self, keys: tuple[str, ...], value: Any, wanted: str) -> BadFile:
        shown = repr(value)[:40]
        return BadFile(f"{self.origin} says {keys[0]!r} is {shown}, but it must be {wanted}; download it again.")
