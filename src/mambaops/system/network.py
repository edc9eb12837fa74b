"""Names that cannot be looked up: what the resolver is set to, how long each lookup takes, what to run.

A download that fails with "Temporary failure in name resolution" is a resolver's fault, not the server's.
Nothing is changed here: overwriting `/etc/resolv.conf` loses a VPN's or a company's
names, and under WSL and systemd-resolved the file is written anew at the next start.
"""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from mambaops.knowledge.addresses import addresses
from mambaops.knowledge.packages import packages

RESOLV_CONF = Path("/etc/resolv.conf")
PUBLIC = ("8.8.8.8", "8.8.4.4")  # Google's, which answer from anywhere


Manager = Literal["systemd-resolved", "WSL", "NetworkManager", "file", "none"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Lookup:
    """One name: how many addresses it has, or why it has none; `seconds` that it took."""

    host: str
    addresses: int
    seconds: float
    error: str | None = None
    # resolver: it did not answer
    kind: Literal["ok", "no-such-name", "resolver", "timeout"] = "ok"


@dataclass(frozen=True, kw_only=True, slots=True)
class Resolver:
    """How this system looks names up."""

    servers: tuple[str, ...]
    search: tuple[str, ...]
    manager: Manager  # who writes resolv.conf
    path: str


@dataclass(frozen=True, kw_only=True, slots=True)
class ResolverReport:
    """`ok` where every name was found; `cause` and `hint` say what is wrong and what to run."""

    ok: bool
    resolver: Resolver
    lookups: tuple[Lookup, ...]
    cause: str = ""
    hint: str = ""


def check_resolver(
    hosts: Sequence[str], *, timeout: float = 5.0, conf: Path = RESOLV_CONF
) -> ResolverReport:
    """Look up every host, all at once, and judge the resolver by what came back."""
    resolver = read_resolver(conf)
    lookups = look_up_all(hosts, timeout=timeout)
    cause, hint = judge(resolver, lookups)
    return ResolverReport(
        ok=not cause, resolver=resolver, lookups=tuple(lookups), cause=cause, hint=hint
    )


def default_hosts() -> list[str]:
    """The hosts of the addresses that mambaops itself may fetch from."""
    table = addresses()
    texts = [table.pytorch.stable, table.astral.index, table.huggingface.endpoint]
    texts += [one.source.repository for one in packages().values()] + [table.nvidia.keyring]
    return sorted({host for text in texts if (host := urlsplit(text).hostname)})


def read_resolver(conf: Path = RESOLV_CONF) -> Resolver:
    """The resolver's settings; empty where there is no such file."""
    try:
        text = conf.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return Resolver(servers=(), search=(), manager="none", path=str(conf))
    target = str(conf.resolve())
    return parse_resolver(text, str(conf), target)


def parse_resolver(text: str, path: str, target: str) -> Resolver:
    """Settings from resolv.conf's text; `target` is the file that `path` leads to."""
    # e.g. "nameserver 8.8.8.8", "search example.com corp.example.com"
    servers = re.findall(r"^\s*nameserver\s+(\S+)", text, re.MULTILINE)
    search = re.findall(r"^\s*(?:search|domain)\s+(.+)$", text, re.MULTILINE)
    manager: Manager
    if "systemd" in target or "127.0.0.53" in servers:
        manager = "systemd-resolved"
    elif "WSL" in text or "/mnt/wsl/" in target:
        manager = "WSL"
    elif "NetworkManager" in text or "NetworkManager" in target:
        manager = "NetworkManager"
    else:
        manager = "file"
    return Resolver(
        servers=tuple(servers),
        search=tuple(word for line in search for word in line.split()),
        manager=manager,
        path=path,
    )


def look_up_all(hosts: Sequence[str], *, timeout: float) -> list[Lookup]:
    """Every host, side by side: several dead names cost one time-out together."""
    found: dict[str, Lookup] = {}
    # daemons: the system's resolver cannot be interrupted, and must not hold our exit for a minute
    threads = [
        threading.Thread(target=lambda name=host: found.update({name: look_up(name)}), daemon=True)
        for host in hosts
    ]
    deadline = time.monotonic() + timeout
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    late = f"no answer within {timeout:g} s"
    return [
        found.get(host)
        or Lookup(host=host, addresses=0, seconds=timeout, error=late, kind="timeout")
        for host in hosts
    ]


def look_up(host: str) -> Lookup:
    """One name through the system's own resolver (what pip and git use)."""
    started = time.monotonic()
    try:
        answers = socket.getaddrinfo(host, 443, type=socket.SOCK_STREAM)
    except OSError as error:
        # EAI_NONAME: an answer, and it is "no"; the others: no answer
        kind: Literal["no-such-name", "resolver"]
        kind = "no-such-name" if error.errno == socket.EAI_NONAME else "resolver"
        seconds = time.monotonic() - started
        text = error.strerror or str(error)
        return Lookup(host=host, addresses=0, seconds=seconds, error=text, kind=kind)
    except ValueError:  # e.g. a part of more than 63 letters: it cannot even be asked for
        text = "it can be no host's name"
        return Lookup(host=host, addresses=0, seconds=0.0, error=text, kind="no-such-name")
    addresses = {answer[4][0] for answer in answers}
    return Lookup(host=host, addresses=len(addresses), seconds=time.monotonic() - started)


def judge(resolver: Resolver, lookups: Sequence[Lookup]) -> tuple[str, str]:
    """(cause, hint) from what was seen; two empty texts where all is well. Pure."""
    failed = [lookup for lookup in lookups if lookup.kind != "ok"]
    if not failed:
        return "", ""
    names = ", ".join(f"{item.host} ({item.error})" for item in failed[:4])
    if not resolver.servers:
        return f"{resolver.path} names no name server; not found: {names}", remedy(resolver)
    servers = ", ".join(resolver.servers)
    if len(failed) < len(lookups):
        return (
            f"some names are found, others are not: {names}",
            "the resolver works: these names are blocked or mistyped. Use a proxy or a mirror "
            "(HTTPS_PROXY, HF_ENDPOINT, a bundle made elsewhere)",
        )
    if all(item.kind == "no-such-name" for item in failed):
        return (
            f"the name servers {servers} answer, but know none of: {names}",
            "this network looks up no names outside: use its proxy (HTTPS_PROXY), or work from a bundle. "
            "If it should have one:\n" + remedy(resolver),
        )
    return f"the name servers {servers} do not answer: {names}", remedy(resolver)


def remedy(resolver: Resolver) -> str:
    """The commands that name another resolver, for whoever writes resolv.conf here. Pure."""
    first, second = PUBLIC
    if resolver.manager == "systemd-resolved":
        return (
            "ask another name server for this session:\n"
            "  resolvectl status\n"
            f'  sudo resolvectl dns "$(ip route show default | cut -d" " -f5)" {first} {second}'
        )
    if resolver.manager == "NetworkManager":
        return (
            "name another server in the connection itself:\n"
            "  nmcli connection show --active\n"
            f'  sudo nmcli connection modify NAME ipv4.dns "{first} {second}" ipv4.ignore-auto-dns yes\n'
            "  sudo nmcli connection up NAME"
        )
    keep = f"  sudo cp -L {resolver.path} {resolver.path}.before\n"
    add = f'  printf "nameserver {first}\\nnameserver {second}\\n" | sudo tee {resolver.path}'
    if resolver.manager == "WSL":
        return (
            "WSL writes this file at every start; first turn that off, then name a server:\n"
            '  printf "[network]\\ngenerateResolvConf = false\\n" | sudo tee -a /etc/wsl.conf\n'
            "  (in Windows) wsl --shutdown\n"
            f"  sudo rm {resolver.path}\n{add}"
        )
    return f"name another server; the old file is kept:\n{keep}{add}"
