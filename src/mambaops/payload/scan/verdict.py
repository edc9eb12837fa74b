"""Which kernels really work on a device: asked in a subprocess, so that a hang or a crash harms nobody."""

from __future__ import annotations

import importlib.util
import json
import os
import queue
import signal
import subprocess
import sys
import threading
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

from .names import KERNELS, MARK

# Triton kernels are compiled and tuned at their first call: a minute is not yet a hang.
_TIMEOUT = 180.0
# Starting python and importing torch, on a slow disk.
_STARTING = 120.0


class Verdict(NamedTuple):
    """What is known of a kernel.

    Attributes:
        works: it may be called on the device that was asked about.
        reason: why, or why not: the true error where there is one.
        broken: it is installed and does not work.
        deadly: trying it ended or hung the process that tried.
    """

    works: bool
    reason: str
    broken: bool = False
    deadly: bool = False


def timeout() -> float:
    """Seconds that one probed function may take (`MAMBAOPS_PROBE_TIMEOUT`)."""
    return float(os.environ.get("MAMBAOPS_PROBE_TIMEOUT") or _TIMEOUT)


def probe(names: Sequence[str], device: Optional[int]) -> Dict[str, Verdict]:
    """Try `names` on CUDA device `device`; with None only import them.

    Packages that are not installed are answered without starting a process.
    """
    found: Dict[str, Verdict] = {}
    waiting: List[str] = []
    for name in names:
        missing = _missing_package(name)
        if missing:
            found[name] = Verdict(False, f"{missing} is not installed")
        else:
            waiting.append(name)
    while waiting:
        # at least the first name is answered, if only by the way the process ended
        found.update(_run_child(waiting, device))
        waiting = [name for name in waiting if name not in found]
    return found


def _missing_package(name: str) -> str:
    for package in KERNELS[name].packages:
        try:
            spec = importlib.util.find_spec(package)
        except (ImportError, ValueError):
            # ValueError: blocked with None in sys.modules
            spec = None
        if spec is None:
            return package
    return ""


_CHILD = (
    "import importlib, json, sys; job = json.load(sys.stdin); sys.path[:] = job['path']; "
    "importlib.import_module(job['module']).main(job)"
)


def _run_child(names: Sequence[str], device: Optional[int]) -> Dict[str, Verdict]:
    """One probing process; when it dies or hangs, its last function gets the blame."""
    job = {
        "path": [os.path.abspath(p) for p in sys.path],
        "module": f"{__package__}.kernel_probe",
        "names": list(names),
        "device": device,
    }
    child = subprocess.Popen(
        [sys.executable, "-c", _CHILD],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        universal_newlines=True,
        start_new_session=True,
    )
    lines, complaints = _collector(child.stdout), _collector(child.stderr)
    try:
        assert child.stdin is not None
        child.stdin.write(json.dumps(job))
        child.stdin.close()
    except BrokenPipeError:
        pass  # it ended at once; its exit status tells
    answers: List[Dict[str, Any]] = []
    while True:
        try:
            line = lines.get(timeout=timeout() + (0 if answers else _STARTING))
        except queue.Empty:
            _end_group(child)
            child.wait()
            return _read_answers(answers, names, f"no answer for {timeout():g} s: it hangs")
        if line is None:
            break
        if line.startswith(MARK):
            answers.append(json.loads(line[len(MARK) :]))
    end = _how_it_ended(child.wait(), _drain(complaints))
    return _read_answers(answers, names, end)


def _collector(stream: Any) -> "queue.Queue[Optional[str]]":
    """The lines of a stream as they come, then None."""
    lines: "queue.Queue[Optional[str]]" = queue.Queue()

    def read() -> None:
        for line in stream:
            lines.put(line)
        lines.put(None)

    threading.Thread(target=read, daemon=True).start()
    return lines


def _drain(lines: "queue.Queue[Optional[str]]") -> str:
    return "".join(iter(lambda: lines.get() or "", ""))


def _end_group(child: Any) -> None:
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        child.kill()


def _how_it_ended(returncode: int, stderr: str) -> str:
    if returncode < 0:
        return f"it crashed with signal {-returncode}"
    last = [line for line in stderr.splitlines() if line.strip()][-1:]
    return f"its process exited {returncode}" + (f": {last[0].strip()}" if last else "")


def _read_answers(
    lines: Sequence[Dict[str, Any]], names: Sequence[str], end: str
) -> Dict[str, Verdict]:
    """The verdicts that were given; whoever was at work when the process ended gets `end`."""
    found: Dict[str, Verdict] = {}
    begun, loaded = names[0], False
    for line in lines:
        begun, loaded = line.get("begin", begun), "loaded" in line
        if "done" in line:
            found[line["done"]] = _judge(line)
    if begun not in found:
        # died importing: so will everything that imports the same packages
        alike = [begun] if loaded else [n for n in names if n not in found and _imports(n, begun)]
        found.update(dict.fromkeys(alike, Verdict(False, end, broken=True, deadly=True)))
    return found


def _imports(name: str, other: str) -> bool:
    """Does `name` import all packages that `other` imports?"""
    return set(KERNELS[name].packages) >= set(KERNELS[other].packages)


def _judge(line: Dict[str, Any]) -> Verdict:
    if line["error"]:
        return Verdict(False, line["error"], broken=True)
    if line["standin"]:
        return Verdict(False, "a stand-in of mambaops is installed, not the kernel")
    if "triton_ms" in line:
        return _faster(line["triton_ms"], line["chunked_ms"])
    if line["device"] is None:
        return Verdict(True, "it imports")
    return Verdict(True, "launched on this device, numbers right")


def _faster(triton: float, chunked: float) -> Verdict:
    """Triton is taken only where it was measured to be faster."""
    measured = f"{triton:.1f} ms against {chunked:.1f} ms of the chunked scan, measured here"
    return Verdict(triton < chunked, measured)
