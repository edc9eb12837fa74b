"""What `check-model` found, for a person."""

from __future__ import annotations

from typing import Any, Dict, List

from mambaops.payload.scan.names import FAMILIES


def report_text(report: Dict[str, Any]) -> str:
    """The report of `check_model.check` in lines."""
    head = f"{report['model']}: {report['model_type']}"
    if not report["family"]:
        return "\n".join(_not_ours(head, report) + _mend(report))
    lines = [f"{head}, on {report['device']}"]
    for layer, numbers in _alike(report["layers"]):
        lines.append(f"layers {', '.join(numbers)}: {layer['kind']}")
        lines += [f"  {note}" for note in layer.get("notes", [])]
        lines += [_function(name, report["functions"][name]) for name in layer["functions"]]
    if any(
        "gated_delta_rule" in n and r["alone"] != "kernel" for n, r in report["functions"].items()
    ):
        lines.append(
            "without causal-conv1d AND flash-linear-attention this family is slow, and says so once at most"
        )
    return "\n".join(lines + _mend(report))


def _alike(layers: List[Dict[str, Any]]) -> List[Any]:
    """Runs of layers that do the same, told once: (the first run, ["0-2", "4-6", ...])."""
    found: Dict[str, Any] = {}
    for layer in layers:
        key = repr([layer["kind"], layer["functions"], layer.get("notes")])
        first, last = layer["first"], layer["last"]
        numbers = found.setdefault(key, (layer, []))[1]
        numbers.append(f"{first}-{last}" if last > first else f"{first}")
    return list(found.values())


def _function(name: str, row: Dict[str, str]) -> str:
    return (
        f"  {name} ({row['use']}): {row['alone']} by transformers alone, "
        f"{row['installed']} with install(): {row['reason']}"
    )


def _not_ours(head: str, report: Dict[str, Any]) -> List[str]:
    """A family that install() does not serve; what transformers takes for it by itself."""
    lines = [f"{head} is none of the families that are looked into: {', '.join(sorted(FAMILIES))}"]
    for each in report["others"]:
        taken = "its kernel" if each["installed"] else "PyTorch, slow: it is not installed"
        lines.append(
            f"  {each['name']} (of {each['package']}): transformers takes {taken}; install() leaves it so"
        )
    return lines


def _mend(report: Dict[str, Any]) -> List[str]:
    return ["mend:"] * bool(report["mend"]) + [f"  {line}" for line in report["mend"]]
