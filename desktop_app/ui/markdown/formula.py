r"""Formulas as models write them, in LaTeX, to a line of text that can be read, selected, copied and spoken.

Letters and signs become Unicode, scripts are set lower and higher, and what LaTeX stacks comes in a line, as one would type it:
\frac{-b \pm \sqrt{b^2 - 4ac}}{2a} is (−b ± √(b² − 4ac))/(2a). A command that is not known stays as it was written. Spaces
follow TeX's classes of atoms (D. Knuth, The TeXbook, chapter 18).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby
from typing import Literal

from desktop_app.ui.markdown import formula_signs as signs
from desktop_app.ui.markdown.span import Span, Spans

Kind = Literal["ord", "op", "bin", "rel", "open", "close", "punct", "fraction", "space"]

_LONGEST = 4000
_DEEPEST = 40
_TOKEN = re.compile(r"\\[a-zA-Z]+\*?|\\.|[0-9]+(?:[.,][0-9]+)*|\s+|.", re.DOTALL)


@dataclass(frozen=True)
class _Atom:
    spans: Spans
    kind: Kind = "ord"

    @property
    def text(self) -> str:
        return "".join(span.text for span in self.spans)


class _TooDeepError(Exception):
    pass


@lru_cache(maxsize=512)
def formula(source: str) -> Spans:
    """Return a formula's text, given what stands between the marks around it; a line break begins another line."""
    if len(source) > _LONGEST:
        return (Span(source),)
    try:
        return tuple(_merged(_Reader(source).all())) or (Span(source),)
    except _TooDeepError:
        return (Span(source),)


