"""What a machine is: frozen records, read from the JSON that `payload/probe.py` prints.

`None` means: looked for and not there (where it was looked for stands in `Facts.sources`). Unknown keys
are ignored, so that an older mambaops reads the facts of a newer probe. Three CUDAs have three names:
`Driver.cuda` (the most the driver runs), `Toolkit.version` (what nvcc compiles) and `Torch.cuda` (what
torch was built with). Sizes are bytes.
"""

# no `from __future__ import annotations`: msgspec takes three times as long over annotations that are texts

from pathlib import Path
from typing import Any

import msgspec

from mambaops.core.files import regular


class Distribution(msgspec.Struct, frozen=True, kw_only=True):
    id: str | None = None  # "debian", "ubuntu", … from os-release
    version: str | None = None  # "12", "20.04"
    name: str | None = None  # PRETTY_NAME
    codename: str | None = None
    like: list[str] = []


class Libstdcxx(msgspec.Struct, frozen=True, kw_only=True):
    path: str
    glibcxx: str | None = None  # highest GLIBCXX_ version it defines, "3.4.30"
    cxxabi: str | None = None


class Disk(msgspec.Struct, frozen=True, kw_only=True):
    path: str
    why: str  # "environments", "temporary files", "pip cache", …
    free: int | None = None
    total: int | None = None
    filesystem: str | None = None  # "ext4", "9p" (a Windows drive under WSL), …
    writable: bool = True


class Host(msgspec.Struct, frozen=True, kw_only=True):
    system: str  # "Linux", "Windows", "Darwin"
    machine: str  # "x86_64", "aarch64"
    kernel: str | None = None
    distribution: Distribution = Distribution()
    wsl: int | None = None  # 1, 2 or None
    wsl_automount_root: str | None = None  # "/mnt/" unless wsl.conf says otherwise
    container: str | None = None  # "docker", "podman", "lxc", "kubernetes", …
    glibc: str | None = None
    libstdcxx: Libstdcxx | None = None
    cores: int = 1  # usable by this process (affinity and cgroup quota)
    cores_total: int = 1
    memory_total: int | None = None
    memory_available: int | None = None
    memory_limit: int | None = None  # cgroup limit, None when unlimited
    swap_total: int | None = None
    disks: list[Disk] = []
    root: bool = False
    sudo: bool = False  # a `sudo` is on PATH
    locale: str | None = None


class Driver(msgspec.Struct, frozen=True, kw_only=True):
    state: str  # "ok", "absent", "broken", "timeout"
    version: str | None = None  # "535.104.12"
    cuda: str | None = None  # highest CUDA that this driver runs, "12.2"
    kind: str | None = None  # "linux", "wsl", "windows"
    error: str | None = None  # what nvidia-smi said, first line
    source: str | None = None  # which file or command told
    libcuda: str | None = None  # where libcuda.so.1 lies
    libcuda_link: str | None = None  # where libcuda.so (the linker's name) lies
    # a Linux driver's libraries lie inside WSL, shadowing the one that Windows shares
    linux_driver_in_wsl: bool = False


class GpuProcess(msgspec.Struct, frozen=True, kw_only=True):
    pid: int
    name: str | None = None
    user: str | None = None
    memory: int | None = None  # bytes


class Gpu(msgspec.Struct, frozen=True, kw_only=True):
    index: int
    name: str
    uuid: str | None = None
    compute_capability: str | None = None  # "8.0"
    memory_total: int | None = None
    memory_used: int | None = None
    mig: bool = False
    display: bool = False
    processes: list[GpuProcess] = []


class Toolkit(msgspec.Struct, frozen=True, kw_only=True):
    nvcc: str  # path
    home: str  # what CUDA_HOME would be
    version: str | None = None  # "12.1"
    release: str | None = None  # "12.1.66"
    source: str = "PATH"  # "PATH", "CUDA_HOME", "/usr/local", "conda", "target", "apt"
    whole: bool = True  # nvcc, cicc, ptxas, headers, cudart are all there
    missing: list[str] = []
    gcc_max: int | None = None  # from its own crt/host_config.h: highest gcc major it takes
    gcc_max_source: str | None = None
    clang_max: int | None = None  # from the same file
    # headers of libraries that torch's own headers include, not found beside this nvcc
    missing_for_torch: list[str] = []


