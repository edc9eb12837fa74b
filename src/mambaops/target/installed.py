"""Print what an environment holds, as one JSON object. Run by that environment's own interpreter.

Standard library only, Python 3.8. Keys: `prefix`, `purelib`, `platlib` (folders), `version`, `abi`
("cp311"), `glibc` ("2.31" or ""), `markers` (the values of PEP 508 markers), `installed` (normalised name -> {"version", "location", "info", "editable", "missing"}; `info`: the dist-info folder;
`missing`: files that RECORD lists and that are not there), `visible` (the same for what `import` would find first, with user folders and PYTHONPATH).

    python -I installed.py [NAME ...]     # names: check the files of these distributions
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import re
import subprocess
import sys
import sysconfig
from typing import Any, Dict, List, Set


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def markers() -> Dict[str, str]:
    version = platform.python_version()
    return {
        "implementation_name": sys.implementation.name,
        "implementation_version": version,
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_release": platform.release(),
        "platform_system": platform.system(),
        "platform_version": platform.version(),
        "python_full_version": version,
        "python_version": ".".join(version.split(".")[:2]),
        "sys_platform": sys.platform,
    }


def missing_files(distribution: importlib.metadata.Distribution) -> List[str]:
    """Files of RECORD that are gone; bytecode may always be gone. Without RECORD: RECORD itself."""
    missing = []
    if distribution.files is None:
        return ["RECORD"]
    for file in distribution.files:
        if not str(file).endswith(".pyc") and not os.path.exists(
            str(distribution.locate_file(file))
        ):
            missing.append(str(file))
    return missing


def describe(distribution: importlib.metadata.Distribution, check: bool) -> Dict[str, Any]:
    folder = str(distribution.locate_file(""))
    direct = distribution.read_text("direct_url.json") or "{}"
    try:
        editable = bool(json.loads(direct).get("dir_info", {}).get("editable"))
    except ValueError:
        editable = False
    return {
        "version": distribution.version,
        "location": os.path.realpath(folder),
        "info": str(getattr(distribution, "_path", "")),
        "editable": editable,
        "missing": missing_files(distribution) if check else [],
    }


def distributions(names: Set[str]) -> Dict[str, Any]:
    """First found wins, as for `import`."""
    found: Dict[str, Any] = {}
    for distribution in importlib.metadata.distributions():
        name = distribution.metadata["Name"]
        if name and normalised(name) not in found:
            key = normalised(name)
            found[key] = describe(distribution, key in names)
    return found


def visible() -> Dict[str, Any]:
    """What a plain `python` sees: user folders and PYTHONPATH included (this runs with -I)."""
    code = "import sys, json; print(json.dumps(sys.path))"
    out = subprocess.run([sys.executable, "-c", code], cwd="/", stdout=subprocess.PIPE, check=False)
    try:
        path = json.loads(out.stdout.decode())
    except ValueError:
        return {}
    found: Dict[str, Any] = {}
    for distribution in importlib.metadata.distributions(path=[one for one in path if one]):
        name = distribution.metadata["Name"]
        if name and normalised(name) not in found:
            found[normalised(name)] = describe(distribution, False)
    return found


def glibc() -> str:
    """E.g. "2.31"; empty where the C library is another."""
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").replace("glibc ", "")
    except (AttributeError, OSError, ValueError):
        return ""


def main(names: List[str]) -> None:
    wanted = {normalised(name) for name in names}
    print(
        json.dumps(
            {
                "executable": sys.executable,
                "prefix": os.path.realpath(sys.prefix),
                "purelib": os.path.realpath(sysconfig.get_path("purelib")),
                "platlib": os.path.realpath(sysconfig.get_path("platlib")),
                "version": platform.python_version(),
                "abi": "cp{}{}{}".format(
                    sys.version_info[0], sys.version_info[1], getattr(sys, "abiflags", "")
                ),
                "glibc": glibc(),
                "markers": markers(),
                "installed": distributions(wanted),
                "visible": visible(),
            }
        )
    )


if __name__ == "__main__":
    main(sys.argv[1:])
