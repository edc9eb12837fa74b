"""Requirements files as people really write them, line by line with their numbers.

Reads what pip reads (https://pip.pypa.io/en/stable/reference/requirements-file-format/): includes, constraints,
continued lines, comments, variables, options, hashes, addresses, editables. Files in GBK or UTF-16 (PowerShell's `>`)
are read too, and that is said. A line that cannot be understood is an error with its number.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from mambaops.core.errors import UsageError
from mambaops.core.files import regular
from mambaops.install.encoding import decode

Say = Callable[[str], None]

# e.g. "numpy  # why": a `#` counts after white space only, "…git#egg=x" stays whole
COMMENT = re.compile(r"(^|\s+)#.*$")
# e.g. "${TOKEN}": capitals, as pip has it
VARIABLE = re.compile(r"\$\{([A-Z0-9_]+)\}")
# e.g. "torch==2.0 --hash=sha256:…"
PER_REQUIREMENT = re.compile(r"\s--(?=hash|config-settings?|global-option|build-option)")
ARCHIVES = (".whl", ".zip", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")

FLAGS = frozenset({"--no-index", "--pre", "--prefer-binary", "--require-hashes"})
WITH_VALUE = frozenset(
    {"--index-url", "--extra-index-url", "--find-links", "--no-binary", "--only-binary"}
    | {"--trusted-host", "--use-feature"}
)
SHORT = {
    "-i": "--index-url",
    "--pypi-url": "--index-url",
    "-f": "--find-links",
    "-r": "--requirement",
    "-c": "--constraint",
    "-e": "--editable",
}
OTHERS = ("--requirement", "--constraint", "--editable")


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """One logical line.

    `option`: its long name. `value`: the option's or editable's value.
    `name`: normalised; None where an address does not tell. `requirement`: None for addresses and paths.
    `constraint`: it only bounds.
    """

    path: Path
    number: int
    text: str
    kind: Literal["requirement", "editable", "option"]
    option: str = ""
    value: str = ""
    name: str | None = None
    requirement: Requirement | None = None
    constraint: bool = False

    @property
    def where(self) -> str:
        return f"{self.path}:{self.number}"


def read_lines(
    path: Path, *, environ: Mapping[str, str], say: Say = lambda text: None
) -> list[Line]:
    """Every line of a requirements file and of those that it includes, in order.

    Args:
        environ: for `${NAME}`; a name that is not set stays as it is written.

    Raises:
        UsageError: not there, not text, includes itself, or a line that makes no sense (with its number).
    """
    return list(_read(path.absolute(), environ, say, (), False))


def _read(
    path: Path, environ: Mapping[str, str], say: Say, above: tuple[Path, ...], constraint: bool
) -> Iterator[Line]:
    if path in above:
        chain = " -> ".join(str(one) for one in [*above, path])
        raise UsageError(f"the file includes itself: {chain}")
    for number, raw in _logical(_text(path, say)):
        text = VARIABLE.sub(lambda match: environ.get(match[1], match[0]), raw)
        line = _parse(path, number, text, constraint)
        if line.option in ("--requirement", "--constraint"):
            bounds = constraint or line.option == "--constraint"
            yield from _read(_included(line), environ, say, (*above, path), bounds)
        else:
            yield line


def _included(line: Line) -> Path:
    if "://" in line.value:
        raise UsageError(
            f"{line.where}: includes an address, `{line.value}`",
            hint="fetch it and include the file",
        )
    included = line.path.parent / line.value
    if not included.is_file():
        raise UsageError(f"{line.where}: there is no `{included}`")
    return included.absolute()


def _text(path: Path, say: Say) -> str:
    try:
        data = regular(path).read_bytes()
    except OSError as error:
        raise UsageError(f"requirements file `{path}` cannot be read: {error.strerror}") from error
    text, encoding = decode(data, str(path))
    if encoding not in ("utf-8", "ascii"):
        say(f"{path} is read as {encoding}")
    return text


def _logical(text: str) -> Iterator[tuple[int, str]]:
    """(number of the first line, text) with continued lines joined; no comments, no empty lines."""
    held, first = "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        first = first or number
        # a comment ends a continued line, and is not continued itself
        if line.endswith("\\") and not COMMENT.search(line):
            held += line[:-1]
            continue
        whole = COMMENT.sub("", held + line).strip()
        if whole:
            yield first, whole
        held, first = "", 0
    if held.strip():
        yield first, held.strip()


def _parse(path: Path, number: int, text: str, constraint: bool) -> Line:
    if text.startswith("-"):
        return _option(path, number, text, constraint)
    body = PER_REQUIREMENT.split(text, maxsplit=1)[0].strip()
    requirement = None if _is_address(body) else _requirement(f"{path}:{number}", body)
    name = canonicalize_name(requirement.name) if requirement else name_in_address(body)
    return Line(
        path=path,
        number=number,
        text=text,
        kind="requirement",
        name=name,
        requirement=requirement,
        constraint=constraint,
    )


def _option(path: Path, number: int, text: str, constraint: bool) -> Line:
    option, value = _split_option(text, f"{path}:{number}")
    where = f"{path}:{number}"
    if option in FLAGS and not value:
        return Line(path=path, number=number, text=option, kind="option", option=option)
    if option not in WITH_VALUE and option not in OTHERS:
        raise UsageError(
            f"{where}: `{text}` is no option of a requirements file",
            hint=f"known are {', '.join(sorted([*FLAGS, *WITH_VALUE, *OTHERS]))}",
        )
    if not value:
        raise UsageError(f"{where}: `{option}` wants a value")
    if option == "--editable":
        name = name_in_address(value.partition(";")[0].strip())
        return Line(path=path, number=number, text=text, kind="editable", value=value, name=name)
    if option == "--find-links" and (path.parent / value).exists():
        value = str(path.parent / value)  # the file that is given to pip lies elsewhere
    return Line(
        path=path,
        number=number,
        text=f"{option} {shlex.quote(value)}",
        kind="option",
        option=option,
        value=value,
        constraint=constraint,
    )


def _split_option(text: str, where: str) -> tuple[str, str]:
    """Name and value of `-r x`, `-rx`, `--requirement x`, `--requirement=x`."""
    word, _, rest = text.partition(" ")
    if word.startswith("--"):
        name, equals, value = word.partition("=")
        value = f"{value} {rest}".strip() if equals else rest.strip()
    else:
        name, value = word[:2], (word[2:] + " " + rest).strip()
    try:
        value = " ".join(shlex.split(value)) if value[:1] in ("'", '"') else value
    except ValueError as error:
        raise UsageError(f"{where}: `{text}`: {error}") from error
    return SHORT.get(name, name), value


def _is_address(text: str) -> bool:
    if " @ " in text:
        return False
    word = text.partition(";")[0].strip()
    return (
        "://" in word
        or word.startswith((".", "/", "~", "file:"))
        or word.lower().endswith(ARCHIVES)
        or ("/" in word and "@" not in word)
    )


def _requirement(where: str, text: str) -> Requirement:
    try:
        return Requirement(text)
    except InvalidRequirement as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"{where}: `{text}` makes no sense: {reason}", hint=_hint(text)) from error


def _hint(text: str) -> str:
    # e.g. "pytorch=2.0.0=py3.9_cuda11.7_cudnn8.5.0_0", as `conda list --export` writes
    if re.match(r"^[\w.-]+=[^=]", text):
        return "one `=` is conda's spelling: write `NAME==VERSION`, or give the file to `conda install --file`"
    if re.match(r"^[\w.-]+\s+[\d.]+$", text):
        return "this looks like `pip list`: write `NAME==VERSION`, as `pip freeze` does"
    if text.startswith("pip install"):
        return "put only the names here, one a line"
    return "a line is NAME, NAME==VERSION, NAME @ ADDRESS, an address, or an option"


def name_in_address(text: str) -> str | None:
    """The package that an address names: by its wheel's file name, its sdist's, or `#egg=`.

    A repository tells only by its own name, which may be another than the package's: then None.
    """
    parts = urlsplit(text)
    # e.g. "#egg=torch&subdirectory=x", "#egg=transformers[torch]"
    if match := re.search(r"(?:^|&)egg=([A-Za-z0-9._-]+)", parts.fragment):
        return canonicalize_name(match[1])
    file = unquote(parts.path).rpartition("/")[2]
    if file.endswith(".whl"):
        try:
            return parse_wheel_filename(file)[0]
        except InvalidWheelFilename:
            return None
    # e.g. "torch-2.0.0.tar.gz"
    match = re.fullmatch(r"(.+?)-\d[^-]*\.(?:tar\.\w+|tgz|zip)", file)
    return canonicalize_name(match[1]) if match else None
