"""Names of distributions, as package indexes compare them: `packaging.utils` without its import, which is slow.

`packaging.utils` brings platform tags and logging, `packaging.requirements` a parser: together more than all else that
a command imports, and most commands want nothing of them but these two.
"""

from __future__ import annotations

import re


def normal(name: str) -> str:
    """The normalised name (PEP 503), e.g. "Mamba_SSM" -> "mamba-ssm"."""
    return re.sub(r"[-_.]+", "-", name).lower()


def required(requirement: str) -> str:
    """The normalised name that a valid requirement begins with, e.g. "Pillow[x]>=10" -> "pillow"."""
    return normal(re.split(r"[^A-Za-z0-9._-]", requirement.strip(), maxsplit=1)[0])