class Compiler(msgspec.Struct, frozen=True, kw_only=True):
    name: str  # "gcc", "g++", "clang", "g++-11", …
    path: str
    version: str | None = None
    works: bool = True  # for g++: cc1plus is there
    error: str | None = None


class Python(msgspec.Struct, frozen=True, kw_only=True):
    executable: str
    version: str  # "3.11.7"
    implementation: str = "CPython"
    abi_tag: str = ""  # "cp311"
    platform_tag: str = ""  # "linux_x86_64"
    prefix: str = ""
    base_prefix: str = ""
    kind: str = "system"  # "venv", "conda", "system", "pyenv", "uv"
    headers: str | None = None  # folder that holds Python.h
    site_packages: str = ""
    externally_managed: bool = False
    in_virtualenv: bool = False
    # a C++ library of its own (conda), which it loads before the system's
    libstdcxx: Libstdcxx | None = None


class Torch(msgspec.Struct, frozen=True, kw_only=True):
    version: str  # "2.14.1+cu130"
    path: str
    cuda: str | None = None  # None for a CPU build
    hip: str | None = None
    cxx11_abi: bool | None = None
    arch_list: list[str] | None = None  # ["sm_75", …, "compute_120"]
    triton_pin: str | None = None  # the triton release its metadata asks for
    nvidia_packages: dict[str, str] = {}


class Package(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    version: str
    path: str  # folder of the package or of its dist-info
    extensions: list[str] = []  # compiled modules that belong to it
    editable: bool = False
    shadowed_by: str | None = None  # a source folder that `import` would take instead


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    path: str
    version: str | None = None


class Environment(msgspec.Struct, frozen=True, kw_only=True):
    path: str
    kind: str  # "conda", "venv"
    name: str | None = None
    python: str | None = None  # version


class Clock(msgspec.Struct, frozen=True, kw_only=True):
    now: str  # ISO 8601, UTC
    skew: str | None = None  # why the clock looks wrong


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One fact that could not be read; the others stand."""

    fact: str
    error: str


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    schema: int = 1
    host: Host
    driver: Driver
    gpus: list[Gpu] = []
    toolkits: list[Toolkit] = []
    compilers: list[Compiler] = []
    python: Python
    torch: Torch | None = None
    # distribution name (normalised) -> package, only those that matter to us
    packages: dict[str, Package] = {}
    # every distribution beside this interpreter: normalised name -> version
    distributions: dict[str, str] = {}
    tools: dict[str, Tool] = {}
    environments: list[Environment] = []
    config: dict[str, Any] = {}  # {"pip": {...}, "uv": {...}}, secrets masked
    env: dict[str, str] = {}  # the environment variables that matter, secrets masked
    clock: Clock | None = None
    sources: dict[str, str] = {}  # fact -> where it was read or looked for
    problems: list[Problem] = []


def decode(text: str | bytes) -> Facts:
    """Facts from the probe's JSON.

    Raises:
        msgspec.ValidationError: the text is JSON of another shape (the message names the key path).
        msgspec.DecodeError: the text is no JSON.
    """
    return msgspec.json.decode(text, type=Facts)


def load(path: Path) -> Facts:
    """Facts from a file (`mambaops facts --json > FILE`).

    Raises:
        UsageError: not there, not JSON, or not facts.
    """
    from mambaops.core.errors import UsageError

    try:
        return decode(regular(path).read_bytes())
    except OSError as error:
        raise UsageError(
            f"facts file `{path}` cannot be read: {error.strerror}",
            hint="make one with `mambaops facts --json > facts.json`",
        ) from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(
            f"`{path}` does not hold facts: {error}",
            hint="make one with `mambaops facts --json > facts.json`",
        ) from error
