"""Whether there is room for a model that is measured, beside what runs already."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import LoadSettings
from desktop_app.planning.candidates import model_of_gguf
from desktop_app.planning.configuration import RunConfiguration
from desktop_app.planning.load_plan import LoadPlanner
from desktop_app.planning.planner import DOES_NOT_FIT, option
from models.errors import ZhiyinError

_COPIES = 3
"""Of the logits of all positions: the graph's, llama.cpp's and ours; a chat has those of one."""
_FLOAT = 4


class Room:
    """The memory that a measuring engine may take, model after model."""

    def __init__(self, engine: Engine) -> None:
        """Plan for an engine that has loaded nothing yet."""
        self._planner = LoadPlanner(engine)

    def check(self, path: Path, settings: LoadSettings) -> RunConfiguration:
        """Return what a model takes that is about to be loaded, in place of the one before it.

        Weights that stay in the file's pages may be more than the memory: the system reads them again for each part of the text.

        Raises:
            ZhiyinError: it does not fit (code `does-not-fit`), or the file is damaged.
        """
        model, computer = model_of_gguf(path), self._planner.computer()
        logits = _COPIES * _FLOAT * settings.logit_rows * model.tokens
        computer = replace(computer, process_bytes=computer.process_bytes + logits)
        taken = option(model, model.candidates[0], computer, settings.context, settings.kv_type)
        main = taken.shares[0]
        if taken.shortfall and not (taken.mapped and main.total - main.weights <= main.free):
            raise ZhiyinError(
                "Measuring {name} takes {needed:size} of memory, and {free:size} are free; close other programs or unload the "
                "model of the chats, then try again.",
                code=DOES_NOT_FIT,
                name=path.name,
                needed=taken.bytes,
                free=max(0, sum(share.free for share in taken.shares)),
            )
        return taken
