"""A choice is made sure of, and its address told: what is here is looked into, what is promised asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from loopback import serve, status, whole
from msgspec.structs import replace

from mambaops.core.errors import MachineError, UsageError
from mambaops.facts.model import Facts
from mambaops.wheels.candidates import Candidate, from_name
from mambaops.wheels.names import parse_wheel_name
from mambaops.wheels.select.address import address_of, chosen_address
from mambaops.wheels.select.confirm import select_confirmed
from mambaops.wheels.select.selection import Wanted

from .conftest import EXTENSION, UPSTREAM, Compile, make_wheel
from .facts_of import machine

RELEASES = "https://github.com/state-spaces/mamba/releases/download"


@pytest.fixture(autouse=True)
def own_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAMBAOPS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("HTTPS_PROXY", "https_proxy"):  # every host but this machine is out of reach
        monkeypatch.setenv(name, "http://127.0.0.1:9")


def offered(url: str, name: str = UPSTREAM, **more: str) -> Candidate:
    return from_name(parse_wheel_name(name), "upstream", url=url, **more)


def chosen(*candidates: Candidate, facts: Facts | None = None, check: bool = False) -> str:
    found = select_confirmed("mamba-ssm", facts or machine(), candidates, check=check)
    return found.chosen.url if found.chosen else ""


def test_a_promise_is_held_against_the_network_only_where_that_is_wanted() -> None:
    with serve(b"", status(404)) as server:
        url = server.url(UPSTREAM)
        assert chosen(offered(url)) == url
        assert server.requests == []
        assert chosen(offered(url), check=True) == ""
    with serve(b"wheel", whole()) as server:
        url = server.url(UPSTREAM)
        assert chosen(offered(url), check=True) == url


def test_what_is_no_file_cannot_be_asked_for() -> None:
    with serve(b"", status(404)) as server:
        url = server.url("repository")
        assert chosen(offered(url), check=True) == url
        assert server.requests == []


def test_a_file_at_hand_that_a_repair_would_make_fit_is_chosen(
    tmp_path: Path, compile_module: Compile
) -> None:
    """Its glibc need is above the machine's, and the one known symbol is all of it."""
    path = make_wheel(tmp_path, UPSTREAM, {EXTENSION: compile_module(EXTENSION).read_bytes()})
    old = machine(distro="ubuntu 20.04")
    here = replace(offered(str(path), status="present"), glibc="2.32", repairable=True)
    found = select_confirmed("mamba-ssm", old, [here])
    assert found.chosen is not None
    assert (found.chosen.url, found.chosen.repair) == (str(path), "2.31")


def test_a_file_at_hand_that_is_not_what_it_claims_is_refused(
    tmp_path: Path, compile_module: Compile
) -> None:
    """Its claims fit; what is inside has no code for the GPU, needs a newer glibc, or is of another torch."""
    path = make_wheel(tmp_path, UPSTREAM, {EXTENSION: compile_module(EXTENSION).read_bytes()})
    claimed = replace(offered(str(path), status="present"), glibc="2.14", repairable=False)
    blackwell = machine(gpus=("12.0",))
    assert "has only PTX for 12.0" in refusal(replace(claimed, cubins=("12.0",)), blackwell)
    assert "GLIBC_2.32" in refusal(claimed, machine(distro="ubuntu 20.04"))
    other = compile_module("era.so", torch="2.5").read_bytes()
    path = make_wheel(tmp_path, UPSTREAM.replace("2.3.1", "2.3.0"), {EXTENSION: other})
    repaired = replace(offered(str(path), status="present"), glibc="2.32", repairable=True)
    assert "torch" in refusal(repaired, machine(distro="ubuntu 20.04"))


def refusal(candidate: Candidate, facts: Facts) -> str:
    """Why the one candidate, which its claims would let through, is not chosen in the end."""
    said: list[str] = []
    found = select_confirmed("mamba-ssm", facts, [candidate], say=said.append)
    assert found.chosen is None
    (line,) = said
    assert line.endswith("; looking for the next best")
    return line.removeprefix(f"{candidate.name}: ")


