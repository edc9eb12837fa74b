"""Which machine code a GPU runs, and which of it an NVRTC can make. Pure."""

from __future__ import annotations

from typing import List, NamedTuple, Tuple

Version = Tuple[int, int]

# first CUDA whose NVRTC has a code generator (release notes of the CUDA toolkits)
_SINCE = {
    (5, 0): (7, 0),
    (5, 2): (7, 0),
    (6, 0): (8, 0),
    (6, 1): (8, 0),
    (7, 0): (9, 0),
    (7, 2): (9, 2),
    (7, 5): (10, 0),
    (8, 0): (11, 0),
    (8, 6): (11, 1),
    (8, 7): (11, 4),
    (8, 8): (13, 0),
    (8, 9): (11, 8),
    (9, 0): (11, 8),
    (10, 0): (12, 8),
    (10, 1): (12, 8),
    (10, 3): (12, 9),
    (10, 7): (13, 4),
    (11, 0): (13, 0),
    (12, 0): (12, 8),
    (12, 1): (12, 9),
}
# and the CUDA that dropped it; later ones are not known
_UNTIL = {(5, 0): (13, 0), (5, 2): (13, 0), (6, 0): (13, 0), (6, 1): (13, 0), (7, 0): (13, 0), (7, 2): (13, 0)}  # fmt: skip
# Tegra: its machine code is its own, and it runs no other GPU's
_TEGRA = {(7, 2), (8, 7), (10, 1), (11, 0)}


class Target(NamedTuple):
    """`kind`: "cubin" or "ptx"; `arch`: (9, 0)."""

    kind: str
    arch: Version

    @property
    def option(self) -> str:
        """`sm_90`, or `compute_90` for PTX."""
        prefix = "sm" if self.kind == "cubin" else "compute"
        return f"{prefix}_{self.arch[0]}{self.arch[1]}"


def runs(capability: Version) -> List[Version]:
    """Architectures whose machine code a GPU runs, the best one first.

    Code of the same major and a lower minor; Tegra's own only. 10.3 gets the code of 10.0: ptxas makes wrong
    code of these kernels for it.
    """
    if capability in _TEGRA:
        return [capability]
    same = [arch for arch in _SINCE if arch[0] == capability[0] and arch <= capability]
    found = sorted((arch for arch in same if arch not in _TEGRA), reverse=True)
    if capability not in found and capability not in _SINCE:
        found.insert(0, capability)
    return [arch for arch in found if arch != (10, 3)]


def finished_from(capability: Version) -> List[Target]:
    """PTX that a driver can finish for a GPU, the newest first."""
    if capability in _TEGRA:
        return []
    older = [arch for arch in _SINCE if arch <= capability and arch not in _TEGRA]
    return [Target("ptx", arch) for arch in sorted(older, reverse=True)]


def makes(cuda: Version, arch: Version) -> bool:
    """Whether the NVRTC of a CUDA has a code generator for an architecture."""
    return arch in _SINCE and _SINCE[arch] <= cuda < _UNTIL.get(arch, (99, 0))


def target(capability: Version, cuda: Version) -> Target:
    """What that NVRTC is asked for, for that GPU: machine code where it can, else PTX for the driver to finish.

    Raises:
        ValueError: neither is possible; the message names the CUDA that is needed.
    """
    for arch in runs(capability):
        if makes(cuda, arch):
            return Target("cubin", arch)
    for older in finished_from(capability):
        if makes(cuda, older.arch):
            return older
    first = _SINCE.get(capability)
    wanted = f"CUDA {first[0]}.{first[1]} or newer" if first else "a newer CUDA"
    if capability in _UNTIL and cuda >= _UNTIL[capability]:
        wanted = "CUDA 12"
    raise ValueError(
        f"the NVRTC of CUDA {cuda[0]}.{cuda[1]} makes no code for a GPU of capability "
        f"{capability[0]}.{capability[1]}; it takes the NVRTC of {wanted}"
    )
