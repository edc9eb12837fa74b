"""The controller's side: which interpreter, clear errors, what the tables fill in, the command."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest

sys.path.insert(0, str(Path(__file__).parent))
import texts
from recorded import facts_of, path_of

from mambaops.core import process
from mambaops.core.errors import MambaopsError, UsageError
from mambaops.facts.collect import collect
from mambaops.facts.complete import complete
from mambaops.facts.model import Driver, Facts, Gpu, Host, Python, Torch


@pytest.fixture
def on_path(machine: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("PATH", f"{machine.bin}{os.pathsep}{os.environ['PATH']}")
    return machine


def script(machine: Any, text: str) -> Path:
    path: Path = machine.program("python-stand-in", text)
    return path


def test_this_interpreter_by_default(tmp_path: Path) -> None:
    facts = collect(paths=[tmp_path])
    assert facts.python.executable == sys.executable
    assert str(tmp_path) in [disk.path for disk in facts.host.disks]


def test_capability_by_name_when_the_driver_is_too_old(on_path: Any) -> None:
    on_path.smi(texts.V100_OLD_TABLE, "nothing usable\n")
    facts = collect()
    assert [gpu.compute_capability for gpu in facts.gpus] == ["7.0", "7.0"]
    assert "by name" in facts.sources["gpus.compute_capability"]


def test_cuda_by_the_version_of_a_driver_that_hangs() -> None:
    facts = complete(facts_of("hanging-smi"))
    assert facts.driver.cuda == "12.8"
    assert "570.124.06" in facts.sources["driver.cuda"]
    assert complete(facts_of("broken-driver")).driver.cuda is None


def bare(**more: Any) -> Facts:
    return Facts(
        host=Host(system="Linux", machine="x86_64"),
        driver=more.pop("driver", Driver(state="absent")),
        python=Python(executable="python", version="3.11.7"),
        **more,
    )


def test_what_torch_holds_by_its_version() -> None:
    torch = Torch(version="2.2.0+cu121", path="/x", cuda="12.1")
    filled = complete(bare(torch=torch)).torch
    assert filled is not None
    assert filled.arch_list is not None
    assert filled.arch_list[-1] == "sm_90"
    assert filled.cxx11_abi is False
    nightly = Torch(version="2.8.0.dev20250605+cu128", path="/x", cuda="12.8")
    assert complete(bare(torch=nightly)).torch == nightly
    cpu = Torch(version="2.8.0+cpu", path="/x")
    assert complete(bare(torch=cpu)).torch == cpu


def test_unknown_things_stay_unknown() -> None:
    facts = bare(
        gpus=[Gpu(index=0, name="Some GPU")],
        driver=Driver(state="ok", version="100.1", kind="linux"),
    )
    assert complete(facts).gpus == facts.gpus
    assert complete(facts).driver == facts.driver


def test_no_such_interpreter(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no interpreter") as caught:
        collect(tmp_path / "nope")
    assert "--python" in caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        'echo "mambaops: this is Python 3.6 (x), the probe needs 3.7 or newer" >&2; exit 3\n',
        'echo "SyntaxError: invalid syntax" >&2; exit 1\n',
    ],
)
def test_an_interpreter_that_is_too_old(machine: Any, text: str) -> None:
    with pytest.raises(UsageError, match="too old"):
        collect(script(machine, text))


def test_something_that_is_no_python(machine: Any) -> None:
    with pytest.raises(MambaopsError, match="did not print facts"):
        collect(script(machine, "echo hello\n"))
    with pytest.raises(MambaopsError, match=r"exited 4.*no good"):
        collect(script(machine, "echo no good >&2; exit 4\n"))


def test_noise_before_the_facts(machine: Any) -> None:
    facts = collect(
        script(machine, f'echo "Welcome to the cluster!"\nexec {sys.executable} "$@"\n')
    )
    assert facts.host.system


def mambaops(*words: str | Path, check: bool = True) -> process.Completed:
    return process.run([sys.executable, "-m", "mambaops", *words], check=check, timeout=60)


def test_the_command_prints_json_that_fits_its_schema() -> None:
    done = mambaops("facts", "--json")
    assert done.stderr == ""
    value = json.loads(done.stdout)
    jsonschema.validate(value, msgspec.json.schema(Facts))
    assert set(value) == set(Facts.__struct_fields__)


def test_the_command_prints_a_file_again() -> None:
    path = path_of("debian10-a800")
    done = mambaops("facts", "--facts", path, "--json")
    assert json.loads(done.stdout) == json.loads(path.read_text())
    text = mambaops("facts", "--facts", path).stdout
    for part in ("Debian GNU/Linux 10", "A800", "12.2", "nvcc 12.1.66", "g++ 8.3.0", "2.2.0+cu121"):
        assert part in text


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--facts", "/no/such/file.json"], "cannot be read"),
        (["--facts", __file__], "does not hold facts"),
        (["--python", "/no/such/python"], "there is no interpreter"),
    ],
)
def test_the_commands_errors(words: list[str], said: str) -> None:
    done = mambaops("facts", *words, check=False)
    assert done.returncode == 2
    assert said in done.stderr
    assert "hint:" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_the_command_looks_at_another_interpreter(machine: Any) -> None:
    import venv

    venv.create(machine.folder / "env", symlinks=True, with_pip=False)
    python = machine.folder / "env/bin/python"
    value = json.loads(mambaops("facts", "--json", "--python", python).stdout)
    assert value["python"]["prefix"] == str(machine.folder / "env")
    assert value["torch"] is None
    by_folder = json.loads(mambaops("facts", "--json", "--python", machine.folder / "env").stdout)
    assert by_folder["python"] == value["python"]
