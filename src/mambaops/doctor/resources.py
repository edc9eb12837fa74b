"""Disk, memory, clock, proxies and mirrors, models."""

from __future__ import annotations

from collections.abc import Iterator

from mambaops.compile.jobs import job_count
from mambaops.decide.room import too_little_memory
from mambaops.doctor.model import GIB, Check, size
from mambaops.facts.model import Facts
from mambaops.knowledge.packages import package, packages
from mambaops.profiles.model import Profile

ROOM = 2 * GIB  # a build tree with its temporary files
ROOM_FOR_TORCH = 6 * GIB  # a CUDA torch takes 5.5 GB on disk
PROXIES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")


def disk_and_memory(facts: Facts, profile: Profile | None) -> Iterator[Check]:
    """Room where it is needed, memory for the compilers, a clock that certificates believe."""
    free = memory(facts)
    each = _memory_per_job(profile)
    jobs, why = job_count(profile.build.jobs if profile else 0, facts.host.cores, free, each)
    smallest = min((disk.free for disk in facts.host.disks if disk.free is not None), default=None)
    yield Check(
        id="resources",
        area="disk and memory",
        state="ok",
        what=f"{size(free)} of memory for {jobs} compilers at once ({why}); at least {size(smallest)} free on disk",
    )
    blocked = too_little_memory(facts)
    if blocked or (free is not None and free < each * GIB):
        yield _little_memory(facts, free, int(each * GIB), blocked)
    for disk in facts.host.disks:
        need = ROOM_FOR_TORCH if facts.torch is None and "temp" not in disk.why else ROOM
        if disk.free is not None and disk.free < need:
            yield Check(
                id="disk-full",
                area="disk and memory",
                state="failed" if disk.free < ROOM else "warning",
                what=f"{disk.path} ({disk.why}): {size(disk.free)} free, {size(need)} are needed",
                cause="`No space left on device`, often in TMPDIR while the home folder has room",
                remedy="`mambaops purge-cache`, or TMPDIR and PIP_CACHE_DIR on a bigger disk",
                repair="purge-cache" if "cache" in disk.why else "",
            )
        if not disk.writable:
            yield Check(
                id="not-writable",
                area="disk and memory",
                state="failed",
                what=f"{disk.path} ({disk.why}) cannot be written",
                cause="builds and downloads go there",
                remedy="another folder: MAMBAOPS_HOME, TMPDIR",
            )
    yield from _clock(facts)


def memory(facts: Facts) -> int | None:
    """Bytes that compilers may use: what is free, and no more than the container's limit."""
    host = facts.host
    amounts = [host.memory_available or host.memory_total, host.memory_limit]
    return min((amount for amount in amounts if amount is not None), default=None)


def _memory_per_job(profile: Profile | None) -> float:
    """GiB that one compiler of the hungriest package takes."""
    specs = profile.packages.items() if profile else ()
    wanted = [package(name, spec.file) for name, spec in specs] or list(packages().values())
    return max(one.build.memory_gib for one in wanted)


def _little_memory(facts: Facts, free: int | None, each: int, blocked: str) -> Check:
    wsl = bool(facts.host.wsl)
    return Check(
        id="memory-low",
        area="disk and memory",
        # what the plan refuses fails; what is only taken at this moment may be free again
        state="failed" if blocked else "warning",
        what=blocked or f"{size(free)} of memory, one compiler takes up to {size(each)}",
        cause="the kernel ends the compiler (`Killed`, `'cicc' died due to signal 9`)"
        + ("; the container's limit counts" if facts.host.memory_limit else ""),
        remedy="[wsl2] memory=… and swap=… in .wslconfig, then `wsl --shutdown`"
        if wsl
        else "swap, another machine (`mambaops build-wheel` there), or a prebuilt wheel (`mambaops find-wheels` looks for one)",
    )


def _clock(facts: Facts) -> Iterator[Check]:
    if facts.clock and facts.clock.skew:
        yield Check(
            id="clock-wrong",
            area="disk and memory",
            state="failed",
            what=f"the clock is wrong: {facts.clock.skew}",
            cause="certificates look expired and builds look up to date",
            remedy="`sudo hwclock --hctosys` (WSL after a sleep); elsewhere: `timedatectl set-ntp true`",
        )


def network(facts: Facts, profile: Profile | None) -> Iterator[Check]:
    """What is configured; nothing is asked (see `network.py` for that)."""
    index = {name: value for name in ("pip", "uv") if (value := _index(facts, name))}
    proxies = sorted(name for name in PROXIES if facts.env.get(name))
    told = [f"{name}: {address}" for name, address in index.items()] + [
        f"proxy by {name}" for name in proxies
    ]
    yield Check(
        id="network",
        area="network and mirrors",
        state="ok" if told else "skipped",
        what="; ".join(told) or "defaults, not asked (`--network` asks)",
    )
    if proxies and not facts.env.get("NO_PROXY") and not facts.env.get("no_proxy"):
        yield Check(
            id="proxy-without-exceptions",
            area="network and mirrors",
            state="warning",
            what="a proxy without NO_PROXY",
            cause="a mirror inside the company would be asked for through the proxy",
            remedy="`export NO_PROXY=localhost,127.0.0.1`, with your mirror's name behind a comma",
        )
    if ("HTTPS_PROXY" in proxies) != ("https_proxy" in proxies):
        yield Check(
            id="proxy-in-one-spelling",
            area="network and mirrors",
            state="warning",
            what="HTTPS_PROXY is set in one spelling only",
            cause="curl reads the lower case, some tools the upper case",
            remedy="set both, HTTPS_PROXY and https_proxy",
        )


def _index(facts: Facts, tool: str) -> str:
    config = facts.config.get(tool)
    if not isinstance(config, dict):
        return ""
    for key, value in config.items():
        if isinstance(value, str) and key.replace("_", "-").split(".")[-1] in (
            "index-url",
            "default-index",
        ):
            return value
    return ""


def models(facts: Facts, profile: Profile | None) -> Iterator[Check]:
    """What the profile needs and where it is looked for; the cache itself is looked at by `live.py`."""
    wanted = profile.models if profile else []
    local = facts.env.get("MAMBA_MODEL", "")
    if local:
        yield Check(id="model-folder", area="models", state="ok", what=f"MAMBA_MODEL={local}")
    elif not wanted:
        yield Check(id="models-not-needed", area="models", state="skipped", what="none needed")
    else:
        yield Check(
            id="models-unknown",
            area="models",
            state="warning",
            what=f"needed: {', '.join(wanted)}",
            cause="facts do not show whether the cache holds them",
            remedy="`mambaops fetch-model` looks into the cache first",
        )
