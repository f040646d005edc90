"""Uses the window in a process of its own and tells what is mapped there: `python -m tests.support.use_window CHECKPOINT`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from desktop_app.library.install import InstallRequest
from desktop_app.paths import settings_file
from desktop_app.settings import Settings, save_settings
from desktop_app.ui.app import create_window, make_application
from tests.support.window import Person


def main() -> None:
    """Chat, look at the catalogue, which has the reading speed measured, and install a model; then print what is mapped."""
    source = Path(sys.argv[1])
    save_settings(Settings(language="en", temperature=0.0, max_tokens=6, welcomed=True), settings_file())
    window = create_window(make_application())
    window.show()
    person = Person(window)
    person.wait(lambda: person.model_state == "ready")
    assert person.ask("Name a river.")
    person.click("Get models")
    person.wait(lambda: "fit this computer now" in person.sentences())
    described: list[object] = []
    person.services.conversions.describe(InstallRequest(source), described.append, described.append)
    person.wait(lambda: described)
    job = person.services.conversions.start(source)
    person.wait(lambda: job.is_over)
    assert job.model is not None, job.error
    person.services.models.choose(job.model)
    person.wait(lambda: person.model_state == "ready")
    pid = person.services.engine.pid
    assert pid is not None
    print(json.dumps({"window": libraries(os.getpid()), "engine": libraries(pid)}))
    person.close()
    person.services.close()


def libraries(pid: int) -> list[str]:
    """Return the files that a process has in memory."""
    lines = Path(f"/proc/{pid}/maps").read_text("utf-8", "surrogateescape").splitlines()
    return sorted({Path(parts[5]).name for line in lines if len(parts := line.split(maxsplit=5)) == 6})


if __name__ == "__main__":
    main()
