"""The probe run for real: host, toolkits, compilers, interpreter, packages, configuration."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import texts

from mambaops import proc
from mambaops.facts.model import decode
from mambaops.resources import target_file

Maker = Callable[..., Path]


def test_the_whole_shape_is_the_models(machine: Any) -> None:
    done = machine.run()
    facts = decode(done.stdout)
    assert done.stderr == ""
    assert facts.schema == 1
    assert facts.python.executable == sys.executable
    assert set(json.loads(done.stdout)) == set(facts.__struct_fields__)


def test_it_works_through_a_pipe() -> None:
    """As in `ssh host python3 - < probe.py`."""
    text = target_file("probe.py").read_text()
    done = proc.run([sys.executable, "-", "--only", "python,packages"], stdin=text)
    assert json.loads(done.stdout)["python"]["version"]
    assert "msgspec" not in done.stdout or "mambaops" in json.loads(done.stdout)["packages"]


def test_it_changes_nothing(machine: Any) -> None:
    before = sorted(str(path) for path in machine.folder.rglob("*"))
    machine.run()
    assert sorted(str(path) for path in machine.folder.rglob("*")) == before


def test_names_in_another_encoding(machine: Any) -> None:
    folder = machine.home / os.fsdecode(b".venv-\xff")
    folder.mkdir()
    (folder / "pyvenv.cfg").write_text("version = 3.10.12\n")
    machine.path = f"{folder}:{machine.path}"
    facts = decode(machine.run().stdout)
    assert any("\ufffd" in entry.path for entry in facts.environments)
    assert "\ufffd" in facts.env["PATH"]


def test_a_working_folder_that_was_removed(machine: Any) -> None:
    gone = machine.folder / "gone"
    gone.mkdir()
    script = f"cd {gone} && rmdir {gone} && exec {sys.executable} {target_file('probe.py')}"
    done = proc.run(["sh", "-c", script], env={"PATH": machine.path, "HOME": str(machine.home)})
    facts = decode(done.stdout)
    assert facts.host.disks[0].path == str(machine.home)
    assert facts.problems == []


def test_unknown_facts_are_refused(machine: Any) -> None:
    done = machine.run("--only", "host,cpu")
    assert done.returncode == 2
    assert "unknown facts: cpu" in done.stderr


def test_only_what_was_asked_for(machine: Any) -> None:
    facts = machine.look("--only", "clock,env")
    assert set(facts) == {"schema", "clock", "env", "sources", "problems"}


# --- host


def test_distribution_and_containers(machine: Any) -> None:
    machine.file(
        "/etc/os-release",
        'PRETTY_NAME="Ubuntu 20.04.6 LTS"\nID=ubuntu\nID_LIKE=debian\nVERSION_ID="20.04"\n'
        "VERSION_CODENAME=focal\n",
    )
    host = machine.look("--only", "host")["host"]
    assert host["distribution"] == {
        "id": "ubuntu",
        "version": "20.04",
        "name": "Ubuntu 20.04.6 LTS",
        "codename": "focal",
        "like": ["debian"],
    }
    assert host["container"] is None
    machine.file("/.dockerenv", "")
    assert machine.look("--only", "host")["host"]["container"] == "docker"
    machine.file("/run/.containerenv", "")
    assert machine.look("--only", "host")["host"]["container"] == "podman"
    machine.env = {"KUBERNETES_SERVICE_HOST": "10.0.0.1"}
    assert machine.look("--only", "host")["host"]["container"] == "kubernetes"


def test_a_bare_root_gives_a_host_all_the_same(machine: Any) -> None:
    host = machine.look("--only", "host")["host"]
    assert host["distribution"]["id"] is None
    assert host["memory_total"] is None
    assert host["cores"] >= 1


MEMINFO = (
    "MemTotal:       16777216 kB\nMemFree: 1 kB\nMemAvailable:    8388608 kB\nSwapTotal: 0 kB\n"
)


def test_cgroup_2_limits(machine: Any) -> None:
    machine.file("/proc/meminfo", MEMINFO)
    machine.file("/proc/self/cgroup", "0::/user.slice/job\n")
    machine.file("/sys/fs/cgroup/user.slice/job/memory.max", "max\n")
    machine.file("/sys/fs/cgroup/user.slice/memory.max", f"{4 << 30}\n")  # the parent's counts
    machine.file("/sys/fs/cgroup/user.slice/job/cpu.max", "100000 100000\n")
    host = machine.look("--only", "host")["host"]
    assert host["memory_limit"] == 4 << 30
    assert host["memory_total"] == 16 << 30
    assert host["memory_available"] == 8 << 30
    assert host["cores"] == 1


def test_cgroup_1_limits(machine: Any) -> None:
    machine.file("/proc/meminfo", MEMINFO)
    machine.file("/proc/self/cgroup", "9:memory:/job\n4:cpu,cpuacct:/job\n")
    machine.file("/sys/fs/cgroup/memory/job/memory.limit_in_bytes", "9223372036854771712\n")
    assert machine.look("--only", "host")["host"]["memory_limit"] is None
    machine.file("/sys/fs/cgroup/memory/memory.limit_in_bytes", f"{2 << 30}\n")
    machine.file("/sys/fs/cgroup/cpu/job/cpu.cfs_quota_us", "50000\n")
    machine.file("/sys/fs/cgroup/cpu/job/cpu.cfs_period_us", "100000\n")
    host = machine.look("--only", "host")["host"]
    assert host["memory_limit"] == 2 << 30
    assert host["cores"] == 1


def test_disks_of_places_that_are_not_there_yet(machine: Any) -> None:
    wanted = machine.folder / "not" / "yet"
    disks = machine.look("--only", "host", "--path", str(wanted))["host"]["disks"]
    (disk,) = [disk for disk in disks if disk["path"] == str(wanted)]
    assert disk["free"] > 0
    assert disk["writable"] is True
    assert disk["why"] == "asked for"


def test_a_folder_that_cannot_be_written(machine: Any) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    folder = machine.folder / "closed"
    folder.mkdir(mode=0o500)
    disks = machine.look("--only", "host", "--path", str(folder))["host"]["disks"]
    (disk,) = [disk for disk in disks if disk["path"] == str(folder)]
    assert disk["writable"] is False


# --- toolkits


def kits(machine: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = machine.look("--only", "toolkits")["toolkits"]
    return [kit for kit in found if str(machine.folder) in kit["home"]]


def test_every_nvcc_once(machine: Any, toolkit: Maker) -> None:
    local = machine.root / "usr/local"
    old = toolkit(local / "cuda-11.7", texts.NVCC["11.7.99"], config=texts.HOST_CONFIG_10)
    new = toolkit(local / "cuda-12.8", texts.NVCC["12.8.93"], config=texts.HOST_CONFIG_12)
    (local / "cuda").symlink_to(new)
    machine.path = f"{local}/cuda/bin:{machine.path}"
    machine.env = {"CUDA_HOME": str(old)}
    found = kits(machine)
    assert [(kit["version"], kit["source"]) for kit in found] == [
        ("11.7", "CUDA_HOME"),
        ("12.8", "PATH"),
    ]
    assert [kit["home"] for kit in found] == [str(old), str(new)]
    assert [kit["gcc_max"] for kit in found] == [8, 12]
    assert found[1]["clang_max"] == 15
    assert found[1]["release"] == "12.8.93"
    assert all(kit["whole"] for kit in found)
    assert found[0]["missing_for_torch"] == ["cublas_v2.h", "cusparse.h", "cusolverDn.h"]


@pytest.mark.parametrize(
    ("without", "missing"),
    [
        ("nvvm/bin/cicc", "cicc"),
        ("bin/ptxas", "ptxas"),
        ("include/cuda_runtime.h", "cuda_runtime.h"),
        ("include/crt/host_config.h", "crt/host_config.h"),
        ("lib64/libcudart.so", "libcudart.so"),
        ("nvvm/libdevice/libdevice.10.bc", "libdevice"),
    ],
)
def test_what_a_toolkit_lacks(machine: Any, toolkit: Maker, without: str, missing: str) -> None:
    home = toolkit(machine.folder / "cuda", texts.NVCC["12.1.66"], without=(without,))
    machine.path = f"{home}/bin:{machine.path}"
    (kit,) = kits(machine)
    assert kit["missing"] == [missing]
    assert kit["whole"] is False


def test_the_wheels_numbered_library_cannot_be_linked(machine: Any, toolkit: Maker) -> None:
    home = toolkit(machine.folder / "cu13", texts.NVCC["13.0.88"], without=("lib64/libcudart.so",))
    (home / "lib").mkdir()
    (home / "lib/libcudart.so.13").write_text("")
    machine.path = f"{home}/bin:{machine.path}"
    assert kits(machine)[0]["missing"] == ["libcudart.so"]


def test_an_nvcc_that_does_not_run(machine: Any, toolkit: Maker) -> None:
    home = toolkit(machine.folder / "cuda", "")
    (home / "bin/nvcc").write_text("#!/bin/sh\nexit 127\n")
    (home / "version.json").write_text('{"cuda" : {"name" : "CUDA SDK", "version" : "12.1.0"}}')
    machine.path = f"{home}/bin:{machine.path}"
    (kit,) = kits(machine)
    assert kit["version"] == "12.1"
    assert kit["missing"] == ["a working nvcc (exited 127)"]


def test_a_wrapper_script_leads_to_its_toolkit(machine: Any, toolkit: Maker) -> None:
    home = toolkit(machine.folder / "cuda", texts.NVCC["13.0.88"])
    dryrun = f'case "$*" in *dryrun*) echo "#$ TOP={home}/bin/.." >&2 ;; *) exec {home}/bin/nvcc ;; esac\n'
    machine.program("nvcc", dryrun)
    (kit,) = kits(machine)
    assert kit["home"] == str(home)
    assert kit["nvcc"] == str(machine.bin / "nvcc")
    assert kit["version"] == "13.0"


def test_conda_keeps_its_toolkit_under_targets(machine: Any, toolkit: Maker) -> None:
    prefix = toolkit(
        machine.folder / "envs/digress",
        texts.NVCC["11.8.89"],
        without=("include/cuda_runtime.h", "include/crt/host_config.h", "lib64/libcudart.so"),
    )
    (prefix / "conda-meta").mkdir()
    target = prefix / "targets/x86_64-linux"
    for name in ("include/cuda_runtime.h", "include/crt/host_config.h", "lib/libcudart.so"):
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_text(texts.HOST_CONFIG_10)
    machine.env = {"CONDA_PREFIX": str(prefix)}
    (kit,) = kits(machine)
    assert (kit["source"], kit["whole"], kit["gcc_max"]) == ("conda", True, 8)


def test_debians_own_package_spreads_over_usr(machine: Any) -> None:
    """nvidia-cuda-toolkit: a wrapper in /usr/bin, the parts in /usr/lib, headers in /usr/include."""
    import platform

    parts = "/usr/lib/nvidia-cuda-toolkit"
    for name in ("bin/cicc", "bin/ptxas", "bin/fatbinary", "libdevice/libdevice.10.bc"):
        machine.file(f"{parts}/{name}", "")
    machine.file("/usr/include/cuda_runtime.h", "")
    machine.file("/usr/include/crt/host_config.h", texts.HOST_CONFIG_10)
    machine.file(f"/usr/lib/{platform.machine()}-linux-gnu/libcudart.so", "")
    real = machine.root / parts.lstrip("/") / "bin"
    machine.program("nvcc", f"cat <<'END'\n{texts.NVCC['10.1.243']}END\n", folder=real)
    machine.program("nvcc", f'exec {real}/nvcc "$@"\n', folder=machine.root / "usr/bin")
    machine.path = f"{machine.root}/usr/bin:{machine.path}"
    (kit,) = kits(machine)
    assert kit["home"] == str(machine.root / "usr")
    assert kit["nvcc"] == str(machine.root / "usr/bin/nvcc")
    assert (kit["version"], kit["whole"], kit["gcc_max"]) == ("10.1", True, 8)


def test_an_nvcc_that_hangs_is_one_problem(machine: Any, toolkit: Maker) -> None:
    home = toolkit(machine.folder / "cuda", "")
    (home / "bin/nvcc").write_text("#!/bin/sh\nsleep 60\n")
    machine.path = f"{home}/bin:{machine.path}"
    facts = machine.look("--timeout", "0.5", "--only", "toolkits,python")
    (kit,) = [kit for kit in facts["toolkits"] if str(machine.folder) in kit["home"]]
    assert "gave no answer within 0.5 s" in kit["missing"][0]


def test_this_machines_own_nvcc(machine: Any) -> None:
    nvcc = shutil.which("nvcc")
    if nvcc is None:
        pytest.skip("no nvcc here")
    done = machine.run("--only", "toolkits")
    first = json.loads(done.stdout)["toolkits"][0]
    own = proc.run([nvcc, "--version"]).stdout
    assert f"release {first['version']}" in own
    assert first["whole"] is True
    assert first["gcc_max"] >= 9


# --- compilers and tools


def test_compilers_by_every_name(machine: Any) -> None:
    machine.path = str(machine.bin)
    machine.program("gcc-8", "echo 8.4.0\n")
    machine.program("g++-13", 'case "$*" in *prog-name*) echo cc1plus ;; *) echo 13.2.0 ;; esac\n')
    machine.program("clang++", "echo 'Ubuntu clang version 14.0.0-1ubuntu1.1'\n")
    machine.program("x86_64-conda-linux-gnu-g++", "echo 11.2.0\n")
    machine.program("gcc-ar", "echo no compiler\n")
    machine.program("g++-broken", "echo no compiler\n")
    machine.program("gcc", "echo 'gcc: fatal error' >&2; exit 1\n")
    found = {c["name"]: c for c in machine.look("--only", "compilers")["compilers"]}
    found = {name: c for name, c in found.items() if c["path"].startswith(str(machine.bin))}
    assert set(found) == {"gcc-8", "g++-13", "clang++", "x86_64-conda-linux-gnu-g++", "gcc"}
    assert found["gcc-8"]["version"] == "8.4.0"
    assert found["clang++"]["version"] == "14.0.0"
    assert found["g++-13"]["works"] is False
    assert "cc1plus is missing" in found["g++-13"]["error"]
    assert found["gcc"]["error"] == "exited 1: gcc: fatal error"


def test_this_machines_own_gxx(machine: Any) -> None:
    if shutil.which("g++") is None:
        pytest.skip("no g++ here")
    done = machine.run("--only", "compilers")
    (own,) = [c for c in json.loads(done.stdout)["compilers"] if c["name"] == "g++"]
    assert own["works"] is True
    assert own["version"] == proc.run(["g++", "-dumpfullversion"]).stdout.strip()


def test_tools_and_one_that_fails(machine: Any) -> None:
    machine.path = str(machine.bin)
    machine.program("sccache", "echo sccache 0.16.0\n")
    machine.program("podman", "echo cannot >&2; exit 125\n")
    conda = machine.program("conda", "sleep 60\n", folder=machine.folder / "conda/bin")
    record = machine.folder / "conda/conda-meta/conda-24.7.1-py312h7900ff3_0.json"
    record.parent.mkdir()
    record.write_text("{}")
    machine.env = {"CONDA_EXE": str(conda)}
    facts = machine.look("--only", "tools,environments")
    assert facts["tools"]["sccache"] == {"path": str(machine.bin / "sccache"), "version": "0.16.0"}
    assert facts["tools"]["podman"]["version"] is None
    assert facts["tools"]["conda"] == {"path": str(conda), "version": "24.7.1"}
    assert any("podman" in problem["error"] for problem in facts["problems"])
    assert {
        "path": str(machine.folder / "conda"),
        "kind": "conda",
        "name": "base",
        "python": None,
    } in (facts["environments"])


# --- the interpreter, torch and packages


@pytest.fixture
def env(tmp_path: Path) -> Path:
    """A virtual environment without pip: made in a moment."""
    import venv

    folder = tmp_path / "env"
    venv.create(folder, symlinks=True, with_pip=False)
    return folder


def site(env: Path) -> Path:
    return next(env.glob("lib/python*/site-packages"))


def install(env: Path, name: str, version: str, **files: str) -> Path:
    folder = site(env) / f"{name}-{version}.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n")
    for file, text in files.items():
        (folder / file.replace("_json", ".json")).write_text(text)
    return folder


def test_a_virtual_environment(machine: Any, env: Path) -> None:
    install(env, "mamba_ssm", "2.3.2.post1")
    (site(env) / "mamba_ssm").mkdir()
    (site(env) / "selective_scan_cuda.cpython-311-x86_64-linux-gnu.so").write_text("")
    facts = machine.look(python=str(env / "bin/python"))
    python = facts["python"]
    assert (python["kind"], python["in_virtualenv"]) == ("venv", True)
    assert python["prefix"] == str(env)
    assert python["site_packages"] == str(site(env))
    package = facts["packages"]["mamba-ssm"]
    assert package["version"] == "2.3.2.post1"
    assert [Path(path).name.split(".")[0] for path in package["extensions"]] == [
        "selective_scan_cuda"
    ]
    assert package["shadowed_by"] is None
    assert facts["torch"] is None


def test_a_source_folder_that_shadows_the_package(machine: Any, env: Path) -> None:
    install(env, "causal_conv1d", "1.7.0")
    source = machine.home / "causal_conv1d"
    source.mkdir()
    (source / "__init__.py").write_text("")
    package = machine.look("--only", "packages", python=str(env / "bin/python"))["packages"]
    assert package["causal-conv1d"]["shadowed_by"] == str(source)


def test_editable_and_copied_by_hand(machine: Any, env: Path) -> None:
    origin = '{"url": "file:///src/mamba", "dir_info": {"editable": true}}'
    install(env, "mamba_ssm", "2.2.4", direct_url_json=origin)
    copied = site(env) / "causal_conv1d"
    copied.mkdir()
    (copied / "__init__.py").write_text('__version__ = "1.4.0"\n')
    packages = machine.look("--only", "packages", python=str(env / "bin/python"))["packages"]
    assert packages["mamba-ssm"]["editable"] is True
    assert packages["causal-conv1d"]["version"] == "1.4.0"
    assert packages["causal-conv1d"]["path"] == str(copied)


def make_torch(env: Path, version: str, cuda: str | None, *, symbol: bytes = b"") -> None:
    folder = site(env) / "torch"
    (folder / "lib").mkdir(parents=True)
    (folder / "__init__.py").write_text("raise SystemExit('torch was imported')\n")
    (folder / "version.py").write_text(
        f"from typing import Optional\n__version__ = '{version}'\ncuda: Optional[str] = {cuda!r}\n"
    )
    (folder / "lib/libc10.so").write_bytes(b"\x7fELF" + symbol)


NEW_ABI = b"_ZN3c106detail14torchCheckFailEPKcS2_jRKNSt7__cxx1112basic_stringIcSt11char_traits"
OLD_ABI = b"_ZN3c106detail14torchCheckFailEPKcS2_jRKSs\0"


@pytest.mark.parametrize(("symbol", "abi"), [(NEW_ABI, True), (OLD_ABI, False), (b"", None)])
def test_torch_is_read_not_imported(
    machine: Any, env: Path, symbol: bytes, abi: bool | None
) -> None:
    make_torch(env, "2.2.0+cu121", "12.1", symbol=symbol)
    install(env, "nvidia_cublas_cu12", "12.1.3.1")
    folder = install(env, "torch", "2.2.0+cu121")
    with (folder / "METADATA").open("a") as file:
        file.write('Requires-Dist: triton ==2.2.0 ; platform_system == "Linux"\n')
    python = str(env / "bin/python")
    torch = machine.look("--only", "torch", python=python)["torch"]
    assert (torch["version"], torch["cuda"]) == ("2.2.0+cu121", "12.1")
    assert torch["cxx11_abi"] is abi
    assert torch["triton_pin"] == "2.2.0"
    assert torch["nvidia_packages"] == {"nvidia-cublas-cu12": "12.1.3.1"}
    assert torch["arch_list"] is None


def test_the_architectures_stand_among_the_constants(machine: Any, env: Path) -> None:
    if shutil.which("gcc") is None:
        pytest.skip("no gcc to make a library with")
    make_torch(env, "2.8.0.dev20250605+cu128", "12.8")
    source = machine.folder / "flags.c"
    # other strings of the same kind must not be taken for it
    source.write_text(
        'const char *other = "-gencode arch=compute_75,code=sm_75";\n'
        'const char *flags = "sm_80 sm_90a sm_120 compute_120";\n'
    )
    proc.run(["gcc", "-shared", "-o", site(env) / "torch/lib/libtorch_python.so", source])
    torch = machine.look("--only", "torch", python=str(env / "bin/python"))["torch"]
    assert torch["arch_list"] == ["sm_80", "sm_90a", "sm_120", "compute_120"]


def test_the_torch_that_is_installed_here(machine: Any) -> None:
    torch = pytest.importorskip("torch")
    found = json.loads(machine.run("--only", "torch").stdout)["torch"]
    assert found["version"] == torch.__version__
    assert found["cuda"] == torch.version.cuda
    assert found["cxx11_abi"] == torch.compiled_with_cxx11_abi()
    assert found["path"] == str(Path(torch.__file__).parent)


def test_a_damaged_torch_harms_nothing(machine: Any, env: Path) -> None:
    folder = site(env) / "torch"
    folder.mkdir()
    (folder / "version.py").write_bytes(b"\xff\xfe garbage")
    facts = machine.look("--only", "torch,python", python=str(env / "bin/python"))
    assert facts["torch"] is None
    assert facts["problems"][0]["fact"] == "torch"
    assert facts["python"]["kind"] == "venv"


def test_environments(machine: Any) -> None:
    for name in (".venv_wsl", "src"):
        (machine.home / name).mkdir()
    (machine.home / ".venv_wsl/pyvenv.cfg").write_text("home = /usr/bin\nversion = 3.10.12\n")
    listed = machine.folder / "conda/envs/vmamba"
    (listed / "conda-meta").mkdir(parents=True)
    (listed / "conda-meta/python-3.10.16-h5d932e8_0.json").write_text("{}")
    (machine.home / ".conda").mkdir()
    (machine.home / ".conda/environments.txt").write_text(f"{listed}\n/gone\n")
    found = machine.look("--only", "environments")["environments"]
    names = {entry["name"]: entry for entry in found}
    assert names[".venv_wsl"]["python"] == "3.10.12"
    assert names["vmamba"] == {
        "path": str(listed),
        "kind": "conda",
        "name": "vmamba",
        "python": "3.10.16",
    }


# --- settings


def test_settings_of_pip_and_uv_without_secrets(machine: Any) -> None:
    pip = machine.home / ".config/pip/pip.conf"
    uv = machine.home / ".config/uv/uv.toml"
    for path in (pip, uv):
        path.parent.mkdir(parents=True)
    pip.write_text("[global]\nindex-url = https://ich:geheim@mirror.example/simple\n")
    uv.write_text('index-url = "https://mirror.example/simple"\n')
    machine.env = {
        "PIP_INDEX_URL": "https://ich:geheim@mirror.example/simple",
        "UV_INDEX_COMPANY_PASSWORD": "geheim",
        "HF_TOKEN": "hf_geheimgeheim",
        "UNRELATED": "geheim",
        "CUDA_HOME": "/usr/local/cuda",
    }
    done = machine.run("--root", str(machine.root), "--only", "config,env")
    assert "geheim" not in done.stdout
    facts = json.loads(done.stdout)
    assert facts["config"]["pip"] == {"global.index-url": "https://***@mirror.example/simple"}
    assert facts["config"]["uv"] == {"index-url": "https://mirror.example/simple"}
    assert facts["env"]["CUDA_HOME"] == "/usr/local/cuda"
    assert str(pip) in facts["sources"]["config.pip"]


def test_a_clock_that_lags_is_told(machine: Any) -> None:
    path = machine.file("/etc/passwd", "")
    ahead = 4_000_000_000
    os.utime(path, (ahead, ahead))
    assert "was written" in machine.look("--only", "clock")["clock"]["skew"]
    os.utime(path, (1, 1))
    assert machine.look("--only", "clock")["clock"]["skew"] is None


# --- other interpreters


@pytest.mark.parametrize("version", ["3.8", "3.9", "3.10", "3.12", "3.13", "3.14"])
def test_every_python_from_3_8_on(machine: Any, version: str) -> None:
    python = _pyenv(version) or shutil.which(f"python{version}")
    if python is None:
        pytest.skip(f"no Python {version} here")
    facts = machine.look(python=python)
    assert facts["python"]["version"].startswith(version)
    assert facts["python"]["abi_tag"] == "cp" + version.replace(".", "")


@pytest.mark.parametrize("version", ["3.6", "3.7"])
def test_an_older_python_is_refused_in_words(machine: Any, version: str) -> None:
    python = _pyenv(version)
    if python is None:
        pytest.skip(f"no Python {version} here")
    done = machine.run(python=python)
    assert done.returncode == 3
    assert f"Python {version}" in done.stderr
    assert "Traceback" not in done.stderr


def _pyenv(version: str) -> str | None:
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = sorted(root.glob(f"{version}.*/bin/python"))
    return str(found[-1]) if found else None
