"""Give transformers' Mamba models functions that look at the device before they choose.

transformers >= 5.15 decides at import, once, and calls an installed kernel even for CPU tensors. `install`
replaces the module globals: the kernel where the tensor is on a GPU on which it was seen to work, our
own scan everywhere else; and says what was chosen and why.
"""

from __future__ import annotations

import contextlib
import importlib
import inspect
import os
import sys
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

import torch

from . import fallbacks
from .kernel_loading import load
from .names import FAMILIES, KERNELS
from .verdict import Verdict, probe

POLICIES = ("auto", "kernels", "reference")


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


class ScanPolicyError(ValueError):
    """A policy that does not exist, or a transformers that cannot be served."""


_ORIGINALS: Dict[Tuple[str, str], Any] = {}
# (capability of the device, function) -> may the kernel be called there
_WORKS: Dict[Tuple[Tuple[int, int], str], bool] = {}


def install(
    policy: Optional[str] = None,
    *,
    families: Sequence[str] = tuple(FAMILIES),
    say: Optional[Callable[[str], Any]] = None,
) -> Report:
    """Put device-aware functions into transformers' Mamba, Mamba-2 and Falcon-Mamba.

    The current CUDA device is probed, for all devices of its capability: under torchrun, call
    ``torch.cuda.set_device`` first.

    Args:
        policy: "auto": the kernel where a probe has really launched it on the current device and its
            numbers were right; "kernels": trust what is installed; "reference": never a kernel. None:
            the environment's `MAMBA_FORCE_CUDA=1` means "kernels", else "auto".
        families: which of "mamba", "falcon_mamba", "mamba2"; fewer are probed faster.
        say: receives the report's lines; default: stderr. Pass ``lambda line: None`` for silence.

    Raises:
        ScanPolicyError: unknown policy, or a transformers older than 5.15 (or absent).
    """
    policy = resolve_policy(policy)
    names = sorted({name for family in families for name in FAMILIES[family].values()})
    device = _current_device()
    verdicts = _judge(policy, [*names, "triton_scan"], device)
    _remember(verdicts, device)
    with _kept_away(verdicts):
        modules = [(family, _modeling(family)) for family in families]
    for family, module in modules:
        for variable, name in FAMILIES[family].items():
            _replace(module, variable, name)
    report = _report(policy, device, names, verdicts)
    for line in report.lines():
        (say or _say)(line)
    return report


def uninstall() -> None:
    """Give transformers its own functions back."""
    for (module, variable), original in _ORIGINALS.items():
        setattr(sys.modules[module], variable, original)
    _ORIGINALS.clear()
    _WORKS.clear()


def resolve_policy(policy: Optional[str]) -> str:
    """`policy`, or what `MAMBA_FORCE_CUDA` says, or "auto".

    Raises:
        ScanPolicyError: an unknown policy.
    """
    if policy is None:
        return "kernels" if os.environ.get("MAMBA_FORCE_CUDA") == "1" else "auto"
    if policy not in POLICIES:
        raise ScanPolicyError(f"scan policy must be one of {', '.join(POLICIES)}, got {policy!r}")
    return policy


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _current_device() -> Optional[int]:
    return torch.cuda.current_device() if torch.cuda.is_available() else None


def _judge(policy: str, names: Sequence[str], device: Optional[int]) -> Dict[str, Verdict]:
    if policy == "reference":
        return {name: Verdict(False, "policy reference") for name in names}
    if policy == "kernels":
        return {name: _trust(name) for name in names}
    # on a machine without a GPU nothing can be launched, and Triton's scan cannot be of use
    asked = names if device is not None else [n for n in names if n != "triton_scan"]
    return probe(asked, device)


def _trust(name: str) -> Verdict:
    if name == "triton_scan":
        return Verdict(False, "policy kernels")
    try:
        load(name)
    except Exception as error:
        return Verdict(False, f"{type(error).__name__}: {error}")
    return Verdict(True, "trusted unprobed: policy kernels")


def _remember(verdicts: Dict[str, Verdict], device: Optional[int]) -> None:
    _WORKS.clear()
    if device is not None:
        capability = torch.cuda.get_device_capability(device)
        _WORKS.update({(capability, n): v.works for n, v in verdicts.items()})


@contextlib.contextmanager
def _kept_away(verdicts: Dict[str, Verdict]) -> Iterator[None]:
    """While transformers is imported, hide packages whose import crashed or hung in the probe."""
    hidden: Set[str] = set()
    for name, verdict in verdicts.items():
        if verdict.deadly:
            hidden.update(p for p in KERNELS[name].packages if p not in sys.modules)
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for package in hidden:
            sys.modules.pop(package, None)


def _modeling(family: str) -> Any:
    name = f"transformers.models.{family}.modeling_{family}"
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        raise ScanPolicyError(
            f"transformers >= 5.15 is needed, importing {name} failed: {error}"
        ) from error
    missing = [variable for variable in FAMILIES[family] if not hasattr(module, variable)]
    if missing:
        version = getattr(sys.modules["transformers"], "__version__", "?")
        raise ScanPolicyError(
            f"transformers {version} has no {', '.join(missing)} in {name}; wanted >= 5.15, "
            "where the kernels are reached through these functions"
        )
    return module


def _replace(module: Any, variable: str, name: str) -> None:
    key = (module.__name__, variable)
    _ORIGINALS.setdefault(key, getattr(module, variable))
    setattr(module, variable, device_aware(name))


def device_aware(name: str) -> Callable[..., Any]:
    """The function `name` that calls the kernel for tensors on a GPU where it works, else ours."""
    ours = fallbacks.FALLBACKS[name]
    kernels: List[Callable[..., Any]] = []

    def choose(first: Any, *args: Any, **kwargs: Any) -> Any:
        if first.is_cuda and _works(first, name) and fallbacks.kernel_takes(name, first, args):
            kernel = kernels[0] if kernels else load(name)
            kernels[:] = [kernel]
            if _understands(kernel, kwargs):
                return kernel(first, *args, **_accepted(kernel, kwargs))
        if name == "selective_scan_fn" and first.is_cuda and _works(first, "triton_scan"):
            return load("triton_scan")(first, *args, **_accepted(ours, kwargs))
        return ours(first, *args, **_accepted(ours, kwargs))

    choose.__name__ = choose.__qualname__ = name
    choose.__doc__ = f"`{name}`: the kernel where it works, PyTorch elsewhere (mambaops)."
    return choose


def _works(tensor: Any, name: str) -> bool:
    return _WORKS.get((torch.cuda.get_device_capability(tensor.device), name), False)


def _accepted(function: Callable[..., Any], kwargs: Dict[str, Any]) -> Dict[str, Any]:
    """transformers passes everything that any of its back ends knows; keep what this one takes."""
    known = _parameters(function)
    return {key: value for key, value in kwargs.items() if key in known}


# Dropping one of these would change the result: Falcon-Mamba's norms, packed rows.
_MATTERS = ("b_rms_weight", "c_rms_weight", "dt_rms_weight", "seq_idx", "initial_states")


def _understands(kernel: Callable[..., Any], kwargs: Dict[str, Any]) -> bool:
    """Older kernels lack arguments that newer models pass."""
    return all(kwargs.get(name) is None or name in _parameters(kernel) for name in _MATTERS)


_PARAMETERS: Dict[Any, Any] = {}


def _parameters(function: Callable[..., Any]) -> Any:
    if function not in _PARAMETERS:
        _PARAMETERS[function] = frozenset(inspect.signature(function).parameters)
    return _PARAMETERS[function]


def _report(
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
