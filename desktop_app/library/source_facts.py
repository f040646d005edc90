"""Facts of a checkpoint or repository and its possible quantizations, for the user to see before converting it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from desktop_app.library.install import InstallRequest, download_request
from desktop_app.library.ready_made import ReadyMade, ready_made
from desktop_app.planning.configuration import Candidate, Computer, Model, RunConfiguration
from desktop_app.planning.planner import CONTEXTS, Plan
from desktop_app.processes.worker import Tell
from models.sentence import Sentence

if TYPE_CHECKING:
    from converter.plan import Quantizable

_UNCHANGED = "F16"
"""Offered before the planner's choices: half the precision of F32, which no answer shows."""


@dataclass(frozen=True)
class SourceFacts:
    """A model that may be installed."""

    request: InstallRequest
    name: str
    family: str = ""
    """As its authors write it; "": not known before it is here."""
    parameters: int = 0
    """0: not known."""
    size_label: str = ""
    """0.5B, 8x7B …"""
    context: int = 0
    """Tokens that it was trained for; 0: not known, or without limit."""
    is_chat: bool | None = None
    """It has a chat template; None: not known before it is here."""
    offers: Mapping[str, int] = field(default_factory=dict)
    """Bytes of the file in each quantization, from exact to small."""
    exact: bool = False
    """The bytes are exact; otherwise the tokenizer's are missing."""
    model: Model | None = None
    """For the planner; None: too little is known for a plan."""
    ready: bool = False
    """It comes as GGUF: what is offered are its files."""
    unchanged: Candidate | None = None
    """The most exact offer, which the planner leaves out."""
    usual: str = ""
    """What is taken where no plan can be made."""
    warnings: tuple[Sentence, ...] = ()
    steps: tuple[Sentence, ...] = ()
    """What is merged."""
    file_name: str = ""
    """With `usual` in it; "": not known before it is here."""
    download: int = 0
    """Bytes to be fetched."""
    held: int = 0
    """As in `Preview`."""
    ready_made: tuple[ReadyMade, ...] = ()
    """Who offers it as GGUF already."""
    models: Mapping[str, int] = field(default_factory=dict)
    """Files of a repository with several checkpoints, one of which must be named, and their bytes."""

    def name_in(self, quant: str) -> str:
        """Return the file's name in a quantization; "": not known."""
        return self.file_name.replace(f"-{self.usual}.gguf", f"-{quant}.gguf")


@dataclass(frozen=True)
class WayCost:
    """One way to a model, and what it costs."""

    maker: ReadyMade | None
    """Whose file it is; None: it is converted here."""
    quant: str
    download: int
    """Bytes."""
    made: int = 0
    """Bytes of the file that is made beside the download; 0: the download is the model."""
    held: int = 0
    """As in `Preview`."""

    @property
    def disk(self) -> int:
        """Bytes that both take together, when the file is made and the download still there."""
        return self.download + self.made

    @property
    def least(self) -> int:
        """Bytes at the worst moment where the disk is short: each file of weights is then deleted once it is converted."""
        return min(self.disk, self.held + self.made) if self.held and self.made else self.disk


def ways(facts: SourceFacts, quant: str) -> list[WayCost]:
    """Return the ways to a model in a quantization; of a ready-made one that lacks it, the smallest file."""
    result = []
    for maker in facts.ready_made:
        named = quant if quant in maker.files else min(maker.files, key=lambda name: maker.files[name])
        result.append(WayCost(maker, named, maker.files[named]))
    made = 0 if facts.ready else facts.offers.get(quant, 0)
    fetched = facts.offers.get(quant, 0) if facts.ready else facts.download
    return [*result, WayCost(None, quant, fetched, made, facts.held)]


def fitting_way(facts: SourceFacts, quant: str, free_disk: int) -> ReadyMade | None:
    """Return the way that is offered first: the publisher's own file, else converting here, else what the disk has room for.

    Args:
        facts: of a checkpoint.
        quant: the quantization that is planned.
        free_disk: bytes.
    """
    own = next((maker for maker in facts.ready_made if maker.own and quant in maker.files), None)
    costs = ways(facts, quant)
    if own is not None or costs[-1].least <= free_disk:
        return own
    return next((cost.maker for cost in costs if cost.least <= free_disk), None)


@dataclass(frozen=True)
class Assessment:
    """The run configurations of a source on this computer."""

    quant: str
    """What is chosen without being asked."""
    verdicts: Mapping[str, str]
    """`RunConfiguration.verdict` of each offer that it is known of."""
    plan: Plan | None = None
    """None: the memory was compared with the size of the file alone."""
    options: Mapping[str, RunConfiguration] = field(default_factory=dict)
    """How each offer would run, in the context that was chosen."""


