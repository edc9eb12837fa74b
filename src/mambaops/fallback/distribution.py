"""The stand-ins as an installed distribution: its files, written into site-packages or deleted from there."""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from mambaops.core import paths
from mambaops.core.errors import MachineError
from mambaops.wheels.pure import with_dist_info
from mambaops.wheels.record import read_record

NAME = "mambaops-fallback"
PACKAGE = "mambaops_fallback"
MODULES = ("selective_scan_cuda.py", "causal_conv1d_cuda.py")
_METADATA = """Metadata-Version: 2.1
Name: {name}
Version: {version}
Summary: Stand-ins for selective_scan_cuda and causal_conv1d_cuda in plain PyTorch
License: MIT
Requires-Python: >=3.8
"""


def write(purelib: Path) -> list[str]:
    """Write everything beside its place, then move it there; returns the names.

    The dist-info goes first: whatever stops us, its RECORD tells pip and `delete` what to take out again.

    Raises:
        MachineError: the folder cannot be written to, or the disk is full.
    """
    files, info = _files(), _info()
    try:
        with tempfile.TemporaryDirectory(prefix=".mambaops-fallback-", dir=purelib) as folder:
            for name, content in files.items():
                path = Path(folder, name)
                path.parent.mkdir(exist_ok=True)
                path.write_bytes(content)
            for top in (info, PACKAGE, *MODULES):
                Path(folder, top).replace(purelib / top)
    except OSError as error:
        raise _unwritable(purelib, error) from error
    return sorted(files)


def delete(purelib: Path) -> list[str]:
    """Delete what is ours, whole or half, with its byte code; returns the names that RECORD lists.

    Raises:
        MachineError: the folder cannot be written to.
    """
    gone: list[str] = []
    try:
        for info in sorted(purelib.glob(f"{PACKAGE}-*.dist-info")):
            gone += _delete_recorded(purelib, info / "RECORD")
            shutil.rmtree(info)
        if (purelib / PACKAGE).is_dir():
            shutil.rmtree(purelib / PACKAGE)
    except OSError as error:
        raise _unwritable(purelib, error) from error
    return gone


def _delete_recorded(purelib: Path, record: Path) -> list[str]:
    gone = []
    entries = read_record(record.read_text("utf-8")) if record.is_file() else ()
    for entry in entries:
        path = purelib / entry.path
        if path.is_file() and path.resolve().is_relative_to(purelib.resolve()):
            path.unlink()
            gone.append(entry.path)
        for compiled in path.parent.glob(f"__pycache__/{path.stem}.*.pyc"):
            compiled.unlink()
    return gone


def _files() -> dict[str, bytes]:
    """Path in site-packages -> content."""
    files: dict[str, bytes] = {}
    for source in sorted(paths.payload_file("scan").glob("*.py")):
        files[f"{PACKAGE}/{source.name}"] = source.read_bytes()
    for name in MODULES:
        files[name] = paths.payload_file("standins", name).read_bytes()
    metadata = _METADATA.format(name=NAME, version=_version())
    return with_dist_info(_info(), metadata, files, {"INSTALLER": b"mambaops\n"})


def _info() -> str:
    return f"{PACKAGE}-{_version()}.dist-info"


def _version() -> str:
    source = paths.payload_file("standins", MODULES[0]).read_text("utf-8")
    found = re.search(r'__version__ = "(.+)"', source)  # e.g. __version__ = "1.0"
    assert found, "the stand-in names its version"
    return found.group(1)


def _unwritable(purelib: Path, error: OSError) -> MachineError:
    return MachineError(
        f"cannot write to {purelib}: {error.strerror or error}",
        hint="use an environment of your own (python -m venv), its owner's account, or make room",
    )
