"""Python's headers (Python.h): which interpreter lacks them, and how they may be had without root. Pure."""

from __future__ import annotations

from mambaops.decide.case import Case
from mambaops.facts.model import Facts, Python
from mambaops.knowledge.tables import minor_of


def base_python(case: Case) -> Python | None:
    """The interpreter whose headers a build will use; None while that cannot be known.

    An environment that is not there yet is made of the Python that runs mambaops, where that is of the
    chosen version; conda and uv bring their own, with headers.
    """
    if case.target is not None:
        return case.target.python
    here = case.facts.python
    if case.profile.target.kind == "conda" or minor_of(here.version) != case.choice.python:
        return None
    return here


def without_headers(case: Case) -> Python | None:
    """The interpreter of a build whose Python.h is known to be missing; None: there is none such."""
    python = base_python(case)
    if case.facts.host.system != "Linux" or python is None or python.headers is not None:
        return None
    return python


def apt_package(facts: Facts, python: Python) -> str | None:
    """The distribution's package that holds the headers of its own Python; None where it is another's."""
    system = facts.host.distribution
    if "debian" not in (system.id, *system.like) or not _of_the_system(python):
        return None
    return f"libpython{minor_of(python.version)}-dev"


def _of_the_system(python: Python) -> bool:
    return (python.base_prefix or python.prefix) == "/usr"


def by_hand(facts: Facts, python: Python) -> str:
    """The command that installs them where one is root."""
    minor = minor_of(python.version)
    system = facts.host.distribution
    names = {system.id, *system.like}
    if names & {"fedora", "rhel", "centos"}:
        return f"`sudo dnf install python{minor}-devel` (or python3-devel, for the system's own)"
    if names & {"suse", "opensuse"}:
        return f"`sudo zypper install python{minor.replace('.', '')}-devel`"
    if "alpine" in names:
        return "`apk add python3-dev`"
    return f"`sudo apt-get install python{minor}-dev`"
