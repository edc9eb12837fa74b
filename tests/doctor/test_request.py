"""What `mambaops doctor` looks at: another machine's facts, a profile's environment, this folder; and what it repairs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from recorded import path_of

from mambaops.core.errors import UsageError
from mambaops.doctor.command import Request, check, masked_report, repaired, target_python
from mambaops.doctor.model import Check
from mambaops.profiles.load import load_profile
from mambaops.state.places import places


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MAMBAOPS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MAMBAOPS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    monkeypatch.delenv("CONDA_PREFIX", raising=False)
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (folder / "x.sh").write_bytes(b"echo\r\n")
    return folder


def ids(checks: list[Check]) -> set[str]:
    return {one.id for one in checks}


def test_another_machine_is_judged_by_its_facts_and_its_folder_is_not_here() -> None:
    alone = ids(check(Request(facts=str(path_of("v100")))))
    assert "windows-line-ends" not in alone
    with_profile = ids(check(Request(facts=str(path_of("v100")), profile="wsl-5090")))
    assert with_profile - alone


def test_this_machine_is_looked_at_with_its_folder_and_put_right(own_folder: Path) -> None:
    request = Request(python=sys.executable)
    found = check(request)
    assert "windows-line-ends" in ids(found)
    assert not ids(found) & {"resolver", "pip-index", "address"}
    (line_ends,) = [one for one in found if one.id == "windows-line-ends"]
    told: list[str] = []
    after = repaired(request, [line_ends], sudo=False, tell=told.append)
    assert "windows-line-ends" not in ids(after)
    assert told[-1] == "1 repairs were made"
    assert (own_folder / "x.sh").read_bytes() == b"echo\n"
    assert repaired(request, [line_ends], sudo=False, tell=told.append) == [line_ends]
    assert told[-1] == "nothing could be repaired here"


def test_another_machine_is_not_repaired() -> None:
    with pytest.raises(UsageError, match="repairs this machine"):
        repaired(Request(facts=str(path_of("v100"))), [], sudo=True, tell=print)


def test_the_interpreter_that_is_looked_at(tmp_path: Path) -> None:
    profile = load_profile("local")
    assert target_python(Request(python=sys.executable), profile) == Path(sys.executable)
    python = places("local").python
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    assert target_python(Request(profile="local"), profile) == python
    assert target_python(Request(), None) == python


def test_a_block_to_paste_says_the_versions_and_no_home() -> None:
    one = Check(
        id="x", area="torch", state="failed", what="/home/somebody/x", cause="c", remedy="r"
    )
    block = masked_report([one])
    assert block.startswith("```text\nmambaops ")
    assert "/home/somebody/" not in block
