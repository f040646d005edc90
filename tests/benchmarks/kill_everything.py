"""Kills every kind of process at random moments and looks at what is left: nothing half-done, nothing left over, nothing lost.

    python -m tests.benchmarks.kill_everything [--kills 15] [--seed 1] [--folder FOLDER] [KIND ...]

Kinds: convert, pull, import, engine, window; crowd (8 and 16 processes at once on one data folder and one target); disk-full,
short-disk and read-only (on a file system in memory, which only root can mount). Every fall is printed with its seed, and the
exit code is 1.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from converter.atomic_write import is_unfinished
from converter.hub.manifest import write_manifest
from desktop_app.chat.history import History
from tests.benchmarks.bench_convert import write_vocabulary
from tests.support.checkpoints import write_checkpoint
from tests.support.hub_server import HubServer, Repository
from tests.support.random_llama import random_llama
from tests.support.sharded_models import VOCABULARY, repository_of, sharded_source

ROOT = Path(__file__).parents[2]
REPOSITORY = "tiny/Tea-Chat"
SHARDED = "org/Tea"
_SPARE = 64 * 1024 * 1024
"""Bytes of a disk that downloads leave free."""
_SMALL_FILES = 4 * 1024 * 1024
_CHILDREN_END = 15.0
"""Seconds that the children of a killed process get for their end."""
_CAUGHT = ("Traceback", "faulthandler", "Fatal Python error")


@dataclass
class Ended:
    """A process that was killed, or was done before."""

    code: int
    out: str
    errors: str

    @property
    def sentence(self) -> str:
        """The last line that it said."""
        return (self.errors.strip().splitlines() or [""])[-1]


@dataclass
class World:
    """A data folder, what is converted, fetched and imported into it, and what has fallen."""

    folder: Path
    server: HubServer
    rng: random.Random
    falls: list[str] = field(default_factory=list)
    kills: int = 0
    imported: set[str] = field(default_factory=set)
    """Paths of files whose import was reported as done."""

    def __post_init__(self) -> None:
        self.models.mkdir(parents=True, exist_ok=True)
        config, weights = random_llama(
            3,
            hidden_size=512,
            intermediate_size=2048,
            num_hidden_layers=4,
            vocab_size=320,
            bos_token_id=1,
            eos_token_id=2,
        )
        self.source = write_checkpoint(self.folder / "Tea-Chat", config, weights, dtype="F16")
        write_vocabulary(self.source / "tokenizer.model", 320)
        files = {path.name: path.read_bytes() for path in self.source.iterdir()}
        self.server.repositories[REPOSITORY] = Repository({"main": files})
        for quant in ("Q8_0", "Q4_K_M"):
            self.must(*self.convert_command(self.folder / f"right-{quant}.gguf", quant))
        self.right = {quant: digest(self.folder / f"right-{quant}.gguf") for quant in ("Q8_0", "Q4_K_M")}

    @property
    def home(self) -> Path:
        """The data folder."""
        return self.folder / "home"

    @property
    def models(self) -> Path:
        """The models folder."""
        return self.home / "models"

    def convert_command(self, out: Path, quant: str) -> tuple[str, ...]:
        """Return the arguments of a conversion."""
        return ("convert", str(self.source), "--quant", quant, "--out", str(out), "--threads", "1")

    @property
    def pull_command(self) -> tuple[str, ...]:
        """Return the arguments of a download."""
        return ("pull", REPOSITORY, "--quant", "Q8_0", "--endpoint", self.server.endpoint, "--threads", "1")

    def start(self, *arguments: str, module: str = "desktop_app.cli", home: Path | None = None) -> Process:
        """Start a command."""
        return Process(arguments, module, home or self.home)

    def must(self, *arguments: str, home: Path | None = None) -> str:
        """Run a command that has to succeed, and return its output."""
        ended = self.start(*arguments, home=home).end()
        self.check_words(arguments, ended)
        if ended.code:
            self.fall(f"{' '.join(arguments)} failed ({ended.code}): {ended.errors}")
        return ended.out

    def refused(self, *arguments: str, home: Path | None = None) -> Ended:
        """Run a command that may fail, by one sentence."""
        ended = self.start(*arguments, home=home).end()
        self.check_words(arguments, ended)
        return ended

    def kill(self, process: Process, longest: float) -> Ended:
        """Kill a process some time from now, and see to it that its children end too."""
        time.sleep(self.rng.uniform(0, longest))
        children = process.children()
        ended = process.kill()
        self.kills += ended.code < 0
        self.check_words(process.arguments, ended)
        _, alive = psutil.wait_procs(children, _CHILDREN_END)
        for child in alive:
            with suppress(psutil.Error):
                self.fall(f"{' '.join(process.arguments)}: its child goes on: {' '.join(child.cmdline())}")
                child.kill()
        return ended

    def check_words(self, arguments: Sequence[str], ended: Ended) -> None:
        """Note what no process may say."""
        for caught in _CAUGHT:
            if caught in ended.errors:
                self.fall(f"{' '.join(arguments)} said: {ended.errors[-2000:]}")

    def check(self, what: str, home: Path | None = None) -> dict[str, Path]:
        """Look at what is left when the application is started again; return the listed models."""
        listed = json.loads(self.must("models", "--json", home=home) or "[]")
        models = {entry["name"]: Path(entry["path"]) for entry in listed}
        for name, path in models.items():
            if is_unfinished(path) or not path.is_file():
                self.fall(f"{what}: {name} is listed, which is no finished model: {path}")
            elif path.is_relative_to(home or self.home) and digest(path) not in self.right.values():
                self.fall(f"{what}: {name} is listed and damaged: {path}")
        left = sorted(str(path) for path in leftovers(home or self.home))
        if left:
            self.fall(f"{what}: left over: {', '.join(left)}")
        lost = self.imported - {str(path) for path in models.values()}
        if lost and home is None:
            self.fall(f"{what}: lost: {', '.join(sorted(lost))}")
        return models

    def fall(self, what: str) -> None:
        """Note a fall."""
        self.falls.append(what)
        print(f"FALL: {what}", flush=True)


class Process:
    """A command that runs."""

    def __init__(self, arguments: Sequence[str], module: str, home: Path) -> None:
        self.arguments = arguments
        environment = {key: value for key, value in os.environ.items() if key != "DISPLAY"}
        self._output = tempfile.TemporaryFile("w+"), tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed by `end`
        self.popen = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=self._output[0],
            stderr=self._output[1],
            cwd=ROOT,
            env=environment | {"ZHIYIN_HOME": str(home), "QT_QPA_PLATFORM": "offscreen"},
        )

    def children(self) -> list[psutil.Process]:
        """Return all processes below it."""
        try:
            return psutil.Process(self.popen.pid).children(recursive=True)
        except psutil.Error:
            return []

    def output(self) -> bytes:
        """Return what it has written until now."""
        file = self._output[0].fileno()
        return os.pread(file, os.fstat(file).st_size, 0)

    def kill(self) -> Ended:
        """End it at once."""
        self.popen.kill()
        return self.end()

    def end(self) -> Ended:
        """Wait for its end."""
        try:
            code = self.popen.wait(180)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            code = 1000
        texts = []
        for file in self._output:
            file.seek(0)
            texts.append(file.read())
            file.close()
        return Ended(code, *texts)


def digest(path: Path) -> str:
    """Return a file's SHA-256."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def leftovers(home: Path) -> Iterator[Path]:
    """Yield what a process leaves while it works; parts of downloads are kept for the next try, with their folder's lock."""
    for path in home.rglob("*"):
        inside = path.relative_to(home)
        if inside.parts[0] == "downloads" and len(inside.parts) > 1:
            resumable = (
                path.name.startswith(".") and path.name.endswith(".part") and len(path.name.split(".")[-2]) == 16
            )
            if not resumable and is_unfinished(path):
                yield path
        elif is_unfinished(inside) or (path.name.startswith(".") and path.name.endswith(".lock")):
            yield path


