"""What a stand-in program of a machine does: `python program.py MACHINE_FOLDER NAME WORDS…`.

Each answers as the real one prints, records what it was asked in `asked.jsonl`, and stands still where the
machine's file `hold` says so, so that a run can be killed inside of it. Standard library only.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

HERE = Path(__file__).resolve()
sys.path.insert(0, str(HERE.parent))  # started with -I
MACHINE = Path(sys.argv[1])
NAME = sys.argv[2]
WORDS = sys.argv[3:]
GCC = "/usr/bin/gcc"


def facts() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((MACHINE / "facts.json").read_text(encoding="utf-8"))
    return found


def tell(program: str, words: list[str]) -> None:
    """Record it; stand still where a run is to be killed here."""
    line = {"program": program, "words": words, "root": is_root()}
    with (MACHINE / "asked.jsonl").open("a", encoding="utf-8") as asked:
        asked.write(json.dumps(line) + "\n")
    stand_still(" ".join([program, *words]))


def stand_still(text: str) -> None:
    """`hold` has a pattern: what fits it waits to be killed, and says that it waits."""
    hold = MACHINE / "hold"
    if hold.is_file() and re.search(hold.read_text(encoding="utf-8"), text):
        (MACHINE / "held").write_text(text, encoding="utf-8")
        while hold.is_file():
            time.sleep(0.05)


def is_root() -> bool:
    return os.geteuid() == 0 or os.environ.get("STANDIN_SUDO") == "1"


def stop(status: int, *lines: str) -> NoReturn:
    print(*lines, sep="\n", file=sys.stderr)
    sys.exit(status)


def become(program: str, words: list[str]) -> NoReturn:
    os.execv(program, [program, *words])


# -- the driver -----------------------------------------------------------------------------------------
def nvidia_smi() -> None:
    driver, gpus = facts()["driver"], facts()["gpus"]
    if driver["state"] == "timeout":
        time.sleep(3600)
    if driver["state"] != "ok":
        print(driver["error"])
        sys.exit(18)
    asked = " ".join(WORDS)
    if "--query-gpu" in asked:
        query_gpus(gpus, driver)
    elif "--query-compute-apps" in asked:
        for one in held_by():
            values = {"gpu_uuid": gpus[0]["uuid"], "pid": one["pid"], "process_name": one["name"]}
            values["used_memory"] = one["mib"]
            print(", ".join(str(values[field]) for field in fields_of("--query-compute-apps")))
    else:
        print(f"| NVIDIA-SMI {driver['version']}   Driver Version: {driver['version']}", end="")
        print(f"   CUDA Version: {driver['cuda']} |")


def query_gpus(gpus: list[dict[str, Any]], driver: dict[str, Any]) -> None:
    fields = fields_of("--query-gpu")
    used = sum(one["mib"] for one in held_by())
    for gpu in gpus:
        total = (gpu["memory_total"] or 0) >> 20
        values = {
            "index": gpu["index"],
            "name": gpu["name"],
            "uuid": gpu["uuid"],
            "compute_cap": gpu["compute_capability"],
            "memory.total": total,
            "memory.used": ((gpu["memory_used"] or 0) >> 20) + used,
            "mig.mode.current": "Disabled",
            "display_active": "Disabled",
            "driver_version": driver["version"],
        }
        print(", ".join(str(values[field]) for field in fields))


def fields_of(option: str) -> list[str]:
    word = next(word for word in WORDS if word.startswith(option))
    return word.partition("=")[2].split(",")


def held_by() -> list[dict[str, Any]]:
    """Processes that hold GPU memory, as a test says."""
    file = MACHINE / "holders.json"
    found: list[dict[str, Any]] = json.loads(file.read_text()) if file.exists() else []
    return [one for one in found if Path(f"/proc/{one['pid']}").exists()]


# -- compilers ------------------------------------------------------------------------------------------
def compiler() -> None:
    """The machine's version, the real compiler beneath."""
    if not WORDS or WORDS[0] in ("-dumpfullversion", "-dumpversion", "--version", "-v"):
        version = next(one["version"] for one in facts()["compilers"] if one["name"] == NAME)
        print(version if WORDS[0].startswith("-dump") else f"{NAME} (Stand-in) {version}")
        return
    real = "g++" if "++" in NAME else "gcc"
    if "-c" in WORDS:
        tell(NAME, [word for word in WORDS if not word.startswith("-I")])
    become(f"/usr/bin/{real}", WORDS)


def nvcc() -> None:
    """An object with a fatbin of exactly the architectures that it is asked for."""
    home = Path(os.environ["STANDIN_NVCC"]).parent.parent
    kit = json.loads((home / "standin.json").read_text(encoding="utf-8"))
    if not WORDS or {"-V", "--version"} & set(WORDS):
        print("nvcc: NVIDIA (R) Cuda compiler driver")
        print(f"Cuda compilation tools, release {kit['version']}, V{kit['release']}")
        return
    sources = [word for word in WORDS if word.endswith((".cu", ".cpp"))]
    if "-c" not in WORDS or not sources:
        return
    cubins, ptx = wanted_code()
    tell("nvcc", [kit["version"], Path(sources[0]).name, *cubins, *(f"PTX {one}" for one in ptx)])
    for one in [*cubins, *ptx]:
        if one not in kit["targets"]:
            stop(1, f"nvcc fatal   : Unsupported gpu architecture 'compute_{one}'")
    if "#error" in Path(sources[0]).read_text(encoding="utf-8"):
        stop(2, f'{sources[0]}(1): error: #error directive: "this file is broken"')
    from fatbins import fatbin

    assemble(fatbin(cubins, ptx, kit["version"]), Path(WORDS[WORDS.index("-o") + 1]))


