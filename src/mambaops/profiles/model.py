"""What a machine should become: one YAML file per profile, read strictly.

Unknown and repeated keys are refused, versions are quoted strings (YAML reads `12.10` as 12.1 and `3.10`
as 3.1), and every error names the key path. The descriptions of the fields are the JSON schema's and the
fallback reasons of `mambaops profiles --explain`; a profile's own `why` has precedence.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from mambaops.core.errors import UsageError
from mambaops.core.paths import data_dir
from mambaops.knowledge.packages import Package, known, package

Version = Annotated[str, Meta(pattern=r"^\d+(\.\d+)*([.+-]?[a-z0-9.]+)?$")]
Route = Literal["machine", "wheels", "conda", "apt", "runfile"]
Strategy = Literal["store", "prebuilt", "source", "fallback"]


class Target(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    kind: Annotated[
        Literal["venv", "conda"],
        Meta(description="venv needs nothing but Python; conda brings its own libstdc++ and nvcc"),
    ] = "venv"
    python: Annotated[
        list[Version],
        Meta(min_length=1, description="Python versions, best first; the first that is found"),
    ]
    name: Annotated[str, Meta(description="name of the environment")]
    conda_packages: Annotated[
        list[str], Meta(description="conda packages that the environment is created with")
    ] = []
    channels: Annotated[list[str], Meta(description="conda channels, first wins")] = []


class Torch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    versions: Annotated[
        list[Version],
        Meta(
            min_length=1, description="torch releases, best first; the first that the driver runs"
        ),
    ]
    cuda: Annotated[
        list[Version],
        Meta(description="CUDA builds allowed, best first; empty: what the driver takes"),
    ] = []
    channel: Annotated[
        Literal["stable", "nightly"],
        Meta(
            description="nightly is tried first and stable taken where nightly no longer serves it"
        ),
    ] = "stable"
    cpu: Annotated[Version, Meta(description="release for an environment without a GPU")] = "2.13.0"
    companions: Annotated[
        list[str], Meta(description="packages that are pinned to torch and installed with it")
    ] = []


class ToolkitSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    version: Annotated[
        str, Meta(description="CUDA of nvcc; empty: the minor version that torch was built with")
    ] = ""
    routes: Annotated[
        list[Route], Meta(description="routes to nvcc, in the order in which they are tried")
    ] = msgspec.field(default_factory=lambda: ["machine", "wheels", "conda"])


class PackageSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    version: Version
    origin: Annotated[
        Literal["sdist", "git"],
        Meta(description="git for old releases, whose sdists hold no CUDA sources"),
    ] = "sdist"
    tag: Annotated[str, Meta(description="git tag or branch, for origin git")] = ""
    subdirectory: Annotated[str, Meta(description="folder of setup.py inside the source")] = ""
    sha256: Annotated[str, Meta(pattern=r"^([0-9a-f]{64})?$", description="of the sdist")] = ""
    file: Annotated[
        str,
        Meta(description="package file of a package of your own, seen from the profile's folder"),
    ] = ""

    @classmethod
    def by_default(cls, package: Package, file: str = "") -> PackageSpec:
        """The release that a package's own file names; `file` is where that lies."""
        source = package.source
        return cls(
            version=source.version,
            origin=source.origin,
            tag=source.tag.format(version=source.version) if source.origin == "git" else "",
            subdirectory=source.subdirectory,
            sha256=source.sha256,
            file=file,
        )


