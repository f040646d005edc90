"""An engine whose replies are held, by grammars, to what a test wants to be said: any model then says it, token by token."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, cast

from msgspec.structs import replace as with_fields

from desktop_app.engine.client import Engine, Job
from desktop_app.engine.protocol import Generate, Request, Tokenize


class ScriptedEngine:
    """The real engine; each `Generate` says the next text of a script."""

    def __init__(self, engine: Engine, script: Iterable[str], marks: Iterable[str] = ()) -> None:
        """Take what is to be said; `marks`: texts in it that stand for one token each."""
        self.engine = engine
        self.script = list(script)
        self.requests: list[Generate] = []
        self._marks = {mark: engine.submit(Tokenize(mark, add_special=False)).result(60).ids for mark in marks}

    def submit(self, request: Request[Any], on_update: Callable[[Any], None] | None = None) -> Job[Any]:
        if isinstance(request, Generate):
            self.requests.append(request)
            said = self.script.pop(0)
            request = with_fields(
                request, sampling=replace(request.sampling, grammar=self._grammar(said), max_tokens=400)
            )
        return self.engine.submit(request, on_update)

    def count_tokens(self, text: str) -> int:
        return self.engine.count_tokens(text)

    def as_engine(self) -> Engine:
        return cast(Engine, self)

    def _grammar(self, text: str) -> str:
        """Return the grammar of one text, whose marks are tokens."""
        parts = [text]
        for mark in self._marks:
            parts = [piece for part in parts for piece in _split(part, mark)]
        written = (
            f"<[{self._marks[part][0]}]>" if part in self._marks else json.dumps(part, ensure_ascii=False)
            for part in parts
        )
        return f"root ::= {' '.join(written)}"


def _split(text: str, mark: str) -> list[str]:
    """Return a text's parts, with the marks between them."""
    pieces = [piece for part in text.split(mark) for piece in (part, mark)][:-1]
    return [piece for piece in pieces if piece]
