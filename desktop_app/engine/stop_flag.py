"""Aborts a computation in ggml from another thread."""

from __future__ import annotations

import ctypes
import os


class StopFlag:
    """A byte that ggml reads before every node of a graph.

    The callback is C's strlen, true as soon as the first byte of its data is not zero: a Python function would take the GIL
    before every node of every graph.
    """

    def __init__(self) -> None:
        """Begin unset."""
        self._byte = ctypes.create_string_buffer(2)
        library = ctypes.CDLL("ucrtbase" if os.name == "nt" else None)
        self.callback = ctypes.cast(library.strlen, ctypes.c_void_p)
        self.data = ctypes.cast(self._byte, ctypes.c_void_p)

    def set(self, stop: bool) -> None:
        """Stop what runs (True), or let the next run (False)."""
        self._byte[0] = b"\x01" if stop else b"\x00"

    def __bool__(self) -> bool:
        return self._byte[0] != b"\x00"
