"""Plants small bugs in the decisions and says which no test notices: `python tests/mutants [ROOM|FILE…]`.

Which files, which tests and how much is wanted: `rooms.toml`. Bugs that are none: `survivors.toml`.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from children import Mutant
from engine import Room, examine
from mutate import sites

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PACKAGE = ROOT / "src" / "mambaops"


def main(argv: list[str]) -> int:
    words = _words(argv)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    _check_place()
    os.chdir(ROOT)
    os.environ.update(MAMBAOPS_TEST="1", OMP_NUM_THREADS="1")
    table = tomllib.loads((HERE / "rooms.toml").read_text(encoding="utf-8"))
    accepted = tomllib.loads((HERE / "survivors.toml").read_text(encoding="utf-8"))
    todo = {name: _files(room, words, name) for name, room in table["room"].items()}
    todo = {name: files for name, files in todo.items() if files}
    if not todo:
        print("no file of a room is named or changed")
        return 0
    results = [_room(name, files, table, accepted, words) for name, files in todo.items()]
    return 0 if all(results) else 1


def _words(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="nox -s mutants --", description=__doc__)
    parser.add_argument(
        "what", nargs="*", metavar="ROOM|FILE", help="rooms of rooms.toml, or files; all"
    )
    parser.add_argument(
        "--changed",
        nargs="?",
        const="HEAD",
        metavar="REVISION",
        help="only files that differ from it",
    )
    parser.add_argument(
        "--sample",
        type=int,
        default=0,
        metavar="N",
        help="only so many bugs of each room, by chance",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="another chance than that of 0"
    )
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--verbose", action="store_true", help="also say which test noticed each bug"
    )
    return parser.parse_args(argv)


def _check_place() -> None:
    found = importlib.util.find_spec("mambaops")
    where = Path(str(found.origin)).parent if found else None
    if where != PACKAGE:
        raise SystemExit(
            f"mambaops is imported from {where}, not from {PACKAGE}: install it with -e"
        )


def _files(room: dict[str, Any], words: argparse.Namespace, name: str) -> list[Path]:
    """The files of a room that are asked for."""
    found = sorted({file for one in room["files"] for file in PACKAGE.glob(one)})
    if not found:
        raise SystemExit(f"room {name} of rooms.toml names no file: {room['files']}")
    if words.changed:
        changed = _changed(words.changed)
        found = [file for file in found if file in changed]
    named = {Path(one).resolve() for one in words.what} | {PACKAGE / one for one in words.what}
    if words.what and name not in words.what:
        found = [file for file in found if file in named or named & set(file.parents)]
    return found


def _changed(revision: str) -> set[Path]:
    def git(*argv: str) -> list[str]:
        done = subprocess.run(["git", *argv], cwd=ROOT, capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    names = git("diff", "--name-only", revision) + git("ls-files", "-o", "--exclude-standard")
    return {ROOT / name for name in names}


def _room(
    name: str,
    files: list[Path],
    table: dict[str, Any],
    accepted: dict[str, Any],
    words: argparse.Namespace,
) -> bool:
    room = table["room"][name]
    tests = [one for one in room["tests"] if Path(one).exists()]
    for gone in set(room["tests"]) - set(tests):
        print(f"{name}: {gone} is not there")
    started = time.monotonic()
    texts = {file: file.read_text(encoding="utf-8") for file in files}
    mutants = [mutant for file, text in texts.items() for mutant in of(file, text)]
    there = {_key(one, texts[one.file].splitlines()) for one in mutants}
    if 0 < words.sample < len(mutants):
        drawn = random.Random(words.seed).sample(mutants, words.sample)
        mutants = sorted(drawn, key=lambda one: one.index)
        print(f"{name}: a sample of {words.sample}, seed {words.seed}")
    if not mutants or not tests:
        print(f"{name}: nothing to plant, or no tests")
        return bool(tests)
    place = Room(tests, texts, room.get("ceiling", table["ceiling"]))
    examine(place, mutants, words.processes)
    for test in place.failing:
        print(f"{name}: left out, fails or is skipped without a bug: {test}")
    for test in sorted(one for one, spent in place.seconds.items() if spent > place.ceiling):
        print(f"{name}: left out, takes {place.seconds[test]:.1f} s: {test}")
    mutants = [one for one in mutants if one.outcome != "none"]
    _gone(name, set(texts), accepted, there)
    return _report(
        name, mutants, texts, accepted, room.get("wanted", table["wanted"]), started, words.verbose
    )


def _key(one: Mutant, lines: list[str]) -> tuple[str, str, str]:
    """As survivors.toml names it: file, line's text, bug."""
    return str(one.file.relative_to(PACKAGE)), lines[one.line - 1].strip(), one.what


def of(file: Path, text: str) -> list[Mutant]:
    """Every bug of one file."""
    found = sites(ast.parse(text))
    return [
        Mutant(file, index, one.line, one.what, one.function) for index, one in enumerate(found)
    ]


def _report(
    name: str,
    mutants: list[Mutant],
    texts: dict[Path, str],
    accepted: dict[str, Any],
    wanted: int,
    started: float,
    verbose: bool,
) -> bool:
    reasons = {
        (one["file"], one["line"], one["bug"]): one["reason"]
        for one in accepted.get("survivor", [])
    }
    lines = {file: text.splitlines() for file, text in texts.items()}
    killed, known = 0, 0
    for one in sorted(mutants, key=lambda one: (one.file, one.line)):
        key = _key(one, lines[one.file])
        file = key[0]
        if one.outcome == "killed":
            killed += 1
            if key in reasons:
                print(
                    f"{name}: no survivor any more, take it from survivors.toml: {file}: {one.what}"
                )
            if verbose:
                print(
                    f"  killed   {file}:{one.line}: {one.what}   by {one.by} ({one.seconds:.1f} s)"
                )
        elif key in reasons:
            known += 1
        else:
            state = "SURVIVED" if one.outcome == "survived" else "UNREACHED"
            spent = f" ({one.seconds:.1f} s)" if verbose else ""
            print(f"  {state} {file}:{one.line}: {one.what}{spent}")
    total = len(mutants) - known
    share = 100 * killed / total if total else 100.0
    seconds = time.monotonic() - started
    print(
        f"{name}: {killed} of {total} killed ({share:.1f} %, wanted {wanted}), "
        f"{known} survivors with a reason, {seconds:.0f} s"
    )
    return share >= wanted


def _gone(
    name: str, files: set[Path], accepted: dict[str, Any], there: set[tuple[str, str, str]]
) -> None:
    named = {(one["file"], one["line"], one["bug"]) for one in accepted.get("survivor", [])}
    for file, line, what in sorted(named - there):
        if PACKAGE / file in files:
            print(f"{name}: survivors.toml names what is not there: {file}: `{line}`: {what}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
