"""What Zhiyin says of itself: versions, licences, and nothing of the user's."""

from __future__ import annotations

import getpass
from email.message import Message
from importlib.metadata import Distribution, version
from pathlib import Path

import pytest

from desktop_app.about import components, licence_of, report


class Described(Distribution):
    """A distribution of nothing but metadata."""

    def __init__(self, *fields: tuple[str, str]) -> None:
        self._fields = fields

    def read_text(self, filename: str) -> str | None:
        message = Message()
        for name, value in self._fields:
            message[name] = value
        return str(message) if filename == "METADATA" else None

    def locate_file(self, path: object) -> Path:
        return Path(str(path))


@pytest.mark.parametrize(
    ("fields", "licence"),
    [
        ([("License-Expression", "MIT")], "MIT"),
        ([("License", "BSD")], "BSD"),
        ([("License", "x" * 500), ("Classifier", "License :: OSI Approved :: MIT License")], "MIT License"),
        ([], ""),
    ],
)
def test_the_licence_is_what_the_makers_name(fields: list[tuple[str, str]], licence: str) -> None:
    assert licence_of(Described(("Name", "a"), *fields)) == licence


def test_every_library_is_listed_once_with_its_version() -> None:
    found = components()
    assert len({one.name.lower() for one in found}) == len(found)
    assert next(one.version for one in found if one.name == "zhiyin") == version("zhiyin")


def test_fields_that_are_missing_are_no_error_with_importlib_metadata() -> None:
    """A library that imports the package of this name has its distributions answer, whose [] raises KeyError."""
    package = pytest.importorskip("importlib_metadata")
    found = list(package.distributions())
    assert found
    assert all(isinstance(licence_of(one), str) for one in found)


def test_the_report_says_versions_and_the_computer_and_no_name_or_path() -> None:
    text = report({"model": "Qwen3-8B"})
    assert {"python", "system", "processor", "memory", "model"} <= {
        line.partition(":")[0] for line in text.splitlines()
    }
    assert str(Path.home()) not in text
    assert getpass.getuser() == "root" or getpass.getuser() not in text
