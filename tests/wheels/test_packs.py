"""Wheels with kernels compiled beforehand: looked into, told, put into the store under a name of their own."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from mambaops.core.errors import MambaopsError
from mambaops.core.paths import payload_file
from mambaops.report.wheels import contents_text
from mambaops.runtime.wheel import write_wheel
from mambaops.store.commands import Request, run
from mambaops.store.store import Store
from mambaops.wheels.inspect.contents import inspect_wheel
from mambaops.wheels.inspect.pack import ASKED, FOLDER, Asked

WANTED = Asked(version="1.0", cuda="12.8", archs=("9.0", "12.0"), source="5" * 64)
KERNELS = [
    ("cubin", (9, 0), "scan_fwd threads=32 items=4 input=bf16 weight=fp32", "mamba-ssm 2.3.2"),
    ("cubin", (12, 0), "scan_fwd threads=32 items=4 input=bf16 weight=fp32", "mamba-ssm 2.3.2"),
    (
        "cubin",
        (9, 0),
        "conv_update circular=0 width=4 input=fp16 weight=fp32",
        "causal-conv1d 1.7.0",
    ),
    (
        "ptx",
        (12, 0),
        "conv_update circular=0 width=4 input=fp16 weight=fp32",
        "causal-conv1d 1.7.0",
    ),
]


@pytest.fixture(scope="module")
def store_of_the_target() -> Any:
    """The module that writes kernels' files where they are installed."""
    sys.path.insert(0, str(payload_file("kernels")))
    try:
        return importlib.import_module("mambaops_kernels.store")
    finally:
        sys.path.pop(0)


def made(folder: Path, written: Any, **more: bytes) -> Path:
    files = {ASKED: msgspec.json.encode(WANTED), **more}
    for number, (kind, arch, instance, release) in enumerate(KERNELS):
        head = {"kind": kind, "arch": arch, "instance": instance, "release": release, "cuda": [12, 8], "numbers": [1], "name": "k"}  # fmt: skip
        files[f"{FOLDER}{number}.kernel"] = written.encode(written.Stored(head, b"code" * 100))
    return write_wheel(files, folder, local="cu128.sm90.sm120.x1")


def test_a_pack_is_looked_into(tmp_path: Path, store_of_the_target: Any) -> None:
    found = inspect_wheel(made(tmp_path, store_of_the_target))
    assert found.pack is not None
    assert (found.cubins, found.ptx, found.pack.dtypes) == (
        ("9.0", "12.0"),
        ("12.0",),
        ("bf16", "fp16"),
    )
    assert found.pack.kernels == {"conv_update": 2, "scan_fwd": 2}
    text = contents_text(found, None)
    for told in (
        "CUDA 12.8",
        "9.0, 12.0",
        "2 conv_update, 2 scan_fwd",
        "drivers for CUDA 12.8 or newer",
    ):
        assert told in text


def test_one_that_came_from_elsewhere_is_stored_as_if_made_here(
    tmp_path: Path, store_of_the_target: Any
) -> None:
    store = Store(tmp_path / "store")
    run(store, Request(action="add", file=str(made(tmp_path, store_of_the_target))))
    ((path, key),) = store.keyed("mambaops-kernels")
    assert key == WANTED.key
    assert store.find(WANTED.key) == path


def test_a_damaged_one_is_refused(tmp_path: Path, store_of_the_target: Any) -> None:
    path = made(tmp_path, store_of_the_target, **{f"{FOLDER}x.kernel": b"{}\ncode"})
    with pytest.raises(MambaopsError, match="the pack of kernels is damaged"):
        inspect_wheel(path)
