"""What each CUDA package is and what its build needs: one TOML file per package, and nothing of it in code.

`docs/packages.md` tells how to write one. A file that lies elsewhere (a person's own package) is read by its
path; everything that takes a package's name takes such a path too.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from pathlib import Path

from mambaops.core.errors import UsageError
from mambaops.core.names import normal
from mambaops.knowledge.addresses import cuda_tag
from mambaops.knowledge.packages.model import Architectures, Package, Patch, Source
from mambaops.knowledge.tables import load_toml

__all__ = [
    "Architectures",
    "Package",
    "Patch",
    "Source",
    "is_file",
    "known",
    "package",
    "packages",
    "pairs",
    "partner",
    "published",
    "publishers_page",
    "read_package",
    "release_file",
]
FOLDER = Path(__file__).resolve().parent


def read_package(path: Path) -> Package:
    """A package from its file.

    Raises:
        UsageError: no such file, no TOML, or a key or value that does not belong there.
    """
    try:
        package = load_toml(path, Package)
    except FileNotFoundError:
        raise UsageError(
            f"there is no package file `{path}`", hint="docs/packages.md tells how to write one"
        ) from None
    except (OSError, ValueError) as error:  # TOML's and msgspec's errors are ValueErrors
        raise UsageError(
            f"package file `{path}`: {error}", hint="docs/packages.md has the keys and an example"
        ) from error
    _check(package, path)
    return package


def _check(package: Package, path: Path) -> None:
    """What the types cannot say."""
    for wrong in _complaints(package, path.stem):
        raise UsageError(
            f"package file `{path}`: {wrong}", hint="docs/packages.md has the keys and an example"
        )


def _complaints(package: Package, stem: str) -> Iterator[str]:
    if package.name != stem:
        yield f"it describes `{package.name}`: name it {package.name}.toml"
    if package.architectures.route == "variable" and not package.architectures.variable:
        yield "`architectures.route` needs the `variable`"
    if package.check.script and package.check.code:
        yield "`check` has both a script and code; keep one"
    if package.source.origin == "git" and not package.source.repository:
        yield "`source.origin` git needs the `repository`"
    yield from _wrong_texts(package)


def _wrong_texts(package: Package) -> Iterator[str]:
    """Texts that become words of commands and scripts."""
    from mambaops.knowledge.text import (
        wrong_line,
        wrong_requirements,
        wrong_source,
        wrong_variables,
        wrong_words,
    )

    source, build, told = package.source, package.build, package.architectures
    lines = [source.version, source.repository, source.tag, source.subdirectory]
    lines += [*source.env.values(), *build.env.values(), *build.split, package.title]
    for text in [*lines, told.separator, told.form, *package.modules.imports]:
        yield from wrong_line("text", text)
    names = {build.local_version: "", told.variable: ""}
    names = {name: "" for name in [*names, *source.env, *build.env, *build.drop] if name}
    yield from wrong_variables("variable", names)
    yield from wrong_requirements("build.requirements", build.requirements)
    yield from wrong_requirements("together.requires", package.together.requires)
    yield from wrong_source("source", source.tag, source.subdirectory, source.repository)
    yield from wrong_words("source.version", [source.version])


@functools.cache
def packages() -> Mapping[str, Package]:
    """Every package that comes with mambaops, by name. That they make sense is tested, not looked at each time."""
    return {path.stem: load_toml(path, Package) for path in sorted(FOLDER.glob("*.toml"))}


def _normal(name: str) -> str:
    return name if name in packages() else normal(name)


def is_file(name: str) -> bool:
    """Does the word name a package file instead of a package?"""
    return name.endswith(".toml")


def package(name: str, file: str = "") -> Package:
    """A package by its name (any spelling) or by the path of its file.

    Args:
        file: where a profile says that it is described; "" for those that come with mambaops.

    Raises:
        UsageError: there is none; the nearest name is offered.
    """
    if file or is_file(name):
        return _read_once(file or name)
    normal = _normal(name)
    if normal not in packages():
        import difflib

        near = difflib.get_close_matches(normal, packages(), n=1)
        raise UsageError(
            f"there is no package `{name}`; there are: {', '.join(packages())}",
            hint=f"did you mean `{near[0]}`?"
            if near
            else "your own is a file: `./NAME.toml` (docs/packages.md)",
        )
    return packages()[normal]


@functools.cache
def _read_once(path: str) -> Package:
    return read_package(Path(path))


def known(name: str) -> Package | None:
    """The package of a name, None where it is none of ours."""
    return packages().get(_normal(name))


def partner(name: str) -> str:
    """The other package of a pair, "" for one that stands alone."""
    found = known(name)
    return found.together.pair if found else ""


def pairs() -> list[tuple[str, str]]:
    """(the package that leads, the other one) of every pair."""
    return [(one.name, one.together.pair) for one in packages().values() if one.together.leads]


def published() -> list[str]:
    """Names of the packages that somebody publishes prebuilt wheels of, the leading ones first."""
    found = [one for one in packages().values() if one.wheels.published]
    return [one.name for one in sorted(found, key=lambda one: not one.together.leads)]


def release_file(name: str, version: str, file: str) -> str:
    """Address of a file of an upstream release.

    Raises:
        KeyError: this package has no release files.
    """
    found = known(name)
    if found is None or not found.wheels.release:
        raise KeyError(name)
    return found.wheels.release.format(version=version, file=file)


def publishers_page(package: Package, torch: str, cuda: str | None) -> str:
    """Where its publisher lists wheels for torch "2.8.0+cu128" with CUDA "12.8"; "" where there is no page."""
    return package.wheels.page.format(torch=torch.split("+")[0], tag=cuda_tag(cuda))
