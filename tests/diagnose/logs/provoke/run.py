"""Provoke failures for real and keep what was printed: `python run.py --torch-env … [NAME …]`.

Every `NAME.sh` here makes `../NAME.log`. It needs root (each runs in a mount namespace of its own), CUDA 13 in
/usr/local/cuda, g++ 12 and an environment with torch 2.14.1. Names of hosts, users and folders are replaced
in what is kept, nothing else.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
LONGEST = 900  # lines; the middle of a longer log is left out


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("torch-env", "cpu-python", "src", "bullseye"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("names", nargs="*")
    given = parser.parse_args()
    scripts = [HERE / f"{name}.sh" for name in given.names] or sorted(HERE.glob("*.sh"))
    for script in scripts:
        if script.stem != "helpers":
            provoke(script, given)


def provoke(script: Path, given: argparse.Namespace) -> None:
    work = Path(tempfile.mkdtemp(prefix="provoke-"))
    env = {
        **os.environ,
        "TORCH_ENV": given.torch_env,
        "CPU_PYTHON": given.cpu_python,
        "SRC": given.src,
        "BULLSEYE": given.bullseye,
        "WORK": str(work),
        "PIP_CACHE_DIR": str(work / "cache"),
    }
    argv = ["unshare", "-m", "bash", str(script)]
    with (work / "output").open("wb") as sink:
        subprocess.run(
            argv, check=False, cwd=work, env=env, stdout=sink, stderr=subprocess.STDOUT, timeout=900
        )
    text = (work / "output").read_bytes().decode("utf-8", "replace")
    places = {
        str(work): "/home/user/work",
        given.torch_env: "/home/user/venv",
        str(Path(given.cpu_python).parent.parent): "/home/user/venv-cpu",
        given.src: "/home/user/sources",
        given.bullseye: "/srv/debian11",
        str(HERE): "/home/user/scripts",
        str(Path.home()): "/home/user",
    }
    (HERE.parent / f"{script.stem}.log").write_text(
        shortened(cleaned(text, places)), encoding="utf-8", newline=""
    )
    shutil.rmtree(work, ignore_errors=True)
    print(script.stem, len(text.splitlines()), "lines", flush=True)


def cleaned(text: str, places: dict[str, str]) -> str:
    """Without the names of this machine and of the index that it is set to."""
    for place, name in sorted(places.items(), key=lambda item: -len(item[0])):
        text = text.replace(place, name)
    text = re.sub(r"/tmp/provoke-\w+", "/home/user/work", text)
    # how pip is set up here: further indexes and pages of wheels on the disk
    text = re.sub(r"(?m)^ *(?:WARNING: Location 'file:|Looking in links: ).*\n", "", text)
    text = re.sub(r",? (?:file:///(?!home/user)[^\s,]+)(?=[\s,])", "", text)
    text = re.sub(r"(?:file://)?/opt/\S*/", "/home/user/wheels/", text)
    return re.sub(_FOREIGN, "https://files.example.org", text)


# addresses that are not part of what is shown
_FOREIGN = (
    r"https?://(?!github\.com|huggingface\.co|mirror\.example\.org|pip\.pypa|packaging\.|docs\.|setuptools\."
    r"|pytorch\.org|peps\.|[\w.-]*\.invalid)[\w.:-]+"
)


def shortened(text: str) -> str:
    """Not more lines than a person would scroll through; what is left out is said."""
    lines = text.splitlines(keepends=True)
    if len(lines) <= LONGEST:
        return text
    half = LONGEST // 2
    left_out = len(lines) - 2 * half
    return "".join([*lines[:half], f"[{left_out} lines]\n", *lines[-half:]])


if __name__ == "__main__":
    main()
