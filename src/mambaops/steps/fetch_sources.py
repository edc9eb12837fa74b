"""The sources of the packages, hash-checked and unpacked."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from mambaops.decide.case import Case
from mambaops.decide.packages import compiles, to_build
from mambaops.decide.verdict import Verdict, done, needed
from mambaops.knowledge.packages import Source
from mambaops.profiles.model import PackageSpec
from mambaops.steps.step import Step

if TYPE_CHECKING:
    from mambaops.steps.context import Context


def assess(case: Case) -> Verdict:
    """The sources of the packages, hash-checked and unpacked."""
    missing = [
        f"{name} {spec.version}"
        for name, spec in to_build(case)
        if name not in case.situation.sources
    ]
    if missing:
        return needed(" and ".join(missing))
    return done("unpacked" if case.situation.sources else "nothing has to be built")


def act(context: Context, case: Case) -> None:
    """All sources at once, each with its own log."""

    from concurrent.futures import ThreadPoolExecutor

    from mambaops.compile.sources import fetch
    from mambaops.state.observe import source_folder

    def one(item: tuple[str, PackageSpec]) -> None:
        name, spec = item
        fetch(
            name,
            spec,
            source_folder(case, context.where, name),
            python=context.where.python,
            log=context.run.log(f"fetch-sources:{name}"),
            given=case.flags.source.get(name, ""),
        )

    missing = [item for item in to_build(case) if item[0] not in case.situation.sources]
    with ThreadPoolExecutor(max_workers=max(1, len(missing))) as pool:
        list(pool.map(one, missing))


def script(case: Case) -> list[str]:
    return [
        line
        for name, spec in case.packages.items()
        for line in _fetch(name, spec, case.described(name).source)
    ]


def _fetch(name: str, spec: PackageSpec, source: Source) -> list[str]:
    folder = f"{name}-src"
    if spec.origin == "git":
        clone = ["git", "clone", "--depth", "1", "--branch", spec.tag, source.repository]
        if not spec.subdirectory:
            return [shlex.join([*clone, folder])]
        inside = f"{folder}.git/{spec.subdirectory}"
        return [
            shlex.join([*clone, f"{folder}.git"]),
            shlex.join(["ln", "-s", inside, folder]),
        ]
    skip = [" ".join(f"{key}={shlex.quote(value)}" for key, value in source.env.items()) + " \\"]
    archive = f"{name.replace('-', '_')}-{spec.version}.tar.gz"
    check = [f"echo '{spec.sha256}  {archive}' | sha256sum --check"] if spec.sha256 else []
    return [
        *(skip if source.env else []),
        f'  "$PY" -m pip download --no-deps --no-binary :all: --no-build-isolation {name}=={spec.version}',
        *check,
        f"mkdir -p {folder}",
        f"tar -xzf {archive} --strip-components=1 -C {folder}",
    ]


STEP = Step(
    id="fetch-sources",
    help="Fetch the sources of the packages, hash-checked.",
    assess=assess,
    act=act,
    script=script,
    stands_on=("install-torch", "prepare-build"),
    after=("patch-cpp-extension",),
    wanted=compiles,
)
