"""The pictures of the READMEs: `python -m tests.screenshots`, without a screen; a Chinese font must be installed."""

from __future__ import annotations

import argparse
import json
import os
import struct
import tempfile
import time
from collections.abc import Callable
from math import prod
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from gguf import GGUFReader
from PySide6.QtCore import QEventLoop, QTimer
from PySide6.QtGui import QFontDatabase, QImage
from PySide6.QtWidgets import QApplication, QWidget

from desktop_app.chat.conversation import Conversation, Message
from desktop_app.chat.history import History
from desktop_app.library.catalogue import catalogue
from desktop_app.library.installed import Library
from desktop_app.paths import database_file, models_folder, settings_file
from desktop_app.settings import Settings, save_settings
from desktop_app.ui.app import create_window, make_application
from desktop_app.ui.window import MainWindow
from tests.support.checkpoints import fields_of, write_smollm_tokenizer
from tests.support.large_checkpoint import shapes_of

OUT = Path(__file__).parents[1] / "docs" / "images"
SIZE = (1080, 700)
PATIENCE = 90
MODEL = "Qwen3-8B"
CHATS = {
    "en": (
        ("Explain quicksort", "Packing list for Iceland", "A letter to my landlord"),
        "How does quicksort work, and how fast is it?",
        "Quicksort picks a **pivot**, puts what is smaller on its left and the rest on its right, and sorts both sides the "
        "same way.\n\n```python\ndef quicksort(items):\n    if len(items) < 2:\n        return items\n    pivot, *rest = "
        "items\n    left = [x for x in rest if x < pivot]\n    right = [x for x in rest if x >= pivot]\n    return "
        "quicksort(left) + [pivot] + quicksort(right)\n```\n\n| case | comparisons |\n| --- | --- |\n| usual | $O(n \\log n)$ "
        "|\n| worst | $O(n^2)$ |\n\nA random pivot makes the worst case very unlikely.",
    ),
    "zh_CN": (
        ("讲讲快速排序", "去冰岛要带什么", "给房东写一封信"),
        "快速排序是怎么工作的？有多快？",
        "快速排序先选一个**基准**，把比它小的放在左边，其余放在右边，然后用同样的办法处理两边。\n\n```python\n"
        "def quicksort(items):\n"
        "    if len(items) < 2:\n        return items\n    pivot, *rest = items\n    left = [x for x in rest if x < pivot]\n"
        "    right = [x for x in rest if x >= pivot]\n    return quicksort(left) + [pivot] + quicksort(right)\n```\n\n| 情况 | "
        "比较次数 |\n| --- | --- |\n| 通常 | $O(n \\log n)$ |\n| 最坏 | $O(n^2)$ |\n\n随机选择基准，最坏情况就很难遇到。",
    ),
}


def main() -> None:
    """Write three pictures for each language."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=OUT)
    out: Path = parser.parse_args().out
    application = make_application()
    if not any("CJK" in family for family in QFontDatabase.families()):
        raise SystemExit("No Chinese font is installed; on Debian: apt install fonts-noto-cjk")
    with tempfile.TemporaryDirectory() as folder:
        os.environ["ZHIYIN_HOME"] = folder
        checkpoint = hollow_checkpoint(Path(folder) / MODEL)
        for language in CHATS:
            os.environ["ZHIYIN_HOME"] = str(Path(folder, language))
            take(application, language, checkpoint, out / language)


def take(application: QApplication, language: str, checkpoint: Path, out: Path) -> None:
    """Photograph a chat, the catalogue and a conversion."""
    out.mkdir(parents=True, exist_ok=True)
    save_settings(Settings(language=language, theme="light", welcomed=True), settings_file())
    store_chats(language)
    window = create_window(application)
    window.resize(*SIZE)
    window.show()
    services = window.services
    wait(lambda: services.models.state.kind == "ready" and services.chats.list.conversations)
    services.chats.open(services.chats.list.conversations[0].id)
    settle()
    photograph(window, out / "chat.png")
    window.open_catalogue()
    wait(lambda: services.catalogue.overview and services.catalogue.overview.offers[0].option)
    settle()
    photograph(window, out / "catalogue.png")
    window.import_files([str(checkpoint)])
    dialog = conversion(window)
    wait(lambda: dialog._judged)
    settle()
    photograph(dialog, out / "convert.png")
    dialog.close()
    window.end()
    settle()


def conversion(window: MainWindow):
    """Return the dialog that was opened for a checkpoint."""
    from desktop_app.ui.models.conversion_dialog import ConversionDialog

    found = window.findChild(ConversionDialog)
    assert found is not None
    return found


def store_chats(language: str) -> None:
    """Store chats as earlier sessions left them, the first of them with a question and its answer."""
    titles, question, answer = CHATS[language]
    history = History(database_file())
    for age, title in enumerate(titles):
        chat = Conversation(title=title, updated=time.time() - age * 86_400)
        asked = Message(chat.id, None, "user", question if age == 0 else title)
        replied = Message(chat.id, asked.id, "assistant", answer, model=MODEL)
        history.save_conversation(Conversation(id=chat.id, title=title, updated=chat.updated, leaf=replied.id))
        history.save_message(asked)
        history.save_message(replied)
    history.close()


def hollow_checkpoint(folder: Path) -> Path:
    """Write the headers of a published model's weights, and holes where its numbers would be: they take no room."""
    folder.mkdir(parents=True)
    config = catalogue().shapes[MODEL]
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    entries, at = {}, 0
    for name, shape in shapes_of(config).items():
        entries[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, at + 2 * prod(shape)]}
        at += 2 * prod(shape)
    header = json.dumps(entries).encode()
    with (folder / "model.safetensors").open("wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.truncate(8 + len(header) + at)
        head = entries["lm_head.weight"]["data_offsets"][0]
        file.seek(8 + len(header) + head)
        file.write(b"\x80\x3f")  # one number: all holes are equal, and equal matrices would be converted as one
    starter = Library(models_folder()).starter()
    assert starter is not None
    write_smollm_tokenizer(folder, fields_of(GGUFReader(starter.path)))
    return folder


def photograph(widget: QWidget, path: Path) -> None:
    """Save a picture, packed as tightly as PNG can."""
    picture = widget.grab().toImage().convertToFormat(QImage.Format.Format_RGB888)
    picture.save(str(path), "PNG", 0)
    print(path, picture.width(), picture.height(), path.stat().st_size)


def settle() -> None:
    """Let the window draw."""
    loop = QEventLoop()
    QTimer.singleShot(600, loop.quit)
    loop.exec()


def wait(condition: Callable[[], object]) -> None:
    """Let the window work until something is so."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise SystemExit("The window did not get that far.")
        settle()


if __name__ == "__main__":
    main()
