"""llama.cpp's RPC backend in our processes: workers' devices among this computer's own, and this computer's lent to others.

The backend is the engine part `rpc`, which is loaded for nothing else.
"""

from __future__ import annotations

import ctypes
import os
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from converter.ggml import load_library
from desktop_app.engine.parts.loading import load_plug_ins
from desktop_app.engine.parts.store import PartStore
from desktop_app.engine.parts.trial import compare_hashes
from models.errors import ZhiyinError

_IDLE, _BETWEEN, _TRIES = 5, 2, 3
"""Seconds of silence before the system asks whether the other side is there, between two questions, and how many."""


def add_workers(store: PartStore, workers: Sequence[str]) -> None:
    """Register the devices of workers with ggml, which ends this process where one does not answer.

    Raises:
        ZhiyinError: the engine part is not here, or is damaged.
    """
    registry, library = _backend(store), load_library("ggml")
    add = _function(registry, "ggml_backend_rpc_add_server", ctypes.c_void_p, ctypes.c_char_p)
    library.ggml_backend_register.argtypes, library.ggml_backend_register.restype = [ctypes.c_void_p], None
    for worker in workers:
        server = add(worker.encode())
        if not server:
            raise ZhiyinError("The worker {worker} lends no device.", worker=worker)
        library.ggml_backend_register(server)
        _hold(server)
    _notice_silence()


def lend(store: PartStore, address: str, threads: int, devices: Sequence[int]) -> None:
    """Let others compute on devices of this computer, one connection after the other, for the life of this process."""
    serve = _function(
        _backend(store),
        "ggml_backend_rpc_start_server",
        None,
        *(ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_void_p),
    )
    serve(address.encode(), None, threads, len(devices), (ctypes.c_void_p * len(devices))(*devices))


def _backend(store: PartStore) -> int:
    part = store.rpc()
    compare_hashes(part)
    load_plug_ins(part)
    find = load_library("ggml").ggml_backend_reg_by_name
    find.argtypes, find.restype = [ctypes.c_char_p], ctypes.c_void_p
    handle: int | None = find(b"RPC")
    if not handle:
        raise ZhiyinError("The engine part {part} does not load; add it again.", part=part.manifest.id)
    return handle


def _function(registry: int, name: str, result: Any, *arguments: Any) -> Any:
    find = load_library("ggml-base").ggml_backend_reg_get_proc_address
    find.argtypes, find.restype = [ctypes.c_void_p, ctypes.c_char_p], ctypes.c_void_p
    return ctypes.CFUNCTYPE(result, *arguments)(find(registry, name.encode()))


def _hold(server: int) -> None:
    """Keep one connection to a worker for the life of this process: ggml would make one for each question otherwise."""
    base = load_library("ggml-base")
    for name, arguments in (
        ("ggml_backend_reg_dev_get", [ctypes.c_void_p, ctypes.c_size_t]),
        ("ggml_backend_dev_init", [ctypes.c_void_p, ctypes.c_char_p]),
    ):
        function = getattr(base, name)
        function.argtypes, function.restype = arguments, ctypes.c_void_p
    base.ggml_backend_dev_init(base.ggml_backend_reg_dev_get(server, 0), None)


def _notice_silence() -> None:
    """Have the system close connections whose other side is gone without a word: ggml itself waits for ever.

    Its sockets are found among this process's files; where the system lists none, nothing is changed.
    """
    with suppress(OSError):
        for name in Path("/dev/fd").iterdir():
            with suppress(OSError, ValueError):
                _keep_alive(int(name.name))


def _keep_alive(descriptor: int) -> None:
    with socket.socket(fileno=os.dup(descriptor)) as connection:
        if connection.family not in (socket.AF_INET, socket.AF_INET6) or connection.type != socket.SOCK_STREAM:
            return
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in (("TCP_KEEPIDLE", _IDLE), ("TCP_KEEPINTVL", _BETWEEN), ("TCP_KEEPCNT", _TRIES)):
            if hasattr(socket, option):
                connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            seconds = _IDLE + _BETWEEN * _TRIES
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000 * seconds)
