"""What the compiled file says that a log of this machine names."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from recorded import varied

from mambaops.diagnose.explain import explain_log
from mambaops.diagnose.named_file import seen_in

SOURCE = """
namespace c10 { namespace cuda { void SetDevice(int); } }
extern "C" void start() { c10::cuda::SetDevice(1); }
"""


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