def kill_conversions(world: World, kills: int) -> None:
    """`convert`, onto nothing and onto an earlier file."""
    out = world.models / "Tea.gguf"
    seconds = timed(lambda: world.must(*world.convert_command(out, "Q4_K_M")))
    for number in range(kills):
        if number % 2:
            shutil.copyfile(world.folder / "right-Q8_0.gguf", out)
        else:
            out.unlink(missing_ok=True)
        world.kill(world.start(*world.convert_command(out, "Q4_K_M")), seconds)
        world.check("convert")
        if number % 2 and not out.is_file():
            world.fall("convert: the earlier file is lost")
    world.must(*world.convert_command(out, "Q4_K_M"))
    if digest(out) != world.right["Q4_K_M"]:
        world.fall("convert: the last file is another one")


def kill_downloads(world: World, kills: int) -> None:
    """`pull` of a checkpoint, which is converted."""
    seconds = timed(lambda: world.must(*world.pull_command))
    (before,) = (path for path in world.models.glob("*.gguf") if digest(path) not in world.right.values())
    world.right["pulled"] = digest(before)
    for number in range(kills):
        if number % 3 == 0:
            before.unlink(missing_ok=True)
            shutil.rmtree(world.home / "downloads")
        world.kill(world.start(*world.pull_command), seconds)
        world.check("pull")
    world.must(*world.pull_command)
    world.check("pull")
    if list((world.home / "downloads").rglob("*.part")):
        world.fall("pull: parts are left of a whole download")


