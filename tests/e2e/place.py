"""A place to build in, and the commands as a user types them."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import mini


@dataclass
class Bench:
    """A place to build in, and the commands as a user types them."""

    root: Path
    profile: Path
    env: dict[str, str] = field(default_factory=dict)

    def run(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "mambaops", *words]
        env = {**self.env, **more}
        return subprocess.run(
            argv, capture_output=True, text=True, env=env, timeout=800, check=False
        )

    def start(self, *words: str) -> subprocess.Popen[str]:
        argv = [sys.executable, "-m", "mambaops", *words]
        return subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=self.env
        )

    def sources(self, name: str) -> list[str]:
        """New small sources, as `--source` words."""
        words: list[str] = []
        for package, version in (("causal-conv1d", "1.7.0"), ("mamba-ssm", "2.3.2.post1")):
            tree = mini.make(package, version, self.root / name / package)
            words += ["--source", f"{package}={tree}"]
        return words
