"""Pictures of every page, dialog and state: `python -m tests.every_picture FOLDER [--language L] [--theme T] [--size S]`.

Each language, theme and size has a process of its own, since the scale of the screen is chosen at the start. Look at them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

SIZES = {"small": (1024, 640, 1), "4k": (1920, 1080, 2)}
"""Width and height of the window, which is as large as the screen, and the factor of the screen."""
LANGUAGES = ("en", "zh_CN", "zh_TW")
THEMES = ("light", "dark")
QUESTION = {"en": "How does quicksort work?", "zh_CN": "快速排序是怎么工作的？", "zh_TW": "快速排序是怎麼運作的？"}
ANSWER = (
    "# Quicksort 快速排序\n\nPicks a **pivot** 基准 and sorts both sides; $O(n \\log n)$ on average.\n\n"
    "$$T(n) = 2T\\left(\\frac{n}{2}\\right) + O(n)$$\n\n```python\ndef quicksort(items):\n    return items\n```\n\n"
    "| case 情况 | comparisons |\n| --- | --- |\n| usual | $n \\log n$ |\n\n"
    "- a [link](https://example.org)\n- `code`\n\n> quoted\n"
)


def main() -> None:
    """Take the pictures, in one process for each look."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--language", choices=LANGUAGES)
    parser.add_argument("--theme", choices=THEMES)
    parser.add_argument("--size", choices=SIZES)
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.here:
        take(asked.folder, asked.language, asked.theme, asked.size)
        return
    for size in [asked.size] if asked.size else SIZES:
        for language in [asked.language] if asked.language else LANGUAGES:
            for theme in [asked.theme] if asked.theme else THEMES:
                look = ["--language", language, "--theme", theme, "--size", size]
                command = [sys.executable, "-m", "tests.every_picture", str(asked.folder), *look, "--here"]
                with tempfile.TemporaryDirectory() as home:
                    offscreen = screen_of(*SIZES[size], Path(home)) | {"ZHIYIN_HOME": home}
                    subprocess.run(command, env=os.environ | offscreen, check=True)


def screen_of(width: int, height: int, factor: int, folder: Path) -> dict[str, str]:
    """Return the variables of a screen: left to itself, Qt's has 800 x 800 pixels, which dialogs keep to."""
    shape = {"name": "one", "x": 0, "y": 0, "width": width * factor, "height": height * factor}
    config = folder / "screens.json"
    config.write_text(json.dumps({"screens": [shape]}), "utf-8")
    return {"QT_QPA_PLATFORM": f"offscreen:configfile={config}", "QT_SCALE_FACTOR": str(factor)}


def take(folder: Path, language: str, theme: str, size: str) -> None:
    """Photograph everything in one look."""
    from desktop_app.paths import settings_file
    from desktop_app.settings import Settings, save_settings
    from desktop_app.ui.app import create_window, make_application
    from tests.support.window import run_events, run_until

    save_settings(Settings(language=language, theme=theme, welcomed=True), settings_file())
    store_chat(language)
    application = make_application()
    window = create_window(application)
    window.resize(*SIZES[size][:2])
    window.show()
    window.activateWindow()
    run_until(
        lambda: window.services.models.state.kind in ("ready", "failed") and window.services.chats.list.conversations
    )
    application.setCursorFlashTime(0)
    target = folder / f"{language}-{theme}-{size}"
    target.mkdir(parents=True, exist_ok=True)
    for name, show in states(window):
        shown = show() or window
        settle(shown)
        shown.grab().save(str(target / f"{name}.png"))
        if shown is not window:
            shown.close()
            run_events(20)
    window.end()


def settle(shown) -> None:
    """Wait until what is shown looks the same twice, which takes long on a busy computer."""
    from tests.support.window import run_events

    before = None
    for _ in range(40):
        run_events(400)
        now = shown.grab().toImage()
        if now == before:
            return
        before = now


def open_chat(window, title: str) -> None:
    """Open a chat, and wait until its messages are built."""
    from tests.support.window import run_until

    chats, view = window.services.chats, window._pages.chat
    window._chat_actions.open(next(chat.id for chat in chats.list.conversations if title in chat.title))

    def is_shown() -> bool:
        built = [widget.message.id for widget in view.messages]
        return title in chats.list.current.title and built == [message.id for message in chats.list.path]

    run_until(lambda: is_shown() and not any(widget.is_building for widget in view.messages))


def store_chat(language: str) -> None:
    """Store a chat with everything that a reply may hold, a failed reply and a stopped one."""
    from desktop_app.chat.conversation import Conversation, Message
    from desktop_app.chat.failure import failure_facts
    from desktop_app.chat.history import History
    from desktop_app.paths import database_file
    from models.errors import ZhiyinError

    failed = failure_facts(ZhiyinError("The context is full, so the reply ends here.", code="context-full"))
    history = History(database_file())
    for title, state, facts, answer in (
        ("Quicksort 快速排序", "done", {"tokens": 90, "seconds": 3.2, "context": 4096}, f"<think>Hm.</think>{ANSWER}"),
        ("Stopped 停止", "stopped", {}, "Once upon a time"),
        ("Failed 失败", "failed", failed, ""),
    ):
        chat = Conversation(title=title)
        asked = Message(chat.id, None, "user", QUESTION[language])
        replied = Message(chat.id, asked.id, "assistant", answer, model="Qwen3-8B", state=state, facts=facts)  # type: ignore[arg-type]
        history.save_conversation(Conversation(id=chat.id, title=title, leaf=replied.id))
        for message in (asked, replied):
            history.save_message(message)
    store_steps(history, language)
    history.close()


