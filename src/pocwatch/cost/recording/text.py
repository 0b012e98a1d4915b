"""Tables as text for a terminal."""

from __future__ import annotations

import textwrap

from pocwatch.cost.recording.tables import Cell, Table

WIDTH = 100


def _said(cell: Cell) -> str:
    return f"{cell:,}" if isinstance(cell, int) else cell


def render(table: Table) -> str:
    """Return a table, numbers to the right; a row that ends early is a sentence."""
    rows = [[_said(cell) for cell in row] for row in table.rows]
    whole = [row for row in rows if len(row) == len(table.columns)]
    widths = [
        max(len(row[i]) for row in [*whole, list(table.columns)]) for i in range(len(table.columns))
    ]
    full = [row for row in table.rows if len(row) == len(table.columns)]
    numbers = [
        bool(full) and all(isinstance(row[i], int) or row[i] == "" for row in full)
        for i in range(len(table.columns))
    ]

    def line(cells: list[str]) -> str:
        if len(cells) < len(table.columns):
            return f"{cells[0]:<{widths[0]}}  {' '.join(cells[1:])}"
        return "  ".join(
            f"{cell:>{width}}" if number else f"{cell:<{width}}"
            for cell, width, number in zip(cells, widths, numbers, strict=True)
        ).rstrip()

    lines = [table.title, "", line(list(table.columns)), *map(line, rows)]
    if table.note:
        lines += ["", *textwrap.wrap(table.note, WIDTH)]
    return "\n".join(lines) + "\n"
