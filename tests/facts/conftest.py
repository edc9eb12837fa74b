"""Stand-in programs on PATH, a made-up root, and the probe run for real with them."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mambaops.core import process
from mambaops.core.paths import payload_file
from mambaops.facts.collect import known_modules

Facts = dict[str, Any]


class Machine:
    """A machine made of files: `bin/` is its PATH, `root/` holds its /etc, /proc, /sys and /usr."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bin = folder / "bin"
        self.root = folder / "root"
        self.home = folder / "home"
        for path in (self.bin, self.root, self.home):
            path.mkdir()
        # the stand-ins are shell scripts that need these
        self.path = f"{self.bin}:/usr/bin:/bin"
        self.env: dict[str, str] = {}

    def program(self, name: str, script: str, *, folder: Path | None = None) -> Path:
        """An executable shell script."""
        path = (folder or self.bin) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("#!/bin/sh\n" + script)
        path.chmod(0o755)
        return path

    def file(self, name: str, text: str) -> Path:
        """A file below the made-up root, e.g. `/etc/wsl.conf`."""
        path = self.root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def smi(self, table: str, query: str, *, apps: str = "", where: Path | None = None) -> Path:
        """An nvidia-smi that prints these texts."""
        texts = {"table": table, "query": query, "apps": apps}
        for name, text in texts.items():
            (self.folder / name).write_text(text)
        script = f"""case "$*" in
*--query-gpu*) cat {self.folder}/query ;;
*--query-compute-apps*) cat {self.folder}/apps ;;
*) cat {self.folder}/table ;;
esac
"""
        return self.program("nvidia-smi", script, folder=where)

    def run(self, *options: str, python: str = sys.executable) -> process.Completed:
        env = {
            "PATH": self.path,
            "HOME": str(self.home),
            "TMPDIR": str(self.folder),
            **self.env,
        }
        if "COVERAGE_PROCESS_START" in os.environ:
            env["COVERAGE_PROCESS_START"] = os.environ["COVERAGE_PROCESS_START"]
        known = json.dumps(known_modules())
        argv = [python, payload_file("probe.py"), "--packages", known, *options]
        return process.run(argv, env=env, cwd=self.home, timeout=60, check=False)

    def look(self, *options: str, python: str = sys.executable) -> Facts:
        """What the probe prints, with /etc, /proc, /sys and /usr of the made-up root."""
        done = self.run("--root", str(self.root), *options, python=python)
        assert done.returncode == 0, done.stderr
        assert len(done.stdout.splitlines()) == 1
        facts: Facts = json.loads(done.stdout)
        return facts


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def toolkit(tmp_path: Path) -> Callable[..., Path]:
    """Makes a folder that looks like a CUDA toolkit, with an nvcc that prints `text`."""

    def make(home: Path, text: str, *, without: tuple[str, ...] = (), config: str = "") -> Path:
        files = {
            "bin/ptxas": "",
            "bin/fatbinary": "",
            "nvvm/bin/cicc": "",
            "nvvm/libdevice/libdevice.10.bc": "",
            "include/cuda_runtime.h": "",
            "include/crt/host_config.h": config,
            "lib64/libcudart.so": "",
            "bin/nvcc": f"#!/bin/sh\ncat <<'END'\n{text}END\n",
        }
        for name, content in files.items():
            if name not in without:
                path = home / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(content)
                path.chmod(0o755)
        return home

    return make
