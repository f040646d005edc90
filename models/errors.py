"""Failures that a user can act on, as data: a code, a template and its values."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, ClassVar

from models.visible import visible


class ZhiyinError(Exception):
    """One clear sentence: what is wrong, in which file or setting, and what to do.

    The sentence is written in English where it is raised, as a template with named values; `str()` fills it in. Other languages
    translate the template. Whoever reacts to a failure goes by `code`, never by the sentence.
    """

    default_code: ClassVar[str] = "failed"
    _classes: ClassVar[dict[str, type[ZhiyinError]]] = {}

    def __init__(self, template: str, *, code: str = "", **values: Any) -> None:
        """Make an error.

        Args:
            template: an English sentence with `{name}` for each value; it is taken as it is where there are no values.
            code: what remedies are chosen by; the class's own if not given.
            values: texts, numbers, paths, or another error (whose sentence becomes a part of this one).
        """
        super().__init__(template)
        self.template = template
        self.code = code or self.default_code
        self.values = {name: _plain(value) for name, value in values.items()}

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        ZhiyinError._classes[cls.__name__] = cls

    def __str__(self) -> str:
        return self.template.format(**self.values) if self.values else self.template

    def __reduce__(self) -> tuple[Any, ...]:
        return from_data, (self.data(),)

    def data(self) -> dict[str, Any]:
        """Return plain values for another process; `from_data` makes the error again."""
        return {
            "class": type(self).__name__,
            "code": self.code,
            "template": self.template,
            "values": {
                name: value.data() if isinstance(value, ZhiyinError) else value for name, value in self.values.items()
            },
        }


class BadFile(ZhiyinError):
    """A file is missing, truncated, damaged or not what its name says."""

    default_code = "bad-file"


class NoTokenizer(BadFile):
    """A folder holds no tokenizer."""

    default_code = "no-tokenizer"


class UnsupportedModel(ZhiyinError):
    """A checkpoint was read well, but is of a kind that Zhiyin cannot convert or run."""

    default_code = "unsupported-model"


class Cancelled(ZhiyinError):
    """The user stopped the work; nothing is left behind."""

    default_code = "cancelled"


def from_data(data: Mapping[str, Any]) -> ZhiyinError:
    """Make an error of what `ZhiyinError.data` returned, in another process too.

    A class that is not loaded here becomes a plain `ZhiyinError` with the same code.
    """
    error = ZhiyinError.__new__(ZhiyinError._classes.get(data["class"], ZhiyinError))
    values = {name: from_data(value) if isinstance(value, Mapping) else value for name, value in data["values"].items()}
    ZhiyinError.__init__(error, data["template"], code=data["code"], **values)
    return error


def _plain(value: Any) -> Any:
    """Return a value that is the same in another process."""
    if isinstance(value, os.PathLike):
        return visible(os.fspath(value))
    return value if isinstance(value, str | int | float | ZhiyinError) else str(value)
