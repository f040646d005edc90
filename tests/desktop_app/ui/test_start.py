"""Starting and being ended from outside: a second start, `kill`, logging out, a data folder that cannot be used."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from PySide6.QtCore import QTimer
from PySide6.QtWidgets import QApplication, QMessageBox, QPushButton

from desktop_app.chat.history import History
from desktop_app.library.installed import Library
from desktop_app.paths import database_file, models_folder, settings_file
from desktop_app.processes.folder_lock import own
from desktop_app.settings import Settings, save_settings
from desktop_app.ui import single_instance
from desktop_app.ui.app import run
from desktop_app.ui.single_instance import begin
from models.errors import ZhiyinError
from tests.desktop_app.ui.conftest import OpenWindow
from tests.support.window import LONG, Person, run_events

ROOT = Path(__file__).parents[3]
_WRITING = f"""
from PySide6.QtCore import QTimer
from desktop_app.chat.attachment import Draft
from desktop_app.ui import app
from desktop_app.ui.window import MainWindow
def begin(window):
    window._composer.set_draft(Draft("half a thought"))
    window.services.chats.send({LONG!r})
    window.services.chats.replies.grown.connect(
        lambda _, text: print(len(text), window.services.engine.pid, flush=True)
    )
show = MainWindow.show
MainWindow.show = lambda window: (show(window), QTimer.singleShot(0, lambda: begin(window)))
raise SystemExit(app.run([]))
"""
"""The real application, with a user who sends a message at once."""


@contextmanager
def python_process(code: str, first: str = "") -> Iterator[subprocess.Popen[str]]:
    """Run code until the test is done with it; it writes the line `first` when it is ready."""
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            if first:
                assert process.stdout is not None
                assert process.stdout.readline() == f"{first}\n"
            yield process
        finally:
            process.kill()


def wait_for_end(process: int) -> None:
    """Wait until a process that nobody here started has ended."""
    end = time.monotonic() + 30
    with suppress(ProcessLookupError):
        while time.monotonic() < end:
            os.kill(process, 0)
            time.sleep(0.01)
        pytest.fail("the engine was left behind")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")
def test_a_reply_that_is_ended_by_the_system_is_kept_to_the_last_word() -> None:
    save_settings(Settings(language="en", temperature=0.0, welcomed=True), settings_file())
    with python_process(_WRITING) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        os.kill(process.pid, signal.SIGTERM)
        said = [tuple(map(int, line.split())) for line in (first, *process.stdout)]
        assert process.wait(30) == 0
    seen, [engine, *_] = zip(*said, strict=True)
    wait_for_end(engine)
    with closing(History(database_file())) as history:
        [chat] = history.conversations()
        *_, reply = history.messages(chat.id)
    assert len(reply.content) >= seen[-1]
    assert reply.state == "stopped"


def test_logging_out_keeps_everything_and_may_be_called_off(open_window: OpenWindow) -> None:
    person = open_window(max_tokens=0)
    person.send(LONG)
    person.wait(lambda: len(person.messages[-1][1]) > 20)
    person.type("half a thought")
    person.window.keep()
    written = person.messages[-1][1]
    with closing(History(database_file())) as stored:
        [chat] = stored.conversations()
        *_, reply = stored.messages(chat.id)
    assert reply.content == written
    assert chat.draft == "half a thought"
    person.wait(lambda: len(person.messages[-1][1]) > len(written))  # it goes on


def test_a_second_start_brings_the_first_window_forward(person: Person, starter_gguf: Path) -> None:
    folder = database_file().parent
    instance = begin(folder)
    assert instance is not None
    instance.listen()
    instance.asked.connect(person.window.come_forward)
    person.window.showMinimized()
    copy = folder / "Second.gguf"
    copy.symlink_to(starter_gguf)
    second = subprocess.Popen([sys.executable, "-m", "desktop_app.cli", str(copy)], cwd=ROOT)
    person.wait(lambda: second.poll() is not None)
    assert second.returncode == 0
    assert not person.window.isMinimized()
    person.wait(lambda: "was imported and is being loaded" in person.sentences())
    instance.close()
    third = begin(folder)
    assert third is not None
    third.close()


def test_a_killed_window_does_not_keep_the_next_one_from_starting(data_home: Path) -> None:
    code = f"""
from pathlib import Path
from desktop_app.ui.app import make_application
from desktop_app.ui.single_instance import begin
make_application()
held = begin(Path({str(data_home)!r}))
print("ready", flush=True)
input()
"""
    with python_process(code, "ready") as process:
        assert own(data_home) is None
        process.kill()
        process.wait()
        begun = time.monotonic()
        instance = begin(data_home)
        assert instance is not None
        assert time.monotonic() - begun < single_instance._PATIENCE / 2
        instance.close()


def test_a_window_that_does_not_answer_is_named(data_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(single_instance, "_PATIENCE", 0.2)
    code = f"""
from pathlib import Path
from desktop_app.processes.folder_lock import own
held = own(Path({str(data_home)!r}))
print("ready", flush=True)
input()
"""
    with python_process(code, "ready"), pytest.raises(ZhiyinError, match="does not answer"):
        begin(data_home)


@pytest.fixture
def answered(application: QApplication) -> Iterator[list[str]]:
    """Somebody who reads the dialog that comes, and closes it."""
    read: list[str] = []

    def look() -> None:
        box = QApplication.activeModalWidget()
        if isinstance(box, QMessageBox):
            read.append(f"{box.text()}\n{box.informativeText()}")
            box.findChild(QPushButton).click()

    timer = QTimer(interval=20)
    timer.timeout.connect(look)
    timer.start()
    yield read
    timer.stop()


def file_in_place_of_the_folder(home: Path) -> None:
    shutil.rmtree(home)
    home.write_text("a file")


def folder_in_place_of_the_chats(home: Path) -> None:
    (home / "chats.sqlite3").mkdir()


def chats_of_a_newer_version(home: Path) -> None:
    with closing(sqlite3.connect(home / "chats.sqlite3")) as database:
        database.execute("PRAGMA user_version = 99")


def folder_in_place_of_the_lock(home: Path) -> None:
    (home / "zhiyin.lock").mkdir()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (file_in_place_of_the_folder, "无法使用数据文件夹"),
        (folder_in_place_of_the_chats, "无法打开"),
        (chats_of_a_newer_version, "更新版本"),
        (folder_in_place_of_the_lock, "无法使用数据文件夹"),
    ],
)
def test_an_unusable_data_folder_is_said_in_one_dialog(
    spoil: Callable[[Path], None],
    words: str,
    data_home: Path,
    answered: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("desktop_app.ui.i18n.translate.system_language", lambda: "zh_CN")
    spoil(data_home)
    assert run([]) == 1
    assert len(answered) == 1
    assert "知音无法启动" in answered[0]
    assert words in answered[0]
    assert str(data_home) in answered[0]
    assert capsys.readouterr().err.startswith("zhiyin: ")


def test_a_damaged_file_of_chats_is_put_aside_and_the_window_opens(open_window: OpenWindow, data_home: Path) -> None:
    (data_home / "chats.sqlite3").write_bytes(b"not a database" * 1000)
    person = open_window()
    person.wait(lambda: "The file of your chats was damaged" in person.sentences())
    [aside] = data_home.glob("chats.sqlite3.damaged-*")
    assert str(aside) in person.sentences()
    assert aside.read_bytes() == b"not a database" * 1000
    person.wait(lambda: person.model_state == "ready")
    assert person.ask("Hello")
    run_events(50)
    assert "not saved" not in person.sentences()
    assert Library(models_folder()).models()
