"""What no command foresaw: a documented exit code, the streams left clean."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from mambaops.core.paths import CHECKOUT


def run(body: str, **streams: int) -> subprocess.CompletedProcess[str]:
    """A process whose command is `body`, behind the guard."""
    text = f"import sys, os\nfrom mambaops.cli.faults import guarded\ndef command():\n    {body}\nsys.exit(guarded(command))"
    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **streams}
    return subprocess.run([sys.executable, "-c", text], text=True, check=False, **given)  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ("return 3", 3, ""),
        ("raise KeyboardInterrupt", 130, "interrupted\n"),
        ("open('/no/such/file')", 1, "error: /no/such/file: No such file or directory\n"),
    ],
)
def test_what_is_foreseen_ends_without_a_traceback(body: str, status: int, said: str) -> None:
    done = run(body)
    assert (done.returncode, done.stderr) == (status, said)


def test_a_fault_of_ours_is_one_sentence_and_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAMBAOPS_HOME", str(tmp_path / "state"))
    done = run("return {}['the\\nkey']")
    assert done.returncode == 70
    (report,) = (tmp_path / "state" / "faults").iterdir()
    assert done.stderr == (
        "error: this is a fault of mambaops, not of yours: KeyError: 'the\\nkey'; "
        f"the report is {report}\n"
    )
    text = report.read_text(encoding="utf-8")
    titles = [line for line in text.splitlines() if line.startswith("## ")]
    assert titles == ["## what happened", "## command", "## folder", "## versions", "## facts"]
    assert "Traceback (most recent call last)" in text
    assert "\n-c\n" in text
    assert f'"version": "{platform.python_version()}"' in text.partition("## facts\n")[2]


def test_where_the_state_folder_takes_nothing_it_lies_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("MAMBAOPS_HOME", str(tmp_path / "file"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    done = run("return {}['key']")
    (report,) = (tmp_path / "tmp").glob("mambaops-fault-*")
    assert done.stderr.endswith(f"; the report is {report}\n")
    assert done.stderr.count("\n") == 1


def test_where_nothing_can_be_written_the_traceback_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("MAMBAOPS_HOME", str(tmp_path / "file"))
    done = run("import tempfile; tempfile.tempdir = os.environ['MAMBAOPS_HOME']; return {}['key']")
    assert done.returncode == 70
    assert "Traceback (most recent call last)" in done.stderr
    assert "no report could be written" in done.stderr.splitlines()[-1]


def test_a_full_disk_behind_stdout_is_told() -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    done = run("print('data'); return 0", stdout=full)
    assert (done.returncode, done.stderr) == (1, "error: No space left on device\n")


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_that_has_gone_is_no_failure(stream: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = run(f"print('data', file=sys.{stream}, flush=True); return 0", **{stream: writing})
    os.close(writing)
    assert (done.returncode, done.stdout or "", done.stderr or "") == (0, "", "")


def test_a_reader_that_left_the_listing_of_invoke_is_no_error() -> None:
    read, write = os.pipe()
    os.close(read)
    argv = [sys.executable, "-u", "-m", "invoke", "--list"]
    done = subprocess.run(
        argv, cwd=CHECKOUT, stdout=write, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (0, "")
