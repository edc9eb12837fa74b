"""What `sinfo` says of a cluster: its nodes, by partition, with their limits. Pure."""

from __future__ import annotations

import re

import msgspec

# https://slurm.schedmd.com/sinfo.html: node, partition, state, CPUs, MB, generic resources, limits of time, reason
FORMAT = "%N|%P|%T|%c|%m|%G|%l|%L|%E"
# what takes no job, however long it waits; the states that end in "ing" for a while are no such
GONE = ("down", "drain", "fail", "inval", "maint", "unk", "power_down", "powered_down", "perf")
UNREACHED = "*"  # behind a state: the node does not respond
ENDLESS = "infinite"


class Node(msgspec.Struct, frozen=True, kw_only=True):
    """A node in one partition. `memory` in MB, limits in minutes (None: endless), `gres` as "gpu:a800:8" or ""."""

    name: str
    partition: str
    is_default: bool
    state: str
    cpus: int
    memory: int
    gres: str
    longest: int | None
    usual: int | None
    reason: str

    @property
    def takes_jobs(self) -> bool:
        """Is it one that Slurm starts something on, now or when it is free?"""
        return not self.state.startswith(GONE) and UNREACHED not in self.state

    @property
    def has_gpu(self) -> bool:
        return "gpu" in self.gres


def parse(text: str) -> list[Node]:
    """The lines of `sinfo -h -N -o FORMAT`; others (a start-up file's) are passed over."""
    rows = [line.split("|", 8) for line in text.splitlines() if line.count("|") >= 8]
    return [_node(row) for row in rows if row[3].rstrip("+").isdigit()]


def _node(row: list[str]) -> Node:
    name, partition, state, cpus, memory, gres, longest, usual, reason = (
        one.strip() for one in row
    )
    return Node(
        name=name,
        partition=partition.rstrip("*"),
        is_default=partition.endswith("*"),
        state=state,
        cpus=int(cpus.rstrip("+")),
        memory=int(memory.rstrip("+")),
        gres="" if gres == "(null)" else gres,
        longest=minutes(longest),
        usual=minutes(usual),
        reason="" if reason.lower() == "none" else reason,
    )


def minutes(text: str) -> int | None:
    """A limit of time, "days-hours:minutes:seconds" with the front left out, in minutes; None: endless or unsaid."""
    found = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", text)
    if found is None:
        return None
    days, hours, mins, _ = (int(one or 0) for one in found.groups())
    return (days * 24 + hours) * 60 + mins


def in_partition(nodes: list[Node], partition: str) -> list[Node]:
    """The nodes of a partition, "" for the default one."""
    return [one for one in nodes if (one.partition == partition if partition else one.is_default)]


def partitions(nodes: list[Node]) -> list[str]:
    """Their names, each once, the default one with a star behind it as `sinfo` shows it."""
    return list(dict.fromkeys(one.partition + "*" * one.is_default for one in nodes))
