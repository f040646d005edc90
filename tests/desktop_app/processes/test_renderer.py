"""Hostile chat templates: each ends in one sentence, in little time and memory, and reaches nothing."""

from __future__ import annotations

import gc
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from desktop_app.processes.renderer import Renderer
from models.chat.template_facts import LARGEST_TEMPLATE, TemplateLimit
from models.errors import ZhiyinError

CHAT = [{"role": "user", "content": "Hello"}]
FILE = Path("some") / "model.gguf"
PLAIN = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"

SLOW = {
    "power": "{% set n = 10 %}{{ (n ** (n ** 8)) % 7 }}",
    "power-of-constants": "{{ (10 ** (10 ** 9)) % 7 }}",
    "loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% set c = b %}{% endfor %}{% endfor %}",
    "division": "{% set n = 7 ** 9999999 %}{{ n // 3 ** 4999999 }}",
    "product": "{% set b = 7 %}{% set n = b ** 999999 %}{% for a in range(99999) %}{% set c = n * n * n %}{% endfor %}",
    "lipsum": "{% set x = lipsum(n=99999) %}{% set y = lipsum(n=9999999) %}",
    "in": "{% set t = 'a' * 9999999 %}{% for a in range(99999) %}{{ '' if 'ab' * 99999 in t }}{% endfor %}",
    "replace": "{% set t = 'a' * 99999 %}{% for a in range(99999) %}{{ '' if t|replace('aa', 'a') == 'b' }}{% endfor %}",
    "sort": "{% set l = range(99999)|list %}{% for a in range(9999) %}{{ '' if l|sort(reverse=true) == 1 }}{% endfor %}",
    "urlize": "{% set t = 'http://a.' * 99999 %}{% for a in range(9999) %}{{ '' if t|urlize == 'b' }}{% endfor %}",
    "wordwrap": "{% set t = 'a ' * 999999 %}{% for a in range(9999) %}{{ '' if t|wordwrap(3) == 'b' }}{% endfor %}",
    "macro": "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
}
LARGE = {
    "multiplication": "{% set t = 'x' * 3000000000 %}",
    "doubling": "{% set n = namespace(t='x') %}{% for a in range(40) %}{% set n.t = n.t + n.t %}{% endfor %}",
    "list": "{% set l = [0] * 999999999 %}",
    "lists": "{% set n = namespace(l=[1]) %}{% for a in range(40) %}{% set n.l = n.l + n.l %}{% endfor %}",
    "center": "{{ 'x'|center(9999999999) }}",
    "format": "{{ '%9999999999d' % 1 }}",
    "str.format": "{{ '{:>9999999999}'.format(1) }}",
    "ljust": "{{ 'x'.ljust(9999999999) }}",
    "replace-nothing": "{{ ('a' * 99999).replace('', 'b' * 99999) }}",
    "join": "{{ (['a' * 99999] * 99999)|join('b') }}",
    "indent": "{{ messages|tojson(indent=9999999999) }}",
    "expandtabs": "{{ ('\\t' * 99999).expandtabs(99999) }}",
    "translate": "{% set t = ('a' * 99999).translate({97: 'b' * 99999}) %}",
    "shift": "{% set n = 2 ** 9999999999 %}",
}
LONG = {
    "output": "{% for a in range(99999) %}{{ 'x' * 9999 }}{% endfor %}",
    "one-piece": "{{ 'x' * 20000000 }}",
    "tags": "{% for a in range(99999) %}{% for b in range(999) %}xxxxxxxxxxxxxxxxxxxxxxxxxxxx{% endfor %}{% endfor %}",
}
FAILING = {
    "recursion": "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
    "large-range": "{% for a in range(10 ** 12) %}{% endfor %}",
    "include": "{% include '/etc/passwd' %}",
    "import": "{% import 'os' as os %}",
    "syntax": "{% for %}",
    "unknown-filter": "{{ 1|nothing }}",
    "not-a-text": "{{ strftime_now(7) }}",
    "zero": "{{ 1 / 0 }}",
    "nested-loops": "{% for a in [1] %}" * 30 + "{% endfor %}" * 30,
    "brackets": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "brackets-of-lists": "{{ " + "[" * 200000 + "]" * 200000 + " }}",
    "ifs": "{% if 1 %}" * 2000 + "{% endif %}" * 2000,
    "sums": "{{ " + "+".join(["a"] * 100000) + " }}",
    "nots": "{{ " + "not " * 100000 + "a }}",
    "filters": "{{ 1" + "|abs" * 50000 + " }}",
}
REACHING = {
    "class": "{{ ''.__class__.__mro__ }}",
    "globals": "{{ raise_exception.__globals__ }}",
    "attr": "{{ ''|attr('__class__') }}",
    "format": "{{ '{0.__class__.__init__.__globals__}'.format(raise_exception) }}",
    "format-map": "{{ '{a.__class__}'.format_map({'a': 1}) }}",
    "format-by-attr": "{{ ('{0.__class__}'|attr('format'))(1) }}",
    "map": "{{ ['']|map(attribute='__class__')|list }}",
    "self": "{{ self._TemplateReference__context.environment }}",
    "self-dict": "{{ self.__dict__ }}",
    "cycler": "{{ cycler.__init__.__globals__.os }}",
    "lipsum": "{{ lipsum.__globals__ }}",
    "namespace": "{{ namespace.__init__.__globals__ }}",
    "generator": "{{ (messages|map('upper')).gi_frame }}",
    "change": "{{ messages.append(1) }}",
    "pop": "{{ messages[0].update({'a': 1}) }}",
}


