"""A proven environment as an image and as a notebook: what both do is done with a real interpreter."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from dockerfile_parse import DockerfileParser
from exported import PYTHON, export, versions

from mambaops.bundle.export import Exported, Pin
from mambaops.bundle.export_image import to_docker
from mambaops.bundle.export_notebook import to_notebook
from mambaops.bundle.export_proof import proof_of
from mambaops.core.errors import UsageError
from mambaops.core.paths import payload_file

CELLS = """import json, sys
names = {"__name__": "__main__"}
for cell in json.load(open(sys.argv[1]))["cells"]:
    if cell["cell_type"] == "code":
        exec("".join(cell["source"]), names)
"""
PROVEN = {"torch-2.8.0", "einops-0.8.1", "mamba_ssm-2.3.2"}


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """A Python with pip."""
    env = tmp_path / "fresh"
    argv = [sys.executable, "-m", "virtualenv", "-q", "--no-periodic-update", env]
    subprocess.run(argv, check=True)
    return env


def packages(env: Path) -> set[str]:
    return versions(env / "lib" / f"python{PYTHON}" / "site-packages")


def built(context: Path, root: Path, base: Path) -> tuple[int, str]:
    """Carry a Dockerfile out below `root`, `base` being the image's Python: (status, what was said)."""
    env = {**os.environ, "PATH": f"{base / 'bin'}:{os.environ['PATH']}"}
    folder, said = root, ""
    for line in DockerfileParser(str(context)).structure:
        word, value = line["instruction"], line["value"]
        if word == "WORKDIR":
            folder = root / value.lstrip("/")
            folder.mkdir(parents=True, exist_ok=True)
        elif word == "COPY":
            assert value == ". ."
            shutil.copytree(context, folder, dirs_exist_ok=True)
        elif word == "ENV":
            name, _, text = value.partition("=")
            env[name] = shlex.split(text)[0]
        elif word == "RUN":
            argv = ["sh", "-c", value]
            done = subprocess.run(
                argv, cwd=folder, env=env, capture_output=True, text=True, check=False
            )
            said += done.stdout + done.stderr
            if done.returncode:
                return done.returncode, said
        else:
            assert word in ("COMMENT", "FROM", "ARG", "CMD"), word
    return 0, said


@pytest.mark.parametrize("from_store", [False, True], ids=["index", "store"])
def test_an_image_has_the_pins_and_looks_whether_it_has(
    from_store: bool, proven: Path, alone: str, tmp_path: Path, fresh: Path
) -> None:
    index = [] if from_store else ["--index", f"{alone}/kernels/cu128-torch2.8-sm120/simple/"]
    folder = tmp_path / "image"
    export("--docker", "--python", proven, *index, "--output", folder)
    carried = [path.name.split("+")[0] for path in folder.glob("wheels/*.whl")]
    assert carried == (["mamba_ssm-2.3.2"] if from_store else [])
    shutil.rmtree(tmp_path / "cache")  # the image is built elsewhere
    assert DockerfileParser(str(folder)).baseimage == f"python:{PYTHON}-slim-bookworm"
    status, said = built(folder, tmp_path / "root", fresh)
    assert status == 0, said
    assert packages(fresh) >= PROVEN
    assert "3 packages in their versions, import torch, import selective_scan_cuda" in said
    # one that comes out otherwise is none
    file = folder / "Dockerfile"
    spoil = "RUN sed -i 's/einops==0.8.1/einops==0.8.0/; $a absent==1' pins.txt"
    file.write_text(file.read_text().replace("RUN python pins", f"{spoil}\nRUN python pins"))
    status, said = built(folder, tmp_path / "root", fresh)
    assert (status, said.splitlines()[-2:]) == (
        1,
        [
            "not as it was proven: einops is 0.8.1, and 0.8.0 was proven",
            "not as it was proven: absent 1 is not installed",
        ],
    )


