"""The original repository as the engine: look first whether it can start, then run its `main.py`.

The look names every missing module at once. What the repository imports is read from its sources
(nothing of it is run); whether that can be imported is tried in a process of its own, because a broken
extension may crash.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from typing import Dict, Iterator, List, Sequence, Set, Tuple

from mambaops.payload.train.errors import TrainError

# Imports the modules that it reads from stdin and prints one JSON line per module: [name, error].
_TRIAL = """
import importlib, importlib.util, json, sys
for module, names in json.load(sys.stdin):
    error = ""
    try:
        found = importlib.import_module(module)
        for name in names:
            inside = hasattr(found, "__path__") and importlib.util.find_spec(module + "." + name)
            if not hasattr(found, name) and not inside:
                error = "has no " + name + " (another version than the repository wants)"
    except ModuleNotFoundError as problem:
        whole = problem.name == module or module.startswith(str(problem.name) + ".")
        error = "not installed" if whole else str(problem)
    except BaseException as problem:
        error = type(problem).__name__ + ": " + str(problem).split(chr(10))[0]
    print("@import " + json.dumps([module, error]), flush=True)
"""
Wanted = Dict[str, Set[str]]


def command(root: str, cfg: str, settings: Sequence[Tuple[str, str]], repeat: int = 1) -> List[str]:
    """The command line that starts the repository's `main.py`, to be run in `root`."""
    words = [sys.executable, "main.py", "--cfg", cfg, "--repeat", str(repeat)]
    return words + [word for pair in settings for word in pair]


def run(root: str, cfg: str, settings: Sequence[Tuple[str, str]], repeat: int = 1) -> int:
    """Run the repository after the look; returns its exit status.

    Raises:
        TrainError: no such repository or configuration, or modules are missing: all are named.
    """
    for path, what in (("", "repository"), ("main.py", "program"), (cfg, "configuration")):
        if not os.path.exists(os.path.join(root, path)):
            raise TrainError(f"{what} {os.path.join(root, path)} is not there")
    mamba = "Mamba" in _layer_type(os.path.join(root, cfg), settings)
    problems = preflight(root, mamba=mamba)
    if problems:
        listed = "\n".join(f"  {name}: {error}" for name, error in sorted(problems.items()))
        raise TrainError(
            f"{root} cannot start with {sys.executable}; {len(problems)} modules are missing:\n{listed}",
            hint="`mambaops build-mamba --profile ubuntu20-graph-mamba` makes an environment that has them; "
            "without --graph_mamba_root the native engine needs none of them",
        )
    words = command(root, cfg, settings, repeat)
    print("running: " + " ".join(words), flush=True)
    environment = dict(os.environ)
    before = environment.get("PYTHONPATH")
    environment["PYTHONPATH"] = os.path.abspath(root) + (os.pathsep + before if before else "")
    return subprocess.call(words, cwd=root, env=environment)


def _layer_type(path: str, settings: Sequence[Tuple[str, str]]) -> str:
    """What names the layers: the override, else the configuration's own line."""
    for name, value in settings:
        if name == "gt.layer_type":
            return value
    with open(path, encoding="utf-8") as file:
        return " ".join(line for line in file if line.strip().startswith("layer_type:"))


def preflight(root: str, *, mamba: bool = True) -> Dict[str, str]:
    """Every module that the repository needs and this interpreter cannot import, with the reason.

    Args:
        mamba: whether the configuration has Mamba layers; without them mamba_ssm is not asked for
            where the repository guards its import.
    """
    wanted = imports_of(root)
    wanted.setdefault("torch", set())
    if mamba:
        wanted.setdefault("mamba_ssm", set()).add("Mamba")
    return try_imports(wanted)


def imports_of(root: str) -> Wanted:
    """Modules (and names in them) that `main.py` and the `graphgps` package import when loaded.

    Only what lies outside of functions and `try` blocks: the rest is optional or comes later.
    """
    own = {os.path.splitext(name)[0] for name in os.listdir(root)}
    wanted: Wanted = {}
    for path in _sources(root):
        with open(path, encoding="utf-8") as file:
            tree = ast.parse(file.read(), path)
        for module, name in _imported(tree.body):
            if module.split(".")[0] not in own and not _is_standard(module):
                names = wanted.setdefault(module, set())
                names.update([name] if name else [])
    return wanted


def _sources(root: str) -> Iterator[str]:
    yield os.path.join(root, "main.py")
    for folder, _, files in os.walk(os.path.join(root, "graphgps")):
        yield from (os.path.join(folder, name) for name in sorted(files) if name.endswith(".py"))


def _imported(body: Sequence[ast.stmt]) -> Iterator[Tuple[str, str]]:
    """(module, name) of the absolute imports among these statements; name is empty for `import m`."""
    for node in body:
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names = [alias.name for alias in node.names]
            yield from ((node.module, "" if name == "*" else name) for name in names)


def _is_standard(module: str) -> bool:
    top = module.split(".")[0]
    known = getattr(sys, "stdlib_module_names", None)  # Python 3.10 and later
    if known is not None:
        return top in known
    from importlib.util import find_spec

    spec = find_spec(top) if top not in sys.builtin_module_names else None
    return (spec is None and top in sys.builtin_module_names) or _lies_in_stdlib(spec)


def _lies_in_stdlib(spec: object) -> bool:
    origin = str(getattr(spec, "origin", "") or "")
    stdlib = os.path.dirname(os.__file__)
    return origin == "frozen" or (origin.startswith(stdlib) and "site-packages" not in origin)


def try_imports(wanted: Wanted) -> Dict[str, str]:
    """{module: why it cannot be imported}, tried in a process of its own; a crash names its module."""
    left = [[module, sorted(names)] for module, names in sorted(wanted.items())]
    problems: Dict[str, str] = {}
    while left:
        done = subprocess.run(
            [sys.executable, "-c", _TRIAL],
            input=json.dumps(left),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            universal_newlines=True,
            check=False,
        )
        lines = [line[8:] for line in done.stdout.splitlines() if line.startswith("@import ")]
        told = [json.loads(line) for line in lines]  # modules print things of their own, too
        problems.update({module: error for module, error in told if error})
        left = left[len(told) :]
        if left:  # the process ended while it tried the next one
            problems[str(left[0][0])] = f"importing it ended Python (exit {done.returncode})"
            left = left[1:]
    return problems
