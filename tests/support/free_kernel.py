"""The kernel of the code interpreter without its sandbox, for the tests that show what the sandbox holds back."""

from __future__ import annotations

import sys

from desktop_app.assistant.sandbox import kernel, landlock, linux, seccomp


def _nothing(*_: object) -> None:
    """Confine nothing."""


def main() -> None:
    """Run what comes, as `zhiyin --python` does, with nothing held back."""
    landlock.restrict = seccomp.restrict = linux.limit = _nothing
    kernel.main(int(sys.argv[1]))


if __name__ == "__main__":
    main()
