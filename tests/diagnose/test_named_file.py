"""What the compiled file says that a log of this machine names."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from recorded import varied

from mambaops.diagnose.explain import Explanation, explain_log
from mambaops.diagnose.named_file import look, told
from mambaops.facts.model import Facts

SOURCE = """
namespace c10 { namespace cuda { void SetDevice(int); } }
extern "C" void start() { c10::cuda::SetDevice(1); }
"""


def seen_in(line: str, facts: Facts) -> list[str]:
    """What is told of the file that a line names."""
    file = look(line, facts)
    return [] if file is None else list(told(file, facts))


@pytest.fixture(scope="module")
def extension(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A module that asks for what torch 2.1 and 2.2 have, and for a library that is gone."""
    if shutil.which("g++") is None:
        pytest.skip("g++ is not there to make a real module")
    folder = tmp_path_factory.mktemp("module")
    (folder / "module.cpp").write_text(SOURCE)
    (folder / "gone.cpp").write_text("")
    compiler = ["g++", "-fPIC", "-shared", "-Wl,--no-as-needed"]
    subprocess.run([*compiler, "gone.cpp", "-o", "libgone.so"], cwd=folder, check=True)
    argv = [*compiler, "module.cpp", "./libgone.so", "-o", "selective_scan_cuda.so"]
    subprocess.run(argv, cwd=folder, check=True)
    (folder / "libgone.so").unlink()
    return folder / "selective_scan_cuda.so"


def test_the_file_settles_what_the_line_leaves_open(extension: Path) -> None:
    facts = varied("ubuntu22-cu118", {"torch": {"version": "2.4.0+cu118"}})
    line = f"ImportError: {extension}: undefined symbol: _ZN3c104cuda9SetDeviceEi"
    seen = seen_in(line, facts)
    assert "selective_scan_cuda.so was built for torch >=2.1,<2.3; yours is 2.4.0+cu118" in seen
    assert any(text.startswith("ldd: ") and "libgone.so is not found" in text for text in seen)


def test_a_torch_that_has_it_all_was_not_the_one_that_was_loaded(extension: Path) -> None:
    facts = varied("ubuntu22-cu118", {"torch": {"version": "2.2.2+cu118"}})
    seen = seen_in(f"{extension}: undefined symbol: x", facts)
    assert "torch 2.2.2+cu118 has what it asks torch for: another torch was loaded" in seen


def test_it_is_looked_at_only_where_the_log_is_from_here(extension: Path, tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    log.write_text(f"ImportError: {extension}: undefined symbol: _ZN3c104cuda9SetDeviceEi\n")
    facts = varied("ubuntu22-cu118", {})
    assert "  here: " not in explain_log(log, facts).text()
    assert (
        "  here: selective_scan_cuda.so was built for" in explain_log(log, facts, here=True).text()
    )


@pytest.mark.parametrize(
    "line", ["no file", "/nowhere/x.so: undefined symbol: y", __file__ + ".so:"]
)
def test_what_is_not_here_tells_nothing(line: str) -> None:
    assert seen_in(line, varied("hopper", {})) == []


def test_a_file_that_is_no_module_tells_nothing(tmp_path: Path) -> None:
    (tmp_path / "x.so").write_text("text")
    assert seen_in(f"{tmp_path}/x.so: undefined symbol: y", varied("hopper", {})) == []


def explained(folder: Path, line: str, facts: Facts, *, here: bool = True) -> Explanation:
    log = folder / "run.log"
    log.write_text(line + "\n")
    return explain_log(log, facts, here=here)


@pytest.mark.parametrize(
    ("torch", "says", "fix"),
    [
        ("2.4.0+cu118", "was built for torch >=2.1,<2.3", "select-wheel"),
        ("2.0.1+cu118", "the torch of this environment is 2.0.1+cu118", "select-wheel"),
        ("2.2.2+cu118", "it fits, and the process loaded another torch", "without PYTHONPATH"),
    ],
)
def test_the_symbols_of_the_file_decide_between_causes(
    extension: Path, tmp_path: Path, torch: str, says: str, fix: str
) -> None:
    # of this symbol the text alone knows only that some torch lacks it
    line = f"ImportError: {extension}: undefined symbol: _ZN3c108something3newEv"
    facts = varied("ubuntu22-cu118", {"torch": {"version": torch}})
    (there,) = explained(tmp_path, line, facts, here=False).diagnosis.findings
    assert (there.rule, says in there.cause) == ("torch-version-other", False)
    (found,) = explained(tmp_path, line, facts).diagnosis.findings
    assert found.rule == "torch-version-other"
    assert says in found.cause
    assert fix in found.fixes[0] + found.fix


def test_the_file_outweighs_what_the_torch_says_of_its_abi(extension: Path, tmp_path: Path) -> None:
    line = f"ImportError: {extension}: undefined symbol: _ZN3c107WarningC1ENS_14SourceLocationESs"
    facts = varied("ubuntu22-cu118", {"torch": {"version": "2.4.0+cu118", "cxx11_abi": True}})
    (found,) = explained(tmp_path, line, facts).diagnosis.findings
    assert found.rule == "abi-old-string"
    assert "selective_scan_cuda.so was built for torch >=2.1,<2.3" in found.cause


# what ldd of glibc 2.36 printed of torch's libcusparse where LD_LIBRARY_PATH named a toolkit, and where it did not
SHADOWED = "libnvJitLink.so.12 => /usr/local/cuda-12.1/lib64/libnvJitLink.so.12 (0x0000)"
OWN = "libnvJitLink.so.12 => /opt/env/lib/python3.11/site-packages/nvidia/nvjitlink/lib/libnvJitLink.so.12 (0x0000)"


@pytest.mark.parametrize(
    ("printed", "says"),
    [
        (SHADOWED, "gets libnvJitLink.so.12 from /usr/local/cuda-12.1/lib64/libnvJitLink.so.12"),
        (OWN, "got the libnvJitLink of an older system CUDA"),
    ],
)
def test_ldd_says_whose_library_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, printed: str, says: str
) -> None:
    library = tmp_path / "libcusparse.so.12"
    library.write_text("stands for NVIDIA's")
    tool = tmp_path / "bin" / "ldd"
    tool.parent.mkdir()
    tool.write_text(f"#!/bin/sh\nprintf '\\t%s\\n' '{printed}'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}:/usr/bin:/bin")
    line = f"ImportError: {library}: undefined symbol: __nvJitLinkComplete_12_4, version libnvJitLink.so.12"
    (found,) = explained(tmp_path, line, varied("hopper", {})).diagnosis.findings
    assert found.rule == "nvjitlink-shadowed"
    assert says in found.cause
