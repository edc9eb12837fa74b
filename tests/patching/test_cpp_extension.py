"""torch's tables of compilers, with the code of seven torch releases that reads them."""

from __future__ import annotations

import logging
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import packaging.version
import pytest

from mambaops.core.errors import MambaopsError, UsageError
from mambaops.patching.cpp_extension import (
    apply_bounds,
    check_bounds,
    find_file,
    patch_text,
    revert_bounds,
)

EXCERPTS = {
    path.stem: path.read_text("utf-8")
    for path in sorted((Path(__file__).parent / "cpp_extension").glob("torch-*.txt"))
}
Version = packaging.version.Version


def _verdict(text: str, home: Path, gcc: str, caplog: pytest.LogCaptureFixture) -> str:
    """What torch's own check says of that gcc: "fits", "warns" or "refuses"."""
    names: dict[str, Any] = {
        "CUDA_HOME": str(home),
        "CUDA_MISMATCH_WARN": "{0} {1}",
        "IS_WINDOWS": False,
        "SUBPROCESS_DECODE_ARGS": (),
        "TorchVersion": Version,
        "Version": Version,
        "Dict": dict,
        "Tuple": tuple,
        "_is_binary_build": lambda: True,
        "logger": logging.getLogger("torch"),
        "os": os,
        "packaging": packaging,
        "re": re,
        "subprocess": subprocess,
        "sys": sys,
        "torch": SimpleNamespace(version=SimpleNamespace(cuda="11.8")),
        "warnings": warnings,
    }
    exec(compile("from __future__ import annotations\n" + text, "cpp_extension.py", "exec"), names)
    caplog.clear()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            names["_check_cuda_version"]("g++", Version(gcc))
        except RuntimeError as error:
            assert "version of g++" in str(error)
            return "refuses"
    said = [str(item.message) for item in caught] + caplog.messages
    return "warns" if any("no g++ version bounds" in line for line in said) else "fits"


@pytest.fixture
def toolkit(tmp_path: Path) -> Path:
    """A CUDA 11.8 whose nvcc says so."""
    nvcc = tmp_path / "cuda" / "bin" / "nvcc"
    nvcc.parent.mkdir(parents=True)
    nvcc.write_text("#!/bin/sh\necho 'Cuda compilation tools, release 11.8, V11.8.89'\n")
    nvcc.chmod(0o755)
    return tmp_path / "cuda"


