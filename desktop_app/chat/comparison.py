"""Questions to two models: both at once where the plans fit into memory together, else one after the other.

A model on another computer takes no memory here, so it always answers beside the other one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal, TypeVar

from msgspec.structs import asdict

from desktop_app.chat.attachment import Attachment, Draft
from desktop_app.chat.choices import Choices
from desktop_app.chat.conversation import Conversation, Message, title_from
from desktop_app.chat.failure import failure_facts
from desktop_app.chat.reasoning import ReasoningClock
from desktop_app.chat.request import options_from, reply_request
from desktop_app.engine.client import Answers, Engine
from desktop_app.engine.protocol import Load, LoadSettings, Text, Update
from desktop_app.library.installed_model import InstalledModel
from desktop_app.planning.configuration import RunConfiguration
from desktop_app.planning.load_plan import LoadPlanner, PlannedLoad
from desktop_app.remote.addresses import Remote, RemoteModel
from desktop_app.remote.engine import RemoteEngine
from desktop_app.settings import Settings
from models.errors import ZhiyinError

AnswerState = Literal["waiting", "loading", "writing", "done", "stopped", "failed"]
E = TypeVar("E", Engine, RemoteEngine)
_OVER = ("done", "stopped", "failed")


@dataclass(frozen=True)
class Answer:
    """How far one of the models is."""

    model: InstalledModel
    state: AnswerState = "waiting"
    text: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """As `Message.facts`."""
    error: ZhiyinError | None = None
    """Why it failed."""

    @property
    def is_over(self) -> bool:
        """Nothing more comes."""
        return self.state in _OVER


@dataclass(frozen=True)
class Turn:
    """One question and what the models said."""

    question: Draft
    answers: tuple[Answer, ...]


Listener = Callable[[int, Answer], None]
"""Hears of the answer with a number, on whichever thread works on it."""


class Comparison:
    """Asks once. The engines are its own and end with the answers."""

    def __init__(
        self,
        models: Sequence[InstalledModel],
        paths: Sequence[Sequence[Message]],
        settings: Settings,
        listener: Listener,
    ) -> None:
        """Nothing is done yet.

        Args:
            models: who answers.
            paths: what each of them has heard and said, the question at last (`path_of`).
            settings: what is set for a model alone comes before them.
            listener: hears of every step.
        """
        self._paths, self._settings = paths, settings
        self._listener = listener
        self._answers = [Answer(model) for model in models]
        self._engines: set[Engine | RemoteEngine] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def run(self) -> None:
        """Ask, and return when all answers are over."""
        far = [number for number, answer in enumerate(self._answers) if answer.model.remote]
        works: list[Callable[[], None]] = [partial(self._answer_from_afar, number) for number in far]
        if len(far) < len(self._answers):
            works.append(self._answer_here)
        threads = [threading.Thread(target=work, name="comparison") for work in works]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _answer_here(self) -> None:
        """Let the models of this computer answer."""
        numbers = [number for number, answer in enumerate(self._answers) if not answer.model.remote]
        plans = dict(zip(numbers, self._planned(numbers), strict=True))
        best = [
            planned.plan.best for planned in plans.values() if planned is not None and planned.plan.best is not None
        ]
        if len(best) < len(plans) or not fit_together(best):
            for number, planned in plans.items():
                self._answer(number, planned)
            return
        threads = [
            threading.Thread(target=self._answer, args=(number, _with_a_part(planned, len(plans))), name="comparison")
            for number, planned in plans.items()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def stop(self) -> None:
        """End the engines; what was written stays. It may wait for a moment."""
        with self._lock:
            self._stopped = True
            engines = tuple(self._engines)
        for engine in engines:
            engine.close()

    def _planned(self, numbers: Sequence[int]) -> list[PlannedLoad | None]:
        """Return how each model would be loaded alone; None: its file is damaged, which the load says."""
        engine = self._engine()
        if engine is None:
            return [None for _ in numbers]
        try:
            planner = LoadPlanner(engine)
            return [self._plan(planner, self._answers[number].model) for number in numbers]
        finally:
            self._end(engine)

    def _plan(self, planner: LoadPlanner, model: InstalledModel) -> PlannedLoad | None:
        try:
            context = model.own.over(self._settings).context or None
            return planner.plan(model.path, LoadSettings(threads=model.own.threads), context=context)
        except ZhiyinError:
            return None

    def _answer(self, number: int, planned: PlannedLoad | None) -> None:
        def work(engine: Engine) -> None:
            if planned is not None and planned.plan.best is None:
                raise planned.plan.refusal
            self._tell(number, state="loading")
            settings = LoadSettings() if planned is None else planned.settings
            info = engine.submit(Load(self._answers[number].model.path, settings)).result()
            self._ask(number, engine, info.context)

        self._work(number, self._engine(), work)

    def _answer_from_afar(self, number: int) -> None:
        model = self._answers[number].model

        def work(engine: RemoteEngine) -> None:
            self._ask(number, engine, model.context)

        self._work(number, self._kept(lambda: remote_engine(model)), work)

    def _work(self, number: int, engine: E | None, work: Callable[[E], None]) -> None:
        """Let an engine answer, and end it; None: it was stopped before."""
        if engine is None:
            self._tell(number, state="stopped")
            return
        try:
            work(engine)
        except ZhiyinError as error:
            if self._stopped:
                self._tell(number, state="stopped")
            else:
                self._tell(number, state="failed", facts=failure_facts(error), error=error)
        finally:
            self._end(engine)

    def _ask(self, number: int, engine: Answers, context: int) -> None:
        clock, pieces = ReasoningClock(), list[str]()

        def heard(update: Update) -> None:
            if isinstance(update, Text):
                pieces.append(update.text)
                clock.hear(update.text, time.monotonic())
                self._tell(number, text="".join(pieces), facts=clock.facts)

        self._tell(number, state="writing")
        model = self._answers[number].model
        request = reply_request(self._paths[number], options_from(model.own.over(self._settings)), model.sampling)
        reply = engine.submit(request, heard).result()
        facts = {name: value for name, value in asdict(reply).items() if name != "text"}
        state = "stopped" if reply.reason == "cancelled" else "done"
        self._tell(number, state=state, text=reply.text, facts=facts | clock.facts | {"context": context})

    def _tell(self, number: int, **changes: Any) -> None:
        answer = self._answers[number] = replace(self._answers[number], **changes)
        self._listener(number, answer)

    def _engine(self) -> Engine | None:
        return self._kept(Engine)

    def _kept(self, make: Callable[[], E]) -> E | None:
        """Return a new engine that a stop ends; None: it was stopped."""
        with self._lock:
            if self._stopped:
                return None
            engine = make()
            self._engines.add(engine)
            return engine

    def _end(self, engine: Engine | RemoteEngine) -> None:
        engine.close()
        with self._lock:
            self._engines.discard(engine)


def fit_together(ways: Sequence[RunConfiguration]) -> bool:
    """Tell whether models that were each planned alone fit into memory beside each other."""
    shares = [share for way in ways for share in way.shares]
    devices = {share.device for share in shares}
    return all(
        sum(share.total for share in shares if share.device == device)
        <= min(share.free for share in shares if share.device == device)
        for device in devices
    )


def path_of(turns: Sequence[Turn], question: Draft, number: int) -> list[Message]:
    """Return what a model reads: its own answers so far with their questions, and the new one."""
    path: list[Message] = []
    for turn in turns:
        if turn.answers[number].text:
            path += [_question("", None, turn.question), _reply("", None, turn.answers[number])]
    return [*path, _question("", None, question)]


def kept(turns: Sequence[Turn], number: int) -> tuple[Conversation, list[Message]]:
    """Return the chat that goes on with one model's answers; the others' that hold anything are versions of them."""
    chat = Conversation(
        title=title_from(turns[0].question), choices=Choices(turns[-1].answers[number].model.identifier)
    )
    messages: list[Message] = []
    leaf: str | None = None
    for turn in turns:
        if not turn.answers[number].text:
            continue  # it knows nothing of this question
        asked = _question(chat.id, leaf, turn.question)
        replies = {place: _reply(chat.id, asked.id, one) for place, one in enumerate(turn.answers) if one.text}
        messages += [asked, *replies.values()]
        leaf = replies[number].id
    return replace(chat, leaf=leaf), messages


def remote_engine(model: InstalledModel) -> RemoteEngine:
    """Return the engine of a model on another computer."""
    return RemoteEngine(Remote(model.remote), RemoteModel(model.remote_name, model.context))


def _question(chat: str, parent: str | None, draft: Draft) -> Message:
    attachments = tuple(map(Attachment.copy, draft.attachments))
    return Message(chat, parent, "user", draft.text.strip(), attachments=attachments)


def _reply(chat: str, parent: str | None, answer: Answer) -> Message:
    state: Literal["done", "stopped"] = "done" if answer.state == "done" else "stopped"
    facts = dict(answer.facts)
    return Message(chat, parent, "assistant", answer.text, state=state, model=answer.model.name, facts=facts)


def _with_a_part(planned: PlannedLoad | None, parts: int) -> PlannedLoad | None:
    """Give a model its part of the processor: threads that wait for each other are slower than few."""
    if planned is None:
        return None
    settings = replace(planned.settings, threads=max(1, planned.settings.threads // parts))
    return replace(planned, settings=settings)
