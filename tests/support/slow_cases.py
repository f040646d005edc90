"""Cases of a test of which few are tried by default."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any

import pytest


def most_slow(usual: Container[Any], cases: Iterable[Any]) -> list[Any]:
    """Return the cases, all but the usual ones as slow tests."""
    return [case if case in usual else pytest.param(case, marks=pytest.mark.slow) for case in cases]
