"""What a runner puts before every line hides no failure; none of these runners is known by name."""

from __future__ import annotations

import pytest

from mambaops.diagnose.dress import shared
from mambaops.diagnose.match import examine

UNKNOWN = """\
loading the data
Traceback (most recent call last):
  File "/srv/train.py", line 8, in <module>
    main()
  File "/srv/train.py", line 4, in main
    raise Odd("the shard is torn")
data.Odd: the shard is torn
"""
COMPILE = """\
g++ -c csrc/thing.cpp -o build/thing.o
csrc/thing.cpp: In function 'int f()':
csrc/thing.cpp:12:3: error: 'strange' was not declared in this scope
make: leaving
"""
KNOWN = """\
running build_ext
RuntimeError:
The detected CUDA version (12.3) mismatches the version that was used to compile
PyTorch (11.8). Please make sure to use the same CUDA versions.
"""
PREFIXES = {
    "torchrun": "[rank0]:",
    "torchrun's old form": "[default3]: ",
    "srun": "0: ",
    "BuildKit": "#12 34.5{n} ",
    "a container runtime": "2026-11-21T20:38:45.12345{n}Z stderr F ",
    "an action's clock": "2026-11-21T20:38:45.12345{n}7Z ",
    "compose": "trainer-1  | ",
    "Ray": "(train_fn pid=41{n}, ip=10.0.0.3) ",
    "pytest": "E       ",
    "a clock": "[20:38:4{n}] ",
    "logging": "2026-11-21 20:38:45,12{n} - root - ERROR - ",
    "loguru": "2026-11-21 20:38:45.12{n} | ERROR    | __main__:run:3 - ",
    "a level": "ERROR:   ",
    "syslog": "Nov 21 20:38:4{n} gpu-node-7 train[41{n}]: ",
    "a host": "gpu-node-7 out ",
    "a tool that nobody knows": "<<w{n}>> ~ ",
}


def prefixed(text: str, prefix: str) -> str:
    lines = text.splitlines()
    return "".join(prefix.format(n=n % 10) + line + "\n" for n, line in enumerate(lines))


@pytest.mark.parametrize("prefix", PREFIXES.values(), ids=PREFIXES)
def test_an_unknown_failure_is_seen_behind_it(prefix: str) -> None:
    found = examine([prefixed(UNKNOWN, prefix)])
    assert (found.verdict, found.findings) == ("failed", [])
    found = examine([prefixed(COMPILE, prefix)])
    assert (found.verdict, found.findings) == ("failed", [])
    # also where every line says `ERROR`
    assert found.first_error_line_number == 3
    assert examine([prefixed(UNKNOWN, prefix)]).first_error_line_number == 7


@pytest.mark.parametrize("prefix", PREFIXES.values(), ids=PREFIXES)
def test_a_failure_of_several_lines_is_known_behind_it(prefix: str) -> None:
    (found,) = examine([prefixed(KNOWN, prefix)]).findings
    assert (found.rule, found.line_number) == ("cuda-major-mismatch", 3)


@pytest.mark.parametrize("prefix", PREFIXES.values(), ids=PREFIXES)
def test_a_good_end_is_seen_behind_it(prefix: str) -> None:
    text = prefixed("Collecting x\nDownloading x\nSuccessfully installed x-1\n", prefix)
    assert examine([text]).verdict in ("succeeded", "recovered")


@pytest.mark.parametrize(
    ("line", "neighbours", "width"),
    [
        ("[rank0]: ValueError: x", ["[rank0]:     main()", "[rank1]: data"], 9),
        ("[rank0]: ValueError: x", ["[rank0]:     main()"], 0),
        ("ValueError: x", ["  File 'x'", "    main()"], 0),
        ("a b", [], 0),
        ("n7 out one", ["n8 out two", "n9 out three", "other"], 7),
        ("n7 out one", ["n8 out two", "x", "y", "other"], 0),
        ("    one", ["    two", "    three"], 0),
        # blank lines have no start
        ("[rank0]: x", ["[rank0]: a", "[rank0]: b", "", "  ", ""], 9),
        # neither have those that are the line itself
        ("[rank0]: x", ["[rank0]: x", "[rank0]: x"], 0),
        # half of them must share it
        ("n7 out one", ["n8 out two", "n9 out three", "x", "y"], 7),
        ("n7 out one", ["n8 out two", "n9 out three", "x", "y", "other"], 0),
        # what follows a difference is not shared any more
        ("n: one: x", ["n: two: y", "n: one; z", "n: one- q", "n: two: w"], 3),
    ],
)
def test_what_neighbours_share(line: str, neighbours: list[str], width: int) -> None:
    assert shared(line, neighbours) == width


@pytest.mark.parametrize("level", ["INFO", "DEBUG", "notice"])
def test_what_says_that_it_is_no_error_is_none(level: str) -> None:
    for text in (f"[{level}] ValueError: handled\n", f"{level}: ValueError: handled\n"):
        assert examine([text]).verdict == "cannot-tell"
