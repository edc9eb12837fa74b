r"""Windows paths as WSL sees them, and back (`D:\mamba` is `/mnt/d/mamba`).

Stdlib only. A path is changed only where that can help: under WSL, or where the drive's mount point
exists. Everything that is no Windows path (POSIX paths, URLs, model ids) is left alone.
"""

from __future__ import annotations

import argparse
import configparser
import csv
import json
import os
import re
import sys
from dataclasses import dataclass
from typing import Dict, List, Optional

# e.g. `D:\mamba\a.csv`, `d:/mamba`, `\\?\C:\x`; not `s3://…` and not `d:relative`
_DRIVE = re.compile(r"^(?:\\\\\?\\)?([A-Za-z]):[\\/](.*)$", re.DOTALL)
# e.g. `\\wsl$\Ubuntu\home\me`, `//wsl.localhost/Ubuntu-22.04/home/me`
_WSL_UNC = re.compile(
    r"^[\\/]{2}wsl(?:\$|\.localhost)[\\/][^\\/]+(?:[\\/](.*))?$", re.I | re.DOTALL
)
# e.g. `\\server\share\a.png`
_UNC = re.compile(r"^\\\\[^\\?]+\\")

QUOTES = "\"'“”‘’ \t\r\n"


@dataclass(frozen=True)
class Mapping:
    """Where drives are mounted. `active` says whether drive letters mean anything on this system."""

    root: str = "/mnt"
    active: bool = True
    distro: str = ""


def parse_automount_root(wsl_conf: str) -> str:
    """`[automount] root` of a `/etc/wsl.conf`, without its final slash; `/mnt` where it says nothing."""
    parser = configparser.ConfigParser(
        strict=False, interpolation=None, comment_prefixes=("#", ";")
    )
    try:
        parser.read_string(wsl_conf)
    except configparser.Error:
        return "/mnt"
    root = parser.get("automount", "root", fallback="/mnt").strip().strip(QUOTES)
    return root.rstrip("/") if root.strip("/") else ""


def read_mapping(conf: str = "/etc/wsl.conf", proc_version: str = "/proc/version") -> Mapping:
    """How this system mounts Windows drives; inactive outside WSL."""
    return Mapping(
        root=parse_automount_root(_read(conf)),
        active="microsoft" in _read(proc_version).lower(),
        distro=os.environ.get("WSL_DISTRO_NAME", ""),
    )


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def is_windows_path(text: str) -> bool:
    r"""Whether it names a drive (`C:\`, `c:/`), a WSL share or another network share."""
    text = text.strip(QUOTES)
    return bool(_DRIVE.match(text) or _WSL_UNC.match(text) or _UNC.match(text))


def to_wsl(text: str, mapping: Mapping = Mapping()) -> str:
    r"""A path as this system spells it: surrounding quotes gone, drive and WSL share mapped.

    A share of another machine (`\\server\share`) has no fixed place under WSL and is left as it is.
    """
    path = text.strip(QUOTES)
    share = _WSL_UNC.match(path)
    if share:
        return "/" + _slashes(share.group(1) or "")
    drive = _DRIVE.match(path)
    if not drive:
        return path
    mounted = f"{mapping.root}/{drive.group(1).lower()}"
    if not (mapping.active or os.path.isdir(mounted)):
        return path
    return f"{mounted}/{_slashes(drive.group(2))}".rstrip("/")


def to_windows(text: str, mapping: Mapping = Mapping()) -> str:
    r"""The Windows spelling of a POSIX path: `/mnt/d/x` is `D:\x`, others go through `\\wsl.localhost`."""
    path = text.strip(QUOTES)
    if is_windows_path(path) or not path.startswith("/"):
        return path
    mounted = re.match(re.escape(mapping.root) + r"/([A-Za-z])(?:/(.*))?$", path, re.DOTALL)
    if mounted:
        return f"{mounted.group(1).upper()}:\\" + (mounted.group(2) or "").replace("/", "\\")
    if not mapping.distro:
        return path
    return f"\\\\wsl.localhost\\{mapping.distro}" + path.replace("/", "\\")


