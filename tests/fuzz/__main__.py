"""Draw command lines and files, run them, and say which end in a traceback, an undocumented code or not at all.

    python tests/fuzz [COUNT [SEED]]     2,000 and a new seed, where none is given
    python tests/fuzz --only SEED:NUMBER one case again, with what it printed
    python tests/fuzz --found            those that once were wrong

Run as root, it sees the whole file system read-only and no network: what is drawn may name anything.
"""

from __future__ import annotations

import multiprocessing
import os
import secrets
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drawn import Case
    from running import Ended

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "support"), str(HERE.parent.parent / "src")]
MARK = "FUZZ_ALONE"
READ_ONLY = """
set -e
mount --make-rprivate /
for place in $(awk '{print $5}' /proc/self/mountinfo); do
  mount -o remount,bind,ro "$place" 2>/dev/null || true
done
mount -t tmpfs -o size=300m,mode=700 tmpfs "$1"
mount -t tmpfs -o size=16m tmpfs /dev/shm # the workers' locks
shift
exec "$@"
"""


def alone(folder: str) -> int:
    """Root runs it once more, where nothing of the machine can be written to."""
    words = [
        "unshare",
        "--mount",
        "--net",
        "sh",
        "-c",
        READ_ONLY,
        "sh",
        folder,
        sys.executable,
        *sys.argv,
    ]
    env = {**os.environ, MARK: folder, "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(words, env=env, check=False).returncode


def may_be_alone() -> bool:
    test = ["unshare", "--mount", "--net", "mount", "--make-rprivate", "/"]
    return (
        shutil.which("unshare") is not None
        and subprocess.run(test, capture_output=True, check=False).returncode == 0
    )


def main() -> int:
    """0: nothing is wrong. 1: something is. 77: this machine cannot run it safely."""
    if os.environ.get(MARK):
        return fuzz(Path(os.environ.pop(MARK)))
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        if os.geteuid() != 0:
            return fuzz(Path(folder))
        if not may_be_alone():
            print("root without the right to mount: what is drawn could harm this machine")
            return 77
        return alone(folder)


def fuzz(folder: Path) -> int:
    import drawn
    import running

    running.load()
    words = sys.argv[1:]
    if words[:1] == ["--only"]:
        running.prepare(folder)
        return show(words[1], drawn.case(words[1]), folder)
    cases = found() if words[:1] == ["--found"] else drawn_by(words)
    started, statuses, wrong = time.process_time(), Counter[int](), 0
    for name, case, ended in side_by_side(cases, folder):
        statuses[ended.status] += 1
        if ended.wrong:
            wrong += 1
            print(f"{name}: {ended.wrong}: mambaops {quoted(case.words)}", flush=True)
            said = ended.stderr.decode(errors="replace").strip()[-300:]
            print("    " + said.replace("\n", "\n    "))
    told = ", ".join(f"{status}: {number}" for status, number in sorted(statuses.items()))
    used = time.process_time() - started + sum(os.times()[2:4])
    print(f"{statuses.total()} cases, {wrong} wrong, exit codes {told}; {used:.0f} s of CPU")
    if wrong:
        print("again, one by one: python tests/fuzz --only SEED:NUMBER")
    return 1 if wrong else 0


def side_by_side(
    cases: Iterable[tuple[str, Case]], folder: Path
) -> Iterator[tuple[str, Case, Ended]]:
    """One worker per core, each a fork of this process with a folder of its own."""
    with multiprocessing.get_context("fork").Pool(os.cpu_count(), _begin, (folder,)) as pool:
        yield from pool.imap_unordered(_run, cases, chunksize=8)
        pool.close()
        pool.join()  # its workers' CPU time counts from here on


def _begin(folder: Path) -> None:
    """A worker's folder becomes the current one."""
    import running

    own = folder / str(os.getpid())
    own.mkdir()
    running.prepare(own)
    os.chdir(own)


def _run(one: tuple[str, Case]) -> tuple[str, Case, Ended]:
    import running

    name, case = one
    return name, case, running.run(case, Path.cwd(), name)


def drawn_by(words: list[str]) -> Iterator[tuple[str, Case]]:
    """COUNT cases of SEED."""
    import drawn

    count = int(words[0]) if words else 2000
    seed = words[1] if len(words) > 1 else secrets.token_hex(4)
    print(f"{count} cases, seed {seed}", flush=True)
    for number in range(count):
        yield f"{seed}:{number}", drawn.case(f"{seed}:{number}")


def found() -> Iterator[tuple[str, Case]]:
    """What was wrong once."""
    from regressions import FOUND

    yield from ((f"found:{number}", case) for number, case in enumerate(FOUND))


def quoted(words: list[str]) -> str:
    return shlex.join(words).encode("ascii", "backslashreplace").decode()[:300]


def show(seed: str, case: object, folder: Path) -> int:
    """One case with all that it printed."""
    import running

    ended = running.run(case, folder, seed)  # type: ignore[arg-type]
    print(ascii(case))
    print(f"exit {ended.status} after {ended.seconds:.2f} s: {ended.wrong or 'nothing is wrong'}")
    for name in ("stdout", "stderr"):
        print(f"--- {name}\n{getattr(ended, name).decode(errors='replace')}")
    return 1 if ended.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
