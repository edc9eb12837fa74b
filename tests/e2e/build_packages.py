"""The slow proof of the package files (`nox -s build_packages`): each is built for one architecture, for real.

One environment with torch and nvcc is made, the packages are compiled one after the other, their wheels read
(exactly that architecture, no PTX), installed together, imported and checked against references as far as the
machine allows. Names behind `--` build those alone. Prints what was found; exits 1 where anything is not as it
should be.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from checked import check

from mambaops.compile.wheel import extensions
from mambaops.core.paths import data_dir
from mambaops.knowledge.packages import package, packages

MAMBAOPS = [sys.executable, "-m", "mambaops"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "packages", nargs="*", help="names, or package files (default: all that stand alone)"
    )
    parser.add_argument("--arch", default="9.0")
    parser.add_argument("--into", type=Path, help="folder to work in (default: a temporary one)")
    options = parser.parse_args()
    root = options.into or Path(tempfile.mkdtemp(prefix="mambaops-build-packages-"))
    Proof(root.absolute(), options.arch).run(options.packages or alone())


def alone() -> list[str]:
    """The packages that `build_real` does not build: those without a pair, from the index; about 100 minutes."""
    return [
        one.name
        for one in packages().values()
        if not one.together.pair and one.source.origin == "sdist"
    ]


class Proof:
    """One environment in one folder, and the packages that are built for it."""

    def __init__(self, root: Path, arch: str) -> None:
        root.mkdir(parents=True, exist_ok=True)
        self.arch = arch
        self.home, self.store = root / "home", root / "cache" / "wheels"
        self.profile = root / "packages.yaml"
        self.env = {**os.environ, "MAMBAOPS_HOME": str(self.home)}
        self.env["MAMBAOPS_CACHE"] = str(root / "cache")

    def run(self, names: list[str]) -> None:
        self.write_profile()
        for name in names:
            started = time.monotonic()
            self.mambaops("build-wheel", "--package", name)
            print(f"== {name}: {time.monotonic() - started:.0f} s", flush=True)
            self.look(name)
        together = [word for name in names for word in ("--add", name)]
        self.mambaops("build-mamba", *together, "--obtain", "store")
        check(True, "all are installed in one environment, imported and verified")

    def write_profile(self) -> None:
        """The profile `local` without packages of its own."""
        text = (data_dir("env_profiles") / "local.yaml").read_text(encoding="utf-8")
        head, _, rest = text.partition("packages:\n")
        rest = rest[rest.index("build:\n") : rest.index("why:\n")]
        self.profile.write_text(head + rest, encoding="utf-8")

    def mambaops(self, *words: str) -> None:
        common = ["--profile", str(self.profile), "--arch", self.arch]
        subprocess.run([*MAMBAOPS, *words, *common], env=self.env, check=True)

    def look(self, word: str) -> None:
        """What the wheel in the store holds, which is the one that is installed."""
        described = package(word)
        wheels = self.store.glob(f"{described.name.replace('-', '_')}-*.whl")
        found = extensions(max(wheels, key=lambda path: path.stat().st_mtime))
        inside = {name.split(".")[0]: one for name, one in found.items()}
        for name in described.modules.kernels:
            check(inside[name].cubins == (self.arch,), f"{name}: machine code for {self.arch}")
            check(inside[name].ptx == (), f"{name}: no PTX")
        for name in described.modules.host:
            check(inside[name].cubins == inside[name].ptx == (), f"{name}: no GPU code")


if __name__ == "__main__":
    main()