def wanted_code() -> tuple[list[str], list[str]]:
    """(machine code, PTX) of `-gencode arch=compute_90,code=[sm_90,compute_90]` and of `-arch=sm_90`."""
    codes: list[str] = []
    for word in WORDS:
        found = re.search(r"arch=compute_\w+,code=(\S+)", word)
        if found:
            codes += found[1].strip("\"'[]").split(",")
        elif word.startswith("-arch=sm_"):
            codes.append(word.removeprefix("-arch="))
    pick: Callable[[str], list[str]] = lambda kind: sorted(  # noqa: E731
        {one.removeprefix(kind) for one in codes if one.startswith(kind)}, key=int
    )
    return pick("sm_"), pick("compute_")


def assemble(code: bytes, out: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        data, source = Path(folder) / "code.fatbin", Path(folder) / "code.s"
        data.write_bytes(code)
        section = '.section .nv_fatbin,"a"\n.balign 8\n'
        source.write_text(f'{section}.incbin "{data}"\n.section .note.GNU-stack,"",@progbits\n')
        subprocess.run([GCC, "-c", "-o", out, source], check=True)


# -- package managers -----------------------------------------------------------------------------------
def sudo() -> None:
    tell("sudo", WORDS)
    words = [word for word in WORDS if word != "-n"]
    if (MACHINE / "sudo-asks").exists():
        stop(1, "sudo: a password is required")
    os.environ["STANDIN_SUDO"] = "1"
    os.execvp(words[0], words)


def need_root(lock: str) -> None:
    if not is_root():
        stop(100, f"E: Could not open lock file {lock} - open (13: Permission denied)")


def apt_get() -> None:
    tell("apt-get", WORDS)
    need_root("/var/lib/dpkg/lock-frontend")
    known = MACHINE / "state" / "nvidia-repository"
    if "update" in WORDS and (MACHINE / "state" / "keyring").exists():
        known.touch()
    if "purge" in WORDS or "remove" in WORDS:
        (MACHINE / "shadow" / "libcuda.so.1").unlink(missing_ok=True)
        (MACHINE / "facts.json").write_text((MACHINE / "facts-mended.json").read_text())
    if "install" not in WORDS:
        return
    for package in [word for word in WORDS[WORDS.index("install") + 1 :] if word[0] != "-"]:
        if package.startswith("cuda-toolkit-"):
            if not known.exists():
                stop(100, f"E: Unable to locate package {package}")
            version = package.removeprefix("cuda-toolkit-").replace("-", ".")
            toolkit(Path(f"/usr/local/cuda-{version}"), version)
        (MACHINE / "state" / f"apt-{package}").touch()
        for name in {"build-essential": ("gcc", "g++")}.get(package, (package,)):
            if Path(f"/usr/bin/{name}").exists() and name.startswith(("g++", "gcc")):
                write(MACHINE / "bin" / name, f'#!/bin/sh\nexec /usr/bin/{name} "$@"\n')


def dpkg() -> None:
    tell("dpkg", WORDS)
    need_root("/var/lib/dpkg/lock-frontend")
    if "keyring" in WORDS[-1] and Path(WORDS[-1]).read_bytes():
        (MACHINE / "state" / "keyring").touch()


def dpkg_query() -> None:
    """Everything is installed but the compilers that the machine lacks, until apt-get brings them."""
    names = {one["name"] for one in facts()["compilers"] if one["works"]}
    lacking = {"gcc", "g++"} - names
    lacking |= {"build-essential"} if lacking else set()
    for package in [
        word for word in WORDS if re.fullmatch(r"[a-z0-9+.-]+", word) and word[0] != "-"
    ]:
        if package not in lacking or (MACHINE / "state" / f"apt-{package}").exists():
            print(f"{package} installed")


def conda() -> None:
    """Environments are virtual ones with conda's records; what is asked for is recorded there."""
    tell(NAME, WORDS)
    if not WORDS or WORDS[0] not in ("create", "install"):
        return
    prefix = Path(next(WORDS[n + 1] for n, w in enumerate(WORDS) if w in ("-p", "--prefix")))
    specs, channels = conda_specs()
    python = next((one for one in specs if one.startswith("python=")), None)
    if python is not None:
        half_and_whole(prefix, python.partition("=")[2])
    record = prefix / "conda-meta"
    record.mkdir(parents=True, exist_ok=True)
    (record / "history").touch()
    for spec in specs:
        name, version = re.split(r"[=<>]+", spec + "=1")[:2]
        (record / f"{name}-{version}-0.json").write_text("{}")
    if "cuda-nvcc" in specs:
        label = next(one for one in channels if "/label/cuda-" in one)
        toolkit(prefix, ".".join(label.rpartition("cuda-")[2].split(".")[:2]))


def half_and_whole(prefix: Path, version: str) -> None:
    """An environment that can be interrupted in its middle."""
    prefix.mkdir(parents=True, exist_ok=True)
    (prefix / "bin").mkdir(exist_ok=True)
    stand_still("conda: half an environment")
    python = json.loads((MACHINE / "pythons.json").read_text())[version]
    controller = (MACHINE / "controller").read_text()
    argv = [controller, "-m", "virtualenv", "--quiet", "--no-download", "--no-periodic-update"]
    subprocess.run([*argv, "-p", python, str(prefix)], check=True)


def conda_specs() -> tuple[list[str], list[str]]:
    """(packages, channels) of the command line."""
    specs, channels, words = [], [], WORDS[1:]
    while words:
        word = words.pop(0)
        if word in ("-c", "--channel"):
            channels.append(words.pop(0))
        elif word in ("-p", "--prefix", "-n", "--name"):
            words.pop(0)
        elif not word.startswith("-"):
            specs.append(word)
    return specs, channels


def runfile() -> None:
    """NVIDIA's installer: with `--toolkit` alone; with the driver it fails where one is loaded."""
    tell("runfile", WORDS)
    options = dict(word.partition("=")[::2] for word in WORDS[1:])
    if "--silent" not in options or "--toolkit" not in options:
        stop(1, "ERROR: Installation of the driver failed: an NVIDIA kernel module is loaded")
    home = Path(options.get("--toolkitpath") or f"/usr/local/cuda-{WORDS[0]}")
    if not is_root() and not options.get("--defaultroot"):
        stop(1, "Failed to create directory: /usr/local (Permission denied)")
    toolkit(home, WORDS[0])


# -- toolkits -------------------------------------------------------------------------------------------
PARTS = ("bin/ptxas", "bin/fatbinary", "nvvm/bin/cicc", "nvvm/libdevice/libdevice.10.bc")
HEADERS = ("cuda_runtime.h", "cublas_v2.h", "cusparse.h", "cusolverDn.h")


def toolkit(home: Path, version: str, headers: tuple[str, ...] = HEADERS) -> None:
    """A folder that is a CUDA toolkit; nvcc comes last, so that half of one is known as such."""
    kits = json.loads((MACHINE / "kits.json").read_text(encoding="utf-8"))
    kit = kits[version]
    for part in (*PARTS, *(f"include/{name}" for name in headers)):
        write(home / part, "")
    write(home / "include/crt/host_config.h", f"#if __GNUC__ > {kit['gcc_max']}\n#endif\n")
    (home / "lib64").mkdir(exist_ok=True)
    major = version.split(".")[0]
    empty = [GCC, "-shared", "-nostdlib", f"-Wl,-soname,libcudart.so.{major}", "-x", "c"]
    subprocess.run([*empty, "-o", home / "lib64/libcudart.so", "/dev/null"], check=True)
    write(home / "standin.json", json.dumps({"version": version, **kit}))
    stand_still(f"toolkit: half of {version}")
    nvcc_of(home)


def nvcc_of(home: Path) -> None:
    script = f'#!/bin/sh\nSTANDIN_NVCC={home}/bin/nvcc exec "{sys.executable}" -I -S "{HERE}" "{MACHINE}" nvcc "$@"\n'
    write(home / "bin/nvcc", script)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)