class Build(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    arch: Annotated[
        str,
        Meta(description='architectures, "8.0;9.0+PTX"; "gpu" is whatever this machine holds'),
    ] = "gpu"
    ninja: Annotated[bool, Meta(description="parallel builds that can be resumed")] = True
    portable: Annotated[
        bool, Meta(description="link so that the result also runs on glibc 2.31 and older")
    ] = True
    jobs: Annotated[int, Meta(ge=0, description="compilers at once; 0: by cores and memory")] = 0
    nvcc_threads: Annotated[int, Meta(ge=1, description="threads inside one nvcc")] = 1
    patch_cpp_extension: Annotated[
        str, Meta(description="CUDA version to add to torch's compiler tables")
    ] = ""
    env: Annotated[dict[str, str], Meta(description="variables of the build alone")] = {}


class Expect(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the machine must be; anything that is not so makes `build-mamba` stop with exit 4."""

    system: Annotated[str, Meta(description="operating system")] = "Linux"
    machine: Annotated[list[str], Meta(description="CPU architectures")] = []
    wsl: Annotated[bool | None, Meta(description="inside WSL or not; null: either")] = None
    distribution: Annotated[list[str], Meta(description='"debian 10", "ubuntu 20.04"')] = []
    capability: Annotated[str, Meta(description="compute capability of the GPU")] = ""
    gpu: Annotated[bool, Meta(description="a GPU is needed")] = False


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    schema: Annotated[Literal["1"], Meta(description="version of this file's format")]
    name: Annotated[
        str, Meta(pattern=r"^[a-z0-9][a-z0-9-]*$", description="what `--profile` takes")
    ]
    title: Annotated[str, Meta(description="one line for the listing")]
    expect: Expect = Expect()
    target: Target
    torch: Torch
    toolkit: ToolkitSpec = ToolkitSpec()
    packages: Annotated[
        dict[str, PackageSpec],
        Meta(description="what is built, by name, in the order of the build"),
    ] = {}
    build: Build = Build()
    obtain: Annotated[
        list[Strategy],
        Meta(description="strategies to get each package, in the order in which they are tried"),
    ] = msgspec.field(default_factory=lambda: ["store", "prebuilt", "source", "fallback"])
    requirements: Annotated[
        list[str], Meta(description="installed beside the packages; never replaces torch")
    ] = []
    constraints: Annotated[
        list[str], Meta(description="bounds for everything that is installed")
    ] = []
    find_links: Annotated[list[str], Meta(description="pages of wheels to look at as well")] = []
    build_requirements: Annotated[
        list[str], Meta(description="what setup.py needs beside torch")
    ] = msgspec.field(
        default_factory=lambda: ["setuptools>=77", "wheel", "packaging", "ninja>=1.13"]
    )
    runtime_env: Annotated[dict[str, str], Meta(description="variables at run time")] = {}
    models: Annotated[list[str], Meta(description="models that training needs")] = []
    why: Annotated[dict[str, str], Meta(description="reason for each value, by its key path")] = {}


class _Loader:
    """YAML without silent surprises: a repeated key is an error."""

    @staticmethod
    def load(text: str) -> Any:
        import yaml

        class Strict(yaml.SafeLoader):
            pass

        def mapping(loader: yaml.SafeLoader, node: yaml.MappingNode) -> dict[Any, Any]:
            keys = [loader.construct_object(key) for key, _ in node.value]
            for key in keys:
                if keys.count(key) > 1:
                    line = node.start_mark.line + 1
                    raise yaml.YAMLError(f"key `{key}` stands twice in the mapping at line {line}")
            return dict(loader.construct_pairs(node, deep=True))

        Strict.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, mapping)
        # the loader derives from SafeLoader: it builds plain values only
        return yaml.load(text, Loader=Strict)


def parse_profile(text: str, origin: str, folder: Path | None = None) -> Profile:
    """A profile from YAML text.

    Args:
        folder: where it lies; the package files that it names are looked for from there.

    Raises:
        UsageError: not YAML, unknown key, wrong type, unquoted version; the message has the key path.
    """
    import yaml

    try:
        raw = _Loader.load(text)
    except yaml.YAMLError as error:
        raise UsageError(f"profile `{origin}` is not YAML: {error}") from error
    try:
        profile = msgspec.convert(raw, type=Profile)
    except msgspec.ValidationError as error:
        message = _with_package(raw, str(error))
        raise UsageError(f"profile `{origin}`: {message}", hint=_hint(message)) from error
    profile = _with_package_files(profile, origin, folder or Path())
    _check_paths(profile, origin)
    return profile


def _with_package(raw: dict[str, Any], message: str) -> str:
    """The key path with the package's name, which msgspec leaves out of a mapping's path."""
    if "`$.packages[...]" not in message:
        return message
    for name, spec in raw["packages"].items():
        try:
            msgspec.convert(spec, PackageSpec)
        except msgspec.ValidationError as error:
            whole = str(error) if "`$" in str(error) else f"{error} - at `$`"
            return whole.replace("`$", f"`$.packages.{name}")
    return message


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
        found[name] = msgspec.structs.replace(spec, file=file)
    return msgspec.structs.replace(profile, packages=found)


def with_added(profile: Profile, added: Mapping[str, str]) -> Profile:
    """The profile with further packages, each in the release that its file names.

    Args:
        added: name -> package file, "" for a known one. Known packages that one asks for come before it;
            what the profile has itself stays.
    """
    found = dict(profile.packages)
    for name, file in added.items():
        described = package(name, file)
        for other in [known(text) for text in described.together.requires]:
            if other is not None:
                found.setdefault(other.name, PackageSpec.by_default(other))
        found.setdefault(name, PackageSpec.by_default(described, file))
    return msgspec.structs.replace(profile, packages=found)


def _hint(message: str) -> str:
    if "Expected `str`, got `float`" in message or "Expected `str`, got `int`" in message:
        return 'put versions in quotes: YAML reads 12.10 as 12.1 and 3.10 as 3.1, "12.10" stays'
    if "unknown field" in message:
        return "the keys are listed by `mambaops profiles --schema`"
    return ""


def _check_paths(profile: Profile, origin: str) -> None:
    known = {path for path, _ in values(profile)}
    for path in profile.why:
        if path not in known and not any(one.startswith(path + ".") for one in known):
            near = difflib.get_close_matches(path, known, n=1)
            raise UsageError(
                f"profile `{origin}`: `why` explains `{path}`, which the profile does not have",
                hint=f"did you mean `{near[0]}`?" if near else "",
            )


def names() -> list[str]:
    """Names of the profiles that come with mambaops."""
    return sorted(path.stem for path in data_dir("env_profiles").glob("*.yaml"))


def load_profile(name: str) -> Profile:
    """A profile by its name, or by the path of a YAML file (`./mine.yaml`).

    Raises:
        UsageError: no such profile (close names are offered), or it does not validate.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) or "/" in name else None
    if path is None:
        path = data_dir("env_profiles") / f"{name}.yaml"
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise _unknown(name) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"profile `{path}` cannot be read: {error}") from error
    return parse_profile(text, str(path) if "/" in name else name, path.parent)


