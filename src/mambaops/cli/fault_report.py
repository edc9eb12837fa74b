"""The report of a fault of ours: traceback, command line, versions, facts; nothing private in it."""

from __future__ import annotations

import os
import platform
import shlex
import sys
import time
from pathlib import Path

from mambaops import __version__
from mambaops.core.files import write_text
from mambaops.core.paths import state_dir
from mambaops.diagnose.redaction import mask
from mambaops.diagnose.report import private_words


def write(trace: str) -> Path:
    """Write it under the state folder, else (it cannot be written to) in the folder for temporary files.

    Raises:
        OSError: neither takes it.
    """
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
    text = mask(_text(trace), private_words())
    try:
        return write_text(state_dir() / "faults" / name, text)
    except Exception:  # the folder may be the very fault
        import tempfile

        return write_text(Path(tempfile.gettempdir()) / f"mambaops-fault-{name}", text)


def _text(trace: str) -> str:
    versions = f"mambaops {__version__}, Python {platform.python_version()}, {platform.platform()}"
    parts = [
        ("what happened", trace),
        ("command", shlex.join(sys.argv)),
        ("folder", _folder()),
        ("versions", f"{versions}\n{sys.executable}"),
        ("facts", _facts()),
    ]
    return "\n".join(f"## {title}\n\n{body}\n" for title, body in parts)


def _folder() -> str:
    try:
        return str(Path.cwd())
    except OSError as error:
        return f"is gone: {error}"


def _facts() -> str:
    """The machine, where the probe still answers."""
    try:
        import msgspec

        from mambaops.facts.collect import collect

        return msgspec.json.format(msgspec.json.encode(collect(timeout=2.0)), indent=1).decode()
    except Exception as error:
        return f"could not be taken: {type(error).__name__}: {error}"
