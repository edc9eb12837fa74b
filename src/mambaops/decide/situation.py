"""Everything that a plan is decided from: the machine, the target environment, and what was made so far.

Frozen and printable: a situation can be saved, replayed and compared. `mambaops.state.observe` reads one from
the machine; nothing here does.
"""

from __future__ import annotations

import msgspec

from mambaops.compile.source_tree import SourceTree as SourceTree
from mambaops.decide.memory import Made
from mambaops.facts.model import Facts


class Flags(msgspec.Struct, frozen=True, kw_only=True):
    """What the person asked for on the command line; empty means: as the profile says."""

    profile: str = ""  # as it was named: a file's path stays one
    arch: str = ""  # "8.0;9.0+PTX"
    torch: str = ""  # "2.14.1"
    python: str = ""  # "3.11"
    source: dict[str, str] = {}  # package -> checkout or archive
    source_ids: dict[str, str] = {}  # package -> digest of what lies there
    add: dict[str, str] = {}  # package beside the profile's -> its package file, "" for a known one
    cross: bool = False  # build for another machine
    sudo: bool = False
    ninja: bool | None = None
    replace_torch: bool = False  # also one that mambaops did not put there
    wheel: bool = False  # the wheel itself is wanted, also of what is installed already
    obtain: tuple[str, ...] = ()  # ways to get the packages, instead of the profile's


class Prebuilt(msgspec.Struct, frozen=True, kw_only=True):
    """A wheel that was looked for: its name, address and place on the disk, or why there is none."""

    name: str = ""
    url: str = ""
    path: str = ""
    reason: str = ""


class StoredPack(msgspec.Struct, frozen=True, kw_only=True):
    """Kernels compiled beforehand that the store keeps, of the sources and the code that are wanted.

    `version` is the wheel's, `cuda` ("12.8") its compiler's, `archs` what was asked for, `selection` which kernels.
    """

    path: str
    version: str
    cuda: str
    archs: tuple[str, ...]
    selection: str = ""


class Situation(msgspec.Struct, frozen=True, kw_only=True):
    """What is there. Keys of the dictionaries are distribution names.

    Attributes:
        facts: the machine, seen by the interpreter that runs mambaops (or recorded elsewhere).
        target: the same, seen by the target environment's interpreter; None: no environment yet.
        env: where the target environment lies or will lie.
        made: what it was made for; None: that was not remembered.
        sources: unpacked sources for the wanted build.
        wheels: whole wheels for the wanted build.
        prebuilt: what the search for prebuilt wheels brought; a package is missing until it was looked for.
        packs: stored packs of kernels.
        refused: strategies that were tried on this very machine and did not pass `verify`, with the reason.
        cpp_extension: CUDA version that torch's compiler tables were patched for.
        verified: fingerprint of the environment that passed `verify` last.
        fingerprint: fingerprint of the environment as it is.
    """

    facts: Facts
    target: Facts | None = None
    env: str = ""
    made: Made | None = None
    sources: dict[str, SourceTree] = {}
    wheels: dict[str, str] = {}
    prebuilt: dict[str, Prebuilt] = {}
    packs: tuple[StoredPack, ...] = ()
    refused: dict[str, str] = {}
    cpp_extension: str = ""
    verified: str = ""
    fingerprint: str = ""


def elsewhere(profile: str, facts: Facts, packs: tuple[StoredPack, ...] = ()) -> Situation:
    """What can be known of another machine: its facts, taken inside an environment or outside of one.

    Args:
        packs: kernels in the store here, that can be carried there.
    """
    inside = facts.python.kind in ("venv", "conda")
    env = facts.python.prefix if inside else f".mambaops/envs/{profile}"
    return Situation(facts=facts, target=facts if inside else None, env=env, packs=packs)
