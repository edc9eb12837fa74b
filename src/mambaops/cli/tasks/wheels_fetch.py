"""Bring a wheel here, and put wheels into an environment."""

from __future__ import annotations

from collections.abc import Sequence

from mambaops.cli.task import Context, emit, say, task


@task(
    name="fetch-wheel",
    group="wheels",
    examples=(
        "mambaops wheels fetch mamba-ssm",
        "mambaops wheels fetch https://example.org/x-1.0-py3-none-any.whl",
    ),
    operand="url",
    verb="wheels fetch",
    needs=dict.fromkeys(("version", "facts", "python"), ("package", "url")),
    help={
        "url": "address (https, http, file) or path of the wheel, or the package, as --package",
        "name": "file name to fetch under; alone: an upstream wheel, whose address it tells",
        "package": "instead of an address: the wheel that fits best (see select-wheel)",
        "version": "of the package (default: the newest that fits)",
        "facts": "facts of the machine that it must fit (default: this one)",
        "python": "interpreter of the environment that it must fit (default: the active one)",
        "output": "folder to put it into (default: here)",
        "force": "replace what is there, also where mambaops did not write it",
        "sha256": "what it must be; after the first fetch this is remembered",
        "proxy": "proxy for this fetch; without it HTTPS_PROXY and NO_PROXY count",
    },
)
def fetch_wheel(
    c: Context,
    url: str = "",
    name: str = "",
    package: str = "",
    version: str = "",
    facts: str = "",
    python: str = "",
    output: str = ".",
    sha256: str = "",
    proxy: str = "",
    force: bool = False,
    json: bool = False,
) -> None:
    """Fetch a wheel whole: resumed, checked, remembered.

    Broken off in any way, the same command goes on where it stopped. The file is moved into place only when
    its length, its archive, every member against RECORD and its sha256 are right.
    """
    from pathlib import Path

    from mambaops.download.fetch import fetch
    from mambaops.download.http import open_session
    from mambaops.download.progress import for_stderr
    from mambaops.facts.collect import facts_for
    from mambaops.knowledge.packages import known
    from mambaops.wheels.select.address import address_of, chosen_address

    meant = known(url)
    if meant is not None and not Path(url).exists():
        package, url = package or meant.name, ""  # `wheels fetch mamba-ssm`
    if package and not url:
        machine = facts_for(facts, python)
        url = chosen_address(package, machine, version=version, say=say)
    session = open_session(proxy or None)
    fetched = fetch(
        url or address_of(name),
        Path(output),
        sha256=sha256 or None,
        name=name or None,
        progress=for_stderr(),
        session=session,
        replace=force,
    )
    emit(
        fetched,
        as_json=json,
        text=lambda one: f"{one.path}\n  sha256 {one.sha256}, {one.bytes} bytes",
    )


@task(
    name="install-wheel",
    group="wheels",
    examples=(
        "mambaops wheels install mamba_ssm-2.3.2-cp311-cp311-linux_x86_64.whl",
        "mambaops wheels install 'dist/*.whl' --python .venv",
    ),
    operand="file",
    further="more",
    verb="wheels install",
    positional=["file"],
    iterable=["more"],
    help={
        "file": "wheel file, or a pattern in quotes ('dist/*.whl')",
        "more": "another wheel file; may be given several times",
        "python": "interpreter or folder of the environment (default: the `python` on PATH)",
        "system": "it may also be the system's own Python, or conda's base",
        "facts": "facts of the machine it must load on (default: those of this one)",
        "inspect": "read the compiled modules before installing (--no-inspect skips it)",
        "force": "install even what will not load here",
    },
)
def install_wheel(
    c: Context,
    file: str,
    more: Sequence[str] | None = None,
    python: str = "",
    system: bool = False,
    facts: str = "",
    inspect: bool = True,
    force: bool = False,
    json: bool = False,
) -> None:
    """Install wheel files as they are: no dependencies, always anew, never --user.

    What will not load on this machine is refused before anything is changed; afterwards the environment is
    looked at: the version, and that it lies inside.
    """

    from mambaops.core import interpreters
    from mambaops.facts.collect import facts_for
    from mambaops.install.wheel_file import matching_files
    from mambaops.install.wheels import install_wheels

    interpreter = interpreters.to_install_into(python, system=system)
    done = install_wheels(
        matching_files([file, *(more or ())]),
        interpreter,
        facts=facts_for(facts, str(interpreter)) if inspect else None,
        inspect=inspect,
        force=force,
        say=say,
    )
    emit(
        done,
        as_json=json,
        text=lambda all_of: "\n".join(
            f"{one.name} {one.version} is in {one.location} (by {one.installer})" for one in all_of
        ),
        rows="wheels",
    )
