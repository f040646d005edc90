"""Numbers between two bounds as rules of llama.cpp's grammars: digit by digit, without an exponent.

Source of the bounds: JSON Schema 2020-12, Validation, 6.2. llama-cpp-python's converter knows none.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

BOUNDS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_LARGEST = 10**16 - 1
"""The converter's numbers have so many digits."""
_MOST_DIGITS, _MOST_PLACES = 40, 6
"""Of a bound, before its point and behind it."""
_MORE = "[0-9]{0,9}"


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`; None: no bound."""

    low: Decimal | None = None
    high: Decimal | None = None
    open_low: bool = False
    """`low` itself is none of them."""
    open_high: bool = False

    @staticmethod
    def of(schema: Mapping[str, Any]) -> Range:
        """Return what a schema allows; raises ValueError: a bound is no number, or has too many digits."""
        bounds = {name: _bound(schema[name]) for name in BOUNDS if name in schema}
        low, above = bounds.get("minimum"), bounds.get("exclusiveMinimum")
        high, below = bounds.get("maximum"), bounds.get("exclusiveMaximum")
        open_low = above is not None and (low is None or above >= low)
        open_high = below is not None and (high is None or below <= high)
        return Range(above if open_low else low, below if open_high else high, open_low, open_high)

    @property
    def is_empty(self) -> bool:
        """Tell whether no number is in it."""
        if self.low is None or self.high is None:
            return False
        return self.low > self.high or (self.low == self.high and (self.open_low or self.open_high))

    def integers(self) -> tuple[int | None, int | None]:
        """Return the first and the last integer."""
        low, high = self.low, self.high
        first = None if low is None else math.floor(low) + 1 if self.open_low else math.ceil(low)
        last = None if high is None else math.ceil(high) - 1 if self.open_high else math.floor(high)
        return first, last

    def negated(self) -> Range:
        """Return the numbers with the other sign."""
        low, high = (None if bound is None else -bound for bound in (self.high, self.low))
        return Range(low, high, self.open_high, self.open_low)


def integer_rule(numbers: Range) -> str:
    """Return the alternatives of the integers in a range; "": there is none."""
    first, last = numbers.integers()
    return " | ".join([*_signed("", *_outside(first, last)), *_signed('"-" ', *_mirrored(first, last))])


def number_rule(numbers: Range) -> str:
    """Return the alternatives of the numbers in a range, those without a point too; "": there is none."""
    if numbers.is_empty:
        return ""
    places = max(
        (-int(bound.as_tuple().exponent) for bound in (numbers.low, numbers.high) if bound is not None), default=0
    )
    places = max(0, places)
    rules = list(_decimals("", numbers, places))
    rules += _decimals('"-" ', numbers.negated(), places)
    return " | ".join(dict.fromkeys(rules))


def _decimals(sign: str, numbers: Range, places: int) -> Iterator[str]:
    """Yield rules of the numbers of one sign, by how many digits they have behind the point."""
    for count in range(places + 1):
        scaled = _scaled(numbers, count)
        first, last = scaled.integers()
        first = max(0 if not sign else 1, first or 0)
        yield from (f"{sign}{rule}" for rule in _between(first, _top(last, count, first), count))
    scaled = _scaled(numbers, places)
    point = '"." ' if not places else ""
    first, last = scaled.integers()
    top = _top(None if scaled.high is None else math.ceil(scaled.high) - 1, places, first or 0)
    yield from (f"{sign}{rule} {point}[0-9] {_MORE}" for rule in _between(max(0, first or 0), top, places))
    if scaled.open_low and scaled.low is not None and scaled.low >= 0:
        low = int(scaled.low)
        yield from (f"{sign}{rule} {point}{_MORE} [1-9]" for rule in _between(low, low, places))
    if not scaled.open_high and scaled.high is not None and scaled.high >= 0:
        high = int(scaled.high)
        yield from (f"{sign}{rule} {point}[0] [0]{{0,9}}" for rule in _between(high, high, places))


def _scaled(numbers: Range, places: int) -> Range:
    low, high = (None if bound is None else bound.scaleb(places) for bound in (numbers.low, numbers.high))
    return Range(low, high, numbers.open_low, numbers.open_high)


def _top(last: int | None, places: int, first: int) -> int:
    return max(_LARGEST * 10**places, first * 10) if last is None else last


def _between(first: int, last: int, places: int) -> Iterator[str]:
    """Yield rules of the numbers from `first` to `last`, whose last digits stand behind a point."""
    for low, high in _of_one_length(first, last, places + 1):
        if not places:
            yield _digits(low, high)
            continue
        yield _pointed(low, high, len(low) - places)


def _pointed(low: str, high: str, at: int) -> str:
    """Return the rule of digits between two texts of one length, with a point before the one at `at`."""
    if not at:
        return f'"." {_digits(low, high)}'
    if low[0] == high[0]:
        return f'"{low[0]}" {_pointed(low[1:], high[1:], at - 1)}'
    parts = []
    first, last = int(low[0]), int(high[0])
    if low[1:].strip("0"):
        parts.append(f'"{first}" {_pointed(low[1:], "9" * len(low[1:]), at - 1)}')
        first += 1
    if high[1:].strip("9"):
        parts.append(f'"{last}" {_pointed("0" * len(high[1:]), high[1:], at - 1)}')
        last -= 1
    if first <= last:
        parts.append(f"[{first}-{last}] {_pointed('0' * len(low[1:]), '9' * len(low[1:]), at - 1)}")
    return f"({' | '.join(parts)})"


def _signed(sign: str, first: int, last: int) -> Iterator[str]:
    yield from (f"{sign}{_digits(low, high)}" for low, high in _of_one_length(first, last, 1))


def _outside(first: int | None, last: int | None) -> tuple[int, int]:
    """Return the bounds of the integers that are not negative."""
    low = max(0, first or 0)
    return low, max(_LARGEST, low * 10) if last is None else last


def _mirrored(first: int | None, last: int | None) -> tuple[int, int]:
    """Return the bounds of the negative integers, without their sign."""
    low = max(1, 1 if last is None else -last)
    return low, max(_LARGEST, low * 10) if first is None else -first


def _of_one_length(first: int, last: int, least: int) -> Iterator[tuple[str, str]]:
    """Yield bounds as digits, each two of one length, at least `least` digits long."""
    if first > last:
        return
    for length in range(max(least, len(str(first))), max(least, len(str(last))) + 1):
        low = max(first, 10 ** (length - 1) if length > least else 0)
        high = min(last, 10**length - 1)
        if low <= high:
            yield str(low).zfill(length), str(high).zfill(length)


def _digits(low: str, high: str) -> str:
    """Return the rule of the digits between two texts of one length."""
    if low == high:
        return f'"{low}"'
    if not low.strip("0") and not high.strip("9"):
        return f"[0-9]{{{len(low)}}}"
    if len(low) == 1:
        return f"[{low}-{high}]"
    if low[0] == high[0]:
        return f'"{low[0]}" {_digits(low[1:], high[1:])}'
    parts = []
    first, last, rest = int(low[0]), int(high[0]), len(low) - 1
    if low[1:].strip("0"):
        parts.append(f'"{first}" {_digits(low[1:], "9" * rest)}')
        first += 1
    if high[1:].strip("9"):
        parts.append(f'"{last}" {_digits("0" * rest, high[1:])}')
        last -= 1
    if first <= last:
        parts.append(f"[{first}-{last}] [0-9]{{{rest}}}")
    return f"({' | '.join(parts)})"


def _bound(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("is no number")
    bound = Decimal(str(value)).normalize() if value else Decimal(0)
    if abs(bound) >= 10**_MOST_DIGITS or int(bound.as_tuple().exponent) < -_MOST_PLACES:
        raise ValueError("has too many digits")
    return bound
