"""What a bundle of a profile holds: prebuilt wheels that fit the other machine, and what is left out aloud."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from loopback import Server, serve, status
from recorded import facts_of
from small_wheels import wheel_members, write_zip

from mambaops.bundle.plan import spec_for
from mambaops.core.errors import MachineError
from mambaops.decide.case import make_case
from mambaops.decide.situation import Flags, elsewhere
from mambaops.knowledge import mirrors, packages
from mambaops.profiles.load import load_profile
from mambaops.wheels.sources import planned

pytestmark = pytest.mark.usefixtures("own_places")
TABLES = (packages.packages, planned._upstream, planned._astral)
# the strategies of the profile but for the kernels that torch compiles
FLAGS = Flags(cross=True, obtain=("store", "prebuilt", "source"))
said: list[str] = []


@pytest.fixture
def github(tmp_path: Path) -> Iterator[Server]:
    """Upstream's release files on the loopback address: a whole wheel, whatever is asked for."""
    wheel = write_zip(tmp_path / "w.whl", wheel_members("tiny", "1.0", {"tiny.py": b""}, []))
    with serve(wheel.read_bytes()) as server:
        yield from at(server)


@pytest.fixture
def empty_github() -> Iterator[Server]:
    with serve(b"", status(404)) as server:
        yield from at(server)


def at(server: Server) -> Iterator[Server]:
    mirrors.use({"https://github.com/": server.url("")})
    forget()
    said.clear()
    yield server
    mirrors.use({})
    forget()


def forget() -> None:
    for table in TABLES:
        table.cache_clear()


def bundled() -> list[str]:
    """Names of the wheels that a bundle for the A800 carries."""
    profile = load_profile("debian-a800")
    case = make_case(profile, elsewhere("debian-a800", facts_of("debian10-a800")), FLAGS)
    spec = spec_for(case, with_toolkit=False, models=(), say=said.append, index=False)
    assert spec.torch == "2.2.0+cu121"  # the one that is there stays
    assert {"pip", "setuptools"} < set(spec.requirements)  # its triton imports setuptools
    return [path.name for path in spec.wheels]


def test_the_first_example_of_the_page_on_machines_without_a_network(github: Server) -> None:
    """Both packages of the old ABI; VMamba's kernels, of which nobody publishes wheels, are left out aloud."""
    assert bundled() == [
        "causal_conv1d-1.5.0.post8+cu12torch2.2cxx11abiFALSE-cp310-cp310-linux_x86_64.whl",
        "mamba_ssm-2.2.4+cu12torch2.2cxx11abiFALSE-cp310-cp310-linux_x86_64.whl",
    ]
    (left_out,) = [line for line in said if "LEFT OUT" in line]
    assert left_out.startswith("selective-scan 0.0.2 is LEFT OUT: nobody publishes wheels of it")
    assert (
        "`mambaops build-wheel --package selective-scan --profile debian-a800 --cross" in left_out
    )


def test_a_package_whose_wheels_are_not_there_is_not_left_out(empty_github: Server) -> None:
    with pytest.raises(MachineError, match=r"there is no wheel of causal-conv1d 1\.5\.0\.post8"):
        bundled()
