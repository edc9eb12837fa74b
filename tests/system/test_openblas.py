"""A shared library that the loader does not find."""

from __future__ import annotations

import sys
from pathlib import Path

from standins import program

from mambaops.system import openblas


def _environment(folder: Path, error: str) -> Path:
    """An environment whose python fails to import with that error."""
    program(folder, "python", f'echo "ImportError: {error}" >&2; exit 1')
    return folder / "bin" / "python"


MISSING = "libopenblas.so.0: cannot open shared object file: No such file or directory"


def test_a_library_that_lies_in_the_environment_is_put_on_the_path(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "libopenblas.so.0").write_text("")
    report = openblas.check(_environment(tmp_path, MISSING), "mamba_ssm")
    assert (report.ok, report.library) == (False, "libopenblas.so.0")
    assert f'export LD_LIBRARY_PATH="{tmp_path}/lib' in report.remedy


def test_one_that_is_nowhere_is_installed(tmp_path: Path) -> None:
    prefix = tmp_path / "env"
    conda = openblas.remedy(prefix, "libopenblas.so.0", [], conda=True)
    assert conda == f"  `conda install -y -p {prefix} -c conda-forge libopenblas`"
    assert "apt-get install -y libopenblas0" in openblas.remedy(
        prefix, "libopenblas.so.0", [], conda=False
    )
    assert "libfoo.so.3" in openblas.remedy(prefix, "libfoo.so.3", [], conda=True)


def test_another_error_is_not_mistaken_for_a_missing_library(tmp_path: Path) -> None:
    report = openblas.check(_environment(tmp_path, "No module named 'mamba_ssm'"), "mamba_ssm")
    assert (report.ok, report.library, report.remedy) == (False, "", "")
    assert "No module named" in report.error
    assert openblas.check(Path(sys.executable), "json").ok
