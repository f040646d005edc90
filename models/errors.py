"""Failures that a user can act on, as data: a code, a template and its values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from models.sentence import Sentence


class ZhiyinError(Sentence, Exception):
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
            values: as in `Sentence`: texts, numbers, paths, or another error.
        """
        super().__init__(template, **values)
        self.code = code or self.default_code

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        ZhiyinError._classes[cls.__name__] = cls

    __eq__ = object.__eq__
    __hash__ = object.__hash__

    def __reduce__(self) -> tuple[Any, ...]:
        return error_from_data, (self.data(),)

    def data(self) -> dict[str, Any]:
        """Return plain values for another process or a file; `error_from_data` makes the error again."""
        return {"class": type(self).__name__, "code": self.code, **super().data()}


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


def refusal(reason: Sentence, code: str) -> ZhiyinError:
    """Return an error that says the same as a sentence."""
    return ZhiyinError(reason.template, code=code, **reason.values)


def error_from_data(data: Mapping[str, Any], cls: type[ZhiyinError] | None = None) -> ZhiyinError:
    """Make an error of what `ZhiyinError.data` returned, in another process too.

    Args:
        data: where its class is not loaded here, it becomes a plain `ZhiyinError` with the same code.
        cls: the class to make instead of its own.
    """
    cls = cls or ZhiyinError._classes.get(data["class"], ZhiyinError)
    error = cls.__new__(cls)
    ZhiyinError.__init__(error, data["template"], code=data["code"], **_values(data))
    return error


def sentence_from_data(data: Mapping[str, Any]) -> Sentence:
    """Make a sentence, or an error, of its data."""
    return error_from_data(data) if "class" in data else Sentence(data["template"], **_values(data))


def _values(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _value(value) for name, value in data["values"].items()}


def _value(value: Any) -> Any:
    if isinstance(value, Mapping):
        return sentence_from_data(value)
    return tuple(map(_value, value)) if isinstance(value, list) else value
