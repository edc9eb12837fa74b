"""What holds a job on its machine when the connection is gone: systemd-run, tmux or nohup, whichever is there."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from mambaops.core.paths import payload_file

# what the real ones do with the words that they are given here
LINGERS = '#!/bin/sh\n[ "$1 $3 $4" = "show-user -p Linger" ] && echo Linger={}\n'
SYSTEMD_RUN = """#!/bin/sh
echo "$*" >"$HOME/asked"
while [ "${1#--}" != "$1" ]; do shift; done
"$@" </dev/null >/dev/null 2>&1 &
"""
NO_BUS = '#!/bin/sh\necho "Failed to connect to bus: No medium found" >&2\nexit 1\n'
TMUX = """#!/bin/sh
[ "$1 $2 $3" = "new-session -d -s" ] || exit 1
sh -c "$5" </dev/null >/dev/null 2>&1 &
"""
REFUSES = "#!/bin/sh\nexit 1\n"


@pytest.fixture
def machine(tmp_path: Path) -> Path:
    """A home whose `bin` comes first; no tmux of this system is asked."""
    (tmp_path / "bin").mkdir()
    program(tmp_path, "tmux", REFUSES)
    program(tmp_path, "systemd-run", REFUSES)
    return tmp_path


def program(machine: Path, name: str, text: str) -> None:
    path = machine / "bin" / name
    path.write_text(text)
    path.chmod(0o755)


def there(machine: Path, *words: str) -> str:
    """One action of the script, as it is piped into the machine's shell."""
    text = payload_file("fleet_job.sh").read_text(encoding="utf-8")
    env = {"HOME": str(machine), "PATH": f"{machine}/bin:{os.defpath}", "TMUX_TMPDIR": str(machine)}
    done = subprocess.run(
        ["sh", "-s", *words], input=text, env=env, capture_output=True, text=True, check=True,
        timeout=60,
    )  # fmt: skip
    return done.stdout


def held(machine: Path) -> str:
    """By what; the job has run to its end by then."""
    how = there(machine, "start", "build", "digest", "echo it ran; pwd", "no", "").split()
    told = there(machine, "follow", "build", "1").splitlines()
    assert told == ["| it ran", f"| {machine}", "@ status 0"]
    assert how[:2] == ["@", "started"]
    return how[2]


def test_systemd_where_the_users_services_outlive_the_connection(machine: Path) -> None:
    program(machine, "loginctl", LINGERS.format("yes"))
    program(machine, "systemd-run", SYSTEMD_RUN)
    program(machine, "tmux", TMUX)
    assert held(machine) == "systemd-run"
    asked = (machine / "asked").read_text()
    assert asked.startswith("--user --quiet --collect --setenv=PATH=")


@pytest.mark.parametrize(
    ("linger", "systemd"), [("no", SYSTEMD_RUN), ("yes", NO_BUS)], ids=["no-lingering", "no-bus"]
)
def test_tmux_where_systemd_would_end_it_or_is_not_reached(
    machine: Path, linger: str, systemd: str
) -> None:
    program(machine, "loginctl", LINGERS.format(linger))
    program(machine, "systemd-run", systemd)
    program(machine, "tmux", TMUX)
    assert held(machine) == "tmux"


def test_nohup_where_there_is_neither(machine: Path) -> None:
    assert held(machine) == "nohup"


def test_a_real_tmux_holds_it_and_it_is_stopped_there(machine: Path) -> None:
    found = shutil.which("tmux")
    if found is None:
        pytest.skip("no tmux here")
    if Path(pwd.getpwuid(os.getuid()).pw_shell).name in ("nologin", "false"):
        pytest.skip("this user has no shell, in which tmux starts everything")
    (machine / "bin" / "tmux").unlink()
    (machine / "bin" / "tmux").symlink_to(found)
    try:
        assert held(machine) == "tmux"
        there(machine, "start", "build", "digest", "echo again; sleep 600", "yes", "")
        assert there(machine, "start", "build", "digest", "echo again; sleep 600", "yes", "") == (
            "@ running\n"
        )
        assert there(machine, "stop", "build") == "@ stopped\n"
        deadline = time.monotonic() + 20
        while there(machine, "stop", "build") != "@ none\n" and time.monotonic() < deadline:
            time.sleep(0.2)
        assert there(machine, "follow", "build", "1").splitlines()[-1] == "@ status 143"
    finally:
        env = {**os.environ, "TMUX_TMPDIR": str(machine)}
        subprocess.run([found, "kill-server"], env=env, capture_output=True, check=False)
