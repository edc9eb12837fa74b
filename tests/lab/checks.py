"""What is tried in the lab, each as a person does it; a check says what came out, or raises `Wrong`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from machines import Machine, know

LINES = 80  # of a job whose connection is cut, two a second
OUT = 30  # seconds: ssh gives a connection up after 20
SLOW = f"""#!/bin/sh
case "$1" in build-mamba) for n in $(seq {LINES}); do echo "line $n"; sleep 0.5; done ;; esac
"""
BUNDLED = ("--torch", "2.13.0")  # a release whose build without CUDA is small


class Wrong(Exception):
    """What was found, and was not as wanted."""


@dataclass
class Lab:
    """The machines, and the person's folder, program and settings."""

    machines: list[Machine]
    folder: Path
    config: Path
    pack: str = ""
    torch: bool = True

    def __post_init__(self) -> None:
        self.env = {
            **os.environ, "MAMBAOPS_HOME": str(self.folder / "home"), "COLUMNS": "160",
            "MAMBAOPS_CACHE": str(self.folder / "cache"),
        }  # fmt: skip

    def __getitem__(self, name: str) -> Machine:
        return next(one for one in self.machines if one.name == name)

    def hosts(self, *names: str, **more: dict[str, Any]) -> None:
        """Write hosts.yaml with these machines (none: all); `more` are keys of single ones."""
        wanted = names or tuple(one.name for one in self.machines)
        found = {
            name: {"address": self[name].address, "timeout": 40, **more.get(f"_{name}", {})}
            for name in wanted
        }
        ssh = {"config": str(self.config), "connect_timeout": 8}
        (self.folder / "hosts.yaml").write_text(json.dumps({"hosts": found, "ssh": ssh}))

    def start(self, *words: str) -> subprocess.Popen[str]:
        argv = [sys.executable, "-m", "mambaops", *words]
        return subprocess.Popen(
            argv, cwd=self.folder, env=self.env, text=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def mambaops(self, *words: str, wanted: int = 0) -> str:
        """Its stdout."""
        with self.start(*words) as running:
            out, err = running.communicate(timeout=3600)
        if running.returncode != wanted:
            raise Wrong(f"`mambaops {' '.join(words)}` exited {running.returncode}: {err[-1500:]}")
        return out

    def fleet(self, *words: str, wanted: int = 0) -> dict[str, dict[str, Any]]:
        """What `fleet … --json` says of each machine."""
        told = json.loads(self.mambaops("fleet", *words, "--json", wanted=wanted))
        return {row["host"]: row for row in told["hosts"]}

    def there(self, name: str, command: str) -> str:
        """A command on a machine, by its user."""
        argv = ["ssh", "-F", str(self.config), self[name].address, command]
        done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=600)
        if done.returncode:
            raise Wrong(f"on {name}: `{command}`: {done.stdout[-500:]}{done.stderr[-1500:]}")
        return done.stdout


def same(found: object, wanted: object) -> None:
    if found != wanted:
        raise Wrong(f"found {found!r}, wanted {wanted!r}")


def facts(at: Lab) -> str:
    at.hosts()
    found = at.fleet("facts")
    told = {
        name: (
            [gpu["compute_capability"] for gpu in row["facts"]["gpus"]],
            row["facts"]["driver"]["version"],
            row["facts"]["python"]["version"].rpartition(".")[0],
        )
        for name, row in found.items()
    }
    same(
        told,
        {
            "5090": (["12.0"], "570.86.10", "3.13"),
            "a800": (["8.0"], "535.104.12", "3.11"),
            "plain": ([], None, "3.11"),
            "old": ([], None, "3.9"),
        },
    )
    left = at.there(
        "plain", "find / -xdev -user u -newer ~/.ssh/authorized_keys -type f | grep -v ^/proc; true"
    )
    same(left, "")  # nothing was installed or left there
    return "four machines as they are, nothing left on them"


def plan(at: Lab) -> str:
    at.hosts()
    rows = at.fleet("plan", "--kept")
    found = {name: row["fits"].rpartition("kernels")[2] for name, row in rows.items()}
    for name, arch in (("5090", "12.0"), ("a800", "8.0")):
        if arch not in found[name]:
            raise Wrong(f"{name}: {rows[name]['fits']}")
    same(found["plain"], "")
    return "; ".join(f"{name}: {row['fits']}" for name, row in rows.items())