# -- the rest -------------------------------------------------------------------------------------------
def git() -> None:
    if WORDS != ["--version"]:  # the probe's question
        tell("git", WORDS)
    become("/usr/bin/git", WORDS)


def recorded_only() -> None:
    """docker, wsl.exe: what they were asked, and a first line as theirs."""
    if WORDS != ["--version"]:
        tell(NAME, WORDS)
    answer = MACHINE / "answers" / NAME
    if answer.is_file():
        sys.stdout.write(answer.read_text(encoding="utf-8"))
    elif WORDS and WORDS[0] == "--version":
        print(f"{NAME} version 1.2.3")


def make_toolkit() -> None:
    """Not a program of a machine: `program.py MACHINE make-toolkit HOME VERSION [HEADERS…]`."""
    toolkit(Path(WORDS[0]), WORDS[1], tuple(WORDS[2:]) or HEADERS)


PROGRAMS: dict[str, Callable[[], None]] = {
    "nvidia-smi": nvidia_smi,
    "nvcc": nvcc,
    "sudo": sudo,
    "apt-get": apt_get,
    "dpkg": dpkg,
    "dpkg-query": dpkg_query,
    "conda": conda,
    "mamba": conda,
    "micromamba": conda,
    "runfile": runfile,
    "git": git,
    "make-toolkit": make_toolkit,
}


def main() -> None:
    if re.match(r"(gcc|g\+\+|clang|clang\+\+)(-\d+)?$", NAME):
        compiler()
    else:
        PROGRAMS.get(NAME, recorded_only)()


if __name__ == "__main__":
    main()
