"""Failures that a person can act on."""

from __future__ import annotations


class ZhiyinError(Exception):
    """One clear sentence: what is wrong, in which file or setting, and the way out. Shown to people as it is."""


class BadFile(ZhiyinError):
    """A file is missing, truncated, damaged or not what its name says."""


class NoTokenizer(BadFile):
    """A folder holds no tokenizer."""


class UnsupportedModel(ZhiyinError):
    """A checkpoint was read well, but is of a kind that Zhiyin cannot convert or run."""


class Cancelled(ZhiyinError):
    """The person stopped the work; nothing is left behind."""
