"""A place to build in, and the commands as a user types them."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
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

    @contextlib.contextmanager
    def started(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """A command that runs beside the test, and ends with it: it would keep the place locked."""
        argv = [sys.executable, "-m", "mambaops", *words]
        with subprocess.Popen(
            argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=self.env
        ) as running:
            try:
                yield running
            finally:
                running.kill()

    def sources(self, name: str) -> list[str]:
        """New small sources, as `--source` words."""
        words: list[str] = []
        for package, version in (("causal-conv1d", "1.7.0"), ("mamba-ssm", "2.3.2.post1")):
            tree = mini.make(package, version, self.root / name / package)
            words += ["--source", f"{package}={tree}"]
        return words
