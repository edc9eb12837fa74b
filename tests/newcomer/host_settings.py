"""What a bare system gets from the machine that it runs on: where packages come from, and nothing else.

How this machine reaches the package index (pip's own settings, proxies, certificates) is no part of the project
and differs from machine to machine, so it is read here and handed in.
"""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
# e.g. "global.find-links='/srv/wheels'", ":env:.cert='/etc/x.crt'"
_SETTING = re.compile(r"^(?:global|install|:env:)\.([\w-]+)=(.*)$")
# settings of pip that say where packages are; the others are a person's taste
WHERE = ("index-url", "extra-index-url", "find-links", "trusted-host", "default-timeout", "timeout")


def pip_settings() -> dict[str, str]:
    """This machine's settings of where packages come from, whichever file or variable they stand in."""
    argv = [sys.executable, "-m", "pip", "config", "list"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    return parse_settings(done.stdout)


def parse_settings(text: str) -> dict[str, str]:
    """Setting -> value, of what `pip config list` prints; variables win over files, as in pip. Pure."""
    found: dict[str, str] = {}
    for line in sorted(text.splitlines(), key=lambda line: line.startswith(":env:")):
        match = _SETTING.match(line)
        if match and match[1] in WHERE:
            found[match[1]] = str(ast.literal_eval(match[2]))
    return found


def as_file(settings: Mapping[str, str]) -> str:
    """The same as a pip.conf. Pure."""
    lines = [f"{name} = {' '.join(value.split())}" for name, value in settings.items()]
    return "\n".join(["[global]", *lines, ""])


def folders(settings: Mapping[str, str]) -> list[Path]:
    """Folders of this machine that the settings name; a local index's files lie beside its pages."""
    words = [word.removeprefix("file://") for value in settings.values() for word in value.split()]
    named = [Path(word) for word in words if word.startswith("/")]
    found = {one.parent if one.name == "simple" else one for one in named}
    return sorted(one for one in found if one.is_dir())


def environment() -> dict[str, str]:
    """Proxies, and the certificates as the programs of the package index look for them."""
    found = {
        name: value
        for proxy in PROXIES
        for name in (proxy, proxy.upper())
        if (value := os.environ.get(name))
    }
    if CERTIFICATES.is_file():
        for name in ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
            found[name] = str(CERTIFICATES)
    return found


def mirror(files: Iterable[Path] | None = None) -> str | None:
    """Where this machine's apt gets Debian from; None where it is no Debian (debootstrap has its own default)."""
    places = Path("/etc/apt")
    files = files or [places / "sources.list", *sorted(places.glob("sources.list.d/*"))]
    for file in files:
        text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
        found = re.search(
            r"^(?:URIs:|deb(?: \[[^]]*\])?)\s+(\S+/debian)/?(?:\s|$)", text, re.MULTILINE
        )
        if found:
            return found[1]
    return None
