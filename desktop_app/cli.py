"""The command `zhiyin`: results on stdout, everything else on stderr; exit 0, 1 (failure) or 2 (wrong usage)."""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # built in: `signal` takes a while to import

if __name__ == "__main__" and _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)  # until `main` runs, Ctrl+C ends the process without a word

import gc
import importlib
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from desktop_app import reports
from desktop_app.commands.streams import prepare_streams, redirect_to_null, show_control_characters
from desktop_app.commands.terminal import INTERRUPTED, end_in_order, say
from desktop_app.paths import data_folder
from desktop_app.processes.logs import open_log
from models.errors import ZhiyinError
from models.system_errors import as_zhiyin_error

if TYPE_CHECKING:
    import argparse

_COMMANDS = {
    "chat": "chat in the terminal",
    "convert": "convert a checkpoint to GGUF",
    "pull": "fetch a model from the Hub, ready for chatting",
    "search": "look for models on the Hub or ModelScope by words",
    "models": "list, describe, import or remove models",
    "hardware": "show what this computer has",
    "fit": "show what this computer can run of a model",
    "tokenize": "show the token ids of a text",
    "embed": "make vectors of texts with an embedding model",
    "docs": "collections of documents: add, search, ask",
    "prompt": "show the prompt that a chat becomes",
    "logits": "write a model's logits for a text or token ids",
    "perplexity": "measure how well a model predicts a text",
    "quality": "measure how near a quantized model is to its original",
    "imatrix": "make an importance matrix for quantizing",
    "bench": "measure a model's speed and memory",
    "serve": "answer other programs: OpenAI's, Anthropic's and Ollama's protocols",
    "worker": "lend this computer's devices to another one",
    "remote": "list, add or remove servers whose models are used like those of this computer",
    "engine": "list, add or choose engine parts for graphics cards",
    "network": "show every connection, and switch to offline",
    "update": "look for a newer release and fetch it",
    "doctor": "check the installation",
}


def main(argv: list[str] | None = None) -> int:
    """Run a command and return its exit code."""
    if getattr(sys, "frozen", False):
        # tqdm, which huggingface-hub uses, makes a lock of multiprocessing; that starts the executable with arguments of its own.
        import multiprocessing

        from desktop_app.processes.start import restore_library_path

        multiprocessing.freeze_support()
        restore_library_path()
    arguments = sys.argv[1:] if argv is None else argv
    prepare_streams()
    if arguments[:1] not in [[name] for name in _OWN_PROCESSES]:
        show_control_characters()
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if arguments[:1] not in [[name] for name in _OWN_PROCESSES]:
        sys.unraisablehook = _take_unraisable
    try:
        code = _exit_code(arguments)
        sys.stdout.flush()
    except ZhiyinError as error:
        say(f"zhiyin: {error}")
        code = 1
    except KeyboardInterrupt:
        code = INTERRUPTED
    except BrokenPipeError:
        code = 1
    except Exception as error:
        if arguments and arguments[0] in _OWN_PROCESSES:
            raise  # its standard error is a log
        _log(error)
        say(f"zhiyin: {as_zhiyin_error(error)}")
        code = 1
    _drop_output()
    return code


_OWN_PROCESSES = {
    "--engine": "desktop_app.engine.server",
    "--worker": "desktop_app.processes.worker",
    "--renderer": "desktop_app.processes.renderer",
    "--python": "desktop_app.assistant.sandbox.kernel",
    "--extractor": "desktop_app.documents.extraction_process",
    "--server": "desktop_app.server.process",
    "--lend": "desktop_app.engine.lending_process",
    "--try-part": "desktop_app.engine.parts.trial_process",
}
"""What `processes.start` starts; its `main` takes the link to the process that did."""
_WATCHED = ("--worker", "--server", "--python")
"""Of these: what begins with `network.watch`, and what the system confines (`assistant/sandbox`); the others never connect."""


_AFTER_THE_CALLBACK = 0.01
"""Seconds; in the callback itself it would be dropped once more."""


def _take_unraisable(happened: sys.UnraisableHookArgs) -> None:
    """Raise Ctrl+C again that came in a callback (of a weak reference, a finalizer), where Python drops it; log other faults."""
    if isinstance(happened.exc_value, KeyboardInterrupt):
        from threading import Timer

        with suppress(RuntimeError):  # Python ends
            Timer(_AFTER_THE_CALLBACK, _interrupt).start()
    elif isinstance(happened.exc_value, Exception):
        _log(happened.exc_value)


def _interrupt() -> None:
    """Interrupt the main thread, also where it waits for the system."""
    import _thread
    from threading import main_thread

    number = main_thread().ident
    if hasattr(signal, "pthread_kill") and number is not None:
        signal.pthread_kill(number, signal.SIGINT)
    else:
        _thread.interrupt_main()


