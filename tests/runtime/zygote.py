"""Runs pieces of Python, each in a fork of this process, which has imported torch once: importing it takes seconds.

A request is a JSON line {"code", "env", "out", "err"} (files for what it prints); the answer its exit status. The line
`end` ends it.
"""

import json
import os
import sys
import traceback

import standin_gpu  # noqa: F401


def child(request: dict) -> None:
    """One piece, as `python -c` would run it."""
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(request[name], os.O_WRONLY | os.O_CREAT, 0o600), number)
    os.environ.update(request["env"])
    try:
        exec(compile(request["code"], "<string>", "exec"), {"__name__": "__main__"})
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
        code = 1
    else:
        code = 0
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


for line in iter(sys.stdin.readline, "end\n"):
    if not line:
        break  # whoever asked is gone
    pid = os.fork()
    if pid == 0:
        child(json.loads(line))
    status = os.waitpid(pid, 0)[1]
    print(os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status), flush=True)
