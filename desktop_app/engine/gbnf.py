"""llama-cpp-python's converter of JSON schemas, with objects and constants written anew.

Where more properties may follow, it writes them without a comma, and lets them have the names of those that are described; a
quotation mark or a backslash in a name or a constant makes a grammar that is none.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from llama_cpp.llama_grammar import PRIMITIVE_RULES, SchemaConverter

_COMMA = '"," space'


def converted(schema: str) -> str:
    """Return the grammar of a schema that `schemas` made plain, given as JSON; raises whatever the converter does."""
    converter = _Converter(prop_order={}, allow_fetch=False, dotall=False, raw_pattern=False)
    converter.visit(converter.resolve_refs(json.loads(schema), "schema"), "")
    return str(converter.format_grammar())


class _Converter(SchemaConverter):  # type: ignore[misc]
    def visit(self, schema: Any, name: str) -> Any:
        """Return the name of a schema's rule; a number with bounds has its rule already."""
        if isinstance(schema, Mapping) and "rule" in schema and schema.get("type") in ("integer", "number"):
            return self._add_rule(name or "number", f"({schema['rule']}) space")
        return super().visit(schema, name)

    def _build_object_rule(
        self, properties: Sequence[tuple[str, Any]], required: set[str], name: str, additional_properties: Any
    ) -> str:
        """Return an object's rule: what is required, then what may be there, each in the schema's order, then the rest."""
        before = f"{name}-" if name else ""
        rules = {
            key: self._add_rule(
                f"{before}{key}-kv",
                f'{self._generate_constant_rule(key)} space ":" space {self.visit(part, before + key)}',
            )
            for key, part in properties
        }
        rest = ""
        if isinstance(additional_properties, Mapping):
            value = self.visit(additional_properties, f"{before}additional-value")
            rest = self._add_rule(f"{before}additional-kv", f'{self._other_names(rules)} ":" space {value}')
        first = f" {_COMMA} ".join(rules[key] for key in rules if key in required)
        optional = [rule for key, rule in rules.items() if key not in required]
        following = self._add_rule(f"{before}additional", f"({_COMMA} {rest})*") if rest else ""
        begun = [f"{rest} {following}"] if rest else []
        for number, rule in reversed([*enumerate(optional)]):
            begun.append(f"{rule} {following}")
            following = self._add_rule(f"{before}rest-{number}", f"({_COMMA} {rule})? {following}")
        inside = f"{first} {following}" if first else f"({' | '.join(reversed(begun))})?" if begun else ""
        return f'"{{" space {inside} "}}" space'

    def _generate_constant_rule(self, value: Any) -> str:
        """Return a literal, which stands for the value's text as models write it."""
        text = json.dumps(value, ensure_ascii=False).replace("\\", "\\\\").replace('"', '\\"')
        return f'"{text}"'

    def _other_names(self, names: Mapping[str, Any]) -> str:
        """Return a rule for the names of properties besides these; some that begin like one of them are left out, too."""
        char = self._add_primitive("char", PRIMITIVE_RULES["char"])
        tree: dict[str, Any] = {}
        for name in names:
            branch = tree
            for letter in json.dumps(name, ensure_ascii=False)[1:-1]:
                branch = branch.setdefault(letter, {})
        return (
            f'"\\"" ({" | ".join(_besides(tree, char))}) "\\"" space'
            if tree
            else self._add_primitive("string", PRIMITIVE_RULES["string"])
        )


def _besides(tree: Mapping[str, Any], char: str) -> Iterator[str]:
    """Yield what texts can be that are none in a tree of letters."""
    for letter, branch in tree.items():
        # After a backslash anything would do, so that no other name begins with one.
        if letter != "\\":
            yield (
                f"[{_code(letter)}] ({' | '.join(_besides(branch, char))})" if branch else f"[{_code(letter)}] {char}+"
            )
    yield f'[^"\\\\\\x00-\\x1F{"".join(map(_code, tree))}] {char}*'


def _code(letter: str) -> str:
    return f"\\U{ord(letter):08X}"