@pytest.mark.parametrize("torch", EXCERPTS)
def test_every_torch_lacks_11_8_and_gets_it(
    torch: str, toolkit: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = EXCERPTS[torch]
    assert _verdict(before, toolkit, "11.4.0", caplog) == "warns"
    after, edits, _ = patch_text(before, "11.8")
    assert [edit.after.partition(":")[0] for edit in edits] == ["'11.8'", "'11.8'"]
    assert [_verdict(after, toolkit, gcc, caplog) for gcc in ("5.4.0", "11.4.0", "12.1.0")] == [
        "refuses",
        "fits",
        "refuses",
    ]
    raised, _, _ = patch_text(before, "11.8", gcc_max=13)
    assert [_verdict(raised, toolkit, gcc, caplog) for gcc in ("13.2.0", "14.1.0")] == [
        "fits",
        "refuses",
    ]
    assert patch_text(after, "11.8", gcc_max=13)[0] == raised


@pytest.mark.parametrize("torch", EXCERPTS)
@pytest.mark.parametrize("cuda", ["11.7", "11.8", "12.1", "12.8", "13.0", "13.2"])
def test_again_changes_nothing_and_no_bound_is_lowered(torch: str, cuda: str) -> None:
    once, _, _ = patch_text(EXCERPTS[torch], cuda)
    again, edits, notes = patch_text(once, cuda, gcc_max=5)
    assert (again, edits) == (once, ())
    assert [note.reason.split()[0] for note in notes] == [
        "CUDA_GCC_VERSIONS",
        "CUDA_CLANG_VERSIONS",
    ]
    added = [line for line in once.splitlines() if line not in EXCERPTS[torch].splitlines()]
    assert all("# mambaops:compiler-bounds" in line for line in added)


def test_rows_are_in_order_and_nothing_else_changes() -> None:
    before = EXCERPTS["torch-2.14.1"].splitlines()
    after = patch_text(EXCERPTS["torch-2.14.1"], "11.8")[0].splitlines()
    new = [line for line in after if "11.8" in line]
    assert new == [
        "    '11.8': ((6, 0, 0), (12, 0)),  # mambaops:compiler-bounds",
        "    '11.8': (MINIMUM_CLANG_VERSION, (14, 0)),  # mambaops:compiler-bounds",
    ]
    assert [line for line in after if line not in new] == before
    assert "'11.7'" in after[after.index(new[0]) - 1]


def test_a_table_on_one_line() -> None:
    text = "CUDA_GCC_VERSIONS = {'11.7': ((6, 0), (12, 0))}\nCUDA_CLANG_VERSIONS = {'11.7': ((6, 0), (14, 0))}\n"
    text += "max_excl_compiler_version = 0\n"
    after, _, _ = patch_text(text, "11.8")
    names: dict[str, Any] = {}
    exec(after, names)
    assert names["CUDA_GCC_VERSIONS"]["11.8"] == ((6, 0), (12, 0))
    assert patch_text(after, "11.8")[1] == ()


@pytest.mark.parametrize(
    ("text", "cuda", "said"),
    [
        ("x = 1\n", "11.8", "no table CUDA_GCC_VERSIONS"),
        (
            "CUDA_GCC_VERSIONS = {'11.7': ((6, 0), (12, 0))}\n",
            "11.8",
            "no table CUDA_CLANG_VERSIONS",
        ),
        (EXCERPTS["torch-2.14.1"], "eleven", "is no CUDA release"),
        (EXCERPTS["torch-2.14.1"], "10.2", "is not known here"),
        ("def broken(:", "11.8", "not Python source"),
    ],
)
def test_what_is_not_understood_is_refused(text: str, cuda: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        patch_text(text, cuda)


def test_file_is_patched_checked_and_reverted(tmp_path: Path) -> None:
    path = tmp_path / "cpp_extension.py"
    path.write_text(EXCERPTS["torch-2.13.0"])
    assert check_bounds(path, "11.8").changed
    assert path.read_text() == EXCERPTS["torch-2.13.0"]
    assert apply_bounds(path, "11.8").changed
    assert not apply_bounds(path, "11.8").changed
    later = apply_bounds(path, "11.8", gcc_max=12)
    assert "'11.8': ((6, 0, 0), (13, 0))" in later.diff
    assert revert_bounds(path)
    assert path.read_text() == EXCERPTS["torch-2.13.0"]
    assert [each.name for each in tmp_path.iterdir()] == ["cpp_extension.py"]
    assert not revert_bounds(path)


def test_a_file_that_is_a_link_into_a_shared_cache_leaves_the_cache_alone(tmp_path: Path) -> None:
    shared = tmp_path / "cache.py"
    shared.write_text(EXCERPTS["torch-2.13.0"])
    (tmp_path / "env").mkdir()
    for name, link in (("symbolic", Path.symlink_to), ("hard", Path.hardlink_to)):
        folder = tmp_path / "env" / name
        folder.mkdir()
        link(folder / "cpp_extension.py", shared)
        apply_bounds(folder / "cpp_extension.py", "11.8")
        assert "'11.8'" in (folder / "cpp_extension.py").read_text()
        assert shared.read_text() == EXCERPTS["torch-2.13.0"]


def test_the_installed_torch_is_found_without_importing_it(tmp_path: Path) -> None:
    site = tmp_path / "torch"
    (site / "utils").mkdir(parents=True)
    (site / "__init__.py").write_text("raise SystemExit('torch was imported')\n")
    (site / "utils" / "cpp_extension.py").write_text(EXCERPTS["torch-2.14.1"])
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{tmp_path}" exec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    assert find_file(python) == site / "utils" / "cpp_extension.py"
    assert apply_bounds(find_file(python), "11.8").changed
    assert "'11.8'" in (site / "utils" / "cpp_extension.py").read_text()


def test_an_interpreter_without_torch_or_none_at_all(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n')
    python.chmod(0o755)
    with pytest.raises(UsageError, match="has no torch"):
        find_file(python)
    with pytest.raises(MambaopsError, match="could not be started"):
        find_file(tmp_path / "nothing")
