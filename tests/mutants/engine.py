"""One bug after the other against the tests of a room, in forked processes: nothing is started anew.

The tests are collected and run once, which says which test runs which line. Each bug is planted in the loaded
program of a forked child, which runs only the tests that run the bug's line: those first that noticed another
bug of the same function (or of any table), then the quick ones. A bug in a
table or a default value changes that value wherever it is known by its name; a bug in a class body, or in a table
from which another one is made, needs the program imported anew: such a child collects the room's tests again.
Only tests in this process are reached; what a test starts as a program runs the unchanged code.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.machinery
import json
import os
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType

import pytest
from children import Mutant, Pool, computed, end_with_parent
from mutate import mutated
from plant import Loaded, is_a_bug
from reach import Caches, watched

PYTEST = [
    "-qq", "-s", "--no-header", "--no-summary", "-p", "no:warnings", "-p", "no:cacheprovider",
    "-p", "no:xdist", "-o", "addopts=--import-mode=importlib", "-o", "timeout=0",
    "-m", "not gpu and not slow and not e2e and not network",
]  # fmt: skip
LEAST_SECONDS = 3.0  # of computing, that any test may take


@dataclass(eq=False)
class Room:
    """What the tests of a room are, and what they did with the program as it is."""

    tests: list[str]
    texts: dict[Path, str]  # its files, as they were when the run began
    ceiling: float
    calls: dict[str, list[str]] = field(
        default_factory=dict
    )  # "file:first line" of a function -> tests
    lines: dict[str, list[str]] = field(default_factory=dict)  # "file:line" -> tests that run it
    seconds: dict[str, float] = field(default_factory=dict)
    failing: list[str] = field(default_factory=list)
    noticed: dict[str, Counter[str]] = field(
        default_factory=dict
    )  # place of a bug -> by which test

    def learn(self, ended: list[Mutant]) -> None:
        """Remember who noticed these bugs: such a test is likely to notice the next one there."""
        for mutant in ended:
            test = next((one for one in _named(mutant.by) if one in self.seconds), None)
            if mutant.outcome == "killed" and test is not None:
                self.noticed.setdefault(_where(mutant), Counter())[test] += 1
        ended.clear()

    def reaching(self, mutant: Mutant) -> list[str]:
        """Tests that run the code in which a bug lies, those most likely to notice it first."""
        near = self._near(str(mutant.file))
        found = near | set(self.seconds)
        if mutant.function:
            line = self.lines.get(f"{mutant.file}:{mutant.line}")
            found = set(line or self.calls.get(f"{mutant.file}:{mutant.function}", []))
        fit = [
            one for one in found if one not in self.failing and self.seconds[one] <= self.ceiling
        ]
        before = self.noticed.get(_where(mutant), Counter())
        return sorted(
            fit, key=lambda test: (-before[test], test not in near, self.seconds[test], test)
        )

    def limit(self, tests: list[str]) -> float:
        return 3 * LEAST_SECONDS + 3 * sum(self.seconds[test] for test in tests)

    @functools.cache  # noqa: B019 - one room in a process
    def _near(self, file: str) -> frozenset[str]:
        places = [place for place in self.calls if place.startswith(f"{file}:")]
        return frozenset(test for place in places for test in self.calls[place])


def _where(mutant: Mutant) -> str:
    """Tables and steps are all noticed by the same few tests, functions each by their own."""
    return f"{mutant.file}:{mutant.function}" if mutant.function else "tables"


def _named(by: str) -> tuple[str, str]:
    """A test's name, as it is and without the error that is named behind it."""
    return by, by.rpartition(" (")[0]


class Listener:
    """Hears what became of each test."""

    def __init__(self) -> None:
        self.failed: list[str] = []
        self.ran = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.ran += report.when == "call"
        if report.failed:
            self.failed.append(report.nodeid)


class Endless(BaseException):
    """A test computes much longer than it did without a bug."""


def _stop(number: int, frame: FrameType | None) -> None:
    raise Endless


