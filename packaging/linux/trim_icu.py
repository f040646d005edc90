"""Takes out of ICU's data what Qt does not ask for here: of 32 MB 3 stay.

    python packaging/linux/trim_icu.py FOLDER/libicudata.so.73

Qt is linked with ICU for the order of words (QCollator: root and Chinese; a file dialog sorts by it) and for old
encodings (Chinese ones stay). Names of countries, currencies, units and time zones, transliteration and line breaking are
Qt's own or unused. The data is one archive ("CmnD": a table of names and offsets, then the items) behind one symbol; the
library is linked again around a smaller one, by the compiler that llama.cpp needs anyway.
"""

from __future__ import annotations

import argparse
import re
import struct
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

KEEP = re.compile(
    r"[^/]+/(coll/(root|ucadata|res_index|zh(_\w+)?)|root|pool|res_index|supplementalData|likelySubtags|keyTypeData|metadata"
    # The converters of Windows are differences to those of IBM.
    r"|numberingSystems|timezoneTypes|zoneinfo64|cnvalias|gb18030|windows-936-2000|windows-950-2000|ibm-1386_\S+|ibm-1373_\S+)"
    r"\.(res|icu|cnv)"
)
_ALIGNED = 16
_FORMAT = b"CmnD"
_FORMAT_AT = 12  # in the header: its size, magic numbers, and what describes the data


def read_archive(data: bytes) -> tuple[bytes, dict[str, bytes]]:
    """Return the archive's header and its items by name, from a library or a file that has it inside."""
    start = data.index(_FORMAT) - _FORMAT_AT
    (header_size,) = struct.unpack_from("<H", data, start)
    table = start + header_size
    (count,) = struct.unpack_from("<I", data, table)
    entries = [struct.unpack_from("<II", data, table + 4 + 8 * number) for number in range(count)]
    # The last item reaches into what the linker wrote behind the archive, which no reader of an item looks at.
    ends = [*(offset for _, offset in entries[1:]), len(data) - table]
    items = {}
    for (name_at, item_at), end in zip(entries, ends, strict=True):
        name = data[table + name_at : data.index(b"\0", table + name_at)].decode("ascii")
        items[name] = data[table + item_at : table + end]
    return data[start:table], items


def write_archive(header: bytes, items: Mapping[str, bytes]) -> bytes:
    """Return an archive of these items; their names are in ICU's order, which is that of their bytes."""
    names = sorted(items)
    texts = b"".join(name.encode("ascii") + b"\0" for name in names)
    name_at = 4 + 8 * len(names)
    item_at = name_at + len(texts) + -(name_at + len(texts)) % _ALIGNED
    table, bodies = bytearray(struct.pack("<I", len(names))), bytearray()
    for name in names:
        table += struct.pack("<II", name_at, item_at + len(bodies))
        name_at += len(name) + 1
        bodies += items[name] + bytes(-len(items[name]) % _ALIGNED)
    head = bytes(table) + texts
    return header + head + bytes(item_at - len(head)) + bytes(bodies)


def trim(library: Path, keep: re.Pattern[str] = KEEP) -> None:
    """Replace a library of ICU's data by one with the wanted items."""
    header, items = read_archive(library.read_bytes())
    wanted = {name: item for name, item in items.items() if keep.fullmatch(name)}
    symbol = next(iter(items)).split("/")[0].rstrip("lb") + "_dat"
    with tempfile.TemporaryDirectory() as folder:
        data, source, linked = (Path(folder, name) for name in ("data", "data.s", "linked"))
        data.write_bytes(write_archive(header, wanted))
        source.write_text(
            f'.section .rodata\n.balign {_ALIGNED}\n.globl {symbol}\n.type {symbol}, %object\n{symbol}: .incbin "{data}"\n'
            f'.size {symbol}, . - {symbol}\n.section .note.GNU-stack,"",%progbits\n',
            "ascii",
        )
        command = ["cc", "-shared", "-nostdlib", f"-Wl,-soname,{library.name}", "-o", str(linked), str(source)]
        subprocess.run(command, check=True)
        library.write_bytes(linked.read_bytes())


def main() -> None:
    """Trim the library that is named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library", type=Path)
    library = parser.parse_args().library
    before = library.stat().st_size
    trim(library)
    print(f"{library.name}: {before} bytes, now {library.stat().st_size}")


if __name__ == "__main__":
    main()