def packs(at: Lab) -> str:
    """One pack for both GPUs, compiled here by the very command that is printed, and then not again."""
    at.hosts()
    found = _packs(at)
    same([sorted(one["hosts"]) for one in found], [["5090", "a800"]])
    same((found[0]["cuda"], found[0]["archs"]), ("12.8", ["8.0", "12.0"]))
    if at.pack:
        at.mambaops("wheels", "add", at.pack)
    else:
        words = (
            found[0]["command"].partition("compile-kernels")[2].replace('"', "").replace("'", "")
        )
        at.mambaops("compile-kernels", *words.split())
    again = _packs(at)
    same(again[0]["command"], "")
    return f"{Path(again[0]['stored']).name} serves {', '.join(again[0]['hosts'])}"


def _packs(at: Lab) -> list[dict[str, Any]]:
    told = json.loads(at.mambaops("fleet", "plan", "--kept", "--packs", "--json"))
    found: list[dict[str, Any]] = told["packs"]["packs"]
    return found


def carry(at: Lab) -> str:
    """The pack goes into the store of each; without a network torch cannot come, and that is what the log says."""
    theirs = {"mambaops": "/home/u/venv/bin/mambaops"}
    at.hosts("5090", "a800", _5090=theirs, _a800=theirs)
    built = at.fleet("build", wanted=1)
    for name, row in built.items():
        listed = at.there(name, "/home/u/venv/bin/mambaops wheels list --json")
        if "mambaops_kernels" not in listed:
            raise Wrong(f"{name} has no pack: {row} {listed}")
    why = at.fleet("diagnose", wanted=1)
    rules = {
        name: [one["rule"] for one in row["found"]["diagnosis"]["findings"]]
        for name, row in why.items()
    }
    proofs = at.fleet("verify", wanted=1)
    reasons = {name: row["reason"] for name, row in proofs.items()}
    return f"the pack is in both stores; then {rules}; verify: {reasons}"


def bundle(at: Lab) -> str:
    """A whole environment with a real torch to a machine without a network; carried and installed once."""
    if not at.torch:
        return "left out (--no-torch)"
    file = at.folder / "plain.tar"
    kept = at.folder / "home" / "fleet" / "plain" / "facts.json"
    at.mambaops("bundle", "--facts", str(kept), *BUNDLED, "--output", str(file))
    at.hosts("plain", _plain={"bundle": str(file)})
    first = at.fleet("build")["plain"]
    same((first["outcome"], first["how"]), ("ok", "nohup"))
    same(at.fleet("build")["plain"]["how"], "unchanged")
    proof = at.fleet("verify", wanted=1)["plain"]
    checks = {one["id"]: one["outcome"] for one in proof["checks"]}
    bad = {name: one for name, one in checks.items() if one not in ("ok", "skipped")}
    same((bad, checks.get("import:torch")), ({}, "ok"))
    at.there("plain", "rm -rf .mambaops-fleet/files")
    return f"{file.stat().st_size / 1e6:.0f} MB carried, installed, {sum(one == 'ok' for one in checks.values())} modules imported; a second run: unchanged"


def cut(at: Lab) -> str:
    """The interface goes down in the middle for longer than the connection lives, and comes back."""
    _slow(at, "5090")
    at.hosts("5090", _5090={"mambaops": "/home/u/slow"})
    with at.start("fleet", "build", "--json") as building:
        assert building.stdout is not None and building.stderr is not None
        said = []
        while "line 5" not in (said or [""])[-1]:
            said.append(building.stderr.readline())
        at["5090"].interface("down")
        time.sleep(OUT)
        at["5090"].interface("up")
        rest, out = building.stderr.read(), building.stdout.read()
    lines = [line for line in ("".join(said) + rest).splitlines() if ": line " in line]
    same(lines, [f"5090: line {n}" for n in range(1, LINES + 1)])
    if "the connection was lost" not in rest:
        raise Wrong(f"nothing was lost: {rest}")
    row = json.loads(out)["hosts"][0]
    same((row["outcome"], row["lines"]), ("ok", LINES))
    return f"{LINES} lines, each once, over a cable that was out for {OUT} s"