def kill_imports(world: World, kills: int) -> None:
    """`models import`, where the file lies and as a copy."""
    seconds = timed(lambda: world.must("models", "import", str(elsewhere(world, "first"))))
    for number in range(kills):
        file = elsewhere(world, f"imported-{number}")
        copy = ("--copy",) if number % 2 else ()
        ended = world.kill(world.start("models", "import", str(file), *copy), 1.1 * seconds)
        if ended.code == 0:
            world.imported.add(str(world.models / file.name if copy else file))
        world.check("import")


def elsewhere(world: World, name: str) -> Path:
    """Return a new file of a model outside the data folder."""
    path = world.folder / "elsewhere" / f"{name}.gguf"
    path.parent.mkdir(exist_ok=True)
    shutil.copyfile(world.folder / "right-Q8_0.gguf", path)
    return path


def kill_engines(world: World, kills: int) -> None:
    """The engine below `zhiyin chat`, which says one sentence and ends."""
    chat = ("chat", "--prompt", "Tell me a story.", "--max-tokens", "60", "--ctx", "512")
    seconds = timed(lambda: world.must(*chat))
    for _ in range(kills):
        process = world.start(*chat)
        time.sleep(world.rng.uniform(0.2, seconds))
        engines = process.children()
        for engine in engines:
            with suppress(psutil.Error):
                engine.kill()
                world.kills += 1
        ended = process.end()
        world.check_words(chat, ended)
        if ended.code not in (0, 1) or (ended.code == 1 and not ended.sentence.endswith(".")):
            world.fall(f"engine: chat ended with {ended.code} and said {ended.errors}")
        world.check("engine")
    world.must(*chat)


def kill_windows(world: World, kills: int) -> None:
    """The window, in the middle of chats and of a conversion; every message that was stored is there at the next start."""
    stored: list[str] = []
    seconds = timed(lambda: first_message(world))
    for number in range(kills):
        install = (str(world.source),) if number % 3 == 0 else ()
        process = world.start(f"Window {number}", *install, module="tests.support.killed_window")
        ended = world.kill(process, 2.5 * seconds)
        stored += [line.removeprefix("stored ") for line in ended.out.splitlines() if line.startswith("stored ")]
        for path in world.models.glob("Tea-*.gguf"):
            world.right.setdefault("window", digest(path))
        world.check("window")
    check_chats(world, stored)
    print(f"window: {len(stored)} stored messages are there", flush=True)


def first_message(world: World) -> None:
    """Start a window, and kill it as soon as it has stored a message."""
    process = world.start("First", module="tests.support.killed_window")
    while process.popen.poll() is None and b"stored" not in process.output():
        time.sleep(0.05)
    world.kill(process, 0)


def check_chats(world: World, stored: Sequence[str]) -> None:
    """Note every stored message that is not in the chats."""
    if not (world.home / "chats.sqlite3").exists() and not stored:
        return
    history = History(world.home / "chats.sqlite3")
    texts = {message.content for chat in history.conversations() for message in history.messages(chat.id)}
    history.close()
    for text in stored:
        if text not in texts:
            world.fall(f"window: lost the message {text!r}")
    if list(world.home.glob("chats*damaged*")):
        world.fall("window: the chats were damaged")


