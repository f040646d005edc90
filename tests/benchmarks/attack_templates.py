"""Renders random hostile chat templates: each must end in a prompt or in one sentence, in bounded time and memory.

    python -m tests.benchmarks.attack_templates [COUNT] [SEED]

Prints each template that took longer than all before it, the most memory that the renderer held, and how many ended in which way.
"""

from __future__ import annotations

import random
import sys
import threading
import time
from collections import Counter

import psutil

from desktop_app.processes.renderer import Renderer
from models.errors import ZhiyinError

CHAT = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "知音"}]
WORDS = """0 1 -1 99999 10**9 2**63 n n*n messages|length 1e308 true 'x' 'a_b' '知' t t*9999 t*n messages|string bos_token
    '%9999999s' '{:>99999999}' '{0}{1}' messages|tojson ''"""
FILTERS = """upper title trim striptags urlize wordcount center(999999) indent(9999) indent(n) replace('a','b'*999)
    replace('','zz') list length sort unique|list reverse|list join('x') first last random batch(3)|list slice(n)|list
    batch(n)|list tojson tojson(indent=9) pprint escape safe forceescape filesizeformat float int int(base=36) abs round(9999)
    sum max map('upper')|list map(attribute='role')|list select|list groupby('role')|list dictsort items|list truncate(9)
    wordwrap(3) xmlattr format(n,n) string default('x') attr('__class__')"""
METHODS = """split() splitlines() encode() format(1,2) format(t) join(messages) zfill(9999999) ljust(9999999)
    expandtabs(99999) translate({97:'b'*9999}) partition('a') count('a') items() get('a') bit_length() to_bytes(99999,'big') hex()
    casefold() index('a') __class__ mro() __globals__ format_map({'a':1}) encode('utf-32').hex() encode('idna')
    append(1) update({'a':1})"""
OPERATORS = "+ - * // / % ** ~ == < in and or"


class Grammar:
    """Writes templates."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def template(self) -> str:
        statements = (self._statement(0) for _ in range(self._random.randint(1, 4)))
        return "{% set n = 99 %}{% set t = 'abc ' %}" + "".join(statements)

    def _expression(self, depth: int) -> str:
        draw = self._random.random()
        if depth > 4 or draw < 0.15:
            return self._word(WORDS)
        inner = self._expression(depth + 1)
        if draw < 0.4:
            return f"({inner} {self._word(OPERATORS)} {self._expression(depth + 1)})"
        if draw < 0.7:
            return f"({inner})|{self._word(FILTERS)}"
        if draw < 0.9:
            return f"({inner}).{self._word(METHODS)}"
        return self._random.choice(
            (f"range({inner})|list", f"strftime_now({inner})", f"dict(a={inner})", f"lipsum(n={inner})")
        )

    def _word(self, words: str) -> str:
        return self._random.choice(words.split())

    def _statement(self, depth: int) -> str:
        draw = self._random.random()
        if depth > 3 or draw < 0.4:
            return "{{ " + self._expression(0) + " }}"
        if draw < 0.6:
            return "{% set " + self._random.choice("nt") + " = " + self._expression(0) + " %}"
        inner = self._statement(depth + 1)
        return self._random.choice(
            (
                "{% for a in range(99999) %}" + inner + "{% endfor %}",
                "{% for a in " + self._expression(0) + " %}" + inner + "{% endfor %}",
                "{% if " + self._expression(0) + " %}" + inner + "{% endif %}",
                "{% macro m(x) %}" + inner + "{{ m(x) }}{% endmacro %}{{ m(1) }}",
                "{% filter indent(9) %}" + inner + "{% endfilter %}",
            )
        )


def watch_memory(peak: list[int]) -> None:
    while True:
        for child in psutil.Process().children():
            try:
                peak[0] = max(peak[0], child.memory_info().rss)
            except psutil.Error:
                continue
        time.sleep(0.01)


def main() -> int:
    """Attack and print."""
    count, seed = (int(sys.argv[at]) if len(sys.argv) > at else default for at, default in ((1, 2000), (2, 0)))
    grammar, ends, longest, peak = Grammar(seed), Counter[str](), 0.0, [0]
    threading.Thread(target=watch_memory, args=(peak,), daemon=True).start()
    with Renderer() as renderer:
        for _ in range(count):
            template, start = grammar.template(), time.perf_counter()
            try:
                renderer.render(template, CHAT, path="model.gguf", bos="<s>", eos="</s>")
                ends["prompt"] += 1
            except ZhiyinError as error:
                ends[error.template] += 1
            seconds = time.perf_counter() - start
            if seconds > longest:
                longest = seconds
                print(f"{seconds:.2f} s: {template[:300]!r}")
    for end, number in ends.most_common():
        print(f"{number:7} {end}")
    print(f"{longest:.2f} s and {peak[0] >> 20} MB at most")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
