"""Collect everything that an environment needs into one file, to be carried to a machine without a network.

Beside the tar a folder `NAME.tar.work` grows; interrupted, the same command goes on with it, and with the very
versions that were resolved first. Nothing of this machine's paths or index addresses goes into the tar.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
from packaging.utils import parse_wheel_filename
from packaging.version import Version

from mambaops.bundle.archive import read_member, sums, write_tar
from mambaops.bundle.lock import LockedFile, resolve
from mambaops.bundle.model import MANIFEST, SUMS, BundleFile, BundleSpec, Kind, Manifest
from mambaops.bundle.pure import pure_wheels
from mambaops.core.errors import MambaopsError, UsageError
from mambaops.core.files import sha256_of, write_text
from mambaops.core.outputs import file_to_write, folder_to_write
from mambaops.core.paths import payload_file
from mambaops.download.fetch import fetch
from mambaops.download.progress import Progress, Silent
from mambaops.download.state import lock_path
from mambaops.install.wheel_file import read_wheel
from mambaops.store.store import link_or_copy
from mambaops.wheels.tags import glibc_floor

Say = Callable[[str], None]
# file of ours -> name in the bundle
SCRIPTS = {
    "bundle_install.sh": "install.sh",
    "bundle_install.py": "install.py",
    "installed.py": "installed.py",
}
MARK = "spec.sha256"  # says what a folder that grows is for
# a bundle's folder -> what its files are
KINDS: Mapping[str, Kind] = {"wheels": "wheel", "sources": "source", "models": "model"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Bundle:
    """A bundle that was written. Sizes are bytes."""

    path: Path
    sha256: str
    size: int
    manifest: Manifest


def collect(
    spec: BundleSpec,
    output: Path,
    *,
    progress: Progress | None = None,
    say: Say = lambda text: None,
    force: bool = False,
) -> Bundle:
    """Resolve, fetch, check and pack.

    Args:
        force: replace a file of the person's at `output`.

    Raises:
        UsageError: `output` is no place for it, as `place_of`.
        MachineError: something has no wheel for the other machine.
        MambaopsError: the network, the disk, or a file that is not what it should be. What was fetched stays
            for the next run.
    """
    from filelock import FileLock

    output = place_of(output, force=force)
    output.parent.mkdir(parents=True, exist_ok=True)
    work = _work(output)
    with FileLock(lock_path(output)):
        content = _begin(spec, work, say)
        locked = resolve(spec, work)
        _fetch(locked, content, progress or Silent(), say)
        built = pure_wheels(locked, work / "pure", progress=progress or Silent(), say=say)
        own = [*spec.wheels, *built]
        _add_wheels(own, content)
        _add_models(spec.models, content, say)
        manifest = _describe(spec, locked, own, content)
        digest = write_tar(content, output.name.removesuffix(".tar"), output)
        write_text(output.with_name(output.name + ".sha256"), f"{digest}  {output.name}\n")
        shutil.rmtree(work)
    return Bundle(path=output, sha256=digest, size=output.stat().st_size, manifest=manifest)


def place_of(output: Path, *, force: bool) -> Path:
    """Where the tar will lie, with its checksum and the folder that grows beside it.

    Raises:
        UsageError: one of the three is not ours, or the place cannot be written to.
    """
    place = file_to_write(output, force=force, ours=is_bundle)
    file_to_write(place.with_name(place.name + ".sha256"), force=force, ours=_is_sum)
    folder_to_write(_work(place), force=force, ours=lambda work: (work / MARK).is_file())
    return place


def _work(output: Path) -> Path:
    return output.with_name(output.name + ".work")


def is_bundle(path: Path) -> bool:
    """A whole bundle, which only mambaops writes."""
    try:
        return bool(read_member(path, MANIFEST))
    except (MambaopsError, OSError):
        return False


def _is_sum(path: Path) -> bool:
    words = path.read_text(encoding="utf-8", errors="replace").split()
    return len(words) == 2 and len(words[0]) == 64 and words[1] + ".sha256" == path.name


def _begin(spec: BundleSpec, work: Path, say: Say) -> Path:
    """The folder that grows; what an interrupted run for something else left there is thrown away."""
    mark = work / MARK
    known = mark.read_text(encoding="utf-8") if mark.exists() else ""
    if known == spec.digest():
        say(f"going on with `{work}`")
    else:
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        mark.write_text(spec.digest(), encoding="utf-8")
    content = work / "content"
    for name in ("wheels", "sources", "models"):
        (content / name).mkdir(parents=True, exist_ok=True)
    return content


def _fetch(locked: Sequence[LockedFile], content: Path, progress: Progress, say: Say) -> None:
    locked = [file for file in locked if file.kind != "pure"]
    for number, file in enumerate(locked, start=1):
        folder = content / ("wheels" if file.kind == "wheel" else "sources")
        got = fetch(file.url, folder, sha256=file.sha256, name=file.name, progress=progress)
        how = "there" if got.from_cache else "resumed" if got.resumed else "fetched"
        say(f"[{number}/{len(locked)}] {file.name} ({got.bytes / 1e6:.1f} MB, {how})")


def _add_wheels(wheels: Sequence[Path], content: Path) -> None:
    for path in wheels:
        read_wheel(path)
        target = content / "wheels" / path.name
        if not target.exists():
            link_or_copy(path, target)


def _add_models(models: Sequence[str], content: Path, say: Say) -> None:
    for model in models:
        folder = Path(model).expanduser()
        if folder.is_dir():
            _copy_tree(folder, content / "models" / folder.resolve().name)
        else:
            _download_model(model, content / "models" / model.replace("/", "--"), say)


def _copy_tree(source: Path, target: Path) -> None:
    # the Hugging Face cache is made of links: the files behind them are wanted
    for path in sorted(path for path in source.rglob("*") if path.is_file()):
        copy = target / path.relative_to(source)
        if not copy.exists() or copy.stat().st_size != path.stat().st_size:
            copy.parent.mkdir(parents=True, exist_ok=True)
            link_or_copy(path.resolve(), copy)


def _download_model(name: str, target: Path, say: Say) -> None:
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise UsageError(
            f"`{name}` is no folder, and huggingface_hub is not installed beside mambaops",
            hint="`pip install huggingface_hub`, or name a folder that holds the model",
        ) from error
    say(f"model {name}")
    try:
        snapshot_download(name, local_dir=target)
    except Exception as error:  # whatever the hub's client raises: requests', httpx's or its own
        raise MambaopsError(
            f"model `{name}` could not be fetched: {error}",
            hint="HF_ENDPOINT names a mirror; a folder with the model works as well",
        ) from error
    shutil.rmtree(target / ".cache", ignore_errors=True)


def _describe(
    spec: BundleSpec, locked: Sequence[LockedFile], own: Sequence[Path], content: Path
) -> Manifest:
    """Write the scripts, `manifest.json` and `SHA256SUMS`; what does not belong there is removed."""
    for name, inside in SCRIPTS.items():
        shutil.copyfile(payload_file(name), content / inside)
    (content / "python-version").write_text(spec.python + "\n", encoding="utf-8")
    _remove_strangers({*(file.name for file in locked), *(path.name for path in own)}, content)
    for name in (MANIFEST, SUMS):
        (content / name).unlink(missing_ok=True)
    found = sums(content)
    manifest = _manifest(spec, content, found)
    text = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
    (content / MANIFEST).write_bytes(text + b"\n")
    found[MANIFEST] = sha256_of(content / MANIFEST)
    lines = [f"{digest}  {path}" for path, digest in sorted(found.items())]
    (content / SUMS).write_text("\n".join(lines) + "\n", encoding="utf-8")
    return manifest


def _remove_strangers(wanted: Collection[str], content: Path) -> None:
    for folder in ("wheels", "sources"):
        for path in (content / folder).iterdir():
            if path.name not in wanted:
                path.unlink()


def _manifest(spec: BundleSpec, content: Path, found: Mapping[str, str]) -> Manifest:
    files = [_entry(path, digest, content) for path, digest in sorted(found.items())]
    pips = [file.path for file in files if file.package == "pip"]
    if not pips:
        raise MambaopsError("the bundle lacks pip, which installs it", hint="require `pip` as well")
    return Manifest(
        name=spec.name,
        python=spec.python,
        machine=spec.machine,
        glibc=_needed_glibc(files, content),
        torch=spec.torch,
        requirements=[*spec.requirements, *spec.sources],
        imports=spec.imports,
        runtime_env=spec.runtime_env,
        installer=pips[0],
        files=files,
    )


def _needed_glibc(files: Sequence[BundleFile], content: Path) -> str:
    """What the wheels really ask for: less than the other machine's own, so that its neighbours can use it too.

    A manylinux name promises its floor; a plain `linux_` name promises nothing, so the modules are read.
    """
    from mambaops.wheels.inspect.contents import inspect_wheel

    floors = ["0"]
    for file in files:
        if file.kind != "wheel" or file.path.endswith("-any.whl"):
            continue
        path = content / file.path
        named = glibc_floor(parse_wheel_filename(path.name)[3])
        floors.append(named or inspect_wheel(path).highest("GLIBC") or "0")
    return max(floors, key=Version)


def _entry(path: str, digest: str, content: Path) -> BundleFile:
    size = (content / path).stat().st_size
    kind = KINDS.get(path.split("/")[0], "script")
    if kind != "wheel":
        return BundleFile(path=path, size=size, sha256=digest, kind=kind)
    # it was checked when it came: against the lock's hash, or against its RECORD
    wheel = read_wheel(content / path, whole=True)
    return BundleFile(
        path=path, size=size, sha256=digest, kind=kind, package=wheel.name, version=wheel.version
    )
