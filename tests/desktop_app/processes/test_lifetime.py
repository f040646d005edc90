"""Every process of ours ends when its parent does, whatever it computes at that moment."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from converter.pipeline import ConvertRequest, convert
from desktop_app.processes.worker import Tell
from tests.models.chat.test_published_files import baichuan_chat

ROOT = Path(__file__).parents[3]
BEGUN = "begun"
WAIT = 60.0

WORKER = """
import sys, threading
from functools import partial
from desktop_app.processes.worker import in_process
from tests.desktop_app.processes import test_lifetime
work = partial(getattr(test_lifetime, sys.argv[1]), *sys.argv[2:])
in_process(work, lambda event: print(*event, flush=True), threading.Event())
"""
STARTED_ON_A_THREAD_THAT_ENDS = """
import sys, threading, time
from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import Devices
engine = Engine()
thread = threading.Thread(target=lambda: engine.submit(Devices()).result(60))
thread.start()
thread.join()
time.sleep(7)
assert engine.submit(Devices()).result(60).backends
print("begun", engine.pid, flush=True)
time.sleep(600)
"""
GENERATING = """
import sys, threading
from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import Generate, Load, LoadSettings, SamplingSettings
engine = Engine()
def tell(event):
    if getattr(event, "phase", "text") == sys.argv[2]:
        print("begun", engine.pid, flush=True)
engine.submit(Load(sys.argv[1], LoadSettings(context=2048)), tell).result(60)
chat = ({"role": "user", "content": "Tell me a very long story. " * 100},)
engine.submit(Generate(chat, SamplingSettings(temperature=1)), tell).result(600)
"""

RENDERING = """
import sys, threading
from desktop_app.engine.client import Engine
from desktop_app.engine.protocol import Load, LoadSettings, Prompt
engine = Engine()
engine.submit(Load(sys.argv[1], LoadSettings(context=256))).result(60)
job = engine.submit(Prompt(({"role": "user", "content": "endless"},)))
print("begun", engine.pid, flush=True)
try:
    job.result(600)
finally:
    print("ended", flush=True)
"""


def compute_in_c(tell: Tell, cancelled: Callable[[], bool]) -> None:
    """Hold the GIL for hours."""
    tell((BEGUN, os.getpid()))
    number = 10
    number ** (number**8)


def ignore_the_end(tell: Tell, cancelled: Callable[[], bool]) -> None:
    tell((BEGUN, os.getpid()))
    while True:
        time.sleep(0.01)


def convert_model(source: str, out: str, tell: Tell, cancelled: Callable[[], bool]) -> None:
    request = ConvertRequest(Path(source), Path(out), "Q4_K_M", threads=1)
    convert(request, lambda _: tell((BEGUN, os.getpid())), cancelled)


def survivors_of_killed(code: str, *arguments: str | Path) -> list[int]:
    """Run a parent until it says that its child has begun, kill it, and return which of its processes do not end."""
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as parent:
        children = children_of(parent)
        parent.kill()
    return survivors_of(children)


def children_of(parent: subprocess.Popen[str]) -> list[psutil.Process]:
    """Return the children as soon as the parent says that the work has begun."""
    assert parent.stdout is not None
    assert parent.stdout.readline().startswith(BEGUN)
    children = psutil.Process(parent.pid).children(recursive=True)
    assert children
    return children


def survivors_of(children: list[psutil.Process]) -> list[int]:
    _, alive = psutil.wait_procs(children, timeout=WAIT)
    for process in alive:
        process.kill()
    return [process.pid for process in alive]


pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills as POSIX does")


@pytest.mark.parametrize("work", [compute_in_c, ignore_the_end])
def test_work_that_cannot_be_stopped_ends_with_the_window(work: Callable[..., None]) -> None:
    assert survivors_of_killed(WORKER, work.__name__) == []


def test_a_conversion_ends_with_the_window_and_leaves_nothing(smollm2_checkpoint: Path, tmp_path: Path) -> None:
    assert survivors_of_killed(WORKER, "convert_model", smollm2_checkpoint, tmp_path / "model.gguf") == []
    assert not list(tmp_path.glob("**/*.gguf*"))


@pytest.mark.parametrize("during", ["load", "prompt", "text"])
def test_the_engine_ends_with_its_parent(during: str, starter_gguf: Path) -> None:
    assert survivors_of_killed(GENERATING, starter_gguf, during) == []


@pytest.fixture(scope="module")
def endless_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose template computes for hours in C at a word that only the test sends: loading renders probes."""
    folder = tmp_path_factory.mktemp("endless")
    template = "{% if messages[-1].content == 'endless' %}{% set n = 10 %}{{ (n ** (n ** 8)) % 7 }}{% endif %}"
    source = baichuan_chat(folder / "source", generation=None, template=template)
    return convert(ConvertRequest(source, folder / "model.gguf", "F32")).path


@pytest.mark.parametrize("killed", ["parent", "engine"])
def test_the_renderer_ends_with_the_engine(killed: str, endless_template: Path) -> None:
    command = [sys.executable, "-c", RENDERING, endless_template]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as parent:
        children = children_of(parent)
        while len(children) < 2:  # the renderer starts with the first prompt
            time.sleep(0.01)
            children = psutil.Process(parent.pid).children(recursive=True)
        engine, renderer = children
        busy = renderer.cpu_times().user + 0.3
        while renderer.cpu_times().user < busy:
            time.sleep(0.01)
        (engine if killed == "engine" else parent).kill()
        assert survivors_of([engine, renderer]) == []


def test_the_end_of_a_thread_ends_no_process_that_it_started() -> None:
    assert survivors_of_killed(STARTED_ON_A_THREAD_THAT_ENDS) == []


def test_a_process_whose_parent_is_gone_already_ends_at_once() -> None:
    ends, held = os.pipe()
    os.close(held)
    code = "import sys, time; from desktop_app.processes.lifetime import end_with_parent\n"
    code += "end_with_parent(int(sys.argv[1]), grace=True); time.sleep(600)"
    child = subprocess.Popen([sys.executable, "-c", code, str(ends)], cwd=ROOT, pass_fds=(ends,))
    os.close(ends)
    assert child.wait(WAIT) == 0


def test_without_grace_a_process_ends_at_once() -> None:
    ends, held = os.pipe()
    code = "import sys; from desktop_app.processes.lifetime import end_with_parent\n"
    code += "end_with_parent(int(sys.argv[1]), grace=False); print('begun', flush=True); n = 10; n ** (n ** 8)"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(ends)], cwd=ROOT, pass_fds=(ends,), stdout=subprocess.PIPE
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        os.close(held)
        assert child.wait(WAIT) != -signal.SIGKILL
    os.close(ends)
