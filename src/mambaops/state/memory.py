"""What an environment was made for, in a small file inside of it."""

from __future__ import annotations

import msgspec

from mambaops.core.files import write_text
from mambaops.decide.case import Case
from mambaops.decide.memory import Made, after
from mambaops.state.places import Places


def read_made(where: Places) -> Made | None:
    """What is remembered; None where nothing is, or where it cannot be read."""
    try:
        return msgspec.json.decode(where.made.read_bytes(), type=Made)
    except (OSError, ValueError):
        return None


def remember(where: Places, case: Case, step: str) -> None:
    """Keep what a step has just made the environment for; the file is replaced as a whole."""
    choice = case.choice
    wanted = Made(
        profile=choice.profile,
        archs=choice.archs,
        torch=choice.torch,
        torch_cuda=choice.torch_cuda,
    )
    made = read_made(where)
    found = after(step, made, wanted, case.flags.arch)
    if found is not None and found != made and where.env.is_dir():
        encoded = msgspec.json.format(msgspec.json.encode(found), indent=2).decode()
        write_text(where.made, encoded + "\n")
