"""The slow proof (`nox -s build_real`): both packages' newest releases for sm_90, from nothing.

Environment, torch and nvcc are fetched, both packages compiled, installed, imported; the run is killed
with SIGKILL in the middle and started again; run once more it does nothing. With `--list` causal-conv1d is
also built for "8.0;9.0+PTX". Prints what was found and how long each part took; exits 1 where anything is
not as it should be.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from checked import check

HERE = Path(__file__).resolve().parent
MAMBAOPS = [sys.executable, "-m", "mambaops"]
OBJECTS = 14  # files that both packages compile


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--into", type=Path, help="folder to work in (default: a temporary one)")
    parser.add_argument("--list", action="store_true", help="also build a list with PTX")
    parser.add_argument("--no-kill", action="store_true", help="do not kill the first run")
    options = parser.parse_args()
    root = options.into or Path(tempfile.mkdtemp(prefix="mambaops-build-real-"))
    Proof(root).run(kill=not options.no_kill, with_list=options.list)


class Proof:
    """One proof in one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        path = [p for p in os.environ["PATH"].split(os.pathsep) if not (Path(p) / "nvcc").exists()]
        self.env = {**os.environ, "PATH": os.pathsep.join(path)}
        self.env.update(MAMBAOPS_HOME=str(root / "home"), MAMBAOPS_CACHE=str(root / "cache"))
        self.env.pop("CUDA_HOME", None)
        self.profile = root / "wheels-only.yaml"

    def run(self, *, kill: bool, with_list: bool) -> None:
        self.write_profile()
        print(f"no nvcc on PATH: {shutil.which('nvcc', path=self.env['PATH']) is None}", flush=True)
        words = ["build-mamba", "--profile", str(self.profile), "--arch", "9.0"]
        if kill:
            self.kill_in_the_middle(words)
        seconds = self.mambaops(*words)
        print(f"== first whole run: {seconds:.0f} s on {os.cpu_count()} cores", flush=True)
        self.look("9.0")
        seconds = self.mambaops(*words)
        print(f"== run again: {seconds:.2f} s", flush=True)
        check(seconds < 3, "the second run takes under 3 seconds")
        if with_list:
            self.mambaops(
                "build-wheel", "--package", "causal-conv1d", *words[1:3], "--arch", "8.0;9.0+PTX"
            )
            self.look("8.0;9.0+PTX", packages=("causal-conv1d",))

    def write_profile(self) -> None:
        """The profile `local` with nvcc from wheels alone: what the machine has must not help."""
        from mambaops.core.paths import data_dir

        text = (data_dir("env_profiles") / "local.yaml").read_text(encoding="utf-8")
        text = text.replace("[machine, wheels, conda]", "[wheels]")
        text = text.replace("[store, runtime, ", "[store, ")
        self.profile.write_text(text.replace("\nname: local\n", "\nname: real\n"), encoding="utf-8")

    def mambaops(self, *words: str) -> float:
        started = time.monotonic()
        subprocess.run([*MAMBAOPS, *words], env=self.env, check=True)
        return time.monotonic() - started

    def kill_in_the_middle(self, words: list[str]) -> None:
        """SIGKILL once three objects are whole; remember when they were written."""
        running = subprocess.Popen([*MAMBAOPS, *words], env=self.env)
        while running.poll() is None and len(self.objects()) < 3:
            time.sleep(1)
        check(running.poll() is None, "the first run was still compiling when it was killed")
        running.send_signal(signal.SIGKILL)
        running.wait()
        self.whole = self.objects()
        print(f"== killed with {len(self.whole)} of {OBJECTS} objects whole", flush=True)

    def objects(self) -> dict[str, int]:
        found = {}
        for log in (self.root / "home" / "build").glob("**/.ninja_log"):
            for line in log.read_text(encoding="utf-8").splitlines():
                parts = line.split("\t")
                if len(parts) == 5 and Path(parts[3]).is_file():
                    found[parts[3]] = Path(parts[3]).stat().st_mtime_ns
        return found

    def look(self, arch: str, packages: tuple[str, ...] = ("causal-conv1d", "mamba-ssm")) -> None:
        """The newest manifest of each package, and the binary itself."""
        wanted = arch.split(";")
        for package in packages:
            manifests = (self.root / "home" / "runs").glob(f"*/manifest-{package}.json")
            manifest = json.loads(max(manifests, key=lambda p: p.stat().st_mtime).read_text())
            check(manifest["architectures"] == wanted, f"{package}: manifest for {arch}")
            for name, inside in manifest["extensions"].items():
                cubins = [one.removesuffix("+PTX") for one in wanted]
                ptx = [one.removesuffix("+PTX") for one in wanted if one.endswith("+PTX")]
                check(inside["cubins"] == cubins, f"{name}: machine code for {inside['cubins']}")
                check(inside["ptx"] == ptx, f"{name}: PTX for {inside['ptx']}")
                print(f"   {name}: glibc {inside['glibc']}, {inside['glibcxx']}", flush=True)
            for key in ("source_sha256", "diff", "flags", "torch", "nvcc", "compiler"):
                check(bool(manifest[key]), f"{package}: manifest has {key}")
            print(json.dumps(manifest["seconds_per_file"], indent=1), flush=True)
        if hasattr(self, "whole"):
            now = self.objects()
            kept = [path for path, when in self.whole.items() if now.get(path) == when]
            check(len(kept) == len(self.whole), "objects that were whole were not compiled again")


if __name__ == "__main__":
    main()
