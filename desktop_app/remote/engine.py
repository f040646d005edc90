"""A model on another computer, behind the interface of the engine's client: `submit` gives a job, text comes as it is written."""

from __future__ import annotations

import array
import itertools
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from desktop_app.engine.client import EngineFailed, Job, UpdateListener
from desktop_app.engine.protocol import Cancel, Complete, Embed, Generate, Progress, Request, Text
from desktop_app.engine.results import ModelInfo, Reply, Vectors
from desktop_app.remote.addresses import Remote, RemoteModel, key_for, listed_models
from desktop_app.remote.asked import chat_body, completion_body
from desktop_app.remote.connection import Patience
from desktop_app.remote.connection import Request as Asked
from desktop_app.remote.events import events, read_object
from desktop_app.remote.failures import unreadable
from desktop_app.remote.reply import ReplyBuilder
from models.errors import Cancelled
from models.sentence import Sentence

R = TypeVar("R")
_BYTES_A_TOKEN = 3
"""Of UTF-8: one Chinese character, or less than the four letters that a token has in English."""
_MOST_VECTORS = 1 << 24


class RemoteEngine:
    """One model of a server. Requests run beside each other, each on a thread of its own, as far as the server takes them."""

    def __init__(
        self, remote: Remote, model: RemoteModel, key: str | None = None, patience: Patience | None = None
    ) -> None:
        """Connect to nothing yet; key None: the one that is kept."""
        self._remote, self._model, self._key = remote, model, key
        self._patience = patience or Patience()
        self._numbers = itertools.count(1)
        self._running: dict[int, Asked] = {}

    @property
    def info(self) -> ModelInfo:
        """The facts of the model that need no request."""
        name, context = self._model.name, self._model.context
        return ModelInfo(Path(), name, "", 0, context, context, 0, "", chat=True, tools=True)

    def count_tokens(self, text: str) -> int:
        """Return about how many tokens a text has, rather too many: no protocol asks for that."""
        return estimated_tokens(text)

    def submit(self, request: Request[R], on_update: UpdateListener | None = None) -> Job[R]:
        """Send a request; returns at once."""
        job = Job[R](self, next(self._numbers), on_update)
        if isinstance(request, Cancel):
            asked = self._running.get(request.target)
            if asked is not None:
                asked.stop()
            job.future.set_result(None)  # type: ignore[arg-type]
            return job
        work = self._work_for(request)
        if work is None:
            job.future.set_exception(
                EngineFailed("{name} runs on another computer, which does not do this.", name=self._model.name)
            )
            return job
        asked = self._running[job.id] = self._asked()
        threading.Thread(target=self._run, args=(work, job, asked), name="remote", daemon=True).start()
        return job

    def close(self) -> None:
        """Stop what runs."""
        for asked in list(self._running.values()):
            asked.stop()

    def _asked(self) -> Asked:
        key = key_for(self._remote.address) if self._key is None else self._key
        return Asked(self._remote.address, key, self._patience)

    def _work_for(self, request: Any) -> Callable[[Asked, Job[Any]], Any] | None:
        name = self._model.name
        if isinstance(request, Generate):
            return lambda asked, job: self._reply(
                asked, job, "chat/completions", chat_body(request, name), request.begun
            )
        if isinstance(request, Complete):
            return lambda asked, job: self._reply(asked, job, "completions", completion_body(request, name), "")
        if isinstance(request, Embed):
            return lambda asked, job: self._vectors(asked, request)
        return None

    def _run(self, work: Callable[[Asked, Job[Any]], Any], job: Job[Any], asked: Asked) -> None:
        try:
            result = work(asked, job)
        except Exception as error:  # it belongs to whoever waits for the job
            self._running.pop(job.id, None)
            job.future.set_exception(job.failure or error)
        else:
            self._running.pop(job.id, None)
            if job.failure is not None:
                job.future.set_exception(job.failure)
            else:
                job.future.set_result(result)

    def _reply(self, asked: Asked, job: Job[Any], path: str, body: dict[str, Any], begun: str) -> Reply:
        builder = ReplyBuilder(self._remote.place)
        job.tell(Progress(0.0, "prompt"))
        try:
            with asked.ask(path, body, self._model.name) as (kind, pieces):
                if "event-stream" in kind:
                    for event in events(pieces, self._remote.place):
                        _pass_on(job, builder.feed(event))
                else:  # a server that does not stream
                    _pass_on(job, builder.feed(read_object(pieces, self._remote.place)))
            stopped = False
        except Cancelled:
            stopped = True
        rest, reply = builder.end(begun, cancelled=stopped)
        _pass_on(job, rest)
        return reply

    def _vectors(self, asked: Asked, request: Embed) -> Vectors:
        place = self._remote.place
        body = {"model": self._model.name, "input": list(request.texts)}
        with asked.ask("embeddings", body, self._model.name) as (_, pieces):
            answer = read_object(pieces, place)
        entries = answer.get("data")
        try:
            ordered = sorted(entries, key=lambda entry: entry["index"])  # type: ignore[arg-type]
            rows = [[float(value) for value in entry["embedding"]] for entry in ordered]
        except (TypeError, KeyError, ValueError):
            raise unreadable(place, Sentence("it holds no vectors")) from None
        if len(rows) != len(request.texts) or len({len(row) for row in rows}) != 1 or not rows[0]:
            raise unreadable(place, Sentence("it holds other vectors than were asked for"))
        if len(rows) * len(rows[0]) > _MOST_VECTORS:
            raise unreadable(place, Sentence("it is too long"))
        values = array.array("f", (value for row in rows for value in row))
        return Vectors(len(rows[0]), values.tobytes())


def list_models(address: str, key: str | None = None, patience: Patience | None = None) -> Remote:
    """Ask a server for its models.

    Args:
        address: as `read_address` returns it.
        key: None: the one that is kept.
        patience: None: as for a question of a moment.

    Raises:
        ZhiyinError: it cannot be reached, refuses, or is no server of OpenAI's protocol.
    """
    remote = Remote(address)
    asked = Asked(address, key_for(address) if key is None else key, patience or Patience(first=20, next=20))
    with asked.ask("models") as (_, pieces):
        answer = read_object(pieces, remote.place)
    if not isinstance(answer.get("data"), list):
        raise unreadable(remote.place, Sentence("it holds no list of models"))
    return Remote(address, listed_models(answer))


def estimated_tokens(text: str) -> int:
    """Return about how many tokens a text has, rather too many than too few."""
    return -(-len(text.encode("utf-8", "replace")) // _BYTES_A_TOKEN)


def _pass_on(job: Job[Any], text: str) -> None:
    if text:
        job.tell(Text(text))
