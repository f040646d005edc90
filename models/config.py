"""A checkpoint's `config.json`, read with types: it is untrusted input."""

from __future__ import annotations

import builtins
import reprlib
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from models.errors import BadFile
from models.sentence import Sentence
from models.sentence_modules import Modules
from models.untrusted_json import MOST_TOKENS

T = TypeVar("T")

_LARGEST_INT = 2**31 - 1
_ROWS = ("vocab_size", "padded_vocab_size")
"""Keys that say how many rows the embeddings have."""
_LARGEST = {
    **dict.fromkeys(("num_hidden_layers", "num_layers"), 1000),
    **dict.fromkeys(("num_experts", "num_local_experts", "n_routed_experts"), 1024),
    **dict.fromkeys(_ROWS, MOST_TOKENS),
}
"""What is planned one by one before the tensors are looked for: an absurd number would take all memory."""
_LARGEST_FLOAT = 3.4e38
_MISSING: Any = object()


class Config:
    """Typed look-ups in a configuration; each takes alternative key names, the first one present counts.

    Every look-up raises `BadFile` naming the file and the key when the value is missing (and no default is given) or
    has another type.
    """

    def __init__(
        self,
        data: Mapping[builtins.str, Any],
        origin: builtins.str = "config.json",
        generation: Mapping[builtins.str, Any] | None = None,
        folder: builtins.str = "",
        code: builtins.str = "",
        modules: Modules | None = None,
    ) -> None:
        """Wrap a configuration.

        Args:
            data: what the file holds.
            origin: names the file in error messages.
            generation: what generation_config.json beside it holds.
            folder: the name of the folder that both lie in.
            code: the publisher's modeling_*.py there, as text: never run.
            modules: what makes an embedding model of it; None: no such model, or nothing but its configuration is there.
        """
        self.data = data
        self.origin = origin
        self.generation = generation or {}
        self.folder = folder
        self.code = code
        self.modules = modules

    def __contains__(self, key: builtins.str) -> builtins.bool:
        return self.data.get(key) is not None

    @property
    def classes(self) -> tuple[builtins.str, ...]:
        """The class names listed under `architectures`, or the one that stands there by itself.

        Raises:
            BadFile: something else stands there.
        """
        names = self.data.get("architectures")
        return (names,) if isinstance(names, str) else tuple(self.entries("architectures", str) or ())

    def changed(self, **values: Any) -> Config:
        """Return a copy with some values replaced."""
        return self.replaced({**self.data, **values})

    def replaced(self, data: Mapping[builtins.str, Any]) -> Config:
        """Return a copy that holds other values only."""
        return Config(data, self.origin, self.generation, self.folder, self.code, self.modules)

    def with_vocabulary(self, rows: builtins.int) -> Config:
        """Return a copy for embeddings of so many rows, in the part for text, too."""
        data, part = _with_rows(self.data, rows), self.data.get("text_config")
        return self.replaced(data | ({"text_config": _with_rows(part, rows)} if isinstance(part, Mapping) else {}))

    def also_named(self, *names: builtins.str) -> Config:
        """Return a copy that goes by further names, too: those of adapters that were merged into the model."""
        return Config(self.data, self.origin, self.generation, " ".join([self.folder, *names]), self.code, self.modules)

    @property
    def names(self) -> tuple[builtins.str, ...]:
        """The model's names in lower case: by its folder, and by its configuration."""
        origin = self.data.get("_name_or_path")
        names = [self.folder, origin if isinstance(origin, builtins.str) else ""]
        return tuple(name.rstrip("/").replace("\\", "/").rpartition("/")[2].lower() for name in names if name)

    def int(self, *keys: builtins.str, default: builtins.int = _MISSING, minimum: builtins.int = 0) -> builtins.int:
        """Return a whole number of at least `minimum`; some configurations write 4096.0."""
        value = self._find(keys, default is _MISSING)
        if value is None:
            return default
        most = min(_LARGEST.get(key, _LARGEST_INT) for key in keys)
        number = _whole(value)
        if number is None or not minimum <= number <= most:
            raise self._wrong(
                keys, value, Sentence("a whole number from {minimum} to {maximum}", minimum=minimum, maximum=most)
            )
        return number

    def float(
        self,
        *keys: builtins.str,
        default: builtins.float = _MISSING,
        minimum: builtins.float = -_LARGEST_FLOAT,
        maximum: builtins.float = _LARGEST_FLOAT,
    ) -> builtins.float:
        """Return a number as a float from `minimum` to `maximum`; without them any that a file can store in 32 bits."""
        value = self._find(keys, default is _MISSING)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not minimum <= value <= maximum:
            raise self._wrong(
                keys, value, Sentence("a number from {minimum:g} to {maximum:g}", minimum=minimum, maximum=maximum)
            )
        return float(value)

    def bool(self, *keys: builtins.str, default: builtins.bool = _MISSING) -> builtins.bool:
        """Return a boolean."""
        value = self._find(keys, default is _MISSING)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise self._wrong(keys, value, Sentence("true or false"))
        return bool(value)

    def str(self, *keys: builtins.str, default: builtins.str = _MISSING) -> builtins.str:
        """Return a text."""
        value = self._find(keys, default is _MISSING)
        if value is None:
            return default
        if not isinstance(value, str):
            raise self._wrong(keys, value, Sentence("a text"))
        return str(value)

    def entries(self, key: builtins.str, kind: type[T]) -> list[T] | None:
        """Return a list of values of one kind, or None for an absent one."""
        value = self._find((key,), required=False)
        try:
            return msgspec.convert(value, list[kind] | None)  # type: ignore[valid-type]
        except msgspec.ValidationError:
            raise self._wrong(
                (key,), value, Sentence("a list, each entry of type {type}", type=kind.__name__)
            ) from None

    def ids(self, key: builtins.str) -> tuple[builtins.int, ...]:
        """Return a token's id or several; none for an absent key. They may lie outside the vocabulary: -1 stands for no token."""
        value = self._find((key,), required=False)
        listed = [] if value is None else value if isinstance(value, list) else [value]
        numbers = [_whole(item) for item in listed]
        if None in numbers:
            raise self._wrong((key,), value, Sentence("a token's id, or a list of such"))
        return tuple(number for number in numbers if number is not None)

    def section(self, *keys: builtins.str) -> Config:
        """Return a nested object; an absent one is empty."""
        value = self._find(keys, required=False)
        value = {} if value is None else value
        if not isinstance(value, Mapping):
            raise self._wrong(keys, value, Sentence("an object"))
        return Config(value, f"{self.origin}: {keys[0]}")

    def _find(self, keys: tuple[builtins.str, ...], required: builtins.bool) -> Any:
        for key in keys:
            if self.data.get(key) is not None:
                return self.data[key]
        if required:
            raise BadFile(
                "{path} has no {key!r}; download the checkpoint's configuration again.", path=self.origin, key=keys[0]
            )
        return None

    def _wrong(self, keys: tuple[builtins.str, ...], value: Any, wanted: Sentence) -> BadFile:
        shown = reprlib.repr(value)[:40]
        return BadFile(
            "{path} says {key!r} is {value}, but it must be {wanted}; download it again.",
            path=self.origin,
            key=keys[0],
            value=shown,
            wanted=wanted,
        )


def _with_rows(data: Mapping[str, Any], rows: int) -> dict[str, Any]:
    return {key: rows if key in _ROWS and value is not None else value for key, value in data.items()}


def _whole(value: Any) -> int | None:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
