"""Looks at a machine and at the Python that runs this file; prints one JSON object. Changes nothing.

Standard library only, Python 3.7 or newer (Debian 10 has no newer one), no import of torch:
`ssh host python3 - < probe.py` works. One file on purpose, however long: it is piped through ssh. Each fact is
read by itself, in parallel, with time-outs: one that fails becomes a line under "problems" and harms no other. `None` means looked for and
not there; "sources" names the places. The shape is that of `mambaops.facts.model.Facts`.
"""

import sys

if sys.version_info < (3, 7):
    sys.stderr.write(
        "mambaops: this is Python %d.%d (%s), the probe needs 3.7 or newer; run it with another python\n"
        % (sys.version_info[0], sys.version_info[1], sys.executable)
    )
    sys.exit(3)

# argparse, shutil and tempfile are slow to import: only where they are needed
import json
import os
import platform
import re
import signal
import struct
import subprocess
import sysconfig
import threading
import time
from typing import (
    Any,
    Callable,
    Dict,
    FrozenSet,
    Iterable,
    Iterator,
    List,
    Optional,
    Sequence,
    Tuple,
)

SCHEMA = 1
FACTS = (
    "host", "driver", "gpus", "toolkits", "compilers", "python", "torch", "packages", "distributions",
    "tools", "environments", "config", "env", "clock"
)  # fmt: skip


def words(text: str) -> FrozenSet[str]:
    return frozenset(text.split())


# distributions that decide whether the kernels build and run; all nvidia-* stand under torch
PACKAGES = words(
    "flash-attn torchvision torchaudio triton pytorch-triton"
    " triton-windows numpy setuptools wheel pip ninja packaging einops transformers huggingface-hub"
    " tokenizers safetensors accelerate peft tilelang quack-kernels apache-tvm-ffi torch-geometric"
    " pyg-lib ogb yacs performer-pytorch"
    " torchmetrics tensorboard tensorboardx pytorch-lightning lightning mkl timm nibabel pillow"
    " mambaops"
)
TOOLS = {
    "ninja": ("--version",),
    "cmake": ("--version",),
    "git": ("--version",),
    "make": ("--version",),
    "docker": ("--version",),
    "podman": ("--version",),
    "apptainer": ("--version",),
    "singularity": ("--version",),
    "sccache": ("--version",),
    "ccache": ("--version",),
    "uv": ("--version",),
    "micromamba": ("--version",),
    "patchelf": ("--version",),
    # slow to start: their version is read from files
    "conda": (),
    "mamba": (),
}
ENV_NAMES = words(
    "PATH LD_LIBRARY_PATH LIBRARY_PATH CPATH CPLUS_INCLUDE_PATH C_INCLUDE_PATH LD_PRELOAD PYTHONPATH"
    " PYTHONHOME PYTHONNOUSERSITE VIRTUAL_ENV CC CXX CFLAGS CXXFLAGS LDFLAGS MAX_JOBS MAKEFLAGS TMPDIR"
    " XDG_CACHE_HOME LANG LC_ALL SSL_CERT_FILE REQUESTS_CA_BUNDLE CURL_CA_BUNDLE LOADEDMODULES"
    " SLURM_JOB_ID KMP_DUPLICATE_LIB_OK OMP_NUM_THREADS MKL_NUM_THREADS HTTP_PROXY HTTPS_PROXY"
    " ALL_PROXY NO_PROXY http_proxy https_proxy all_proxy no_proxy WSL_DISTRO_NAME WSL_INTEROP"
)
ENV_PREFIXES = (
    "CUDA", "NVIDIA_", "NVCC_", "TORCH_", "PYTORCH_", "TRITON_", "MAMBA", "CAUSAL_CONV1D_", "CONDA_",
    "PIP_", "UV_", "HF_", "TRANSFORMERS_", "CMAKE_", "SCCACHE_", "CCACHE_"
)  # fmt: skip
SECRET = re.compile(r"token|passw|secret|credential|api_?key|private", re.IGNORECASE)
NOT_SECRET = re.compile(r"file|path|dir|home", re.IGNORECASE)

# where the interpreter's own programs lie
SCRIPTS = os.path.join(sys.prefix, "Scripts" if os.name == "nt" else "bin")

Json = Dict[str, Any]


# --- running commands ---------------------------------------------------------------------------------


class Ran:
    """Outcome of a command; `failure` is "" when it exited 0."""

    def __init__(self, code: Optional[int], out: str, err: str, failure: str) -> None:
        self.code = code
        self.out = out
        self.err = err
        self.failure = failure
        self.timed_out = failure.startswith("gave no answer")

    @property
    def text(self) -> str:
        return self.out + "\n" + self.err


def run(argv: Sequence[str], timeout: float) -> Ran:
    """Run a command in the C locale, with nothing to read, ended with its children when it hangs."""
    env = dict(os.environ, LC_ALL="C", LANG="C", LANGUAGE="C")
    try:
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=env,
            cwd=here(),
            start_new_session=True,
        )
    except OSError as error:
        return Ran(None, "", "", "could not be started: %s" % (error.strerror or error))
    try:
        out, err = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        _end(process)
        return Ran(None, "", "", "gave no answer within %g s" % timeout)
    failure = "" if process.returncode == 0 else "exited %d" % process.returncode
    return Ran(process.returncode, _decode(out), _decode(err), failure)


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Kill the group. A process stuck in a driver call cannot die: it is not waited for long."""
    try:
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait(0.2)
    except (OSError, subprocess.TimeoutExpired):
        pass


def _decode(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def in_parallel(jobs: Dict[Any, Callable[[], Any]], limit: float) -> Dict[Any, Any]:
    """Run all jobs at once; the results by key, in the order of the jobs.

    An exception is the result of a job that raised it, a TimeoutError of one that took over `limit` seconds
    (a dead network drive): its thread is left behind.
    """
    results: Dict[Any, Any] = {}

    def work(key: Any, job: Callable[[], Any]) -> None:
        try:
            results[key] = job()
        except Exception as error:  # the caller decides what a failed fact means
            results[key] = error

    threads = [
        threading.Thread(target=work, args=(key, job), daemon=True) for key, job in jobs.items()
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + limit
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    late = TimeoutError("no answer within %g s" % limit)
    return {key: results.get(key, late) for key in jobs}


def read_text(path: str) -> Optional[str]:
    """A file's text, or None when it cannot be read."""
    try:
        with open(path, "rb") as file:
            return _decode(file.read())
    except OSError:
        return None


def here() -> str:
    """The working folder; the user's home when it was removed under us."""
    try:
        return os.getcwd()
    except OSError:
        return os.path.expanduser("~")


def is_file(path: str) -> bool:
    return os.path.isfile(path)


def is_program(path: str) -> bool:
    return os.path.isfile(path) and os.access(path, os.X_OK)


def program(name: str, folders: Sequence[str]) -> Optional[str]:
    """The first program of that name in the folders; a name with a folder in it stands for itself."""
    if os.name == "nt":  # endings, and the folder where one is
        import shutil

        return shutil.which(name, path=os.pathsep.join(folders))
    if os.path.dirname(name):
        return name if is_program(name) else None
    return first(filter(is_program, (os.path.join(folder, name) for folder in folders)))


