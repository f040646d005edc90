"""Regular expressions of JSON schemas (ECMA 262) as llama-cpp-python's converter takes them, within a text of JSON.

The converter writes a pattern out as a rule, character by character: a dot would take the quotation mark that ends the text, and
classes for digits and words are none to llama.cpp. What comes out matches no more than the pattern does.
"""

from __future__ import annotations

from collections.abc import Iterator

_ANYTHING = '"\\\\\\x00-\\x1F'
"""What no character of a text in JSON is by itself, as a class of llama.cpp's grammars has it."""
_CLASSES = {"d": "0-9", "w": "A-Za-z0-9_", "s": " "}
_QUANTIFIERS = "*+?}"


def plain_pattern(pattern: str) -> str:
    """Return a pattern from ^ to $ without what the converter lacks; raises ValueError with a reason."""
    starts, ends = pattern.startswith("^"), pattern.endswith("$") and not pattern.endswith("\\$")
    inner = pattern[1 if starts else 0 : len(pattern) - 1 if ends else len(pattern)]
    body = "".join(_parts(inner))
    if starts and ends:
        return f"^{body}$"
    if "|" in body and (starts or ends):
        raise ValueError("one of its alternatives begins or ends anywhere")
    anything = f"[^{_ANYTHING}]*"
    return f"^{'' if starts else anything}({body}){'' if ends else anything}$" if body else f"^{anything}$"


def _parts(text: str) -> Iterator[str]:
    """Yield a pattern's parts, translated."""
    place, last = 0, ""
    while place < len(text):
        char = text[place]
        if char == "\\":
            part, length = _escaped(text[place + 1 : place + 2]), 2
        elif char == ".":
            part, length = f"[^{_ANYTHING}]", 1
        elif char == "[":
            part, length = _class(text[place:])
        elif text.startswith("(?:", place):
            part, length = "(", 3
        elif text.startswith("(?", place):
            raise ValueError("it looks ahead or behind")
        elif char in "^$":
            raise ValueError("it begins or ends within")
        elif char == '"' or ord(char) < 0x20:
            raise ValueError("it has a character that JSON escapes")
        elif char in "?+" and last in _QUANTIFIERS:
            raise ValueError("a repeat takes as little as it can")
        else:
            part, length = char, 1
        yield part
        last = char if char in _QUANTIFIERS else " "
        place += length


def _escaped(char: str) -> str:
    """Return what a backslash and a character stand for outside of a class."""
    if char in _CLASSES:
        return f"[{_CLASSES[char]}]"
    if char == "\\" or not char or char.isalnum():
        raise ValueError(f"\\{char} is in it")
    return f"[{_as_number(char)}]"


def _class(text: str) -> tuple[str, int]:
    """Return a class of characters at the start of a text, translated, and its length."""
    negated = text.startswith("[^")
    place, parts = 2 if negated else 1, []
    while place < len(text) and text[place] != "]":
        char = text[place]
        if char == "\\":
            char = text[place + 1 : place + 2]
            if char in _CLASSES and not (negated and char == "s"):
                parts.append(_CLASSES[char])
            elif not char or char.isalnum() or char == "\\":
                raise ValueError(f"\\{char} is in it")
            else:
                parts.append(_as_number(char))
            place += 2
            continue
        parts.append(char if char == "-" and parts and text[place + 1 : place + 2] != "]" else _as_number(char))
        place += 1
    if place >= len(text) or not parts:
        raise ValueError("a class is not closed, or empty")
    if not negated and any(part in ("\\x22", "\\x5C") for part in parts):
        raise ValueError("it has a character that JSON escapes")
    return f"[{'^' + _ANYTHING if negated else ''}{''.join(parts)}]", place + 1


def _as_number(char: str) -> str:
    """Return a character of a class as llama.cpp reads it whatever it is."""
    if char.isalnum() and char.isascii():
        return char
    if ord(char) < 0x20:
        raise ValueError("it has a character that JSON escapes")
    return (
        f"\\x{ord(char):02X}"
        if ord(char) < 0x100
        else f"\\u{ord(char):04X}"
        if ord(char) < 0x10000
        else f"\\U{ord(char):08X}"
    )
