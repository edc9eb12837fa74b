"""Routes to nvcc on the recorded machines: which come first, which are blocked, what they would run."""

from __future__ import annotations

import stat
from pathlib import Path

import msgspec
import pytest
from recorded import facts_of, names

from mambaops.core.errors import CommandFailed, MachineError, StepDidNotTake, UsageError
from mambaops.facts.model import Facts
from mambaops.system import routes, toolkit
from mambaops.system.route import Route, script
from mambaops.system.routes import toolkit_routes


def _facts(name: str) -> Facts:
    return facts_of(name)


def _ids(name: str, cuda: str, *, sudo: bool = True) -> list[str]:
    return [
        route.id for route in toolkit_routes(_facts(name), cuda, sudo=sudo) if not route.blocked
    ]


def _route(name: str, cuda: str, wanted: str, *, sudo: bool = True) -> Route:
    found = toolkit_routes(_facts(name), cuda, sudo=sudo, folder="F")
    return next(route for route in found if route.id == wanted)


@pytest.mark.parametrize(
    ("machine", "cuda", "first"),
    [
        ("wsl-5090-bare", "12.8", "apt-network"),
        ("wsl-5090-nvcc126", "12.8", "apt-network"),
        ("debian10-a800", "12.1", "apt-network"),
        ("ubuntu20-graph-mamba", "11.7", "apt-network"),
        ("rhel8", "12.8", "conda-micromamba"),
        ("centos7", "11.8", "conda-env"),
    ],
)
def test_with_root_the_systems_own_repository_comes_first(
    machine: str, cuda: str, first: str
) -> None:
    assert _ids(machine, cuda)[0] == first


@pytest.mark.parametrize(
    ("machine", "cuda", "first"),
    [
        ("ubuntu20-graph-mamba", "11.7", "conda-env"),
        ("digress", "11.8", "conda-env"),
        ("wsl-5090-bare", "12.8", "conda-micromamba"),
    ],
)
def test_without_root_conda_comes_first_and_root_routes_are_blocked(
    machine: str, cuda: str, first: str
) -> None:
    assert _ids(machine, cuda, sudo=False)[0] == first
    blocked = [
        route for route in toolkit_routes(_facts(machine), cuda, sudo=False) if route.blocked
    ]
    assert {route.id for route in blocked} >= {"apt-network", "runfile-system"}
    for route in blocked:
        assert route.needs_root
        assert "sudo" in route.hint and "cuda" in route.hint


def test_root_too_changes_the_system_only_where_it_is_allowed() -> None:
    facts = _facts("wsl-5090-bare")
    host = msgspec.structs.replace(facts.host, root=True, sudo=False)
    root = msgspec.structs.replace(facts, host=host)
    (blocked, *_) = [one for one in toolkit_routes(root, "12.8", sudo=False) if one.needs_root]
    assert blocked.blocked == "it changes the system, and --sudo was not given"
    assert "--sudo" in blocked.hint and "sudo apt-get" not in blocked.hint
    assert [
        one for one in toolkit_routes(root, "12.8", sudo=True) if one.needs_root and one.blocked
    ] == []


def test_root_commands_are_not_run_unasked(tmp_path: Path) -> None:
    route = _made(tmp_path, _nvcc(tmp_path / "cuda", "12.8"), root=True)
    with pytest.raises(MachineError, match="--sudo was not given"):
        toolkit.obtain(route, "12.8", sudo=False, say=lambda line: None)
    assert not (tmp_path / "cuda").exists()


def test_wsl_takes_the_repository_without_drivers() -> None:
    text = script(_route("wsl-5090-bare", "12.8", "apt-network"), _facts("wsl-5090-bare"))
    assert "/repos/wsl-ubuntu/x86_64/cuda-keyring_1.1-1_all.deb" in text
    assert "sudo apt-get install -y --no-install-recommends cuda-toolkit-12-8" in text
    local = _route("wsl-5090-bare", "12.8", "apt-local").commands
    assert "cuda-repo-wsl-ubuntu-12-8-local_12.8.1-1_amd64.deb" in local[1][-1]


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("cuda", ["11.7", "12.1", "12.8", "13.0"])
def test_no_route_on_any_machine_installs_a_driver(name: str, cuda: str) -> None:
    for route in toolkit_routes(_facts(name), cuda, sudo=True):
        for command in route.commands:
            assert not {"cuda", "cuda-drivers", "nvidia-driver", "--driver"} & set(command)
            if command[0] == "sh" and command[1] != "-c":
                assert {"--silent", "--toolkit"} <= set(command)
        assert not any("/tmp/" in word for command in route.commands for word in command)


def test_the_notes_deb_local_file_is_the_one_that_is_fetched() -> None:
    address = _route("ubuntu22-cu118", "11.8", "apt-local").commands[1][-1]
    assert address.endswith(
        "/11.8.0/local_installers/cuda-repo-ubuntu2204-11-8-local_11.8.0-520.61.05-1_amd64.deb"
    )


def test_the_runfile_into_a_folder_writes_nothing_outside_of_it() -> None:
    command = _route("digress", "11.8", "runfile-folder").commands[-1]
    for flag in ("--toolkitpath=F", "--defaultroot=F", "--tmpdir=F-tmp"):
        assert flag in command


def test_conda_takes_every_part_from_one_label_and_leaves_the_rest_alone() -> None:
    command = _route("digress", "11.8", "conda-env").commands[0]
    assert "--freeze-installed" in command
    assert command[command.index("-c") + 1].endswith("/nvidia/label/cuda-11.8.0")
    assert {"cuda-nvcc", "cuda-cudart-dev", "cuda-cccl", "libcusparse-dev"} <= set(command)
    assert _route("digress", "11.8", "conda-env").home == _facts("digress").python.prefix


