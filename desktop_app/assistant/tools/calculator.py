"""The calculator: exact fractions for the four operations and whole powers, floating point for functions. No code is run."""

from __future__ import annotations

import ast
import math
import operator
import threading
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from desktop_app.assistant.tool import Output, Tool, ToolFailed, ToolResult, schema, text_argument

_LONGEST = 1000
_MOST_BITS = 14_000
"""Python writes no longer numbers."""
_DIGITS = 30
Number = Fraction | float

_BINARY: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_CONSTANTS = {"pi": math.pi, "e": math.e, "tau": math.tau}
_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    **{
        name: getattr(math, name)
        for name in ("sin", "cos", "tan", "asin", "acos", "atan", "atan2", "sinh", "cosh", "tanh")
    },
    **{name: getattr(math, name) for name in ("exp", "log", "log2", "log10", "degrees", "radians", "hypot", "sqrt")},
    "abs": abs,
    "ceil": math.ceil,
    "floor": math.floor,
    "max": max,
    "min": min,
    "round": lambda value, digits=0: _rounded(value, digits),
    "gcd": lambda *values: math.gcd(*map(_whole, values)),
    "lcm": lambda *values: math.lcm(*map(_whole, values)),
    "factorial": lambda value: math.factorial(_bounded(_whole(value), 1000)),
    "comb": lambda n, k: math.comb(_bounded(_whole(n), 2000), _whole(k)),
}


def calculator() -> Tool:
    """Return the tool."""
    return Tool(
        "calculator",
        "Calculates an expression exactly: + - * / // % ** ( ), and functions such as sqrt, sin, log, factorial, round, max.",
        schema(("expression",), expression={"type": "string", "description": "for example (3 + 4) * 2 ** 10 / 7"}),
        _run,
    )


def _run(arguments: Mapping[str, Any], stop: threading.Event, output: Output) -> ToolResult:
    return ToolResult(calculated(text_argument(arguments, "expression")))


def calculated(expression: str) -> str:
    """Return the value of an expression as people write it; raises `ToolFailed`."""
    text = (
        expression.replace("×", "*").replace("÷", "/").replace("−", "-").replace("^", "**").replace("π", "pi").strip()
    )
    if len(text) > _LONGEST:
        raise ToolFailed("The expression is longer than {count} characters; calculate it in parts.", count=_LONGEST)
    try:
        return _written(_value(ast.parse(text, mode="eval").body))
    except ZeroDivisionError:
        raise ToolFailed("The expression divides by zero.") from None
    except (ArithmeticError, MemoryError, RecursionError):
        raise ToolFailed("The result is too large.") from None
    except (SyntaxError, TypeError, ValueError) as error:
        raise ToolFailed(
            "{expression} cannot be calculated ({reason}).", expression=text[:200], reason=str(error)
        ) from None


def _value(node: ast.expr) -> Number:
    """Return the value of a part of an expression."""
    if isinstance(node, ast.Constant) and type(node.value) in (int, float):
        return Fraction(str(node.value))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.UAdd | ast.USub):
        value = _value(node.operand)
        return -value if isinstance(node.op, ast.USub) else value
    if isinstance(node, ast.BinOp):
        left, right = _value(node.left), _value(node.right)
        if isinstance(node.op, ast.Pow):
            return _power(left, right)
        if type(node.op) in _BINARY:
            return _kept(_BINARY[type(node.op)](left, right))
    if isinstance(node, ast.Name) and node.id in _CONSTANTS:
        return _CONSTANTS[node.id]
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in _FUNCTIONS
        and not node.keywords
    ):
        return _kept(_FUNCTIONS[node.func.id](*map(_value, node.args)))
    raise ValueError(f"{ast.unparse(node)[:50]} is not known")


def _power(base: Number, exponent: Number) -> Number:
    """Return a power: exact where the exponent is whole and the result small enough."""
    if isinstance(base, Fraction) and isinstance(exponent, Fraction) and exponent.denominator == 1:
        bits = max(base.numerator.bit_length(), base.denominator.bit_length()) * abs(exponent.numerator)
        if bits > _MOST_BITS:
            raise OverflowError
        return Fraction(base**exponent.numerator)
    result: Any = float(base) ** float(exponent)
    if isinstance(result, complex):
        raise ValueError("the result is not a real number")  # noqa: TRY004 - no matter of types
    return float(result)


def _kept(value: Any) -> Number:
    """Return an int or a fraction as a fraction that is not too large, a float as it is."""
    if isinstance(value, float):
        return value
    fraction = Fraction(value)
    if max(fraction.numerator.bit_length(), fraction.denominator.bit_length()) > _MOST_BITS:
        raise OverflowError
    return fraction


def _whole(value: Number) -> int:
    if value != int(value):
        raise ValueError(f"{_written(value)} is not whole")
    return int(value)


def _bounded(value: int, most: int) -> int:
    if value > most:
        raise OverflowError
    return value


def _rounded(value: Any, digits: Number) -> Any:
    places = _whole(digits)
    _bounded(abs(places), 1000)
    return round(value, places)


def _written(value: Number) -> str:
    """Return a number as people write it; a fraction that does not end also as a fraction."""
    if isinstance(value, float):
        return f"{value:.15g}"
    if value.denominator == 1:
        return str(value.numerator)
    integer, rest = divmod(abs(value.numerator), value.denominator)
    digits = ""
    while rest and len(digits) < _DIGITS:
        digit, rest = divmod(rest * 10, value.denominator)
        digits += str(digit)
    sign = "-" if value < 0 else ""
    return (
        f"{sign}{integer}.{digits}"
        if not rest
        else f"{sign}{integer}.{digits[:15]}… ({value.numerator}/{value.denominator})"
    )
