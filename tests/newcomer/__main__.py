"""`nox -s newcomer`: both commands of the README in a bare system, as an ordinary user.

Usage: newcomer [SUITE…] [--cases [NAME…]] [--first-only] [--write] [--logs DIR] [--keep]

Without a SUITE one of them in turn by the day. Exit 0: everything passed, or no bare system can be made here (said;
with CI set that is a failure).
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import bare_system
import cases
from bare_system import SUITES, TESTING, BareSystem, NoBareSystem, Ran, of_the_day
from machines_table import with_rows
from readme_commands import NotTold, Told, told

CHECKOUT = Path(__file__).resolve().parents[2]
OLD = "bullseye"  # its Python is older than ours: the README's line for such machines is run there
NOTHING = "nothing to do"


def cache() -> Path:
    """Where bare systems lie; they are made anew after a week."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "mambaops-newcomer"


def newcomer(suite: str, words: argparse.Namespace, readme: Told) -> list[dict[str, object]]:
    """The README followed in one system; a row for each command."""
    logs = Path(words.logs) / suite
    with BareSystem(
        bare_system.base(suite, readme.packages, cache()), logs, keep=words.keep
    ) as system:
        system.clone(CHECKOUT)
        if suite == OLD:
            return [cases.old_python(system, suite, CHECKOUT)]
        first = system.run(readme.first, "1.log", timeout=5400)
        rows = [row(suite, "first command", first)]
        if first.code:
            return rows
        again = system.run(readme.first, "1-again.log")
        rows.append(row(suite, "first command again", again, must_say=NOTHING))
        if not words.first_only:
            rows.append(row(suite, "second command", system.run(readme.second, "2.log")))
        return rows


def row(suite: str, what: str, ran: Ran, must_say: str = "") -> dict[str, object]:
    """What became of one command, told at once."""
    text = ran.log.read_text(errors="replace")
    passed = ran.code == 0 and must_say in text
    found = {
        "suite": suite,
        "what": what,
        "passed": passed,
        "exit": ran.code,
        "seconds": round(ran.seconds),
    }
    print(f"{suite}: {what}: exit {ran.code} in {ran.seconds:.0f} s ({ran.log})", flush=True)
    if ran.code == 0 and not passed:
        print(f"  it was to say `{must_say}` and did not", flush=True)
    if not passed or "second" in what:
        print(
            "\n".join(f"  | {line}" for line in text.splitlines()[-(3 if passed else 40) :]),
            flush=True,
        )
    return found


def main() -> int:
    parser = argparse.ArgumentParser(prog="newcomer", usage=__doc__)
    parser.add_argument("suites", nargs="*", choices=[*SUITES, TESTING, []])
    parser.add_argument("--cases", nargs="*")
    parser.add_argument("--first-only", action="store_true")
    parser.add_argument("--write", action="store_true")  # into the table of docs/machines.md
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--logs", default=str(CHECKOUT / ".mambaops" / "newcomer"))
    words = parser.parse_args()
    suites = words.suites or [of_the_day(datetime.date.today())]
    try:
        readme = told((CHECKOUT / "README.md").read_text(encoding="utf-8"))
        bare_system.possible()
        if words.cases is not None:
            rows = cases.run(words.cases, suites, cache(), Path(words.logs), CHECKOUT, readme)
        else:
            rows = [one for suite in suites for one in newcomer(suite, words, readme)]
    except NotTold as error:
        print(f"error: {error}")
        return 1
    except NoBareSystem as error:
        print(f"no bare system can be made here, so nothing was tried: {error}")
        return 1 if os.environ.get("CI") else 0
    (Path(words.logs) / "results.json").write_text(json.dumps(rows, indent=1) + "\n")
    if words.write:
        page = CHECKOUT / "docs" / "machines.md"
        page.write_text(with_rows(page.read_text(encoding="utf-8"), rows), encoding="utf-8")
    failed = [one for one in rows if not one["passed"]]
    print(f"newcomer: {len(rows) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