class _Reader:
    """Reads LaTeX from left to right."""

    def __init__(self, source: str) -> None:
        self._tokens = _TOKEN.findall(source)
        self._place = 0
        self._depth = 0
        self._tight = False
        """In a script: without spaces around signs."""
        self._font = ""

    def all(self) -> list[Span]:
        lines = []
        while self._peek():
            lines.append(self._joined(self._atoms({"\\\\"})))
            self._next()
        return _between(lines, "\n")

    def _peek(self) -> str:
        """Return the next piece that is no space, "" at the end."""
        while self._place < len(self._tokens) and self._tokens[self._place].isspace():
            self._place += 1
        return self._tokens[self._place] if self._place < len(self._tokens) else ""

    def _next(self) -> str:
        piece = self._peek()
        self._place += 1
        return piece

    def _atoms(self, ends: AbstractSet[str]) -> list[_Atom]:
        """Read up to one of the tokens that end the part, which stays."""
        atoms: list[_Atom] = []
        while (piece := self._peek()) and piece not in ends:
            if piece in ("^", "_", "'"):
                base = atoms.pop() if atoms else _Atom(())
                atoms.append(self._with_scripts(base))
            elif (atom := self._atom()) is not None:
                atoms.append(atom)
        return atoms

    def _joined(self, atoms: Sequence[_Atom]) -> list[Span]:
        return _joined(atoms, tight=self._tight)

    def _with_scripts(self, base: _Atom) -> _Atom:
        lower: list[Span] = []
        upper: list[Span] = []
        while (piece := self._peek()) in ("^", "_", "'"):
            self._next()
            if piece == "'":
                base = replace(base, spans=(*base.spans, Span("′")))
            elif piece == "_":
                lower += self._script()
            else:
                upper += self._script()
        if base.kind == "fraction":
            base = _Atom((Span("("), *base.spans, Span(")")))
        if [span.text for span in upper] == ["∘"]:
            upper = [Span("°")]  # degrees: already a raised sign
            return replace(base, spans=(*base.spans, *_scripted(lower, "sub"), *upper))
        return replace(base, spans=(*base.spans, *_scripted(lower, "sub"), *_scripted(upper, "super")))

    def _script(self) -> list[Span]:
        tight, self._tight = self._tight, True
        spans = self._joined(self._argument())
        self._tight = tight
        return spans

    def _argument(self) -> list[_Atom]:
        """Read one piece or what stands in braces."""
        if self._peek() in ("", "}", "&", "\\\\", "\\end"):
            return []
        if self._peek() == "{":
            return self._group()
        if self._peek()[0].isdigit():  # \frac12 is a half
            piece = self._next()
            if len(piece) > 1:
                self._place -= 1
                self._tokens[self._place] = piece[1:]
            return [_Atom((Span(piece[0]),))]
        atom = self._atom()
        return [] if atom is None else [atom]

    def _group(self) -> list[_Atom]:
        self._next()
        with self._deeper():
            atoms = self._atoms({"}"})
        self._next()
        return atoms

    @contextmanager
    def _deeper(self) -> Iterator[None]:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise _TooDeepError
        yield
        self._depth -= 1

    def _atom(self) -> _Atom | None:
        with self._deeper():
            return self._read_atom()

    def _read_atom(self) -> _Atom | None:
        piece = self._peek()
        if piece == "{":
            atoms = self._group()
            is_one_atom = len(atoms) == 1 and atoms[0].kind not in ("bin", "rel", "punct")  # {,} is no comma of a list
            return atoms[0] if is_one_atom else _Atom(tuple(self._joined(atoms)))
        self._next()
        if piece in ("}", "&", "$"):
            return None
        if piece == "~":
            return _Atom((Span(signs.FIXED),), "space")
        return self._command(piece[1:]) if piece.startswith("\\") and len(piece) > 1 else self._sign(piece)

    def _sign(self, piece: str) -> _Atom:
        if piece in "+-*":
            return _Atom((Span({"-": "−", "*": "∗"}.get(piece, piece)),), "bin")
        if piece in "=<>:":
            return _Atom((Span(piece),), "rel")
        kind: Kind = "open" if piece in "([" else "close" if piece in ")]" else "punct" if piece in ",;" else "ord"
        return self._letter(piece) if kind == "ord" else _Atom((Span(piece),), kind)

    def _letter(self, text: str) -> _Atom:
        bold = self._font == "bold"
        slanted = not self._font and text.isalpha() and (text.isascii() or text in signs.LETTERS.values())
        return _Atom((Span(text, bold=bold, italic=slanted),))

    def _command(self, name: str) -> _Atom | None:
        """Read what belongs to a command."""
        for kind, table in _SIGNS.items():
            if name in table:
                return self._letter(table[name]) if kind == "ord" else _Atom((Span(table[name]),), kind)
        if name in signs.FUNCTIONS:
            return _Atom((Span(name),), "op")
        if name in _STRUCTURES:
            return _STRUCTURES[name](self, name)
        return _Atom((Span(f"\\{name} "),))

    def _ignored(self, name: str) -> None:
        if self._peek() == ".":
            self._next()  # an invisible bracket

    def _ignored_with_argument(self, name: str) -> None:
        self._argument()

    def _plain(self, name: str) -> _Atom:
        """Show what a command decorates."""
        return _Atom(tuple(self._joined(self._argument())))

    def _coloured(self, name: str) -> _Atom:
        self._argument()
        return self._plain(name)

    def _fraction(self, name: str) -> _Atom:
        return _fraction(self._argument(), self._argument())

    def _binomial(self, name: str) -> _Atom:
        above, below = self._joined(self._argument()), self._joined(self._argument())
        return _Atom((Span("C("), *above, Span(", "), *below, Span(")")))

    def _accented(self, name: str) -> _Atom:
        """Put an accent on each letter."""
        mark = signs.ACCENTS[name]
        spans = self._joined(self._argument())
        return _Atom(tuple(replace(span, text=re.sub(r"(\S)", rf"\1{mark}", span.text)) for span in spans))

    def _negated(self, name: str) -> _Atom:
        sign = "".join(atom.text for atom in self._argument())
        return _Atom((Span(signs.NOT.get(sign, f"{sign}\u0338")),), "rel")

    def _stacked(self, name: str) -> _Atom:
        script, base = self._script(), self._joined(self._argument())
        return _Atom((*base, *_scripted(script, "sub" if name == "underset" else "super")), "rel")

    def _modulo(self, name: str) -> _Atom:
        return _Atom((Span(f"{signs.FIXED}(mod "), *self._joined(self._argument()), Span(")")))

    def _root(self, name: str) -> _Atom:
        degree = ""
        if self._peek() == "[":
            self._next()
            degree = "".join(atom.text for atom in self._atoms({"]"}))
            self._next()
        inside = self._argument()
        spans = self._joined(inside)
        simple = len(inside) == 1 and inside[0].kind == "ord" and len(spans) <= 2
        sign = (Span(signs.ROOTS[degree]),) if degree in signs.ROOTS else (Span(degree, script="super"), Span("√"))
        return _Atom((*sign, *spans) if simple else (*sign, Span("("), *spans, Span(")")))

    def _words(self, name: str) -> _Atom:
        text = self._name()
        if name == "operatorname":
            return _Atom((Span(text),), "op")
        if name == "tag":
            text = f"{signs.WIDE}({text})"
        return _Atom((Span(text, bold=name == "textbf", italic=name == "textit"),))

    def _name(self) -> str:
        """Read the text in braces as it stands, spaces included."""
        if self._peek() != "{":
            return self._next()
        self._place += 1
        parts: list[str] = []
        open_braces = 1
        while self._place < len(self._tokens):
            piece = self._tokens[self._place]
            self._place += 1
            open_braces += {"{": 1, "}": -1}.get(piece, 0)
            if not open_braces:
                break
            if piece not in ("{", "}", "$"):
                parts.append(piece[1:] if piece.startswith("\\") and not piece[1:].isalpha() else piece)
        return "".join(parts)

    def _in_font(self, name: str) -> _Atom:
        before, self._font = self._font, signs.FONTS[name]
        atoms = self._argument()
        self._font = before
        kind: Kind = atoms[0].kind if len(atoms) == 1 else "ord"
        spans = self._joined(atoms)
        if signs.FONTS[name] == "drawn":
            drawn = signs.DRAWN[name]
            spans = [
                Span(drawn.get(letter, letter), bold=letter not in drawn) for span in spans for letter in span.text
            ]
        return _Atom(tuple(spans), kind)

    def _environment(self, name: str) -> _Atom:
        name = self._name()
        if name in ("array", "alignat", "alignat*"):
            self._argument()  # how the columns stand
        rows: list[list[list[Span]]] = [[]]
        while self._peek():
            rows[-1].append(self._joined(self._atoms({"&", "\\\\", "\\end"})))
            mark = self._next()
            if mark == "\\\\":
                if self._peek() == "[":  # an extra height
                    self._atoms({"]"})
                    self._next()
                rows.append([])
            elif mark == "\\end":
                self._name()
                break
        return _rows(name, [row for row in rows if any(row)])

    def _environment_ends(self, name: str) -> None:
        """Pass over an end that nothing began."""
        self._name()


