"""`patch-setup` without `--source`: the profile's own sources, fetched into the build tree and patched there."""

from __future__ import annotations

from pathlib import Path

import msgspec

from mambaops.cli.patch_output import Mode, patch_folders
from mambaops.cli.request import Request
from mambaops.cli.run_step import run_steps
from mambaops.cli.task import say
from mambaops.core.errors import MambaopsError, UsageError
from mambaops.decide.situation import Flags


def patch_profile(
    request: Request, ninja: bool, nvcc: str | None, mode: Mode, *, as_json: bool
) -> int:
    """Fetch and patch (or check, show, revert) what the profile builds; what is asked comes from the profile.

    Raises:
        MambaopsError: nothing is fetched yet (check, diff, revert), or a step failed.
    """
    from mambaops.cli.flags import flags_of
    from mambaops.run.drive import drive
    from mambaops.run.planning import planned

    flags = flags_of(request)
    if not ninja:
        flags = msgspec.structs.replace(flags, ninja=False)
    if mode == "apply":
        drive(request.profile, flags, only=("patch-setup",), say=say)
    case, _ = planned(request.profile, flags)
    trees = case.situation.sources
    if not trees:
        raise _nothing_there(request.profile, flags, case.choice.kernels)
    folders = {Path(tree.path): case.setup_options(name) for name, tree in trees.items()}
    return patch_folders(folders, nvcc, mode, as_json=as_json)


def patch_torch_of(request: Request) -> int:
    """The step of a profile that builds with a CUDA release which torch's tables lack.

    Raises:
        UsageError: the profile names none.
    """
    from mambaops.profiles.load import load_profile

    profile = load_profile(request.profile)
    if not profile.build.patch_cpp_extension:
        raise UsageError(
            f"profile `{profile.name}` names no CUDA release that torch's tables lack",
            hint="name one: `mambaops patch-cpp-extension --cuda 11.8`",
        )
    run_steps(request, "patch-cpp-extension")
    return 0


def _nothing_there(profile: str, flags: Flags, kernels: bool) -> MambaopsError:
    if not kernels:
        return MambaopsError(
            f"profile `{profile}` compiles nothing here: no GPU is visible and no --arch was given",
            hint="`mambaops patch-setup --arch ARCH`",
        )
    return MambaopsError(
        f"the sources of profile `{profile}` are not fetched yet",
        hint="`mambaops fetch-sources --arch ARCH` fetches them",
    )
