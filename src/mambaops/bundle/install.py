"""Install a bundle from its tar: unpack it safely, then let the script that it carries do the rest.

The script is the same that works by itself on the other machine, so a bundle is installed by one program and not two.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec

from mambaops.bundle.archive import extract_tar, read_member
from mambaops.bundle.model import FORMAT, MANIFEST, Manifest
from mambaops.core import interpreters, process
from mambaops.core.errors import MachineError, MambaopsError, UsageError
from mambaops.core.outputs import check_writable, folder_to_write

Say = Callable[[str], None]
# the script's exit status -> what it means; any other: it failed
UNPACKED = ".mambaops-bundle"  # in a folder that a bundle is unpacked into
ERRORS = {UsageError.exit_code: UsageError, MachineError.exit_code: MachineError}


@dataclass(frozen=True, kw_only=True, slots=True)
class InstalledBundle:
    """Where it went. `python` is the environment's interpreter; `packages` counts its wheels."""

    name: str
    environment: Path
    python: Path
    packages: int


def install_bundle(
    archive: Path,
    into: Path,
    *,
    python: str = "",
    keep_files: bool = False,
    existing: bool = False,
    say: Say = lambda text: None,
) -> InstalledBundle:
    """Install a bundle into an environment, without a network. Interrupted, the same call goes on.

    Args:
        archive: the tar, or a folder that it was unpacked into.
        python: interpreter to make the environment with; empty: the first of the bundle's version.
        keep_files: leave the unpacked bundle beside the environment.
        existing: `into` may be an environment with packages that did not come from a bundle.

    Raises:
        UsageError: no such bundle, or `into` is taken. MachineError: it is for another machine.
        MambaopsError: damaged, dangerous, or it could not be installed.
    """
    into = into.absolute()
    if not archive.exists():
        raise UsageError(f"there is no bundle `{archive}`")
    unpacked = into.with_name(into.name + ".bundle")
    check_writable(into, into)
    folder = archive if archive.is_dir() else _unpack(archive, unpacked)
    manifest = read_manifest(folder)
    interpreter = interpreters.named(python) if python else _interpreter(manifest.python)
    _run_script(folder, into, interpreter, say, existing)
    if not keep_files and not archive.is_dir():
        shutil.rmtree(unpacked)
    wheels = sum(file.kind == "wheel" for file in manifest.files)
    return InstalledBundle(
        name=manifest.name,
        environment=into,
        python=interpreters.of_environment(into),
        packages=wheels,
    )


def _unpack(archive: Path, unpacked: Path) -> Path:
    """Into a folder that is removed in the end, so it must be one of ours.

    Raises:
        UsageError: it is somebody else's.
    """
    folder_to_write(unpacked, ours=lambda folder: (folder / UNPACKED).is_file())
    unpacked.mkdir(parents=True, exist_ok=True)
    (unpacked / UNPACKED).touch()
    return extract_tar(archive, unpacked)


def name_of(archive: Path) -> str:
    """The profile that a bundle was made for, without unpacking it. Errors as `manifest_of`."""
    return manifest_of(archive).name


def manifest_of(archive: Path) -> Manifest:
    """What a bundle holds, without unpacking it.

    Raises:
        UsageError: there is no such file. MambaopsError: it is no bundle.
    """
    if not archive.exists():
        raise UsageError(f"there is no bundle `{archive}`")
    if archive.is_dir():
        return read_manifest(archive)
    return _decode(read_member(archive, MANIFEST), archive.name)


class _Failure(msgspec.Struct, frozen=True, kw_only=True):
    """What `payload/bundle_install.py` writes to the file that `MAMBAOPS_FAILURE` names."""

    message: str
    hint: str


def _run_script(folder: Path, into: Path, python: Path, say: Say, existing: bool) -> None:
    argv: list[str | Path] = ["sh", folder / "install.sh", "--into", into, "--python", python]
    argv += ["--existing"] if existing else []
    with tempfile.TemporaryDirectory(prefix="mambaops-") as place:
        told = Path(place) / "failure.json"
        environment = {**os.environ, "MAMBAOPS_FAILURE": str(told)}
        done = process.run(argv, env=environment, on_line=say, merge=True, check=False)
        if not done.ok:
            raise _failed(done, told)


def _failed(done: process.Completed, told: Path) -> MambaopsError:
    kind = ERRORS.get(done.returncode, MambaopsError)
    try:
        failure = msgspec.json.decode(told.read_bytes(), type=_Failure)
    except (OSError, msgspec.MsgspecError):
        # it was ended, its Python did not fit, or the bundle is of an earlier mambaops
        last = "\n".join(done.stdout.strip().splitlines()[-5:])
        return kind(f"install.sh exited {done.returncode}\n{last}".strip())
    return kind(failure.message, hint=failure.hint)


def read_manifest(folder: Path) -> Manifest:
    """`manifest.json` of an unpacked bundle.

    Raises:
        MambaopsError: it is none, or of another format.
    """
    try:
        data = (folder / MANIFEST).read_bytes()
    except OSError:
        data = b""
    return _decode(data, folder.name)


def _decode(data: bytes, name: str) -> Manifest:
    try:
        manifest = msgspec.json.decode(data, type=Manifest)
    except msgspec.MsgspecError as error:
        raise MambaopsError(
            f"`{name}` is no bundle of mambaops: it has no {MANIFEST} that can be read ({error})",
            hint="`mambaops bundle -o local.tar` makes one for the profile `local`",
        ) from error
    if manifest.format != FORMAT:
        raise MambaopsError(
            f"the bundle has format {manifest.format}; this mambaops reads {FORMAT}",
            hint="unpack it and run the install.sh that it carries",
        )
    return manifest


def _interpreter(version: str) -> Path:
    """An interpreter of the bundle's version. Nothing is downloaded."""
    found = interpreters.of_version(version)
    if found is None:
        raise MachineError(
            f"the bundle is for Python {version}; this machine has none that was found",
            hint="install it, and name it with `--python /path/to/python`",
        )
    return found
