"""`fleet build`, `attach`, `verify` and `diagnose` over a real sshd: a job outlives its connection and is found again."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ssh_hosts import BEHIND, Server, rows

from mambaops.core.files import sha256_of

Hosts = Callable[..., Path]
Fleet = Callable[..., subprocess.CompletedProcess[str]]


def test_a_bundle_is_carried_installed_and_proven_and_not_a_second_time(
    sshd: Server,
    hosts: Hosts,
    fleet: Fleet,
    bundle: Callable[..., Path],
    homes: Callable[..., Path],
) -> None:
    file = str(bundle())
    hosts({"one": sshd.host(bundle=file), "two": sshd.host(BEHIND, bundle=file)})
    done = fleet("build", "--json")
    assert done.returncode == 0, done.stderr
    assert {name: (row["outcome"], row["how"]) for name, row in rows(done).items()} == {
        "one": ("ok", "nohup"), "two": ("ok", "nohup"),
    }  # fmt: skip
    assert f"two: installing into {homes(BEHIND)}/envs/small" in done.stderr
    assert [path.name for path in homes().rglob("*.tar")] == ["small.tar"]
    assert list(homes().rglob("install.sh")) == []  # unpacked, and away again
    again = fleet("build", "--json")
    assert {row["how"] for row in rows(again).values()} == {"unchanged"}
    proof = fleet("verify", "one", "--json")
    (row,) = rows(proof).values()
    outcomes = {one["id"]: one["outcome"] for one in row["checks"]}
    assert outcomes == {"import:json": "ok", "import:csv": "ok", "results": "skipped"}
    # no kernel was run: that is no whole proof
    assert (row["passed"], proof.returncode) == (False, 1)


def test_a_changed_bundle_is_carried_and_installed(
    sshd: Server,
    hosts: Hosts,
    fleet: Fleet,
    bundle: Callable[..., Path],
    homes: Callable[..., Path],
) -> None:
    file = bundle()
    hosts({"one": sshd.host(bundle=str(file))})
    assert fleet("build").returncode == 0
    bundle(then="echo another")
    done = fleet("build", "--json")
    assert "one: another" in done.stderr
    assert rows(done)["one"]["how"] == "nohup"


def test_a_job_outlives_the_connection_and_is_found_again(
    sshd: Server,
    hosts: Hosts,
    fleet: Fleet,
    lab: Path,
    bundle: Callable[..., Path],
    homes: Callable[..., Path],
) -> None:
    go_on = homes() / "go-on"
    hosts(
        {
            "one": sshd.host(
                bundle=str(bundle(f"while [ ! -e {go_on} ]; do sleep 0.1; done; echo later"))
            )
        }
    )
    assert rows(fleet("build", "--detach", "--json"))["one"]["outcome"] == "running"
    # the same again, while it runs, starts nothing
    assert rows(fleet("build", "--detach", "--json"))["one"]["how"] == "runs already"
    argv = [sys.executable, "-m", "mambaops", "fleet", "attach"]
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True) as attached:
        assert attached.stderr is not None
        assert attached.stderr.readline().startswith("one: installing into")
        attached.send_signal(signal.SIGINT)
        assert "it goes on there: " in attached.stderr.read()  # nobody can be asked
    assert attached.returncode == 130
    go_on.touch()
    done = fleet("attach", "--json")
    assert done.returncode == 0, done.stderr
    told = [line for line in done.stderr.splitlines() if line.startswith("one: ")]
    assert [line.split()[1] for line in told] == ["installing", "later", "done"]
    assert rows(done)["one"]["lines"] == 3


def test_a_connection_that_breaks_is_made_anew_and_no_line_comes_twice(
    sshd: Server,
    hosts: Hosts,
    fleet: Fleet,
    bundle: Callable[..., Path],
    homes: Callable[..., Path],
) -> None:
    go_on = homes() / "go-on"
    hosts(
        {
            "one": sshd.host(
                bundle=str(bundle(f"while [ ! -e {go_on} ]; do sleep 0.1; done; echo later"))
            )
        }
    )
    argv = [sys.executable, "-m", "mambaops", "fleet", "build", "--json"]
    with subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as building:
        assert building.stdout is not None and building.stderr is not None
        assert any("installing" in line for line in building.stderr)
        cut(sshd)
        assert any("connection was lost" in line for line in building.stderr)
        go_on.touch()
        rest, out = building.stderr.read(), building.stdout.read()
    assert building.returncode == 0, rest
    assert "installing" not in rest
    assert "one: later" in rest
    assert json.loads(out)["hosts"][0]["lines"] == 3


def cut(sshd: Server) -> None:
    """Everything that serves a connection of that server is gone at once."""
    import psutil

    (listening,) = [one for one in psutil.process_iter() if is_listener(one, sshd)]
    # of an ordinary user's server the child's child holds the connection
    for child in listening.children(recursive=True):
        if child.name().startswith("sshd"):
            child.kill()


def is_listener(process: Any, sshd: Server) -> bool:
    import psutil

    try:
        words = process.cmdline()
    except psutil.Error:
        return False
    return str(sshd.folder / "sshd_config") in " ".join(words) and "sshd" in process.name()


def test_a_job_that_fails_is_said_and_its_log_is_read_here(
    sshd: Server,
    hosts: Hosts,
    fleet: Fleet,
    lab: Path,
    bundle: Callable[..., Path],
    homes: Callable[..., Path],
) -> None:
    then = "echo 'x.cpp:1:10: fatal error: Python.h: No such file or directory'; exit 1"
    hosts({"one": sshd.host(bundle=str(bundle(then)))})
    done = fleet("build", "--json")
    row = rows(done)["one"]
    assert (done.returncode, row["outcome"], row["reason"]) == (1, "failed", "it exited 1")
    read = fleet("diagnose", "--json")
    assert read.returncode == 1
    found = rows(read)["one"]
    assert (found["exit_code"], found["found"]["diagnosis"]["findings"][0]["rule"]) == (
        1,
        "python-h-missing",
    )
    assert "Python.h" in Path(found["log"]).read_text()
    # the same command is started again: it did not end well
    assert rows(fleet("build", "--json"))["one"]["how"] == "nohup"


def test_a_full_disk_leaves_nothing_half_written(
    sshd: Server,
    hosts: Hosts,
    fleet: Fleet,
    bundle: Callable[..., Path],
    homes: Callable[..., Path],
) -> None:
    file = bundle()
    folder = homes() / "files" / sha256_of(file)[:16]
    folder.mkdir(parents=True)
    (folder / "small.tar.part").symlink_to("/dev/full")
    hosts({"full": sshd.host(bundle=str(file)), "two": sshd.host(BEHIND, bundle=str(file))})
    done = fleet("build", "--json")
    found = rows(done)
    assert (done.returncode, found["full"]["outcome"], found["two"]["outcome"]) == (
        1,
        "failed",
        "ok",
    )
    assert "No space left on device" in found["full"]["reason"]
    assert list(folder.iterdir()) == []


def test_what_was_broken_off_is_gone_on_with_and_what_is_damaged_is_refused(
    sshd: Server,
    hosts: Hosts,
    fleet: Fleet,
    bundle: Callable[..., Path],
    homes: Callable[..., Path],
) -> None:
    file = bundle()
    folder = homes() / "files" / sha256_of(file)[:16]
    folder.mkdir(parents=True)
    hosts({"one": sshd.host(bundle=str(file))})
    (folder / "small.tar.part").write_bytes(b"x" * 100)
    done = fleet("build", "--json")
    assert "arrived damaged" in rows(done)["one"]["reason"]
    assert list(folder.iterdir()) == []
    (folder / "small.tar.part").write_bytes(file.read_bytes()[:1000])
    assert fleet("build").returncode == 0
    assert (folder / "small.tar").read_bytes() == file.read_bytes()


def test_its_own_mambaops_is_started_with_the_pack_that_serves_it(
    sshd: Server, hosts: Hosts, fleet: Fleet, lab: Path, homes: Callable[..., Path]
) -> None:
    program = sshd.home() / "bin" / "there"
    verified = {
        "schema": "mambaops/verify/1",
        "checks": [{"id": "a", "outcome": "ok"}],
        "required_skips": [],
    }
    program.write_text(
        f'#!/bin/sh\necho "asked: $*"\ncase $1 in verify) cat <<"END"\n{json.dumps(verified)}\nEND\n;; esac\n'
    )
    program.chmod(0o755)
    profile = lab / "mine.yaml"
    profile.write_text((Path(__file__).parents[2] / "env_profiles" / "local.yaml").read_text())
    hosts({"one": sshd.host(mambaops="there", profile=str(profile), arch="9.0")})
    done = fleet("build", "--json")
    assert done.returncode == 0, done.stderr
    carried = homes() / "files" / sha256_of(profile)[:16] / "mine.yaml"
    assert f"one: asked: build-mamba --profile {carried} --arch 9.0" in done.stderr
    proof = fleet("verify", "--json")
    assert (proof.returncode, rows(proof)["one"]["passed"]) == (0, True)
    first = json.loads((lab / ".mambaops" / "fleet" / "one" / "verify.json").read_text())
    time.sleep(1)
    fleet("verify")
    later = json.loads((lab / ".mambaops" / "fleet" / "one" / "verify.json").read_text())
    assert (later["since"], later["when"] > first["when"]) == (first["since"], True)


def test_a_job_is_stopped(
    sshd: Server,
    hosts: Hosts,
    fleet: Fleet,
    bundle: Callable[..., Path],
    homes: Callable[..., Path],
) -> None:
    hosts({"one": sshd.host(bundle=str(bundle("sleep 600")))})
    fleet("build", "--detach")
    assert fleet("attach", "--stop").returncode == 0
    done = fleet("attach", "--json")
    assert rows(done)["one"]["reason"] == "it exited 143"


def test_a_machine_with_nothing_to_build_with_is_said_before_any_is_asked(
    hosts: Hosts, fleet: Fleet, sshd: Server
) -> None:
    hosts({"one": sshd.host(port=1)})
    done = fleet("build")
    assert done.returncode == 2
    assert "nothing says how one would become anything" in done.stderr