def _slow(at: Lab, name: str) -> None:
    at.there(name, f"cat >slow <<'END'\n{SLOW}END\nchmod +x slow; rm -rf .mambaops-fleet/jobs")


def attach(at: Lab) -> str:
    """Started and left; the cable is out meanwhile; found again later, from the first line on."""
    _slow(at, "a800")
    at.hosts("a800", _a800={"mambaops": "/home/u/slow"})
    same(at.fleet("build", "--detach")["a800"]["outcome"], "running")
    at["a800"].interface("down")
    lost = at.fleet("attach", wanted=1)["a800"]["outcome"]
    at["a800"].interface("up")
    row = at.fleet("attach")["a800"]
    same((lost, row["outcome"], row["lines"]), ("lost", "ok", LINES))
    return f"lost while the cable was out, then all {LINES} lines"


def hanging(at: Lab) -> str:
    """One takes connections and says nothing; the others are seen all the same."""
    at.hosts()
    pids = at["a800"].inner()
    for pid in pids[-1:]:
        os.kill(pid, 19)
    try:
        found = at.fleet("facts", wanted=1)
    finally:
        for pid in pids[-1:]:
            os.kill(pid, 18)
    outcomes = {name: row["outcome"] for name, row in found.items()}
    if outcomes.pop("a800") not in ("unreachable", "timeout"):
        raise Wrong(str(found["a800"]["outcome"]))
    same(outcomes, {"5090": "ok", "plain": "ok", "old": "ok"})
    return f"a800: {found['a800']['reason']}; the others are seen"


def changed_key(at: Lab) -> str:
    at.hosts()
    know(at.machines, at.folder, changed="5090")
    try:
        found = at.fleet("facts", wanted=1)
    finally:
        know(at.machines, at.folder)
    outcomes = {name: row["outcome"] for name, row in found.items()}
    same(outcomes, {"5090": "refused", "a800": "ok", "plain": "ok", "old": "ok"})
    return f"5090: {found['5090']['reason']}"


def full_disk(at: Lab) -> str:
    """A disk of 1 MB for what is carried: said, and no half of it is left."""
    place = f"{at['old'].root}/home/u/.mambaops-fleet"
    at.there("old", "mkdir -p .mambaops-fleet")
    at["old"].in_its_mounts("mount", "-t", "tmpfs", "-o", "size=1m,mode=0777", "tmpfs", place)
    profile = at.folder / "big.yaml"
    own = (Path(__file__).parents[2] / "env_profiles" / "local.yaml").read_text(encoding="utf-8")
    profile.write_text(own + "# filled\n" * 300_000)
    theirs = {"mambaops": "true", "profile": str(profile)}
    at.hosts("old", "plain", _old=theirs, _plain=theirs)
    found = at.fleet("build", wanted=1)
    same({name: row["outcome"] for name, row in found.items()}, {"old": "failed", "plain": "ok"})
    if "No space left" not in found["old"]["reason"]:
        raise Wrong(found["old"]["reason"])
    same(at.there("old", "find .mambaops-fleet/files -type f"), "")
    return f"old: {found['old']['reason']}"


def index(at: Lab) -> str:
    from served import index_in_bare_root

    return index_in_bare_root(at)


def export(at: Lab) -> str:
    from served import export_in_bare_root

    return export_in_bare_root(at)


def report(at: Lab) -> str:
    at.hosts()
    at.mambaops("fleet", "report", "-o", "fleet.html")
    text = (at.folder / "fleet.html").read_text(encoding="utf-8")
    if not all(f'id="host-{one.name}"' in text for one in at.machines):
        raise Wrong("a machine is not on the page")
    return f"{len(text) // 1024} KB, every machine on it"


CHECKS: dict[str, Callable[[Lab], str]] = {
    "facts": facts, "plan": plan, "packs": packs, "carry": carry, "bundle": bundle, "cut": cut,
    "attach": attach, "hanging": hanging, "changed-key": changed_key, "full-disk": full_disk,
    "index": index, "export": export, "report": report,
}  # fmt: skip
