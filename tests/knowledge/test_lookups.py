"""What the lookups answer for the machines and versions that people really have."""

from __future__ import annotations

import pytest

from mambaops.knowledge import addresses
from mambaops.knowledge.cuda import (
    code_runs_on,
    cubin_runs_on,
    cuda_of_driver,
    driver_floor,
    driver_runs,
    minor_compat_floor,
    nvcc_can_target,
    ptx_runs_on,
    toolkit,
)
from mambaops.knowledge.distributions import distribution
from mambaops.knowledge.gpus import capability_of
from mambaops.knowledge.releases import generation, release, releases, same_generation
from mambaops.knowledge.torch_builds import torch_row


@pytest.mark.parametrize(
    ("driver", "wanted", "runs"),
    [
        ("12.2", "12.1", True),
        ("12.2", "12.8", True),  # minor-version compatibility
        ("12.2", "13.0", False),
        ("13.0", "11.8", True),
        ("11.4", "11.8", True),
        ("10.1", "10.2", False),  # CUDA 10 had no such promise
        ("12.10", "12.9", True),
    ],
)
def test_driver_runs(driver: str, wanted: str, runs: bool) -> None:
    assert driver_runs(driver, wanted) is runs


@pytest.mark.parametrize(
    ("cubin", "capability", "runs"),
    [
        ("8.0", "8.6", True),
        ("8.6", "8.0", False),
        ("8.0", "9.0", False),
        ("7.0", "7.5", True),
        ("12.0", "12.1", True),
        ("10.0", "10.3", True),
        ("10.3", "10.0", False),
        ("6.0", "6.1", True),
        ("8.0", "8.7", False),  # Orin is another family
        ("8.7", "8.7", True),
        ("8.7", "8.9", False),
        ("9.0a", "9.0", True),
        ("10.0a", "10.3", False),
        ("10.0f", "10.3", True),
    ],
)
def test_cubin_runs_on(cubin: str, capability: str, runs: bool) -> None:
    assert cubin_runs_on(cubin, capability) is runs


@pytest.mark.parametrize(
    ("ptx", "capability", "runs"),
    [
        ("9.0", "12.0", True),
        ("9.0", "8.6", False),
        ("9.0a", "10.0", False),
        ("10.0f", "12.0", False),
    ],
)
def test_ptx_runs_on(ptx: str, capability: str, runs: bool) -> None:
    assert ptx_runs_on(ptx, capability) is runs


@pytest.mark.parametrize(
    ("archs", "capability", "expected"),
    [
        (["sm_80", "sm_90"], "8.6", True),
        (["sm_90"], "8.6", False),
        (["sm_75", "compute_90"], "12.0", True),
        (["sm_100", "sm_120"], "12.1", True),
        (["sm_90a"], "9.0", True),
        ([], "9.0", False),
        (["lto_86"], "8.6", False),
    ],
)
def test_code_of_torch_runs_on(archs: list[str], capability: str, expected: bool) -> None:
    assert code_runs_on(archs, capability) is expected


def test_toolkit_by_full_release() -> None:
    row = toolkit("12.1.66")
    assert row is not None
    assert row.version == "12.1"
    assert toolkit("99.1") is None
    assert driver_floor("12.1") == "530.30.02"
    assert driver_floor("12.8", windows=True) == "570.65"
    assert driver_floor("99.1") == ""
    assert minor_compat_floor("12.8") == "525.60.13"
    assert minor_compat_floor("10.1") == "418.39"


@pytest.mark.parametrize(
    ("driver", "windows", "cuda"),
    [
        ("535.104.12", False, "12.2"),
        ("470.82.01", False, "11.4"),
        ("580.65.06", False, "13.0"),
        ("572.16", True, "12.8"),
        ("581.29", True, "13.0"),
        ("100.1", False, None),
    ],
)
def test_cuda_of_driver(driver: str, windows: bool, cuda: str | None) -> None:
    assert cuda_of_driver(driver, windows=windows) == cuda


def test_which_nvcc_knows_blackwell() -> None:
    assert nvcc_can_target("12.6", "12.0") is False
    assert nvcc_can_target("12.8.93", "12.0") is True
    assert nvcc_can_target("13.0", "7.0") is False
    assert nvcc_can_target("99.0", "12.0") is None


