"""`hosts.yaml`, read strictly: every error names the key path, and says what to do."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from mambaops.core import strict_yaml
from mambaops.core.errors import UsageError
from mambaops.core.files import regular
from mambaops.fleet.model import Fleet, Host, Ssh
from mambaops.profiles.load import is_file

SECRETS = re.compile(r"passw|passphrase|secret|token", re.IGNORECASE)
HINT = "`mambaops fleet hosts --schema` has every key"
EXAMPLE = "hosts: {a800: {address: a800.lab, profile: debian-a800}}"


def load_fleet(path: Path) -> Fleet:
    """The machines of a file; paths in it are seen from its folder and become absolute.

    Raises:
        UsageError: not there, not YAML, an unknown key, a wrong value, a group of nobody, a password.
    """
    try:
        text = regular(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(
            f"there is no `{path}`", hint=f"write one (`{EXAMPLE}`), or name yours with `--file`"
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"`{path}` cannot be read: {error}") from error
    fleet = parse_fleet(text, str(path))
    return _with_paths(fleet, path.absolute().parent, str(path))


def parse_fleet(text: str, origin: str) -> Fleet:
    """The machines of YAML text, each with the defaults where it says nothing itself. Raises as `load_fleet`."""
    try:
        raw = strict_yaml.load(text)
    except strict_yaml.NotYaml as error:
        raise UsageError(f"`{origin}` {error}") from error
    _refuse_secrets(raw, origin)
    fleet = _converted(_merged(raw), origin)
    if both := sorted(set(fleet.hosts) & set(fleet.groups)):
        raise UsageError(f"`{origin}`: `{both[0]}` is a machine and a group", hint="rename one")
    for name in fleet.groups:
        _members(fleet, name, (), origin)
    return fleet


def _merged(raw: Any) -> Any:
    """A machine without keys is one too, and takes the defaults."""
    if not isinstance(raw, dict) or not isinstance(raw.get("hosts"), dict):
        return raw
    named = raw.get("defaults")
    defaults = named if isinstance(named, dict) else {}
    hosts = {
        name: {**defaults, **(host or {})} if isinstance(host, dict | None) else host
        for name, host in raw["hosts"].items()
    }
    # the defaults first: what is wrong there is said of them, and not of every machine that takes them
    return {**{key: raw[key] for key in ("defaults",) if key in raw}, **raw, "hosts": hosts}


def _converted(value: Any, origin: str) -> Fleet:
    try:
        return msgspec.convert(value, Fleet)
    except msgspec.ValidationError as error:
        message = strict_yaml.with_entry(value, str(error), "hosts", Host)
        raise UsageError(f"`{origin}`: {message}", hint=_hint(message)) from error


def _hint(message: str) -> str:
    unknown = strict_yaml.unknown_key(message)
    if unknown is None:
        return HINT
    kinds: dict[str, type[msgspec.Struct]] = {"": Fleet, "ssh": Ssh}
    kind = kinds.get(unknown[1], Host)
    known = [field.name for field in msgspec.structs.fields(kind)]
    near = difflib.get_close_matches(unknown[0], known, n=1)
    return f"did you mean `{near[0]}`? {HINT}" if near else HINT


def _refuse_secrets(raw: Any, origin: str, path: str = "") -> None:
    """No key that asks for a password, however deep."""
    for key, value in raw.items() if isinstance(raw, dict) else ():
        if SECRETS.search(key):
            raise UsageError(
                f"`{origin}`: `{path}{key}`: no passwords stand in this file",
                hint="log in by a key: `ssh-copy-id HOST` once, and `ssh-add` where the key has a passphrase",
            )
        _refuse_secrets(value, origin, f"{path}{key}.")


def _members(fleet: Fleet, name: str, above: tuple[str, ...], origin: str) -> list[str]:
    if name in fleet.hosts:
        return [name]
    if name in above:
        raise UsageError(f"`{origin}`: group `{name}` is in itself: {' > '.join((*above, name))}")
    if name not in fleet.groups:
        inside = f"group `{above[-1]}` names `{name}`, which is" if above else f"`{name}` is"
        raise UsageError(f"`{origin}`: {inside} no machine and no group", hint=_near(fleet, name))
    found = [
        one
        for inner in fleet.groups[name]
        for one in _members(fleet, inner, (*above, name), origin)
    ]
    return list(dict.fromkeys(found))


def _near(fleet: Fleet, name: str) -> str:
    known = [*fleet.hosts, *fleet.groups]
    near = difflib.get_close_matches(name, known, n=1)
    listed = ", ".join(known[:20]) + (", …" if len(known) > 20 else "")
    return (f"did you mean `{near[0]}`? " if near else "") + f"there are: {listed}"


def selected(fleet: Fleet, words: Sequence[str], origin: str = "hosts.yaml") -> dict[str, Host]:
    """The machines that words name, each once, in the file's order; no word: all of them.

    Raises:
        UsageError: a name of neither a machine nor a group.
    """
    wanted: Iterable[str] = [one for word in words for one in _members(fleet, word, (), origin)]
    chosen = set(wanted) if words else set(fleet.hosts)
    return {name: host for name, host in fleet.hosts.items() if name in chosen}


def _with_paths(fleet: Fleet, folder: Path, origin: str) -> Fleet:
    ssh = msgspec.structs.replace(
        fleet.ssh, config=_file(fleet.ssh.config, folder, origin, "ssh.config")
    )
    hosts = {
        name: msgspec.structs.replace(
            host,
            identity=_file(host.identity, folder, origin, f"hosts.{name}.identity"),
            bundle=_file(host.bundle, folder, origin, f"hosts.{name}.bundle"),
            profile=_profile(host.profile, folder),
        )
        for name, host in fleet.hosts.items()
    }
    return msgspec.structs.replace(fleet, ssh=ssh, hosts=hosts)


def _file(text: str, folder: Path, origin: str, key: str) -> str:
    if not text:
        return ""
    path = folder / Path(text).expanduser()
    if not path.is_file():
        raise UsageError(f"`{origin}`: {key}: there is no file `{path}`")
    return str(path)


def _profile(name: str, folder: Path) -> str:
    """A profile's file is seen from here; a name stays one."""
    return str(folder / Path(name).expanduser()) if is_file(name) else name


def schema() -> dict[str, Any]:
    """The JSON schema of `hosts.yaml`, for editors."""
    return strict_yaml.json_schema(Fleet)
