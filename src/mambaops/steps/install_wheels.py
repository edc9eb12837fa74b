"""The wheels into the target environment, and beside them what the packages really need.

The wheels go in with `--no-deps`: their own pins would replace torch and triton (mamba-ssm 2.3.2 asks for
triton>=3.5 and an exact tilelang that only Mamba-3 uses). What is left out is said.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from mambaops.core.errors import MambaopsError
from mambaops.core.names import normal, required
from mambaops.decide.case import Case
from mambaops.decide.environment import unsatisfied
from mambaops.decide.packages import (
    KERNELS,
    has_prebuilt,
    is_installed,
    prebuilt_version,
    served,
    strategies,
    unobtainable,
)
from mambaops.decide.runtime import refusal, wanted_python_part
from mambaops.decide.verdict import Verdict, blocked, done, needed
from mambaops.steps.step import Step

if TYPE_CHECKING:
    from mambaops.steps.context import Context

# never replaced by anything that a requirement pulls in
KEPT = ("torch", "triton", "torchvision", "torchaudio")


def assess(case: Case) -> Verdict:
    """Both packages and what they really need, in the target environment."""
    without_wheel = served(case)
    absent = [
        name
        for name in case.packages
        if case.choice.kernels
        and name not in without_wheel
        and not is_installed(case, name)
        and not _prebuilt_in(case, name)
    ]
    lacking = unsatisfied(case, case.requirements)
    hiding = [f"{KERNELS} would hide the compiled modules"] if _hidden(case) else []
    if lost := [name for name in unobtainable(case) if name in absent]:
        return _lost(case, lost)
    if absent or lacking or hiding:
        return needed(" and ".join(absent + lacking + hiding))
    return done("installed")


def _lost(case: Case, names: list[str]) -> Verdict:
    """No wheel, and nothing that may make one."""
    allowed = " and ".join(strategies(case)) or "nothing"
    reasons = [found.reason for name in names if (found := case.situation.prebuilt.get(name))]
    if "runtime" in strategies(case):
        reasons.append(refusal(case))
    why = "; ".join(reason for reason in dict.fromkeys(reasons) if reason)
    return blocked(
        f"{' and '.join(names)}: not in the store, and {allowed} is all that `obtain` allows"
        + (f" ({why})" if why else ""),
        "`mambaops build-mamba --obtain source` compiles them here; a wheel of your own goes into the store with "
        "`mambaops wheels add *.whl`",
    )


def _hidden(case: Case) -> bool:
    """An import takes a folder before a compiled module: `mambaops-kernels` must go where those are wanted."""
    there = case.target is not None and KERNELS in case.target.distributions
    return there and case.choice.kernels and not served(case)


def _prebuilt_in(case: Case, package: str) -> bool:
    """A prebuilt wheel carries upstream's version, so its release is what can be compared."""
    if not has_prebuilt(case, package) or case.target is None:
        return False
    found = case.target.packages.get(package)
    if found is None or found.version == wanted_python_part(case, package):
        return False
    return found.version.split("+")[0] == prebuilt_version(case, package)


def act(context: Context, case: Case) -> None:
    """Install what is missing.

    Raises:
        MambaopsError: a wheel that is not there, or pip cannot satisfy the requirements without
            replacing torch.
    """
    if case.choice.kernels:
        _wheels(context, case)
    if _hidden(case):
        context.pip(STEP.id, ["uninstall", "--yes", KERNELS])
        context.say(f"{KERNELS} is removed: compiled modules take its place")
    missing = unsatisfied(case, case.requirements)
    if missing:
        _requirements(context, case, missing)


def _wheels(context: Context, case: Case) -> None:
    from mambaops.install.wheels import install_wheels

    files = [Path(path) for path in _files(case)]
    if not files:
        return
    for one in install_wheels(files, context.where.python, facts=case.target, say=context.say):
        context.say(f"{one.name} {one.version} in {one.location} (by {one.installer}, --no-deps)")
    for line in ignored_pins(files, case):
        context.say(line)


def _files(case: Case) -> list[str]:
    found = []
    without_wheel = served(case)
    for name in [one for one in case.packages if one not in without_wheel]:
        installed = case.target.packages.get(name) if case.target else None
        if installed is not None and installed.version == case.wanted_version(name):
            continue
        if name in case.situation.wheels:
            found.append(case.situation.wheels[name])
        elif prebuilt := case.situation.prebuilt.get(name):
            found += [prebuilt.path] if prebuilt.path else []
    return found


def ignored_pins(files: list[Path], case: Case) -> list[str]:
    """What the wheels ask for and do not get, because it would replace what is there."""
    from packaging.requirements import Requirement

    from mambaops.wheels.metadata import metadata_of

    said = []
    installed = case.target.distributions if case.target else {}
    wanted = {required(text) for text in case.requirements}
    for path in files:
        for requirement in map(Requirement, metadata_of(path).requires):
            name = normal(requirement.name)
            have = installed.get(name)
            if have and not requirement.specifier.contains(have, prereleases=True):
                said.append(f"{path.name.split('-')[0]} asks for `{requirement}`; {have} stays")
            elif have is None and name not in wanted and requirement.marker is None:
                said.append(
                    f"{path.name.split('-')[0]} asks for `{requirement}`; left out, nothing that "
                    "the profile uses needs it"
                )
    return said


def _requirements(context: Context, case: Case, missing: list[str]) -> None:
    pins = context.run.folder / "kept.txt"
    installed = case.target.distributions if case.target else {}
    kept = [f"{name}=={installed[name]}" for name in KEPT if name in installed]
    pins.write_text("\n".join([*kept, *case.profile.constraints]) + "\n", encoding="utf-8")
    words: list[str | Path] = [*missing, "--constraint", pins]
    for page in case.profile.find_links:
        words += ["--find-links", page]
    try:
        context.install(STEP.id, words)
    except MambaopsError as error:
        from mambaops.download.http import CARRIED_HINT

        raise MambaopsError(
            f"the requirements could not be installed without replacing torch: {error.message}",
            hint=f"the whole log is {context.run.log(STEP.id)}; `mambaops --help install-requirements` shows "
            f"what would have to change; {CARRIED_HINT}",
        ) from error


def script(case: Case) -> list[str]:
    requirements = " ".join(shlex.quote(one) for one in case.requirements)
    lines = [f'"$PY" -m pip install {requirements}'] if requirements else []
    if case.choice.kernels:
        lines.append('"$PY" -m pip install --no-deps --force-reinstall wheels/*.whl')
    return lines


STEP = Step(
    id="install-wheels",
    help="Install the wheels and what they need, without replacing torch.",
    assess=assess,
    act=act,
    script=script,
    after=("build-wheel", "find-wheels", "install-kernels", "install-torch"),
)
