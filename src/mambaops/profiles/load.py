"""Profiles from YAML, one file each, read strictly.

Unknown and repeated keys are refused, versions are quoted strings (YAML reads `12.10` as 12.1 and `3.10`
as 3.1), and every error names the key path.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from mambaops import __version__
from mambaops.core import strict_yaml
from mambaops.core.errors import UsageError
from mambaops.core.files import regular
from mambaops.core.kept import keep, recall
from mambaops.core.paths import data_dir
from mambaops.knowledge.mirrors import mirrored
from mambaops.knowledge.packages import package
from mambaops.knowledge.packages.model import Package
from mambaops.profiles.check import complaints
from mambaops.profiles.explain import meant, values
from mambaops.profiles.model import PackageSpec, Profile


def parse_profile(text: str, origin: str, folder: Path | None = None) -> Profile:
    """A profile from YAML text.

    Args:
        folder: where it lies; the package files that it names are looked for from there.

    Raises:
        UsageError: not YAML, unknown key, wrong type, unquoted version; the message has the key path.
    """
    try:
        raw = _read(text)
    except strict_yaml.NotYaml as error:
        raise UsageError(f"profile `{origin}` {error}") from error
    try:
        profile = msgspec.convert(raw, type=Profile)
    except msgspec.ValidationError as error:
        message = strict_yaml.with_entry(raw, str(error), "packages", PackageSpec)
        raise UsageError(f"profile `{origin}`: {message}", hint=_hint(message)) from error
    for wrong in complaints(profile):
        raise UsageError(f"profile `{origin}`: {wrong}")
    profile = _with_package_files(profile, origin, folder or Path())
    _check_paths(profile, origin)
    return profile


def _read(text: str) -> Any:
    """What the text says; kept by its digest, since the YAML library takes longer to load than all of the tables.

    Raises:
        NotYaml: as `strict_yaml.load`.
    """
    from hashlib import sha256

    if "&" in text:  # anchors: a short text can stand for gigabytes, which are never written out
        return strict_yaml.load(text)
    name = f"profiles/{sha256(f'{__version__} {text}'.encode('utf-8', 'surrogatepass')).hexdigest()}.json"
    found = recall(name)
    if found is None:
        found = strict_yaml.load(text)
        keep(name, found)
    return found


def _with_package_files(profile: Profile, origin: str, folder: Path) -> Profile:
    """The packages that are known, or described by a file, whose path becomes absolute."""
    found: dict[str, PackageSpec] = {}
    for name, spec in profile.packages.items():
        file = str((folder / Path(spec.file).expanduser()).resolve()) if spec.file else ""
        try:
            known = package(name, file)
        except UsageError as error:
            message = f"profile `{origin}`: packages.{name}: {error.message}"
            raise UsageError(message, hint=error.hint) from error
        if known.name != name:
            raise UsageError(
                f"profile `{origin}`: packages.{name}: it is called `{known.name}`",
                hint=f"write `{known.name}` in the profile",
            )
        found[name] = msgspec.structs.replace(spec, file=file, sha256=_sha256(spec, known))
    pages = [mirrored(page) for page in profile.find_links]
    return msgspec.structs.replace(profile, packages=found, find_links=pages)


def _sha256(spec: PackageSpec, known: Package) -> str:
    """The sdist's, from the package's own file where the profile wants that very release."""
    same = spec.origin == known.source.origin == "sdist" and spec.version == known.source.version
    return spec.sha256 or (known.source.sha256 if same else "")


def _hint(message: str) -> str:
    if "Expected `str`, got `float`" in message or "Expected `str`, got `int`" in message:
        return 'put versions in quotes: YAML reads 12.10 as 12.1 and 3.10 as 3.1, "12.10" stays'
    if unknown := strict_yaml.unknown_key(message):
        near = meant(*unknown)
        listed = "the keys are listed by `mambaops profiles --schema`"
        return f"did you mean `{near}`? {listed}" if near else listed
    return ""


def _check_paths(profile: Profile, origin: str) -> None:
    known = {path for path, _ in values(profile)}
    for path in profile.why:
        if path not in known and not any(one.startswith(path + ".") for one in known):
            import difflib

            near = difflib.get_close_matches(path, known, n=1)
            raise UsageError(
                f"profile `{origin}`: `why` explains `{path}`, which the profile does not have",
                hint=f"did you mean `{near[0]}`?" if near else "",
            )


def names() -> list[str]:
    """Names of the profiles that come with mambaops."""
    return sorted(path.stem for path in data_dir("env_profiles").glob("*.yaml"))


def is_file(name: str) -> bool:
    """Is a profile named by its file, and not one that comes with mambaops?"""
    return name.endswith((".yaml", ".yml")) or "/" in name


def load_profile(name: str) -> Profile:
    """A profile by its name, or by the path of a YAML file (`./mine.yaml`).

    Raises:
        UsageError: no such profile (close names are offered), or it does not validate.
    """
    path = Path(name) if is_file(name) else None
    if path is None:
        path = data_dir("env_profiles") / f"{name}.yaml"
    try:
        text = regular(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise _unknown(name) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"profile `{path}` cannot be read: {error}") from error
    return parse_profile(text, str(path) if "/" in name else name, path.parent)


def _unknown(name: str) -> UsageError:
    import difflib

    near = difflib.get_close_matches(name, names(), n=1)
    offer = f"did you mean `{near[0]}`? " if near else ""
    return UsageError(
        f"there is no profile `{name}`; there are: {', '.join(names())}",
        hint=f"{offer}your own profile is a path: `--profile ./mine.yaml`",
    )
