"""The tables agree with themselves, with each other and with what can be read on this machine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from mambaops.knowledge import addresses, cuda, distributions, gpus, tables, torch_builds
from mambaops.knowledge import releases as packages
from mambaops.knowledge.packages import pairs
from mambaops.knowledge.tables import version_key

ARCH = re.compile(r"\d+\.\d(\+PTX)?")


PACKAGES = pairs()[0]


def ascending(versions: list[str]) -> bool:
    keys = [version_key(version) for version in versions]
    return keys == sorted(set(keys))


def test_every_row_names_its_source() -> None:
    rows = [
        *cuda.toolkits(),
        *torch_builds.torch_rows(),
        *gpus.gpu_rows(),
        *distributions.distributions(),
        *packages.releases("mamba-ssm"),
        *packages.releases("causal-conv1d"),
    ]
    assert all(row.source for row in rows)
    assert len(rows) > 130


def test_toolkits_ascend_in_everything_that_only_grows() -> None:
    rows = cuda.toolkits()
    assert ascending([row.version for row in rows])
    assert ascending([row.driver_linux for row in rows if row.driver_linux])
    assert [row.gcc_max for row in rows] == sorted(row.gcc_max for row in rows)
    assert [row.clang_max for row in rows] == sorted(row.clang_max for row in rows)
    for row in rows:
        assert row.gcc_min <= row.gcc_max
        assert ascending(row.archs)


def test_the_toolkits_driver_is_never_below_its_major_versions_floor() -> None:
    for row in cuda.toolkits():
        if row.version == "11.0" or not row.driver_linux:
            continue  # older than the promise, which begins with 450.80.02; not known
        floor = cuda.minor_compat_floor(row.version)
        assert version_key(row.driver_linux) >= version_key(floor), row.version


def test_every_cuda_of_a_torch_build_is_a_known_toolkit() -> None:
    for row in torch_builds.torch_rows():
        for build in row.builds:
            assert cuda.toolkit(build.cuda) is not None, (row.minor, build.cuda)


def test_a_torch_build_holds_only_what_its_nvcc_can_make() -> None:
    for row in torch_builds.torch_rows():
        for build in row.builds:
            for arch in build.archs:
                assert ARCH.fullmatch(arch)
                assert cuda.nvcc_can_target(build.cuda, arch.removesuffix("+PTX")), (
                    row.minor,
                    build.cuda,
                    arch,
                )


def test_torch_rows_are_whole() -> None:
    rows = torch_builds.torch_rows()
    assert ascending([row.minor for row in rows])
    for row in rows:
        assert row.patch.startswith(f"{row.minor}.")
        assert row.default_cuda in row.cuda
        assert ascending(row.cuda)
        assert ascending(row.python)
        assert set(row.python_experimental) <= set(row.python)
        assert row.cxx_standard in (14, 17, 20)


def test_torch_indexes_serve_every_build() -> None:
    tags = addresses.addresses().pytorch.stable_tags
    for row in torch_builds.torch_rows():
        for build in row.builds:
            assert addresses.cuda_tag(build.cuda) in tags


def test_upstream_builds_only_what_each_nvcc_can_make() -> None:
    for package in PACKAGES:
        for release in packages.releases(package):
            for row in cuda.toolkits():
                if version_key(row.version) < (11, 6):
                    continue  # refused by both setup.py
                if version_key(row.version) >= (13,) and "7.0" in release.cubins("13.0"):
                    continue  # unpatched, these old releases cannot be built with CUDA 13 at all
                assert set(release.cubins(row.version)) <= set(row.archs), (release, row.version)


def test_generations_only_rise() -> None:
    for package in PACKAGES:
        letters = [release.generation for release in packages.releases(package)]
        assert letters == sorted(letters)
        assert set(letters) == {"A", "B", "C", "D"}


def test_sources_come_with_sdists_only() -> None:
    for package in PACKAGES:
        for release in packages.releases(package):
            assert release.on_index or not release.sdist_has_sources
            assert bool(release.built_on) == bool(release.glibc) == bool(release.glibcxx)


def test_what_wheels_ask_for_their_own_system_has() -> None:
    for package in PACKAGES:
        for release in packages.releases(package):
            if not release.built_on:
                continue
            system = distributions.distribution("ubuntu", release.built_on.removeprefix("Ubuntu "))
            assert system is not None
            assert version_key(release.glibc) <= version_key(system.glibc)
            assert version_key(release.glibcxx) <= version_key(system.glibcxx)


def test_gpu_names_stand_in_one_row_only() -> None:
    names = [name.lower() for row in gpus.gpu_rows() for name in row.names + row.unlisted]
    assert len(names) == len(set(names))


def test_runfiles_carry_a_driver_that_their_toolkit_accepts() -> None:
    for version, (full, driver) in addresses.addresses().nvidia.runfiles.items():
        assert full.startswith(f"{version}.")
        assert version_key(driver) >= version_key(cuda.driver_floor(version))


def test_this_machines_own_debian_is_described_right() -> None:
    release = Path("/etc/os-release")
    if not release.exists() or 'VERSION_ID="12"' not in release.read_text():
        pytest.skip("not a Debian 12")
    import platform

    row = distributions.distribution("debian", "12")
    assert row is not None
    assert platform.libc_ver()[1] == row.glibc


def test_an_unknown_key_is_refused_with_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import msgspec

    text = (tables.FOLDER / "gpus.toml").read_text()
    (tmp_path / "gpus.toml").write_text(text.replace("unlisted = []", "unlistd = []", 1))
    monkeypatch.setattr(tables, "FOLDER", tmp_path)
    with pytest.raises(msgspec.ValidationError, match=r"unlistd.*\$\.gpu\[0\]"):
        tables.read("gpus", gpus._Table)
