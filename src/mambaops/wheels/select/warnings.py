"""What a person should know about a candidate that fits: it costs rank, it does not refuse."""

from __future__ import annotations

import functools

from packaging.requirements import InvalidRequirement, Requirement

from mambaops.knowledge.cuda import code_runs_on
from mambaops.knowledge.wheel_sources import wheel_sources
from mambaops.wheels.candidates import Candidate
from mambaops.wheels.machine import Machine
from mambaops.wheels.select.machine_rules import runs_on


def warnings_about(c: Candidate, m: Machine) -> list[tuple[bool, str]]:
    """(does it lower the rank?, sentence) each."""
    found = [
        *_pins(c, m),
        *_nightly_build(c),
        *_unseen(c, m),
        *_some_gpus(c, m),
        *_known_wrong(c, m),
    ]
    if c.needs:
        found.append((True, c.why))
    elif c.why:
        found.append((False, c.why))
    return found


def _pins(c: Candidate, m: Machine) -> list[tuple[bool, str]]:
    installed = {**m.packages, "triton": m.triton, "torch": m.torch}
    clashes = []
    for wanted in filter(None, map(_requirement, c.requires)):
        have = installed.get(wanted.name)
        if have and not wanted.specifier.contains(have.split("+")[0], prereleases=True):
            clashes.append(f"{wanted} (here: {have})")
    if not clashes:
        return []
    return [
        (
            True,
            f"its metadata asks {', '.join(clashes)}: install with --no-deps, or pip replaces what is "
            "there, torch with it",
        )
    ]


@functools.cache
def _requirement(text: str) -> Requirement | None:
    try:
        found = Requirement(text)
    except InvalidRequirement:
        return None
    return found if found.specifier else None


def _nightly_build(c: Candidate) -> list[tuple[bool, str]]:
    if c.built_with and ".dev" in c.built_with:
        return [
            (True, f"was built with the nightly {c.built_with}, before torch {c.torch} was out")
        ]
    return []


def _unseen(c: Candidate, m: Machine) -> list[tuple[bool, str]]:
    found = []
    if c.status == "planned" and not c.needs:
        found.append((False, f"{_how_sure(c)}: that it exists is checked when it is fetched"))
    elif c.seen:
        found.append((False, f"seen on {c.seen}"))
    if m.unread:
        text = f"nobody tells the compute capability of {', '.join(m.unread)}: whether it runs there was not judged"
        found.append((False, text))
    elif not m.capabilities:
        found.append((False, "no GPU seen here: which machine code is needed was not judged"))
    elif c.cubins is None and not c.needs:
        found.append((True, "its GPU code is known only after looking inside"))
    if m.driver_cuda is None and m.capabilities:
        found.append((False, "the driver does not answer: its CUDA was not judged"))
    if c.cxx11_abi is None and not c.needs:
        found.append((True, "its C++11 ABI is known only after looking inside"))
    if c.glibcxx and m.glibcxx_guessed:
        found.append((False, f"libstdc++ was not seen: {m.where}'s own was assumed"))
    return found


def _how_sure(c: Candidate) -> str:
    return "planned, other files of its release were seen" if c.seen else "planned, not seen"


def _some_gpus(c: Candidate, m: Machine) -> list[tuple[bool, str]]:
    lacking = [
        one for one in m.capabilities if m.torch_code and not code_runs_on(m.torch_code, one)
    ]
    found = []
    if lacking:
        text = f"torch {m.torch} here has nothing for the GPU of {', '.join(lacking)}, whatever the wheel holds"
        found.append((False, text))
    without = [one for one in m.capabilities if not runs_on(c, one)]
    if without and len(without) < len(m.capabilities):
        found.append(
            (True, f"has nothing for the GPU of {', '.join(without)}; the others are served")
        )
    return found


def _known_wrong(c: Candidate, m: Machine) -> list[tuple[bool, str]]:
    return [
        (True, row.text)
        for row in wheel_sources().warning
        if row.package == c.package
        and row.cuda == c.cuda_major
        and row.capability in m.capabilities
        and row.capability in (c.cubins or ())
    ]
