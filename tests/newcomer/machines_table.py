"""The measured table of docs/machines.md: a row for each system and what was tried there. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

BEGIN, END = "<!-- newcomer: begin -->", "<!-- newcomer: end -->"
HEAD = ("system", "what", "exit", "minutes", "")


def with_rows(page: str, rows: Iterable[Mapping[str, object]]) -> str:
    """The page with those rows, in the place of earlier ones of the same system and name; others stay."""
    before, _, rest = page.partition(BEGIN)
    table, _, after = rest.partition(END)
    known = {(cells[0], cells[1]): cells for cells in map(_cells, table.splitlines()) if cells}
    for row in rows:
        known[str(row["suite"]), str(row["what"])] = _row(row)
    lines = [_line(HEAD), "|---" * len(HEAD) + "|", *map(_line, known.values())]
    return f"{before}{BEGIN}\n\n" + "\n".join(lines) + f"\n\n{END}{after}"


def _cells(line: str) -> tuple[str, ...]:
    """Cells of a row; none of the head, the rule and what is no table."""
    cells = tuple(cell.strip() for cell in line.split("|")[1:-1])
    return cells if len(cells) == len(HEAD) and cells != HEAD and set(cells[0]) - {"-"} else ()


def _row(row: Mapping[str, object]) -> tuple[str, ...]:
    minutes, seconds = divmod(int(str(row["seconds"])), 60)
    outcome = "as wanted" if row["passed"] else "FAILED"
    return (
        str(row["suite"]),
        str(row["what"]),
        str(row["exit"]),
        f"{minutes}:{seconds:02d}",
        outcome,
    )


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"
