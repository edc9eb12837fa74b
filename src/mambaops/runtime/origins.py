"""Where upstream's kernel files lie in its sources, module by module, and where they go in the wheel. Pure."""

from __future__ import annotations

import msgspec


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """The files of one of upstream's compiled modules.

    Attributes:
        module: its name.
        folder: in the kernels' folder; "" is that itself.
        files: those that kernels are instantiated from; their launchers are cut and their launch rules known.
        binding: file of the host's checks, where these are read by their digest too; "" where releases say which they are.
    """

    module: str
    files: tuple[str, ...]
    folder: str = ""
    binding: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The files as they are named below the kernels' folder."""
        return tuple(self.below(name) for name in self.files)

    def below(self, name: str) -> str:
        return f"{self.folder}/{name}" if self.folder else name


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """A package. `folder`: of its kernels in its sources; `into`: in the wheel; `optional`: it may lack parts."""

    folder: str
    into: str
    parts: tuple[Part, ...]
    optional: bool = False


def _vmamba(mode: str, folder: str, ending: str) -> Part:
    ways = ("fwd", "bwd")
    return Part(
        module=f"selective_scan_cuda_{mode}",
        folder=folder,
        files=tuple(f"selective_scan_{way}_kernel{ending}.cuh" for way in ways),
        binding=f"selective_scan{ending}.cpp",
    )


ORIGINS = {
    "mamba-ssm": Origin(
        folder="csrc/selective_scan",
        into="mamba_ssm",
        parts=(
            Part(
                module="selective_scan_cuda",
                files=("selective_scan_fwd_kernel.cuh", "selective_scan_bwd_kernel.cuh"),
            ),
        ),
    ),
    "causal-conv1d": Origin(
        folder="csrc",
        into="causal_conv1d",
        parts=(
            Part(
                module="causal_conv1d_cuda",
                files=("causal_conv1d_fwd.cu", "causal_conv1d_bwd.cu", "causal_conv1d_update.cu"),
            ),
        ),
    ),
    "selective-scan": Origin(
        folder="csrc/selective_scan",
        into="selective_scan",
        parts=(
            _vmamba("core", "cus", ""),
            _vmamba("oflex", "cusoflex", "_oflex"),
            _vmamba("ndstate", "cusndstate", "_ndstate"),
            _vmamba("nrow", "cusnrow", "_nrow"),
        ),
        optional=True,
    ),
}
# modules that the distribution has only where their sources are in it
OPTIONAL_MODULES = tuple(
    part.module for one in ORIGINS.values() if one.optional for part in one.parts
)