_SIGNS: dict[Kind, dict[str, str]] = {
    "ord": signs.LETTERS | signs.ORDINARY,
    "bin": signs.BINARY,
    "rel": signs.RELATIONS,
    "op": signs.LARGE,
    "open": signs.OPENING,
    "close": signs.CLOSING,
    "space": signs.SPACES,
}
_STRUCTURES: dict[str, Callable[[_Reader, str], _Atom | None]] = {
    **dict.fromkeys(signs.IGNORED, _Reader._ignored),
    **dict.fromkeys(signs.IGNORED_WITH_ARGUMENT, _Reader._ignored_with_argument),
    **dict.fromkeys(signs.WORDS, _Reader._words),
    **dict.fromkeys(signs.FONTS, _Reader._in_font),
    **dict.fromkeys(signs.ACCENTS, _Reader._accented),
    **dict.fromkeys(("frac", "dfrac", "tfrac", "cfrac"), _Reader._fraction),
    **dict.fromkeys(("binom", "dbinom", "tbinom"), _Reader._binomial),
    **dict.fromkeys(("underbrace", "overbrace", "substack", "smash", "cancel"), _Reader._plain),
    **dict.fromkeys(("textcolor", "colorbox"), _Reader._coloured),
    **dict.fromkeys(("overset", "stackrel", "underset"), _Reader._stacked),
    **dict.fromkeys(("pmod", "pod"), _Reader._modulo),
    "sqrt": _Reader._root,
    "not": _Reader._negated,
    "begin": _Reader._environment,
    "end": _Reader._environment_ends,
}


