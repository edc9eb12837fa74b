"""`mambaops release-gpu`: who holds GPU memory, and ending one of your own processes."""

from __future__ import annotations

from mambaops.cli.confirm import HELP, confirm
from mambaops.cli.task import Context, emit, say, task


@task(
    name="release-gpu",
    group="system",
    examples=(
        "mambaops release-gpu",
        "mambaops release-gpu 4711",
    ),
    operand="pid",
    needs={"yes": "pid"},
    help={
        "pid": "end this process (one of your own that holds GPU memory)",
        "yes": HELP,
        "grace": "seconds between SIGTERM and SIGKILL",
        "json": "holders as JSON",
    },
)
def release_gpu(
    c: Context, pid: int = 0, yes: bool = False, grace: int = 10, json: bool = False
) -> int:
    """List who holds how much GPU memory and since when; with --pid end that one process.

    Only a process of your own that holds GPU memory is ended: SIGTERM first, SIGKILL when it does not react.
    """
    from mambaops.gpu import holders as gpu_holders

    found = gpu_holders.holders()
    if not pid:
        emit({"holders": found}, as_json=json, text=lambda _: gpu_holders.table(found))
        own = [one.pid for one in found if one.mine]
        if len(own) == 1:
            say(f"to end it, if it hangs: `mambaops release-gpu {own[0]}`")
        return 0
    holder = gpu_holders.chosen(pid, found)
    say(gpu_holders.table([holder]))
    confirm(f"end process {pid}", yes=yes)
    outcome = gpu_holders.end(holder, float(grace))
    emit({"pid": pid, "outcome": outcome}, as_json=json, text=lambda _: f"{pid} {outcome}")
    return 0
