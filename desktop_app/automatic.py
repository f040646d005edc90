"""`--quant auto`: the planner's choice for this computer."""

from __future__ import annotations

from converter.plan import QuantChoice
from converter.recipes import Recipe, find_recipe
from desktop_app.candidates import model_of_choice
from desktop_app.computer import computer_now
from desktop_app.engine.client import Engine
from desktop_app.planner import Computer, plan


def choose_quant(choice: QuantChoice, computer: Computer | None = None) -> tuple[Recipe, str | None]:
    """Return the quantization to convert to and the reason; where nothing fits, the smallest one and a warning.

    Args:
        choice: what is converted.
        computer: what to choose for; None: this computer as it is now.
    """
    model = model_of_choice(choice)
    if computer is None:
        with Engine() as engine:
            computer = computer_now(engine)
    found = plan(model, computer)
    chosen = found.best.quant if found.best is not None else model.candidates[-1].quant
    return find_recipe(chosen), found.reason
