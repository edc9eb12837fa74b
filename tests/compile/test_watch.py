"""Reading a build from the outside, and how long it still takes; on files as ninja writes them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mambaops.compile.builds import GROUP_FILE, end_leftover
from mambaops.compile.estimate import remaining, usual
from mambaops.compile.jobs import job_count, pool
from mambaops.compile.monitor import Unit, compiling, finished, units
from mambaops.compile.portable import SYMBOL, portable_object
from mambaops.core.amounts import duration, size
from mambaops.wheels.inspect.elf import inspect_extension

GIB = 1024**3
NINJA = """rule cuda_compile
  command = nvcc -c $in -o $out
build {tree}/build/temp.linux/csrc/a.o: cuda_compile {tree}/csrc/a.cu
build {tree}/build/temp.linux/csrc/b.o: compile {tree}/csrc/b.cpp
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    objects = tmp_path / "build" / "temp.linux" / "csrc"
    objects.mkdir(parents=True)
    (objects.parent / "build.ninja").write_text(NINJA.format(tree=tmp_path), encoding="utf-8")
    (objects / "a.o").write_bytes(b"")
    log = f"# ninja log v7\n12\t4012\t17\t{objects}/a.o\tabc\n0\t9\t17\t{objects}/gone.o\tdef\n"
    (objects.parent / ".ninja_log").write_text(log, encoding="utf-8")
    return tmp_path


def test_files_and_what_is_done_come_from_ninjas_own_files(tree: Path) -> None:
    found = {unit.name: unit.seconds for unit in units(tree)}
    assert found == {"a.cu": 4.0, "b.cpp": None}


def test_an_object_that_is_gone_is_not_done(tree: Path) -> None:
    log = tree / "build" / "temp.linux" / ".ninja_log"
    assert [Path(name).name for name in finished(log)] == ["a.o"]
    assert finished(tree / "no-log") == {}


def test_a_running_compiler_is_seen_with_its_file(tmp_path: Path) -> None:
    source = tmp_path / "kernel.cu"
    # a child that carries the file's name as a compiler does
    sleeper = "import sys, time; time.sleep(30)"
    code = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {sleeper!r}, {str(source)!r}])"
    parent = subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
    try:
        until = time.monotonic() + 20
        seen = []
        while not seen and time.monotonic() < until:
            seen = compiling([parent.pid], [str(source)])
        assert [one.name for one in seen] == ["kernel.cu"]
    finally:
        os.killpg(parent.pid, 9)
        parent.wait()


def test_compilers_that_a_killed_run_left_are_ended(tmp_path: Path) -> None:
    import psutil

    left = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True
    )
    started = psutil.Process(left.pid).create_time()
    (tmp_path / GROUP_FILE).write_text(f"{left.pid} {started}\n", encoding="utf-8")
    assert end_leftover(tmp_path)
    left.wait(10)
    assert not psutil.pid_exists(left.pid)
    assert not end_leftover(tmp_path)


def test_a_process_id_that_was_given_to_somebody_else_is_left_alone(tmp_path: Path) -> None:
    other = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True
    )
    try:
        later = time.time() + 3600
        (tmp_path / GROUP_FILE).write_text(f"{other.pid} {later}\n", encoding="utf-8")
        assert not end_leftover(tmp_path)
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


@pytest.mark.parametrize(
    ("wanted", "cores", "memory", "jobs"),
    [(3, 8, 1 * GIB, 3), (0, 8, 64 * GIB, 8), (0, 8, 7 * GIB, 2), (0, 8, 1 * GIB, 1), (0, 4, None, 4)],
)  # fmt: skip
def test_jobs_by_cores_and_memory(wanted: int, cores: int, memory: int | None, jobs: int) -> None:
    assert job_count(wanted, cores, memory, 3.0)[0] == jobs


