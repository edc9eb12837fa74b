"""Who failed among the others gets a second run alone; who fails there too fails the suite."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SUITE = Path(__file__).with_name("suite.py")
PASSES = "def test_passes(): pass\n"
ONCE = """
def test_once():
    first = not FILE.exists()
    FILE.touch()
    assert not first
"""
CASES = {
    "one fails beside the others": (ONCE, 0, "1 passed in"),
    "one fails always": ("def test_never(): assert 0\n", 1, "1 failed in"),
}


@pytest.mark.parametrize("case", CASES)
def test_what_failed_is_run_once_more(case: str, tmp_path: Path) -> None:
    body, code, said = CASES[case]
    (tmp_path / "test_here.py").write_text(
        f"from pathlib import Path\nFILE = Path({str(tmp_path / 'ran')!r})\n{PASSES}{body}"
    )
    argv = [sys.executable, SUITE, "-p", "xdist", "-n", "1", "--rootdir", tmp_path, tmp_path]
    env = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(argv, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    assert said in done.stdout.splitlines()[-1]
    assert done.stdout.count("= test session starts =") == 2
