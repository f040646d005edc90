"""How long old chats take: python -m tests.benchmarks.bench_history [--messages 100000].

Prints how long a search takes in so many messages (the median and the longest of several words, rare and common, Chinese and
Latin), how long the file takes to open, and for a history of 10,000 messages and a chat of 1,000 the time until it is shown and
the longest turn of the window's thread, as `bench_window` measures it.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path

os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")

from desktop_app.chat.conversation import Conversation, Message
from desktop_app.chat.history import History
from tests.benchmarks.bench_window import CHAPTER, measure
from tests.support.window import Person

WORDS = [
    "the",
    "fox",
    "lived",
    "on",
    "a",
    "hill",
    "near",
    "the",
    "sea",
    "and",
    "every",
    "morning",
    "it",
    "watched",
    "how",
    "the",
    "sun",
    "rose",
    "over",
    "quiet",
    "water",
    "while",
    "owls",
    "slept",
    "狐狸",
    "住在",
    "海边",
    "的",
    "小山",
    "上",
    "每天",
    "清晨",
    "都会",
    "去看",
    "日出",
    "朋友",
    "们",
    "也",
    "一样",
]
SEARCHES = ("needle", "needle nowhere", "fox", "清晨", "水獭", "日出 朋友", "th", "的", "watched how")
PER_CHAT = 50


def fill(path: Path, count: int, per_chat: int) -> str:
    """Write so many messages and return the id of the last chat."""
    chance = random.Random(7)
    chat = Conversation()
    with closing(History(path)) as history:
        database = history._database
        for start in range(0, count, per_chat):
            chat = Conversation(title=f"Chat {start // per_chat}", updated=1.7e9 + start)
            messages: list[Message] = []
            for number in range(per_chat):
                is_reply = number % 2 == 1
                text = " ".join(chance.choice(WORDS) for _ in range(130 if is_reply else 20))
                if per_chat != PER_CHAT and is_reply:
                    text = CHAPTER.format(n=number)
                role = "assistant" if is_reply else "user"
                parent = messages[-1].id if messages else None
                messages.append(Message(chat.id, parent, role, text, created=1.7e9 + start + number))  # type: ignore[arg-type]
            history.add(Conversation(chat.id, chat.title, updated=chat.updated, leaf=messages[-1].id), messages)
        database.execute("UPDATE messages SET content = content || ' needle' WHERE rowid = 777")
        database.commit()
    return chat.id


def search(path: Path, count: int) -> None:
    """Measure searches."""
    fill(path, count, PER_CHAT)
    start = time.perf_counter()
    with closing(History(path)) as history:
        print(
            f"opening {count} messages, {path.stat().st_size / 1e6:.0f} MB: {(time.perf_counter() - start) * 1000:.0f} ms"
        )
        for words in SEARCHES:
            times, work = [], []
            for _ in range(5):
                start, begun = time.perf_counter(), time.thread_time()
                found = history.search(words)
                times.append((time.perf_counter() - start) * 1000)
                work.append((time.thread_time() - begun) * 1000)
            print(
                f"search for {words!r}: {len(found)} chats, median {statistics.median(times):.1f} ms, "
                f"longest {max(times):.1f} ms; "
                f"{statistics.median(work):.1f} ms of work"
            )


def window(home: Path) -> None:
    """Measure the window with a history of 10,000 messages, of which one chat has 1,000."""
    os.environ["ZHIYIN_HOME"] = str(home)
    fill(home / "chats.sqlite3", 9_000, PER_CHAT)
    long = fill(home / "chats.sqlite3", 1_000, 1_000)
    from desktop_app.ui.app import create_window, make_application

    application = make_application()
    start = time.perf_counter()
    person = Person(create_window(application))
    person.window.show()
    person.wait(lambda: len(person.titles) > 100)
    print(f"window with 10,000 messages: {time.perf_counter() - start:.2f} s until the list is there")
    person.wait(lambda: person.model_state == "ready")
    chats = person.services.chats
    measure(
        person, "opening a chat with 1,000 messages", lambda: chats.open(long), lambda: len(person.messages) == 1_000
    )
    short = next(chat.id for chat in chats.list.conversations if chat.id != long)
    measure(
        person,
        "opening a chat with 50",
        lambda: chats.open(short),
        lambda: len(person.messages) == 50,
    )
    person.close()


def main() -> None:
    """Measure all."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--messages", type=int, default=100_000)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        search(Path(folder, "search.sqlite3"), parser.parse_args().messages)
        home = Path(folder, "home")
        home.mkdir()
        window(home)


if __name__ == "__main__":
    main()
