"""What the operating system says of a failure, as a sentence that can be translated."""

from __future__ import annotations

import errno
import os

from models.sentence import Sentence

_BY_NAME = {
    "EPERM": Sentence("Operation not permitted"),
    "ENOENT": Sentence("No such file or directory"),
    "EINTR": Sentence("Interrupted system call"),
    "EIO": Sentence("Input/output error"),
    "ENXIO": Sentence("No such device or address"),
    "ENOEXEC": Sentence("Exec format error"),
    "EBADF": Sentence("Bad file descriptor"),
    "EAGAIN": Sentence("Resource temporarily unavailable"),
    "ENOMEM": Sentence("Cannot allocate memory"),
    "EACCES": Sentence("Permission denied"),
    "EBUSY": Sentence("Device or resource busy"),
    "EEXIST": Sentence("File exists"),
    "EXDEV": Sentence("Invalid cross-device link"),
    "ENODEV": Sentence("No such device"),
    "ENOTDIR": Sentence("Not a directory"),
    "EISDIR": Sentence("Is a directory"),
    "EINVAL": Sentence("Invalid argument"),
    "ENFILE": Sentence("Too many open files in system"),
    "EMFILE": Sentence("Too many open files"),
    "ETXTBSY": Sentence("Text file busy"),
    "EFBIG": Sentence("File too large"),
    "ENOSPC": Sentence("No space left on device"),
    "ESPIPE": Sentence("Illegal seek"),
    "EROFS": Sentence("Read-only file system"),
    "EMLINK": Sentence("Too many links"),
    "EPIPE": Sentence("Broken pipe"),
    "EDEADLK": Sentence("Resource deadlock avoided"),
    "ENAMETOOLONG": Sentence("File name too long"),
    "ENOLCK": Sentence("No locks available"),
    "ENOSYS": Sentence("Function not implemented"),
    "ENOTEMPTY": Sentence("Directory not empty"),
    "ELOOP": Sentence("Too many levels of symbolic links"),
    "EOVERFLOW": Sentence("Value too large for defined data type"),
    "EILSEQ": Sentence("Invalid or incomplete multibyte or wide character"),
    "ENOTSUP": Sentence("Operation not supported"),
    "EADDRINUSE": Sentence("Address already in use"),
    "EADDRNOTAVAIL": Sentence("Cannot assign requested address"),
    "ENETDOWN": Sentence("Network is down"),
    "ENETUNREACH": Sentence("Network is unreachable"),
    "ECONNABORTED": Sentence("Software caused connection abort"),
    "ECONNRESET": Sentence("Connection reset by peer"),
    "ENOBUFS": Sentence("No buffer space available"),
    "ETIMEDOUT": Sentence("Connection timed out"),
    "ECONNREFUSED": Sentence("Connection refused"),
    "EHOSTDOWN": Sentence("Host is down"),
    "EHOSTUNREACH": Sentence("No route to host"),
    "EDQUOT": Sentence("Disk quota exceeded"),
    "ESTALE": Sentence("Stale file handle"),
    "EREMOTEIO": Sentence("Remote I/O error"),
}
"""In the words of Linux's C library."""
_BY_NUMBER = {getattr(errno, name): words for name, words in _BY_NAME.items() if hasattr(errno, name)}


def system_reason(error: Exception) -> Sentence | str:
    """Return the reason of what the system raised, for a sentence; of other errors their own words."""
    if not isinstance(error, OSError):
        return str(error)
    if error.errno in _BY_NUMBER and _is_of_the_system(error):
        return _BY_NUMBER[error.errno]
    return error.strerror or str(error)


def _is_of_the_system(error: OSError) -> bool:
    """Tell whether an error's number is the system's: name resolution and TLS have numbers of their own."""
    if type(error).__module__ != "builtins":
        return False
    return error.strerror == os.strerror(error.errno or 0) or getattr(error, "winerror", None) is not None
