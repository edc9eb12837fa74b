"""Everything that a step is judged by."""

from __future__ import annotations

import msgspec

from mambaops.core.names import required
from mambaops.decide.build import build_key, setup_options
from mambaops.decide.choice import Choice, check_flags, decide
from mambaops.decide.situation import Flags, Situation
from mambaops.facts.model import Facts
from mambaops.knowledge.packages import Package, known
from mambaops.knowledge.packages import package as package_named
from mambaops.patching.options import SetupOptions
from mambaops.profiles.model import PackageSpec, Profile, with_added
from mambaops.wheels.keys import BuildKey


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """The profile, what was chosen for this machine, and what is there.

    Attributes:
        package: distribution name of the package that a step is about; "" for a step about all of them.
        only: packages that the run is about; none: all of the profile's.
    """

    profile: Profile
    choice: Choice
    flags: Flags
    situation: Situation
    package: str = ""
    only: tuple[str, ...] = ()

    @property
    def facts(self) -> Facts:
        return self.situation.facts

    @property
    def target(self) -> Facts | None:
        return self.situation.target

    @property
    def packages(self) -> dict[str, PackageSpec]:
        """Distribution name -> what the profile wants of it, in build order."""
        return self.profile.packages

    @property
    def requirements(self) -> list[str]:
        """What is installed beside the packages: the profile's wishes, and what their imports need."""
        named = {required(text) for text in self.profile.requirements}
        more = [text for name in self.packages for text in self.described(name).together.requires]
        # another CUDA package is built, not fetched
        needed = [text for text in dict.fromkeys(more) if text not in named and not known(text)]
        return [*self.profile.requirements, *needed]

    @property
    def build_requirements(self) -> list[str]:
        """What the setup.py files import and run beside torch."""
        names = filter(self.concerns, self.packages)
        more = [text for name in names for text in self.described(name).build.requirements]
        return list(dict.fromkeys([*self.profile.build_requirements, *more]))

    def concerns(self, package: str) -> bool:
        """Is the run about this package?"""
        return not self.only or package in self.only

    def described(self, package: str) -> Package:
        """What the package's file says: how it is built, checked and told its architectures."""
        return package_named(package, self.packages[package].file)

    def setup_options(self, package: str) -> SetupOptions:
        """How the setup.py of one package is to be patched for this choice."""
        return setup_options(self.described(package), self.profile, self.choice, self.flags)

    def about(self, package: str) -> Case:
        """The same case for a step that does one package."""
        return msgspec.structs.replace(self, package=package)

    def key(self, package: str) -> BuildKey:
        """What identifies the wheel of one package for this choice."""
        return build_key(package, self.packages[package], self.profile, self.choice, self.flags)

    def wanted_version(self, package: str) -> str:
        """The version that the built wheel carries, with its local part."""
        return f"{self.packages[package].version}+{self.key(package).local_version()}"


def make_case(
    profile: Profile,
    situation: Situation,
    flags: Flags | None = None,
    *,
    only: tuple[str, ...] = (),
) -> Case:
    """The decisions for a situation, and everything that steps are judged by.

    Args:
        only: packages that the run is about; none: all of the profile's.

    Raises:
        UsageError: a flag that cannot be understood.
        MachineError: no torch of the profile fits the machine.
    """
    flags = flags or Flags()
    profile = with_added(profile, flags.add)
    check_flags(flags, situation.facts)
    choice = decide(profile, situation.facts, flags, situation.target, situation.made)
    return Case(profile=profile, choice=choice, flags=flags, situation=situation, only=only)
