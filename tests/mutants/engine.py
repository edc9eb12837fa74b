"""One bug after the other against the tests of a room, in forked processes: nothing is started anew.

A bug inside a function is planted in the loaded program: the tests are collected once, a child gets the
function's changed code and runs only the tests that called it. A bug in a table or a class body needs the
module imported anew: such a child collects the room's tests again, with everything else loaded already.
Only tests in this process are reached; what a test starts as a program runs the unchanged code.
"""

from __future__ import annotations

import ast
import contextlib
import ctypes
import functools
import gc
import importlib
import importlib.machinery
import inspect
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType, FunctionType

import pytest
from mutate import Site, mutated, sites

PYTEST = [
    "-qq", "-s", "--no-header", "--no-summary", "-p", "no:warnings", "-p", "no:cacheprovider", "-p", "no:xdist",
    "-o", "addopts=--import-mode=importlib", "-o", "timeout=0",
    "-m", "not gpu and not slow and not e2e and not network",
]  # fmt: skip
LEAST_SECONDS = 10.0  # of computing: a child gets ten times what its tests took, and at least this
PATIENCE = 6  # a busy machine, or a test that waits: so much more on the clock


@dataclass
class Mutant:
    """One bug: number `index` of a file."""

    file: Path
    index: int
    line: int
    what: str
    function: int
    outcome: str = ""  # killed, survived, not reached, no such test
    by: str = ""


@dataclass
class Room:
    """What the tests of a room are, and what they did with the program as it is."""

    tests: list[str]
    files: list[Path]
    ceiling: float
    calls: dict[str, list[str]] = field(default_factory=dict)  # "file:line" -> tests that call it
    lines: dict[str, list[str]] = field(default_factory=dict)  # "file:line" -> tests that run it
    seconds: dict[str, float] = field(default_factory=dict)
    failing: list[str] = field(default_factory=list)

    def reaching(self, mutant: Mutant) -> list[str]:
        """Tests that run the code in which a bug lies, the quick ones first."""
        if mutant.function:
            line = self.lines.get(f"{mutant.file}:{mutant.line}")
            found = set(line or self.calls.get(f"{mutant.file}:{mutant.function}", []))
        else:
            found = set(self.seconds)
        near = set() if mutant.function else self._near(str(mutant.file))
        fit = [
            one for one in found if one not in self.failing and self.seconds[one] <= self.ceiling
        ]
        return sorted(fit, key=lambda test: (test not in near, self.seconds[test], test))

    def _near(self, file: str) -> set[str]:
        places = [place for place in self.calls if place.startswith(f"{file}:")]
        return {test for place in places for test in self.calls[place]}


# -- children


class Pool:
    """Forked children, at most `size` at once, each with a time limit."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.running: dict[int, tuple[Mutant, float, Path]] = {}

    def run(self, mutant: Mutant, limit: float, work: Callable[[Path], str]) -> None:
        """Start a child as soon as there is room; `work` gives the test that failed, or nothing."""
        while len(self.running) >= self.size:
            self.reap()
        folder = Path(tempfile.mkdtemp(prefix="mutant-"))
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            _child(folder, work, limit)
        self.running[pid] = (mutant, time.monotonic() + PATIENCE * limit, folder)

    def finish(self) -> None:
        while self.running:
            self.reap()

    def reap(self) -> None:
        """Look once whether a child has ended or has had its time."""
        for pid, (mutant, until, folder) in list(self.running.items()):
            ended, _ = os.waitpid(pid, os.WNOHANG)
            late = time.monotonic() > until
            if not ended and not late:
                continue
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
            if not ended:
                os.waitpid(pid, 0)
            answer = folder / "answer"
            text = answer.read_text(encoding="utf-8") if answer.exists() else ""
            if not ended:
                text = "killed time ran out"
            mutant.outcome, _, mutant.by = (text or "killed the process ended").partition(" ")
            shutil.rmtree(folder, ignore_errors=True)
            del self.running[pid]
        time.sleep(0.005)


def _child(folder: Path, work: Callable[[Path], str], limit: float) -> None:
    code = 1
    try:
        os.setpgid(0, 0)
        _end_with_parent()
        resource.setrlimit(resource.RLIMIT_CPU, (int(limit + 1 + time.process_time()), -1))
        signal.signal(signal.SIGINT, signal.default_int_handler)
        null = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(null, number)
        answer = work(folder)
        (folder / "answer").write_text(answer, encoding="utf-8")
        code = 0
    finally:
        os._exit(code)


def _end_with_parent() -> None:
    """A child whose starter was stopped ends too (Linux)."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def computed() -> float:
    """Seconds of computing so far, with the programs that were started and have ended."""
    return sum(os.times()[:4])


# -- running tests in a child


class Listener:
    """A plugin that hears what became of each test, and stops at the first that fails."""

    def __init__(self) -> None:
        self.failed: list[str] = []
        self.ran = 0

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.ran += report.when == "call"
        if report.failed:
            self.failed.append(report.nodeid)


