"""What facts do not hold and a look at this machine shows: scripts, build trees, model caches, binaries."""

from __future__ import annotations

import ast
import os
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path

from mambaops.core.names import normal
from mambaops.doctor.model import Check, release
from mambaops.facts.model import Facts
from mambaops.knowledge.packages import packages
from mambaops.profiles.model import Profile

MOST_SCRIPTS = 300
SCRIPT_FOLDERS = (".", "scripts", "tools", "bin")


def look(facts: Facts, profile: Profile | None, folder: Path) -> list[Check]:
    """Checks of the working folder, the installed binaries and the caches of this machine."""
    return [
        *_line_ends(folder),
        *_stale_builds(facts, folder),
        *_binaries(facts),
        *_link_of_ours(facts),
        *_models(facts, profile),
    ]


def refined(checks: list[Check], seen: list[Check]) -> list[Check]:
    """What was only guessed from facts makes way for what was looked at."""
    answered = {name for check in seen for name in check.answers}
    return [check for check in checks if check.id not in answered] + seen


def scripts(folder: Path) -> list[Path]:
    """Shell scripts near the working folder, not more than a few hundred."""
    found: list[Path] = []
    for name in SCRIPT_FOLDERS:
        found += sorted((folder / name).glob("*.sh"))
    return found[:MOST_SCRIPTS]


def crlf_scripts(folder: Path) -> list[Path]:
    """Those of them that have Windows line ends."""
    from mambaops.patching.crlf import strip_crlf

    present = scripts(folder)
    if not present:
        return []
    reports = strip_crlf(present, check=True)
    return [Path(report.path) for report in reports if report.outcome == "has CRLF"]


def _line_ends(folder: Path) -> Iterator[Check]:
    found = crlf_scripts(folder)
    if found:
        names = ", ".join(path.name for path in found[:3]) + (" …" if len(found) > 3 else "")
        yield Check(
            id="windows-line-ends",
            area="disk and memory",
            state="failed",
            what=f"{len(found)} scripts have Windows line ends: {names}",
            cause="`$'\\r': command not found`",
            remedy="`mambaops doctor --fix` strips them",
            repair="strip-crlf",
        )


def stale_builds(facts: Facts, folder: Path) -> list[Path]:
    """`build` folders of clones of CUDA packages that are older than the installed torch."""
    torch = Path(facts.torch.path) / "version.py" if facts.torch else None
    if torch is None or not torch.is_file():
        return []
    installed = torch.stat().st_mtime
    clones = [folder, *(path for path in folder.iterdir() if path.is_dir())]
    return [
        clone / "build"
        for clone in clones
        if (clone / "build").is_dir()
        and (clone / "build").stat().st_mtime < installed
        and _is_known_package(clone / "setup.py")
        and parts_of(clone / "build")
    ]


def _is_known_package(setup: Path) -> bool:
    """Does a setup.py say that it is one of the packages we know? Other projects' builds are not ours."""
    return package_of(setup) in packages()