def run_items(items: list[pytest.Item], listener: Listener, seconds: Mapping[str, float]) -> str:
    """`survived`, or `killed` and the first test that failed. A test may compute ten times as long as before."""
    signal.signal(signal.SIGPROF, _stop)
    for item, following in zip(items, [*items[1:], None]):
        try:
            signal.setitimer(signal.ITIMER_PROF, LEAST_SECONDS + 10 * seconds[item.nodeid])
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        except BaseException as error:  # whatever a bug raises: the test did not pass
            return f"killed {item.nodeid} ({type(error).__name__})"
        if listener.failed:
            return f"killed {listener.failed[0]}"
    return "survived" if listener.ran else "survived (only skipped tests)"


def _own_folder(session: pytest.Session, folder: Path) -> None:
    factory = getattr(session.config, "_tmp_path_factory", None)
    if factory is not None:
        factory._given_basetemp, factory._basetemp = folder / "tests", None


class Warm:
    """A plugin: collects the room's tests once; children get changed code."""

    def __init__(self, room: Room, mutants: list[Mutant], pool: Pool, note: Path) -> None:
        self.room, self.mutants, self.pool, self.note = room, mutants, pool, note
        self.listener = Listener()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.listener.pytest_runtest_logreport(report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        self.items = {item.nodeid: item for item in session.items}
        self._first_look(session)
        spent = sum(self.room.seconds.values())
        print(f"{len(self.items)} tests, {spent:.0f} s of computing; {len(self.mutants)} bugs")
        self.loaded = Loaded(self.room.texts)
        for count, mutant in enumerate(self.mutants):
            if count and count % 100 == 0:
                noticed = sum(one.outcome == "killed" for one in self.mutants)
                print(f"  {count} of {len(self.mutants)}, {noticed} noticed")
            self._try(session, mutant)
        self.pool.finish()
        self._write()
        return True

    def _try(self, session: pytest.Session, mutant: Mutant) -> None:
        self.room.learn(self.pool.ended)
        tests = self.room.reaching(mutant)
        if not is_a_bug(mutant, self.room.texts[mutant.file]):
            mutant.outcome = "none"
        elif not tests:
            mutant.outcome = "not"
        else:
            work = functools.partial(self._one, session, mutant, tests)
            self.pool.run(mutant, self.room.limit(tests), work)

    def _one(self, session: pytest.Session, mutant: Mutant, tests: list[str], folder: Path) -> str:
        text = self.room.texts[mutant.file]
        if not self.loaded.plant(mutant, mutated(text, mutant.index, str(mutant.file)), text):
            return "unplanted"
        _own_folder(session, folder)
        self.listener = Listener()
        return run_items([self.items[test] for test in tests], self.listener, self.room.seconds)

    def _write(self) -> None:
        room = self.room
        found = {
            "outcomes": [(one.outcome, one.by, one.seconds) for one in self.mutants],
            "modules": [name for name, one in sys.modules.items() if _foreign(name, one)],
            "calls": room.calls,
            "lines": room.lines,
            "seconds": room.seconds,
            "failing": room.failing,
        }
        self.note.write_text(json.dumps(found), encoding="utf-8")

    def _first_look(self, session: pytest.Session) -> None:
        """Every test once, with the program as it is: what it runs, how long it takes, does it pass.

        In this process, so that children find everything imported and every table read.
        """
        room, folder = self.room, Path(tempfile.mkdtemp(prefix="mutants-"))
        _own_folder(session, folder)
        files = {str(file) for file in room.texts}
        with _silence():
            caches = Caches(files)
            for item, following in zip(session.items, [*session.items[1:], None]):
                self.listener = Listener()
                before = caches.forget()
                with watched(files) as places:
                    started = computed()
                    item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                    room.seconds[item.nodeid] = computed() - started
                places.add(caches.asked(before))
                for place in places.called:
                    room.calls.setdefault(place, []).append(item.nodeid)
                for place in places.ran:
                    room.lines.setdefault(place, []).append(item.nodeid)
                if self.listener.failed or not self.listener.ran:
                    room.failing.append(item.nodeid)
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """What is written meanwhile goes nowhere."""
    sys.stdout.flush()
    kept, null = [os.dup(1), os.dup(2)], os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    try:
        yield
    finally:
        sys.stdout.flush()
        for number, one in zip((1, 2), kept):
            os.dup2(one, number)
            os.close(one)
        os.close(null)


def _foreign(name: str, module: object) -> bool:
    file = getattr(module, "__file__", None) or ""
    here = str(Path(__file__).resolve().parents[2])
    return not name.startswith(("mambaops", "torch", "_pytest", "__")) and not file.startswith(here)


class Cold:
    """A plugin for a child that imports the program anew."""

    def __init__(self, tests: list[str], seconds: Mapping[str, float]) -> None:
        self.seconds = seconds
        self.order = {test: place for place, test in enumerate(tests)}
        self.listener = Listener()
        self.answer = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.listener.pytest_runtest_logreport(report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        gone = set(self.order) - {item.nodeid for item in session.items}
        if session.testsfailed:
            self.answer = "killed the collection"
        elif gone:
            self.answer = f"killed {sorted(gone)[0]} (is no longer there)"
        else:
            items = [item for item in session.items if item.nodeid in self.order]
            items.sort(key=lambda item: self.order[item.nodeid])
            self.answer = run_items(items, self.listener, self.seconds)
        return True


def _cold(mutant: Mutant, room: Room, tests: list[str], folder: Path) -> str:
    """Import everything anew, with the bug in its module, and run the room's tests."""
    code = mutated(room.texts[mutant.file], mutant.index, str(mutant.file))
    loader = importlib.machinery.SourceFileLoader
    usual = loader.get_code

    def get_code(self: importlib.machinery.SourceFileLoader, name: str) -> CodeType | None:
        return code if self.path == str(mutant.file) else usual(self, name)

    loader.get_code = get_code  # type: ignore[method-assign]
    plugin = Cold(tests, room.seconds)
    files = dict.fromkeys(test.partition("::")[0] for test in tests)
    ended = pytest.main([*PYTEST, f"--basetemp={folder / 'tests'}", *files], plugins=[plugin])
    return plugin.answer or f"killed the collection ({ended})"


def examine(room: Room, mutants: list[Mutant], processes: int) -> None:
    """Find out for each bug whether a test notices it."""
    _patient_hypothesis()
    note = Path(tempfile.mkdtemp(prefix="mutants-")) / "note.json"
    _in_child(room, mutants, processes, note)
    if not note.exists():
        raise SystemExit(f"the tests of {' '.join(room.tests)} could not be collected")
    found = json.loads(note.read_text(encoding="utf-8"))
    shutil.rmtree(note.parent)
    for one, (outcome, by, seconds) in zip(mutants, found["outcomes"]):
        one.outcome, one.by, one.seconds = outcome, by, seconds
    room.calls, room.lines, room.seconds = found["calls"], found["lines"], found["seconds"]
    room.failing = found["failing"]
    for name in found["modules"]:
        with contextlib.suppress(BaseException):
            importlib.import_module(name)
    pool = Pool(processes)
    cold = [mutant for mutant in mutants if mutant.outcome == "unplanted"]
    if cold:
        print(f"{len(cold)} bugs for each of which the program is imported anew")
    for one in cold:
        room.learn(pool.ended)
        tests = room.reaching(one)
        limit = room.limit(tests) + 5 * LEAST_SECONDS
        pool.run(one, limit, functools.partial(_cold, one, room, tests))
    pool.finish()


def _in_child(room: Room, mutants: list[Mutant], processes: int, note: Path) -> None:
    """So that this process has not imported the program when a fresh import is wanted."""
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            end_with_parent()
            pytest.main(
                [*PYTEST, *room.tests], plugins=[Warm(room, mutants, Pool(processes), note)]
            )
            code = 0
        finally:
            sys.stdout.flush()
            os._exit(code)
    os.waitpid(pid, 0)


def _patient_hypothesis() -> None:
    with contextlib.suppress(ImportError):
        from hypothesis import HealthCheck, Phase, settings

        settings.register_profile(
            "mutants", database=None, derandomize=True, deadline=None, max_examples=50,
            phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        settings.load_profile("mutants")
