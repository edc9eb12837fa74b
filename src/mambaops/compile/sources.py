"""Sources of the packages: sdists from the package index with their hashes, git tags, or what the user has.

pip checks the hash before it looks at the archive (`--require-hashes`), and finds the index by the
user's own configuration. Old releases' sdists hold no CUDA sources: for those a git tag, a checkout or an
archive is the source, and an sdist without them is refused with that reason.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from fnmatch import fnmatch
from pathlib import Path

from mambaops.compile.source_tree import SourceTree
from mambaops.core import process
from mambaops.core.errors import CommandFailed, MambaopsError, UsageError
from mambaops.core.files import regular, sha256_of, write_text
from mambaops.knowledge.packages import Package
from mambaops.knowledge.packages import package as package_named
from mambaops.profiles.model import PackageSpec

RECORD = "mambaops-source.json"


def described(package: str, spec: PackageSpec) -> Package:
    """What the package's file says: its own where the profile names one."""
    return package_named(package, spec.file)


def read_tree(folder: Path) -> SourceTree | None:
    """The source that `fetch` put into `folder`, or None."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    tree = folder / record["tree"]
    if not (tree / "setup.py").is_file():
        return None
    return SourceTree(path=str(tree), sha256=record["sha256"], patched=record.get("patched", ""))


def mark_patched(folder: Path, digest: str) -> None:
    """Remember with which options the tree is patched (`""`: pristine)."""
    path = folder / RECORD
    record = json.loads(path.read_text(encoding="utf-8"))
    _write(path, {**record, "patched": digest})


def fetch(
    package: str, spec: PackageSpec, folder: Path, *, python: Path, log: Path, given: str = ""
) -> SourceTree:
    """Put one package's source into `folder`, unpacked and checked.

    Args:
        folder: is made anew; nothing half-unpacked is ever left under its name.
        python: interpreter with torch, for the metadata that pip asks of setup.py.
        given: the user's own checkout or archive (`--source`).

    Raises:
        MambaopsError: not to be had, wrong hash, no CUDA sources inside.
    """
    aside = folder.with_name(folder.name + ".part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        tree, sha256 = _obtain(package, spec, aside, python, log, given)
        _check_sources(package, spec, tree)
        _write(
            aside / RECORD,
            {"tree": str(tree.relative_to(aside)), "sha256": sha256, "version": spec.version},
        )
        shutil.rmtree(folder, ignore_errors=True)
        aside.replace(folder)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    found = read_tree(folder)
    assert found is not None
    return found


def _write(path: Path, record: dict[str, str]) -> None:
    write_text(path, json.dumps(record, indent=2) + "\n")


def _obtain(
    package: str, spec: PackageSpec, folder: Path, python: Path, log: Path, given: str
) -> tuple[Path, str]:
    if given:
        return _take(Path(given).expanduser(), folder)
    if spec.origin == "git":
        tree, commit = _clone(package, spec, folder, log)
        return tree / spec.subdirectory, commit
    archive = download_sdist(package, spec, folder, python=python, log=log)
    return unpack(archive, folder), sha256_of(archive)


def download_sdist(
    package: str, spec: PackageSpec, folder: Path, *, python: Path, log: Path
) -> Path:
    """The sdist of a release, by pip, hash-checked where the profile names the hash."""
    requirement = f"{package}=={spec.version}"
    wanted = folder / "requirement.txt"
    hashed = f" --hash=sha256:{spec.sha256}" if spec.sha256 else ""
    wanted.write_text(requirement + hashed + "\n", encoding="utf-8")
    argv: list[str | Path] = [python, "-m", "pip", "download", "--no-deps", "--no-binary", ":all:"]
    argv += ["--no-build-isolation", "--no-cache-dir", "--dest", folder, "-r", wanted]
    try:
        # pip runs setup.py for the metadata, which must not look for nvcc
        skip = described(package, spec).source.env
        env = {**os.environ, **skip, **_with_packaging(folder), "LC_ALL": "C"}
        process.run(argv, env=env, log=log)
    except CommandFailed as error:
        raise _download_error(requirement, spec, error, log) from error
    archives = [path for path in folder.iterdir() if path.name.endswith((".tar.gz", ".zip"))]
    if len(archives) != 1:
        raise MambaopsError(f"pip brought {len(archives)} archives for `{requirement}`, not one")
    return archives[0]


def _with_packaging(folder: Path) -> dict[str, str]:
    """For the metadata, setup.py imports `packaging`, which an environment need not have: ours stands in, alone."""
    import packaging

    beside = folder / "beside"
    beside.mkdir()
    (beside / "packaging").symlink_to(Path(packaging.__file__).parent)
    told = [str(beside), os.environ.get("PYTHONPATH", "")]
    return {"PYTHONPATH": os.pathsep.join(filter(None, told))}


def _download_error(
    requirement: str, spec: PackageSpec, error: CommandFailed, log: Path
) -> MambaopsError:
    text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else error.output
    if "DO NOT MATCH THE HASHES" in text:
        return MambaopsError(
            f"the archive of `{requirement}` is not the one that the profile names "
            f"(sha256 {spec.sha256}); it was thrown away",
            hint="a mirror may hold a damaged file: try another index; nothing was unpacked",
        )
    if "No matching distribution" in text:
        return MambaopsError(
            f"the package index has no source of `{requirement}` (or cannot be reached): {log}",
            hint=f"`--source {requirement.split('==')[0]}=PATH` takes a checkout or an archive that you have",
        )
    return MambaopsError(
        f"`{requirement}` could not be fetched: {error.output.splitlines()[-1] if error.output else error}",
        hint=f"the whole log is {log}; without a network use `--source {requirement.split('==')[0]}=PATH`",
    )


def _clone(package: str, spec: PackageSpec, folder: Path, log: Path) -> tuple[Path, str]:
    source = described(package, spec).source
    tag = spec.tag or source.tag.format(version=spec.version)
    if not source.repository:
        raise UsageError(
            f"no git repository of {package} is known", hint=f"`--source {package}=PATH`"
        )
    tree = folder / f"{package}-{spec.version}"
    argv: list[str | Path] = ["git", "clone", "--quiet", "--depth", "1", "--branch", tag]
    argv += [source.repository, tree]
    try:
        process.run(argv, env={**os.environ, "GIT_TERMINAL_PROMPT": "0"}, log=log, timeout=600)
        commit = process.run(["git", "-C", tree, "rev-parse", "HEAD"]).stdout.strip()
    except CommandFailed as error:
        raise MambaopsError(
            f"git tag {tag} of {package} could not be cloned: {error.output or error.message}",
            hint=f"fetch it elsewhere and name it: `--source {package}=PATH` (checkout or archive)",
        ) from error
    return tree, f"git:{commit}"


def _take(given: Path, folder: Path) -> tuple[Path, str]:
    """A copy of the user's checkout, or the content of the user's archive: what is theirs stays as it is."""
    if given.is_dir():
        tree = folder / given.resolve().name
        shutil.copytree(given, tree, symlinks=True, ignore=shutil.ignore_patterns(*NOT_SOURCES))
        return tree, digest_of(given)
    if given.is_file():
        return unpack(given, folder), sha256_of(given)
    raise UsageError(f"`--source {given}`: there is no such folder or archive")


# what a build or an editor leaves in a checkout, and what no build reads
NOT_SOURCES = ("build", ".git", "dist", "__pycache__", "*.egg-info", ".mambaops*")


def digest_of(given: Path) -> str:
    """Digest of a checkout's files or of an archive.

    Raises:
        UsageError: there is no such folder or file.
    """
    if given.is_file():
        return sha256_of(given)
    if not given.is_dir():
        raise UsageError(f"`--source {given}`: there is no such folder or archive")
    if not (given / "setup.py").is_file():
        raise UsageError(
            f"`--source {given}` holds no setup.py",
            hint="name the top folder of a checkout, or the archive of a release",
        )
    digest = hashlib.sha256()
    for path in sorted(given.rglob("*")):
        parts = path.relative_to(given).parts
        if path.is_file() and not any(fnmatch(one, no) for one in parts for no in NOT_SOURCES):
            digest.update("/".join(parts).encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack an sdist and return its one top folder; members that climb out are refused."""
    import tarfile
    import zipfile

    from mambaops.core.untar import untar

    try:
        if archive.name.endswith(".zip"):
            with zipfile.ZipFile(regular(archive)) as zipped:
                zipped.extractall(folder)
        else:
            untar(archive, folder)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, OSError) as error:
        raise MambaopsError(
            f"`{archive}` cannot be unpacked: {error}", hint="fetch it again"
        ) from error
    tops = [path for path in folder.iterdir() if (path / "setup.py").is_file()]
    if len(tops) != 1:
        raise MambaopsError(f"`{archive}` holds no single folder with a setup.py")
    return tops[0]


def _check_sources(package: str, spec: PackageSpec, tree: Path) -> None:
    if not (tree / "setup.py").is_file():
        raise MambaopsError(f"`{tree.name}` holds no setup.py: it is no source of {package}")
    if not any(tree.glob("**/*.cu")):
        old = described(package, spec).source.without_sources
        why = f": {old} were published without them" if old else ""
        raise MambaopsError(
            f"the source of {package} {spec.version} holds no CUDA files{why}",
            hint="use `origin: git` in the profile, or `--source "
            f"{package}=PATH` with a checkout of the release's tag",
        )
