"""The loaded model of the engine process: nothing, a language model with its replies, or a model that measures texts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from msgspec.structs import replace

from desktop_app import reports
from desktop_app.engine import protocol
from desktop_app.engine.results import ModelInfo
from desktop_app.processes.renderer import Renderer
from desktop_app.sequences import DRAFT_CONTEXT
from models.errors import ZhiyinError
from models.sentence import Sentence

if TYPE_CHECKING:
    from desktop_app.engine.llama.embedding import EmbeddingRunner
    from desktop_app.engine.llama.importance import ImportanceCollector
    from desktop_app.engine.prompting import Prompting
    from desktop_app.engine.protocol import AdapterUse
    from desktop_app.engine.runner import Runner
    from desktop_app.engine.scheduler import Scheduler
    from desktop_app.engine.speculation.draft_model import DraftModel
    from desktop_app.engine.speculation.draft_pace import DraftPace
    from desktop_app.engine.speculation.pace import Pace


class Loaded:
    """At most one model."""

    def __init__(self) -> None:
        self._renderer = Renderer()
        self.runner: Runner | EmbeddingRunner | None = None
        self.prompting: Prompting | None = None
        self.scheduler: Scheduler | None = None
        """Of a language model."""
        self.pace: Pace | None = None
        """Of the same."""
        self.draft: tuple[DraftModel, DraftPace] | None = None
        """Of the same, where a small model guesses for it."""
        self.identity = ""
        """What a stored state must be of to be this model's."""

    def any(self) -> Runner | EmbeddingRunner:
        """Return whatever is loaded; raises ZhiyinError where nothing is."""
        if self.runner is None:
            raise ZhiyinError("No model is loaded; choose one first.")
        return self.runner

    def language(self) -> Runner:
        """Return the loaded language model."""
        runner = self.any()
        if runner.info.embedding or runner.info.reranks:
            raise ZhiyinError("{name} measures texts and writes none; choose a chat model.", name=runner.info.name)
        return cast("Runner", runner)

    def measuring(self) -> EmbeddingRunner:
        """Return the loaded embedding or reranking model."""
        runner = self.any()
        if not (runner.info.embedding or runner.info.reranks):
            raise ZhiyinError(
                "{name} writes texts and makes no vectors; choose an embedding model.", name=runner.info.name
            )
        return cast("EmbeddingRunner", runner)

    def prompts(self) -> Prompting:
        """Return what makes prompts for the loaded language model."""
        self.language()
        return cast("Prompting", self.prompting)

    def for_ids(self, ids: Sequence[int]) -> Runner:
        """Return the loaded model; raises ZhiyinError where it does not know one of the ids."""
        runner = self.language()
        size = runner.info.vocabulary_size
        wrong = [token for token in ids if not 0 <= token < size]
        if wrong or not ids:
            raise ZhiyinError(
                "Token ids must lie between 0 and {last}, but {found}; correct --ids or --text.",
                last=size - 1,
                found=Sentence("{id} is not one", id=wrong[0]) if wrong else Sentence("there is none"),
            )
        return runner

    def collector(self) -> ImportanceCollector:
        """Return what sums up activations; raises ZhiyinError where the model's graph is none of llama.cpp's."""
        collector = self.language().importance
        if collector is None:
            raise ZhiyinError(
                "{path} cannot be given an importance matrix: llama.cpp does not run this architecture.",
                path=self.language().info.path,
                code="no-importance",
            )
        return collector

    def load(self, request: protocol.Load, on_progress: Callable[[float], None]) -> ModelInfo:
        """Load a model in place of the one that was; with its adapters, or not at all."""
        from desktop_app.engine.load import load_runner
        from desktop_app.engine.prompting import Prompting
        from desktop_app.engine.scheduler import Scheduler
        from desktop_app.engine.speculation.pace import Pace
        from desktop_app.engine.state.chat_states import model_identity

        self.unload()
        self._renderer.start()  # while the weights are read
        loaded = load_runner(request.path, request.settings, on_progress)
        if loaded.info.embedding or loaded.info.reranks:
            self.runner, self.prompting, self.identity = loaded, None, ""
            return loaded.info
        runner = cast("Runner", loaded)
        if request.adapters:
            try:
                runner.set_adapters(request.adapters)
            except ZhiyinError:
                runner.close()
                raise
        if request.settings.draft is not None and runner.most_guesses:
            self.draft = self._load_draft(request.settings.draft, request.settings, runner)
        prompting = Prompting(runner, self._renderer)
        self.runner, self.prompting, self.scheduler, self.pace = runner, prompting, Scheduler(runner), Pace()
        self.identity = model_identity(request.path, request.adapters, runner.memory_kind)
        thinking, effort = prompting.thinks_by_itself(), prompting.effort_by_itself()
        return replace(runner.info, thinking=thinking, effort=effort, takes_system=prompting.takes_system())

    def set_adapters(self, adapters: Sequence[AdapterUse]) -> None:
        """Let other adapters change the loaded model."""
        from desktop_app.engine.state.chat_states import model_identity

        runner = self.language()
        runner.set_adapters(adapters)
        self.identity = model_identity(runner.info.path, adapters, runner.memory_kind)

    def unload(self) -> None:
        """Free what is loaded."""
        if self.runner is not None:
            runner, self.runner, self.scheduler = self.runner, None, None
            runner.close()
        if self.draft is not None:
            self.draft[0].close()
            self.draft = None

    def _load_draft(
        self, path: Path, settings: protocol.LoadSettings, runner: Runner
    ) -> tuple[DraftModel, DraftPace] | None:
        """Load the small model; without it replies are the same, so that a damaged one is said in the log only."""
        from desktop_app.engine.load import load_runner
        from desktop_app.engine.speculation.draft_model import DraftModel
        from desktop_app.engine.speculation.draft_pace import DraftPace

        small = protocol.LoadSettings(
            context=DRAFT_CONTEXT, threads=settings.threads, gpu_layers=-1 if settings.gpu_layers else 0
        )
        try:
            loaded = load_runner(path, small, lambda part: None)
        except ZhiyinError as error:
            reports.say(error)
            return None
        info = loaded.info
        if info.embedding or info.reranks or not info.can_trim or info.vocabulary_size != runner.info.vocabulary_size:
            loaded.close()
            return None
        return DraftModel(cast("Runner", loaded)), DraftPace()
