"""Machines that differ from the README's in one thing: each ends well, or stops clearly before anything is fetched."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import bare_system
from bare_system import BareSystem
from loopback_proxy import proxy
from readme_commands import Told

INSTALL = "python3 -m venv .venv && .venv/bin/pip install -q -e '.[nox]'"
LARGE = re.compile(r"Downloading torch|Collecting torch|install-torch: done")


@dataclass(frozen=True)
class Case:
    """One machine.

    Attributes:
        command: what its user types; `{first}` is the README's first command, `{plain}` the same without an
            architecture (an environment without kernels, whose torch is small).
        exit: the exit status that is right. says: what must be said. fetches: may torch be fetched?
        packages: instead of the README's; None leaves those. before: as root, in the system.
        given: run before as the user, not judged.
        proxy: a proxy stands between; it must have been asked.
    """

    about: str
    command: str = "{plain}"
    exit: int = 0
    says: str = "environment: "
    fetches: bool = True
    suites: tuple[str, ...] = ("bookworm", "trixie")
    packages: tuple[str, ...] | None = None
    before: str = ""
    given: str = ""
    env: dict[str, str] = field(default_factory=dict)
    home: str = "/home/u"
    network: bool = True
    proxy: bool = False


def with_compiler(version: int, *suites: str) -> Case:
    """What Debian's own compilers are good for is known before anything is fetched."""
    return Case(
        f"g++ {version} alone: the plan of a source build takes it",
        given=INSTALL,
        command=".venv/bin/mambaops plan --arch 9.0 --obtain source",
        says=f"g++-{version} {version}.",
        fetches=False,
        suites=suites,
        packages=("python3-venv", f"g++-{version}", "git"),
    )


