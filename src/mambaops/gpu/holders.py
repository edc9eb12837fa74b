"""Who holds GPU memory, since when, and ending one of them: the one that is asked for, and only your own.

NVML tells it; where NVML cannot be loaded, nvidia-smi does. `pkill -9 python` ends everybody's work on the
machine: here one process is named, looked at again right before it is ended, asked to stop (SIGTERM) and
only then killed.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Any

import msgspec

from mambaops.core import process
from mambaops.core.errors import MachineError, MambaopsError, UsageError

GRACE = 10.0  # seconds between SIGTERM and SIGKILL
_MIB = 1 << 20


class Holder(msgspec.Struct, frozen=True, kw_only=True):
    """A process that holds memory of a GPU.

    Attributes:
        gpu: index of the GPU, None when only its identifier is known.
        memory: bytes; None where the driver does not tell (WSL, Windows).
        seconds: how long it has been running; None for a process that we cannot see (another container's).
        started: its start (seconds since 1970), which tells a process from a later one with the same number.
        mine: it belongs to the person who asks.
    """

    gpu: int | None
    pid: int
    memory: int | None = None
    user: str | None = None
    command: str | None = None
    seconds: float | None = None
    started: float | None = None
    mine: bool = False


def holders() -> list[Holder]:
    """Everybody who holds memory of a GPU, biggest first.

    Raises:
        MachineError: neither NVML nor nvidia-smi answers.
    """
    found = _by_nvml()
    rows = found if found is not None else _by_nvidia_smi()
    seen = [_described(gpu, pid, memory) for gpu, pid, memory in rows]
    return sorted(seen, key=lambda holder: -(holder.memory or 0))


_Row = tuple[int | None, int, int | None]


def _by_nvml() -> list[_Row] | None:
    """None when NVML is not there: nvidia-smi may still be."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except (
        Exception
    ):  # ImportError, or any of NVML's own errors: no driver, no permission, no library
        return None
    try:
        return [
            row for index in range(pynvml.nvmlDeviceGetCount()) for row in _of_device(pynvml, index)
        ]
    except pynvml.NVMLError:
        return None
    finally:
        pynvml.nvmlShutdown()


def _of_device(nvml: Any, index: int) -> list[_Row]:
    handle = nvml.nvmlDeviceGetHandleByIndex(index)
    rows: dict[int, int | None] = {}
    for ask in (
        nvml.nvmlDeviceGetComputeRunningProcesses,
        nvml.nvmlDeviceGetGraphicsRunningProcesses,
    ):
        try:
            rows.update({one.pid: one.usedGpuMemory for one in ask(handle)})
        except nvml.NVMLError:
            continue  # not supported on this GPU; the other list stands
    return [(index, pid, memory) for pid, memory in rows.items()]


def _by_nvidia_smi() -> list[_Row]:
    if process.which("nvidia-smi") is None:
        raise MachineError(
            "neither NVML nor nvidia-smi is there, so nobody can say who holds GPU memory",
            hint="an NVIDIA driver brings both (in WSL: the Windows driver)",
        )
    indexes = {uuid: int(index) for index, uuid in _query("--query-gpu=index,uuid")}
    fields = "--query-compute-apps=gpu_uuid,pid,used_memory"
    return [
        (indexes.get(uuid), int(pid), int(used) * _MIB if used.isdigit() else None)
        for uuid, pid, used in _query(fields)
    ]


def _query(fields: str) -> list[list[str]]:
    done = process.run(
        ["nvidia-smi", fields, "--format=csv,noheader,nounits"], timeout=20, check=False
    )
    if not done.ok:
        said = (done.stdout + done.stderr).strip().splitlines()
        raise MachineError(
            f"nvidia-smi {'gives no answer' if done.timed_out else 'failed'}: {said[0] if said else ''}",
            hint="a driver that does not answer needs a restart of the machine; mambaops does not touch it",
        )
    rows = [[part.strip() for part in line.split(",")] for line in done.stdout.splitlines()]
    return [row for row in rows if len(row) == fields.count(",") + 1]


def _described(gpu: int | None, pid: int, memory: int | None) -> Holder:
    import psutil

    try:
        process = psutil.Process(pid)
        with process.oneshot():
            started = process.create_time()
            return Holder(
                gpu=gpu,
                pid=pid,
                memory=memory,
                user=process.username(),
                command=" ".join(process.cmdline()) or process.name(),
                seconds=max(0.0, time.time() - started),
                started=started,
                mine=process.uids().real == os.getuid(),
            )
    except psutil.Error:
        # another container's, or gone already
        return Holder(gpu=gpu, pid=pid, memory=memory)


def chosen(pid: int, among: list[Holder]) -> Holder:
    """The holder with this number, if it may be ended.

    Raises:
        UsageError: it holds no GPU memory, is not visible, or belongs to somebody else.
    """
    holder = next((one for one in among if one.pid == pid), None)
    if holder is None:
        listed = ", ".join(str(one.pid) for one in among) or "nobody"
        raise UsageError(
            f"process {pid} holds no GPU memory", hint=f"GPU memory is held by: {listed}"
        )
    if holder.started is None:
        raise UsageError(
            f"process {pid} cannot be seen from here",
            hint="it runs in another container or has ended; end it there",
        )
    if not holder.mine:
        raise UsageError(
            f"process {pid} belongs to {holder.user}, not to you: `{holder.command}`",
            hint=f"ask {holder.user}; mambaops ends nobody else's work, not even as root",
        )
    if pid == os.getpid():
        raise UsageError(f"process {pid} is mambaops itself")
    return holder


def end(holder: Holder, grace: float = GRACE) -> str:
    """End it: SIGTERM, after `grace` seconds SIGKILL. Returns which of them it took.

    Raises:
        MambaopsError: it did not end (a process that waits for a dead driver cannot be killed).
    """
    import psutil

    try:
        process = psutil.Process(holder.pid)
        if process.create_time() != holder.started:
            return "had ended already"
        process.send_signal(signal.SIGTERM)
        if _gone(process, grace):
            return "ended by SIGTERM"
        process.send_signal(signal.SIGKILL)
        if _gone(process, grace):
            return "ended by SIGKILL: it did not react to SIGTERM"
    except psutil.NoSuchProcess:
        return "had ended already"
    raise MambaopsError(
        f"process {holder.pid} does not end (state {process.status()})",
        hint="it waits inside the driver; only a restart of the machine (WSL: `wsl --shutdown`) helps",
    )


def _gone(process: Any, seconds: float) -> bool:
    """Whether it ended in time; one whose parent has not asked for its status counts as ended."""
    import psutil

    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if process.status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


def table(found: list[Holder]) -> str:
    """The holders for a terminal."""
    if not found:
        return "nobody holds GPU memory"
    head = f"{'GPU':>3} {'PID':>8} {'memory':>10} {'since':>9}  {'user':12} command"
    return "\n".join([head, *map(_row, found)])


def _row(one: Holder) -> str:
    memory = "not told" if one.memory is None else f"{one.memory / _MIB:.0f} MiB"
    gpu = "?" if one.gpu is None else str(one.gpu)
    command = (one.command or "not visible from here")[:100]
    return f"{gpu:>3} {one.pid:>8} {memory:>10} {_since(one.seconds):>9}  {one.user or '?':12} {command}"


def _since(seconds: float | None) -> str:
    if seconds is None:
        return "?"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