OTHERS: set[psutil.Process] = set()
"""Processes that tests of other files left to this one."""


@pytest.fixture(scope="module")
def renderer() -> Iterator[Renderer]:
    OTHERS.update(psutil.Process().children(recursive=True))
    with Renderer() as one:
        yield one


def own_children() -> set[psutil.Process]:
    return set(psutil.Process().children(recursive=True)) - OTHERS


def refusal(renderer: Renderer, template: str) -> ZhiyinError:
    """Return what a template is refused with; everything else works afterwards, and no process is left over."""
    with pytest.raises(ZhiyinError) as caught:
        renderer.render(template, CHAT, path=FILE)
    sentence = str(caught.value)
    assert str(FILE) in sentence
    assert "\n" not in sentence
    assert len(sentence) < 600
    assert renderer.render(PLAIN, CHAT, path=FILE) == "user: Hello\n"
    assert len(own_children()) <= 1
    return caught.value


@pytest.mark.parametrize(
    "name", ["power", "loops", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW), *LARGE]
)
def test_templates_that_take_too_much_are_ended(name: str, renderer: Renderer) -> None:
    error = refusal(renderer, (SLOW | LARGE)[name])
    assert error.code == "template-limit"
    assert re.search("ran longer than 5 seconds|needs more than 512 MB of memory", str(error))


@pytest.mark.parametrize("name", ["multiplication", "doubling", "format", "ljust"])
def test_one_operation_gets_little_memory(name: str, renderer: Renderer) -> None:
    assert "needs more than 512 MB of memory" in str(refusal(renderer, LARGE[name]))


@pytest.mark.parametrize("name", LONG)
def test_long_prompts_are_refused(name: str, renderer: Renderer) -> None:
    error = refusal(renderer, LONG[name])
    assert "renders more than 16 MB" in str(error)
    assert error.code == "template-limit"


@pytest.mark.parametrize("name", FAILING)
def test_a_template_that_fails_is_one_sentence(name: str, renderer: Renderer) -> None:
    refusal(renderer, FAILING[name])


@pytest.mark.parametrize("name", REACHING)
def test_no_template_reaches_an_object_of_python(name: str, renderer: Renderer) -> None:
    try:
        found = renderer.render(REACHING[name], CHAT, path=FILE)
    except ZhiyinError as error:
        assert error.code != "template-limit"
    else:
        assert found in ("", "[Undefined]")


def test_a_large_template_is_not_even_sent(renderer: Renderer) -> None:
    with pytest.raises(TemplateLimit, match="larger than 1 MB"):
        renderer.render(" " * (LARGEST_TEMPLATE + 1), CHAT, path=FILE)


@pytest.mark.parametrize(
    "text", ["{{ raise_exception('a\\n\\x1b[2Jb\\u202e') }}", "{{ raise_exception('x' * 9999999) }}"]
)
def test_a_refusal_is_one_line_whatever_the_template_says(text: str, renderer: Renderer) -> None:
    sentence = str(refusal(renderer, text))
    assert sentence.isprintable()
    assert "refuses this chat" in sentence


@pytest.mark.parametrize("text", ["知音 \ud800 \udfff", "a\u2028\u0085\0b\\n", "x" * 3_000_000, "\U0001f600" * 500_000])
def test_every_text_goes_through_unchanged(text: str, renderer: Renderer) -> None:
    assert renderer.render("{{ messages[0].content }}", [{"content": text}], path=FILE) == text


def test_a_renderer_that_was_killed_comes_back(renderer: Renderer) -> None:
    renderer.render(PLAIN, CHAT, path=FILE)
    (process,) = own_children()
    process.kill()
    psutil.wait_procs([process], 60)
    assert renderer.render(PLAIN, CHAT, path=FILE) == "user: Hello\n"


@pytest.mark.skipif(sys.platform == "win32", reason="counts descriptors as POSIX does")
def test_renderers_leave_nothing_open() -> None:
    this = psutil.Process()
    gc.collect()  # what other tests left
    before = this.num_fds(), len(this.children())
    for _ in range(3):
        with Renderer() as one:
            one.render(PLAIN, CHAT, path=FILE)
    files, children = this.num_fds(), len(this.children())
    assert files <= before[0]  # another test's files may be closed meanwhile
    assert children == before[1]
