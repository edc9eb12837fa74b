"""A proven environment for a project of one's own: exact pins, and where each comes from, for pip or for uv. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from mambaops.core.names import normal
from mambaops.facts.model import Facts
from mambaops.knowledge.addresses import torch_index
from mambaops.knowledge.packages import known
from mambaops.knowledge.tables import minor_of

# what makes environments, and ourselves
NOT_CARRIED = ("pip", "uv", "mambaops")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """One distribution. `place`: "" (the default index), "torch", or one of `Exported.places`."""

    name: str
    version: str
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """An environment as pins.

    Attributes:
        places: name -> address of an index, or folder of wheels, that distributions of ours come from.
        torch_index: address of PyTorch's index for this build.
    """

    name: str
    python: str  # "3.11"
    platform: str  # of `sys_platform`, "linux"
    machine: str  # "x86_64"
    proof: str  # one line: what was proven, or that nothing was
    pins: tuple[Pin, ...]
    places: Mapping[str, str]
    torch_index: str
    env: Mapping[str, str] = field(default_factory=dict)  # what must be set while it is used


def is_ours(name: str) -> bool:
    """Is it made here, and on no public index in this very build?"""
    return name == "mambaops-kernels" or known(name) is not None


def exported(
    name: str,
    facts: Facts,
    *,
    made: Mapping[str, str],
    places: Mapping[str, str],
    proof: str,
    env: Mapping[str, str] | None = None,
) -> Exported:
    """The pins of the environment that the facts are of.

    Args:
        made: distribution of ours -> the place that has its wheel. places: place -> its address.
    """
    cuda = facts.torch.cuda if facts.torch else None
    pins = [
        Pin(name=normal(one), version=version, place=made.get(normal(one)) or _place(version))
        for one, version in sorted(facts.distributions.items())
        if normal(one) not in NOT_CARRIED and version
    ]
    return Exported(
        name=name,
        python=minor_of(facts.python.version),
        platform="win32" if facts.host.system == "Windows" else facts.host.system.lower(),
        machine=facts.host.machine,
        proof=proof,
        pins=tuple(pins),
        places=places,
        torch_index=torch_index(cuda),
        env=env or {},
    )


def _place(version: str) -> str:
    """A local version ("0.23.0+cu128") is PyTorch's."""
    return "torch" if "+" in version else ""


def to_pip(found: Exported) -> str:
    """A requirements file. All is pinned, so it is installed with `--no-deps`."""
    lines = [f"# {line}" for line in about(found)]
    lines.append("# pip install --no-deps -r THIS-FILE")
    lines += [" ".join(option) for option in pip_options(found)]
    return "\n".join(lines) + "\n" + pins_text(found)


def pip_options(found: Exported) -> list[tuple[str, str]]:
    """Where pip finds what is on no default index."""
    used = {pin.place for pin in found.pins}
    options = [
        ("--extra-index-url" if _is_index(address) else "--find-links", address)
        for place, address in _addresses(found).items()
        if place in used
    ]
    return list(dict.fromkeys(options))


def pins_text(found: Exported) -> str:
    """A line for each pin."""
    return "".join(f"{pin.name}=={pin.version}\n" for pin in found.pins)


def to_uv(found: Exported) -> str:
    """A pyproject.toml for `uv sync`: each place serves only what is named for it, and nothing is built."""
    return "\n".join([*(f"# {line}" for line in about(found)), *_uv_lines(found)]) + "\n"


def _uv_lines(found: Exported) -> Iterator[str]:
    yield from ("[project]", f"name = {_text(found.name)}", 'version = "0"')
    yield f"requires-python = {_text(f'=={found.python}.*')}"
    yield "dependencies = ["
    yield from (f"  {_text(f'{pin.name}=={pin.version}')}," for pin in found.pins)
    yield from ("]", "", "[tool.uv]", "package = false", "no-build = true")
    where = f"sys_platform == '{found.platform}' and platform_machine == '{found.machine}'"
    yield f"environments = [{_text(where)}]"
    used = {pin.place for pin in found.pins}
    for name, address in _addresses(found).items():
        if name in used:
            yield from ("", "[[tool.uv.index]]", f"name = {_text(name)}", f"url = {_text(address)}")
            yield from ([] if _is_index(address) else ['format = "flat"'])
            yield "explicit = true"
    elsewhere = [pin for pin in found.pins if pin.place]
    yield from ("", "[tool.uv.sources]")
    yield from (f"{pin.name} = {{ index = {_text(pin.place)} }}" for pin in elsewhere)
    # the pins are all that was proven together; what the wheels ask for beside them was left out
    for pin in found.pins:
        yield from ("", "[[tool.uv.dependency-metadata]]", f"name = {_text(pin.name)}")
        yield from (f"version = {_text(pin.version)}", "requires-dist = []")


def _addresses(found: Exported) -> dict[str, str]:
    return {"torch": found.torch_index, **found.places}


def about(found: Exported) -> list[str]:
    """What it is, and what was proven of it."""
    return [f"{found.name}: Python {found.python} on {found.platform} {found.machine}", found.proof]


def _is_index(address: str) -> bool:
    return "://" in address


def _text(text: str) -> str:
    """A TOML string: JSON's escapes are TOML's too."""
    return json.dumps(text, ensure_ascii=False)
