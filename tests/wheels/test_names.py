"""Wheel names: every scheme parses and prints back; odd ones are refused with the reason."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mambaops.knowledge.releases import releases
from mambaops.wheels.builds import BadWheelName, Build
from mambaops.wheels.keys import BuildKey
from mambaops.wheels.names import WheelName, parse_wheel_name
from mambaops.wheels.sources.planned import _astral, _upstream, matrices, planned_names

REAL = [
    "mamba_ssm-2.2.2+cu122torch2.2cxx11abiFALSE-cp310-cp310-linux_x86_64.whl",
    "mamba_ssm-2.2.4+cu12torch2.5cxx11abiTRUE-cp313-cp313-linux_x86_64.whl",
    "causal_conv1d-1.0.2+cu118torch2.0cxx11abiFALSE-cp37-cp37m-linux_x86_64.whl",
    "causal_conv1d-1.6.1.post4+cu13torch2.10cxx11abiTRUE-cp313-cp313-linux_aarch64.whl",
    "mamba_ssm-2.3.1+cu13torch25.08cxx11abiTRUE-cp312-cp312-linux_x86_64.whl",
    "mamba_ssm-2.3.2.post1+cu.12.8.torch.2.11-cp312-cp312-manylinux_2_28_x86_64.whl",
    "mamba_ssm-2.3.2.post1+cu.12.8.torch.2.4-cp312-cp312-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
    "mamba_ssm-2.3.2.post1+cu130torch2.14.sm90.x3f9c01ab-cp311-cp311-linux_x86_64.whl",
    "mamba_ssm-2.3.2.post1+cu130torch2.14.sm75tosm121.x3f9c01ab-cp311-cp311-linux_x86_64.whl",
    "mamba_ssm-2.3.2.post1+cu130torch2.14.sm80sm90asm120ptx.x00000001-cp311-cp311-linux_x86_64.whl",
    "mamba_ssm-2.3.2.post1+cputorch2.14.x3f9c01ab-cp311-cp311-linux_x86_64.whl",
    "causal_conv1d-1.5.2+cu12torch2.7cxx11abiTRUE.glibc2.31-cp310-cp310-linux_x86_64.whl",
    "mamba_ssm-2.2.2+glibc2.31-cp310-cp310-linux_x86_64.whl",
    "mamba_ssm-2.2.2-cp310-cp310-linux_x86_64.whl",
    "mamba_ssm-2.2.2+lab.7-1-cp310-cp310-linux_x86_64.whl",
    "Mamba.SSM-2.2.2-cp310-cp310-win_amd64.whl",
]


@pytest.mark.parametrize("name", REAL)
def test_prints_back(name: str) -> None:
    assert str(parse_wheel_name(name)) == name


def test_what_the_schemes_say() -> None:
    upstream = parse_wheel_name(REAL[0])
    assert (upstream.package, upstream.version) == ("mamba-ssm", "2.2.2")
    assert upstream.build == Build(scheme="upstream", cuda="12.2", torch="2.2", cxx11_abi=False)
    assert parse_wheel_name(REAL[1]).build.cuda == "12"
    assert parse_wheel_name(REAL[4]).build == Build(
        scheme="ngc", cuda="13", torch="25.08", cxx11_abi=True
    )
    astral = parse_wheel_name(REAL[5])
    assert astral.build == Build(scheme="astral", cuda="12.8", torch="2.11")
    assert (astral.glibc, astral.machine, astral.system) == ("2.28", "x86_64", "Linux")
    assert parse_wheel_name(REAL[6]).glibc == "2.17"
    assert parse_wheel_name(REAL[9]).build.architectures == ("8.0", "9.0a", "12.0+PTX")
    assert parse_wheel_name(REAL[10]).build.cuda is None
    assert parse_wheel_name(REAL[11]).build.repaired == "2.31"
    assert parse_wheel_name(REAL[14]).build == Build(scheme="other", text="lab.7")
    assert parse_wheel_name(REAL[15]).system == "Windows"


def test_every_planned_name_prints_back() -> None:
    """The generator yields exactly the planned counts, and every name survives a round trip."""
    total = 0
    for matrix in matrices():
        for version in matrix.releases:
            names = planned_names(matrix.package, version)
            assert len(names) == len(set(names)) == matrix.planned
            assert [str(parse_wheel_name(name)) for name in names] == names
            total += len(names)
    assert total == 6492


def test_names_that_users_quoted_are_planned() -> None:
    assert {
        "mamba_ssm-2.2.2+cu118torch2.4cxx11abiTRUE-cp310-cp310-linux_x86_64.whl",
        "mamba_ssm-1.0.1+cu118torch1.12cxx11abiTRUE-cp39-cp39-linux_x86_64.whl",
    } <= set(planned_names("mamba-ssm", "2.2.2") + planned_names("mamba-ssm", "1.0.1"))
    assert "causal_conv1d-1.0.0+cu118torch1.12cxx11abiFALSE-cp39-cp39-linux_x86_64.whl" in (
        planned_names("causal-conv1d", "1.0.0")
    )


def test_every_planned_release_is_a_known_release() -> None:
    for matrix in matrices():
        known = {row.version for row in releases(matrix.package)}
        assert set(matrix.releases) <= known, matrix.package


def test_candidates_follow_their_own_names() -> None:
    for package in ("mamba-ssm", "causal-conv1d"):
        for candidate in (*_upstream(package)[::37], *_astral(package)[::17]):
            name = parse_wheel_name(candidate.name)
            assert (name.package, name.version) == (candidate.package, candidate.version)
            assert candidate.torch == name.build.torch


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("mamba_ssm-2.2.2.tar.gz", "does not end in .whl"),
        ("mamba_ssm.whl", "1 parts"),
        ("mamba_ssm-2.2.2-cp310-linux_x86_64.whl", "4 parts"),
        ("dist/mamba_ssm-2.2.2-cp310-cp310-linux_x86_64.whl", "is a path"),
        ("..\\mamba_ssm-2.2.2-cp310-cp310-linux_x86_64.whl", "is a path"),
        (
            "mamba_ssm-2.2.2%2Bcu122torch2.2cxx11abiFALSE-cp310-cp310-linux_x86_64.whl",
            "%2B",
        ),
        ("mamba_ssm-2.2.2-cp310-cp310-linux_x86_64 (1).whl", "renamed by a browser"),
        ("mamba_ssm-2.2.2 cu122-cp310-cp310-linux_x86_64.whl", "blanks"),
        ("mamba_ssm-2.2.2-cp310-cp311-linux_x86_64.whl", "no such build exists"),
        ("mamba_ssm-2.2.2-310-cp310-linux_x86_64.whl", "Python tag"),
        ("mamba_ssm-2.2.2-cp310-abi-linux_x86_64.whl", "ABI tag"),
        ("mamba_ssm-2.2.2-cp310-cp310-ubuntu.whl", "platform tag"),
        ("mamba_ssm-two-cp310-cp310-linux_x86_64.whl", "PEP 440"),
        ("mamba_ssm-2.2.2+-cp310-cp310-linux_x86_64.whl", "PEP 440"),
        (
            "mamba_ssm-2.2.2+cu12torch2.2cxx11abiMAYBE-cp310-cp310-linux_x86_64.whl",
            "TRUE or FALSE",
        ),
        (
            "mamba_ssm-2.2.2+cu9torch2.2cxx11abiTRUE-cp310-cp310-linux_x86_64.whl",
            "no CUDA version",
        ),
    ],
)
def test_odd_names_are_refused_with_the_reason(name: str, reason: str) -> None:
    with pytest.raises(BadWheelName) as caught:
        parse_wheel_name(name)
    assert reason in caught.value.message
    assert caught.value.exit_code == 2
    assert caught.value.hint


def test_the_stores_own_names_are_understood() -> None:
    """`wheels.keys` writes them, this module reads them: they must not drift apart."""
    for architectures in (("9.0",), ("8.0", "9.0a", "12.0+PTX"), ("7.5", "8.0", "9.0", "12.1"), ()):
        key = BuildKey.of(
            package="mamba_ssm",
            version="2.3.2.post1",
            torch="2.14.1+cu130",
            cuda="13.0",
            cxx11_abi=True,
            python="cp311",
            platform="linux_x86_64",
            architectures=list(architectures),
        )
        name = f"mamba_ssm-2.3.2.post1+{key.local_version()}-cp311-cp311-linux_x86_64.whl"
        parsed = parse_wheel_name(name)
        assert str(parsed) == name
        assert (parsed.build.scheme, parsed.build.cuda, parsed.build.torch) == (
            "own",
            "13.0",
            "2.14",
        )
        if len(architectures) in (1, 2, 3):
            assert parsed.build.architectures == architectures


_minor = st.tuples(st.integers(1, 3), st.integers(0, 19)).map(lambda t: f"{t[0]}.{t[1]}")
_cuda = st.sampled_from(["11", "12", "13", "11.8", "12.2", "13.0"])
_full_cuda = st.sampled_from(["11.8", "12.8", "13.0"])
_builds = st.one_of(
    st.builds(Build, scheme=st.just("upstream"), cuda=_cuda, torch=_minor, cxx11_abi=st.booleans()),
    st.builds(Build, scheme=st.just("astral"), cuda=_full_cuda, torch=_minor),
    st.builds(
        Build,
        scheme=st.just("own"),
        cuda=st.one_of(st.none(), _full_cuda),
        torch=_minor,
        architectures=st.lists(
            st.sampled_from(["7.5", "9.0a", "10.0f", "12.0+PTX"]), max_size=3, unique=True
        ).map(tuple),
        digest=st.text("0123456789abcdef", min_size=8, max_size=8),
    ),
    st.just(Build(scheme="plain")),
)


@given(
    build=_builds,
    repaired=st.one_of(st.none(), st.sampled_from(["2.17", "2.28", "2.31"])),
    package=st.sampled_from(["mamba-ssm", "causal-conv1d"]),
    version=st.sampled_from(["1.0.0", "2.2.6.post3", "2.3.2"]),
    python=st.sampled_from(["cp38", "cp310", "cp313"]),
    platform=st.sampled_from(["linux_x86_64", "manylinux_2_28_aarch64"]),
)
def test_any_name_prints_back(
    build: Build, repaired: str | None, package: str, version: str, python: str, platform: str
) -> None:
    from msgspec.structs import replace

    name = WheelName(
        package=package,
        version=version,
        build=replace(build, repaired=repaired),
        python=python,
        abi=python,
        platform=platform,
    )
    assert parse_wheel_name(str(name)) == name
