"""Starting the training programs: which interpreter, what must be in it, its variables, the install."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from mambaops.core import interpreters, paths, process
from mambaops.core.errors import MachineError, UsageError
from mambaops.core.files import write_bytes
from mambaops.core.outputs import file_to_write
from mambaops.profiles.load import load_profile
from mambaops.state.places import places
from mambaops.system.launch import hand_over, import_path

VLM = "mambaops.payload.train.vlm"
DEMO_MARK = ".mambaops-demo"  # payload/train/demo_data.py writes it
NEEDED = ("torch", "transformers", "PIL")
LAUNCHERS = {
    "powershell": ("powershell.ps1", "\r\n"),
    "wsl": ("wsl.sh", "\n"),
    "slurm": ("slurm.sh", "\n"),
}

_LOOK = (
    "import importlib.util, sys;"
    "print(' '.join(n for n in sys.argv[1:] if importlib.util.find_spec(n) is None))"
)


def target_python(python: str, profile: str) -> Path:
    """The interpreter to train with: asked for, the profile's, the only one built here, the active one.

    Raises:
        UsageError: the profile's environment is not there, or there are several and none was named.
    """
    if python:
        return interpreters.to_look_at(python)
    if profile:
        return _profile_python(profile)
    built = _built_profiles()
    if len(built) == 1:
        return places(built[0]).python
    if len(built) > 1:
        raise UsageError(
            f"which environment? There are several here: {', '.join(built)}",
            hint="name one with --profile, or give --python",
        )
    return interpreters.to_look_at()


def _profile_python(profile: str) -> Path:
    name = load_profile(profile).name
    python = places(name).python
    if not python.exists():
        raise UsageError(
            f"profile {name} has no environment yet ({python} is not there)",
            hint=f"`mambaops build-mamba --profile {shlex.quote(profile)}`, or give --python",
        )
    return python


def _built_profiles() -> list[str]:
    folder = paths.state_dir() / "envs"
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    return [name for name in names if places(name).python.exists()]


def check_packages(python: Path, needed: Sequence[str] = NEEDED) -> None:
    """Raises:
    MachineError: the interpreter lacks a package that training imports.
    """
    missing = process.run([python, "-c", _LOOK, *needed], timeout=60).stdout.split()
    if missing:
        names = ["pillow" if name == "PIL" else name for name in missing]
        raise MachineError(
            f"{python} has no {', '.join(names)}, which training needs",
            hint=f"`{shlex.quote(str(python))} -m pip install {shlex.join(names)}`; "
            "torch: `mambaops build-mamba`",
        )


def install(profile: str) -> None:
    """Bring the profile's environment about; does nothing where it is as wanted.

    Raises:
        CommandFailed: a step failed; its finding was printed.
    """
    process.run(
        [interpreters.ours(), "-m", "mambaops", "build-mamba", "--profile", profile],
        on_line=lambda line: print(line, file=sys.stderr, flush=True),
        merge=True,
    )


def train(
    stage: int,
    words: list[str],
    *,
    python: str,
    profile: str,
    install_only: bool,
    train_only: bool,
    document: str = "",
) -> None:
    """Install where a profile was named, then become the training program.

    Raises:
        UsageError: contradicting flags. MachineError: packages are missing.
    """
    if install_only and train_only:
        raise UsageError("--install-only and --train-only exclude each other")
    if install_only and not profile:
        raise UsageError("--install-only needs --profile", hint="`mambaops profiles` lists them")
    if profile and not python and not train_only:
        install(profile)
    if install_only:
        return
    given = ["--stage", str(stage), *words]
    run_module(VLM, given, python=python, profile=profile, document=document)


def run_module(
    module: str,
    words: list[str],
    *,
    python: str,
    profile: str,
    needed: Sequence[str] = NEEDED,
    document: str = "",
) -> None:
    """Become `python -m module words…` with the profile's run-time variables (the user's own win).

    Args:
        document: the command whose outcome is wanted as one JSON document on stdout; "" for what it prints.

    Raises:
        UsageError: no such interpreter. MachineError: it lacks one of the `needed` packages.
    """
    chosen = target_python(python, profile)
    check_packages(chosen, needed)
    if profile:
        for name, value in load_profile(profile).runtime_env.items():
            os.environ.setdefault(name, value)
    hand_over(str(chosen), module, words, document=document)


def is_demo(folder: Path) -> bool:
    """Was the folder written by `demo-data`?"""
    return (folder / DEMO_MARK).is_file()


def write_launcher(kind: str, output: Path, profile: str, *, force: bool = False) -> Path:
    """A script that starts stage 2 by one word: for PowerShell (CRLF), for bash in WSL, or for sbatch (LF).

    Raises:
        UsageError: an unknown kind, or another file is there and `force` was not given.
    """
    if kind not in LAUNCHERS:
        raise UsageError(f"no launcher of kind {kind}; there are {', '.join(LAUNCHERS)}")
    name, newline = LAUNCHERS[kind]
    template = paths.payload_file("train", "launchers", name).read_text("utf-8")
    found = load_profile(profile).name
    text = template.replace("@PROFILE@", found)
    if "@PYTHON@" in text:  # nodes have no command of ours: the environment's own python
        text = text.replace("@PYTHON@", str(places(found).python))
        text = text.replace("@IMPORT_PATH@", str(import_path()))
    # PowerShell 5 reads UTF-8 only with a mark; bash takes none
    encoding = "utf-8-sig" if kind == "powershell" else "utf-8"
    content = text.replace("\n", newline).encode(encoding)
    # somebody may have changed one of ours: only the very same file goes without a question
    place = file_to_write(output, force=force, ours=lambda path: path.read_bytes() == content)
    return write_bytes(place, content, mode=0o755)


def mapped(given: list[str], *, to_windows: bool, as_json: bool) -> process.Completed:
    """Map paths (or those inside a .yaml or .csv) by `payload/paths.py`; it exits 1 where one does not exist.

    The mapping itself belongs to the target programs, so it is run, not imported.
    """
    script = paths.payload_file("paths.py")
    words = (["--to_windows"] if to_windows else []) + (["--json"] if as_json else [])
    return process.run([interpreters.ours(), script, *words, *given], check=False)
