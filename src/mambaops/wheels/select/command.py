"""The one command that gets the wheel which was chosen, or the package where none fits. Pure."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mambaops.wheels.select.verdicts import Pair, Selection, Verdict


def command_for(selection: Selection) -> str:
    """A line to paste: pip's where a file is chosen, without what would replace torch; else what builds the package."""
    chosen = selection.chosen
    if chosen is None and selection.machine.torch is None:
        return "mambaops build-mamba"  # torch first, since a wheel fits one torch only
    if chosen is None:
        return f"mambaops build-wheel --package {selection.package}"
    return _got(chosen, selection.package, selection.machine.interpreter)


def command_for_pair(pair: Pair) -> str:
    """The same for both packages, the one that the other needs first; what makes them itself where no two fit."""
    if pair.first is None or pair.other is None:
        return "mambaops build-mamba"
    both = zip((pair.other, pair.first), reversed(pair.names), strict=True)
    return " && ".join(_got(chosen, name, pair.interpreter) for chosen, name in both)


def _got(chosen: Verdict, package: str, python: str) -> str:
    """What installs one file that was chosen."""
    if chosen.candidate.needs:
        return f"conda install -c conda-forge {package}"
    if chosen.repair:
        return _repaired(chosen, python)
    return shlex.join([python, "-m", "pip", "install", "--no-deps", *_what(chosen)])


def _what(chosen: Verdict) -> list[str]:
    """The file; from an index whose files' names are only promised, the version that is to be found there."""
    if not chosen.url.endswith("/"):
        return [chosen.url]
    package, version = chosen.name.split("-")[:2]
    index = chosen.url.rstrip("/").rpartition("/")[0] + "/"
    return [f"{package.replace('_', '-')}=={version}", "--index-url", index]


def _repaired(chosen: Verdict, python: str) -> str:
    """Fetched, mended for the older glibc, and what comes of that installed."""
    # the repaired wheel carries the glibc in its version
    pattern = shlex.quote(f"{chosen.name.partition('-cp')[0]}.glibc*.whl")
    return (
        f"mambaops wheels fetch {shlex.quote(chosen.url)} && "
        f"mambaops wheels repair {shlex.quote(chosen.name)} --glibc {chosen.repair} && "
        f"mambaops wheels install {pattern} --python {shlex.quote(python)}"
    )
