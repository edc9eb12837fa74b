"""A setup.py that passes no architecture flags itself: what is left to patch, and what the build is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from mambaops.core.errors import UsageError
from mambaops.patching.options import SetupOptions
from mambaops.patching.setup_py import plan_patch

# as PyTorch Geometric's extensions: the class chosen first, one module per file, ninja off
TEXT = (Path(__file__).parent / "routes/environment.py").read_text(encoding="utf-8")
TOLD = SetupOptions(archs=("9.0",), route="environment", nvcc_threads=1, cxx_standard=20)


def test_the_standard_is_raised_and_ninja_compiles() -> None:
    found = plan_patch(TEXT, None, TOLD)
    assert found.codemods == ("no-ninja", "cxx-standard")
    assert '"-std=c++20"' in found.text
    assert "BuildExtension.with_options(no_python_abi_suffix=True)" in found.text
    assert not plan_patch(found.text, None, TOLD).edits


def test_each_thing_that_is_not_there_is_said() -> None:
    said = {note.codemod: note.reason for note in plan_patch(TEXT, None, TOLD).notes}
    assert "the environment of the build names them" in said["cuda-archs"]
    assert said["nvcc-threads"] == "no `--threads`: nvcc's own default is one"
    assert "never looks for a prebuilt wheel" in said["force-build"]


@pytest.mark.parametrize("flag", ["-arch=sm_90", "-gencode", "arch=compute_90,code=sm_90"])
def test_flags_of_its_own_are_refused_since_torch_would_ignore_the_list(flag: str) -> None:
    with pytest.raises(UsageError, match="TORCH_CUDA_ARCH_LIST has no effect") as caught:
        plan_patch(TEXT.replace('"-O2", "--expt', f'"{flag}", "--expt'), None, TOLD)
    assert 'route = "flags"' in caught.value.hint


@pytest.mark.parametrize("word", ["arm64", "x86_64"])
def test_a_macs_processor_is_no_architecture_of_a_gpu(word: str) -> None:
    text = TEXT.replace('"arm64"', f'"{word}"')
    assert plan_patch(text, None, TOLD).codemods == ("no-ninja", "cxx-standard")


def test_the_route_by_a_variable_leaves_the_files_own_flags_alone() -> None:
    text = TEXT.replace('"-O2", "--expt', '"-gencode", "--expt')
    options = SetupOptions(archs=("9.0",), route="variable")
    assert '"-gencode"' in plan_patch(text, None, options).text


def test_the_key_tells_the_routes_apart() -> None:
    assert SetupOptions(archs=("9.0",)).changes() == ("cuda-archs",)
    assert TOLD.changes() == ("arch-list", "cxx-standard=20")
