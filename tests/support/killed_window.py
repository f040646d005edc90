"""A window that is used until somebody kills it: `python -m tests.support.killed_window NAME [CHECKPOINT]`.

Prints `stored TEXT` for each message that is on the disk; with a checkpoint, it is installed meanwhile.
"""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path

from desktop_app.paths import data_folder, settings_file
from desktop_app.settings import Settings, save_settings
from desktop_app.ui.app import create_window, make_application
from desktop_app.ui.single_instance import begin
from tests.support.window import Person, run_events


def main() -> int:
    """Write one message after the other; exit with 3 where another window has the data folder."""
    name, *checkpoints = sys.argv[1:]
    save_settings(Settings(language="en", max_tokens=40, welcomed=True), settings_file())
    application = make_application()
    instance = begin(data_folder(), None)
    if instance is None:
        return 3
    instance.listen()
    person = Person(create_window(application))
    person.window.show()
    person.wait(lambda: person.model_state == "ready")
    print("ready", flush=True)
    for checkpoint in checkpoints:
        person.services.conversions.start(Path(checkpoint), "Q8_0")
    for number in count():
        text = f"{name}, message {number}: what is a fox?"
        person.wait(lambda: not person.busy)
        person.send(text)
        person.wait(lambda text=text: any(text in said for _, said in person.messages))
        person.window.keep()
        print(f"stored {text}", flush=True)
        run_events(100)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
