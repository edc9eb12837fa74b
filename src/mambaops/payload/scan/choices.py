"""What was chosen for each function, why, and how a person is told."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import torch

from .verdict import Verdict


class Choice(NamedTuple):
    """What runs for one function on a GPU of this kind. `taken`: "kernel", "triton" or "pytorch"."""

    function: str
    taken: str
    reason: str


class Report(NamedTuple):
    """The outcome of `install`.

    Attributes:
        policy: "auto", "kernels" or "reference", as it was resolved.
        device: "cpu" or the GPU's name and capability.
        choices: one per function.
        problems: for every installed kernel that does not work, its true error.
    """

    policy: str
    device: str
    choices: Tuple[Choice, ...]
    problems: Tuple[str, ...]

    def lines(self) -> List[str]:
        """The report for a person: alike choices share a line."""
        together: Dict[Tuple[str, str], List[str]] = {}
        for choice in self.choices:
            together.setdefault((choice.taken, choice.reason), []).append(choice.function)
        said = [
            f"  {', '.join(names)}: {taken} ({reason})"
            for (taken, reason), names in together.items()
        ]
        return [f"scan policy {self.policy} on {self.device}", *said]


def report(
    policy: str, device: Optional[int], names: Sequence[str], verdicts: Dict[str, Verdict]
) -> Report:
    choices = []
    for name in names:
        choices.append(_choice(name, verdicts[name], verdicts.get("triton_scan"), device))
    problems = tuple(f"{n}: {v.reason}" for n, v in verdicts.items() if v.broken)
    return Report(policy, _device_name(device), tuple(choices), problems)


def _choice(
    name: str, verdict: Verdict, triton: Optional[Verdict], device: Optional[int]
) -> Choice:
    if device is None:
        if verdict.works:
            return Choice(name, "pytorch", "the kernel is installed, but there is no GPU for it")
        return Choice(name, "pytorch", f"{verdict.reason}; and no GPU")
    if verdict.works:
        return Choice(name, "kernel", verdict.reason)
    if name == "selective_scan_fn" and triton is not None and triton.works:
        return Choice(name, "triton", f"{verdict.reason}; Triton: {triton.reason}")
    return Choice(name, "pytorch", verdict.reason)


def _device_name(device: Optional[int]) -> str:
    if device is None:
        return "cpu"
    major, minor = torch.cuda.get_device_capability(device)
    return f"{torch.cuda.get_device_name(device)} (sm_{major}{minor})"
