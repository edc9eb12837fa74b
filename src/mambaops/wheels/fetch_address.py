"""The address of an upstream wheel, from its file name alone."""

from __future__ import annotations

from mambaops.errors import UsageError


def address_of(name: str) -> str:
    """Where upstream publishes the wheel of this name, if it does.

    Raises:
        UsageError: no name, no wheel's name, or a wheel that is not upstream's.
    """
    from mambaops.knowledge.addresses import github_wheel
    from mambaops.wheels.names import parse_wheel_name

    if not name:
        raise UsageError(
            "nothing to fetch: neither `--url` nor `--name` is given",
            hint="`mambaops select-wheel` finds the right one and its address",
        )
    parsed = parse_wheel_name(name)
    if parsed.build.scheme not in ("upstream", "ngc"):
        raise UsageError(
            f"`{name}` is not named like upstream's release files (+cu…torch…cxx11abi…)",
            hint="give its address: `--url`",
        )
    try:
        return github_wheel(parsed.package, parsed.version, name)
    except KeyError as error:
        raise UsageError(f"no releases of `{parsed.package}` are known", hint="`--url`") from error
