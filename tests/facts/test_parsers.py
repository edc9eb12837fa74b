"""The probe's parsers: real text in, values out; bad text gives nothing, never an exception."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mambaops.core.paths import payload_file


def load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


probe = load("probe", payload_file("probe.py"))
texts = load("texts", Path(__file__).with_name("texts.py"))


@pytest.mark.parametrize("release", list(texts.NVCC))
def test_nvcc(release: str) -> None:
    version = release.rpartition(".")[0]
    assert probe.parse_nvcc(texts.NVCC[release]) == (version, release)


@pytest.mark.parametrize(
    "text", ["", "nvcc fatal   : Unknown option", "bash: nvcc: No such file", "release", "V1"]
)
def test_bad_nvcc(text: str) -> None:
    assert probe.parse_nvcc(text) == (None, None)


def test_nvcc_with_only_the_long_form() -> None:
    assert probe.parse_nvcc("Cuda compilation tools V12.1.66") == ("12.1", "12.1.66")


def test_host_config() -> None:
    assert probe.parse_host_config(texts.HOST_CONFIG_10) == (8, 8)
    assert probe.parse_host_config(texts.HOST_CONFIG_12) == (12, 15)
    assert probe.parse_host_config("") == (None, None)
    assert probe.parse_host_config("#if defined(__GNUC__)\n") == (None, None)


@pytest.mark.parametrize(
    ("text", "driver", "cuda"),
    [
        ("A800_TABLE", "535.104.12", "12.2"),
        ("WSL_5090_TABLE", "572.16", "12.8"),
        ("V100_OLD_TABLE", "470.82.01", "11.4"),
        ("NEW_HEADER", "610.10", "13.3"),
        ("BROKEN", None, None),
        ("MISMATCH", None, None),
    ],
)
def test_smi_header(text: str, driver: str | None, cuda: str | None) -> None:
    assert probe.parse_smi_header(getattr(texts, text)) == (driver, cuda)


def test_smi_header_of_a_driver_too_old_to_tell_cuda() -> None:
    header = "| NVIDIA-SMI 384.81                 Driver Version: 384.81  |"
    assert probe.parse_smi_header(header) == ("384.81", None)
    assert probe.parse_smi_header("| CUDA Version: N/A |") == (None, None)


def test_smi_table() -> None:
    (gpu,) = probe.parse_smi_table(texts.A800_TABLE)
    assert gpu["name"] == "NVIDIA A800 80GB PCIe"
    assert gpu["memory_total"] == 81920 << 20
    assert gpu["memory_used"] == 7 << 20
    (gpu,) = probe.parse_smi_table(texts.WSL_5090_TABLE)
    assert (gpu["name"], gpu["display"]) == ("NVIDIA GeForce RTX 5090", True)
    gpus = probe.parse_smi_table(texts.V100_OLD_TABLE)
    assert [gpu["index"] for gpu in gpus] == [0, 1]
    assert gpus[1]["name"] == "Tesla V100-PCIE"
    assert probe.parse_smi_table(texts.BROKEN) == []


def test_smi_query() -> None:
    (gpu,) = probe.parse_nvidia_smi_query(texts.A800_QUERY)
    assert gpu == {
        "index": 0,
        "name": "NVIDIA A800 80GB PCIe",
        "uuid": "GPU-1c2d3e4f-0000-1111-2222-333344445555",
        "compute_capability": "8.0",
        "memory_total": 81920 << 20,
        "memory_used": 7 << 20,
        "mig": False,
        "display": False,
        "processes": [],
    }


def test_smi_query_of_integrated_and_partitioned_gpus() -> None:
    (spark,) = probe.parse_nvidia_smi_query(
        "0, NVIDIA GB10, GPU-a, 12.1, [N/A], [N/A], [N/A], Disabled, 580.95.05"
    )
    assert (spark["memory_total"], spark["compute_capability"]) == (None, "12.1")
    (mig,) = probe.parse_nvidia_smi_query(
        "3, NVIDIA A100-SXM4-80GB, GPU-b, 8.0, 81920, 450, Enabled, Disabled, 535.183.06"
    )
    assert (mig["index"], mig["mig"]) == (3, True)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "No devices were found",
        'Field "compute_cap" is not a valid field to query.',
        "index, name, uuid, compute_cap, memory.total [MiB], memory.used [MiB], a, b, c",
        "\ufffd\ufffd, \ufffd, ,,,,,,",
        "0, , GPU-a, 8.0, 1, 1, x, y, z",
    ],
)
def test_bad_smi_query(text: str) -> None:
    assert probe.parse_nvidia_smi_query(text) == []


def test_loose_query() -> None:
    (gpu,) = probe.parse_loose_query("NVIDIA A800 80GB PCIe, 8.0, 81920 MiB")
    assert (gpu["name"], gpu["compute_capability"]) == ("NVIDIA A800 80GB PCIe", "8.0")
    assert gpu["memory_total"] == 81920 << 20
    for bad in (texts.BROKEN, texts.MISMATCH, texts.A800_TABLE, ""):
        assert probe.parse_loose_query(bad) == []


def test_smi_processes() -> None:
    text = "GPU-a, 41237, /opt/conda/bin/python, 430\nGPU-b, 7, [Not Found], [N/A]\n\ngarbage, 1\n"
    assert probe.parse_smi_processes(text) == [
        (
            "GPU-a",
            {"pid": 41237, "name": "/opt/conda/bin/python", "user": None, "memory": 430 << 20},
        ),
        ("GPU-b", {"pid": 7, "name": "[Not Found]", "user": None, "memory": None}),
    ]


def test_kernel_driver() -> None:
    assert probe.parse_kernel_driver(texts.KERNEL_DRIVER) == "535.104.12"
    assert probe.parse_kernel_driver(texts.KERNEL_DRIVER_OPEN) == "570.86.15"
    assert probe.parse_kernel_driver("") is None


@pytest.mark.parametrize(
    ("kernel", "wsl"),
    [
        ("5.15.167.4-microsoft-standard-WSL2", 2),
        ("4.19.128-microsoft-standard", 2),
        ("4.4.0-19041-Microsoft", 1),
        ("6.6.36.6-microsoft-custom", 2),
        ("6.1.0-37-amd64", None),
        ("", None),
    ],
)
def test_wsl(kernel: str, wsl: int | None) -> None:
    assert probe.parse_wsl(kernel) == wsl


@pytest.mark.parametrize(
    ("text", "root"),
    [
        ("", "/mnt/"),
        ("[automount]\nroot = /windows/\n", "/windows/"),
        ("[automount]\nenabled=true\nroot=/  # drives at the top\n", "/"),
        ("[network]\nroot = /no/\n", "/mnt/"),
        ('[AutoMount]\nRoot = "/win"\n', "/win/"),
    ],
)
def test_automount_root(text: str, root: str) -> None:
    assert probe.parse_automount_root(text) == root


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("git version 2.39.5", "2.39.5"),
        ("cmake version 3.25.1\n\nCMake suite", "3.25.1"),
        ("1.13.2.git.kitware.jobserver-pipe-1", "1.13.2.git.kitware.jobserver-pipe-1"),
        ("Docker version 28.2.2, build e6534b4", "28.2.2"),
        ("uv 0.9.7 (abc 2025-10-30)", "0.9.7"),
        ("GNU Make 4.3", "4.3"),
        ("sccache 0.16.0", "0.16.0"),
        ("Kein Befehl", None),
        ("", None),
    ],
)
def test_version(text: str, version: str | None) -> None:
    assert probe.parse_version(text) == version


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("PIP_INDEX_URL", "https://user:geheim@mirror/simple", "https://***@mirror/simple"),
        ("PIP_INDEX_URL", "https://token123@mirror/simple", "https://***@mirror/simple"),
        ("PIP_EXTRA", "https://a:b@one/x https://c:d@two/y", "https://***@one/x https://***@two/y"),
        ("index-url", "https://mirror/simple?token=abc&x=1", "https://mirror/simple?token=***&x=1"),
        ("HF_TOKEN", "hf_abcdefghij", "***"),
        ("HF_TOKEN_PATH", "/home/u/.cache/token", "/home/u/.cache/token"),
        ("UV_INDEX_COMPANY_PASSWORD", "/geheim", "***"),
        ("NOTE", "uses ghp_0123456789abcdef here", "uses ghp_*** here"),
        ("HTTPS_PROXY", "http://proxy:3128", "http://proxy:3128"),
        ("CUDA_HOME", "/usr/local/cuda", "/usr/local/cuda"),
    ],
)
def test_secrets_are_masked(name: str, value: str, shown: str) -> None:
    assert probe.mask(name, value) == shown


def test_settings() -> None:
    text = """
