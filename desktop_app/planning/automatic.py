"""`--quant auto`: the planner's choice for this computer."""

from __future__ import annotations

from collections.abc import Mapping

from converter.hub.selection import USUAL_QUANTS, RemoteHeaders
from converter.plan import ConversionPlan
from desktop_app.engine.client import Engine
from desktop_app.planning.candidates import model_of_config, model_of_headers, model_of_quantizable
from desktop_app.planning.computer import computer_now
from desktop_app.planning.configuration import Computer, Model
from desktop_app.planning.planner import Plan, plan
from models.config import Config
from models.errors import ZhiyinError

_MEMORY_SHARE = 0.9
"""Of the free memory, for the weights; the rest is for cache and buffers."""


def fitted(planned: ConversionPlan, computer: Computer | None = None) -> ConversionPlan:
    """Return a conversion in the quantization that a computer runs best, the reason among its warnings.

    Where nothing fits, that is the smallest one.

    Args:
        planned: in the family's usual quantization.
        computer: what to choose for; None: this computer as it is now.
    """
    if planned.quantizable is None:
        return planned
    model = model_of_quantizable(planned.quantizable)
    run_plan = plan(model, computer or this_computer())
    return planned.in_quant(chosen_quant(model, run_plan), *((run_plan.reason,) if run_plan.reason else ()))


def quant_by_configuration(config: Config | None, computer: Computer | None = None) -> str:
    """Return what `fitted` would choose for a checkpoint, by its config.json alone; "": that does not say it."""
    try:
        model = None if config is None else model_of_config(config)
    except ZhiyinError:
        return ""
    return "" if model is None else chosen_quant(model, plan(model, computer or this_computer()))


def choose_file(sizes: Mapping[str, int], headers: RemoteHeaders, computer: Computer | None = None) -> str:
    """Return which of the GGUF files of a repository to fetch.

    Args:
        sizes: bytes of each, by its quant.
        headers: of those that can be read.
        computer: what to choose for; None: this computer as it is now.
    """
    computer = computer or this_computer()
    model = model_of_files(headers)
    return choose_by_size(sizes, computer) if model is None else chosen_quant(model, plan(model, computer))


def model_of_files(headers: RemoteHeaders) -> Model | None:
    """Return the model that GGUF files hold; None: no header can be read, or they hold several."""
    try:
        return model_of_headers(headers) if headers else None
    except ZhiyinError:
        return None


def chosen_quant(model: Model, run_plan: Plan) -> str:
    """Return the quantization that a plan says is best; where nothing fits, the smallest one."""
    return run_plan.best.quant if run_plan.best is not None else model.candidates[-1].quant


def choose_by_size(sizes: Mapping[str, int], computer: Computer) -> str:
    """Return the most usual quantization whose file fits in what one device has free, or the smallest one."""
    usual = [quant for quant in USUAL_QUANTS if quant in sizes] or sorted(sizes, key=lambda quant: sizes[quant])
    room = weights_room(computer)
    return next((quant for quant in usual if sizes[quant] <= room), min(usual, key=lambda quant: sizes[quant]))


def weights_room(computer: Computer) -> float:
    """Return the bytes that weights may take, where no more than the size of their file is known."""
    gpus = (gpu.free_bytes for gpu in computer.accelerators if not gpu.unified_memory)
    return _MEMORY_SHARE * max(computer.free_bytes, *gpus, 0)


def this_computer() -> Computer:
    """Return what this computer has now."""
    with Engine() as engine:
        return computer_now(engine)
