"""What no command foresaw: a documented exit code, the streams left clean."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


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


def test_a_fault_of_ours_is_called_one() -> None:
    done = run("return {}['key']")
    assert done.returncode == 70
    assert done.stderr.endswith(
        "error: this is a fault of mambaops, not of yours: KeyError: 'key'\n"
    )


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
