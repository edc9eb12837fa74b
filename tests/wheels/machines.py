"""The machines of the golden choices: recorded ones, and invented ones, each for one rule."""

from __future__ import annotations

from typing import Any

from recorded import facts_of

from mambaops.facts.model import Facts

from .facts_of import machine

RECORDED = (
    "debian10-a800",
    "ubuntu20-graph-mamba-torch200",
    "ubuntu20-graph-mamba",
    "wsl-5090-ready",
    "windows-5090",
)
INVENTED: dict[str, dict[str, Any]] = {
    "windows-with-cuda-torch": {
        "system": "Windows",
        "processor": "AMD64",
        "distro": "ubuntu 22.04",
    },
    "gh200-arm": {
        "processor": "aarch64",
        "torch": "2.9.1+cu130",
        "gpus": ("9.0",),
        "driver": "13.0",
    },
    "power9": {"processor": "ppc64le", "torch": "2.4.1+cu124", "gpus": ("7.0",)},
    "python39-torch26": {"python": "3.9.18", "torch": "2.6.0+cu124"},
    "python313-free-threaded": {"python": "3.13.1", "abi_tag": "cp313t", "torch": "2.8.0+cu128"},
    "python37-torch113": {"python": "3.7.16", "torch": "1.13.1+cu117", "gpus": ("7.0",)},
    "no-torch": {"torch": None},
    "cpu-torch": {"torch": "2.8.0+cpu", "cuda": None},
    "rocm-torch": {"torch": "2.8.0+rocm6.4", "cuda": None, "hip": "6.4", "gpus": ()},
    "nightly-29": {"torch": "2.9.0.dev20250812+cu129"},
    "ngc-2508": {
        "torch": "2.8.0a0+34c6371d24.nv25.08",
        "cuda": "13.0",
        "python": "3.12.3",
        "distro": "ubuntu 24.04",
        "gpus": ("9.0",),
        "driver": "13.0",
    },
    "neighbour-torch-212": {"torch": "2.12.1+cu130", "driver": "13.0", "gpus": ("8.9",)},
    "torch-214": {"torch": "2.14.1+cu130", "driver": "13.0", "gpus": ("9.0",)},
    "cuda-13-torch-old-driver": {
        "torch": "2.10.0+cu130",
        "driver": "12.4",
        "driver_version": "550.54.14",
    },
    "false-that-is-true": {"torch": "2.6.0+cu124", "cxx11_abi": False, "python": "3.13.1"},
    "torch-26-new-abi": {"torch": "2.6.0+cu126", "cxx11_abi": True},
    "conv-of-another-generation": {"torch": "2.5.1+cu124", "packages": {"causal-conv1d": "1.4.0"}},
    "ubuntu20-cu118-needs-repair": {
        "distro": "ubuntu 20.04",
        "torch": "2.7.1+cu118",
        "driver": "12.8",
    },
    "rhel8-cu118-needs-repair": {"distro": "rhel 8", "torch": "2.6.0+cu118"},
    "centos7": {"distro": "centos 7", "torch": "2.3.1+cu121", "gpus": ("7.0",)},
    "debian10-conda-libstdcxx": {"distro": "debian 10", "torch": "2.2.2+cu121", "kind": "conda"},
    "alpine-musl": {"distro": "alpine 3.20", "torch": "2.5.1+cu124"},
    "p100": {"torch": "2.5.1+cu124", "gpus": ("6.0",)},
    "v100-torch-29": {"torch": "2.9.1+cu128", "gpus": ("7.0",)},
    "t4": {"torch": "2.2.2+cu121", "gpus": ("7.5",)},
    "b200": {"torch": "2.8.0+cu128", "gpus": ("10.0",)},
    "5090-cu118": {"torch": "2.7.1+cu118", "gpus": ("12.0",)},
    "mixed-3090-5090": {"torch": "2.5.1+cu121", "gpus": ("8.6", "12.0")},
    "b300-cuda-13": {"torch": "2.9.1+cu130", "gpus": ("10.3",), "driver": "13.0"},
    "orin": {"processor": "aarch64", "torch": "2.9.1+cu126", "gpus": ("8.7",), "driver": "12.6"},
    "pins-of-triton": {"torch": "2.7.1+cu126", "triton": "3.3.1"},
    "transformers-5": {"torch": "2.5.1+cu124", "packages": {"transformers": "5.3.0"}},
    "no-gpu-no-driver": {"gpus": (), "driver": None},
}


def machines() -> dict[str, Facts]:
    """Name -> facts."""
    found = {name: facts_of(name) for name in RECORDED}
    return found | {name: machine(**words) for name, words in INVENTED.items()}