def test_a_repository_that_begins_later_is_blocked_with_the_reason() -> None:
    route = _route("debian13", "12.1", "apt-network")
    assert route.blocked == "the repository debian13 begins with CUDA 13.0"


def test_windows_and_unknown_processors_have_no_wrong_route() -> None:
    assert toolkit_routes(_facts("windows-5090"), "12.8", sudo=True) == []
    arm = toolkit_routes(_facts("gb10"), "13.0", sudo=True)
    assert not [route for route in arm if route.kind == "runfile"]
    assert any("sbsa" in word for route in arm for command in route.commands for word in command)


def test_a_driver_that_is_too_old_is_said() -> None:
    assert "driver runs up to CUDA 12.2" in routes.floor_note(_facts("debian10-a800"), "13.0")
    assert routes.floor_note(_facts("debian10-a800"), "12.1") == ""


# -- taking one -----------------------------------------------------------------------------------------
def _nvcc(path: Path, release: str) -> str:
    """A shell line that puts an nvcc there which prints what the real one prints."""
    text = f"echo 'Cuda compilation tools, release {release}, V{release}.89'"
    return (
        f"mkdir -p {path}/bin && printf '#!/bin/sh\\n%s\\n' \"{text}\" > {path}/bin/nvcc "
        f"&& chmod +x {path}/bin/nvcc"
    )


def _made(tmp_path: Path, line: str, *, root: bool = False) -> Route:
    home = str(tmp_path / "cuda")
    commands = [["sh", "-c", line]]
    return Route(id="conda-env", needs_root=root, commands=commands, reason="test", home=home)


def test_a_route_that_brings_the_compiler_is_taken_once(tmp_path: Path) -> None:
    said: list[str] = []
    route = _made(tmp_path, _nvcc(tmp_path / "cuda", "11.8") + f" && echo ran >> {tmp_path}/count")
    for _ in range(2):
        assert toolkit.obtain(route, "11.8", sudo=False, say=said.append) == tmp_path / "cuda"
    assert (tmp_path / "count").read_text() == "ran\n"
    assert any(line.startswith("$ sh -c") for line in said)
    assert "nothing to do" in said[-1]


@pytest.mark.parametrize(
    ("line", "found"), [("true", "no nvcc"), ("nvcc 12.6", "12.6"), ("exit 3", "exited 3")]
)
def test_a_route_that_brings_something_else_is_an_error(
    tmp_path: Path, line: str, found: str
) -> None:
    line = _nvcc(tmp_path / "cuda", "12.6") if line.startswith("nvcc") else line
    wanted = CommandFailed if line == "exit 3" else StepDidNotTake
    with pytest.raises(wanted, match=found):
        toolkit.obtain(_made(tmp_path, line), "12.8", sudo=False, say=lambda line: None)


def _as_somebody(monkeypatch: pytest.MonkeyPatch, folder: Path, sudo: str) -> None:
    """A user without root, and a `sudo` on PATH that answers as given."""
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    program = folder / "bin" / "sudo"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{sudo}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")


def test_root_commands_go_through_sudo_only_with_permission(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _as_somebody(
        monkeypatch, tmp_path, f'printf "%s\\n" "$*" >> {tmp_path}/asked; shift; exec "$@"'
    )
    route = _made(tmp_path, _nvcc(tmp_path / "cuda", "12.8"), root=True)
    with pytest.raises(MachineError, match="--sudo was not given") as caught:
        toolkit.obtain(route, "12.8", sudo=False, say=lambda line: None)
    assert "  sudo sh -c" in caught.value.hint
    assert not (tmp_path / "asked").exists()
    toolkit.obtain(route, "12.8", sudo=True, say=lambda line: None)
    assert (tmp_path / "asked").read_text().startswith("-n true\n-n sh -c")


def test_a_sudo_that_wants_a_password_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _as_somebody(monkeypatch, tmp_path, "echo 'sudo: a password is required' >&2; exit 1")
    route = _made(tmp_path, "true", root=True)
    with pytest.raises(MachineError, match="wants a password") as caught:
        toolkit.obtain(route, "12.8", sudo=True, say=lambda line: None)
    assert "sudo sh" in caught.value.hint


def test_choosing_names_what_there_is() -> None:
    found = toolkit_routes(_facts("wsl-5090-bare"), "12.8", sudo=False)
    assert toolkit.chosen(found, "").id == "conda-micromamba"
    assert toolkit.chosen(found, "runfile").id == "runfile-folder"
    with pytest.raises(UsageError, match="no route `snap`"):
        toolkit.chosen(found, "snap")
    with pytest.raises(MachineError, match="root is needed"):
        toolkit.chosen(found, "apt-network")
    with pytest.raises(MachineError, match="no route"):
        toolkit.chosen([], "")


def test_the_release_is_read_from_nvccs_text() -> None:
    text = (
        "nvcc: NVIDIA (R) Cuda compiler driver\nCopyright (c) 2005-2022 NVIDIA Corporation\n"
        "Built on Wed_Sep_21_10:33:58_PDT_2022\n"
        "Cuda compilation tools, release 11.8, V11.8.89\n"
        "Build cuda_11.8.r11.8/compiler.31833905_0\n"
    )
    assert toolkit.parse_nvcc(text) == "11.8"
    assert toolkit.parse_nvcc("bash: nvcc: not found") is None
