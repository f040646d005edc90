"""`zhiyin --smoke-test`: shows that an installation works as a whole, above all the one inside a bundle.

The engine loads the starter model and generates a few tokens, freely and held to a schema, a process such as those that convert
starts, every other part does something small (`smoke_parts`), and the window draws itself without a screen. Nothing of the
person's own data is read or written.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from desktop_app.about import versions
from desktop_app.commands.terminal import print_json
from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import Devices, Generate, Load, LoadSettings, SamplingSettings
from desktop_app.library.installed import Library
from desktop_app.library.installed_model import InstalledModel
from desktop_app.paths import models_folder
from desktop_app.processes.worker import Tell, in_process
from desktop_app.smoke_parts import try_parts
from models.errors import ZhiyinError

_TOKENS = 8
_CONTEXT = 512
_SECONDS = 120
_SCHEMA = {"type": "object", "properties": {"sea": {"enum": ["calm", "rough"]}}, "required": ["sea"]}
_MESSAGES = ({"role": "user", "content": "Write one sentence about the sea."},)


def run() -> int:
    """Print what was found as JSON and return 0.

    Raises:
        ZhiyinError: a part does not work; the sentence says which.
    """
    with tempfile.TemporaryDirectory(prefix="zhiyin-smoke-test-", ignore_cleanup_errors=True) as folder:
        os.environ["ZHIYIN_HOME"] = folder
        os.environ["QT_QPA_PLATFORM"] = "offscreen"
        facts = {
            "versions": in_process(_versions, lambda _: None, threading.Event()),
            "frozen": _is_frozen(),
            **_try_engine(),
            "parts": try_parts(Path(tempfile.mkdtemp(dir=folder))),
            "window": _try_window(Path(folder) / "window.png"),
        }
    print_json(facts)
    return 0


def _versions(tell: Tell, cancelled: Callable[[], bool]) -> dict[str, str]:
    """Return the versions as a process of its own sees them."""
    return versions()


def _is_frozen() -> bool:
    return bool(getattr(sys, "frozen", False))


def _try_engine() -> dict[str, Any]:
    starter = Library(models_folder()).starter()
    if starter is None and not _is_frozen():
        raise ZhiyinError("The starter model is missing from this installation; install Zhiyin again.")
    try:
        with Engine() as engine:
            devices = engine.submit(Devices()).result(_SECONDS).devices
            facts = {"devices": [asdict(device) for device in devices]}
            # Installers come without a model, too.
            return facts if starter is None else facts | _try_model(engine, starter)
    except (OSError, TimeoutError) as error:
        raise ZhiyinError(
            "The engine does not work here ({reason}); run `zhiyin doctor`.", reason=error or type(error).__name__
        ) from error


def _try_model(engine: Engine, model: InstalledModel) -> dict[str, Any]:
    start = time.perf_counter()
    engine.submit(Load(model.path, LoadSettings(context=_CONTEXT))).result(_SECONDS)
    load_seconds = time.perf_counter() - start
    sampling = SamplingSettings(temperature=0, max_tokens=_TOKENS)
    reply = engine.submit(Generate(_MESSAGES, sampling)).result(_SECONDS)
    held = engine.submit(Generate(_MESSAGES, replace(sampling, max_tokens=32), schema=_SCHEMA)).result(_SECONDS)
    if reply.tokens != _TOKENS:
        raise ZhiyinError(
            "The starter model wrote {count} tokens instead of {expected}; install Zhiyin again.",
            count=reply.tokens,
            expected=_TOKENS,
        )
    if "sea" not in held.text:
        raise ZhiyinError("A reply was not held to its schema: {text}", text=held.text)
    return {
        "model": model.name,
        "load_seconds": round(load_seconds, 3),
        "tokens": reply.tokens,
        "text": reply.text,
    }


def _try_window(picture: Path) -> dict[str, int]:
    try:
        from desktop_app.ui.app import render_offscreen

        width, height = render_offscreen(picture)
        size = picture.stat().st_size
    except (ImportError, OSError) as error:
        raise ZhiyinError(
            "The window cannot be drawn ({reason}); `zhiyin doctor` says what is missing.", reason=error
        ) from error
    return {"width": width, "height": height, "png_bytes": size}
