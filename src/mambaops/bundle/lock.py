"""Which files another machine needs: resolved here by uv, for its Python, its CPU and its glibc.

pip's own `download --platform` evaluates markers for the machine it runs on, so it misses what only the other one
needs; uv resolves for the other one. The lock names every file with its sha256; `download.fetch` brings them.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote

import tomli
from packaging.pylock import Package, PackageSdist, PackageWheel, Pylock, PylockValidationError
from packaging.requirements import Requirement
from packaging.tags import Tag, create_compatible_tags_selector
from packaging.utils import canonicalize_name, parse_wheel_filename

from mambaops.bundle.model import BundleSpec
from mambaops.core import interpreters, process
from mambaops.core.errors import MachineError, MambaopsError
from mambaops.install.installers import installer_environment, pip_settings, uv_command
from mambaops.wheels.tags import target_tags

# wheels with their tags -> those that fit, best first
_Fitting = Callable[[Iterable[tuple[PackageWheel, Set[Tag]]]], Iterator[PackageWheel]]

# what uv says of a package that has no wheel at all
_SOURCE_ALONE = re.compile(
    r"Wheels are required for `(?P<name>[\w.-]+)` because building from source"
)
MOST_SOURCES = 20
# the glibc floors that uv knows (`uv pip compile --help`); a machine takes the highest that it reaches
FLOORS = (17, 28, *range(31, 41))


@dataclass(frozen=True, kw_only=True, slots=True)
class LockedFile:
    """One file to fetch; of `pure` a wheel is built that fits every machine."""

    package: str
    version: str
    name: str
    url: str
    sha256: str | None
    kind: Literal["wheel", "source", "pure"]


def resolve(spec: BundleSpec, folder: Path) -> list[LockedFile]:
    """Every file that the requirements of a bundle need, by package.

    Args:
        folder: for the lock file, which is used again when it is there.

    Raises:
        MachineError: nothing fits the other machine (no wheel for its Python or glibc).
        MambaopsError: no uv, no index, or no set of versions.
    """
    found = _locked_files(spec, folder, "wheels", spec.requirements, ["--only-binary", ":all:"])
    if spec.sources:
        # what they require is given as nothing: asking their setup.py would need torch here
        names = [word for one in spec.sources for word in ("--no-binary", Requirement(one).name)]
        found += _locked_files(spec, folder, "sources", spec.sources, ["--no-deps", *names])
    return found


def _locked_files(
    spec: BundleSpec, folder: Path, name: str, requirements: Sequence[str], flags: Sequence[str]
) -> list[LockedFile]:
    lock = folder / f"pylock.{name}.toml"
    flags = list(flags)
    for _ in range(MOST_SOURCES):
        if lock.exists():
            break
        done = _compile(spec, folder, lock, requirements, flags)
        # published as source alone: taken, and built here if it holds no compiled code
        alone = None if done.ok else _SOURCE_ALONE.search(done.stderr)
        if not done.ok and (alone is None or alone["name"] in flags):
            raise _unresolved(spec, done.stderr)
        flags += ["--no-binary", alone["name"]] if alone else []
    return read_lock(lock.read_text(encoding="utf-8"), spec)


def _compile(
    spec: BundleSpec, folder: Path, lock: Path, requirements: Sequence[str], flags: Sequence[str]
) -> process.Completed:
    uv = uv_command()
    if uv is None:
        raise MambaopsError("a bundle needs uv to resolve it", hint="`pip install uv`")
    _write_inputs(spec, folder, requirements)
    aside = folder / f"pylock.{lock.name.split('.')[1]}-part.toml"
    argv = [*uv, "pip", "compile", "requirements.in", "--constraint", "constraints.in"]
    argv += ["--format", "pylock.toml", "--output-file", aside.name, "--quiet", "--no-header"]
    # ours does the work: uv would start every interpreter on PATH to look for the other machine's
    argv += ["--python", str(interpreters.ours())]
    argv += ["--python-version", spec.python, "--python-platform", python_platform(spec)]
    argv += [*flags, *_index_flags(spec)]
    argv += ["--prerelease", "allow"] if spec.prerelease else []
    done = process.run(argv, cwd=folder, env=installer_environment(), check=False)
    if done.ok:
        aside.replace(lock)
    return done


def _write_inputs(spec: BundleSpec, folder: Path, requirements: Sequence[str]) -> None:
    (folder / "requirements.in").write_text("\n".join(requirements) + "\n", encoding="utf-8")
    (folder / "constraints.in").write_text("\n".join(spec.constraints) + "\n", encoding="utf-8")
    settings = [
        f"[[dependency-metadata]]\nname = {json.dumps(Requirement(source).name)}\nrequires-dist = []\n"
        f"version = {json.dumps(next(iter(Requirement(source).specifier)).version)}\n"
        for source in spec.sources
    ]
    (folder / "uv.toml").write_text("\n".join(settings), encoding="utf-8")


def _index_flags(spec: BundleSpec) -> list[str]:
    settings = pip_settings(Path(sys.prefix)).uv_flags()
    more = [word for index in spec.indexes for word in ("--extra-index-url", index)]
    more += [word for link in spec.find_links for word in ("--find-links", link)]
    strategy = ["--index-strategy", "unsafe-best-match"]
    return [*settings, *more, *([] if strategy[0] in settings else strategy)]


def python_platform(spec: BundleSpec) -> str:
    """uv's name for the other machine, e.g. `x86_64-manylinux_2_31`.

    Raises:
        MachineError: its glibc is older than any that uv resolves for, or it has none.
    """
    major, _, minor = spec.glibc.partition(".")
    reached = [floor for floor in FLOORS if major == "2" and floor <= int(minor or 0)]
    if not reached or spec.machine not in ("x86_64", "aarch64"):
        raise MachineError(
            f"no bundle can be made for {spec.machine} with glibc {spec.glibc or '(none)'}",
            hint="x86_64 or aarch64 with glibc 2.17 or newer",
        )
    return f"{spec.machine}-manylinux_2_{reached[-1]}"


def _unresolved(spec: BundleSpec, output: str) -> MambaopsError:
    message = (
        f"no set of wheels for Python {spec.python} on {python_platform(spec)}:\n{output.strip()}"
    )
    offline = any(word in output for word in ("dns error", "Connection refused", "Failed to fetch"))
    if offline:
        return MambaopsError(message, hint="collecting needs the network; see pip's or uv's index")
    return MachineError(
        message,
        hint="a bundle holds wheels only: a package without one for that machine needs another version "
        "(`constraints` in the profile), or a wheel of yours in a folder of `find_links`",
    )


def read_lock(text: str, spec: BundleSpec) -> list[LockedFile]:
    """The files of a pylock.toml (PEP 751): of each package the wheel that fits best.

    Raises:
        MachineError: a package of which no file fits.
        MambaopsError: it is no such file.
    """
    try:
        lock = Pylock.from_dict(tomli.loads(text))
    except (tomli.TOMLDecodeError, PylockValidationError) as error:
        raise MambaopsError(
            f"uv wrote no lock file that can be read: {error}", hint="`pip install -U uv packaging`"
        ) from error
    tags = target_tags(python=spec.python, machine=spec.machine, glibc=spec.glibc, abi=spec.abi)
    fitting = create_compatible_tags_selector(tags)
    sources = {canonicalize_name(Requirement(source).name) for source in spec.sources}
    return [_choose(package, fitting, sources, spec) for package in lock.packages]


def _choose(
    package: Package, fitting: _Fitting, sources: Collection[str], spec: BundleSpec
) -> LockedFile:
    if package.name in sources and package.sdist is not None:
        return _locked(package, package.sdist, "source")
    tagged = ((wheel, parse_wheel_filename(wheel.filename)[3]) for wheel in package.wheels or ())
    best = next(fitting(tagged), None)
    if not package.wheels and package.sdist is not None:
        return _locked(package, package.sdist, "pure")
    if best is None:
        raise MachineError(
            f"{package.name} {package.version or ''} has no wheel for Python {spec.python} on "
            f"{spec.machine} with glibc {spec.glibc}",
            hint="another version of it may have: bound it in the profile's `constraints`",
        )
    return _locked(package, best, "wheel")


def _locked(
    package: Package, file: PackageWheel | PackageSdist, kind: Literal["wheel", "source", "pure"]
) -> LockedFile:
    return LockedFile(
        package=package.name,
        version=str(package.version or ""),
        name=unquote(file.filename),
        url=file.url or file.path or "",
        sha256=file.hashes.get("sha256"),
        kind=kind,
    )
