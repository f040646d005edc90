"""Sentences are data: literal templates with named values, and no module goes by their words.

Found by walking the code. That each has its translation is a test of `tests/desktop_app/ui/i18n`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

import pytest

from tests.support.sentences import modules, placeholders, sentence_calls

_RESERVED = {"template", "code", "self"}
_AT_HOME = ("models/sentence.py", "models/errors.py", "desktop_app/ui/i18n/")
"""Where sentences are filled in and translated."""
_OF_OTHERS = {
    "desktop_app/chat/history.py": "SQLite's errors, which have no codes in Python 3.10",
    "desktop_app/documents/store.py": "SQLite's errors, which have no codes in Python 3.10",
    "converter/hub/network_errors.py": "httpx's error about a proxy, which has no status",
    "models/untrusted_json.py": "msgspec's errors, which have words only",
}
_LOOKS_INTO = {
    *("startswith", "endswith", "find", "rfind", "index", "count", "split", "rsplit", "partition", "rpartition"),
    *("removeprefix", "removesuffix", "replace"),
}
_MATCHES = {"match", "fullmatch", "search", "findall", "finditer", "sub", "subn"}


def test_every_template_is_a_literal_and_has_all_its_values() -> None:
    wrong = [f"{where}: {fault}" for where, call in sentence_calls() if (fault := _fault(call))]
    assert wrong == [], "pass a literal template with {names}, and each name as a keyword; see CONTRIBUTING.md"
    assert len(list(sentence_calls())) > 300


def _fault(call: ast.Call) -> str:
    if not call.args or not isinstance(call.args[0], ast.Constant) or not isinstance(call.args[0].value, str):
        return "the template is not a literal"
    given = {keyword.arg for keyword in call.keywords}
    if None in given:
        return "values are passed as **, so that nobody sees which"
    template = call.args[0].value
    if not given - {"code"}:
        return "a placeholder without its value" if "{" in template.replace("{{", "") else ""
    names = {name for name, *_ in placeholders(template)}
    if not all(name.isidentifier() for name in names):
        return "a placeholder without a name"
    if names & _RESERVED:
        return f"{names & _RESERVED} are the error's own"
    return f"no value for {names - given}" if names - given else ""


def test_no_module_goes_by_the_words_of_a_sentence() -> None:
    found = [
        f"{path}:{line}"
        for path, tree in modules().items()
        if not path.startswith(_AT_HOME) and path not in _OF_OTHERS
        for line in sorted(set(_uses_of_words(tree)))
    ]
    assert found == [], "go by the error's class, its code or its values"


def test_what_was_left_out_above_is_still_there() -> None:
    assert all(list(_uses_of_words(modules()[path])) for path in _OF_OTHERS)


@pytest.mark.parametrize(
    "code",
    [
        "try:\n    f()\nexcept E as error:\n    if 'memory' in str(error): g()",
        "try:\n    f()\nexcept E as error:\n    text = str(error)\n    a = text == 'x'",
        "try:\n    f()\nexcept E as error:\n    re.search('[0-9]+', str(error))",
        "try:\n    f()\nexcept E as error:\n    PATTERN.fullmatch(f'{error}')",
        "def f(reason: Sentence):\n    return str(reason).startswith('Even')",
        "def f(error: Exception | None):\n    match str(error):\n        case 'x': pass",
        "def f(error: ZhiyinError):\n    return error.template == 'x'",
        "def f(job):\n    return str(job.error) == 'x'",
        "def f(e: ZhiyinError):\n    return e.args[0] in TABLE",
        "def f(e: ZhiyinError):\n    return TABLE[str(e)]",
    ],
)
def test_uses_of_words_are_found(code: str) -> None:
    assert list(_uses_of_words(ast.parse(code)))


def _uses_of_words(tree: ast.Module) -> Iterator[int]:
    scopes = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)]
    for scope in (tree, *scopes):
        errors = set(_names_of_errors(scope))
        texts = {
            target.id
            for node in ast.walk(scope)
            if isinstance(node, ast.Assign) and _is_text(node.value, errors, set())
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        for node in ast.walk(scope):
            if any(_is_text(part, errors, texts) for part in _looked_into(node)):
                yield node.lineno  # type: ignore[attr-defined]  # of a statement or an expression


def _looked_into(node: ast.AST) -> list[ast.expr]:
    """Return the expressions whose text decides what `node` does."""
    if isinstance(node, ast.Compare):
        return [node.left, *node.comparators]
    if isinstance(node, ast.Match):
        return [node.subject]
    if isinstance(node, ast.Subscript):
        return [node.slice]
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.func.attr in _LOOKS_INTO and (node.args or node.keywords):  # split() alone only makes blanks of lines
            return [node.func.value]
        if node.func.attr in _MATCHES or node.func.attr == "get":
            return list(node.args)
    return []


def _names_of_errors(scope: ast.AST) -> Iterator[str]:
    """Yield what holds an error or a sentence: by `except … as`, or by its annotation."""
    for node in ast.walk(scope):
        if isinstance(node, ast.ExceptHandler) and node.name:
            yield node.name
        elif isinstance(node, ast.arg) and node.annotation is not None:
            kind = ast.unparse(node.annotation)
            if any(word in kind for word in ("Error", "Exception", "Sentence")):
                yield node.arg


def _is_text(node: ast.expr, errors: set[str], texts: set[str]) -> bool:
    """Tell whether an expression is the words of an error or a sentence."""
    match node:
        case ast.Name(id=name):
            return name in texts
        case ast.Call(func=ast.Name(id="str"), args=[of]):
            return _is_error(of, errors)
        case ast.JoinedStr(values=parts):
            return any(isinstance(part, ast.FormattedValue) and _is_error(part.value, errors) for part in parts)
        case ast.Attribute(value=of, attr="template"):
            return _is_error(of, errors)
        case ast.Subscript(value=ast.Attribute(value=of, attr="args")):
            return _is_error(of, errors)
    return False


def _is_error(node: ast.expr, errors: set[str]) -> bool:
    match node:
        case ast.Name(id=name):
            return name in errors
        case ast.Attribute(attr=name):
            return name in ("error", "failure", "reason", "refusal", "trial")
    return False
