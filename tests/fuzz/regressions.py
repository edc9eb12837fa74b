"""What drawn command lines broke once: run before any others, every time. Why stands beside each."""

from __future__ import annotations

from drawn import Case

LONG = "n" * 300
FOUND = [
    # a traceback, or a fault of ours (exit 70)
    Case(words=["install-fallback", "--json"]),  # an interpreter that prints no JSON
    Case(words=["build-wheel", "--profile", "./keys.yaml"]),  # a list as a mapping's key
    Case(words=["plan", "--profile", "./dates.yaml"]),
    Case(words=["plan", "--profile", "./deep.yaml"]),
    Case(words=["plan", "--profile", "./surrogate.yaml", "--json"]),
    Case(words=["profiles", "./itself.yaml"]),
    Case(words=["install-toolkit", "--add", "./deep.toml"]),
    Case(words=["plan"], env={"MAMBAOPS_MIRRORS": "./deep.toml"}),
    Case(words=["facts", "--facts", "deep.json"]),
    Case(words=["check-network", "nan", "--timeout", "1" + "0" * 30]),
    Case(words=["check-network", LONG, "a..b"]),  # no name that can be asked for
    Case(words=["fetch-wheel", "http://["]),
    Case(words=["get-nvcc", "`x`"]),
    Case(words=["wheels", "prune", "--older-than", "9" * 30 + "d"]),
    Case(words=["inspect-wheel", "cut-1.0-py3-none-any.whl"]),
    Case(words=["repair-wheel", "flipped-1.0-py3-none-any.whl"]),
    Case(words=["wheels", "add", "torn-1.0-py3-none-any.whl"]),
    Case(
        words=["select-wheel", "--find-links=--", "gsplat"]
    ),  # argparse takes it for the flags' end
    Case(words=["wheels", "path", "--json", "--store", "flipped-1.0-py3-none-any.whl"]),  # a file
    Case(words=[], encoding="latin-1"),
    Case(words=["--list"], stdout="gone"),
    Case(words=["plan", "--help"], stdout="full"),
    Case(words=["steps", "--json"], stdout="full"),
    Case(words=["doctor", "--json"], stdout="closed"),
    Case(words=["facts"], gone=True),
    Case(words=["map-paths", LONG, "loop", "pipe", "\udcff", "--json"]),
    # hangs: a pipe that nobody writes to
    Case(words=["profiles", "./pipe.yaml"]),
    Case(words=["diagnose", "pipe"]),
    Case(words=["plan", "--facts", "pipe"]),
    Case(words=["inspect-wheel", "pipe-1.0-py3-none-any.whl"]),
    Case(words=["build-wheel", "--source", "mamba-ssm=pipe"]),
    Case(words=["install-requirements", "pipe"]),
    Case(words=["strip-crlf", "pipe", "loop", "folder"]),
    Case(words=["bundle", "ubuntu22-cu118", "--models", "./socket"]),
    # places that cannot be written to, or are no files
    Case(words=["write-launcher", "--output", "ro/x"]),
    Case(words=["write-launcher", "--output", "folder"]),
    Case(words=["write-launcher", "--output", "pipe"]),
    Case(words=["shell-env", "--write", "loop", "--home", "folder"]),
    Case(words=["diagnose", "build.log", "--report", "file/x"]),
    Case(words=["facts"], env={"MAMBAOPS_CACHE": "loop"}),
    Case(words=["plan"], env={"MAMBAOPS_HOME": LONG}),
    Case(
        words=["build-wheel", "--package", "torch-cluster", "--add", "gsplat"],
        env={"MAMBAOPS_HOME": "\udcff"},
        tools=1,
    ),
    Case(words=["wheels", "path"], env={"MAMBAOPS_CACHE": "file"}),
]
