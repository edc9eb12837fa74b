"""The kernel sources that were installed: which releases, their launch rules' eras, their structs' fields, where they lie."""

from __future__ import annotations

import functools
import json
import os
from typing import Any, Dict, FrozenSet, List, Tuple

from .errors import KernelError
from .rules import RULES, Instance, program

HERE = os.path.dirname(os.path.abspath(__file__))


class Sources:
    """One installed set; `folder` holds `manifest.json` and the files that it names.

    Attributes:
        folder: where they lie.
        faults: of its kernels, where the source tells of them (`repairs.py`).
        digest: of every file that a program can include, ours too; it stands in the names of cached kernels.
    """

    def __init__(self, folder: str) -> None:
        """Raises KernelError where there is no manifest: the distribution is not whole."""
        try:
            with open(os.path.join(folder, "manifest.json"), encoding="utf-8") as file:
                self._manifest: Dict[str, Any] = json.load(file)
        except (OSError, ValueError) as error:
            raise KernelError(
                f"the kernel sources in {folder} are not whole ({error}); install mambaops-kernels again"
            ) from error
        self.folder = folder
        self.digest: str = self._manifest["digest"]
        self.faults: FrozenSet[str] = frozenset(self._manifest["faults"])

    def holds(self, family: str) -> bool:
        """Whether the release has the kernel at all."""
        return RULES[family].file in self._manifest["files"]

    def era(self, family: str) -> str:
        """The era of its launch rules.

        Raises:
            KernelError: these sources hold no such kernel.
        """
        if not self.holds(family):
            raise KernelError(
                f"the installed kernel sources hold no {RULES[family].file}; install mambaops-kernels anew"
            )
        return str(self._manifest["files"][RULES[family].file]["era"])

    def fields(self, family: str) -> List[str]:
        """The names of its struct's fields."""
        header = self._manifest["files"][RULES[family].file]["header"]
        return list(self._manifest["structs"][header][RULES[family].struct])

    def release(self, family: str) -> str:
        """`mamba-ssm 2.3.2.post1`"""
        return str(self._manifest["files"][RULES[family].file]["release"])

    def program(self, instance: Instance) -> Tuple[str, str]:
        """See `rules.program`."""
        return program(instance, self.era(instance.family), self.fields(instance.family))

    def include(self, instance: Instance, cuda_major: int) -> List[str]:
        """Folders in the order in which headers are looked for; the CUDA headers come after them."""
        own = os.path.join(
            self.folder, self._manifest["files"][RULES[instance.family].file]["folder"]
        )
        cccl = "cccl13" if cuda_major >= 13 else "cccl12"
        return [os.path.join(HERE, "include"), own, os.path.join(self.folder, cccl)]


@functools.lru_cache(maxsize=None)
def installed() -> Sources:
    """The ones of this distribution."""
    return Sources(os.path.join(HERE, "sources"))
