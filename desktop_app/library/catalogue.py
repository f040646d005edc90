"""The catalogue for this computer: what each model would be here, before a byte of it is fetched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property
from typing import Literal

from converter.hub.manifest import converted_from
from desktop_app.library.installed_model import InstalledModel
from desktop_app.paths import downloads_folder, free_space
from desktop_app.planning.catalogue_sizes import FOLDER, Sizes, read_sizes
from desktop_app.planning.configuration import Computer, RunConfiguration
from desktop_app.planning.footprint import recurrent_state
from desktop_app.planning.planner import Plan, plan
from models.catalogue import Catalogue, CatalogueEntry, CatalogueModel, read_catalogue

DiskRoom = Literal["convert", "ready_made", "none"]
"""Which way to a model the disk has room for: any; that of a ready-made file only, and perhaps a conversion that deletes each
file of weights once it is converted, of which the repository's index tells; none."""
_BYTES_OF_A_PARAMETER = 2
"""As nearly all checkpoints are published: bfloat16 or float16."""


@dataclass(frozen=True)
class CatalogueOffer:
    """A model of the catalogue, and how it would run here."""

    entry: CatalogueEntry
    model: CatalogueModel
    plan: Plan | None
    """None: its sizes are not known."""
    sizes: Sizes | None

    @cached_property
    def option(self) -> RunConfiguration | None:
        """The planner's choice, or the one that lacks the least; None: nothing is known."""
        return None if self.plan is None else self.plan.chosen

    @property
    def verdict(self) -> str:
        """`RunConfiguration.verdict`; "": nothing is known."""
        return "" if self.option is None else self.option.verdict

    @property
    def fits(self) -> bool:
        """It runs here now."""
        return self.plan is not None and self.plan.best is not None

    @property
    def endless(self) -> bool:
        """Its context has no limit."""
        return self.sizes is not None and bool(
            recurrent_state(self.sizes.model.architecture, self.sizes.model.parameters)
        )

    @property
    def download(self) -> int | None:
        """Bytes of the weights as they are published; None: not known."""
        return weights_bytes(self.model)

    @property
    def disk(self) -> int | None:
        """Bytes of the weights after conversion, quantized as the planner says; None: not known."""
        if self.sizes is None or self.option is None:
            return None
        chosen = next(one for one in self.sizes.model.candidates if one.quant == self.option.quant)
        return sum(tensor.bytes for tensor in chosen.tensors)


@cache
def catalogue() -> Catalogue:
    """Return the catalogue that comes with the application.

    Raises:
        BadFile: it is missing or damaged.
    """
    return read_catalogue(FOLDER)


@cache
def _all_sizes() -> dict[str, Sizes]:
    return read_sizes()


def names_on_hubs(name: str) -> list[str]:
    """Return the repositories that a model is in on the Hub and on ModelScope, as far as the catalogue knows; first the given."""
    known = (repository for model in catalogue().named(name) for repository in (model.huggingface, model.modelscope))
    return list(dict.fromkeys((name, *(repository for repository in known if repository))))


def weights_bytes(model: CatalogueModel) -> int | None:
    """Return the bytes of a model's weights as they are published; None: not known."""
    if model.download is not None or model.shape is None:
        return model.download
    return _BYTES_OF_A_PARAMETER * _all_sizes()[model.shape].parameters


@dataclass(frozen=True)
class Overview:
    """The catalogue and what of it is here."""

    offers: list[CatalogueOffer]
    installed: Mapping[str, InstalledModel] = field(default_factory=dict)
    """By `CatalogueModel.source`."""
    free_disk: int | None = None
    """Bytes where downloads and models are kept; None: not known."""
    measured: bool = True
    """How fast this computer reads weights is known; otherwise the offers are in the order of their size."""

    def fits(self, offer: CatalogueOffer) -> bool:
        """Tell whether a model runs here now, and is here or can be downloaded and converted."""
        return offer.fits and (offer.model.source in self.installed or disk_room(offer, self.free_disk) == "convert")

    def may_fit(self, offer: CatalogueOffer) -> bool:
        """Tell whether a model fits, if somebody offers it ready-made."""
        return self.fits(offer) or (offer.fits and disk_room(offer, self.free_disk) == "ready_made")


def overview(computer: Computer | None, models: Sequence[InstalledModel], *, context: int | None = None) -> Overview:
    """Return the offers for a computer, which of them are installed, and how much room there is for more.

    Raises:
        BadFile: the catalogue is missing or damaged.
    """
    measured = computer is None or (computer.speed is not None and not computer.speed.disturbed)
    return Overview(offers(computer, context=context), installed(models), free_space(downloads_folder()), measured)


def disk_needed(offer: CatalogueOffer) -> int:
    """Return the bytes of a model's download and of what is made of it."""
    return (offer.download or 0) + (offer.disk or 0)


def disk_room(offer: CatalogueOffer, free_disk: int | None) -> DiskRoom:
    """Return which way to a model there is room for; where nothing is known of the disk or of the model, any."""
    if free_disk is None or disk_needed(offer) <= free_disk:
        return "convert"
    return "ready_made" if offer.disk is not None and offer.disk <= free_disk else "none"


def offers(computer: Computer | None, *, context: int | None = None) -> list[CatalogueOffer]:
    """Return every model of the catalogue as it would run on a computer: chat models that fit come first.

    Args:
        computer: what there is; None: not known yet, so nothing is planned.
        context: tokens that the user asks for; None: the planner chooses.

    Raises:
        BadFile: the catalogue is missing or damaged.
    """
    planned: dict[tuple[str, int], Plan] = {}
    result = []
    for entry, model in catalogue().models():
        sizes = None if model.shape is None else _all_sizes()[model.shape]
        chosen = None
        if sizes is not None and computer is not None:
            key = (str(model.shape), model.context)
            if key not in planned:
                planned[key] = plan(replace(sizes.model, trained_context=model.context), computer, context=context)
            chosen = planned[key]
        result.append(CatalogueOffer(entry, model, chosen, sizes))
    return sorted(result, key=_order)


def installed(models: Sequence[InstalledModel]) -> dict[str, InstalledModel]:
    """Return which models of the catalogue are here, by `CatalogueModel.source`: made of a download, or named alike."""
    by_path = {model.path: model for model in models}
    by_name = {model.name.lower().removesuffix(f"-{model.file_type.lower()}"): model for model in models}
    by_entry = {}
    for _, model in catalogue().models():
        made = [
            path
            for repository in (model.huggingface, f"modelscope/{model.modelscope}")
            for path in converted_from(downloads_folder() / repository.replace("/", "--"), model.file)
        ]
        here = next((by_path[path] for path in made if path in by_path), None) or by_name.get(model.name.lower())
        if here is not None:
            by_entry[model.source] = here
    return by_entry


def _order(offer: CatalogueOffer) -> tuple[bool, int, int, float, str]:
    """Chat models first, and what runs well before what crawls or does not fit; then the newest and most able.

    Where no speed is known, nothing tells what crawls: the smallest first, which are the quickest.
    """
    if offer.option is not None and offer.fits and offer.option.tokens_per_second is None:
        return (not offer.model.chat, _rank(offer), 0, offer.model.parameters, offer.model.name.lower())
    able = offer.model.parameters if offer.fits else -offer.model.parameters
    return (not offer.model.chat, _rank(offer), -offer.entry.year, -able, offer.model.name.lower())


def _rank(offer: CatalogueOffer) -> int:
    if offer.option is None:
        return 3
    if not offer.fits:
        return 2
    return 0 if offer.option.good and offer.option.comfortable else 1