def test_a_notebooks_cells_install_the_pins_and_prove_them(
    proven: Path, alone: str, tmp_path: Path, fresh: Path
) -> None:
    folder = tmp_path / "note"
    export("--notebook", "--python", proven, "--output", folder)
    shutil.rmtree(tmp_path / "cache")  # it is run elsewhere
    (file,) = folder.glob("*.ipynb")
    nbformat.validate(nbformat.read(file, as_version=4))
    argv = [fresh / "bin" / "python", "-c", CELLS, file]
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert packages(fresh) >= PROVEN
    assert "3 packages in their versions, import torch, import selective_scan_cuda" in done.stdout
    assert done.stdout.splitlines()[-1] == "not run: no GPU here"
    # a second time what is loaded is in the way, and is not taken from under it
    twice = CELLS.replace("for cell", "import einops, torch\nfor cell")
    argv[2] = twice
    done = subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False)
    assert "restart the kernel" in done.stderr.splitlines()[-1]


def test_a_second_export_replaces_the_first_and_nobody_elses(
    proven: Path, alone: str, tmp_path: Path
) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "Dockerfile").write_text("FROM scratch\n")
    argv = [sys.executable, "-m", "mambaops", "export", "--python", str(proven), "--json"]
    for form in ("--docker", "--notebook"):
        done = subprocess.run(
            [*argv, form, "--output", mine], capture_output=True, text=True, check=False
        )
        assert done.returncode == 2
        assert "is there already" in json.loads(done.stdout)["error"]["message"]
        rows = [
            json.loads(export("--python", proven, form, "--json", "--output", tmp_path / form))
            for _ in range(2)
        ]
        assert rows[0] == rows[1]
        assert [name.split("+")[0] for name in rows[0]["wheels"]] == ["mamba_ssm-2.3.2"]
        assert Path(rows[0]["file"]).read_text() == rows[0]["text"]
    assert (mine / "Dockerfile").read_text() == "FROM scratch\n"


def test_odd_values_stay_words(tmp_path: Path) -> None:
    """Addresses and variables with quotes, spaces and dollars arrive as they are."""
    odd = Exported(
        name="x", python=PYTHON, platform="linux", machine="x86_64", proof="none",
        pins=(Pin(name="triton", version="1", place="kernels"),),
        places={"kernels": "https://u:p'w@h/a b/$HOME"}, torch_index="https://x/",
        env={"ODD": "it's $HOME \"now\""},
    )  # fmt: skip
    for name, text in to_docker(odd, proof_of(odd)).items():
        (tmp_path / name).write_text(text)
    parsed = DockerfileParser(str(tmp_path))
    values = {line["instruction"]: [] for line in parsed.structure}
    for line in parsed.structure:
        values[line["instruction"]].append(line["value"])
    assert [shlex.split(one.partition("=")[2]) for one in values["ENV"]][1] == [odd.env["ODD"]]
    assert shlex.split(values["RUN"][1])[7] == odd.places["kernels"]
    assert "gcc" in values["RUN"][0]  # Triton's launchers
    cells = json.loads(to_notebook(odd, proof_of(odd)))["cells"]
    code = "".join(cells[1]["source"])
    assert f"os.environ.setdefault('ODD', {odd.env['ODD']!r})" in code
    assert repr(odd.places["kernels"]) in "".join(cells[2]["source"])


def test_a_module_that_asks_for_a_gpu_is_not_looked_at_where_an_image_is_made(
    tmp_path: Path,
) -> None:
    for name, said in (
        ("wants", "0 active drivers ([]). There should only be one."),
        ("broken", "no"),
    ):
        (tmp_path / f"{name}.py").write_text(f"raise RuntimeError({said!r})\n")
    env = {**os.environ, "PYTHONPATH": str(tmp_path)}
    for name, status, told in (
        ("wants", 0, "import wants: not looked at: Triton asks for a GPU"),
        ("broken", 1, "not as it was proven: import broken: RuntimeError: no"),
    ):
        argv = [sys.executable, payload_file("pins_check.py"), "--import", name]
        done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout.splitlines()[0]) == (status, told)


@pytest.mark.parametrize(("platform", "machine"), [("win32", "AMD64"), ("darwin", "x86_64")])
def test_no_image_is_made_of_another_system(platform: str, machine: str) -> None:
    other = Exported(
        name="x", python="3.12", platform=platform, machine=machine, proof="none", pins=(),
        places={}, torch_index="https://x/",
    )  # fmt: skip
    with pytest.raises(UsageError, match=f"{platform} {machine}"):
        to_docker(other, proof_of(other))
