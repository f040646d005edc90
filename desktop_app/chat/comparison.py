"""One question to two models: both at once where the plans fit into memory together, else one after the other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from msgspec.structs import asdict

from desktop_app.chat.attachment import Draft
from desktop_app.chat.choices import Choices
from desktop_app.chat.conversation import Conversation, Message, title_from
from desktop_app.chat.failure import failure_facts
from desktop_app.chat.reasoning import ReasoningClock
from desktop_app.chat.request import options_from, reply_request
from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import Load, LoadSettings, Text, Update
from desktop_app.library.installed_model import InstalledModel
from desktop_app.planning.configuration import RunConfiguration
from desktop_app.planning.load_plan import LoadPlanner, PlannedLoad
from desktop_app.settings import Settings
from models.errors import ZhiyinError

AnswerState = Literal["waiting", "loading", "writing", "done", "stopped", "failed"]
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


Listener = Callable[[int, Answer], None]
"""Hears of the answer with a number, on whichever thread works on it."""


class Comparison:
    """Asks once. The engines are its own and end with the answers."""

    def __init__(
        self,
        models: Sequence[InstalledModel],
        question: str,
        settings: Settings,
        listener: Listener,
    ) -> None:
        """Nothing is done yet; what is set for a model alone comes before `settings`."""
        self._question, self._settings = question, settings
        self._listener = listener
        self._answers = [Answer(model) for model in models]
        self._engines: set[Engine] = set()
        self._lock = threading.Lock()
        self._stopped = False

    def run(self) -> None:
        """Ask, and return when all answers are over."""
        plans = self._planned()
        best = [planned.plan.best for planned in plans if planned is not None and planned.plan.best is not None]
        if len(best) == len(plans) and fit_together(best):
            threads = [
                threading.Thread(
                    target=self._answer, args=(number, _with_a_part(planned, len(plans))), name="comparison"
                )
                for number, planned in enumerate(plans)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        else:
            for number, planned in enumerate(plans):
                self._answer(number, planned)

    def stop(self) -> None:
        """End the engines; what was written stays. It may wait for a moment."""
        with self._lock:
            self._stopped = True
            engines = tuple(self._engines)
        for engine in engines:
            engine.close()

    def _planned(self) -> list[PlannedLoad | None]:
        """Return how each model would be loaded alone; None: its file is damaged, which the load says."""
        engine = self._engine()
        if engine is None:
            return [None for _ in self._answers]
        try:
            planner = LoadPlanner(engine)
            return [self._plan(planner, answer.model) for answer in self._answers]
        finally:
            self._end(engine)

    def _plan(self, planner: LoadPlanner, model: InstalledModel) -> PlannedLoad | None:
        try:
            context = model.own.over(self._settings).context or None
            return planner.plan(model.path, LoadSettings(threads=model.own.threads), context=context)
        except ZhiyinError:
            return None

    def _answer(self, number: int, planned: PlannedLoad | None) -> None:
        engine = self._engine()
        if engine is None:
            self._tell(number, state="stopped")
            return
        try:
            if planned is not None and planned.plan.best is None:
                raise planned.plan.refusal
            self._ask(number, engine, planned)
        except ZhiyinError as error:
            if self._stopped:
                self._tell(number, state="stopped")
            else:
                self._tell(number, state="failed", facts=failure_facts(error), error=error)
        finally:
            self._end(engine)

    def _ask(self, number: int, engine: Engine, planned: PlannedLoad | None) -> None:
        model = self._answers[number].model
        self._tell(number, state="loading")
        info = engine.submit(Load(model.path, LoadSettings() if planned is None else planned.settings)).result()
        clock, pieces = ReasoningClock(), list[str]()

        def heard(update: Update) -> None:
            if isinstance(update, Text):
                pieces.append(update.text)
                clock.hear(update.text, time.monotonic())
                self._tell(number, text="".join(pieces), facts=clock.facts)

        self._tell(number, state="writing")
        asked = Message("", None, "user", self._question)
        request = reply_request([asked], options_from(model.own.over(self._settings)), model.sampling)
        reply = engine.submit(request, heard).result()
        facts = {name: value for name, value in asdict(reply).items() if name != "text"}
        self._tell(number, state="done", text=reply.text, facts=facts | clock.facts | {"context": info.context})

    def _tell(self, number: int, **changes: Any) -> None:
        answer = self._answers[number] = replace(self._answers[number], **changes)
        self._listener(number, answer)

    def _engine(self) -> Engine | None:
        """Return a new engine; None: it was stopped."""
        with self._lock:
            if self._stopped:
                return None
            engine = Engine()
            self._engines.add(engine)
            return engine

    def _end(self, engine: Engine) -> None:
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


def kept(question: str, answers: Sequence[Answer], number: int) -> tuple[Conversation, list[Message]]:
    """Return the chat that goes on with one of the answers; the others that hold anything are versions of it."""
    draft = Draft(question.strip())
    chat = Conversation(title=title_from(draft), choices=Choices(answers[number].model.identifier))
    asked = Message(chat.id, None, "user", draft.text)
    replies = {
        place: Message(
            chat.id,
            asked.id,
            "assistant",
            answer.text,
            state="done" if answer.state == "done" else "stopped",
            model=answer.model.name,
            facts=dict(answer.facts),
        )
        for place, answer in enumerate(answers)
        if answer.text
    }
    return replace(chat, leaf=replies[number].id), [asked, *replies.values()]


def _with_a_part(planned: PlannedLoad | None, parts: int) -> PlannedLoad | None:
    """Give a model its part of the processor: threads that wait for each other are slower than few."""
    if planned is None:
        return None
    settings = replace(planned.settings, threads=max(1, planned.settings.threads // parts))
    return replace(planned, settings=settings)
