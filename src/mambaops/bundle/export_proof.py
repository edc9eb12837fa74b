"""What an exported environment is looked at with, in an image or from a notebook, where there is no mambaops."""

from __future__ import annotations

from dataclasses import dataclass

from mambaops.bundle.export import Exported
from mambaops.core.paths import payload_file
from mambaops.knowledge.packages import Package, known

PINS_CHECK = "pins_check.py"
# the code of a package's own check expects these
_BEFORE = """import torch
device = "cuda" if torch.cuda.is_available() else "cpu"
torch.manual_seed(0)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """`check`: a program that compares versions and imports `modules`. `results`: file name -> program for the GPU."""

    check: str
    modules: tuple[str, ...]
    results: dict[str, str]


def proof_of(found: Exported) -> Proof:
    """What the packages of an environment are proven with: their modules, and each one's results against a reference."""
    packages = [package for pin in found.pins if (package := known(pin.name)) is not None]
    names = {pin.name for pin in found.pins}
    modules = [module for package in packages for module in package.modules.imports]
    return Proof(
        check=_payload(PINS_CHECK),
        modules=tuple((["torch"] if "torch" in names else []) + modules),
        results=dict(one for package in packages for one in _results(package)),
    )


def _results(package: Package) -> list[tuple[str, str]]:
    if package.check.script:
        return [(package.check.script, _payload(package.check.script))]
    if package.check.code:
        return [(f"check_{package.name}.py", _BEFORE + package.check.code)]
    return []


def check_words(found: Exported, proof: Proof) -> list[str]:
    """The options of the check."""
    words = ["--python", found.python, "--machine", found.machine]
    return words + [word for name in proof.modules for word in ("--import", name)]


def _payload(name: str) -> str:
    return payload_file(name).read_text(encoding="utf-8")
