"""Run upstream's own tests of mamba-ssm and causal-conv1d on the CPU, on the stand-ins, every parameter enabled.

Their files comment most values of their parameters out; here the values of all `parametrize` lines of a test
count, commented or not, and "cuda" becomes "cpu". Nothing else is changed: their references and bounds judge.
Nothing of theirs is kept here: give the folders of two checkouts.

    python benchmarks/upstream_tests.py --mamba DIR --causal-conv1d DIR --python ENV/bin/python

The environment needs torch, einops, triton, transformers, pytest, both packages (their Python parts are
enough) and the stand-ins (`mambaops install-fallback`). `--longest` bounds the sequence lengths (all of them take
hours), `--widest` the widths; both say how many values they left out. `--sample N` draws N cases of each file by
chance. The race-condition test is left out.

`selective_scan_ref` rounds silu(z) to z's dtype where the kernels (and ours) keep it in float32: with `--float-gate`
it is given z in float32, which shows what of the failures in half precision is the reference's own rounding.
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
    "mamba": (
        "tests/ops/test_selective_scan.py",
        "tests/ops/triton/test_selective_state_update.py",
    ),
    "causal_conv1d": ("tests/test_causal_conv1d.py",),
}
# `@pytest.mark.parametrize(` and its arguments up to the closing bracket, commented or not
_MARK = re.compile(
    r"^(?:#\s*)?@pytest\.mark\.parametrize\(([^()]*(?:\([^()]*\)[^()]*)*)\).*$", re.M
)
# ten thousand repetitions in search of a race between a GPU's threads
_LEFT_OUT = "not race_condition"
_CUDA = re.compile(r"""(device\s*=\s*)(['"])cuda\2""")
_GATE = re.compile(r"\bz=z_ref\b")
_FLOAT_GATE = "z=None if z_ref is None else z_ref.float()"
# pytest's own hook, in the folder of the tests
_DRAW = """
import itertools, random
def pytest_collection_modifyitems(items):
    by_file = lambda item: str(item.path)
    files = [list(group) for _, group in itertools.groupby(sorted(items, key=by_file), by_file)]
    items[:] = [i for f in files for i in random.Random({seed}).sample(f, min(len(f), {count}))]
"""


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


def write(folder: Path, flags: argparse.Namespace) -> list[str]:
    """The test files of the packages that were named, made for the CPU; their paths."""
    written = []
    for package, names in FILES.items():
        checkout = getattr(flags, package)
        for name in names if checkout else ():
            text, left_out = enabled(
                (checkout / name).read_text("utf-8"), flags.longest, flags.widest
            )
            if flags.float_gate:
                text = _GATE.sub(_FLOAT_GATE, text)
            path = folder / f"test_{package}_{Path(name).name}"
            path.write_text(text, "utf-8")
            written.append(str(path))
            print(f"{package}: {name}, {left_out} values above the bounds left out", flush=True)
    if flags.sample:
        draw = _DRAW.format(seed=flags.seed, count=flags.sample)
        (folder / "conftest.py").write_text(draw, "utf-8")
    return written


def read_flags() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mamba", type=Path, help="checkout of mamba-ssm")
    parser.add_argument("--causal-conv1d", type=Path, help="checkout of causal-conv1d")
    parser.add_argument("--python", default=sys.executable, help="environment with both packages")
    parser.add_argument("--longest", type=int, default=372, help="sequence lengths up to this")
    parser.add_argument("--widest", type=int, default=64, help="widths up to this, or the smallest")
    parser.add_argument("--sample", type=int, metavar="N", help="only N cases of each file, drawn")
    parser.add_argument("--seed", type=int, default=0, help="of the draw")
    parser.add_argument("--float-gate", action="store_true", help="z in float32 for the reference")
    parser.add_argument("words", nargs="*", help="further words for pytest, after --")
    flags = parser.parse_args()
    if not (flags.mamba or flags.causal_conv1d):
        parser.error("nothing to run: give --mamba or --causal-conv1d")
    return flags


def main() -> int:
    flags = read_flags()
    with tempfile.TemporaryDirectory() as name:
        files = write(Path(name), flags)
        command = [flags.python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=line"]
        command += ["-k", _LEFT_OUT, *flags.words, *files]
        variables = {**os.environ, "OMP_NUM_THREADS": "1"}
        return subprocess.run(command, cwd=name, env=variables, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
