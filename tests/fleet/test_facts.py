"""`fleet facts` and `fleet plan` over a real sshd: each machine as it is, and no machine's trouble is another's."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from ssh_hosts import BEHIND, CHANGED, UNKNOWN, Server, python, silent

from mambaops.core.paths import CHECKOUT

Machines = dict[str, dict[str, Any]]
Hosts = Callable[..., Path]
Fleet = Callable[..., subprocess.CompletedProcess[str]]


def document(done: subprocess.CompletedProcess[str], name: str) -> dict[str, dict[str, Any]]:
    """The machines of the one document, by name; it keeps to its schema."""
    found = json.loads(done.stdout)
    text = (CHECKOUT / "docs" / "schemas" / f"{name}.json").read_text(encoding="utf-8")
    jsonschema.validate(found, json.loads(text))
    return {row["host"]: row for row in found["hosts"]}


def test_each_machine_is_seen_as_it_is(machines: Machines, hosts: Hosts, fleet: Fleet) -> None:
    hosts(machines, groups={"gpus": ["a800", "5090"]})
    done = fleet("facts", "--json")
    assert done.returncode == 0, done.stderr
    rows = document(done, "fleet-facts")
    told = {
        name: (row["facts"]["driver"]["version"], [gpu["compute_capability"] for gpu in row["facts"]["gpus"]])
        for name, row in rows.items()
    }  # fmt: skip
    assert told["a800"] == ("535.104.12", ["8.0"])
    assert told["5090"] == ("570.86.10", ["12.0"])
    only = fleet("facts", "gpus")
    assert "plain" not in only.stdout
    assert "NVIDIA GeForce RTX 5090 (12.0)" in only.stdout


def test_plans_are_made_here_also_from_what_was_kept(
    machines: Machines, hosts: Hosts, fleet: Fleet, lab: Path
) -> None:
    hosts(machines)
    done = fleet("plan", "--packs", "--json")
    rows = document(done, "fleet-plan")
    (pack,) = json.loads(done.stdout)["packs"]["packs"]
    assert (pack["archs"], sorted(pack["hosts"])) == (["8.0", "12.0"], ["5090", "a800"])
    assert "kernels for 8.0" in rows["a800"]["fits"]
    assert "kernels for 12.0" in rows["5090"]["fits"]
    assert rows["plain"]["fits"].endswith("no kernels")
    assert rows["a800"]["fits"] != rows["5090"]["fits"]
    (lab / "hosts.yaml").write_text("hosts: {a800: {port: 1}, new: {port: 1}}")
    kept = fleet("plan", "--kept", "--json")
    again = document(kept, "fleet-plan")
    assert again["a800"]["fits"] == rows["a800"]["fits"]
    assert (kept.returncode, again["new"]["reason"]) == (1, "no facts of it are kept")


def test_one_that_hangs_refuses_or_fails_harms_no_other(
    machines: Machines, sshd: Server, hosts: Hosts, fleet: Fleet
) -> None:
    with silent() as port:
        bad = {
            "hangs": sshd.host(port=port),
            "hangs-later": sshd.host(python=python(before="sleep 600; "), timeout=2),
            "changed": sshd.host(CHANGED),
            "new": sshd.host(UNKNOWN),
            "stranger": sshd.host(user="nobody-of-that-name"),
            "closed": sshd.host(port=1),
            "bare": sshd.host(python="python3-that-is-not-there"),
            "no-python": sshd.host(python="echo hello;true"),
        }
        hosts({**bad, "a800": machines["a800"]}, ssh={"connect_timeout": 5})
        done = fleet("facts", "--json")
    assert done.returncode == 1
    rows = document(done, "fleet-facts")
    outcomes = {name: row["outcome"] for name, row in rows.items()}
    assert outcomes == {
        "hangs": "unreachable", "hangs-later": "timeout", "changed": "refused", "new": "refused",
        "stranger": "refused", "closed": "unreachable", "bare": "failed", "no-python": "failed", "a800": "ok",
    }  # fmt: skip
    assert "not the one that is known" in rows["changed"]["reason"]
    assert "ssh-keygen -R" in rows["changed"]["hint"]
    assert "is not known here" in rows["new"]["reason"]
    assert "hosts.bare.python" in rows["bare"]["hint"]
    assert "printed no facts" in rows["no-python"]["reason"]
    assert [name for name, row in rows.items() if row["facts"]] == ["a800"]


def test_no_configuration_takes_the_check_of_host_keys_back(
    sshd: Server, hosts: Hosts, fleet: Fleet, lab: Path
) -> None:
    mine = lab / "ssh_config"
    mine.write_text(
        "StrictHostKeyChecking no\nUserKnownHostsFile /dev/null\n" + sshd.config.read_text()
    )
    hosts({"changed": sshd.host(CHANGED), "new": sshd.host(UNKNOWN)}, ssh={"config": str(mine)})
    rows = document(fleet("facts", "--json"), "fleet-facts")
    assert {row["outcome"] for row in rows.values()} == {"refused"}


def test_what_a_machine_prints_moves_nobodys_cursor(
    sshd: Server, hosts: Hosts, fleet: Fleet
) -> None:
    hosts(
        {
            "loud": sshd.host(
                python="printf '\\033[2J[bold]x\\r' ; printf '\\033]0;t\\a' >&2; false;true"
            )
        }
    )
    done = fleet("facts")
    assert "\x1b" not in done.stdout + done.stderr
    assert "[bold]x" in done.stdout


def test_through_another_machine(
    machines: Machines, sshd: Server, hosts: Hosts, fleet: Fleet
) -> None:
    inner = {**machines["a800"], "address": BEHIND}
    gates = {"inner": "127.0.0.1", "bad": CHANGED}
    hosts({name: {**inner, "jump": f"{gate}:{sshd.port}"} for name, gate in gates.items()})
    rows = document(fleet("facts", "--json"), "fleet-facts")
    assert rows["inner"]["facts"]["driver"]["version"] == "535.104.12"
    # the machine in between is checked as well
    assert (rows["bad"]["outcome"], rows["bad"]["facts"]) == ("refused", None)


@pytest.mark.parametrize("version", ["3.6", "3.7"])
def test_debian_10_has_python_3_7_and_an_older_one_is_said(
    version: str, sshd: Server, hosts: Hosts, fleet: Fleet
) -> None:
    found = sorted((Path.home() / ".pyenv" / "versions").glob(f"{version}.*/bin/python"))
    if not found:
        pytest.skip(f"no Python {version} here")
    hosts({"old": sshd.host(python=str(found[-1]))})
    (row,) = document(fleet("facts", "--json"), "fleet-facts").values()
    if version == "3.7":
        assert row["facts"]["python"]["version"].startswith("3.7")
    else:
        assert "is too old: this is Python 3.6" in row["reason"]
