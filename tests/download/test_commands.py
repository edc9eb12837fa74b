"""`mambaops fetch-wheel` as a person runs it: data on stdout, talk on stderr, exit statuses, no tracebacks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import mambaops
from loopback import serve, status, whole
from recorded import path_of

pytestmark = pytest.mark.usefixtures("own_places")


def test_data_on_stdout_talk_on_stderr(make_wheel, tmp_path):
    data = make_wheel("carried").read_bytes()
    with serve(data, status(503), whole()) as server:
        url = server.url("carried-1.0-py3-none-any.whl")
        done = mambaops("fetch-wheel", "--url", url, "-o", tmp_path / "w", "--json")
    assert done.returncode == 0, done.stderr
    assert "answers 503" in done.stderr
    assert Path(json.loads(done.stdout)["path"]).read_bytes() == data


def test_what_is_not_there_is_an_error_with_a_hint(tmp_path):
    with serve(b"", status(404)) as server:
        done = mambaops("fetch-wheel", "--url", server.url(), "-o", tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "error: http://127.0.0.1" in done.stderr
    assert "hint: the file does not exist there" in done.stderr
    assert mambaops("fetch-wheel").returncode == 2
    assert mambaops("fetch-wheel", "--name", "six-1.0-py3-none-any.whl").returncode == 2


def test_fetch_wheel_by_package_says_why_nothing_fits_a_machine(tmp_path):
    """Debian 10 outside of conda: the wheels that fit by name ask for a newer libstdc++ than it has."""
    recorded = path_of("debian10-a800")
    machine = json.loads(recorded.read_text(encoding="utf-8"))
    machine["python"]["libstdcxx"] = None
    facts = tmp_path / "facts.json"
    facts.write_text(json.dumps(machine), encoding="utf-8")
    done = mambaops("fetch-wheel", "--package", "mamba-ssm", "--facts", facts)
    assert done.returncode == 4
    assert "GLIBCXX_3.4.26" in done.stderr
    assert "select-wheel --package mamba-ssm" in done.stderr


def test_a_package_stands_where_an_address_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No wheel fits a machine without a GPU: the choice was asked, no address was tried."""
    from mambaops.cli.program import run

    monkeypatch.chdir(tmp_path)
    ended = run(["mambaops", "wheels", "fetch", "mamba_ssm", "--facts", str(path_of("no-gpu"))])
    assert ended == 4
    assert "mamba-ssm" in capsys.readouterr().err
