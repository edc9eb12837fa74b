"""Give transformers' Mamba models functions that look at the device before they choose.

transformers >= 5.15 decides at import, once, and calls an installed kernel even for CPU tensors. `install`
replaces the module globals: the kernel where the tensor is on a GPU on which it was seen to work, our
own scan everywhere else; and says what was chosen and why.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import inspect
import os
import sys
from typing import Any, Callable, Dict, Iterator, List, Optional, Sequence, Set, Tuple

import torch

from . import fallbacks
from .choices import Report, report
from .kernel_loading import load
from .names import FAMILIES, KERNELS
from .verdict import Verdict, probe

POLICIES = ("auto", "kernels", "reference")


class ScanPolicyError(ValueError):
    """A policy that does not exist, or a transformers that cannot be served."""


_ORIGINALS: Dict[Tuple[str, str], Any] = {}
# (capability of the device, function) -> may the kernel be called there
_WORKS: Dict[Tuple[Tuple[int, int], str], bool] = {}


def install(
    policy: Optional[str] = None,
    *,
    families: Optional[Sequence[str]] = None,
    say: Optional[Callable[[str], Any]] = None,
) -> Report:
    """Put device-aware functions into transformers' models of the `names.FAMILIES`.

    The current CUDA device is probed, for all devices of its capability: under torchrun, call
    ``torch.cuda.set_device`` first.

    Args:
        policy: "auto": the kernel where a probe has really launched it on the current device and its
            numbers were right; "kernels": trust what is installed; "reference": never a kernel. None:
            the environment's `MAMBA_FORCE_CUDA=1` means "kernels", else "auto".
        families: which of `names.FAMILIES`, such as "mamba2" or "bamba"; fewer are probed faster.
            None: all that this transformers has.
        say: receives the report's lines; default: stderr. Pass ``lambda line: None`` for silence.

    Raises:
        ScanPolicyError: unknown policy or family, or a transformers older than 5.15 (or absent).
    """
    policy = resolve_policy(policy)
    families = _known(families)
    names = sorted({name for family in families for name in FAMILIES[family].values()})
    device = _current_device()
    verdicts = _judge(policy, [*names, "triton_scan"], device)
    _remember(verdicts, device)
    with _kept_away(verdicts):
        modules = [(family, _modeling(family)) for family in families]
    for family, module in modules:
        for variable, name in FAMILIES[family].items():
            _replace(module, variable, name)
    made = report(policy, device, names, verdicts)
    for line in made.lines():
        (say or _say)(line)
    return made


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


def _known(families: Optional[Sequence[str]]) -> List[str]:
    """The families asked for, or all that this transformers has (the first one always, for its error).

    Raises:
        ScanPolicyError: one that we do not know.
    """
    if families is None:
        return [name for k, name in enumerate(FAMILIES) if not k or _find(name)]
    unknown = [name for name in families if name not in FAMILIES]
    if unknown:
        raise ScanPolicyError(
            f"no family {', '.join(unknown)}; there are {', '.join(sorted(FAMILIES))}"
        )
    return list(families)


def _find(family: str) -> bool:
    try:
        return importlib.util.find_spec(f"transformers.models.{family}") is not None
    except ImportError:
        return False


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
    original = _ORIGINALS.setdefault((module.__name__, variable), getattr(module, variable))
    # of a function that we have no form of, transformers' own PyTorch form is below its choice
    theirs = getattr(original, "__wrapped__", original)
    setattr(module, variable, device_aware(name, theirs))


def device_aware(name: str, theirs: Optional[Callable[..., Any]] = None) -> Callable[..., Any]:
    """The function `name` that calls the kernel for tensors on a GPU where it works, else ours.

    Args:
        theirs: the PyTorch form to take where we have none.
    """
    ours = fallbacks.FALLBACKS.get(name) or theirs
    assert ours is not None
    kernels: List[Callable[..., Any]] = []

    def choose(first: Any, *args: Any, **kwargs: Any) -> Any:
        if first.is_cuda and _works(first, name) and fallbacks.kernel_takes(name, first, args):
            kernel = kernels[0] if kernels else load(name)
            kernels[:] = [kernel]
            if _understands(kernel, kwargs):
                return kernel(first, *args, **_accepted(kernel, kwargs))
        if name == "selective_scan_fn" and first.is_cuda and _works(first, "triton_scan"):
            return load("triton_scan")(first, *args, **_accepted(ours, kwargs))
        _check_packed(name, ours, kwargs)
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


def _check_packed(name: str, ours: Callable[..., Any], kwargs: Dict[str, Any]) -> None:
    """Raises:
    ValueError: packed rows, which this PyTorch form would mix without a word.
    """
    packed = [key for key in ("cu_seqlens", "seq_idx") if kwargs.get(key) is not None]
    apart = "seq_idx" in packed and "seq_idx" in _parameters(ours)
    if packed and not apart and ours is not fallbacks.not_fused:
        raise ValueError(
            f"{name}: packed rows need seq_idx (batch, length), or a kernel; got {', '.join(packed)}"
        )


_PARAMETERS: Dict[Any, Any] = {}


def _parameters(function: Callable[..., Any]) -> Any:
    if function not in _PARAMETERS:
        _PARAMETERS[function] = frozenset(inspect.signature(function).parameters)
    return _PARAMETERS[function]