def package_of(setup: Path) -> str:
    """The distribution that a setup.py makes, by its own words (`setup(name=…)`); "" where it does not say."""
    try:
        tree = ast.parse(setup.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return ""
    texts = {
        target.id: node.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and _called(node) == "setup":
            for word in node.keywords:
                if word.arg == "name":
                    return normal(str(_value(word.value, texts)))
    return ""


def _called(node: ast.Call) -> str:
    """`setup` of `setup(…)` and of `setuptools.setup(…)`."""
    function = node.func
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")


def _value(node: ast.expr, texts: Mapping[str, object]) -> object:
    if isinstance(node, ast.Constant):
        return node.value
    return texts.get(node.id, "") if isinstance(node, ast.Name) else ""


def parts_of(build: Path) -> list[Path]:
    """What setuptools made for this very package: its parts of `build`, and its egg-info; nothing else there."""
    name = package_of(build.parent / "setup.py")
    made = [path for kind in ("temp", "lib", "bdist") for path in sorted(build.glob(f"{kind}*"))]
    made += [path for path in build.parent.glob("*.egg-info") if normal(path.stem) == name]
    return [path for path in made if path.is_dir() and not path.is_symlink()]


def _stale_builds(facts: Facts, folder: Path) -> Iterator[Check]:
    for build in stale_builds(facts, folder):
        yield Check(
            id="stale-build",
            area="packages",
            state="warning",
            what=f"{build} is older than the installed torch",
            cause="its objects would be linked in again: undefined symbols at import",
            remedy=f"`mambaops doctor --fix` removes it; by hand: `rm -rf {shlex.join(map(str, parts_of(build)))}`",
            repair="stale-build",
        )


def _binaries(facts: Facts) -> Iterator[Check]:
    files = [Path(p) for package in facts.packages.values() for p in package.extensions]
    there = [path for path in files if path.is_file()]
    if not there:
        return
    from mambaops.core.errors import MambaopsError
    from mambaops.wheels.inspect.elf import inspect_extension

    for path in there:
        try:
            need = inspect_extension(path).glibc
        except MambaopsError as error:
            yield Check(
                id="binary-unreadable",
                area="packages",
                state="failed",
                what=f"{path.name} cannot be read: {error.message}",
                cause="the file is damaged",
                remedy="`mambaops build-mamba`",
            )
            continue
        yield _loads(path, need, facts.host.glibc)


def _loads(path: Path, need: str | None, have: str | None) -> Check:
    if need and have and release(have) < release(need):
        return Check(
            id="binary-needs-newer-glibc",
            area="packages",
            state="failed",
            what=f"{path.name} asks for glibc {need}, here is {have}",
            cause=f"`version `GLIBC_{need}' not found` at import: it was built on a newer system",
            remedy="a portable build (`mambaops build-mamba`), an older wheel (`mambaops find-wheels` looks for one), a container; a wheel that you have as a file can be repaired (`mambaops --help repair-wheel`)",
            answers=["upstream-wheel-glibc"],
        )
    return Check(
        id="binary",
        area="packages",
        state="ok",
        what=f"{path.name.split('.')[0]} loads from glibc {need or 'any'} on",
        answers=["upstream-wheel-glibc"],
    )


def link_folder() -> Path:
    """Our own folder with the link `libcuda.so`."""
    from mambaops.core.paths import cache_dir

    return cache_dir() / "libcuda"


def _link_of_ours(facts: Facts) -> Iterator[Check]:
    link = link_folder() / "libcuda.so"
    if facts.driver.libcuda_link or not link.exists():
        return
    known = str(link.parent) in os.environ.get("LIBRARY_PATH", "").split(":")
    yield Check(
        id="libcuda-link",
        area="WSL" if facts.host.wsl else "driver",
        state="ok" if known else "warning",
        what=f"{link} links to the driver's library",
        cause="" if known else "the linker does not look there yet",
        remedy=""
        if known
        else f"`export LIBRARY_PATH={shlex.quote(str(link.parent))}:$LIBRARY_PATH`",
        answers=["libcuda-link-missing"],
    )


def hub_cache() -> Path:
    """Where huggingface_hub keeps its files, by the variables that it reads itself."""
    environ = os.environ
    if environ.get("HF_HUB_CACHE"):
        return Path(environ["HF_HUB_CACHE"])
    home = (
        environ.get("HF_HOME")
        or Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "huggingface"
    )
    return Path(home) / "hub"


def _models(facts: Facts, profile: Profile | None) -> Iterator[Check]:
    local = os.environ.get("MAMBA_MODEL", "")
    if local and not (Path(local) / "config.json").is_file():
        yield Check(
            id="model-folder-empty",
            area="models",
            state="failed",
            what=f"MAMBA_MODEL={local} holds no config.json",
            cause="from_pretrained would take it for a name on the hub",
            remedy="`mambaops fetch-model` where there is a network, then copy the folder",
        )
    for name in profile.models if profile else []:
        folder = hub_cache() / f"models--{name.replace('/', '--')}" / "snapshots"
        whole = any(path.is_file() for path in folder.glob("*/config.json"))
        yield Check(
            id="model" if whole or local else "model-missing",
            area="models",
            state="ok" if whole or local else "warning",
            what=f"{name} is in the cache" if whole else f"{name} is not in {hub_cache()}",
            cause="" if whole or local else "training would ask the network for it",
            remedy="" if whole or local else "`mambaops fetch-model`",
            answers=["models-unknown"],
        )