def _exit_code(arguments: list[str]) -> int:
    """Run what is asked; where it ends by itself, as after --help and after `kill`, return with what code."""
    try:
        return _dispatch(arguments)
    except SystemExit as end:
        if end.code is None or isinstance(end.code, int):
            return end.code or 0
        raise


def _dispatch(arguments: list[str]) -> int:
    code: int
    if arguments and arguments[0] in _OWN_PROCESSES:
        if arguments[0] not in _WATCHED:
            from desktop_app.processes.closed import forbid_connections

            forbid_connections()
        code = importlib.import_module(_OWN_PROCESSES[arguments[0]]).main(int(arguments[1]))
        return code
    if arguments[:1] == ["--smoke-test"]:
        from desktop_app.smoke_test import run as smoke_test

        return smoke_test()
    if not arguments or _names_model(arguments[0]):
        _watch_connections()
        _clear_up()
        return _open_window(arguments)
    parsed = _parser(arguments[0]).parse_args(arguments)
    _watch_connections()
    _clear_up()
    end_in_order()
    reports.listen(lambda error: say(f"zhiyin: {error}"))
    code = importlib.import_module(f"desktop_app.commands.{parsed.command}").run(parsed)
    return code


def _watch_connections() -> None:
    from desktop_app.network import watch  # not for --help and --version

    watch()


def _clear_up() -> None:
    """Remove what killed processes left of our own small files; the models' folder is cleared up where it is looked through."""
    with suppress(ZhiyinError, OSError):
        folder = data_folder()
        if any(name.startswith(".") for name in os.listdir(folder)):  # noqa: PTH208 - the names are enough
            from converter.atomic_write import remove_leftovers

            remove_leftovers(folder)


def _names_model(text: str) -> bool:
    """Tell whether a GGUF file is named in place of a command."""
    if text in _COMMANDS or text.startswith("-"):
        return False
    if text.lower().endswith(".gguf"):
        return True
    from converter.gguf_header import is_gguf  # takes a while

    return is_gguf(Path(text))


def _parser(chosen: str) -> argparse.ArgumentParser:
    """Return the parser; only the chosen command's module is imported, which keeps the start fast."""
    import argparse
    from importlib.metadata import version

    parser = argparse.ArgumentParser(
        prog="zhiyin",
        description="Zhiyin 知音: convert any open LLM to GGUF and chat with it, offline. Without a command: the window.",
    )
    parser.add_argument("--version", action="version", version=f"zhiyin {version('zhiyin')}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, help_text in _COMMANDS.items():
        command = commands.add_parser(name, help=help_text, description=help_text[0].upper() + help_text[1:] + ".")
        if name == chosen:
            importlib.import_module(f"desktop_app.commands.{name}").add_arguments(command)
    return parser


def _open_window(arguments: list[str]) -> int:
    from desktop_app.system.display import missing_package, why_no_window

    reason = why_no_window()
    if reason is None:
        gc.disable()  # all that is made until the first paint stays; `collect_in_pauses` enables it
        try:
            from desktop_app.ui.plain_imports import use_plain_imports

            use_plain_imports()
            from desktop_app.ui.app import run
        except ImportError as error:
            gc.enable()
            reason = missing_package(error)
        else:
            return run(arguments)
    from desktop_app.system.display_libraries import missing_libraries
    from desktop_app.system.native_dialog import show_message, started_by_double_click

    text = f"Zhiyin cannot open its window: {reason}.\n\n知音无法打开窗口：{reason}。"
    if missing_libraries() and started_by_double_click() and show_message(text):
        return 1
    say(f"No window: {reason}. Going on as `zhiyin chat`.")
    model = ["-m", arguments[0]] if arguments else []
    return _dispatch(["chat", *model])


def _log(error: Exception) -> None:
    """Keep where a fault of ours happened, for a bug report."""
    if not isinstance(error, OSError | MemoryError):
        with suppress(ZhiyinError, OSError), open_log("command") as log:
            import traceback

            log.write("".join(traceback.format_exception(error)).encode("utf-8", "replace"))


def _drop_output() -> None:
    """Forget what could not be printed, so that Python does not try again at its end."""
    for descriptor, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            stream.flush()
        except (OSError, ValueError):
            redirect_to_null(descriptor)


if __name__ == "__main__":
    try:
        code = main()
    except KeyboardInterrupt:  # once more, while the first one was answered
        code = INTERRUPTED
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Python's own end says what interrupts it
    if "desktop_app.ui.app" in sys.modules:
        os._exit(code)  # a window was here: all is stored, and to take apart what it was made of takes a while
    raise SystemExit(code)