def crowd(world: World, kills: int) -> None:
    """8 and 16 processes at once on one data folder and one target, each killed or left to end."""
    stored: list[str] = []
    for size in (8, 16):
        for turn in range(max(1, kills // 5)):
            started: list[tuple[str, Process, float]] = []
            window = world.start(f"Crowd {size}.{turn}", module="tests.support.killed_window")
            started.append(("window", window, world.rng.uniform(2, 12)))
            for number in range(size - 1):
                kind = ("convert", "pull", "import", "convert", "copy")[number % 5]
                file = elsewhere(world, f"crowd-{size}-{turn}-{number}")
                process = {
                    "convert": lambda: world.start(*world.convert_command(world.models / "Tea.gguf", "Q4_K_M")),
                    "pull": lambda: world.start(*world.pull_command),
                    "import": lambda file=file: world.start("models", "import", str(file)),
                    "copy": lambda file=file: world.start("models", "import", str(file), "--copy"),
                }[kind]()
                started.append((kind, process, world.rng.uniform(0, 12) if world.rng.random() < 0.6 else 120.0))
            stored += _end_all(world, started)
            world.check(f"crowd of {size}")
    world.must(*world.convert_command(world.models / "Tea.gguf", "Q4_K_M"))
    world.must(*world.pull_command)
    world.check("crowd")
    check_chats(world, stored)


def _end_all(world: World, started: Sequence[tuple[str, Process, float]]) -> list[str]:
    """Kill each process when its time has come; return the messages that windows stored."""
    begin, stored = time.monotonic(), []
    for kind, process, at in sorted(started, key=lambda one: one[2]):
        while process.popen.poll() is None and time.monotonic() - begin < at:
            time.sleep(0.02)
        ended = world.kill(process, 0)
        if ended.code == 0 and kind in ("import", "copy"):
            file = Path(process.arguments[2])
            world.imported.add(str(file if kind == "import" else world.models / file.name))
        if ended.code > 0 and not ended.sentence.endswith("."):
            world.fall(f"crowd: {' '.join(process.arguments)} ended with {ended.code}: {ended.errors}")
        stored += [line.removeprefix("stored ") for line in ended.out.splitlines() if line.startswith("stored ")]
    for path in world.models.glob("Tea-*.gguf"):
        world.right.setdefault("pulled", digest(path))
    return stored


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """Mount a file system in memory."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def full_disk(world: World, kills: int) -> None:
    """Every command on a disk that is full, or becomes full at a random moment."""
    for number in range(max(1, kills // 5)):
        with small_disk(world.folder / "small", "40m") as disk:
            home = disk / "home"
            home.mkdir()
            shutil.copyfile(world.folder / "right-Q8_0.gguf", home / "keep.gguf")
            fill(disk, world.rng.randrange(0, 24_000_000) if number % 3 else 0)
            commands = [
                world.convert_command(home / "models" / "Tea.gguf", "Q8_0"),
                world.pull_command,
                ("models", "import", str(world.folder / "right-Q8_0.gguf"), "--copy"),
                ("models", "import", str(home / "keep.gguf")),
                ("chat", "--prompt", "Hello", "--max-tokens", "4", "--ctx", "256"),
                ("fit", str(world.source)),
                ("hardware",),
                ("doctor",),
            ]
            world.rng.shuffle(commands)
            for command in commands:
                ended = world.refused(*command, home=home)
                tells = ended.sentence.endswith(".") or command[0] == "doctor"  # which prints a table
                if ended.code not in (0, 1) or (ended.code and not tells):
                    world.fall(f"full disk: {' '.join(command)} ended with {ended.code}: {ended.errors}")
                if ended.code and command[0] in ("chat", "fit", "hardware"):
                    world.fall(f"full disk: {command[0]} does not work: {ended.errors}")
            (disk / "filling").unlink()
            world.check("full disk", home)
            world.must("models", "import", str(home / "keep.gguf"), home=home)


def short_disk(world: World, kills: int) -> None:
    """`pull` onto a disk with room for what the plan says, which is less than the download and its result."""
    model = random_llama(5, hidden_size=1024, intermediate_size=2816, num_hidden_layers=3, **VOCABULARY)
    source = sharded_source(world.folder / "org--Tea", model, 6)
    weights = [path.stat().st_size for path in source.glob("*.safetensors")]
    world.server.repositories[SHARDED] = repository_of(source)
    write_manifest(source, {"repository": SHARDED, "page": f"{world.server.endpoint}/{SHARDED}"})
    right = world.folder / "right-sharded.gguf"
    world.must("convert", str(source), "--quant", "Q8_0", "--out", str(right), "--threads", "1")
    world.right[SHARDED] = digest(right)
    said = right.stat().st_size + 2 * max(weights) + _SPARE
    if said + _SMALL_FILES > right.stat().st_size + sum(weights) + _SPARE:
        world.fall("short disk: it has room for everything")
    pull = ("pull", SHARDED, "--quant", "Q8_0", "--endpoint", world.server.endpoint, "--threads", "1")
    with small_disk(world.folder / "short", str(said + _SMALL_FILES)) as disk:
        home = disk / "home"
        home.mkdir()
        for _ in range(kills):
            ended = world.kill(world.start(*pull, home=home), 4.0)
            if ended.code > 0:
                world.fall(f"short disk: {ended.errors}")
            world.check("short disk", home)
        world.must(*pull, home=home)
        models = world.check("short disk", home)
        if not any(path.is_relative_to(home) for path in models.values()):
            world.fall("short disk: no model")
        if list(home.rglob("*.part")) or list(home.rglob("*.safetensors")):
            world.fall("short disk: weights are left")


def fill(disk: Path, free: int) -> None:
    """Leave so many bytes."""
    with (disk / "filling").open("wb") as file, suppress(OSError):
        file.write(bytes(max(0, shutil.disk_usage(disk).free - free)))


def read_only(world: World, kills: int) -> None:
    """A data folder that cannot be written: what only reads works, what writes says one sentence."""
    with small_disk(world.folder / "fixed", "60m") as disk:
        home = disk / "home"
        (home / "models").mkdir(parents=True)
        shutil.copyfile(world.folder / "right-Q8_0.gguf", home / "models" / "Tea.gguf")
        subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
        for command in (
            ("chat", "--prompt", "Hello", "--max-tokens", "4", "--ctx", "256"),
            ("chat", "-m", "Tea", "--prompt", "Hello", "--max-tokens", "4", "--ctx", "64"),
            ("fit", str(world.folder / "right-Q8_0.gguf")),
            ("fit", str(world.source)),
            ("models", "list"),
            ("models", "info", "Tea"),
            ("hardware",),
            ("tokenize", "Tea", "Hello"),
            world.convert_command(world.folder / "out.gguf", "Q8_0"),
        ):
            world.must(*command, home=home)
        for command in (
            world.pull_command,
            ("models", "import", str(elsewhere(world, "fixed"))),
            ("models", "import", str(elsewhere(world, "fixed")), "--copy"),
            ("models", "remove", "Tea"),
            world.convert_command(home / "models" / "Other.gguf", "Q8_0"),
        ):
            ended = world.refused(*command, home=home)
            if ended.code != 1 or not ended.sentence.endswith("."):
                world.fall(f"read-only: {' '.join(command)} ended with {ended.code}: {ended.errors}")
        world.check("read-only", home)


def timed(work: Callable[[], object]) -> float:
    """Return how many seconds something takes."""
    start = time.monotonic()
    work()
    return time.monotonic() - start


KINDS: dict[str, Callable[[World, int], None]] = {
    "convert": kill_conversions,
    "pull": kill_downloads,
    "import": kill_imports,
    "engine": kill_engines,
    "window": kill_windows,
    "crowd": crowd,
    "disk-full": full_disk,
    "short-disk": short_disk,
    "read-only": read_only,
}
_MOUNTING = ("disk-full", "short-disk", "read-only")


def run(kind: str, kills: int, seed: int, folder: Path) -> World:
    """Run one kind in an empty folder."""
    with HubServer() as server:
        world = World(folder, server, random.Random(seed))
        KINDS[kind](world, kills)
        return world


def main() -> int:
    """Run the kinds that are named, or all."""
    parser = argparse.ArgumentParser()
    parser.add_argument("kinds", nargs="*", metavar="KIND", default=[])
    parser.add_argument("--kills", type=int, default=15)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    fallen = 0
    for kind in given.kinds or KINDS:
        if kind in _MOUNTING and (sys.platform != "linux" or os.geteuid() != 0):
            print(f"{kind}: left out, since only root can mount a file system", flush=True)
            continue
        with tempfile.TemporaryDirectory(dir=given.folder) as folder:
            begin = time.monotonic()
            world = run(kind, given.kills, given.seed, Path(folder))
        fallen += len(world.falls)
        print(
            f"{kind} (seed {given.seed}): {world.kills} kills, {len(world.falls)} falls, {time.monotonic() - begin:.0f} s",
            flush=True,
        )
    return 1 if fallen else 0


if __name__ == "__main__":
    raise SystemExit(main())
