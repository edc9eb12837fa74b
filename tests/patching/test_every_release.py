"""The proof of the codemods: what reaches nvcc, for every published release and four CUDA releases.

Every file is run as upstream wrote it and as patched, with stand-ins for torch, setuptools and nvcc.
TORCH_CUDA_ARCH_LIST is set to what is wanted all the while, to show that it alone does nothing.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from mambaops.patching.options import SetupOptions
from mambaops.patching.setup_py import PatchResult, plan_patch

sys.path.insert(0, str(Path(__file__).parent))
from setup_recording import FILES, NVCC, RELEASES, SHAPES, compiled, record, standards, threads

pytestmark = pytest.mark.long

WANTED = {
    "one": SetupOptions(archs=("9.0",)),
    "ptx": SetupOptions(
        archs=("8.0", "9.0+PTX"), ninja=False, cxx_standard=20, nvcc_threads=2, force_build=False
    ),
    "shared": SetupOptions(archs=("8.0", "8.6", "12.0"), one_ptx=True),
    "upstream's list": SetupOptions(),
}
COMPILED = {
    "one": ["90->sm_90"],
    "ptx": ["80->sm_80", "90->compute_90", "90->sm_90"],
    "shared": ["80->sm_120", "80->sm_80", "80->sm_86"],
}
TEXTS = FILES | SHAPES
Recorded = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def patched() -> dict[str, dict[str, PatchResult]]:
    """variant -> file -> what the codemods made of it."""
    return {
        variant: {name: plan_patch(text, name, options) for name, text in TEXTS.items()}
        for variant, options in WANTED.items()
    }


@pytest.fixture(scope="module")
def recorded(
    patched: dict[str, dict[str, PatchResult]], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Recorded]:
    """CUDA release (or "none") -> "variant file" -> what would have been compiled."""
    texts = {f"upstream {name}": text for name, text in TEXTS.items()}
    for variant, results in patched.items():
        texts |= {f"{variant} {name}": result.text for name, result in results.items()}
    listed = {"TORCH_CUDA_ARCH_LIST": "8.0;9.0+PTX", "MAMBA_SKIP_CUDA_BUILD": "FALSE"}
    found = {
        cuda: record(texts, tmp_path_factory.mktemp("setups"), cuda, **listed) for cuda in NVCC
    }
    return found | {"none": record(texts, tmp_path_factory.mktemp("setups"), None)}


def _nvcc(recorded: Recorded, name: str) -> list[list[str]]:
    assert "error" not in recorded[name], recorded[name]
    return [extension["nvcc"] for extension in recorded[name]["extensions"]]


@pytest.mark.parametrize("cuda", NVCC)
@pytest.mark.parametrize("release", [*RELEASES, *SHAPES])
def test_exactly_the_asked_architectures_reach_nvcc(
    recorded: dict[str, Recorded], release: str, cuda: str
) -> None:
    file = RELEASES.get(release, release)
    for variant, wanted in COMPILED.items():
        lines = _nvcc(recorded[cuda], f"{variant} {file}")
        assert lines, f"{variant}: nothing is compiled"
        assert [compiled(line) for line in lines] == [wanted] * len(lines), variant


@pytest.mark.parametrize("cuda", NVCC)
@pytest.mark.parametrize("release", RELEASES)
def test_before_the_patch_they_do_not(
    recorded: dict[str, Recorded], release: str, cuda: str
) -> None:
    (before,) = _nvcc(recorded[cuda], f"upstream {RELEASES[release]}")
    assert compiled(before) not in COMPILED.values()
    assert not any("code=compute" in flag for flag in before), "upstream never embeds PTX"


def test_upstream_asks_cuda_13_for_what_it_no_longer_has(recorded: dict[str, Recorded]) -> None:
    (before,) = _nvcc(recorded["13.0"], "upstream mamba_ssm-2.2.5.py")
    assert "53->sm_53" in compiled(before)
    (newest,) = _nvcc(recorded["13.0"], "upstream mamba_ssm-2.3.2.post1.py")
    named = (75, 80, 87, 90, 100, 103, 110, 120, 121)
    assert set(compiled(newest)) == {f"{one}->sm_{one}" for one in named}


def test_no_gpu_is_asked(recorded: dict[str, Recorded]) -> None:
    before = recorded["13.0"]["upstream vmamba_capability"]
    assert before == {"error": "RuntimeError: No CUDA GPUs are available"}
    assert "error" not in recorded["13.0"]["one vmamba_capability"]


@pytest.mark.parametrize("file", TEXTS)
def test_standard_is_raised_where_one_is_given_and_never_added(
    recorded: dict[str, Recorded], file: str
) -> None:
    before = recorded["13.0"].get(f"one {file}", {})["extensions"]
    after = recorded["13.0"][f"ptx {file}"]["extensions"]
    for old, new in zip(before, after, strict=True):
        for compiler in ("cxx", "nvcc"):
            given = standards(old[compiler])
            assert len(standards(new[compiler])) == len(given)
            assert not any(flag.endswith(("17", "14")) for flag in standards(new[compiler]))


@pytest.mark.parametrize("file", TEXTS)
def test_threads_and_ninja(recorded: dict[str, Recorded], file: str) -> None:
    as_upstream, as_asked = (recorded["12.8"][f"{variant} {file}"] for variant in ("one", "ptx"))
    assert as_upstream["ninja"] is True
    assert as_asked["ninja"] is False
    for extension in as_asked["extensions"]:
        assert threads(extension["nvcc"]) == ["2"]


@pytest.mark.parametrize("file", FILES)
def test_forced_build_asks_for_no_wheel(recorded: dict[str, Recorded], file: str) -> None:
    assert recorded["12.1"][f"upstream {file}"]["wheel"] == "asked"
    assert recorded["12.1"][f"ptx {file}"]["wheel"] == "asked", "--no-force-build leaves it"
    assert recorded["12.1"][f"one {file}"]["wheel"] == "built"


def test_opt_in_kernels_are_built(recorded: dict[str, Recorded]) -> None:
    assert recorded["13.0"]["upstream mamba_opt_in"]["extensions"] == []
    assert recorded["13.0"]["one mamba_opt_in"]["extensions"] != []


@pytest.mark.parametrize("file", FILES)
def test_without_nvcc_the_message_is_torchs(recorded: dict[str, Recorded], file: str) -> None:
    before = recorded["none"][f"upstream {file}"]["error"]
    assert before == "NameError: name 'bare_metal_version' is not defined"
    for variant in WANTED:
        assert (
            "CUDA_HOME environment variable is not set"
            in (recorded["none"][f"{variant} {file}"]["error"])
        )


@pytest.mark.parametrize("cuda", NVCC)
@pytest.mark.parametrize("file", FILES)
def test_upstreams_own_list_stays_when_none_is_asked(
    recorded: dict[str, Recorded], file: str, cuda: str
) -> None:
    kept = _nvcc(recorded[cuda], f"upstream's list {file}")
    assert kept == _nvcc(recorded[cuda], f"upstream {file}")


@pytest.mark.parametrize("variant", WANTED)
@pytest.mark.parametrize("file", TEXTS)
def test_patching_again_changes_nothing(
    patched: dict[str, dict[str, PatchResult]], file: str, variant: str
) -> None:
    first = patched[variant][file]
    again = plan_patch(first.text, file, WANTED[variant])
    assert not again.edits
    assert again.text == first.text
    assert "mambaops" not in first.text.replace("# mambaops:", ""), "nothing of ours is imported"


@pytest.mark.parametrize("file", TEXTS)
def test_other_options_on_patched_text_give_what_they_give_on_upstreams(
    patched: dict[str, dict[str, PatchResult]], file: str
) -> None:
    if "capability" in file:
        pytest.skip("the question to the GPU is gone for good: apply starts from the kept original")
    turned = plan_patch(patched["one"][file].text, file, WANTED["shared"])
    assert turned.text == patched["shared"][file].text


def test_the_stand_in_treats_arch_flags_as_torch_does(monkeypatch: pytest.MonkeyPatch) -> None:
    cpp_extension = pytest.importorskip("torch.utils.cpp_extension")
    monkeypatch.setenv("TORCH_CUDA_ARCH_LIST", "8.0")
    assert cpp_extension._get_cuda_arch_flags(["-O3"]) == ["-gencode=arch=compute_80,code=sm_80"]
    for flags in (["-gencode", "arch=compute_75,code=sm_75"], ["-arch=sm_90"]):
        assert cpp_extension._get_cuda_arch_flags(flags) == []
