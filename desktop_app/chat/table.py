"""A small table that a tool gave: texts in rows and columns, bounded whatever comes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

MOST_ROWS, MOST_COLUMNS, LONGEST_CELL = 200, 30, 200


@dataclass(frozen=True)
class Table:
    """Texts; each row has as many as there are columns."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left_out: int = 0
    """Rows that are not here."""

    def stored(self) -> dict[str, Any]:
        """Return it as a message's fact."""
        return {"columns": list(self.columns), "rows": [list(row) for row in self.rows], "left_out": self.left_out}


def table_from(stored: Any) -> Table | None:
    """Return a table from plain values of anybody's; None where they are none."""
    if not isinstance(stored, dict) or not isinstance(stored.get("rows"), list):
        return None
    columns = _texts(stored.get("columns"))
    rows = tuple(_texts(row) for row in stored["rows"][:MOST_ROWS])
    left_out = stored.get("left_out")
    if not columns or any(len(row) != len(columns) for row in rows):
        return None
    return Table(columns, rows, left_out if isinstance(left_out, int) and left_out > 0 else 0)


def _texts(values: Any) -> tuple[str, ...]:
    return tuple(str(value)[:LONGEST_CELL] for value in values[:MOST_COLUMNS]) if isinstance(values, list) else ()
