"""What a codemod refuses, and the shapes that no published release has."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from mambaops.core.errors import UsageError
from mambaops.patching.options import SetupOptions
from mambaops.patching.setup_py import plan_patch, standard_for_torch

sys.path.insert(0, str(Path(__file__).parent))
from setup_recording import FILES, SHAPES

NINETY = SetupOptions(archs=("9.0",))
NEWEST = FILES["mamba_ssm-2.3.2.post1.py"]
TAIL = 'setup(ext_modules=[CUDAExtension("a", [], {"nvcc": f})], cmdclass={"build_ext": BuildExtension})\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import os\nprint('hello')\n", "no call of setup(…) and no CUDAExtension"),
        ("from setuptools import setup\nsetup()\n", "no CUDAExtension"),
        ("def broken(:\n", "not Python source"),
        ("", "not a setup.py"),
        (TAIL, "passes no architecture flags"),
        ("def f(a): return f'arch=compute_{a}'\n" + TAIL, "line 1: do not understand"),
        ("f = []\nf.append('-gencode'); f.append('arch=compute_90,code=sm_90')\n" + TAIL, "line 2"),
        (
            "f = ['-arch=sm_90']\nf.append('-arch=sm_80')\n" + TAIL,
            "line 1: architecture flags in a",
        ),
        (
            "import urllib.request as u\nu.urlretrieve('x')\nf=['-arch=sm_90']\n" + TAIL,
            "FORCE_BUILD",
        ),
    ],
)
def test_what_is_not_understood_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        plan_patch(text, "here", NINETY)
    assert caught.value.message.startswith("here: ")
    assert said in caught.value.message
    assert caught.value.hint


def test_threads_are_refused_where_none_are_passed() -> None:
    text = "f = ['-arch=sm_90']\n" + TAIL
    with pytest.raises(UsageError, match="passes no `--threads`"):
        plan_patch(text, None, SetupOptions(nvcc_threads=2))


def test_ninja_is_refused_where_its_command_is_not_found() -> None:
    text = TAIL.replace("build_ext", "build").replace("f})", "['-arch=sm_90']})")
    with pytest.raises(UsageError, match="no-ninja: found no"):
        plan_patch(text, None, SetupOptions(archs=("9.0",), ninja=False))


def test_a_build_command_made_by_a_function_is_refused() -> None:
    text = TAIL.replace('": BuildExtension', '": make()').replace("f})", "['-arch=sm_90']})")
    with pytest.raises(UsageError, match=r"do not understand `make\(\)`"):
        plan_patch(text, None, SetupOptions(archs=("9.0",), ninja=False))


def test_ninja_off_and_on_again() -> None:
    off = plan_patch(NEWEST, None, SetupOptions(ninja=False)).text
    assert "BuildExtension.with_options(use_ninja=False)" in off
    assert plan_patch(off, None, SetupOptions()).text == plan_patch(NEWEST, None).text
    shape = SHAPES["vmamba_gencode"]
    off = plan_patch(shape, None, SetupOptions(ninja=False)).text
    assert "with_options(use_ninja=False, no_python_abi_suffix=True)" in off
    assert plan_patch(off, None, SetupOptions()).text == shape


def test_forced_build_and_back_gives_the_same_text() -> None:
    forced = plan_patch(NEWEST, None).text
    assert "FORCE_BUILD = True  # mambaops:force-build" in forced
    back = plan_patch(forced, None, SetupOptions(force_build=False))
    unforced = plan_patch(NEWEST, None, SetupOptions(force_build=False))
    assert back.text == unforced.text


def test_a_hand_made_literal_is_left_and_said() -> None:
    text = NEWEST.replace('os.getenv("MAMBA_FORCE_BUILD", "FALSE") == "TRUE"', "True", 1)
    kept = plan_patch(text, None, SetupOptions(force_build=False))
    assert any("not written by mambaops" in note.reason for note in kept.notes)
    assert "FORCE_BUILD = True\n" in kept.text


@pytest.mark.parametrize(
    ("flag", "wanted"),
    [
        ("-std=c++17", "-std=c++20"),
        ("--std=gnu++14", "--std=gnu++20"),
        ("/std:c++17", "/std:c++20"),
        ("-std=c++1z", "-std=c++20"),
        ("-std=c++2a", "-std=c++2a"),
        ("-std=c++20", "-std=c++20"),
        ("-std=c++23", "-std=c++23"),
        ("-std=gnu++98", "-std=gnu++20"),
        ("/std:c++latest", "/std:c++latest"),
        ("-std=c11", "-std=c11"),
    ],
)
def test_standard_is_raised_and_never_lowered(flag: str, wanted: str) -> None:
    text = f"f = ['{flag}', '-arch=sm_90']\n" + TAIL
    patched = plan_patch(text, None, SetupOptions(cxx_standard=20)).text
    assert patched.splitlines()[0] == f"f = ['{wanted}', '-arch=sm_90']"


@pytest.mark.parametrize("flag", ["f'-std=c++{x}'", "f'-std={x}'", "'--std=c++' + x"])
def test_a_standard_that_cannot_be_read_is_refused(flag: str) -> None:
    text = f"f = [{flag}, '-arch=sm_90']\n" + TAIL
    with pytest.raises(UsageError, match="line 1: cannot read the standard"):
        plan_patch(text, None, SetupOptions(cxx_standard=20))


def test_a_standard_in_a_comment_or_sentence_is_not_a_flag_of_ours() -> None:
    text = "# was -std=c++17\nf = ['-arch=sm_90']\n" + TAIL
    result = plan_patch(text, None, SetupOptions(cxx_standard=20))
    assert result.text == text
    assert any("torch's own default" in note.reason for note in result.notes)


@pytest.mark.parametrize(
    ("torch", "wanted"),
    [("1.13.1", None), ("2.12.1", None), ("2.13.0+cu130", 20), ("2.14.1", 20), ("2.15.0.dev1", 20)],
)
def test_standard_that_torch_demands(torch: str, wanted: int | None) -> None:
    assert standard_for_torch(torch) == wanted


def test_no_torch_version_is_an_error() -> None:
    with pytest.raises(UsageError, match="is no torch version"):
        standard_for_torch("newest")


def test_emptied_branches_go_and_others_stay() -> None:
    text = (
        "f = []\n"
        "if bare_metal_version >= Version('11.8'):\n"
        "    f.append('-gencode')\n"
        "    f.append('arch=compute_90,code=sm_90')\n"
        "    print('Hopper')\n"
        "if bare_metal_version >= Version('12.8'):\n"
        "    if True:\n"
        "        f.append('-gencode=arch=compute_120,code=sm_120')\n" + TAIL
    )
    lines = plan_patch(text, None, NINETY).text.splitlines()
    assert lines[1].startswith('f.extend(["-gencode", "arch=compute_90,code=sm_90"])')
    assert lines[2:4] == [
        "if bare_metal_version >= Version('11.8'):",
        "    print('Hopper')",
    ]
    assert lines[4] == TAIL.strip()


def test_a_condition_that_is_not_about_nvcc_is_kept() -> None:
    text = "f = []\nif not hip:\n    f += ['-arch=sm_90', '-code=sm_90']\n" + TAIL
    lines = plan_patch(text, None, SetupOptions(archs=("8.0",))).text.splitlines()
    assert lines[1] == "if not hip:"
    assert lines[2].startswith('    f.extend(["-gencode", "arch=compute_80,code=sm_80"])')


def test_two_lists_get_the_flags_each() -> None:
    text = "f = []\ng = []\nf.append('-arch=sm_70')\ng.append('-arch=sm_70')\n" + TAIL
    patched = plan_patch(text, None, NINETY).text
    assert "\nf.extend([" in patched
    assert "\ng.extend([" in patched


def test_every_edit_is_told_with_its_line() -> None:
    result = plan_patch(NEWEST, None, NINETY)
    lines = NEWEST.splitlines()
    assert result.codemods == ("force-build", "cuda-archs", "bare-metal-version")
    for edit in result.edits:
        if edit.before:
            assert lines[edit.line - 1].strip() == edit.before.splitlines()[0]


def test_windows_line_ends_stay() -> None:
    text = NEWEST.replace("\n", "\r\n")
    patched = plan_patch(text, None, NINETY).text
    assert patched.replace("\r\n", "\n") == plan_patch(NEWEST, None, NINETY).text
    assert "\n" not in patched.replace("\r\n", "")