def is_script(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(2) == b"#!"
    except OSError:
        return False


def first(items: Iterable[Any]) -> Any:
    return next(iter(items), None)


def find(pattern: str, text: str, flags: int = 0) -> Optional[str]:
    """The first group of the first match, or None."""
    match = re.search(pattern, text, flags)
    return match.group(1) if match else None


def number_of(version: str) -> Tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


# --- parsers: text in, value out ----------------------------------------------------------------------


def parse_nvcc(text: str) -> Tuple[Optional[str], Optional[str]]:
    """("12.1", "12.1.66") from `nvcc --version`.

    e.g. "Cuda compilation tools, release 12.1, V12.1.66"
    """
    version = find(r"\brelease (\d+\.\d+)", text)
    release = find(r"\bV(\d+\.\d+\.\d+)", text)
    if version is None and release is not None:
        version = ".".join(release.split(".")[:2])
    return version, release


def parse_host_config(text: str) -> Tuple[Optional[int], Optional[int]]:
    """Highest gcc and clang major versions from `crt/host_config.h`.

    e.g. "#if __GNUC__ > 12" and "(__clang_major__ >= 15)" or "(__clang_major__ > 8)"
    """
    gcc = find(r"#\s*if[^\n]*\b__GNUC__\s*>\s*(\d+)", text)
    clang_from = find(r"\b__clang_major__\s*>=\s*(\d+)", text)
    clang_over = find(r"\b__clang_major__\s*>\s*(\d+)", text)
    clang = int(clang_from) - 1 if clang_from else int(clang_over) if clang_over else None
    return (int(gcc) if gcc else None), clang


def parse_smi_header(text: str) -> Tuple[Optional[str], Optional[str]]:
    """Driver version and highest CUDA from plain `nvidia-smi`.

    e.g. "| NVIDIA-SMI 535.104.12   Driver Version: 535.104.12   CUDA Version: 12.2  |"; newest drivers
    write "KMD Version: 610.10 ... CUDA UMD Version: 13.3".
    """
    driver = find(r"(?:Driver|KMD) Version\s*:\s*(\d[\d.]*\d)", text)
    cuda = find(r"CUDA(?: UMD)? Version\s*:\s*(\d+\.\d+)", text)
    if driver is None:
        driver = find(r"NVIDIA-SMI[ \t]+(\d+\.[\d.]*\d)", text)
    return driver, cuda


def parse_smi_table(text: str) -> List[Json]:
    """GPUs from plain `nvidia-smi`'s table, for drivers whose query answers nothing usable.

    e.g. "|   0  NVIDIA A800 80GB PCIe          On  | 00000000:36:00.0 Off |                    0 |"
    and in the next line "| N/A   31C    P0   46W / 300W |      7MiB / 81920MiB |"
    """
    gpus: List[Json] = []
    for line in text.splitlines():
        head = re.match(r"\|\s+(\d+)\s+(\S.*?)\s+(?:On|Off|N/A|WDDM|TCC|MCDM)\s+\|", line)
        if head and re.search(r"\|\s*[0-9A-Fa-f]+:[0-9A-Fa-f]+:[0-9A-Fa-f]+\.", line):
            gpus.append(_gpu(int(head.group(1)), re.sub(r"\.\.\.$", "", head.group(2))))
            gpus[-1]["display"] = bool(re.search(r"\.\d\s+On\s+\|", line))
        used = re.search(r"(\d+)MiB\s*/\s*(\d+)MiB", line)
        if used and gpus and gpus[-1]["memory_total"] is None:
            gpus[-1]["memory_used"] = int(used.group(1)) << 20
            gpus[-1]["memory_total"] = int(used.group(2)) << 20
    return gpus


def _gpu(index: int, name: str) -> Json:
    return {
        "index": index, "name": name, "uuid": None, "compute_capability": None, "memory_total": None,
        "memory_used": None, "mig": False, "display": False, "processes": []
    }  # fmt: skip


SMI_FIELDS = (
    "index", "name", "uuid", "compute_cap", "memory.total", "memory.used", "mig.mode.current",
    "display_active", "driver_version"
)  # fmt: skip
# drivers before R510 know no compute_cap, before R450 no mig
SMI_OLD_FIELDS = ("index", "name", "uuid", "memory.total", "memory.used", "display_active")


def parse_nvidia_smi_query(text: str, fields: Sequence[str] = SMI_FIELDS) -> List[Json]:
    """GPUs from `nvidia-smi --query-gpu=… --format=csv,noheader,nounits`; lines of another form are left out.

    e.g. "0, NVIDIA A800 80GB PCIe, GPU-1c2d…, 8.0, 81920, 7, Disabled, Disabled, 535.104.12"
    """
    gpus: List[Json] = []
    for line in text.splitlines():
        values = [value.strip() for value in line.split(",")]
        if len(values) != len(fields) or not values[0].isdigit() or not values[1]:
            continue
        row = dict(zip(fields, values))
        gpu = _gpu(int(row["index"]), row["name"])
        gpu["uuid"] = row["uuid"] if row["uuid"].startswith(("GPU-", "MIG-")) else None
        gpu["compute_capability"] = find(r"^(\d+\.\d+)$", row.get("compute_cap", ""))
        gpu["memory_total"] = _mebibytes(row["memory.total"])
        gpu["memory_used"] = _mebibytes(row["memory.used"])
        gpu["mig"] = row.get("mig.mode.current") == "Enabled"
        gpu["display"] = row.get("display_active") == "Enabled"
        gpus.append(gpu)
    return gpus


def parse_loose_query(text: str) -> List[Json]:
    """GPUs from lines that hold a name and perhaps a capability, in any order.

    For wrappers that answer every query with one fixed list, e.g. "NVIDIA A800 80GB PCIe, 8.0, 81920 MiB".
    """
    gpus: List[Json] = []
    for line in text.splitlines():
        values = [value.strip() for value in line.split(",")]
        name = first(value for value in values if re.match(GPU_NAME, value))
        if name is None or "|" in line or "failed" in line:
            continue
        gpu = _gpu(len(gpus), name)
        gpu["uuid"] = first(value for value in values if value.startswith("GPU-"))
        gpu["compute_capability"] = first(v for v in values if re.match(r"\d{1,2}\.\d$", v))
        sizes = [value for value in values if re.match(r"\d+ MiB$", value)]
        gpu["memory_total"] = _mebibytes(sizes[0]) if sizes else None
        gpus.append(gpu)
    return gpus


# "NVIDIA-SMI has failed …" is no name
GPU_NAME = r"(?:NVIDIA|Tesla|Quadro|GeForce|TITAN|GRID)[ \w][^:]*$"


def _mebibytes(text: str) -> Optional[int]:
    """e.g. "81920" or "81920 MiB" → bytes; "[N/A]" and "[Not Supported]" → None."""
    digits = find(r"^(\d+)(?: MiB)?$", text)
    return int(digits) << 20 if digits else None


def parse_smi_processes(text: str) -> List[Tuple[str, Json]]:
    """(GPU's uuid, process) from `--query-compute-apps=gpu_uuid,pid,process_name,used_memory`.

    e.g. "GPU-1c2d…, 41237, /opt/conda/bin/python, 430"; a name may hold commas.
    """
    found = []
    for line in text.splitlines():
        match = re.match(r"((?:GPU|MIG)-[^,]+), *(\d+), *(.*), *([^,]*)$", line.strip())
        if match:
            uuid, pid, name, memory = match.groups()
            process = {"pid": int(pid), "name": name or None, "user": None}
            process["memory"] = _mebibytes(memory.strip())
            found.append((uuid, process))
    return found


def parse_os_release(text: str) -> Dict[str, str]:
    """Keys and unquoted values of os-release."""
    pairs = re.findall(r"^([A-Z_]+)=(.*)$", text, re.MULTILINE)
    return {key: value.strip().strip("\"'") for key, value in pairs}


def parse_kernel_driver(text: str) -> Optional[str]:
    """Version from /proc/driver/nvidia/version.

    e.g. "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.12  Wed Sep 20 09:35:17 UTC 2023"
    """
    return find(r"NVRM version:[^\n]*?\s(\d{3}\.\d[\d.]*)\s", text + " ")


def parse_wsl(kernel: str) -> Optional[int]:
    """1 or 2 from the kernel's release, e.g. "5.15.167.4-microsoft-standard-WSL2", "4.4.0-19041-Microsoft"."""
    if "microsoft" not in kernel.lower():
        return None
    if "wsl2" in kernel.lower() or "microsoft-standard" in kernel:
        return 2
    return 1 if number_of(kernel)[:2] < (4, 19) else 2


def parse_automount_root(wsl_conf: str) -> str:
    """Where WSL mounts Windows drives: `root` of [automount], e.g. "root = /windows/" → "/windows/"."""
    section = ""
    for line in wsl_conf.splitlines():
        line = line.split("#")[0].strip()
        if line.startswith("["):
            section = line.strip("[]").strip().lower()
        key, _, value = line.partition("=")
        if section == "automount" and key.strip().lower() == "root" and value.strip():
            return value.strip().strip("\"'").rstrip("/") + "/"
    return "/mnt/"


def parse_version(text: str) -> Optional[str]:
    """The first thing that looks like a version, e.g. "git version 2.39.5" → "2.39.5"."""
    return find(
        r"(?<![\w.])v?(\d+(?:\.\d+)+(?:[-.\w]*[\w])?)", text.splitlines()[0] if text else ""
    )


def mask(name: str, value: str) -> str:
    """A value without its secrets: whole for names that say so, else the credentials in addresses.

    e.g. "https://user:pass@mirror/simple" → "https://***@mirror/simple", "?token=abc" → "?token=***"
    """
    if SECRET.search(name) and not NOT_SECRET.search(name):
        return "***"
    value = re.sub(r"(\w+://)[^/\s@]+@", r"\1***@", value)
    value = re.sub(
        r"([?&][^=&\s]*(?:token|key|secret|passw|sig)[^=&\s]*=)[^&\s]+", r"\1***", value, flags=re.I
    )
    # tokens of well-known make, wherever they stand
    return re.sub(
        r"\b(hf_|ghp_|gho_|github_pat_|pypi-|glpat-|sk-)[A-Za-z0-9_\-]{8,}", r"\1***", value
    )


def parse_settings(text: str) -> Dict[str, str]:
    """`section.key` → value of an INI or flat TOML file; continuation lines are joined by a space.

    e.g. "[global]\\nindex-url = https://mirror/simple" → {"global.index-url": "https://mirror/simple"}
    """
    found: Dict[str, str] = {}
    section = last = ""
    for line in text.splitlines():
        bare = line.strip()
        if not bare or bare[0] in "#;":
            continue
        if bare.startswith("[") and "=" not in bare:
            section, last = bare.strip("[] "), ""
            continue
        key, equals, value = bare.partition("=")
        if equals and (line[0] not in " \t" or not last):
            last = "%s.%s" % (section, key.strip()) if section else key.strip()
            found[last] = value.strip().strip("\"'")
        elif last:
            found[last] = (found[last] + " " + bare).strip()
    return {key: mask(key, value) for key, value in found.items()}


# --- where to look ------------------------------------------------------------------------------------


class Place:
    """What is looked at: the root of the file system, PATH, time-outs, the places and packages that were named.

    `versions` are those of programs, by path, that need not be asked again.
    """

    def __init__(
        self,
        root: str,
        timeout: float,
        paths: Sequence[str],
        known: Dict[str, Dict[str, Any]],
        versions: Optional[Dict[str, str]] = None,
    ) -> None:
        self.known = known
        self.versions = versions or {}
        self.root = root.rstrip("/")
        self.timeout = timeout
        self.paths = list(paths)
        self.sources: Dict[str, str] = {}
        self.problems: List[Dict[str, str]] = []
        self.home = os.path.expanduser("~")
        self.kernel = (self.read("/proc/sys/kernel/osrelease") or platform.release()).strip()
        self.wsl = parse_wsl(self.kernel)
        self.automount = parse_automount_root(self.read("/etc/wsl.conf") or "")
        self.path_dirs = list(self._path_dirs())
        self.search = list(_search_path())

    def at(self, path: str) -> str:
        return self.root + path

    def read(self, path: str) -> Optional[str]:
        return read_text(self.at(path))

    def problem(self, fact: str, error: Any) -> None:
        text = str(error) or type(error).__name__
        self.problems.append({"fact": fact, "error": text.splitlines()[0]})

    def _path_dirs(self) -> Iterator[str]:
        """PATH without Windows' own folders under WSL: listing those takes seconds."""
        seen = set()
        for folder in os.environ.get("PATH", "").split(os.pathsep):
            if not folder or folder in seen:
                continue
            seen.add(folder)
            if self.wsl and re.match(re.escape(self.automount) + r"[a-zA-Z](/|$)", folder):
                continue
            yield folder

    def which(self, name: str) -> Optional[str]:
        """`name` beside the interpreter, else on PATH."""
        return program(name, [SCRIPTS, *self.path_dirs])


def _search_path() -> Iterator[str]:
    """Folders that `import` takes packages from, in order; not the one that this file lies in."""
    own = os.path.dirname(os.path.abspath(__file__)) if "__file__" in globals() else ""
    seen = set()
    for entry in sys.path:
        folder = os.path.join(here(), entry)
        if folder not in seen and folder != own and entry and os.path.isdir(folder):
            seen.add(folder)
            yield folder


# --- host ---------------------------------------------------------------------------------------------


def host(place: Place) -> Json:
    place.sources["host"] = "os-release, /proc, /sys/fs/cgroup, wsl.conf"
    release = parse_os_release(
        place.read("/etc/os-release") or place.read("/usr/lib/os-release") or ""
    )
    memory = _memory(place)
    return {
        "system": platform.system(),
        "machine": platform.machine(),
        "kernel": place.kernel or None,
        "distribution": _distribution(release),
        "wsl": place.wsl,
        "wsl_automount_root": place.automount if place.wsl else None,
        "container": _container(place),
        "glibc": _glibc(),
        "libstdcxx": _libstdcxx(place),
        "cores": _cores(place),
        "cores_total": os.cpu_count() or 1,
        "memory_total": memory.get("MemTotal"),
        "memory_available": memory.get("MemAvailable"),
        "memory_limit": _memory_limit(place, memory.get("MemTotal")),
        "swap_total": memory.get("SwapTotal"),
        "disks": _disks(place),
        "root": hasattr(os, "geteuid") and os.geteuid() == 0,
        "sudo": program("sudo", place.path_dirs) is not None,
        "locale": first(filter(None, map(os.environ.get, ("LC_ALL", "LC_CTYPE", "LANG")))),
    }


def _distribution(release: Dict[str, str]) -> Json:
    if platform.system() == "Windows":
        build = sys.getwindowsversion().build if hasattr(sys, "getwindowsversion") else 0
        version = "11" if build >= 22000 else "10"
        return {"id": "windows", "version": version, "name": "Windows " + version}
    return {
        "id": release.get("ID"),
        "version": release.get("VERSION_ID"),
        "name": release.get("PRETTY_NAME"),
        "codename": release.get("VERSION_CODENAME"),
        "like": release.get("ID_LIKE", "").split(),
    }


def _container(place: Place) -> Optional[str]:
    """Kind of container by the marks that each leaves; None on a plain machine."""
    if os.environ.get("KUBERNETES_SERVICE_HOST"):
        return "kubernetes"
    if os.environ.get("APPTAINER_CONTAINER") or os.environ.get("SINGULARITY_CONTAINER"):
        return "apptainer"
    if os.path.exists(place.at("/run/.containerenv")):
        return "podman"
    if os.path.exists(place.at("/.dockerenv")):
        return "docker"
    # systemd-nspawn, lxc and podman set a variable of this lower-case name
    named = os.environ.get("container") or ""  # noqa: SIM112
    named = named or (place.read("/run/systemd/container") or "").strip()
    if named and named != "wsl":
        return named
    groups = place.read("/proc/1/cgroup") or ""
    return find(r"(kubepods|docker|podman|lxc|containerd)", groups.replace("libpod", "podman"))


def _glibc() -> Optional[str]:
    try:
        text = os.confstr("CS_GNU_LIBC_VERSION") or ""  # e.g. "glibc 2.36"
    except (AttributeError, ValueError, OSError):
        return None  # musl, macOS, Windows
    return find(r"glibc (\d+\.\d+)", text)


def _libstdcxx(place: Place) -> Optional[Json]:
    machine = platform.machine()
    folders = ("/usr/lib/%s-linux-gnu" % machine, "/usr/lib64", "/lib64", "/usr/lib", "/lib")
    return _cxx_library(place.at(folder) + "/libstdc++.so.6" for folder in folders)


def _cxx_library(candidates: Iterable[str]) -> Optional[Json]:
    """The first library that is there, with the highest symbol versions that it defines."""
    path = first(filter(os.path.exists, candidates))
    if path is None:
        return None
    with open(path, "rb") as file:
        data = file.read()
    return {
        "path": path,
        "glibcxx": _highest(data, rb"GLIBCXX_(\d[\d.]*\d)"),
        "cxxabi": _highest(data, rb"CXXABI_(1\.[\d.]*\d)"),
    }


def _highest(data: bytes, pattern: bytes) -> Optional[str]:
    versions = {_decode(version) for version in re.findall(pattern, data)}
    return max(versions, key=number_of) if versions else None


def _memory(place: Place) -> Dict[str, int]:
    """Bytes by name from /proc/meminfo, e.g. "MemTotal:       24689532 kB"."""
    text = place.read("/proc/meminfo") or ""
    pairs = re.findall(r"^(\w+):\s+(\d+) kB", text, re.MULTILINE)
    return {name: int(size) * 1024 for name, size in pairs}


def _cgroup_folders(place: Place, controller: str) -> Iterator[str]:
    """This process's cgroup folders for a controller, innermost first, up to the root (v2, then v1)."""
    for line in (place.read("/proc/self/cgroup") or "").splitlines():
        number, controllers, path = (line.split(":", 2) + ["", ""])[:3]
        unified = number == "0" and not controllers
        if not unified and controller not in controllers.split(","):
            continue
        base = "/sys/fs/cgroup" if unified else "/sys/fs/cgroup/" + controller
        while True:
            yield place.at(base + path.rstrip("/"))
            if path in ("", "/"):
                break
            path = os.path.dirname(path)


def _memory_limit(place: Place, total: Optional[int]) -> Optional[int]:
    limits = []
    for folder in _cgroup_folders(place, "memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            text = (read_text(os.path.join(folder, name)) or "").strip()
            if text.isdigit():
                limits.append(int(text))
    # v1 writes a huge number for "unlimited"
    limits = [limit for limit in limits if total is None or limit < total]
    return min(limits) if limits else None


def _cores(place: Place) -> int:
    """Cores that this process may use: affinity, and the cgroup's quota rounded up."""
    try:
        cores = len(os.sched_getaffinity(0))
    except (AttributeError, OSError):
        cores = os.cpu_count() or 1
    for folder in _cgroup_folders(place, "cpu"):
        quota, period = _quota(folder)
        if quota and period:
            cores = min(cores, max(1, -(-quota // period)))
    return cores


def _quota(folder: str) -> Tuple[int, int]:
    """(quota, period) in µs; (0, 0) when unlimited. e.g. cpu.max "200000 100000" or "max 100000"."""
    words = (read_text(os.path.join(folder, "cpu.max")) or "").split()
    if len(words) != 2:
        words = [
            (read_text(os.path.join(folder, name)) or "").strip()
            for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        ]
    return (int(words[0]), int(words[1])) if all(word.isdigit() for word in words) else (0, 0)


def _disks(place: Place) -> List[Json]:
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(place.home, ".cache")
    wanted = [(here(), "working folder"), (_temporary(), "temporary files")]
    wanted += [
        (cache, "caches of pip, uv and mambaops"),
        (sys.prefix, "the interpreter's environment"),
    ]
    for name, why in (
        ("MAMBAOPS_HOME", "environments and builds"),
        ("MAMBAOPS_CACHE", "wheel store"),
        ("PIP_CACHE_DIR", "pip cache"),
        ("UV_CACHE_DIR", "uv cache"),
        ("HF_HOME", "model weights"),
    ):
        if os.environ.get(name):
            wanted.append((os.environ[name], why))
    wanted += [(path, "asked for") for path in place.paths]
    jobs = {number: _disk_job(place, path, why) for number, (path, why) in enumerate(wanted)}
    disks = []
    for number, disk in in_parallel(jobs, place.timeout).items():
        if isinstance(disk, Exception):
            place.problem("host", "free space of %s: %s" % (wanted[number][0], disk))
        else:
            disks.append(disk)
    return disks


def _disk_job(place: Place, path: str, why: str) -> Callable[[], Json]:
    def look() -> Json:
        path_there = os.path.abspath(os.path.expanduser(path))
        disk: Json = {"path": path_there, "why": why}
        while not os.path.exists(path_there):  # it will be made in the nearest folder that is there
            path_there = os.path.dirname(path_there)
        free, total = _space(path_there)
        disk.update(free=free, total=total, filesystem=_filesystem(place, path_there))
        disk["writable"] = os.access(path_there, os.W_OK) and not _read_only(path_there)
        return disk

    return look


def _temporary() -> str:
    """Where `tempfile` makes its files, without writing one to try it."""
    if os.name == "nt":
        import tempfile

        return tempfile.gettempdir()
    named = [os.environ.get(name) for name in ("TMPDIR", "TEMP", "TMP")]
    wanted = [os.path.abspath(path) for path in [*named, "/tmp", "/var/tmp"] if path]
    usable = (path for path in wanted if os.path.isdir(path) and os.access(path, os.W_OK))
    return first(usable) or here()


def _space(path: str) -> Tuple[int, int]:
    """Bytes that this user may still write there, and all."""
    if hasattr(os, "statvfs"):
        told = os.statvfs(path)
        return told.f_bavail * told.f_frsize, told.f_blocks * told.f_frsize
    import shutil

    usage = shutil.disk_usage(path)
    return usage.free, usage.total


def _read_only(path: str) -> bool:
    """Whether it is mounted read-only, which root's permissions do not tell."""
    return hasattr(os, "statvfs") and bool(os.statvfs(path).f_flag & os.ST_RDONLY)


def _filesystem(place: Place, path: str) -> Optional[str]:
    """Type of the innermost mount that holds `path`."""
    real, best = os.path.realpath(path), ("", "")
    for line in (place.read("/proc/self/mounts") or "").splitlines():
        words = line.split()
        if len(words) < 3:
            continue
        point = words[1].replace("\\040", " ")
        inside = point == "/" or real == point or real.startswith(point + "/")
        if inside and len(point) >= len(best[0]):
            best = (point, words[2])
    return best[1] or None


# --- driver and GPUs ----------------------------------------------------------------------------------


def driver_and_gpus(place: Place) -> Tuple[Json, List[Json]]:
    """The driver's state and every GPU, from the kernel's files and nvidia-smi."""
    given = os.environ.get("MAMBAOPS_DRIVER_CUDA", "").strip()
    kernel, kernel_source = _kernel_driver(place)
    libcuda, link = _libcuda(place)
    driver: Json = {
        "state": "absent", "version": kernel, "cuda": None, "kind": _driver_kind(place), "error": None,
        "source": kernel_source, "libcuda": libcuda, "libcuda_link": link,
        "linux_driver_in_wsl": _linux_driver_in_wsl(place)
    }  # fmt: skip
    smi = _nvidia_smi(place)
    place.sources["driver"] = (
        "MAMBAOPS_DRIVER_CUDA, /sys/module/nvidia/version, /proc/driver/nvidia/version, "
        + (smi or "nvidia-smi (PATH, /usr/lib/wsl/lib, /usr/bin, System32)")
    )
    place.sources["gpus"] = smi or "nvidia-smi (not found), /proc/device-tree/model"
    gpus = _ask_smi(place, smi, driver) if smi else _without_smi(place, driver)
    if given:
        _override(driver, given)
    return driver, gpus


def _override(driver: Json, given: str) -> None:
    """MAMBAOPS_DRIVER_CUDA: a CUDA version, or "none" for "treat this machine as one without driver"."""
    driver["source"] = "MAMBAOPS_DRIVER_CUDA"
    if re.match(r"\d+\.\d+$", given):
        driver.update(state="ok", cuda=given, error=None)
    elif given.lower() == "none":
        driver.update(state="absent", cuda=None, version=None)
    else:
        driver["error"] = "MAMBAOPS_DRIVER_CUDA is `%s`, not a version such as 12.8" % given


def _driver_kind(place: Place) -> str:
    if platform.system() == "Windows":
        return "windows"
    return "wsl" if place.wsl else "linux"


def _kernel_driver(place: Place) -> Tuple[Optional[str], Optional[str]]:
    text = (place.read("/sys/module/nvidia/version") or "").strip()
    if re.match(r"\d+\.\d", text):
        return text, "/sys/module/nvidia/version"
    version = parse_kernel_driver(place.read("/proc/driver/nvidia/version") or "")
    return version, "/proc/driver/nvidia/version" if version else None


def _library_folders(place: Place) -> List[str]:
    machine = platform.machine()
    folders = [place.at("/usr/lib/wsl/lib")] if place.wsl else []
    folders += [folder for folder in os.environ.get("LD_LIBRARY_PATH", "").split(":") if folder]
    system = ["/usr/lib/%s-linux-gnu" % machine, "/lib/%s-linux-gnu" % machine]
    system += [system[0] + "/nvidia/current", system[0] + "/nvidia", system[0] + "/tegra"]
    system += [
        "/usr/lib64",
        "/lib64",
        "/usr/lib",
        "/run/opengl-driver/lib",
        "/usr/local/nvidia/lib64",
    ]
    return folders + [place.at(folder) for folder in system]


def _libcuda(place: Place) -> Tuple[Optional[str], Optional[str]]:
    """Where libcuda.so.1 (for the loader) and libcuda.so (for the linker) lie."""
    folders = _library_folders(place)

    def path_of(name: str) -> Optional[str]:
        paths = (os.path.join(folder, name) for folder in folders)
        path: Optional[str] = first(filter(os.path.exists, paths))
        return path

    if platform.system() == "Windows":
        dll = os.path.join(_system_root(), "System32", "nvcuda.dll")
        return (dll if os.path.exists(dll) else None), None
    return path_of("libcuda.so.1"), path_of("libcuda.so")


def _system_root() -> str:
    return os.environ.get("SYSTEMROOT", "C:\\Windows")


def _linux_driver_in_wsl(place: Place) -> bool:
    """Whether a Linux driver's libcuda shadows the one that Windows shares under /usr/lib/wsl/lib."""
    if not place.wsl:
        return False
    folder = place.at("/usr/lib/%s-linux-gnu" % platform.machine())
    own = [
        path
        for path in (
            os.path.join(folder, "libcuda.so.1"),
            os.path.join(folder, "libnvidia-ml.so.1"),
        )
        if os.path.exists(path) and "/wsl/" not in os.path.realpath(path)
    ]
    return bool(own)


def _nvidia_smi(place: Place) -> Optional[str]:
    """nvidia-smi; under WSL the one that Windows shares goes before one of a Linux driver."""
    if platform.system() == "Windows":
        system = os.path.join(_system_root(), "System32")
        return program("nvidia-smi", place.path_dirs) or program("nvidia-smi", [system])
    shared = place.at("/usr/lib/wsl/lib/nvidia-smi")
    if place.wsl and is_program(shared):
        return shared
    beside = [place.at("/usr/bin"), place.at("/usr/lib/wsl/lib"), place.at("/opt/bin")]
    return program("nvidia-smi", place.path_dirs + beside)


def _ask_smi(place: Place, smi: str, driver: Json) -> List[Json]:
    def query(what: str, fields: Sequence[str]) -> Callable[[], Ran]:
        argv = [smi, "--query-%s=%s" % (what, ",".join(fields)), "--format=csv,noheader,nounits"]
        return lambda: run(argv, place.timeout)

    ran = in_parallel(
        {
            "plain": lambda: run([smi], place.timeout),
            "gpus": query("gpu", SMI_FIELDS),
            "apps": query("compute-apps", ("gpu_uuid", "pid", "process_name", "used_memory")),
        },
        2 * place.timeout,
    )
    plain: Ran = ran["plain"]
    version, cuda = parse_smi_header(plain.out)
    gpus = parse_nvidia_smi_query(ran["gpus"].out)
    if not gpus and not plain.timed_out and not ran["gpus"].timed_out:
        old = query("gpu", SMI_OLD_FIELDS)() if ran["gpus"].failure else ran["gpus"]
        gpus = (
            parse_nvidia_smi_query(old.out, SMI_OLD_FIELDS)
            or parse_smi_table(plain.out)
            or parse_loose_query(ran["gpus"].out)
        )
    driver.update(source=smi, version=version or driver["version"], cuda=cuda)
    _judge_driver(place, driver, plain, ran["gpus"], gpus)
    _add_processes(gpus, ran["apps"].out)
    return gpus


def _judge_driver(place: Place, driver: Json, plain: Ran, query: Ran, gpus: List[Json]) -> None:
    """ok, timeout or broken, with what nvidia-smi said."""
    said = first(line.strip() for line in plain.text.splitlines() if line.strip())
    if plain.timed_out or (query.timed_out and not driver["cuda"]):
        driver.update(state="timeout", error="nvidia-smi %s" % (plain.failure or query.failure))
        place.problem("gpus", driver["error"])
    elif driver["cuda"] or gpus:
        driver["state"] = "ok"
        if not gpus:
            driver["error"] = said if plain.failure else "nvidia-smi lists no GPU"
            place.problem("gpus", driver["error"])
    elif "No devices were found" in plain.text:
        driver.update(state="ok", error="No devices were found")
    else:
        driver.update(
            state="broken", error=said or "nvidia-smi %s" % (plain.failure or "said nothing")
        )


def _add_processes(gpus: List[Json], text: str) -> None:
    by_uuid = {gpu["uuid"]: gpu for gpu in gpus if gpu["uuid"]}
    for uuid, process in parse_smi_processes(text):
        process["user"] = _owner(process["pid"])
        gpu = by_uuid.get(uuid)
        if gpu is not None:
            gpu["processes"].append(process)


def _owner(pid: int) -> Optional[str]:
    try:
        import pwd

        return pwd.getpwuid(os.stat("/proc/%d" % pid).st_uid).pw_name
    except (ImportError, OSError, KeyError):
        return None


def _without_smi(place: Place, driver: Json) -> List[Json]:
    """No nvidia-smi: libcuda may still tell its CUDA (containers), and a Jetson its model."""
    if driver["libcuda"]:
        cuda = _ask_libcuda(place, driver["libcuda"])
        if cuda:
            driver.update(state="ok", cuda=cuda, source=driver["libcuda"])
    if driver["state"] == "absent" and driver["version"]:
        driver.update(state="broken", error="the kernel module is loaded, nvidia-smi is missing")
    elif driver["state"] == "absent" and _on_pci(place):
        driver["error"] = "an NVIDIA GPU is on the PCI bus, but no driver is loaded"
    model = (place.read("/proc/device-tree/model") or "").strip("\0\n ")
    return [_gpu(0, model)] if re.search(r"NVIDIA|Jetson", model) else []


def _ask_libcuda(place: Place, library: str) -> Optional[str]:
    """cuDriverGetVersion in a process of its own: a bad library cannot take us with it."""
    code = (
        "import ctypes,sys;v=ctypes.c_int();"
        "e=ctypes.CDLL(sys.argv[1]).cuDriverGetVersion(ctypes.byref(v));"
        "print(v.value if e==0 else 0)"
    )
    text = run([sys.executable, "-I", "-S", "-c", code, library], place.timeout).out.strip()
    number = int(text) if text.isdigit() else 0  # e.g. 12080
    return "%d.%d" % (number // 1000, number % 1000 // 10) if number else None


def _on_pci(place: Place) -> bool:
    """Whether a display or 3D controller of NVIDIA (vendor 0x10de, class 0x03) is there."""
    folder = place.at("/sys/bus/pci/devices")
    try:
        names = os.listdir(folder)
    except OSError:
        return False
    return any(
        (read_text(os.path.join(folder, name, "vendor")) or "").strip() == "0x10de"
        and (read_text(os.path.join(folder, name, "class")) or "").startswith("0x03")
        for name in names
    )


# --- toolkits -----------------------------------------------------------------------------------------


def toolkits(place: Place, folders: Sequence[str]) -> List[Json]:
    """Every nvcc; `folders` are environments that may hold one. The same toolkit is told once."""
    place.sources["toolkits"] = (
        "CUDA_HOME, CUDA_PATH, PATH, /usr/local/cuda*, /opt/cuda*, conda environments, site-packages/nvidia"
    )
    distinct: Dict[str, Tuple[str, str]] = {}
    for path, source in _nvcc_candidates(place, folders):
        if is_program(path):
            distinct.setdefault(os.path.realpath(_started_by(path) or path), (path, source))
    jobs = {path: _toolkit_job(place, path, source) for path, source in distinct.values()}
    found: Dict[str, Json] = {}
    for path, kit in in_parallel(jobs, 3 * place.timeout).items():
        if isinstance(kit, Exception):
            place.problem("toolkits", "%s: %s" % (path, kit))
        else:
            found.setdefault(os.path.realpath(kit["home"]), kit)
    return list(found.values())


def _nvcc_candidates(place: Place, folders: Sequence[str]) -> Iterator[Tuple[str, str]]:
    name = "nvcc.exe" if platform.system() == "Windows" else "nvcc"
    for variable in ("CUDA_HOME", "CUDA_PATH"):
        if os.environ.get(variable):
            yield os.path.join(os.environ[variable], "bin", name), "CUDA_HOME"
    for folder in place.path_dirs:
        yield os.path.join(folder, name), _path_source(folder)
    for parent in ("/usr/local", "/opt"):
        try:
            names = sorted(os.listdir(place.at(parent)), key=number_of, reverse=True)
        except OSError:
            continue
        for entry in names:
            if entry.startswith("cuda"):
                yield os.path.join(place.at(parent), entry, "bin", name), parent
    yield place.at("/usr/lib/nvidia-cuda-toolkit/bin/nvcc"), "apt"
    # the folder of links that makes the toolkit's wheels a CUDA_HOME, before the wheels themselves
    yield os.path.join(sys.prefix, "cuda-home", "bin", name), "target"
    for prefix in [os.environ.get("CONDA_PREFIX") or "", sys.prefix, *folders]:
        if prefix:
            source = "conda" if os.path.isdir(os.path.join(prefix, "conda-meta")) else "target"
            yield os.path.join(prefix, "bin", name), source
    for folder in place.search:
        for home in _children(os.path.join(folder, "nvidia")):
            yield os.path.join(home, "bin", name), "target"


def _path_source(folder: str) -> str:
    prefix = os.path.dirname(os.path.abspath(folder))
    return "conda" if os.path.isdir(os.path.join(prefix, "conda-meta")) else "PATH"


def _children(folder: str) -> List[str]:
    try:
        return [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
    except OSError:
        return []


def _toolkit_job(place: Place, nvcc: str, source: str) -> Callable[[], Json]:
    def look() -> Json:
        home = _cuda_home(place, nvcc)
        ran = run([nvcc, "--version"], place.timeout)
        version, release = parse_nvcc(ran.out)
        missing = [] if version else ["a working nvcc (%s)" % (ran.failure or "no version printed")]
        version = version or _written_version(home)
        headers = _header_folders(place, home)
        config = first(
            path
            for path in (os.path.join(h, "crt", "host_config.h") for h in headers)
            if is_file(path)
        )
        gcc, clang = parse_host_config(read_text(config) or "") if config else (None, None)
        missing += _missing_parts(place, home, headers)
        return {
            "nvcc": nvcc, "home": home, "version": version, "release": release, "source": source,
            "whole": not missing, "missing": missing, "gcc_max": gcc, "gcc_max_source": config,
            "clang_max": clang, "missing_for_torch": _missing_headers(headers, TORCH_HEADERS)
        }  # fmt: skip

    return look


# of libraries that torch's own headers include
TORCH_HEADERS = ("cublas_v2.h", "cusparse.h", "cusolverDn.h")


# a script that does nothing but start another nvcc, which is quicker read than asked
WRAPPER = r"\A#![^\n]*\n(?:[ \t]*(?:#[^\n]*)?\n)*exec +\"?(/[^\s\"'$`\\]*/nvcc)\"? +\"\$@\"\s*\Z"


def _started_by(path: str) -> Optional[str]:
    """The nvcc that a script of one line starts; None for any other file."""
    if not is_script(path):
        return None
    behind = find(WRAPPER, read_text(path) or "")
    return behind if behind and behind != path and is_program(behind) else None


def _cuda_home(place: Place, nvcc: str) -> str:
    """What CUDA_HOME would be: above the real `bin/nvcc`; a wrapper script is asked where it leads."""
    near = os.path.dirname(os.path.dirname(os.path.abspath(nvcc)))
    if os.path.islink(os.path.join(near, "bin")) and _parts(near, "nvvm/bin/cicc"):
        return near  # a folder of links: what lies behind them is no CUDA_HOME
    real = os.path.realpath(nvcc)
    home = os.path.dirname(os.path.dirname(real))
    if os.path.basename(os.path.dirname(real)) == "bin" and _parts(home, "nvvm/bin/cicc"):
        return home
    behind = _started_by(real)
    if behind:
        return _cuda_home(place, behind)
    if is_script(real):
        # e.g. "#$ TOP=/usr/local/cuda-13.0/bin/.."
        top = find(
            r"#\$ TOP=(\S+)",
            run([nvcc, "-dryrun", "-E", "-x", "cu", os.devnull], place.timeout).err,
        )
        if top:
            top = os.path.realpath(top)
            # Debian keeps its headers in /usr/include: there /usr is the CUDA_HOME that works
            return "/usr" if top.endswith("nvidia-cuda-toolkit") else top
    if real.startswith(place.at("/usr/lib/nvidia-cuda-toolkit/")):
        return place.at("/usr")
    return home


def _parts(home: str, *names: str) -> Optional[str]:
    path: Optional[str] = first(
        filter(os.path.exists, (os.path.join(home, name) for name in names))
    )
    return path


def _header_folders(place: Place, home: str) -> List[str]:
    folders = [os.path.join(home, "include")]
    folders += [
        os.path.join(target, "include") for target in _children(os.path.join(home, "targets"))
    ]
    if home == place.at("/usr"):
        folders.append(place.at("/usr/lib/nvidia-cuda-toolkit/include"))
    return folders


def _missing_parts(place: Place, home: str, headers: Sequence[str]) -> List[str]:
    """Parts without which no extension can be compiled."""
    debian = place.at("/usr/lib/nvidia-cuda-toolkit")
    homes = [home, debian] if home == place.at("/usr") else [home]
    missing = [
        name
        for name, places in (
            ("cicc", ("nvvm/bin/cicc", "bin/cicc")),
            ("ptxas", ("bin/ptxas",)),
            ("fatbinary", ("bin/fatbinary",)),
            ("libdevice", ("nvvm/libdevice/libdevice.10.bc", "libdevice/libdevice.10.bc")),
        )
        if not any(_parts(folder, *places) for folder in homes)
    ]
    missing += _missing_headers(headers, ("cuda_runtime.h", os.path.join("crt", "host_config.h")))
    if not _has_cudart(home):
        missing.append("libcudart.so")
    return missing


def _missing_headers(folders: Sequence[str], names: Sequence[str]) -> List[str]:
    return [
        name for name in names if not any(is_file(os.path.join(folder, name)) for folder in folders)
    ]


def _has_cudart(home: str) -> bool:
    folders = [os.path.join(home, name) for name in ("lib64", "lib", "lib/x64")]
    folders += [os.path.join(target, "lib") for target in _children(os.path.join(home, "targets"))]
    folders.append(os.path.join(home, "lib", "%s-linux-gnu" % platform.machine()))
    # the linker's names: the toolkit's wheels have only the numbered one, which nothing links to
    linkable = ("libcudart.so", "libcudart.dylib", "cudart.lib")
    return any(is_file(os.path.join(folder, name)) for folder in folders for name in linkable)


def _written_version(home: str) -> Optional[str]:
    """From version.json (CUDA 11 on) or version.txt, when nvcc itself does not run."""
    text = read_text(os.path.join(home, "version.json"))
    if text:
        found = find(r'"cuda"\s*:\s*\{[^}]*"version"\s*:\s*"(\d+\.\d+)', text)
        if found:
            return found
    return find(r"CUDA Version (\d+\.\d+)", read_text(os.path.join(home, "version.txt")) or "")


# --- compilers ----------------------------------------------------------------------------------------

COMPILER = re.compile(
    r"(?:[\w.]+-conda[\w.]*-linux-gnu-)?(?:gcc|g\+\+|clang|clang\+\+)(?:-\d+(?:\.\d+)?)?(?:\.exe)?$"
)


def compilers(place: Place) -> List[Json]:
    place.sources["compilers"] = "PATH, CC, CXX, CUDAHOSTCXX"
    named: Dict[str, str] = {}
    for folder in [SCRIPTS, *place.path_dirs]:
        try:
            names = os.listdir(folder)
        except OSError:
            continue
        for name in sorted(filter(COMPILER.match, names)):
            path = os.path.join(folder, name)
            if is_program(path):
                named.setdefault(name, path)
    for variable in ("CC", "CXX", "CUDAHOSTCXX"):
        word = first((os.environ.get(variable) or "").split())
        told = program(word, place.path_dirs) if word else None
        if told and told not in named.values():
            named[variable + "=" + str(word)] = told
    real = {os.path.realpath(path): (name, path) for name, path in named.items()}
    jobs = {key: _compiler_job(place, *pair) for key, pair in real.items()}
    looked = in_parallel(jobs, 3 * place.timeout)
    return [
        _compiler(name, path, looked[os.path.realpath(path)])
        for name, path in sorted(named.items(), key=lambda item: (number_of(item[0]), item[0]))
    ]


def _compiler(name: str, path: str, looked: Any) -> Json:
    version, error = (None, str(looked)) if isinstance(looked, Exception) else looked
    return {
        "name": name,
        "path": path,
        "version": version,
        "works": not error,
        "error": error or None,
    }


def _compiler_job(place: Place, name: str, path: str) -> Callable[[], Tuple[Optional[str], str]]:
    def look() -> Tuple[Optional[str], str]:
        if "clang" in name:
            ran = run([path, "--version"], place.timeout)
            version = find(r"version (\d+\.\d+[.\d]*)", ran.out)
        else:
            # gcc below 7 knows only the second flag and answers with it
            ran = run([path, "-dumpfullversion", "-dumpversion"], place.timeout)
            version = find(r"^(\d+(?:\.\d+)*)\s*$", ran.out, re.MULTILINE)
        if version is None:
            said = first(line for line in ran.text.splitlines() if line.strip())
            return None, "%s%s" % (ran.failure or "no version", ": " + said if said else "")
        if "g++" in name:
            # prints the bare name when the C++ compiler proper is not installed
            proper = run([path, "-print-prog-name=cc1plus"], place.timeout).out.strip()
            if not os.path.isabs(proper) and not place.which(proper or "cc1plus"):
                return version, "cc1plus is missing: install the g++ package of this version"
        return version, ""

    return look


# --- the interpreter ----------------------------------------------------------------------------------


def python(place: Place) -> Json:
    place.sources["python"] = "the interpreter that ran the probe"
    major, minor = sys.version_info[:2]
    cpython = platform.python_implementation() == "CPython"
    threads = "t" if sysconfig.get_config_var("Py_GIL_DISABLED") else ""
    # 3.7 is the last whose tag names its allocator
    abi = "cp%d%d%s%s" % (major, minor, threads, "m" if (major, minor) == (3, 7) else "")
    base = getattr(sys, "base_prefix", sys.prefix)
    return {
        "executable": sys.executable,
        "version": platform.python_version(),
        "implementation": platform.python_implementation(),
        "abi_tag": abi if cpython else sysconfig.get_config_var("SOABI") or "",
        "platform_tag": sysconfig.get_platform().replace("-", "_").replace(".", "_"),
        "prefix": sys.prefix,
        "base_prefix": base,
        "kind": _python_kind(base),
        "headers": _python_headers(),
        "site_packages": sysconfig.get_path("purelib") or "",
        "externally_managed": is_file(
            os.path.join(sysconfig.get_path("stdlib") or "", "EXTERNALLY-MANAGED")
        )
        and sys.prefix == base,
        "in_virtualenv": sys.prefix != base,
        "libstdcxx": _cxx_library([os.path.join(base, "lib", "libstdc++.so.6")])
        if os.path.isdir(os.path.join(base, "conda-meta"))
        else None,
    }


def _python_kind(base: str) -> str:
    if sys.prefix != base:
        return "venv"
    if os.path.isdir(os.path.join(sys.prefix, "conda-meta")):
        return "conda"
    parts = os.path.realpath(base).replace("\\", "/")
    if "/pyenv/versions/" in parts or "/.pyenv/" in parts:
        return "pyenv"
    return "uv" if "/uv/python/" in parts else "system"


def _python_headers() -> Optional[str]:
    version = "python%d.%d" % sys.version_info[:2]
    # the last is where `install-headers` puts those that the system has not
    own = os.path.join(sys.prefix, "include", version)
    for folder in (sysconfig.get_path("include"), sysconfig.get_path("platinclude"), own):
        if folder and is_file(os.path.join(folder, "Python.h")):
            return folder
    return None


class Distribution:
    """An installed distribution, by the folder or file that describes it."""

    def __init__(self, folder: str, entry: str) -> None:
        self.folder = folder
        self.path = os.path.join(folder, entry)
        stem = entry.rsplit(".", 1)[0]
        self.name, _, version = stem.partition("-")
        self.name = re.sub(r"[-_.]+", "-", self.name).lower()
        # e.g. "torch-2.0.1-py3.9.egg-info"
        self.version = re.sub(r"-py\d\.\d+$", "", version) or self._metadata_version()

    def metadata(self) -> str:
        names = ("METADATA", "PKG-INFO")
        texts = (read_text(os.path.join(self.path, name)) for name in names)
        return next((text for text in texts if text), "") or (
            (read_text(self.path) or "") if is_file(self.path) else ""
        )

    def _metadata_version(self) -> str:
        return find(r"^Version: (\S+)", self.metadata(), re.MULTILINE) or ""


def distributions(place: Place) -> Dict[str, Distribution]:
    """Installed distributions by name; the first on the import path counts."""
    found: Dict[str, Distribution] = {}
    for folder in place.search:
        try:
            entries = os.listdir(folder)
        except OSError:
            continue
        for entry in sorted(entries):
            if entry.endswith((".dist-info", ".egg-info")):
                distribution = Distribution(folder, entry)
                found.setdefault(distribution.name, distribution)
    return found


def torch(place: Place, installed: Dict[str, Distribution]) -> Optional[Json]:
    """torch by its files, without importing it; None when it is not there."""
    place.sources["torch"] = (
        "torch/version.py, TorchConfig.cmake, libc10, libtorch_python, dist-info"
    )
    folders = (os.path.join(folder, "torch") for folder in place.search)
    folder = first(path for path in folders if is_file(os.path.join(path, "version.py")))
    if folder is None:
        return None
    text = read_text(os.path.join(folder, "version.py")) or ""
    metadata = installed["torch"].metadata() if "torch" in installed else ""
    cuda = _version_value(text, "cuda")
    version = _version_value(text, "__version__")
    if version is None and "torch" not in installed:
        place.problem("torch", "%s/version.py holds no version" % folder)
        return None
    return {
        "version": version or installed["torch"].version,
        "path": folder,
        "cuda": cuda,
        "hip": _version_value(text, "hip"),
        "cxx11_abi": _cxx11_abi(folder),
        "arch_list": _arch_list(place, folder) if cuda else None,
        "triton_pin": find(
            r"^Requires-Dist: (?:pytorch[-_])?triton *\(?[~=]=([^;\s)]+)", metadata, re.MULTILINE
        ),
        "nvidia_packages": {
            name: distribution.version
            for name, distribution in sorted(installed.items())
            if name == "cuda-toolkit" or (name.startswith("nvidia-") and name != "nvidia-ml-py")
        },
    }


def _version_value(text: str, name: str) -> Optional[str]:
    """e.g. "cuda: Optional[str] = '12.8'", "cuda = '11.7'", "__version__ = '2.0.0+cu117'"; None for None."""
    return find(r"^%s *(?::[^=\n]*)?= *['\"]([^'\"]+)['\"]" % re.escape(name), text, re.MULTILINE)


def _cxx11_abi(folder: str) -> Optional[bool]:
    """From the flag in TorchConfig.cmake, else from a symbol of libc10 that takes a std::string."""
    config = read_text(os.path.join(folder, "share", "cmake", "Torch", "TorchConfig.cmake")) or ""
    flag = find(r"_GLIBCXX_USE_CXX11_ABI=([01])", config)
    if flag is not None:
        return flag == "1"
    try:
        with open(os.path.join(folder, "lib", "libc10.so"), "rb") as file:
            data = file.read()
    except OSError:
        return None
    if b"torchCheckFailEPKcS2_jRKNSt7__cxx11" in data:
        return True
    return False if b"torchCheckFailEPKcS2_jRKSs" in data else None


# as torch.cuda.get_arch_list() prints it, e.g. b"sm_75 sm_80 sm_90 compute_90\0"
ARCH_FLAGS = re.compile(rb"(?:\A|\0)((?:(?:sm|compute)_\d+[af]? )*(?:sm|compute)_\d+[af]?)\0")


def _arch_list(place: Place, folder: str) -> Optional[List[str]]:
    """What `torch.cuda.get_arch_list()` would say: a string among libtorch_python's constants."""
    for name in ("libtorch_python.so", "torch_python.dll"):
        path = os.path.join(folder, "lib", name)
        try:
            data = _constants(path)
        except (OSError, ValueError, struct.error):
            continue
        match = ARCH_FLAGS.search(data)
        if match:
            return _decode(match.group(1)).split()
    place.sources["torch.arch_list"] = "looked for in lib/libtorch_python.so, not found"
    return None


def _constants(path: str) -> bytes:
    """The .rodata section of a 64-bit little-endian ELF file; of anything else the whole file."""
    with open(path, "rb") as file:
        head = file.read(64)
        if head[:6] != b"\x7fELF\x02\x01":
            file.seek(0)
            return file.read()
        table, size, count, names_at = struct.unpack_from("<Q10xHHH", head, 40)
        file.seek(table)
        raw = file.read(size * count)
        sections = [struct.unpack_from("<IIQQQQ", raw, at * size) for at in range(count)]
        file.seek(sections[names_at][4])
        names = file.read(sections[names_at][5])
        for name, _, _, _, offset, length in sections:
            if names[name : name + 8] == b".rodata\0":
                file.seek(offset)
                return file.read(length)
    raise ValueError("no .rodata in " + path)


def packages(place: Place, installed: Dict[str, Distribution]) -> Dict[str, Json]:
    """The distributions that matter, and what was copied by hand without a description."""
    place.sources["packages"] = os.pathsep.join(place.search) or "sys.path holds no folder"
    found = {
        name: _package(place, distribution)
        for name, distribution in sorted(installed.items())
        if name in PACKAGES or name in place.known
    }
    for name, known in place.known.items():
        if name not in found:
            copied = _copied_by_hand(place, name, known["module"], known["compiled"])
            if copied:
                found[name] = copied
    return found


def _package(place: Place, distribution: Distribution) -> Json:
    name = distribution.name
    known = place.known.get(name, {"module": "", "compiled": []})
    module = known["module"]
    origin = read_text(os.path.join(distribution.path, "direct_url.json")) or ""
    editable = bool(re.search(r'"editable"\s*:\s*true', origin))
    if name in place.known and distribution.path.endswith(".egg-info"):
        # `setup.py develop` leaves it beside the sources
        editable = not os.path.basename(distribution.folder).endswith("-packages")
    return {
        "name": name,
        "version": distribution.version,
        "path": distribution.path,
        "extensions": _extensions(place, distribution.folder, known["compiled"]),
        "editable": editable,
        "shadowed_by": _shadow(place, distribution.folder, module)
        if module and not editable
        else None,
    }


def _extensions(place: Place, folder: str, compiled: Sequence[str]) -> List[str]:
    """Every `package/stem.*.so` of the compiled modules; see `_extension`."""
    return [path for stem in compiled for path in _extension(place, folder, stem)]


def _extension(place: Place, folder: str, compiled: str) -> List[str]:
    """One compiled module in the package's folder, else anywhere on the import path."""
    inside, _, stem = compiled.rpartition("/")
    for where in [folder, *place.search]:
        names = [
            path
            for path in _children(os.path.join(where, inside))
            if os.path.basename(path).split(".")[0] == stem and path.endswith((".so", ".pyd"))
        ]
        if names:
            return names
    return []


def _shadow(place: Place, folder: str, module: str) -> Optional[str]:
    """A source folder that `import` takes before the installed package: here, or earlier on the path."""
    before = [here()]
    for entry in place.search:
        if entry == folder:
            break
        before.append(entry)
    for entry in before:
        path = os.path.join(entry, module)
        if entry != folder and is_file(os.path.join(path, "__init__.py")):
            return path
    return None


def _copied_by_hand(
    place: Place, name: str, module: str, compiled: Sequence[str]
) -> Optional[Json]:
    for folder in place.search:
        path = os.path.join(folder, module)
        text = read_text(os.path.join(path, "__init__.py"))
        if text is not None:
            version = find(r"^__version__ *= *['\"]([^'\"]+)", text, re.MULTILINE)
            return {
                "name": name, "version": version or "", "path": path,
                "extensions": _extensions(place, folder, compiled),
                "editable": False, "shadowed_by": None
            }  # fmt: skip
    return None


# --- tools, environments, configuration ---------------------------------------------------------------


def tools(place: Place, roots: Sequence[str]) -> Dict[str, Json]:
    """`roots` are conda installations."""
    place.sources["tools"] = "%s, PATH" % SCRIPTS
    paths = {name: place.which(name) for name in TOOLS}
    for name in ("conda", "mamba"):
        beside = (os.path.join(root, "bin", name) for root in roots)
        paths[name] = paths[name] or first(filter(is_program, beside))
    jobs: Dict[str, Callable[[], Optional[str]]] = {}
    for name, path in paths.items():
        if path:
            jobs[name] = _tool_job(place, name, path)
    versions = in_parallel(jobs, 2 * place.timeout)
    found = {}
    for name in jobs:
        version = versions[name]
        if isinstance(version, Exception):
            place.problem("tools", "%s: %s" % (name, version))
            version = None
        found[name] = {"path": paths[name], "version": version}
    return found


def _tool_job(place: Place, name: str, path: str) -> Callable[[], Optional[str]]:
    def look() -> Optional[str]:
        if not TOOLS[name]:
            prefix = os.path.dirname(os.path.dirname(os.path.realpath(path)))
            return _conda_package(prefix, name)
        if path in place.versions:
            return place.versions[path]
        ran = run([path, *TOOLS[name]], place.timeout)
        if ran.failure:
            place.problem("tools", "`%s %s` %s" % (path, " ".join(TOOLS[name]), ran.failure))
        return parse_version(ran.out.strip())

    return look


def _conda_package(prefix: str, name: str) -> Optional[str]:
    """Version of a conda package by the name of its record, e.g. "conda-meta/conda-24.7.1-py312….json"."""
    for path in _children(os.path.join(prefix, "conda-meta")):
        version = find(r"^%s-(\d[^-]*)-[^-]*\.json$" % re.escape(name), os.path.basename(path))
        if version:
            return version
    return None


def conda_roots(place: Place) -> List[str]:
    """Folders of conda installations: those named by variables, and the usual ones."""
    wanted = [os.environ.get("CONDA_ROOT"), os.environ.get("MAMBA_ROOT_PREFIX")]
    if os.environ.get("CONDA_EXE"):
        wanted.append(os.path.dirname(os.path.dirname(os.environ["CONDA_EXE"])))
    for name in ("miniconda3", "miniforge3", "mambaforge", "anaconda3", "micromamba"):
        wanted.append(os.path.join(place.home, name))
        wanted.append(place.at("/opt/" + name))
    wanted.append(place.at("/opt/conda"))
    return sorted({root for root in wanted if root and os.path.isdir(root)})


def environments(place: Place, roots: Sequence[str]) -> List[Json]:
    """conda environments and virtual environments of this user and this folder."""
    place.sources["environments"] = (
        "~/.conda/environments.txt, conda roots, VIRTUAL_ENV, ./.venv*, ~/.virtualenvs"
    )
    listed = (read_text(os.path.join(place.home, ".conda", "environments.txt")) or "").split("\n")
    conda = [*roots, *listed, os.environ.get("CONDA_PREFIX") or "", sys.prefix]
    for root in roots:
        conda += _children(os.path.join(root, "envs"))
    beside = [path for path in _children(here()) if re.match(r"\.?v?env", os.path.basename(path))]
    venvs = [os.environ.get("VIRTUAL_ENV") or "", sys.prefix, *beside]
    state = os.environ.get("MAMBAOPS_HOME") or os.path.join(here(), ".mambaops")
    for parent in (os.path.join(place.home, ".virtualenvs"), os.path.join(state, "envs")):
        venvs += _children(parent)
    found: Dict[str, Json] = {}
    for path in conda:
        if path and os.path.isdir(os.path.join(path, "conda-meta")):
            _note(found, path, "conda", _conda_package(path, "python"), path in roots)
    for path in venvs:
        text = read_text(os.path.join(path, "pyvenv.cfg")) if path else None
        if text is not None:
            version = find(r"^version(?:_info)? *= *(\d+\.\d+(?:\.\d+)?)", text, re.MULTILINE)
            _note(found, path, "venv", version, False)
    return list(found.values())


def _note(found: Dict[str, Json], path: str, kind: str, version: Optional[str], root: bool) -> None:
    name = "base" if root else os.path.basename(path.rstrip("/\\"))
    entry = {"path": path, "kind": kind, "name": name, "python": version}
    found.setdefault(os.path.realpath(path), entry)


def config(place: Place) -> Dict[str, Dict[str, str]]:
    """Settings of pip and uv from their files, in the order in which later ones win; secrets masked."""
    settings = os.environ.get("XDG_CONFIG_HOME") or os.path.join(place.home, ".config")
    named = os.environ.get("PIP_CONFIG_FILE")
    pip = [place.at("/etc/xdg/pip/pip.conf"), place.at("/etc/pip.conf")]
    pip += [os.path.join(place.home, ".pip", "pip.conf"), os.path.join(settings, "pip", "pip.conf")]
    pip += [os.path.join(sys.prefix, "pip.conf"), *([named] if named else [])]
    uv = [place.at("/etc/uv/uv.toml"), os.path.join(settings, "uv", "uv.toml")]
    uv += [os.environ.get("UV_CONFIG_FILE") or "", os.path.join(here(), "uv.toml")]
    found: Dict[str, Dict[str, str]] = {}
    for tool, files in (("pip", pip), ("uv", uv)):
        values: Dict[str, str] = {}
        read = []
        for path in files:
            text = read_text(path) if path else None
            if text is not None:
                read.append(path)
                values.update(parse_settings(text))
        found[tool] = values
        place.sources["config." + tool] = ", ".join(read) or "no configuration file"
    return found


def env(place: Place) -> Dict[str, str]:
    """The variables that change what is found, built or run; secrets masked."""
    place.sources["env"] = "the probe's environment"
    return {
        name: mask(name, value)
        for name, value in sorted(os.environ.items())
        if name in ENV_NAMES or name.startswith(ENV_PREFIXES)
    }


def clock(place: Place) -> Json:
    """The time, and why it looks wrong: TLS and package indexes fail strangely under a wrong clock."""
    place.sources["clock"] = "the system's clock against the times of files"
    now = time.time()
    skew = None
    for path in (place.at("/etc/passwd"), place.at("/etc/os-release"), sys.executable):
        try:
            ahead = os.stat(path).st_mtime - now
        except OSError:
            continue
        if ahead > 86400:
            skew = "%s was written %d days after now" % (path, ahead // 86400)
    if now < 1735689600:  # 2025-01-01
        skew = "the clock stands before 2025"
    return {"now": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now)), "skew": skew}


# --- all of it ----------------------------------------------------------------------------------------


def collect(place: Place, only: Sequence[str]) -> Json:
    """Every fact in `only`, each guarded: what fails is told under "problems"."""
    roots = _guarded(place, "environments", lambda: conda_roots(place), [])
    installed = _guarded(place, "packages", lambda: distributions(place), {})
    envs = _guarded(place, "environments", lambda: environments(place, roots), [])
    folders = [entry["path"] for entry in envs]
    jobs: Dict[str, Callable[[], Any]] = {
        "driver": lambda: driver_and_gpus(place),
        "toolkits": lambda: toolkits(place, folders),
        "compilers": lambda: compilers(place),
        "tools": lambda: tools(place, roots),
        "host": lambda: host(place),
        "torch": lambda: torch(place, installed),
        "packages": lambda: packages(place, installed),
        "distributions": lambda: {one.name: one.version for one in installed.values()},
        "python": lambda: python(place),
        "environments": lambda: envs,
        "config": lambda: config(place),
        "env": lambda: env(place),
        "clock": lambda: clock(place),
    }
    wanted = {"driver" if fact == "gpus" else fact for fact in only}
    chosen = {fact: job for fact, job in jobs.items() if fact in wanted}
    results = in_parallel(chosen, 4 * place.timeout + 1)
    facts = {fact: _settled(place, fact, results[fact]) for fact in jobs if fact in results}
    if "driver" in facts:
        facts["driver"], facts["gpus"] = facts["driver"]
    facts = {fact: facts[fact] for fact in FACTS if fact in facts and fact in only}
    return dict(
        {"schema": SCHEMA}, **facts, sources=dict(place.sources), problems=list(place.problems)
    )


EMPTY: Json = {
    "host": {"system": platform.system(), "machine": platform.machine()},
    "driver": ({"state": "broken"}, []),
    "toolkits": [], "compilers": [], "torch": None, "packages": {}, "distributions": {}, "tools": {}, "environments": [],
    "python": {"executable": sys.executable, "version": platform.python_version()},
    "config": {}, "env": {}, "clock": None
}  # fmt: skip


def _guarded(place: Place, fact: str, job: Callable[[], Any], otherwise: Any) -> Any:
    try:
        return job()
    except Exception as error:  # one fact that fails must not harm the others
        place.problem(fact, error)
        return otherwise


def _settled(place: Place, fact: str, result: Any) -> Any:
    if not isinstance(result, Exception):
        return result
    place.problem(fact, "%s: %s" % (type(result).__name__, result))
    return EMPTY[fact]


def _printable(value: Any) -> Any:
    """The same with every string valid Unicode: names in another encoding come as lone surrogates."""
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if isinstance(value, dict):
        return {_printable(key): _printable(item) for key, item in value.items()}
    return [_printable(item) for item in value] if isinstance(value, list) else value


def report(
    only: Sequence[str] = FACTS,
    timeout: float = 3.0,
    path: Sequence[str] = (),
    root: str = "",
    packages: Optional[Dict[str, Dict[str, Any]]] = None,
    versions: Optional[Dict[str, str]] = None,
) -> None:
    """Print the facts as one line of JSON; the arguments are those of the command line."""
    facts = collect(Place(root, timeout, path, packages or {}, versions), only)
    sys.stdout.write(json.dumps(_printable(facts)) + "\n")
    sys.stdout.flush()


def main(argv: Optional[Sequence[str]] = None) -> int:
    import argparse

    parser = argparse.ArgumentParser(prog="probe.py", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--only", default="", help="facts to read, with commas: " + ",".join(FACTS))
    parser.add_argument(
        "--timeout", type=float, default=3.0, help="seconds that each command may take (default 3)"
    )
    parser.add_argument(
        "--path", nargs="+", default=[], metavar="PATH", help="places whose free space matters too"
    )
    parser.add_argument(
        "--root", default="", help="read /etc, /proc, /sys and /usr below this folder"
    )
    parser.add_argument(
        "--packages",
        default="{}",
        metavar="JSON",
        help='compiled modules to look for: {"NAME": {"module": "name", "compiled": ["name/_kernels"]}}',
    )
    options = parser.parse_args(argv)
    only = [fact.strip() for fact in options.only.split(",") if fact.strip()] or list(FACTS)
    unknown = sorted(set(only) - set(FACTS))
    if unknown:
        parser.error("unknown facts: %s (known: %s)" % (", ".join(unknown), ", ".join(FACTS)))
    report(only, options.timeout, options.path, options.root, json.loads(options.packages))
    return 0


if __name__ == "__main__":
    status = main()
    # a command stuck in the driver holds a thread: do not wait for it
    os._exit(status)