def store_steps(history, language: str) -> None:
    """Store a chat with calls of tools: one that failed, and one that made a figure and a table."""
    import matplotlib.figure

    from desktop_app.chat.conversation import Conversation, Message
    from desktop_app.chat.steps import Call, begin_call, ended
    from desktop_app.chat.table import Table
    from desktop_app.paths import work_folder

    chat = Conversation(title="Steps 步骤")
    drawn = work_folder(chat.id) / "figure.png"
    drawn.parent.mkdir(parents=True)
    figure = matplotlib.figure.Figure((4, 2))
    figure.subplots().plot([1, 4, 9, 16])
    figure.savefig(drawn)
    code = "import matplotlib.pyplot as plt\nplt.plot([n * n for n in range(1, 5)])  # 平方"
    calls = (Call("1", "calculator", {"expression": "1 / 0"}), Call("2", "python", {"code": code}))
    asked = Message(chat.id, None, "user", QUESTION[language])
    stored = {"tool_calls": [call.stored() for call in calls]}
    wanted = Message(chat.id, asked.id, "assistant", "", model="Qwen3-8B", state="done", facts=stored)
    failed = ended(begin_call(calls[0], wanted, ""), "division by zero", "failed", 0.0)
    table = Table(("n", "n²"), (("1", "1"), ("2", "4")), 2)
    done = ended(begin_call(calls[1], failed, ""), "<Figure 1>", "done", 0.0, [drawn], [table])
    answer = Message(chat.id, done.id, "assistant", ANSWER, model="Qwen3-8B", state="done")
    history.save_conversation(Conversation(id=chat.id, title=chat.title, leaf=answer.id))
    for message in (asked, wanted, failed, done, answer):
        history.save_message(message)


def states(window) -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield each page, dialog and state with what shows it; a dialog is returned, to be photographed and closed."""
    from desktop_app.ui.settings.sections import SECTIONS
    from tests.support.show_dialogs import dialogs, grow

    services = window.services
    yield "welcome", window.new_chat
    yield "first run", lambda: first_run(window)
    for chat in services.chats.list.conversations:
        yield f"chat {chat.title.split()[0].lower()}", lambda chat=chat: open_chat(window, chat.title)
    yield "steps unfolded", lambda: unfold_steps(window)
    yield "step question", lambda: ask_about_step(window)
    yield "find", lambda: window._pages.finder.begin("sort")
    yield "panel", window._toggle_panel
    yield "panel closed", window._toggle_panel
    yield "search", lambda: window._sidebar._search.setText("quick")
    yield "search ended", window._sidebar.end_search
    yield "notices", lambda: say(window)
    yield "comparison", window.open_comparison
    yield "models", window.open_catalogue
    for section in SECTIONS:
        yield f"settings {section}", lambda section=section: window.open_settings(section)
    yield "back", window.new_chat
    yield "palette", lambda: palette(window)
    folder = Path(tempfile.mkdtemp())
    for name, show in dialogs(window, folder).items():

        def shown(show=show):
            dialog = show()
            grow(dialog)
            return dialog

        yield f"dialog {name}", shown
    yield "narrow", lambda: window.resize(480, 640)


def first_run(window) -> None:
    """Show what a newcomer sees, on a usual laptop."""
    from desktop_app.library.catalogue import Overview, offers
    from desktop_app.library.first_run import first_run
    from desktop_app.planning.computer import hardware_now
    from tests.desktop_app.planning.test_planner import laptop

    page = window._pages.first_run
    found = first_run(hardware_now(window.services.engine.engine), Overview(offers(laptop(16))))
    page.show_found(found, has_starter=True)
    window._pages.setCurrentWidget(page)


def unfold_steps(window) -> None:
    from desktop_app.ui.chat.step_widget import StepWidget

    open_chat(window, "Steps")
    for card in window.findChildren(StepWidget):
        card._button.setChecked(True)
    scroll_to(window.findChildren(StepWidget)[0])


def ask_about_step(window) -> None:
    from desktop_app.assistant.approvals import Asked
    from desktop_app.assistant.tools.workspace import workspace
    from desktop_app.ui.chat.step_widget import StepWidget

    card = window.findChildren(StepWidget)[-1]
    card.ask(Asked(workspace(Path(tempfile.mkdtemp())), {"name": "报告.md", "content": ANSWER}))
    scroll_to(card._question)


def scroll_to(widget) -> None:
    from PySide6.QtWidgets import QScrollArea

    from tests.support.window import run_events

    run_events(300)  # it is laid out, and what follows the end of the chat has followed it
    area = widget
    while not isinstance(area, QScrollArea):
        area = area.parentWidget()
    area.ensureWidgetVisible(widget, 0, 40)


def say(window) -> None:
    window._notice.say("Something is wrong 出错了.", ("Try again", lambda: None))
    window._undo.say("Something was done.", ("Undo", lambda: None), kind="plain")


def palette(window):
    from desktop_app.ui.command_palette import CommandPalette

    window.open_palette()
    return window.findChildren(CommandPalette)[-1]


if __name__ == "__main__":
    main()