@pytest.mark.parametrize(
    ("name", "capability"),
    [
        ("NVIDIA A800 80GB PCIe", "8.0"),
        ("Tesla V100-SXM2-16GB", "7.0"),
        ("NVIDIA GeForce RTX 5090", "12.0"),
        ("NVIDIA GeForce RTX 5090 D", "12.0"),
        ("Quadro RTX 6000", "7.5"),
        ("NVIDIA RTX 6000 Ada Generation", "8.9"),
        ("NVIDIA RTX A6000", "8.6"),
        ("NVIDIA RTX PRO 6000 Blackwell Workstation Edition", "12.0"),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", "8.9"),
        ("NVIDIA TITAN X (Pascal)", "6.1"),
        ("NVIDIA GeForce GTX TITAN X", "5.2"),
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", "8.0"),
        ("NVIDIA L40S", "8.9"),
        ("AMD Radeon RX 7900", None),
        ("", None),
    ],
)
def test_capability_of(name: str, capability: str | None) -> None:
    assert capability_of(name) == capability


@pytest.mark.parametrize(
    ("mamba", "conv", "fits"),
    [
        ("1.0.1", "1.0.2", True),
        ("1.0.1", "1.7.0", False),
        ("1.1.4", "1.1.3.post1", True),
        ("2.2.4", "1.5.0.post8", True),
        ("2.2.4", "1.5.1", False),
        ("2.3.2.post1", "1.7.0", True),
        ("2.3.0+cu12torch2.7cxx11abiTRUE", "1.6.0", True),
        ("2.4.0", "1.8.0", True),  # newer than the table: like the newest
        ("0.9", "1.7.0", False),
    ],
)
def test_same_generation(mamba: str, conv: str, fits: bool) -> None:
    assert same_generation("mamba-ssm", mamba, "causal-conv1d", conv) is fits


def test_generation_of_nonsense_is_none() -> None:
    assert generation("mamba-ssm", "not a version") is None
    assert generation("no-such-package", "1.0") is None
    assert release("mamba-ssm", "not a version") is None


def test_releases_know_their_sources() -> None:
    old, new = release("mamba-ssm", "2.2.4"), release("mamba-ssm", "2.2.5")
    assert old is not None
    assert new is not None
    assert (old.sdist_has_sources, new.sdist_has_sources) == (False, True)
    assert old.built_on == "Ubuntu 20.04"
    assert [row.version for row in releases("causal_conv1d")][-1] == "1.7.0"


def test_cubins_of_upstreams_builds() -> None:
    conv = release("causal-conv1d", "1.7.0")
    mamba = release("mamba-ssm", "2.2.4")
    assert conv is not None
    assert mamba is not None
    assert conv.cubins("13.0.88") == [
        "7.5", "8.0", "8.7", "9.0", "10.0", "10.3", "11.0", "12.0", "12.1",
    ]  # fmt: skip
    assert mamba.cubins("11.7") == ["5.3", "6.2", "7.0", "7.2", "8.0", "8.7"]


def test_a_release_is_found_by_any_spelling_of_its_version() -> None:
    row = torch_row("2.8.0+cu128")
    assert row is not None
    assert row.build("12.8.1") is not None
    assert row.build("11.8") is None
    assert row.glibc == "2.28"
    assert row.cxx11_abi["12.8"] is True
    assert torch_row("9.9") is None


@pytest.mark.parametrize(
    ("id", "version", "glibc"),
    [
        ("debian", "10", "2.28"),
        ("rocky", "8.10", "2.28"),
        ("centos", "7", "2.17"),
        ("ubuntu", "20.04", "2.31"),
    ],
)
def test_distributions(id: str, version: str, glibc: str) -> None:
    row = distribution(id, version)
    assert row is not None
    assert row.glibc == glibc


def test_unknown_distribution() -> None:
    assert distribution("ubuntu", "2") is None
    assert distribution("arch", "") is None


def test_addresses() -> None:
    assert addresses.torch_index("12.8", nightly=True).endswith("/nightly/cu128")
    assert addresses.torch_index(None).endswith("/cpu")
    assert addresses.astral_index("11.8") is None
    assert addresses.runfile("10.1") is None
