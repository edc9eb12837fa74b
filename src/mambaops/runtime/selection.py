"""Which kernels a pack holds. Pure."""

from __future__ import annotations

import msgspec

# types of the inputs that a pack is compiled for where nothing else is asked
DTYPES = ("bf16", "fp16", "fp32")
# widths that the convolution has kernels for
WIDTHS = (2, 3, 4)


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Kernels of a pack.

    Attributes:
        dtypes: of the inputs. every: all instances, not only those that Mamba's blocks launch.
        width: of the convolution. scan: False for Mamba-2, whose scan is Triton's.
        ptx: also PTX of the newest architecture, for GPUs that are still to come.
    """

    dtypes: tuple[str, ...] = DTYPES
    every: bool = False
    width: int = 4
    scan: bool = True
    ptx: bool = False

    @property
    def words(self) -> list[str]:
        """What `mambaops_kernels.packing` is told."""
        words = ["--dtypes", ",".join(sorted(self.dtypes))]
        words += ["--all"] if self.every else []
        words += ["--width", str(self.width)] if self.width != 4 else []
        words += [] if self.scan else ["--no-scan"]
        return [*words, *(["--ptx"] if self.ptx else [])]

    @property
    def name(self) -> str:
        """ "" for what every plan compiles, else what it is in words."""
        return "" if self == USUAL else " ".join(self.words)

    def serves(self, other: str) -> bool:
        """Does a selection of this name hold what this one does, and perhaps more?"""
        return other in (self.name, Selection(every=True).name, Selection(ptx=True).name) or (
            other == Selection(every=True, ptx=True).name
        )


# what every plan compiles
USUAL = Selection()