def test_a_pool_holds_the_tokens_that_its_clients_do_not_have_of_their_own() -> None:
    with pool(5, clients=2) as shared:
        reader = os.open(shared.path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            assert os.read(reader, 10) == b"+++"
            shared.release()
            assert os.read(reader, 10) == b"+"
        finally:
            os.close(reader)
        assert f"--jobserver-auth=fifo:{shared.path}" in shared.makeflags


def test_the_estimate_falls_as_files_are_finished() -> None:
    names = list(usual())
    fresh = [Unit(source=name, object=name) for name in names]
    half = [
        Unit(source=name, object=name, seconds=usual()[name] if i % 2 else None)
        for i, name in enumerate(names)
    ]
    whole = [Unit(source=name, object=name, seconds=1.0) for name in names]
    first, later = remaining([fresh], 0.0), remaining([half], 200.0)
    assert first is not None and later is not None
    assert first > later > 0
    assert remaining([whole], 300.0) == 0
    waiting = [Unit(source=names[0], object=names[0])]
    usually = usual()[names[0]]
    assert remaining([waiting], 10.0, {names[0]: 10.0}) == pytest.approx(usually - 10.0)
    assert remaining([[Unit(source="a.cu", object="")]], 5.0) is None


LONG, OTHER = sorted(usual(), key=lambda name: -usual()[name])[:2]


def unit(name: str, times: float | None = None) -> Unit:
    """A file, finished in so many times its usual seconds."""
    return Unit(source=name, object=name, seconds=None if times is None else times * usual()[name])


@pytest.mark.parametrize(
    ("finished", "running", "at_least"),
    [
        ((), 0.5, 0.5),  # on time: the rest of the usual time
        ((), 4.0, 1.0),  # four times the usual and still running: never "in a moment"
        ((1.0,), 4.0, 1.0),  # whatever the quick one before it promised
        ((3.0,), 1.0, 2.0),  # a slow machine is known from what is finished
    ],
)
def test_a_file_that_is_late_is_not_promised_for_the_next_moment(
    finished: tuple[float, ...], running: float, at_least: float
) -> None:
    """`running` and `at_least` are in usual times of the file that runs."""
    usually = usual()[LONG]
    units = [unit(LONG), *(unit(OTHER, times) for times in finished)]
    left = remaining([units], 0.0, {LONG: running * usually})
    assert left is not None
    assert left == pytest.approx(at_least * usually) or left > at_least * usually


def test_what_is_not_begun_takes_the_pace_of_what_runs_late() -> None:
    """The case of a busy machine: "about 1 min left" for eight minutes."""
    usually = usual()[LONG] + usual()[OTHER]
    on_time = remaining([[unit(LONG), unit(OTHER)]], 0.0, {LONG: usual()[LONG] * 0.9})
    late = remaining([[unit(LONG), unit(OTHER)]], 0.0, {LONG: usual()[LONG] * 5})
    assert on_time is not None and late is not None
    assert on_time < usually
    assert late >= 5 * usual()[OTHER]


def test_the_longer_it_is_late_the_longer_it_is_said_to_take() -> None:
    told = [remaining([[unit(LONG)]], 0.0, {LONG: times * usual()[LONG]}) for times in (1, 2, 4, 8)]
    assert told == sorted(told, key=lambda one: one or 0.0)
    assert all(one and one >= 0.25 * usual()[LONG] for one in told)


def test_a_quick_machine_is_believed() -> None:
    left = remaining([[unit(LONG), unit(OTHER, 0.5)]], 0.0, {LONG: 0.1 * usual()[LONG]})
    assert left == pytest.approx(0.4 * usual()[LONG])


def test_the_portable_object_takes_the_need_for_glibc_2_32_away(tmp_path: Path) -> None:
    source = tmp_path / "x.cpp"
    source.write_text(
        "#include <memory>\n#include <vector>\nstd::vector<std::shared_ptr<int>> held;\n"
        'extern "C" void keep(int n) { auto p = std::make_shared<int>(n); held.push_back(p); }\n',
        encoding="utf-8",
    )
    made = portable_object(tmp_path / "portable", "g++", tmp_path / "log")
    flags = ["g++", "-std=c++17", "-O2", "-shared", "-fPIC", str(source)]
    subprocess.run([*flags, "-o", str(tmp_path / "plain.so")], check=True)
    subprocess.run([*flags, str(made), "-o", str(tmp_path / "portable.so")], check=True)
    plain = inspect_extension(tmp_path / "plain.so")
    portable = inspect_extension(tmp_path / "portable.so")
    assert portable.above("GLIBC", "2.31") == ()
    assert SYMBOL not in portable.undefined
    if SYMBOL in plain.undefined:  # a libstdc++ of GCC 11 or newer
        assert [need.version for need in plain.above("GLIBC", "2.31")] == ["GLIBC_2.32"]


def test_amounts_are_written_for_people() -> None:
    assert [duration(s) for s in (8, 187, 3731)] == ["8 s", "3:07 min", "1:02:11 h"]
    assert [size(n) for n in (512, 25_700_000, 5_500_000_000)] == ["512 B", "25.7 MB", "5.5 GB"]
