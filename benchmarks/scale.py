"""How time and memory grow with a lab: `python benchmarks/scale.py [--hosts 10 100 1000] [--wheels 100 1000 10000]`.

Machines are recorded ones in turn, each with its own facts on the disk; wheels are small files in a store, each with a
key of its own. Times are seconds of CPU of this process, memory is the highest that Python's own objects reached during
the work, in MB. Both must grow with the number and not faster.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import sys
import tempfile
import time
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from mambaops.core.files import sha256_of
from mambaops.fleet import kept
from mambaops.fleet.gather import Seen
from mambaops.fleet.load import load_fleet
from mambaops.fleet.packset import pack_set
from mambaops.fleet.page import page
from mambaops.fleet.plan import plans, profiles_of
from mambaops.store.entries import Entry, sidecar_of, write_entry
from mambaops.store.index import write_index
from mambaops.store.store import Store
from mambaops.store.targets import offered
from mambaops.wheels.candidates import Candidate
from mambaops.wheels.keys import BuildKey
from mambaops.wheels.select.selection import select
from mambaops.wheels.sources.listing import list_candidates, usual_sources

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/support"))
from recorded import facts_of

MACHINES = ("debian10-a800", "wsl-5090-bare", "no-gpu", "hopper", "v100", "b300")
ARCHS = ("8.0", "9.0", "12.0")
PACKAGES = 20  # as many as a lab builds, each in many versions
T = TypeVar("T")
Row = tuple[str, int, float, float]


def measured(what: str, count: int, work: Callable[[], T]) -> tuple[Row, T]:
    """(what, how many, seconds of CPU, MB), and what came out; twice, since the look at memory takes time."""
    started = time.process_time()
    found = work()
    seconds = time.process_time() - started
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return (what, count, seconds, peak), found


def of_hosts(count: int, folder: Path) -> Iterator[Row]:
    """From the file to the page."""
    os.environ["MAMBAOPS_HOME"] = str(folder / f"home-{count}")
    names = [f"host-{number}" for number in range(count)]
    file = folder / f"hosts-{count}.yaml"
    groups = {"all": names}
    hosts = {name: {"address": f"{name}.lab"} for name in names}
    file.write_text(json.dumps({"hosts": hosts, "groups": groups}, indent=1), encoding="utf-8")
    facts = [facts_of(MACHINES[number % len(MACHINES)]) for number in range(count)]
    kept.keep(
        Seen(host=name, outcome="ok", facts=one) for name, one in zip(names, facts, strict=True)
    )
    row, fleet = measured("read hosts.yaml", count, lambda: load_fleet(file))
    yield row
    row, seen = measured("read the facts", count, lambda: kept.kept(fleet.hosts))
    yield row
    profiles = profiles_of(fleet.hosts)
    row, rows = measured("plan", count, lambda: plans(seen, fleet.hosts, profiles))
    yield row
    yield measured("packs", count, lambda: pack_set(rows))[0]
    yield measured("page", count, lambda: page(fleet.hosts, profiles, "now"))[0]


def of_wheels(count: int, folder: Path) -> Iterator[Row]:
    """The store's index, and the choice among so many."""
    store = Store(folder / f"store-{count}", say=lambda text: None)
    store.path.mkdir()
    keys = [_key(number) for number in range(count + 1)]
    for key in keys[:-1]:
        _put(store, _wheel(store.path, key), key)
    last = keys[-1]
    with tempfile.TemporaryDirectory(dir=folder) as beside:
        wheel = _wheel(Path(beside), last)
        yield measured("add one wheel", count, lambda: store.add(wheel, last))[0]
    yield measured("find one wheel", count, lambda: store.find(keys[count // 2]))[0]
    row, entries = measured("read the store", count, store.entries)
    yield row
    yield measured("targets of the index", count, lambda: offered(entries))[0]
    public = folder / f"public-{count}"
    yield measured(
        "write the index", count, lambda: write_index(store, public, say=lambda text: None)
    )[0]
    facts = facts_of("ubuntu20-graph-mamba")
    few = list_candidates("mamba-ssm", facts, usual_sources(facts, store=Path("no-store")))
    many: list[Candidate] = [few[number % len(few)] for number in range(count)]
    yield measured("choose a wheel", count, lambda: select("mamba-ssm", facts, many))[0]


def _key(number: int) -> BuildKey:
    """Of one of `PACKAGES` packages, for one of three GPUs."""
    return BuildKey.of(
        package=f"tiny{number % PACKAGES}", version=f"1.{number}", torch="2.8.0+cu128", cuda="12.8", cxx11_abi=True,
        python="py3", platform="any", architectures=[ARCHS[number % len(ARCHS)]],
    )  # fmt: skip


def _put(store: Store, wheel: Path, key: BuildKey) -> None:
    """As `Store.add` leaves it, without its look at what is there already: ten thousand looks are another measurement."""
    entry = Entry(
        wheel=wheel.name, sha256=sha256_of(wheel), size=wheel.stat().st_size, added=time.time(),
        digest=key.digest(), key=key,
    )  # fmt: skip
    write_entry(sidecar_of(wheel), entry)


def _wheel(folder: Path, key: BuildKey) -> Path:
    name, version = key.package, f"{key.version}+{key.local_version()}"
    info = f"{name}-{version}.dist-info"
    path = folder / f"{name}-{version}-py3-none-any.whl"
    members = {
        f"{name}.py": b"",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    rows = [f"{name},{_digest(data)},{len(data)}" for name, data in members.items()]
    members[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""]).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def _digest(data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest())
    return f"sha256={digest.rstrip(b'=').decode()}"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--hosts", type=int, nargs="*", default=[10, 100, 1000])
    parser.add_argument("--wheels", type=int, nargs="*", default=[100, 1000, 10000])
    options = parser.parse_args()
    print("| what | how many | CPU s | ms each | MB |\n|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="mambaops-scale-") as folder:
        os.environ["MAMBAOPS_CACHE"] = f"{folder}/cache"
        work = [(of_hosts, one) for one in options.hosts] + [
            (of_wheels, one) for one in options.wheels
        ]
        for measure, count in work:
            for what, many, seconds, peak in measure(count, Path(folder)):
                print(
                    f"| {what} | {many} | {seconds:.2f} | {1000 * seconds / many:.2f} | {peak:.1f} |",
                    flush=True,
                )
    return 0


if __name__ == "__main__":
    sys.exit(main())
