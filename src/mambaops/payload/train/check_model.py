"""`python -m mambaops.payload.train.check_model`: which function each layer of a model really takes here, and why.

The model is made on the meta device from its configuration alone: no weights, no memory, seconds. Which
functions a layer calls is read from its classes; what each of them is here is what `install` finds, and what
transformers would take by itself.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import json
import os
import re
import shlex
import sys
from importlib.util import find_spec
from typing import Any, Dict, List, Sequence, Set

from mambaops.payload.train.check_model_text import report_text
from mambaops.payload.train.errors import InputError, guarded
from mambaops.payload.train.hub import explain_missing, is_offline, obey_offline

# Called for whole sequences; the others write one token.
_STEPWISE = ("causal_conv1d_update", "selective_state_update", "fused_recurrent_gated_delta_rule")
# What transformers' PyTorch form of a function is, where no kernel is installed.
_LOOPS = {"selective_scan_fn": "slow loop", "fused_recurrent_gated_delta_rule": "loop"}
_DISTRIBUTIONS = {"fla": "flash-linear-attention"}
# how transformers names a kernel and its package over the function that is used without it
_OTHERS = re.compile(
    r"""@use_kernel_func_from_hub_with_fallback\(\s*["'](\w+)["'],\s*["'](\w+)["']"""
)


def check(name: str, policy: str = "") -> Dict[str, Any]:
    """The layers of a model and their functions here.

    Args:
        name: a folder, a config.json, or a hub name.
        policy: as `scan.install`'s.

    Returns:
        model, model_type, family ("" where install() serves none of its functions: `others` has transformers' own),
        device, layers (each with first, last, kind, functions) and functions: name -> {alone, installed, reason,
        use}; mend: what to run.

    Raises:
        InputError: no such configuration, or one that this transformers cannot build.
    """
    from mambaops.payload.scan import dispatch
    from mambaops.payload.scan.names import FAMILIES, family_of

    config = _configuration(name)
    text = getattr(config, "text_config", None) or config
    family = family_of(config.model_type) or family_of(text.model_type)
    report: Dict[str, Any] = {"model": name, "model_type": config.model_type, "family": family}
    if not family:
        others = others_functions(text.model_type)
        mend = sorted({_install(each["package"]) for each in others if not each["installed"]})
        empty = {"device": "", "layers": [], "functions": {}, "mend": mend}
        return {**report, **empty, "others": others}
    installed = dispatch.install(policy or None, families=[family], say=lambda _line: None)
    model = _on_meta(text)
    layers = _layers(model, FAMILIES[family])
    used = {name for layer in layers for name in layer["functions"]}
    functions = {
        choice.function: _row(choice, installed.device)
        for choice in installed.choices
        if choice.function in used
    }
    for layer in layers:
        _note_shapes(layer)
    mend = _mend(functions, installed.device)
    shown = [{k: v for k, v in layer.items() if k != "module"} for layer in layers]
    return {
        **report,
        "device": installed.device,
        "layers": shown,
        "functions": functions,
        "mend": mend,
    }


def _configuration(name: str) -> Any:
    from transformers import AutoConfig

    place = os.path.dirname(name) or "." if name.endswith(".json") else name
    if name.endswith(".json") and not os.path.isfile(name):
        raise InputError(f"{name} is not there", hint="give a folder, a config.json or a hub name")
    try:
        if name.endswith(".json") and os.path.basename(name) != "config.json":
            with open(name, encoding="utf-8") as file:
                values = json.load(file)
            return AutoConfig.for_model(values.pop("model_type"), **values)
        return AutoConfig.from_pretrained(place, local_files_only=is_offline())
    except (OSError, ValueError, KeyError) as error:
        if os.path.exists(place):
            first = (str(error).splitlines() or [type(error).__name__])[0]
            raise InputError(
                f"{name} is no configuration that transformers knows: {first}"
            ) from error
        raise explain_missing(name, "check-model", error) from error


def others_functions(model_type: str) -> List[Dict[str, Any]]:
    """What transformers itself would take from kernel packages for a family that is not ours: {name, package,
    installed}, read from the decorators of its modeling file (transformers >= 5.15)."""
    family = model_type[: -len("_text")] if model_type.endswith("_text") else model_type
    found = find_spec("transformers")
    place = os.path.dirname(found.origin) if found and found.origin else ""
    try:
        with open(
            os.path.join(place, "models", family, f"modeling_{family}.py"), encoding="utf-8"
        ) as file:
            names = sorted(set(_OTHERS.findall(file.read())))
    except OSError:
        return []
    return [
        {"name": name, "package": package, "installed": find_spec(package) is not None}
        for name, package in names
    ]


def _on_meta(config: Any) -> Any:
    """The model without weights."""
    import torch
    from transformers import AutoModelForCausalLM

    try:
        with torch.device("meta"):
            return AutoModelForCausalLM.from_config(config)
    except Exception as error:  # a configuration may be wrong in any way
        raise InputError(
            f"no model can be built from this configuration: {type(error).__name__}: {error}"
        ) from error


def _layers(model: Any, functions: Dict[str, str]) -> List[Dict[str, Any]]:
    """Runs of equal layers: {first, last, kind, functions, module}; kind: the classes of the mixers."""
    stack = max(
        (module for module in model.modules() if type(module).__name__ == "ModuleList"),
        key=lambda module: len(module) * sum(1 for _ in module.modules()),
    )
    found: List[Dict[str, Any]] = []
    for number, layer in enumerate(stack):
        mixers = {
            type(part).__name__: names
            for part in layer.modules()
            for names in [_names(type(part), functions)]
            if names
        }
        called = sorted(set().union(*mixers.values()))
        kind = " + ".join(mixers) or _other_mixer(layer)
        if found and (found[-1]["kind"], found[-1]["functions"]) == (kind, called):
            found[-1]["last"] = number
        else:
            found.append(
                {
                    "first": number,
                    "last": number,
                    "kind": kind,
                    "functions": called,
                    "module": layer,
                }
            )
    return found


def _names(kind: Any, functions: Dict[str, str]) -> Set[str]:
    """Our names of the replaced globals that the methods of a class call."""
    called: Set[str] = set()
    for method in vars(kind).values():
        code = getattr(inspect.unwrap(method) if callable(method) else None, "__code__", None)
        called.update(code.co_names if code is not None else ())
    return {functions[name] for name in called if name in functions}


def _other_mixer(layer: Any) -> str:
    names = [type(part).__name__ for part in layer.modules()]
    for ending in ("Attention", "Mixer", "MoE", "MLP"):
        mixers = [name for name in names if name.endswith(ending)]
        if mixers:
            return mixers[0]
    return type(layer).__name__


def _row(choice: Any, device: str) -> Dict[str, str]:
    """What one function is: by transformers alone, and with mambaops' scan installed."""
    name = choice.function
    use = "one token" if name in _STEPWISE else "sequences"
    absent = "is not installed" in choice.reason
    if absent:
        alone = _LOOPS.get(name, "PyTorch")
    elif device == "cpu":
        alone = "a kernel that refuses CPU tensors"
    else:
        alone = "kernel" if choice.taken == "kernel" else "a kernel that does not work here"
    if name in ("mamba_inner_fn", "mamba_split_conv1d_scan_combined") and absent:
        alone = "in parts"
    return {"use": use, "alone": alone, "installed": _kind(choice), "reason": choice.reason}


def _kind(choice: Any) -> str:
    from mambaops.payload.scan.fallbacks import FALLBACKS, not_fused
    from mambaops.payload.scan.names import KERNELS

    ours = FALLBACKS.get(choice.function)
    if choice.taken == "pytorch":
        if ours is not_fused:
            return "in parts"
        return "ours" if ours else _LOOPS.get(choice.function, "PyTorch of transformers")
    if choice.taken == "triton":
        return "our Triton scan"
    extension = KERNELS[choice.function].extension
    if not extension:
        return "Triton kernel"
    module = sys.modules.get(extension) or importlib.import_module(extension)
    return "runtime kernel" if getattr(module, "__mambaops_kernels__", False) else "kernel"


def _note_shapes(layer: Dict[str, Any]) -> None:
    """Note what the kernels refuse by shape: such calls are ours wherever the kernels work."""
    notes = []
    for part in layer["module"].modules():
        if type(part).__name__ == "Conv1d" and any("conv1d" in name for name in layer["functions"]):
            width, channels = part.kernel_size[0], part.in_channels
            if not 2 <= width <= 4:
                notes.append(f"convolution of width {width}: the kernel takes 2 to 4")
            if channels % 8:
                notes.append(f"{channels} channels are no multiple of 8: the kernel refuses them")
        decays = getattr(part, "A_log", None)
        state = decays.shape[1] if decays is not None and decays.dim() == 2 else 0
        if "selective_scan_fn" in layer["functions"] and state > 256:
            notes.append(f"state of {state}: the kernel takes 256 at most")
    layer["notes"] = sorted(set(notes))


def _mend(functions: Dict[str, Dict[str, str]], device: str) -> List[str]:
    """The lines that make the slow ones fast, best first."""
    from mambaops.payload.scan.names import KERNELS

    missing: Dict[str, List[str]] = {}
    broken = []
    for name, row in functions.items():
        for package in KERNELS[name].packages:
            if row["reason"].startswith(f"{package} is not installed"):
                missing.setdefault(_install(package), []).append(name)
        if row["alone"] == "a kernel that does not work here":
            broken.append(f"{name}: {row['reason']}")
    lines = [f"{line} for {', '.join(names)}" for line, names in missing.items()]
    lines += [f"`mambaops doctor`: {text}" for text in broken]
    if any(row["alone"] != row["installed"] for row in functions.values()):
        lines.insert(
            0, "`from mambaops.payload.scan import install; install()` before training, in Python"
        )
    if device == "cpu" and missing:
        lines = lines[:1] + [f"{line}   (of use with a GPU)" for line in lines[1:]]
    return lines


def _install(package: str) -> str:
    if package in ("causal_conv1d", "mamba_ssm"):
        return "`mambaops build-mamba`"
    name = _DISTRIBUTIONS.get(package, package)
    return f"`{shlex.quote(sys.executable)} -m pip install {name}`"


def main(argv: Sequence[str]) -> Dict[str, Any]:
    """Print the report."""
    parser = argparse.ArgumentParser(prog="check-model", description=__doc__.splitlines()[0])
    parser.add_argument("model", help="folder, config.json or hub name")
    parser.add_argument("--scan", default="", choices=("", "auto", "kernels", "reference"))
    flags = parser.parse_args(argv)
    report = check(flags.model, flags.scan)
    print(report_text(report), flush=True)
    return report


if __name__ == "__main__":
    obey_offline()
    sys.exit(guarded(lambda: main(sys.argv[1:])))