def _joined(atoms: Sequence[_Atom], *, tight: bool) -> list[Span]:
    """Put atoms beside each other, with TeX's spaces; in a script there are fewer."""
    spans: list[Span] = []
    before: Kind | None = None
    for i, atom in enumerate(atoms):
        kind = atom.kind
        if kind == "bin" and (before in (None, "bin", "rel", "open", "punct", "op") or i + 1 == len(atoms)):
            kind = "open"  # a sign, of what follows
        parts = atom.spans
        if kind == "fraction" and len(atoms) > 1:
            after = atoms[i + 1].kind if i + 1 < len(atoms) else None
            if before in ("ord", "close", "fraction") or after in ("ord", "op", "open", "fraction"):
                parts = (Span("("), *parts, Span(")"))
        if spans and _is_apart(before, kind, tight=tight):
            spans.append(Span(" "))
        spans += parts
        before = kind
    return spans


def _is_apart(before: Kind | None, kind: Kind, *, tight: bool) -> bool:
    """Return whether a space comes between two atoms."""
    if "space" in (before, kind) or before is None:
        return False
    if (before == "op" and kind in ("ord", "op", "fraction")) or (
        kind == "op" and before in ("ord", "close", "fraction")
    ):
        return True
    if tight:
        return False
    if "rel" in (before, kind):
        return before != kind
    return "bin" in (before, kind) or before == "punct" or (before == "fraction" and kind not in ("close", "punct"))


_LOOSE = frozenset(("bin", "rel", "punct", "fraction", "op", "space"))
"""What would not hold together above a fraction's bar that is written in a line."""


def _fraction(above: Sequence[_Atom], below: Sequence[_Atom]) -> _Atom:
    over, under = _joined(above, tight=False), _joined(below, tight=False)
    if any(atom.kind in _LOOSE for atom in above):
        over = [Span("("), *over, Span(")")]
    differential = len(below) == 2 and below[0].text in ("d", "∂")
    if (len(below) > 1 and not differential) or any(atom.kind == "fraction" for atom in below):
        under = [Span("("), *under, Span(")")]
    return _Atom((*over, Span("/"), *under), "fraction")


def _scripted(spans: Sequence[Span], script: Literal["sub", "super"]) -> list[Span]:
    """Raise or lower a text; scripts in it become Unicode's small figures, or are written out."""
    result: list[Span] = []
    for inner, group in groupby(spans, key=lambda span: span.script):
        members = [replace(span, script=script) for span in group]
        text = "".join(span.text for span in members)
        small = text.translate(signs.SMALL[inner]) if inner else ""
        if not inner:
            result += members
        elif not set(small) & set(text):
            result.append(Span(small, script=script))
        else:
            mark = "_" if inner == "sub" else "^"
            opening, closing = (f"{mark}(", ")") if len(text) > 1 else (mark, "")
            result += [Span(opening, script=script), *members, Span(closing, script=script)]
    return result


def _rows(name: str, rows: Sequence[Sequence[list[Span]]]) -> _Atom:
    if name in signs.LINES:
        return _Atom(tuple(_between([_aligned(row) for row in rows], "\n")))
    cells = [_between(row, signs.FIXED * 2) for row in rows]
    opening, closing = signs.BRACKETS.get(name, ("", ""))
    return _Atom((Span(opening), *_between(cells, f";{signs.WIDE}"), Span(closing)))


def _aligned(row: Sequence[list[Span]]) -> list[Span]:
    """Put the columns of an aligned equation beside each other: most begin with its relation."""
    return _between([cell for cell in row if cell], " ")


def _between(parts: Iterable[Sequence[Span]], text: str) -> list[Span]:
    result: list[Span] = []
    for part in parts:
        if result:
            result.append(Span(text))
        result += part
    return result


def _merged(spans: Iterable[Span]) -> list[Span]:
    """Make one run of neighbours in the same style."""
    result: list[Span] = []
    for style, group in groupby(spans, key=lambda span: replace(span, text="")):
        text = "".join(span.text for span in group)
        if text:
            result.append(replace(style, text=text))
    return result