def judge(facts: SourceFacts, computer: Computer) -> Assessment:
    """Return the automatic choice and how well each offer fits."""
    from desktop_app.planning.automatic import choose_by_size, chosen_quant, weights_room
    from desktop_app.planning.planner import option
    from desktop_app.planning.planner import plan as plan_run

    if facts.model is None:
        room = weights_room(computer)
        verdicts = {quant: "ram" if size <= room else "too_large" for quant, size in facts.offers.items()}
        return Assessment(choose_by_size(facts.offers, computer) if facts.offers else facts.usual, verdicts)
    planned = plan_run(facts.model, computer)
    shown = planned.best or min(planned.alternatives, key=lambda o: (o.shortfall, o.bytes))
    exact = () if facts.unchanged is None else (facts.unchanged,)
    options = {
        candidate.quant: option(facts.model, candidate, computer, shown.context or CONTEXTS[0])
        for candidate in (*exact, *facts.model.candidates)
    }
    verdicts = {quant: way.verdict for quant, way in options.items()}
    return Assessment(chosen_quant(facts.model, planned), verdicts, planned, options)


def look_and_tell(request: InstallRequest, tell: Tell, cancelled: Callable[[], bool]) -> SourceFacts:
    """`facts_of` as a `worker.Work`, and who offers a checkpoint as GGUF already; tells of a host that says nothing."""
    from converter.hub.repository import Waiting

    waiting = Waiting(tell, cancelled)
    facts = facts_of(request, waiting)
    if isinstance(request.source, Path) or facts.ready or not facts.offers or request.lora:
        return facts
    return replace(facts, ready_made=ready_made(replace(download_request(request), on_wait=waiting)))


def facts_of(request: InstallRequest, on_wait: Callable[[], None] | None = None) -> SourceFacts:
    """Return what is known of a source: of a checkpoint by its headers, of a repository by its list and its config.json.

    Args:
        request: what is asked about.
        on_wait: as in `DownloadRequest`.

    Raises:
        ZhiyinError: it cannot be converted; one sentence.
    """
    if isinstance(request.source, Path):
        return _of_checkpoint(request, request.source)
    return _of_repository(request, on_wait)


def _of_checkpoint(request: InstallRequest, source: Path) -> SourceFacts:
    from converter.pipeline import ConvertRequest, plan
    from models.families import families

    planned = plan(ConvertRequest(source, lora=request.lora))
    assert planned.quantizable is not None  # noqa: S101 - only adapters have none
    headers = sum(len(part.layout.header) for part in planned.parts)
    named = str(planned.metadata.get("general.name", "") or source.resolve().name)
    titles = {family.name: family.title for family in families()}
    return replace(
        _of_quantizable(SourceFacts(request, named), planned.quantizable, headers),
        family=titles.get(planned.family, planned.family),
        exact=True,
        is_chat="tokenizer.chat_template" in planned.metadata,
        warnings=planned.warnings,
        steps=planned.steps,
        file_name=planned.out.name,
    )


def _of_quantizable(facts: SourceFacts, source: Quantizable, headers: int = 0) -> SourceFacts:
    from gguf.utility import size_label  # takes a while

    from converter.gguf_writer import aligned
    from converter.metadata import count_parameters
    from desktop_app.planning.candidates import model_of_quantizable, worth_choosing

    model = model_of_quantizable(source, (_UNCHANGED, *worth_choosing(source.usual)))
    parameters = count_parameters(source.tensors)
    return replace(
        facts,
        parameters=parameters.total,
        size_label=size_label(*parameters),
        context=model.trained_context,
        offers={
            candidate.quant: headers + sum(aligned(tensor.bytes) for tensor in candidate.tensors)
            for candidate in model.candidates
        },
        model=replace(model, candidates=model.candidates[1:]),
        unchanged=model.candidates[0],
        usual=source.usual.name,
    )


def _of_repository(request: InstallRequest, on_wait: Callable[[], None] | None) -> SourceFacts:
    # The library for the Hub takes a third of a second to import; converting a folder does without.
    from converter.hub.repository import preview
    from desktop_app.planning.automatic import model_of_files
    from desktop_app.planning.candidates import quantizable
    from models.families import family_of

    name = str(request.source)
    previewed = preview(replace(download_request(request), on_wait=on_wait))
    facts = SourceFacts(request, name, download=previewed.bytes, held=previewed.held, models=previewed.models)
    if previewed.quants:
        offers = dict(sorted(previewed.quants.items(), key=lambda offer: -offer[1]))
        facts = replace(facts, offers=offers, usual=previewed.quant, exact=True, ready=True, warnings=previewed.unread)
        return replace(facts, model=model_of_files(previewed.headers))
    if previewed.config is None:
        return facts
    family = family_of(previewed.config)
    blueprint = family.blueprint(previewed.config, None)
    return replace(
        _of_quantizable(facts, quantizable(blueprint)),
        family=family.title,
        is_chat=blueprint.chat is not None or previewed.has_template,
        warnings=blueprint.warnings,
    )
