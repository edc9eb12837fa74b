"""Fetching the sources and patching their setup.py files."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mambaops.compile.sources import fetch, mark_patched
from mambaops.decide.assess import Case, fitting_toolkit, to_build
from mambaops.decide.choice import setup_options
from mambaops.profiles.model import PackageSpec
from mambaops.state.observe import source_folder
from mambaops.steps.context import Context


def fetch_sources(context: Context, case: Case) -> None:
    """Both sources at once, each with its own log."""

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


def patch_setup(context: Context, case: Case) -> None:
    """Make both setup.py files compile exactly what was chosen; the diffs go into the run's folder."""
    from mambaops.patching.apply import apply_to_tree

    options = setup_options(case.profile, case.choice, case.flags)
    toolkit, _ = fitting_toolkit(case)
    for name, _ in to_build(case):
        tree = Path(case.situation.sources[name].path)
        applied = apply_to_tree(tree, options, nvcc=toolkit.version if toolkit else None)
        context.run.log(f"patch-setup:{name}").write_text(applied.diff, encoding="utf-8")
        mark_patched(source_folder(case, context.where, name), options.digest())
        context.say(f"{name}: {', '.join(applied.patches)}")


def patch_cpp_extension(context: Context, case: Case) -> None:
    """Add the profile's CUDA version to torch's compiler tables (P11)."""
    from mambaops.patching.doors import patch_cpp_extension_of
    from mambaops.state.evidence import read_notes, write_notes

    version = case.profile.build.patch_cpp_extension
    patch_cpp_extension_of(context.where.python, version)
    notes = read_notes(context.where.notes)
    write_notes(context.where.notes, {**notes, "cpp_extension": version})