CASES: dict[str, Case] = {
    "spaces-and-chinese": Case("a home with spaces and Chinese letters", home="/home/张 三 user"),
    "umask-077": Case("files that nobody else may read", command="umask 077; {plain}"),
    "no-cache-dir": Case("pip keeps nothing", env={"PIP_NO_CACHE_DIR": "1"}),
    "require-virtualenv": Case(
        "pip refuses to run outside of an environment", env={"PIP_REQUIRE_VIRTUALENV": "1"}
    ),
    "python-h": Case(
        "no Python.h and no root: the headers come before anything large",
        given=INSTALL,
        command=".venv/bin/mambaops install-headers --arch 9.0 --obtain source && echo '#include <Python.h>' |"
        " CPATH=$(echo .mambaops/envs/local/include/python3.*) g++ -E -x c++ - | grep -c PyObject_Repr",
        says="install-headers: done",
        fetches=False,
    ),
    "no-git": Case("no git: the files came as an archive", packages=("python3-venv", "g++")),
    "no-compiler": Case(
        "no C++ compiler",
        command="{first} --obtain source",
        exit=4,
        says="sudo apt-get install g++",
        fetches=False,
        packages=("python3-venv", "git"),
    ),
    "no-ensurepip": Case(
        "Debian's Python without python3-venv",
        command="{first}",
        exit=1,
        says="-venv",
        fetches=False,
        packages=("g++", "git"),
    ),
    "read-only-checkout": Case(
        "a checkout that belongs to somebody else",
        before="chown -R root: {home}/project && chmod -R go-w {home}/project",
        given="python3 -m venv ~/.venv && ~/.venv/bin/pip install -q '.[nox]'",
        command="~/.venv/bin/mambaops build-mamba",
        exit=1,
        says="MAMBAOPS_HOME",
        fetches=False,
    ),
    "read-only-checkout-home": Case(
        "the same with the hint followed",
        before="chown -R root: {home}/project && chmod -R go-w {home}/project",
        given="python3 -m venv ~/.venv && ~/.venv/bin/pip install -q '.[nox]'",
        command="export MAMBAOPS_HOME=~/mambaops && ~/.venv/bin/mambaops build-mamba",
    ),
    "dead-proxy": Case(
        "a proxy variable that leads nowhere",
        given=INSTALL,
        command=".venv/bin/invoke build-mamba --arch 9.0 --obtain source",
        exit=4,
        says="Python.h",
        fetches=False,
        env={"http_proxy": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"},
    ),
    "proxy": Case("everything by way of a proxy", proxy=True),
    "offline-with-a-bundle": Case(
        "no network, but a bundle that was made before",
        given=f"{INSTALL} && .venv/bin/mambaops bundle --profile local -o ~/carried.tar",
        command=".venv/bin/mambaops install-bundle ~/carried.tar && .venv/bin/mambaops verify",
        says=" 0 failed",
        network=False,
    ),
    "offline": Case(
        "no network: the plan says what it can, the run stops at what it cannot have",
        given=INSTALL,
        command=".venv/bin/invoke build-mamba --arch 9.0 --obtain source",
        exit=4,
        says="Python.h",
        fetches=False,
        network=False,
    ),
    "g++-11": with_compiler(11, "bookworm"),
    "g++-12": with_compiler(12, "bookworm", "trixie"),
    "g++-13": with_compiler(13, "trixie"),
    "g++-14": with_compiler(14, "trixie"),
    "g++-15": with_compiler(15, "testing"),
    "old-g++": Case(
        "g++ 10, which torch's headers are too new for",
        command="{first} --obtain source",
        exit=4,
        says="does not know C++20",
        fetches=False,
        suites=("bookworm",),
        packages=("python3-venv", "g++-11", "git"),
        # bookworm itself has 11 and 12: one that answers as Debian 11's does
        before="mv /usr/bin/g++-11 /usr/bin/as-it-was && printf '%s\\n' '#!/bin/sh' "
        "'case $1 in --version) echo \"g++ (Debian 10.2.1-6) 10.2.1 20210110\"; exit;; -dump*) echo 10.2.1; exit;; esac' "
        "'exec /usr/bin/as-it-was \"$@\"' >/usr/local/bin/g++ && chmod 755 /usr/local/bin/g++",
    ),
}


def run(
    names: Sequence[str], suites: Sequence[str], cache: Path, logs: Path, source: Path, readme: Told
) -> list[dict[str, object]]:
    """Those that are named (all without a name), each in its own copy of each suite's system."""
    chosen = {name: CASES[name] for name in names or CASES}
    return [
        _one(name, case, suite, cache, logs / suite / name, source, readme)
        for suite in suites
        for name, case in chosen.items()
        if suite in case.suites
    ]


def _one(
    name: str, case: Case, suite: str, cache: Path, logs: Path, source: Path, readme: Told
) -> dict[str, object]:
    base = bare_system.base(suite, case.packages or readme.packages, cache)
    for old in logs.glob("*.log"):
        old.unlink()
    with BareSystem(base, logs, home=case.home) as system:
        system.clone(source)
        if case.before:
            system.run(
                case.before.replace("{home}", case.home), "before.log", user="root", folder="/"
            )
        if case.given:
            system.run(case.given, "given.log", env=case.env if "proxy" not in name else {})
        plain = readme.first.replace(" --arch 9.0", "")
        command = case.command.replace("{first}", readme.first).replace("{plain}", plain)
        with proxy() as between:
            env = {**case.env, **(between.variables() if case.proxy else {})}
            ran = system.run(command, "command.log", env=env, network=case.network)
    text = ran.log.read_text(errors="replace")
    wrong = [] if ran.code == case.exit else [f"exit {ran.code}, wanted {case.exit}"]
    wrong += [] if case.says in text else [f"`{case.says}` is not said"]
    wrong += ["a traceback"] if "Traceback (most recent call last)" in text else []
    wrong += ["the proxy was not asked"] if case.proxy and not between.asked else []
    wrong += ["torch was fetched"] if not case.fetches and LARGE.search(text) else []
    print(
        f"{suite}: {name}: {'; '.join(wrong) or 'as wanted'} in {ran.seconds:.0f} s ({ran.log})",
        flush=True,
    )
    if wrong:
        print("\n".join(f"  | {line}" for line in text.splitlines()[-12:]), flush=True)
    about = {"suite": suite, "what": case.about, "exit": ran.code, "seconds": round(ran.seconds)}
    return {**about, "passed": not wrong, "case": name}


def old_python(system: BareSystem, suite: str, source: Path) -> dict[str, object]:
    """The README's line for a Python that is too old: it says what is wanted, or gets it."""
    ran = system.run("python3 tasks.py", "old-python.log")
    text = ran.log.read_text(errors="replace")
    said = "Python 3.10" in text and "Traceback" not in text
    print(
        f"{suite}: python3 tasks.py: exit {ran.code} in {ran.seconds:.0f} s ({ran.log})", flush=True
    )
    print("\n".join(f"  | {line}" for line in text.splitlines()[-12:]), flush=True)
    passed = said and ran.code in (0, 4)
    return {
        "suite": suite,
        "what": "Python 3.9: `python3 tasks.py`, where uv's Pythons cannot be reached",
        "passed": passed,
        "exit": ran.code,
        "seconds": round(ran.seconds),
    }
