"""What a machine offers a build: headers, compilers, nvcc, memory."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from recorded import facts_of, varied

from mambaops.decide.case import make_case
from mambaops.decide.headers import apt_package, base_python, by_hand, without_headers
from mambaops.decide.room import memory_in_all, too_little_memory
from mambaops.decide.situation import Flags, elsewhere
from mambaops.decide.toolkit import (
    cxx_standard,
    fitting_toolkit,
    gcc_limit,
    host_compiler,
    major,
    too_new,
)
from mambaops.facts.model import Compiler, Python, Toolkit
from mambaops.profiles.load import load_profile

GIB = 1 << 30
HERE = facts_of("hopper").python


def python(**changes: Any) -> Python:
    return msgspec.structs.replace(HERE, **{"version": "3.12.3", **changes})


@pytest.mark.parametrize(
    ("name", "like", "command"),
    [
        ("fedora", [], "sudo dnf install python3.12-devel"),
        ("rhel", [], "sudo dnf install python3.12-devel"),
        ("centos", [], "sudo dnf install python3.12-devel"),
        ("rocky", ["rhel", "centos", "fedora"], "sudo dnf install python3.12-devel"),
        ("suse", [], "sudo zypper install python312-devel"),
        ("opensuse", [], "sudo zypper install python312-devel"),
        ("sles", ["suse"], "sudo zypper install python312-devel"),
        ("alpine", [], "apk add python3-dev"),
        ("debian", [], "sudo apt-get install python3.12-dev"),
        ("mint", ["ubuntu", "debian"], "sudo apt-get install python3.12-dev"),
    ],
)
def test_how_headers_are_installed_on_a_distribution(
    name: str, like: list[str], command: str
) -> None:
    facts = varied("hopper", {"host": {"distribution": {"id": name, "like": like}}})
    assert command in by_hand(facts, python())


@pytest.mark.parametrize(
    ("name", "like", "place", "package"),
    [
        ("debian", [], {"base_prefix": "/usr"}, "libpython3.12-dev"),
        ("ubuntu", ["debian"], {"base_prefix": "/usr"}, "libpython3.12-dev"),
        ("debian", [], {"base_prefix": "", "prefix": "/usr"}, "libpython3.12-dev"),
        ("debian", [], {"base_prefix": "/opt/py", "prefix": "/usr"}, None),
        ("fedora", [], {"base_prefix": "/usr"}, None),
    ],
)
def test_a_package_of_the_distribution_has_the_headers_of_its_own_python(
    name: str, like: list[str], place: dict[str, str], package: str | None
) -> None:
    facts = varied("hopper", {"host": {"distribution": {"id": name, "like": like}}})
    assert apt_package(facts, python(**place)) == package


@pytest.mark.parametrize(
    ("kind", "version", "system", "lacks"),
    [
        ("venv", "3.12.3", "Linux", True),
        ("venv", "3.9.1", "Linux", False),  # uv brings another Python, with headers
        ("conda", "3.12.3", "Linux", False),  # so does conda
        ("venv", "3.12.3", "Windows", False),
    ],
)
def test_headers_are_missing_where_that_is_known(
    kind: str, version: str, system: str, lacks: bool
) -> None:
    profile = load_profile("local")
    target = msgspec.structs.replace(profile.target, kind=kind, python=["3.12"])
    facts = varied(
        "hopper", {"host": {"system": system}, "python": {"version": version, "headers": None}}
    )
    found = msgspec.structs.replace(elsewhere("local", facts), target=None)
    case = make_case(msgspec.structs.replace(profile, target=target), found)
    assert (without_headers(case) is not None) is lacks
    if system == "Linux":
        assert (base_python(case) is not None) is lacks


@pytest.mark.parametrize(
    ("total", "limit", "swap", "found", "enough"),
    [
        (3 * GIB, None, 0, 3 * GIB, True),
        (3 * GIB - 1, None, 0, 3 * GIB - 1, False),
        (3 * GIB - 1, None, None, 3 * GIB - 1, False),
        (64 * GIB, 2 * GIB, 0, 2 * GIB, False),  # a container's limit
        (2 * GIB, 64 * GIB, 0, 2 * GIB, False),
        (2 * GIB, None, GIB, 3 * GIB, True),
        (None, None, 8 * GIB, None, True),  # nobody knows
    ],
)
def test_memory_for_one_compiler(
    total: int | None, limit: int | None, swap: int | None, found: int | None, enough: bool
) -> None:
    host = {"memory_total": total, "memory_limit": limit, "swap_total": swap}
    facts = msgspec.structs.replace(
        facts_of("hopper"), host=msgspec.structs.replace(facts_of("hopper").host, **host)
    )
    assert memory_in_all(facts) == found
    assert (too_little_memory(facts) == "") is enough


def toolkit(version: str | None, gcc_max: int | None = None, source: str | None = None) -> Toolkit:
    known = next(one for name in ("wsl-5090-nvcc126", "hopper") for one in facts_of(name).toolkits)
    return msgspec.structs.replace(
        known, version=version, gcc_max=gcc_max, gcc_max_source=source, home="/cuda"
    )


@pytest.mark.parametrize(
    ("nvcc", "limit"),
    [
        (None, (None, "")),
        (toolkit("12.6", 13, "host_config.h says so"), (13, "host_config.h says so")),
        (toolkit("12.6", 13), (13, "/cuda's host_config.h")),
        (toolkit("12.6"), (13, "CUDA 12.6's documentation")),
        (toolkit("99.0"), (None, "")),
        (toolkit(None), (None, "")),
    ],
)
def test_the_newest_compiler_that_an_nvcc_takes(
    nvcc: Toolkit | None, limit: tuple[int | None, str]
) -> None:
    assert gcc_limit(nvcc) == limit


@pytest.mark.parametrize(
    ("there", "limit", "floor", "found"),
    [
        (["g++ 15"], 14, 0, "15"),
        (["g++ 14"], 14, 0, None),
        (["g++ 15", "g++-13 13"], 14, 0, None),  # there is another one
        (["g++ 10"], 10, 11, None),  # it is too old, which is another matter
        (["g++ 9"], None, 11, None),  # nobody knows of a limit
        ([], 14, 0, None),
    ],
)
def test_a_compiler_that_is_too_new(
    there: list[str], limit: int | None, floor: int, found: str | None
) -> None:
    compilers = [
        Compiler(name=one.split()[0], path=f"/usr/bin/{one.split()[0]}", version=one.split()[1], works=True)
        for one in there
    ]  # fmt: skip
    facts = msgspec.structs.replace(facts_of("hopper"), compilers=compilers)
    nvcc = msgspec.structs.replace(toolkit("99.0"), gcc_max=limit)
    seen = too_new(facts, nvcc, floor)
    assert (seen.version if seen else None) == found


@pytest.mark.parametrize(("version", "number"), [("13.2.0", 13), ("9", 9), ("", 0), (None, 0)])
def test_the_first_number_of_a_compilers_version(version: str | None, number: int) -> None:
    assert major(version) == number


def test_a_compiler_that_is_just_new_enough_is_taken() -> None:
    gxx = Compiler(name="g++", path="/usr/bin/g++", version="11.4.0", works=True)
    facts = msgspec.structs.replace(facts_of("hopper"), compilers=[gxx])
    assert host_compiler(facts, 11, 11) == gxx
    assert host_compiler(facts, 11, 12) is None


@pytest.mark.parametrize(("torch", "standard"), [("2.14.1", 20), ("2.99.0+cu130", 17)])
def test_the_standard_of_torchs_headers(torch: str, standard: int) -> None:
    found = elsewhere("local", facts_of("hopper"))
    assert cxx_standard(make_case(load_profile("local"), found, Flags(torch=torch))) == standard


@pytest.mark.parametrize(
    ("machine", "changes", "packages", "taken"),
    [
        ("hopper", {}, ("mamba-ssm",), True),
        ("hopper", {}, ("torch-scatter",), True),
        ("hopper", {"missing_for_torch": ["cusparse.h"]}, ("mamba-ssm",), True),
        ("hopper", {"missing_for_torch": ["cusparse.h"]}, ("torch-scatter",), False),
        ("hopper", {"version": "12.9"}, ("mamba-ssm",), False),  # torch's is another major
        ("no-gpu", {"version": "12.9"}, ("mamba-ssm",), True),  # torch has none to differ from
        ("no-gpu", {"version": "11.6"}, ("mamba-ssm",), True),
        ("no-gpu", {"version": "11.5"}, ("mamba-ssm",), False),
        ("hopper", {"version": None}, ("mamba-ssm",), False),
    ],
)
def test_an_nvcc_is_taken_or_refused(
    machine: str, changes: dict[str, Any], packages: tuple[str, ...], taken: bool
) -> None:
    profile = load_profile("local")
    known = profile.packages["mamba-ssm"]
    wanted = {name: msgspec.structs.replace(known) for name in packages}
    whole = msgspec.structs.replace(toolkit("13.0"), missing=[], missing_for_torch=[])
    facts = msgspec.structs.replace(
        facts_of(machine), toolkits=[msgspec.structs.replace(whole, **changes)]
    )
    case = make_case(
        msgspec.structs.replace(profile, packages=wanted, obtain=["source"]),
        msgspec.structs.replace(elsewhere("local", facts), target=None),
    )
    found, refused = fitting_toolkit(case)
    assert ((found is not None), len(refused)) == (taken, int(not taken)), refused
