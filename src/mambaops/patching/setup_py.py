"""What a `setup.py` of a CUDA package is changed to, as a pure function of its text."""

from __future__ import annotations

from dataclasses import dataclass, field

import libcst as cst

from mambaops.core.errors import UsageError
from mambaops.patching.codemods.constants import force_build, keep_cuda_build
from mambaops.patching.codemods.cuda_archs import cuda_archs, no_arch_flags
from mambaops.patching.codemods.flags import cxx_standard, nvcc_threads
from mambaops.patching.codemods.missing_nvcc import bare_metal_version
from mambaops.patching.codemods.ninja import no_ninja
from mambaops.patching.literals import dotted
from mambaops.patching.model import Edit, Note
from mambaops.patching.options import SetupOptions as SetupOptions
from mambaops.patching.source import Changes, Source


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchResult:
    """The text after patching.

    Attributes:
        edits: what was changed, in the order of the codemods; empty when the text was as wanted.
        notes: the codemods that had nothing to do, each with the reason.
    """

    text: str
    edits: tuple[Edit, ...] = ()
    notes: tuple[Note, ...] = field(default=())

    @property
    def codemods(self) -> tuple[str, ...]:
        """The ids of the codemods that changed something, in their order."""
        return tuple(dict.fromkeys(edit.codemod for edit in self.edits))


def standard_for_torch(torch_version: str) -> int | None:
    """The C++ standard that torch's headers demand and upstream may not pass, or None.

    torch's headers refuse less than C++20 from 2.14 on and ask for it from 2.13 on; before, upstream's
    own flags are enough. Source: ATen/ATen.h of 2.14.1, pytorch pull request 178150.
    """
    from packaging.version import InvalidVersion, Version

    try:
        release = Version(torch_version).release
    except InvalidVersion as error:
        raise UsageError(f"{torch_version!r} is no torch version", hint='e.g. "2.14.1"') from error
    return 20 if release >= (2, 13) else None


def plan_patch(
    source_text: str, package_hint: str | None = None, options: SetupOptions | None = None
) -> PatchResult:
    """What `source_text` becomes. Patching the result again with the same options changes nothing.

    Args:
        source_text: a whole `setup.py`.
        package_hint: a name for error messages, e.g. the folder that the file lies in.

    Raises:
        UsageError: the file is no setup.py that builds CUDA extensions, or a codemod does not
            understand it; the message says what was looked for.
    """
    options = options or SetupOptions()
    try:
        return _plan(source_text, options)
    except UsageError as error:
        where = f"{package_hint}: " if package_hint else ""
        raise UsageError(where + error.message, hint=error.hint) from error


def _plan(source_text: str, options: SetupOptions) -> PatchResult:
    source = Source(source_text)
    _recognise(source)
    changes = Changes(source)
    force_build(changes, on=options.force_build)
    keep_cuda_build(changes)
    no_ninja(changes, on=not options.ninja)
    if options.archs and options.route == "flags":
        cuda_archs(changes, options.archs, one_ptx=options.one_ptx)
    elif options.route == "environment":
        no_arch_flags(changes)
    if options.cxx_standard is not None:
        cxx_standard(changes, options.cxx_standard)
    if options.nvcc_threads is not None:
        nvcc_threads(changes, options.nvcc_threads)
    bare_metal_version(changes)
    text = changes.result()
    compile(text, "setup.py", "exec")  # a codemod that breaks the file is our own mistake
    return PatchResult(text=text, edits=tuple(changes.edits), notes=tuple(changes.notes))


def _recognise(source: Source) -> None:
    calls = {dotted(call.func).rpartition(".")[2] for call in source.all(cst.Call)}
    # some choose the class first: `Extension = CUDAExtension if … else CppExtension`
    names = {name.value for name in source.all(cst.Name)}
    missing = ["call of setup(…)"] if "setup" not in calls else []
    missing += ["CUDAExtension"] if "CUDAExtension" not in names else []
    if missing:
        raise UsageError(
            f"not a setup.py that builds CUDA extensions: no {' and no '.join(missing)}",
            hint="give the source folder of a CUDA package, the one that holds its setup.py",
        )
