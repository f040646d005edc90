"""`--quant auto`: the planner's choice for this computer."""

from __future__ import annotations

from converter.plan import QuantChoice
from converter.recipes import Recipe, find_recipe
from desktop_app.candidates import model_of_choice
from desktop_app.computer import computer_now
from desktop_app.engine.client import Engine
from desktop_app.planner import plan


def choose_quant(choice: QuantChoice) -> tuple[Recipe, str | None]:
    """Return the quantization to convert to and the reason; where nothing fits, the smallest one and a warning."""
    model = model_of_choice(choice)
    with Engine() as engine:
        found = plan(model, computer_now(engine))
    chosen = found.best.quant if found.best is not None else model.candidates[-1].quant
    return find_recipe(chosen), found.reason