def _unknown(name: str) -> UsageError:
    near = difflib.get_close_matches(name, names(), n=1)
    offer = f"did you mean `{near[0]}`? " if near else ""
    return UsageError(
        f"there is no profile `{name}`; there are: {', '.join(names())}",
        hint=f"{offer}your own profile is a path: `--profile ./mine.yaml`",
    )


def values(record: msgspec.Struct, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(key path, value) of every leaf of a profile, in the order of the file's fields."""
    for field in msgspec.structs.fields(record):
        value = getattr(record, field.name)
        path = f"{prefix}{field.encode_name}"
        if isinstance(value, msgspec.Struct):
            yield from values(value, f"{path}.")
        elif isinstance(value, dict) and value and path != "why":
            for key, one in value.items():
                yield from _entry(f"{path}.{key}", one)
        elif path != "why":
            yield path, value


def _entry(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, msgspec.Struct):
        yield from values(value, f"{path}.")
    else:
        yield path, value


def explain(profile: Profile) -> list[tuple[str, Any, str]]:
    """(key path, value, why) of every value: the profile's own reason, else the field's description."""
    described = descriptions()
    return [(path, value, _reason(profile, path, described)) for path, value in values(profile)]


def _reason(profile: Profile, path: str, described: dict[str, str]) -> str:
    parts = path.split(".")
    for length in range(len(parts), 0, -1):
        if reason := profile.why.get(".".join(parts[:length])):
            return reason
    # the entries of a mapping are described by the mapping
    same = ".".join([*parts[:-2], "*", parts[-1]])
    return described.get(path) or described.get(same) or described.get(".".join(parts[:-1]), "")


def schema() -> dict[str, Any]:
    """The JSON schema of a profile, for editors."""
    return msgspec.json.schema(Profile)


def descriptions() -> dict[str, str]:
    """Key path -> description, from the schema."""
    found: dict[str, str] = {}
    definitions = schema()["$defs"]

    def walk(name: str, prefix: str) -> None:
        for key, field in definitions[name].get("properties", {}).items():
            path = f"{prefix}{key}"
            if text := field.get("description"):
                found[path] = text
            for choice in [field, *field.get("anyOf", [])]:
                if reference := choice.get("$ref"):
                    walk(reference.rsplit("/", 1)[1], f"{path}.")
            entries = field.get("additionalProperties")
            if reference := isinstance(entries, dict) and entries.get("$ref"):
                walk(reference.rsplit("/", 1)[1], f"{path}.*.")

    walk("Profile", "")
    return found
