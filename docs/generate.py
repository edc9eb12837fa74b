"""Write the parts of the pages that the code itself tells: the rooms, what imports what, the
commands, and the schemas of what they print as JSON.

    python docs/generate.py          writes them
    python docs/generate.py --check  only says whether they are as the code says

They stand between `<!-- NAME: begin -->` and `<!-- NAME: end -->`, in Python between `# NAME: begin` and `# NAME: end`.
"""

from __future__ import annotations

import ast
import json
import re
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from mambaops.cli.command import GROUPS, Command
from mambaops.cli.documents import DOCUMENTS, schema_of
from mambaops.cli.find import every_command
from mambaops.core.paths import CHECKOUT, PACKAGE
from mambaops.fleet.load import schema as hosts_schema
from mambaops.knowledge.checked import checks
from mambaops.plan.order import ordered
from mambaops.steps import all_steps

HERE = Path(__file__).resolve().parent


def rooms_table() -> str:
    """Every room, lowest first, and the payload, with what its own first line says."""
    lines = ["| room | what |", "|---|---|"]
    for room in [*names(), "payload"]:
        lines.append(f"| `{room}` | {first_line(PACKAGE / room.replace('.', '/'))} |")
    return "\n".join(lines)


def checked_table() -> str:
    """What of the tables was held against its source, the newest first."""
    lines = ["| table | fact | date | how | source |", "|---|---|---|---|---|"]
    for row in sorted(checks(), key=lambda one: (one.date, one.table), reverse=True):
        lines.append(f"| {row.table} | {row.what} | {row.date} | {row.how} | {row.source} |")
    return "\n".join(lines)


def picture() -> str:
    """The imports as a graph, without arrows that a longer path says already."""
    graph = imports()
    lines = ["```mermaid", "flowchart TD"]
    for room in reversed(names()):
        lines += [f"  {node(room)} --> {node(one)}" for one in reduced(room, graph)]
    return "\n".join([*lines, "```"])


def node(room: str) -> str:
    return f"{room.replace('.', '_')}_[{room}]"


@cache
def names() -> list[str]:
    """The rooms, lowest first, as the layers test has them."""
    text = (CHECKOUT / "tests" / "test_layers.py").read_text(encoding="utf-8")
    for statement in ast.parse(text).body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "ROOMS":
            return list(ast.literal_eval(statement.value))
    raise SystemExit("tests/test_layers.py has no ROOMS")


def first_line(folder: Path) -> str:
    doc = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    return " ".join(doc.split("\n\n")[0].split())


def imports() -> dict[str, set[str]]:
    """Room to the rooms that its modules import anywhere, also within functions."""
    graph: dict[str, set[str]] = {room: set() for room in names()}
    for path in PACKAGE.rglob("*.py"):
        if room := room_of(".".join(path.relative_to(PACKAGE).with_suffix("").parts)):
            graph[room] |= {one for one in map(room_of, imported(path)) if one} - {room}
    return graph


def room_of(module: str) -> str:
    """The longest room that a module's name begins with."""
    fitting = [room for room in names() if f"{module}.".startswith(f"{room}.")]
    return max(fitting, key=len, default="")


def imported(path: Path) -> Iterator[str]:
    for statement in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(statement, ast.ImportFrom) and (statement.module or "").startswith(
            "mambaops"
        ):
            inside = (statement.module or "").removeprefix("mambaops").lstrip(".")
            yield from (f"{inside}.{alias.name}".lstrip(".") for alias in statement.names)


def reduced(room: str, graph: dict[str, set[str]]) -> list[str]:
    """The direct imports that no other direct import leads to."""
    direct = graph[room]
    return [
        one
        for one in names()
        if one in direct and not any(one in reach(other, graph) for other in direct)
    ]


def reach(room: str, graph: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    todo = list(graph[room])
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += graph[name]
    return found


def rows() -> str:
    """The table of commands: groups in their order, the steps in the order of a run."""
    steps = [step.id for step in ordered(all_steps())]
    lines = [f"    {_row(one)}," for group in GROUPS for one in shown(steps, group)]
    return "\n".join(["# fmt: off", "ROWS: tuple[Row, ...] = (", *lines, ")", "# fmt: on"])


def _row(one: Command) -> str:
    words = (one.words, one.name, one.group, one.module, one.summary)
    quoted = [json.dumps(word, ensure_ascii=False) for word in words]
    return f"Row({', '.join(quoted)}{f', {one.aliases!r}' if one.aliases else ''})"


def commands() -> str:
    """Every command with its sentence and examples, in its group."""
    steps = [step.id for step in ordered(all_steps())]
    lines: list[str] = []
    for group, title in GROUPS.items():
        lines += [f"## {title}", ""]
        for one in shown(steps, group):
            lines += [f"**{one.words}**: {one.summary}", "", "```sh", *one.examples, "```", ""]
    return "\n".join(lines).rstrip()


def shown(steps: list[str], group: str) -> list[Command]:
    """The commands of a group; steps in the order of a run."""
    found = [one for one in every_command() if one.group == group]
    return sorted(found, key=lambda one: one.name in steps and steps.index(one.name))


def schemas() -> dict[str, str]:
    """File name -> JSON schema: of the documents that commands print, and of hosts.yaml."""
    found = {**{name: schema_of(name) for name in DOCUMENTS}, "hosts": hosts_schema()}
    return {
        f"schemas/{name}.json": json.dumps(one, indent=1, ensure_ascii=False) + "\n"
        for name, one in found.items()
    }


PARTS: dict[str, dict[str, Callable[[], str]]] = {
    "commands.md": {"commands": commands},
    "architecture.md": {"rooms": rooms_table, "imports": picture},
    "tables.md": {"checked": checked_table},
    "../src/mambaops/cli/listing.py": {"rows": rows},
}


def whole(page: str) -> str:
    """A page as the code says that it should be."""
    if page.startswith("schemas/"):
        return schemas()[page]
    text = (HERE / page).read_text(encoding="utf-8")
    for name, part in PARTS[page].items():
        mark = "# {}" if page.endswith(".py") else "<!-- {} -->"
        begin, end = mark.format(f"{name}: begin"), mark.format(f"{name}: end")
        pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        if not pattern.search(text):
            raise SystemExit(f"{page} has no part `{begin}`")
        filled = f"{begin}\n{part()}\n{end}"
        text = pattern.sub(lambda _, filled=filled: filled, text)
    return text


def written(page: str) -> str:
    path = HERE / page
    return path.read_text(encoding="utf-8") if path.exists() else ""


def main() -> int:
    pages = [*PARTS, *schemas()]
    old = [page for page in pages if whole(page) != written(page)]
    for page in old:
        if "--check" not in sys.argv:
            (HERE / page).write_text(whole(page), encoding="utf-8")
        print(f"{page}: {'differs' if '--check' in sys.argv else 'written'}")
    return 1 if old and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
