"""Where a profile's environment, builds and runs lie, and how its interpreter is named."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from mambaops.core import interpreters
from mambaops.core.paths import state_dir


class Places(Struct, frozen=True):
    """The folders of one profile under `.mambaops` (or `MAMBAOPS_HOME`)."""

    profile: str
    root: Path

    @property
    def env(self) -> Path:
        """The target environment."""
        return self.root / "envs" / self.profile

    @property
    def making(self) -> Path:
        """There while an environment is made: what lies at `env` is not whole."""
        return self.env.with_name(f".{self.profile}.making")

    @property
    def kept(self) -> Path:
        """The environment from before, while another one is made in its place."""
        return self.env.with_name(f".{self.profile}.kept")

    @property
    def removed(self) -> Path:
        """An environment that is being deleted."""
        return self.env.with_name(f".{self.profile}.removed")

    @property
    def python(self) -> Path:
        """The target environment's interpreter."""
        return interpreters.of_environment(self.env)

    @property
    def is_conda(self) -> bool:
        return (self.env / "conda-meta").is_dir()

    @property
    def build(self) -> Path:
        """Unpacked sources and objects, one folder per build key."""
        return self.root / "build" / self.profile

    @property
    def runs(self) -> Path:
        return self.root / "runs"

    @property
    def cuda_home(self) -> Path:
        """The folder of links that makes the toolkit's wheels a CUDA_HOME."""
        return self.env / "cuda-home"

    @property
    def verified(self) -> Path:
        return self.env / "mambaops-verified.json"

    @property
    def made(self) -> Path:
        """What the environment was made for; it goes where the environment goes."""
        return self.env / "mambaops-made.json"

    @property
    def notes(self) -> Path:
        """Small facts that cannot be read back from the environment."""
        return self.root / "state" / f"{self.profile}.json"

    @property
    def lock(self) -> Path:
        return self.root / "state" / f"{self.profile}.lock"


def places(profile: str) -> Places:
    """The folders of a profile."""
    return Places(profile, state_dir())
