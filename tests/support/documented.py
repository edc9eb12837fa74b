"""Commands and links of the pages that people read, and a folder in which the commands can be run."""

from __future__ import annotations

import base64
import hashlib
import re
import zipfile
from pathlib import Path

from mini import setup_text

from mambaops.core.paths import CHECKOUT

PAGES = ("README.md", "CONTRIBUTING.md", "docs/procedures.md")
STARTS = ("mambaops ", "invoke ", "nox -s ", ".venv/", "python3 -m venv")


def commands(page: str) -> list[str]:
    """Every command in a page's shell blocks, table cells and text."""
    text = (CHECKOUT / page).read_text(encoding="utf-8")
    found: list[str] = []
    for block in re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL):
        found += [line.split("  #")[0].strip() for line in block.splitlines() if line.strip()]
    prose = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    found += [code for code in re.findall(r"`([^`\n]+)`", prose) if code.startswith(STARTS)]
    return sorted({one for one in found if "NAME" not in one})


def links(page: Path) -> list[str]:
    """Targets of a page's links and pictures that are files, without their anchors."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)\s]+)\)", text)
    return [one.partition("#")[0] for one in targets if ":" not in one and one[0] != "#"]


def sandbox(folder: Path) -> Path:
    """Fill a folder with what the commands name."""
    (folder / "build.log").write_text(
        "x.cpp:1:10: fatal error: Python.h: No such file or directory\n", encoding="utf-8"
    )
    (folder / "scripts").mkdir()
    (folder / "scripts" / "run.sh").write_bytes(b"#!/bin/sh\r\necho hello\r\n")
    (folder / "requirements.txt").write_text("torch==1.0\npackaging\n", encoding="utf-8")
    (folder / "DIR").mkdir()
    setup = setup_text("causal-conv1d", "1.7.0")
    (folder / "DIR" / "setup.py").write_text(setup, encoding="utf-8")
    _wheel(folder / "x-1.0-py3-none-any.whl")
    return folder


def _wheel(path: Path) -> None:
    """A small whole wheel."""
    info = "x-1.0.dist-info"
    members = {
        "x.py": "",
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: x\nVersion: 1.0\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = f"{info}/RECORD,,\n"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
            record += f"{name},sha256={digest.decode().rstrip('=')},{len(text)}\n"
        archive.writestr(f"{info}/RECORD", record)
