"""Run upstream's own tests of mamba-ssm and causal-conv1d on the CPU, on the stand-ins, every parameter enabled.

Their files comment most values of their parameters out; here the values of all `parametrize` lines of a test
count, commented or not, and "cuda" becomes "cpu". Nothing else is changed: their references and bounds judge.
Nothing of theirs is kept here: give the folders of two checkouts.

    python benchmarks/upstream_tests.py --mamba DIR --causal-conv1d DIR --python ENV/bin/python

The environment needs torch, einops, triton, transformers, pytest, both packages (their Python parts are
enough) and the stand-ins (`mambaops install-fallback`). `--longest` bounds the sequence lengths (4,096 takes
hours), `--widest` the widths; both say how many values they left out. The race-condition test is left out too.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

FILES = {
    "mamba": ("tests/ops/test_selective_scan.py",),
    "causal_conv1d": ("tests/test_causal_conv1d.py",),
}
# `@pytest.mark.parametrize(` and its arguments up to the closing bracket, commented or not
_MARK = re.compile(
    r"^(?:#\s*)?@pytest\.mark\.parametrize\(([^()]*(?:\([^()]*\)[^()]*)*)\).*$", re.M
)
# ten thousand repetitions in search of a race between a GPU's threads
_LEFT_OUT = "not race_condition"
_CUDA = re.compile(r"""(device\s*=\s*)(['"])cuda\2""")


def enabled(text: str, longest: int, widest: int) -> tuple[str, int]:
    """The test file with every value of every parameter, on the CPU; and how many values were left out."""
    done, left_out = [], 0
    for block in re.split(r"(?m)^(?=def |class )", text):
        block, count = _with_all_values(block, {"seqlen": longest, "dim": widest})
        done.append(block)
        left_out += count
    return _CUDA.sub(r"\1\2cpu\2", "".join(done)), left_out


def _with_all_values(block: str, most: dict[str, int]) -> tuple[str, int]:
    """One stretch between two definitions: its parametrize lines joined, one for each name."""
    values: dict[str, list[str]] = {}
    for mark in _MARK.finditer(block):
        name, found = _read(mark.group(1))
        known = values.setdefault(name, [])
        known.extend(value for value in found if value not in known)
    if not values:
        return block, 0
    kept = {name: _bounded(found, most.get(name)) for name, found in values.items()}
    left_out = sum(len(values[name]) - len(kept[name]) for name in values)
    lines = "".join(
        f"@pytest.mark.parametrize({name!r}, [{', '.join(found)}])\n"
        for name, found in kept.items()
    )
    return _MARK.sub("", block).rstrip("\n") + "\n\n" + lines, left_out


def _read(arguments: str) -> tuple[str, list[str]]:
    call = ast.parse(f"f({arguments})", mode="eval").body
    assert isinstance(call, ast.Call)
    name, listed = call.args[0], call.args[1]
    assert isinstance(name, ast.Constant) and isinstance(listed, (ast.List, ast.Tuple))
    return str(name.value), [ast.unparse(value) for value in listed.elts]


def _bounded(values: list[str], most: int | None) -> list[str]:
    if most is None:
        return values
    kept = [v for v in values if not re.fullmatch(r"[\d +]+", v) or _sum(v) <= most]
    return kept or values[:1]


def _sum(text: str) -> int:
    return sum(int(part) for part in text.split("+"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mamba", type=Path, help="checkout of mamba-ssm")
    parser.add_argument("--causal-conv1d", type=Path, help="checkout of causal-conv1d")
    parser.add_argument("--python", default=sys.executable, help="environment with both packages")
    parser.add_argument("--longest", type=int, default=372, help="sequence lengths up to this")
    parser.add_argument("--widest", type=int, default=64, help="widths up to this, or the smallest")
    parser.add_argument("words", nargs="*", help="further words for pytest, after --")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for package, names in FILES.items():
            for name in names if getattr(flags, package) else ():
                text, left_out = enabled(
                    (getattr(flags, package) / name).read_text("utf-8"), flags.longest, flags.widest
                )
                files.append(Path(folder, f"test_{package}_{Path(name).name}"))
                files[-1].write_text(text, "utf-8")
                print(f"{package}: {name}, {left_out} values above the bounds left out", flush=True)
        if not files:
            parser.error("nothing to run: give --mamba or --causal-conv1d")
        command = [
            flags.python,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--tb=line",
            *flags.words,
        ]
        return subprocess.run(
            [*command, *flags.words, *map(str, files)],
            cwd=folder,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            check=False,
        ).returncode


if __name__ == "__main__":
    sys.exit(main())
