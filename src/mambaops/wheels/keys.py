"""What makes one build differ from another, and the local version that tells them apart by name.

uv remembers a `--find-links` file by its name for ever (https://docs.astral.sh/uv/concepts/cache/), and
pip's cache knows a wheel by name and version: two builds that may both be installed must never share a
version. So everything that changes the result goes into a key, and the key's digest into the version.
"""

from __future__ import annotations

import hashlib

import msgspec
from packaging.version import Version

from mambaops.core.names import normal
from mambaops.knowledge.packages import known

NAMED_ARCHITECTURES = 3  # more would make the file name unreadable; the digest holds them all
NO_TORCH = "0"  # of what runs beside any: Python alone, kernels that torch does not load


# defaults are left out of the encoding, so that a field added later changes no old digest
class BuildKey(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Everything that decides what a wheel contains. Equal keys: the wheel need not be built again.

    Versions are strings as they are printed ("2.14.1+cu130"); architectures are compute capabilities
    ("9.0", "12.0+PTX") in any order: `of` sorts them.
    """

    package: str
    version: str  # public version, "2.3.2.post1"
    torch: str  # whole version, "2.14.1+cu130"
    cuda: str | None  # that torch was built with; None: no GPU code
    cxx11_abi: bool | None
    python: str  # ABI tag, "cp311"
    platform: str  # platform tag, "linux_x86_64"
    architectures: tuple[str, ...] = ()
    patches: tuple[str, ...] = ()  # "id@sha256 of the patch" or plain ids, in the order applied
    source: str = ""  # sha256 of the sources, where known
    flags: tuple[str, ...] = ()  # what else changes the result: compiler, glibc floor, …

    @classmethod
    def of(cls, **values: object) -> BuildKey:
        """A key from plain values (lists allowed), normalised.

        Raises:
            msgspec.ValidationError: a value of the wrong type, or an unknown field.
        """
        key = msgspec.convert(values, type=cls)
        return msgspec.structs.replace(
            key,
            package=normal(key.package),
            version=Version(key.version).public,
            architectures=tuple(sorted(key.architectures, key=_architecture)),
        )

    def digest(self) -> str:
        """64 hexadecimal digits; the same for equal keys on every machine and Python."""
        text = msgspec.json.encode(self, order="sorted")
        return hashlib.sha256(text).hexdigest()

    def local_version(self) -> str:
        """A legal, already normal PEP 440 local version, e.g. `cu130torch2.14.sm90.x3f9c01ab`."""
        cuda = "cu" + self.cuda.replace(".", "") if self.cuda else "cpu"
        minor = ".".join(Version(self.torch).public.split(".")[:2])
        # the letter keeps an all-digit digest from being read as a number and losing its zeros
        return f"{cuda}torch{minor}.{self._named_architectures()}x{self.digest()[:8]}"

    def environment(self) -> dict[str, str]:
        """The variables that make `setup.py` give the wheel this local version."""
        package = known(self.package)
        variable = package.build.local_version if package else ""
        return {variable: self.local_version()} if variable else {}

    def _named_architectures(self) -> str:
        # e.g. "12.0+PTX" -> "sm120ptx"
        names = ["sm" + one.replace(".", "").replace("+", "").lower() for one in self.architectures]
        if len(names) > NAMED_ARCHITECTURES:
            names = [names[0], "to", names[-1]]
        return "".join(names) + "." if names else ""


def _architecture(name: str) -> tuple[Version, str]:
    number, _, rest = name.partition("+")
    # e.g. "9.0a": an architecture-specific variant
    return Version(number.rstrip("af")), number[-1:] + rest
