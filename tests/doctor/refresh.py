"""Write the golden output of the doctor anew: `python tests/doctor/refresh.py`, then read the difference."""

from __future__ import annotations

from pathlib import Path

from recorded import facts_of, names

from mambaops.doctor.examine import examine, exit_code
from mambaops.doctor.render import text
from mambaops.facts.complete import complete
from mambaops.profiles.model import load_profile

HERE = Path(__file__).resolve().parent
# machines that a profile was made for, and some that it was not
PROFILES = {
    "wsl-5090-bare": "wsl-5090",
    "wsl-5090-nvcc126": "wsl-5090",
    "wsl-5090-ready": "wsl-5090",
    "wsl-linux-driver": "wsl-5090",
    "debian10-a800": "debian-a800",
    "hopper": "hopper",
    "ubuntu20-graph-mamba": "ubuntu20-graph-mamba",
    "ubuntu22-cu118": "ubuntu22-cu118",
    "v100": "wsl-5090",
    "no-gpu": "hopper",
}


def cases() -> list[tuple[str, str]]:
    """(machine, profile or "") of every golden file."""
    machines = names()
    return [(name, "") for name in machines] + sorted(PROFILES.items())


def golden_file(machine: str, profile: str) -> Path:
    return HERE / "golden" / (f"{machine}@{profile}.txt" if profile else f"{machine}.txt")


def rendered(machine: str, profile: str) -> str:
    """What `mambaops doctor --facts … [--profile …]` prints, and its exit status."""
    facts = complete(facts_of(machine))
    checks = examine(facts, load_profile(profile) if profile else None)
    return f"{text(checks)}\nexit {exit_code(checks)}\n"


if __name__ == "__main__":
    (HERE / "golden").mkdir(exist_ok=True)
    wanted = {golden_file(*case): rendered(*case) for case in cases()}
    for path in (HERE / "golden").glob("*.txt"):
        if path not in wanted:
            path.unlink()
    for path, content in wanted.items():
        path.write_text(content, encoding="utf-8")