def run_items(session: pytest.Session, items: list[pytest.Item], listener: Listener) -> str:
    """`survived`, or `killed` with the test that failed."""
    for item, following in zip(items, [*items[1:], None]):
        try:
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


def _patient_hypothesis() -> None:
    with contextlib.suppress(ImportError):
        from hypothesis import HealthCheck, Phase, settings

        settings.register_profile(
            "mutants", database=None, derandomize=True, deadline=None, max_examples=50,
            phases=[Phase.explicit, Phase.generate], suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        settings.load_profile("mutants")


# -- bugs in functions


class Warm:
    """Collects the room's tests once; children get changed functions."""

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
        print(
            f"{len(self.items)} tests, {spent:.0f} s of computing; {len(self.mutants)} bugs in functions"
        )
        self.loaded = Loaded(self.room.files)
        for mutant in self.mutants:
            tests = self.room.reaching(mutant)
            if not tests:
                mutant.outcome = "not"
                mutant.by = "reached by a test"
                continue
            if not _keyword_may_go(mutant):
                mutant.outcome = "none"
                continue
            self.pool.run(
                mutant, self._limit(tests), functools.partial(self._one, session, mutant, tests)
            )
        self.pool.finish()
        left = [one for one in self.mutants if one.outcome == "unplanted"]
        modules = [name for name, one in sys.modules.items() if _foreign(name, one)]
        self.note.write_text(
            json.dumps({
                "mutants": [vars(one) | {"file": str(one.file)} for one in self.mutants],
                "left": [self.mutants.index(one) for one in left],
                "modules": modules,
                "calls": self.room.calls, "seconds": self.room.seconds, "failing": self.room.failing,
            }),
            encoding="utf-8",
        )  # fmt: skip
        return True

    def _limit(self, tests: list[str]) -> float:
        return max(LEAST_SECONDS, 10 * sum(self.room.seconds[test] for test in tests))

    def _one(self, session: pytest.Session, mutant: Mutant, tests: list[str], folder: Path) -> str:
        code = mutated(mutant.file.read_text(encoding="utf-8"), mutant.index, str(mutant.file))
        if not self.loaded.plant(mutant.file, code):
            return "unplanted "
        _own_folder(session, folder)
        self.listener = Listener()
        return run_items(session, [self.items[test] for test in tests], self.listener)

    def _first_look(self, session: pytest.Session) -> None:
        """Every test once, with the program as it is: what it calls, how long it takes, does it pass."""
        out = Path(tempfile.mkdtemp(prefix="mutants-"))

        def look(folder: Path) -> str:
            _own_folder(session, folder)
            files = {str(file) for file in self.room.files}
            calls: dict[str, list[str]] = {}
            lines: dict[str, list[str]] = {}
            seconds: dict[str, float] = {}
            failing: list[str] = []
            items = session.items
            for item, following in zip(items, [*items[1:], None]):
                self.listener = Listener()
                with watched(files) as (called, ran):
                    started = computed()
                    item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
                    seconds[item.nodeid] = computed() - started
                for place in called:
                    calls.setdefault(place, []).append(item.nodeid)
                for place in ran:
                    lines.setdefault(place, []).append(item.nodeid)
                if self.listener.failed or not self.listener.ran:
                    failing.append(item.nodeid)
            (out / "look").write_text(
                json.dumps([calls, lines, seconds, failing]), encoding="utf-8"
            )
            return "looked"

        nobody = Mutant(Path(), 0, 0, "", 0)
        self.pool.run(nobody, 300, look)
        self.pool.finish()
        found = json.loads((out / "look").read_text(encoding="utf-8"))
        self.room.calls, self.room.lines, self.room.seconds, self.room.failing = found
        shutil.rmtree(out)


@contextlib.contextmanager
def watched(files: set[str]) -> Iterator[tuple[set[str], set[str]]]:
    """Functions of `files` that are called meanwhile and lines that are run, as "file:line"."""
    called: set[str] = set()
    ran: set[str] = set()

    def heard(frame: FrameType, event: str, argument: object) -> object:
        code = frame.f_code
        if code.co_filename not in files:
            return None
        called.add(f"{code.co_filename}:{code.co_firstlineno}")
        return each_line

    def each_line(frame: FrameType, event: str, argument: object) -> object:
        ran.add(f"{frame.f_code.co_filename}:{frame.f_lineno}")
        return each_line

    threading.settrace(heard)
    sys.settrace(heard)
    try:
        yield called, ran
    finally:
        sys.settrace(None)
        threading.settrace(None)  # type: ignore[arg-type]


class Loaded:
    """The functions of some files and the caches of the program, as they are in this process."""

    def __init__(self, files: list[Path]) -> None:
        self.functions: dict[str, list[FunctionType]] = {str(file): [] for file in files}
        self.caches: list[functools._lru_cache_wrapper[object]] = []
        for one in gc.get_objects():
            if type(one) is FunctionType and one.__code__.co_filename in self.functions:
                self.functions[one.__code__.co_filename].append(one)
            if type(one) is functools._lru_cache_wrapper and str(one.__module__).startswith(
                "mambaops"
            ):
                self.caches.append(one)
        gc.collect()
        gc.freeze()  # children share what they do not touch

    def plant(self, file: Path, code: CodeType) -> bool:
        """Give every loaded function of a file its code from another compilation of that file."""
        new = {_place(one): one for one in _codes(code)}
        for one in self.functions[str(file)]:
            other = new.get(_place(one.__code__))
            if other is None or len(other.co_freevars) != len(one.__code__.co_freevars):
                return False
            one.__code__ = other
        for cache in self.caches:
            cache.cache_clear()
        return bool(self.functions[str(file)])


def _codes(code: CodeType) -> Iterator[CodeType]:
    for one in code.co_consts:
        if isinstance(one, CodeType):
            yield one
            yield from _codes(one)


def _place(code: CodeType) -> tuple[object, ...]:
    columns = (
        next((one[2] for one in code.co_positions() if one[2]), 0)
        if code.co_name == "<lambda>"
        else 0
    )
    return code.co_name, code.co_firstlineno, columns


@functools.lru_cache
def _sites(file: Path) -> list[Site]:
    return sites(ast.parse(file.read_text(encoding="utf-8")))


def _keyword_may_go(mutant: Mutant) -> bool:
    """An argument that a function demands cannot be forgotten unnoticed: that is no bug worth a run."""
    site = _sites(mutant.file)[mutant.index]
    if site.keyword is None:
        return True
    name = next((name for name, one in list(sys.modules.items())
                 if getattr(one, "__file__", None) == str(mutant.file)), "")  # fmt: skip
    function, argument = site.keyword
    try:
        value = eval(ast.unparse(function), vars(sys.modules[name]))
        return inspect.signature(value).parameters[argument].default is not inspect.Parameter.empty
    except Exception:
        return False  # not known: a method of some object


def _foreign(name: str, module: object) -> bool:
    file = getattr(module, "__file__", None) or ""
    here = str(Path(__file__).resolve().parents[2])
    return not name.startswith(("mambaops", "torch", "_pytest", "__")) and not file.startswith(here)


# -- bugs outside of functions


class Cold:
    """A plugin for a child that imports the program anew: puts the likely tests first."""

    def __init__(self, tests: list[str]) -> None:
        self.order = {test: place for place, test in enumerate(tests)}
        self.listener = Listener()
        self.answer = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.listener.pytest_runtest_logreport(report)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            self.answer = "killed the collection"
            return True
        gone = set(self.order) - {item.nodeid for item in session.items}
        if gone:
            self.answer = f"killed {sorted(gone)[0]} (is no longer there)"
            return True
        items = [item for item in session.items if item.nodeid in self.order]
        items.sort(key=lambda item: self.order[item.nodeid])
        self.answer = run_items(session, items, self.listener)
        return True


def cold(mutant: Mutant, room: Room, tests: list[str], folder: Path) -> str:
    """Import everything anew, with the bug in its module, and run the room's tests."""
    code = mutated(mutant.file.read_text(encoding="utf-8"), mutant.index, str(mutant.file))
    loader = importlib.machinery.SourceFileLoader
    usual = loader.get_code

    def get_code(self: importlib.machinery.SourceFileLoader, name: str) -> CodeType | None:
        return code if self.path == str(mutant.file) else usual(self, name)

    loader.get_code = get_code  # type: ignore[method-assign]
    plugin = Cold(tests)
    ended = pytest.main([*PYTEST, f"--basetemp={folder / 'tests'}", *room.tests], plugins=[plugin])
    return plugin.answer or f"killed the collection ({ended})"


def preload(modules: list[str]) -> None:
    """Import what the tests will need and what no bug is planted in."""
    for name in modules:
        with contextlib.suppress(BaseException):
            importlib.import_module(name)


def examine(room: Room, mutants: list[Mutant], processes: int) -> None:
    """Find out for each bug whether a test notices it."""
    _patient_hypothesis()
    note = Path(tempfile.mkdtemp(prefix="mutants-")) / "note.json"
    inner = [one for one in mutants if one.function]
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            _end_with_parent()
            pytest.main([*PYTEST, *room.tests], plugins=[Warm(room, inner, Pool(processes), note)])
            code = 0
        finally:
            os._exit(code)
    os.waitpid(pid, 0)
    if not note.exists():
        raise SystemExit(f"the tests of {' '.join(room.tests)} could not be collected")
    found = json.loads(note.read_text(encoding="utf-8"))
    shutil.rmtree(note.parent)
    for one, seen in zip(inner, found["mutants"]):
        one.outcome, one.by = seen["outcome"], seen["by"]
    room.calls, room.seconds, room.failing = found["calls"], found["seconds"], found["failing"]
    preload(found["modules"])
    pool = Pool(processes)
    for one in [
        *(inner[place] for place in found["left"]),
        *(m for m in mutants if not m.function),
    ]:
        tests = room.reaching(one)
        limit = max(3 * LEAST_SECONDS, 10 * sum(room.seconds[test] for test in tests))
        pool.run(one, limit, functools.partial(cold, one, room, tests))
    pool.finish()
