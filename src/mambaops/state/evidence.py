"""The evidence of one run: a folder with facts, plan, outcome and one log per step."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from mambaops.core.errors import UsageError
from mambaops.core.files import write_bytes, write_text


class RunLog(Struct, frozen=True):
    """`.mambaops/runs/<time>-<profile>/`; writing is atomic, file by file."""

    folder: Path

    @classmethod
    def begin(cls, runs: Path, profile: str) -> RunLog:
        """A new folder; a second run in the same second gets a suffix.

        Raises:
            UsageError: the folder's name is not UTF-8: no record could name what lies in it.
        """
        try:
            str(runs).encode()
        except UnicodeEncodeError as error:
            raise UsageError(
                f"{str(runs)!a} is not UTF-8, so that it cannot be written down",
                hint="name another folder: `export MAMBAOPS_HOME=/a/folder/of/yours`",
            ) from error
        now = datetime.datetime.now().strftime("%Y%m%d-%H%M%S")
        for suffix in ("", *(f".{number}" for number in range(2, 100))):
            folder = runs / f"{now}-{profile}{suffix}"
            try:
                folder.mkdir(parents=True)
            except FileExistsError:
                continue
            return cls(folder)
        raise FileExistsError(f"{runs}/{now}-{profile}")

    def log(self, step: str) -> Path:
        """Where the output of a step goes."""
        return self.folder / (step.replace(":", "-") + ".log")

    def write(self, name: str, value: Any) -> Path:
        """A record as JSON."""
        import msgspec

        encoded = msgspec.json.encode(value, enc_hook=str)
        return write_bytes(self.folder / name, msgspec.json.format(encoded, indent=2))


def read_notes(path: Path) -> dict[str, Any]:
    """Small facts that a step has left for later runs; {} where there are none or they are broken."""
    import json

    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_notes(path: Path, notes: Mapping[str, Any]) -> None:
    """Replace the notes as a whole."""
    import json

    write_text(path, json.dumps(notes, indent=2) + "\n")
