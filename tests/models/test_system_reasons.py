"""The system's words for a failure are sentences of their own, so that every language can have them."""

from __future__ import annotations

import errno
import os
import socket
import ssl

import pytest

from models.errors import BadFile
from models.sentence import Sentence
from models.system_errors import as_zhiyin_error
from models.system_reasons import system_reason


@pytest.mark.parametrize("number", [errno.ENOENT, errno.EACCES, errno.EIO, errno.EISDIR, errno.ECONNREFUSED])
def test_the_systems_own_errors(number: int) -> None:
    assert system_reason(OSError(number, os.strerror(number), "a")) == Sentence(os.strerror(number))


@pytest.mark.parametrize(
    "error",
    [
        socket.gaierror(2, "Name or service not known"),
        ssl.SSLError(1, "certificate verify failed"),
        OSError(errno.ENOENT, "its own words"),
        OSError(9999, "Unknown error 9999"),
    ],
)
def test_other_numbers_and_words_stay(error: OSError) -> None:
    assert system_reason(error) == error.strerror
    assert system_reason(ValueError("no number")) == "no number"


def test_a_reason_goes_through_a_pipe_and_in_english_reads_as_before() -> None:
    error = as_zhiyin_error(PermissionError(errno.EPERM, os.strerror(errno.EPERM), "/a/b"))
    assert str(error) == "/a/b cannot be read or written: Operation not permitted."
    assert isinstance(error, BadFile)
    assert error.data()["values"]["reason"]["template"] == "Operation not permitted"
