"""Reads `tests/machines/*.yaml`: a base, what is special about a machine, and what follows from both.

The notation is explained in `tests/machines/README.md`.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from mambaops.diagnose.rules import read_yaml

FOLDER = Path(__file__).resolve().parents[1] / "machines"
BASE = "base"
_SIZE = re.compile(r"(\d+) ([MGT])iB")
_UNITS = {"M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def machine_names() -> list[str]:
    """Every recorded machine; the base is none."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml") if path.stem != BASE)


def assembled(name: str) -> dict[str, Any]:
    """The facts of a machine, without those that have their default."""
    facts = _read(name)
    facts.pop("about", "")
    _python(facts["python"], facts["host"]["machine"])
    facts["host"]["disks"] = _disks(facts["host"]["disks"])
    facts["gpus"] = _gpus(facts["gpus"])
    facts["toolkits"] = [_toolkit(kit) for kit in facts["toolkits"]]
    facts["compilers"] = [_compiler(one) for one in facts["compilers"]]
    site = facts["python"]["site_packages"]
    facts["packages"] = {key: _package(key, one, site) for key, one in facts["packages"].items()}
    facts["tools"] = {key: _tool(key, one) for key, one in facts["tools"].items()}
    if facts.get("torch"):
        facts["torch"].setdefault("path", f"{site}/torch")
    filled: dict[str, Any] = _filled(facts, {"prefix": facts["python"]["prefix"], **facts["host"]})
    return filled


@cache
def _text(name: str) -> str:
    return (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")


def _read(name: str) -> dict[str, Any]:
    own: dict[str, Any] = read_yaml(_text(name))
    base = own.pop("base", "")
    return merged(_read(base), own) if base else own


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """`base` with these changes; a null takes away what the base says, or what would follow."""
    result = dict(base)
    for key, value in changes.items():
        if value is None and key in base:
            del result[key]
        elif isinstance(value, dict) and isinstance(base.get(key), dict):
            result[key] = merged(base[key], value)
        else:
            result[key] = value
    return result


def _python(python: dict[str, Any], machine: str) -> None:
    """What an interpreter's version, prefix and kind tell about the rest of it."""
    minor = ".".join(python["version"].split(".")[:2])
    prefix, kind = python["prefix"], python["kind"]
    own = prefix if kind == "conda" else "/usr"
    follows = {
        "executable": f"/usr/bin/python{minor}" if kind == "system" else f"{prefix}/bin/python",
        "abi_tag": "cp" + minor.replace(".", ""),
        "platform_tag": f"linux_{machine}",
        "base_prefix": own,
        "headers": f"{own}/include/python{minor}",
        "site_packages": f"{prefix}/lib/python{minor}/site-packages",
        "in_virtualenv": kind == "venv",
    }
    for key, value in follows.items():
        python.setdefault(key, value)


def _disks(disks: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    every = disks.pop("every", {})
    return [{"why": why, **every, **one} for why, one in disks.items()]


def _gpus(gpus: list[dict[str, Any]]) -> list[dict[str, Any]]:
    several = [gpu for gpu in gpus for _ in range(gpu.pop("count", 1))]
    return [
        {"index": n, "uuid": f"GPU-{n:08}-1111-2222-3333-44444444444{n}", **gpu}
        for n, gpu in enumerate(several)
    ]


def _toolkit(kit: dict[str, Any]) -> dict[str, Any]:
    home = kit.get("home") or f"/usr/local/cuda-{kit['version']}"
    header = f"{home}/include/crt/host_config.h"
    source = {"nvcc": f"{home}/bin/nvcc", "home": home, "source": "/usr/local"}
    return {**source, "gcc_max_source": header, **kit}


def _compiler(one: str | dict[str, Any]) -> dict[str, Any]:
    """`g++-11 11.4.0` lies in /usr/bin."""
    if isinstance(one, dict):
        return one
    name, version = one.split()
    return {"name": name, "path": f"/usr/bin/{name}", "version": version}


def _package(name: str, one: str | dict[str, Any], site: str) -> dict[str, Any]:
    more = {"version": one} if isinstance(one, str) else one
    folder = f"{site}/{name.replace('-', '_')}-{more['version']}.dist-info"
    return {"name": name, "path": folder, **more}


def _tool(name: str, one: str | dict[str, Any]) -> dict[str, Any]:
    more = {"version": one} if isinstance(one, str) else one
    return {"path": f"/usr/bin/{name}", **more}


def _filled(value: Any, names: dict[str, Any]) -> Any:
    """`{prefix}` and `{machine}` in every text, and sizes (`24 GiB`) as numbers."""
    if isinstance(value, dict):
        return {key: _filled(one, names) for key, one in value.items()}
    if isinstance(value, list):
        return [_filled(one, names) for one in value]
    if not isinstance(value, str):
        return value
    size = _SIZE.fullmatch(value)
    if size:
        return int(size[1]) * _UNITS[size[2]]
    return value.replace("{prefix}", names["prefix"]).replace("{machine}", names["machine"])