def test_a_file_at_hand_that_cannot_be_read_is_refused_with_what_was_found(tmp_path: Path) -> None:
    path = tmp_path / UPSTREAM
    path.write_bytes(b"<html>login</html>")
    said: list[str] = []
    found = select_confirmed(
        "mamba-ssm", machine(), [offered(str(path), status="present")], say=said.append
    )
    assert found.chosen is None
    assert said[0].startswith(f"{UPSTREAM}: `{UPSTREAM}` is not a whole zip archive")
    assert said[0].endswith("; looking for the next best")


def test_a_file_of_a_tag_with_a_newer_number() -> None:
    """v1.6.1.post4 holds files of 1.6.1, which that release itself lacks."""
    name = "causal_conv1d-1.6.1+cu12torch2.8cxx11abiTRUE-cp312-cp312-linux_x86_64.whl"
    releases = "https://github.com/Dao-AILab/causal-conv1d/releases/download"
    assert address_of(name) == f"{releases}/v1.6.1.post4/{name}"


def test_the_tag_can_be_wanted_as_the_version_can() -> None:
    url = chosen_address("causal-conv1d", machine(), version="1.6.1.post4", say=lambda line: None)
    assert url.endswith(
        "/v1.6.1.post4/causal_conv1d-1.6.1+cu12torch2.8cxx11abiTRUE-cp311-cp311-linux_x86_64.whl"
    )


@pytest.mark.parametrize("name", [UPSTREAM, UPSTREAM.replace("cu12torch2.8", "cu13torch25.08")])
def test_the_address_of_upstreams_file(name: str) -> None:
    assert address_of(name) == f"{RELEASES}/v2.3.1/{name}"


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        ("", "neither `--url` nor `--name` is given", "`--package mamba-ssm`"),
        ("six-1.0-py3-none-any.whl", "is not named like upstream's release files", "`--url`"),
        (UPSTREAM.replace("mamba_ssm", "no_such"), "no releases of `no-such` are known", "`--url`"),
    ],
)
def test_a_name_without_an_address(name: str, message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        address_of(name)
    assert message in caught.value.message
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    ("package", "version", "taken"),
    [
        ("mamba-ssm", "2.3.1", "2.3.1"),
        ("causal-conv1d", "", "1.7.0"),  # Astral plans it too
    ],
)
def test_the_address_of_the_best_file(package: str, version: str, taken: str) -> None:
    """Astral's index does not answer here, and its plan has no address of a file: upstream's is taken."""
    said: list[str] = []
    url = chosen_address(package, machine(), version=version, say=said.append)
    name = url.rpartition("/")[2]
    assert parse_wheel_name(name).version == taken
    assert said[0].startswith("astral: left out: ")
    assert said[1:] == [next(line for line in said if line.startswith(f"{name}: fits: torch 2.8"))]
    assert ("the newest version that fits" in said[1]) is (version == "")


def test_there_is_no_address_of_what_does_not_fit() -> None:
    with pytest.raises(MachineError) as caught:
        chosen_address("mamba-ssm", machine(python="3.6.1"), say=lambda line: None)
    assert caught.value.message.startswith("no prebuilt wheel of mamba-ssm fits: ")
    assert "3.6" in caught.value.message
    assert "`mambaops select-wheel --package mamba-ssm`" in caught.value.hint


def test_there_is_no_address_where_nobody_offers_anything() -> None:
    with pytest.raises(MachineError) as caught:
        chosen_address("selective-scan", machine(), say=lambda line: None)
    assert caught.value.message == "no prebuilt wheel of selective-scan fits"


def test_a_version_can_be_wanted_of_a_confirmed_choice() -> None:
    older = offered("there", UPSTREAM.replace("2.3.1", "2.2.4"))
    found = select_confirmed(
        "mamba-ssm", machine(), [offered("here"), older], Wanted(version="<2.3")
    )
    assert found.chosen is not None
    assert found.chosen.url == "there"
