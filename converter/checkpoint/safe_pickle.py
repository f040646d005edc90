"""Reads pickles without running anything: an allow-list of opcodes and of the few names that a saved tensor needs.

The pure-Python `pickle._Unpickler` is used on purpose: its memo is a dict, where the C one grows an array to whatever index
a file names. Opcodes that make instances, change them or allocate by a number in the file are not in the table at all.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

_LONGEST_READ = 16 * 1024 * 1024
_LONGEST_PICKLE = 64 * 1024 * 1024
_MOST_READS = 1_000_000
"""Opcodes and their arguments: enough for 17,000 tensors in one file, and half a second."""
_OPCODES = (
    "PROTO",
    "FRAME",
    "STOP",
    "MARK",
    "POP",
    "POP_MARK",
    "MEMOIZE",
    "PUT",
    "BINPUT",
    "LONG_BINPUT",
    "GET",
    "BINGET",
    "LONG_BINGET",
    "NONE",
    "NEWTRUE",
    "NEWFALSE",
    "INT",
    "BININT",
    "BININT1",
    "BININT2",
    "LONG",
    "LONG1",
    "LONG4",
    "FLOAT",
    "BINFLOAT",
    "STRING",
    "BINSTRING",
    "SHORT_BINSTRING",
    "UNICODE",
    "BINUNICODE",
    "SHORT_BINUNICODE",
    "BINUNICODE8",
    "BINBYTES",
    "SHORT_BINBYTES",
    "TUPLE",
    "EMPTY_TUPLE",
    "TUPLE1",
    "TUPLE2",
    "TUPLE3",
    "LIST",
    "EMPTY_LIST",
    "APPEND",
    "APPENDS",
    "DICT",
    "EMPTY_DICT",
    "SETITEM",
    "SETITEMS",
    "GLOBAL",
    "STACK_GLOBAL",
    "REDUCE",
    "BUILD",
    "BINPERSID",
)
_CODES = {opcode.name: ord(opcode.code) for opcode in pickletools.opcodes}


class RefusedPickle(Exception):
    """The pickle asks for something outside the allow-list; the text names it."""


class DamagedPickle(Exception):
    """The bytes are no whole pickle."""


def load_pickle(file: BinaryIO, names: Mapping[str, Any], persistent: Callable[[Any], Any]) -> Any:
    """Read one pickle from the file's position and stop behind it.

    Args:
        file: positioned at the pickle.
        names: what may be asked for: "module name" -> a function of ours, or a plain value.
        persistent: turns a persistent id into an object.

    Raises:
        RefusedPickle: it asks for another class, a set, an instance or the like.
        DamagedPickle: truncated or nonsense.
    """
    try:
        return _Unpickler(_Bounded(file), names, persistent).load()
    except (RefusedPickle, DamagedPickle):
        raise
    except Exception as error:  # a damaged pickle fails in every way there is
        raise DamagedPickle(type(error).__name__) from error


class _Bounded:
    """Keeps a length in a damaged pickle from reading a whole file of weights."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._left = _LONGEST_PICKLE
        self._reads_left = _MOST_READS

    def read(self, size: int) -> bytes:
        if size > _LONGEST_READ:
            raise DamagedPickle("a length is absurd")
        return self._counted(self._file.read(size))

    def readline(self) -> bytes:
        return self._counted(self._file.readline(_LONGEST_READ))

    def _counted(self, data: bytes) -> bytes:
        self._left -= len(data)
        self._reads_left -= 1
        if self._left < 0 or self._reads_left < 0:
            raise DamagedPickle("it is absurdly long")
        return data


class _Unpickler(pickle._Unpickler):
    """Python's own interpreter with most of its opcodes taken out."""

    stack: list[Any]
    append: Callable[[Any], None]
    read: Callable[[int], bytes]
    pop_mark: Callable[[], list[Any]]

    def __init__(self, file: _Bounded, names: Mapping[str, Any], persistent: Callable[[Any], Any]) -> None:
        # Python 2 wrote state dicts whose names are bytes.
        super().__init__(file, fix_imports=False, encoding="latin-1")
        self._names = names
        self._persistent = persistent

    def persistent_load(self, pid: Any) -> Any:
        return self._persistent(pid)

    def find_class(self, module: str, name: str) -> Any:
        wanted = f"{module} {name}"
        if wanted not in self._names:
            raise RefusedPickle(f"{module}.{name}"[:120])
        return self._names[wanted]

    def _frame(self) -> None:
        """Pass over a frame's length: frames only tell how much to read at once, and all reads are counted here."""
        self.read(8)

    def _reduce(self) -> None:
        arguments = self.stack.pop()
        function = self.stack[-1]
        # Only what find_class gave is callable here; the tuple check keeps `*` from walking through a str.
        if not callable(function) or not isinstance(arguments, tuple):
            raise DamagedPickle("a call of something that is no function")
        self.stack[-1] = function(*arguments)

    def _build(self) -> None:
        """Drop an object's attributes: a state dict's `_metadata` means nothing here."""
        self.stack.pop()

    def _set_item(self) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._store([key, value])

    def _set_items(self) -> None:
        self._store(self.pop_mark())

    def _dict(self) -> None:
        items = self.pop_mark()
        self.append({})
        self._store(items)

    def _store(self, items: list[Any]) -> None:
        target = self.stack[-1]
        # Other keys could nest so deeply that hashing them overflows the C stack.
        if not isinstance(target, dict) or len(items) % 2 or not all(isinstance(key, (str, int)) for key in items[::2]):
            raise DamagedPickle("a dict with strange keys")
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[key] = value


def _refuse(name: str) -> Callable[[_Unpickler], None]:
    def refused(_: _Unpickler) -> None:
        raise RefusedPickle(f"the pickle opcode {name}")

    return refused


def ordered_dict(*arguments: Any) -> OrderedDict[str, Any]:
    """Stand for `collections.OrderedDict`, which is always pickled empty or with a list of pairs."""
    if not arguments:
        return OrderedDict()
    (pairs,) = arguments
    if not isinstance(pairs, list) or not all(isinstance(pair, (list, tuple)) for pair in pairs):
        raise DamagedPickle("an OrderedDict of something else")
    if not all(len(pair) == 2 and isinstance(pair[0], (str, int)) for pair in pairs):
        raise DamagedPickle("an OrderedDict with strange keys")
    return OrderedDict(pairs)


def load_pickle_bytes(data: bytes, names: Mapping[str, Any], persistent: Callable[[Any], Any]) -> Any:
    """Read the pickle that `data` is; errors as `load_pickle`."""
    return load_pickle(io.BytesIO(data), names, persistent)


_DISPATCH: dict[int, Any] = {
    **{code: _refuse(name) for name, code in _CODES.items()},
    **{_CODES[name]: pickle._Unpickler.dispatch[_CODES[name]] for name in _OPCODES},
    _CODES["FRAME"]: _Unpickler._frame,
    _CODES["REDUCE"]: _Unpickler._reduce,
    _CODES["BUILD"]: _Unpickler._build,
    _CODES["SETITEM"]: _Unpickler._set_item,
    _CODES["SETITEMS"]: _Unpickler._set_items,
    _CODES["DICT"]: _Unpickler._dict,
}
_Unpickler.dispatch = _DISPATCH