# a comment
[global]
index-url = https://me:pw@mirror/simple
find-links =
    /data/wheels
    /srv/wheels
[install]
no-build-isolation = true
"""
    assert probe.parse_settings(text) == {
        "global.index-url": "https://***@mirror/simple",
        "global.find-links": "/data/wheels /srv/wheels",
        "install.no-build-isolation": "true",
    }
    assert probe.parse_settings('index-url = "https://m/simple"\n') == {
        "index-url": "https://m/simple"
    }


PARSERS = [
    "parse_nvcc",
    "parse_host_config",
    "parse_smi_header",
    "parse_smi_table",
    "parse_nvidia_smi_query",
    "parse_loose_query",
    "parse_smi_processes",
    "parse_kernel_driver",
    "parse_os_release",
    "parse_wsl",
    "parse_automount_root",
    "parse_version",
    "parse_settings",
]


@pytest.mark.parametrize("parser", PARSERS)
@given(
    text=st.text(alphabet=st.sampled_from("|0123456789.,= \n[]GPU-VNabé\ufffd#{}:/"), max_size=200)
)
def test_no_text_breaks_a_parser(parser: str, text: str) -> None:
    value = getattr(probe, parser)(text)
    assert value is None or isinstance(value, (tuple, list, dict, str, int))


def test_torch_version_files() -> None:
    new = (
        "from typing import Optional\n__version__ = '2.14.1+cu130'\ncuda: Optional[str] = '13.0'\n"
    )
    old = "__version__ = '2.0.0+cu117'\ndebug = False\ncuda = '11.7'\ngit_version = 'abc'\n"
    cpu = "__version__ = '2.13.0+cpu'\ncuda: Optional[str] = None\nhip: Optional[str] = None\n"
    assert probe._version_value(new, "cuda") == "13.0"
    assert probe._version_value(old, "cuda") == "11.7"
    assert probe._version_value(old, "__version__") == "2.0.0+cu117"
    assert probe._version_value(cpu, "cuda") is None


def test_the_file_parses_on_the_oldest_python_that_can_be_told_politely() -> None:
    import ast

    ast.parse(payload_file("probe.py").read_text(), feature_version=(3, 6))