def _slashes(text: str) -> str:
    return re.sub(r"[\\/]+", "/", text).lstrip("/")


def resolve(text: str, mapping: Mapping, base: str = "") -> str:
    """`to_wsl`, with a relative path taken from the folder `base`."""
    path = os.path.expanduser(to_wsl(text, mapping))
    if is_windows_path(path) or os.path.isabs(path) or not base:
        return path
    return os.path.join(base, path.replace("\\", "/"))


def why_missing(path: str) -> str:
    """One clause on why a path that was mapped is not there."""
    if _UNC.match(path) and not _WSL_UNC.match(path):
        return "a network share: mount it (`sudo mount -t drvfs '\\\\server\\share' /mnt/share`)"
    if is_windows_path(path):
        return "a Windows path, and this system is not WSL and mounts no such drive"
    parent = os.path.dirname(path)
    while parent and not os.path.isdir(parent) and parent != "/":
        parent = os.path.dirname(parent)
    return f"its folder exists only down to {parent or '.'}"


def read_paths_yaml(path: str, mapping: Optional[Mapping] = None) -> Dict[str, object]:
    """`config/paths.yaml` with every string that is a Windows path mapped.

    Relative paths stay as they are: such a file is written for the folder that it is run from.

    Raises:
        ValueError: the file is no YAML mapping.
    """
    import yaml

    mapping = mapping or read_mapping()
    with open(path, encoding="utf-8-sig") as file:
        try:
            values = yaml.safe_load(file) or {}
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise ValueError(f"{path} is no YAML: {error}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path} holds a {type(values).__name__}, not `key: value` lines")  # noqa: TRY004
    return {
        str(key): to_wsl(value, mapping) if isinstance(value, str) else value
        for key, value in values.items()
    }


def paths_in(name: str) -> List[str]:
    """The paths that a .yaml or .csv file holds; any other name stands for itself."""
    if not os.path.isfile(name):
        return [name]
    if name.lower().endswith((".yaml", ".yml")):
        import yaml

        with open(name, encoding="utf-8-sig") as file:
            values = (yaml.safe_load(file) or {}).values()
        return [v for v in values if isinstance(v, str) and (is_windows_path(v) or "/" in v)]
    if not name.lower().endswith(".csv"):
        return [name]
    with open(name, "rb") as raw:
        data = raw.read()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("gb18030")
    rows = csv.DictReader(text.splitlines())
    columns = ("image_path", "mask_path")
    return [str(row[c]) for row in rows for c in columns if row.get(c)]


def main(argv: List[str]) -> int:
    """Print each path, what it maps to, and whether that exists; 1 where one does not."""
    parser = argparse.ArgumentParser(description="Map Windows paths to WSL and back.")
    parser.add_argument("path", nargs="+", help="a path, or a .yaml or .csv that holds paths")
    parser.add_argument("--to_windows", action="store_true")
    parser.add_argument("--json", action="store_true")
    flags = parser.parse_args(argv)
    mapping, found = read_mapping(), []
    for path in [each for name in flags.path for each in paths_in(to_wsl(name, mapping))]:
        here = to_wsl(path, mapping)
        mapped = to_windows(path, mapping) if flags.to_windows else here
        found.append({"path": path, "mapped": mapped, "exists": os.path.exists(here)})
    if flags.json:
        print(json.dumps(found, ensure_ascii=False, indent=2))
    else:
        for each in found:
            note = (
                ""
                if each["exists"]
                else f"   missing: {why_missing(to_wsl(str(each['path']), mapping))}"
            )
            print(f"{each['path']} -> {each['mapped']}{note}")
    return 0 if all(each["exists"] for each in found) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
