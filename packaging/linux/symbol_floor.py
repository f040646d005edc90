"""Lists the versions of the system's libraries that the files of a tree need, and holds them to bounds.

    python packaging/linux/symbol_floor.py TREE [--most GLIBC=2.36 ...] [--print GLIBC]

A file needs the highest version of a symbol that it takes from libc (GLIBC), libstdc++ (GLIBCXX, CXXABI) and libgcc_s (GCC).
They are read with readelf, which comes with every compiler. Exit 1: something needs more than it may; each such file is named.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

Version = tuple[int, ...]
_NEEDED = re.compile(r"Name: ([A-Z]+)_([0-9]+(?:\.[0-9]+)*)\s")
_SECTION = re.compile(r"^Version (needs|definition|symbols) section", re.MULTILINE)
FAMILIES = ("GLIBC", "GLIBCXX", "CXXABI", "GCC")


def version(text: str) -> Version:
    """Return the numbers of a version, to compare."""
    return tuple(map(int, text.split(".")))


def words(numbers: Version) -> str:
    """Return a version as it is written."""
    return ".".join(map(str, numbers))


def needs(listing: str) -> dict[str, Version]:
    """Return of each family the highest version in the "needs" section that `readelf --version-info` prints.

    What a library defines itself is in another section, and is no need.
    """
    found: dict[str, Version] = {}
    # A text before the first heading, then headings and texts by turns.
    _, *parts = _SECTION.split(listing)
    sections = zip(parts[::2], parts[1::2], strict=True)
    for text in (text for kind, text in sections if kind == "needs"):
        for family, numbers in _NEEDED.findall(text):
            if family in FAMILIES:
                found[family] = max(found.get(family, ()), version(numbers))
    return found


def elf_files(tree: Path) -> Iterator[Path]:
    """Yield the programs and libraries of a tree."""
    for path in sorted(tree.rglob("*")):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                if file.read(4) == b"\x7fELF":
                    yield path


def needs_of(path: Path) -> dict[str, Version]:
    """Return what one file needs."""
    command = ["readelf", "--version-info", "--wide", str(path)]
    return needs(subprocess.run(command, capture_output=True, text=True, check=True, env={"LC_ALL": "C"}).stdout)


def highest(found: Mapping[Path, Mapping[str, Version]]) -> dict[str, tuple[Version, Path]]:
    """Return of each family the highest version, and a file that needs it."""
    most: dict[str, tuple[Version, Path]] = {}
    for path, families in found.items():
        for family, numbers in families.items():
            if family not in most or numbers > most[family][0]:
                most[family] = (numbers, path)
    return most


def above(found: Mapping[Path, Mapping[str, Version]], most: Mapping[str, Version]) -> list[str]:
    """Return a line for each file that needs more than it may."""
    return [
        f"{path}: {family}_{words(numbers)}, at most {words(most[family])}"
        for path, families in found.items()
        for family, numbers in families.items()
        if family in most and numbers > most[family]
    ]


def _bound(text: str) -> tuple[str, Version]:
    family, _, numbers = text.partition("=")
    return family, version(numbers)


def main() -> int:
    """List what every file needs, or one family's highest."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tree", type=Path)
    parser.add_argument("--most", type=_bound, action="append", default=[], metavar="FAMILY=VERSION")
    parser.add_argument("--print", dest="family", choices=FAMILIES, help="only the highest version of this family")
    given = parser.parse_args()
    found = {path.relative_to(given.tree): needs_of(path) for path in elf_files(given.tree)}
    most = highest(found)
    if given.family:
        print(words(most[given.family][0]))
        return 0
    for path, families in found.items():
        print(path, *(f"{family}_{words(numbers)}" for family, numbers in sorted(families.items())))
    for family, (numbers, path) in sorted(most.items()):
        print(f"highest: {family}_{words(numbers)} ({path})")
    wrong = above(found, dict(given.most))
    print(*wrong, sep="\n", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
