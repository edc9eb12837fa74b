"""`python3 tasks.py` with an old Python: one that is new enough is found, or got, or it says what is wanted."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from standins import program

from mambaops.core.paths import CHECKOUT, PACKAGE
from mambaops.payload import first_line
from mambaops.payload.first_line import ELSEWHERE

FILE = PACKAGE / "payload" / "first_line.py"
# the same interpreter, told that it is Debian 11's
OLD = "import sys, runpy; sys.version_info = (3, 9, 2); runpy.run_path('tasks.py', run_name='__main__')"
PRINTS = "case $* in *version_info*) echo {version}; exit;; esac\n"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with the two files that are run."""
    folder = tmp_path / "checkout"
    place = folder / FILE.relative_to(CHECKOUT)
    place.parent.mkdir(parents=True)
    shutil.copy(FILE, place)
    shutil.copy(CHECKOUT / "tasks.py", folder)
    return folder


def run(checkout: Path) -> subprocess.CompletedProcess[str]:
    """By an old Python, with nothing on PATH but stand-ins and a shell's own programs."""
    if any(list(Path("/").glob(one[1:])) for one in ELSEWHERE if one.startswith("/")):
        pytest.skip("a Python of this machine would be found, wherever PATH leads")
    home = checkout.parent
    for name in ("sh", "mkdir", "touch", "cat", "dirname", "chmod"):
        link = home / "bin" / name
        link.parent.mkdir(exist_ok=True)
        if not link.exists():
            link.symlink_to(shutil.which(name) or "")
    env = {"PATH": f"{home}/bin", "HOME": str(home), "LANG": "C.UTF-8"}
    return subprocess.run(
        [sys.executable, "-S", "-c", OLD],
        cwd=checkout,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )


def python_that(folder: Path, name: str, version: str, text: str = "exit 3") -> None:
    program(
        folder, name, PRINTS.format(version=version) + f'echo "{name} $*" >>{folder}/calls\n{text}'
    )


MAKES = """
case $* in *venv*) for last; do :; done
mkdir -p "$last/bin"; cat >"$last/bin/python" <<'END'
#!/bin/sh
echo "venv's $*" >>CALLS
END
chmod 755 "$last/bin/python";; esac
"""


def calls(folder: Path) -> list[str]:
    return (folder / "calls").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("file", [FILE, CHECKOUT / "tasks.py"])
def test_python_3_7_reads_it(file: Path) -> None:
    ast.parse(file.read_text(encoding="utf-8"), feature_version=(3, 7))


def test_it_needs_the_standard_library_alone() -> None:
    tree = ast.parse(FILE.read_text(encoding="utf-8"))
    imports = [one for one in ast.walk(tree) if isinstance(one, (ast.Import, ast.ImportFrom))]
    names = {
        name.partition(".")[0]
        for one in imports
        for name in (
            [one.module or ""] if isinstance(one, ast.ImportFrom) else [n.name for n in one.names]
        )
    }
    assert names <= sys.stdlib_module_names | {"__future__"}


def test_the_environment_is_made_of_a_python_that_is_new_enough(
    checkout: Path, tmp_path: Path
) -> None:
    python_that(tmp_path, "python3", "3.9")
    python_that(tmp_path, "python3.11", "3.11", MAKES.replace("CALLS", f"{tmp_path}/calls"))
    done = run(checkout)
    assert done.returncode == 0, done.stderr
    assert f"Python 3.11: {tmp_path}/bin/python3.11" in done.stderr
    assert "ready. Next: .venv/bin/invoke build-mamba" in done.stderr
    assert calls(tmp_path) == [
        f"python3.11 -m venv {checkout}/.venv",
        f"venv's -m pip install -q -e {checkout}[nox]",
    ]


def test_uv_makes_it_where_no_python_is_new_enough(checkout: Path, tmp_path: Path) -> None:
    python_that(tmp_path, "python3", "3.9")
    program(
        tmp_path,
        "uv",
        f'echo "uv $*" >>{tmp_path}/calls' + MAKES.replace("CALLS", f"{tmp_path}/calls"),
    )
    done = run(checkout)
    assert done.returncode == 0, done.stderr
    assert calls(tmp_path)[0] == f"uv venv --seed --python 3.12 {checkout}/.venv"


def test_uv_makes_it_where_debian_has_no_venv(checkout: Path, tmp_path: Path) -> None:
    python_that(tmp_path, "python3.11", "3.11", "exit 1")
    program(
        tmp_path,
        "uv",
        f'echo "uv $*" >>{tmp_path}/calls' + MAKES.replace("CALLS", f"{tmp_path}/calls"),
    )
    done = run(checkout)
    assert done.returncode == 0, done.stderr
    assert (
        calls(tmp_path)[1] == f"uv venv --seed --python {tmp_path}/bin/python3.11 {checkout}/.venv"
    )


def test_conda_where_uv_cannot_reach_its_pythons(checkout: Path, tmp_path: Path) -> None:
    program(tmp_path, "uv", "echo 'error: no route' >&2; exit 2")
    made = MAKES.replace("CALLS", f"{tmp_path}/calls").replace("$", "\\$")
    home = f"{checkout}/.mambaops/python/bin"
    text = f'echo "conda $*" >>{tmp_path}/calls; mkdir -p {home}; cat >{home}/python <<EOF\n#!/bin/sh\n{made}\nEOF\n'
    program(tmp_path, "conda", text + f"chmod 755 {home}/python")
    done = run(checkout)
    assert done.returncode == 0, done.stderr
    assert "conda gets Python 3.12" in done.stderr
    assert "python=3.12" in calls(tmp_path)[0]


def test_where_none_can_be_had_it_says_what_is_wanted(checkout: Path, tmp_path: Path) -> None:
    python_that(tmp_path, "python3", "3.9")
    program(tmp_path, "uv", "echo 'error: no route to the host' >&2; exit 2")
    done = run(checkout)
    assert done.returncode == 4
    assert "Python 3.10 or newer is wanted" in done.stderr
    assert "no route to the host" in done.stderr
    assert "hint:" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (checkout / ".venv").exists()


def test_uv_is_taken_out_of_its_wheel(tmp_path: Path) -> None:
    wheel = tmp_path / "uv-0.9.0-py3-none-manylinux2014_x86_64.whl"
    with zipfile.ZipFile(wheel, "w") as made:
        made.writestr("uv-0.9.0.data/scripts/uv", "#!/bin/sh\necho uv here\n")
    first_line.unpacked(wheel, tmp_path)
    done = subprocess.run([tmp_path / "uv"], capture_output=True, text=True, check=False)
    assert done.stdout == "uv here\n"
    assert [path.name for path in tmp_path.iterdir()] == ["uv"]


@pytest.mark.parametrize(
    ("version", "is_enough"),
    [("3.9", False), ("3.10", True), ("3.7", False), ("4.0", True), ("", False), ("2.7", False)],
)
def test_which_versions_will_do(version: str, is_enough: bool) -> None:
    assert first_line.enough(version) is is_enough
