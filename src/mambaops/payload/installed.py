"""Print what an environment holds, as one JSON object. Run by that environment's own interpreter.

Standard library only, Python 3.8, and few imports: it is run around every installation. Keys: `prefix`,
`purelib`, `platlib` (folders), `version`, `abi` ("cp311"), `glibc` ("2.31" or ""), `markers` (the values of PEP 508
markers), `installed` (normalised name -> {"version", "location", "info", "editable", "missing"}; `info`: the
dist-info folder; `missing`: files that RECORD lists and that are not there), `visible` (the same for what `import`
would find first, with user folders and PYTHONPATH, which `installed` leaves out).

    python installed.py [NAME ...]     # names: only these distributions, and every file of them
"""

from __future__ import annotations

import os
import sys


def search_path(isolated: bool) -> list[str]:
    """Folders that `import` looks into; isolated: without PYTHONPATH and the user's own folder."""
    site = sys.modules.get("site")
    foreign = [os.path.dirname(os.path.abspath(__file__)), ""]
    if isolated:
        foreign += os.environ.get("PYTHONPATH", "").split(os.pathsep)
        foreign.append(getattr(site, "USER_SITE", None) or "")
    left_out = {os.path.realpath(one) if one else one for one in foreign}
    return [one for one in sys.path if one and os.path.realpath(one) not in left_out]


VISIBLE = search_path(isolated=False)
ISOLATED = search_path(isolated=True)
# a stray json.py in the user's folders must not stop us
sys.path[:] = ISOLATED

import json  # noqa: E402
import platform  # noqa: E402
import re  # noqa: E402
import sysconfig  # noqa: E402

TYPE_CHECKING = False
if TYPE_CHECKING:  # the real import costs more than all the others
    from typing import Any


def normalised(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def markers() -> dict[str, str]:
    version = platform.python_version()
    system = os.uname() if hasattr(os, "uname") else platform.uname()
    return {
        "implementation_name": sys.implementation.name,
        "implementation_version": version,
        "os_name": os.name,
        "platform_machine": platform.machine(),
        "platform_python_implementation": platform.python_implementation(),
        "platform_release": system.release,
        "platform_system": platform.system(),
        "platform_version": system.version,
        "python_full_version": version,
        "python_version": ".".join(version.split(".")[:2]),
        "sys_platform": sys.platform,
    }


def distributions(path: list[str], names: set[str]) -> dict[str, Any]:
    """First found wins, as for `import`; with `names`, only those, and their files are looked for."""
    found: dict[str, Any] = {}
    for folder in path:
        for entry in listed(folder):
            # e.g. "mamba_ssm-2.2.4.dist-info", "six-1.16.0-py3.11.egg-info", "mine.egg-info"
            match = re.match(r"(.+?)(?:-([^-]+))?(?:-py[\d.]+)?\.(dist|egg)-info$", entry)
            if not match:
                continue
            info = os.path.join(folder, entry)
            name, version = name_and_version(info)
            key = normalised(name or match.group(1))
            if key not in found and (not names or key in names):
                found[key] = describe(folder, info, version or match.group(2) or "", bool(names))
    return found


def listed(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def read_text(*parts: str) -> str:
    try:
        with open(os.path.join(*parts), encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def name_and_version(info: str) -> tuple[str, str]:
    """From the headers of METADATA or PKG-INFO; empty where there are none."""
    text = read_text(info, "METADATA") or read_text(info, "PKG-INFO")
    text = text or (read_text(info) if os.path.isfile(info) else "")
    headers = text.replace("\r\n", "\n").split("\n\n", 1)[0]
    values = dict(re.findall(r"(?mi)^(name|version):[ \t]*(\S+)", headers)[::-1])
    lower = {key.lower(): value for key, value in values.items()}
    return lower.get("name", ""), lower.get("version", "")


def describe(folder: str, info: str, version: str, check: bool) -> dict[str, Any]:
    return {
        "version": version,
        "location": os.path.realpath(folder),
        "info": info,
        "editable": '"editable": true' in read_text(info, "direct_url.json"),
        "missing": missing_files(folder, info) if check else [],
    }


def missing_files(folder: str, info: str) -> list[str]:
    """Files of RECORD that are gone; bytecode may always be gone. Without RECORD: RECORD itself."""
    import csv

    record = os.path.join(info, "RECORD")
    if not info.endswith(".dist-info"):
        return []
    if not os.path.isfile(record):
        return ["RECORD"]
    with open(record, encoding="utf-8", newline="") as file:
        names = [row[0] for row in csv.reader(file) if row]
    return [
        name
        for name in names
        if not name.endswith(".pyc") and not os.path.exists(os.path.join(folder, name))
    ]


def glibc() -> str:
    """E.g. "2.31"; empty where the C library is another."""
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").replace("glibc ", "")
    except (AttributeError, OSError, ValueError):
        return ""


def main(names: list[str]) -> None:
    wanted = {normalised(name) for name in names}
    abi = "cp{}{}{}".format(*sys.version_info[:2], getattr(sys, "abiflags", ""))
    answer = {
        "executable": sys.executable,
        "prefix": os.path.realpath(sys.prefix),
        "purelib": os.path.realpath(sysconfig.get_path("purelib")),
        "platlib": os.path.realpath(sysconfig.get_path("platlib")),
        "version": platform.python_version(),
        "abi": abi,
        "glibc": glibc(),
        "markers": markers(),
        "installed": distributions(ISOLATED, wanted),
        "visible": distributions(VISIBLE, wanted),
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main(sys.argv[1:])
