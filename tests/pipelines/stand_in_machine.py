"""Machines to run whole pipelines on: from a recorded machine's facts to a folder with programs, files and servers.

The programs (`program.py`) answer as the machine's would and record what they are asked; the addresses are served
from `web/` on the loopback address, in a network namespace where nothing else can be reached (`enter.py`). Python,
pip, virtualenv, git, ninja, setuptools and the linker beneath are real.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mini
import msgspec
import small_index
from packaging.utils import canonicalize_name
from small_index import fatbin, module_library, put, put_requirement, repository, sdist, torch_wheel

from mambaops.core.paths import CHECKOUT
from mambaops.facts.model import Facts
from mambaops.knowledge import cuda as cuda_tables
from mambaops.knowledge.addresses import cuda_tag
from mambaops.knowledge.packages import package as package_named
from mambaops.knowledge.torch_builds import torch_row
from mambaops.profiles.load import load_profile
from mambaops.profiles.model import Profile

HERE = Path(__file__).resolve().parent
PORT = 8000
# the interpreter below a virtual environment: it starts without looking for packages
QUICK = getattr(sys, "_base_executable", sys.executable)
WEB = f"http://127.0.0.1:{PORT}"
# not for a machine that says itself what it has of them
NAMED = re.compile(
    r"(gcc|g\+\+|c\+\+|clang|clang\+\+)(-[\d.]+)?$|cc$|nvcc|nvidia-smi|docker|podman|buildah|conda|mamba"
    r"|micromamba|sudo|git$|apt-get|dpkg(-query)?$|sccache|ccache|wsl\.exe|ninja$|uv$"
)
RELEASES = {"10.1": "10.1.243", "11.7": "11.7.99", "11.8": "11.8.89", "12.1": "12.1.105"}
RELEASES |= {"12.6": "12.6.85", "12.8": "12.8.93", "13.0": "13.0.88"}
# what a GPU that works answers to the kernels
GOOD_RESULTS = [
    {"id": "cuda-available", "outcome": "ok", "reason": "", "value": None},
    *(
        {"id": f"{what}-{dtype}", "outcome": "ok", "reason": "", "value": 1e-6}
        for dtype in ("float32", "float16", "bfloat16")
        for what in ("conv-forward", "conv-backward", "scan-forward", "scan-backward")
    ),
    {"id": "block-fused-against-plain", "outcome": "ok", "reason": "", "value": 1e-6},
]


@dataclass(frozen=True)
class Ran:
    """How a command on the machine ended, and what it said."""

    returncode: int
    said: str


class Machine:
    """A stand-in machine in a folder.

    Args:
        facts: what it is (`recorded.facts_of`).
        real: a folder with the real wheels of setuptools, wheel, packaging and ninja.
    """

    def __init__(self, folder: Path, facts: Facts, real: Path) -> None:
        self.folder, self.facts, self.real = folder, facts, real
        for name in ("bin", "system", "home", "state", "web", "answers", "over", "local", "opt"):
            (folder / name).mkdir(parents=True)
        self.index = folder / "web" / "pypi" / "simple"
        self.root = facts.host.root
        self.server = True
        self.network = False  # nothing outside of the machine can be reached
        self.address = ""  # of its own, beside the loopback one
        self.instead = {"/usr/local": folder / "local", "/opt": folder / "opt"}
        self.more: dict[str, str] = {}
        self.checkout = folder / "checkout"
        self._describe()
        self._programs()
        self._toolkits()
        self._files()
        self._checkout()
        self.mirrors()

    # -- making it ------------------------------------------------------------------------------------
    def _describe(self) -> None:
        self.write("facts.json", msgspec.json.encode(self.facts).decode())
        kits = {
            row.version: {
                "release": RELEASES.get(row.version, f"{row.version}.0"),
                "gcc_max": row.gcc_max,
                "targets": [one.replace(".", "") for one in row.archs],
            }
            for row in cuda_tables.toolkits()
        }
        self.write("kits.json", json.dumps(kits))
        self.write("pythons.json", json.dumps({v: str(p) for v, p in pythons().items()}))
        self.write("controller", sys.executable)
        self.results(GOOD_RESULTS)

    def _programs(self) -> None:
        """The system's own programs but those that the machine answers for, and the machine's."""
        for folder in ("/bin", "/usr/bin"):
            for path in Path(folder).iterdir():
                link = self.folder / "system" / path.name
                if not NAMED.match(path.name) and not link.is_symlink():
                    link.symlink_to(path)
        host = self.facts.host
        names = [one.name for one in self.facts.compilers if one.works]
        names += [name for name in self.facts.tools if name not in ("make", "ninja", "cmake")]
        names += ["nvidia-smi"] if self.facts.driver.state != "absent" else []
        names += ["sudo"] if host.sudo else []
        names += ["apt-get", "dpkg", "dpkg-query", "git"]
        names += ["wsl.exe"] if host.wsl else []
        for name in dict.fromkeys(names):
            self.program(name)

    def program(self, name: str) -> None:
        path = self.folder / "bin" / name
        version = next((one.version for one in self.facts.compilers if one.name == name), None)
        # asked often, so answered without a Python
        told = f'case "$1" in -dumpfullversion) echo {version}; exit;; esac\n' if version else ""
        words = f'"{QUICK}" -I -S "{HERE}/program.py" "{self.folder}" "{name}"'
        path.write_text(f'#!/bin/sh\n{told}exec {words} "$@"\n', encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)

    def with_python(self, minor: str) -> None:
        """The machine has `python3.12`."""
        (self.folder / "bin" / f"python{minor}").symlink_to(pythons()[minor])

    def with_mambaops(self) -> None:
        """`mambaops` is on PATH, as in an active environment that has it."""
        path = self.folder / "bin" / "mambaops"
        path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m mambaops "$@"\n', encoding="utf-8")
        path.chmod(0o755)

    def without(self, *names: str) -> None:
        """The machine does not have these programs."""
        for name in names:
            (self.folder / "bin" / name).unlink(missing_ok=True)

    def _toolkits(self) -> None:
        """Those of the recorded machine that lie in the system, not in an environment."""
        for kit in self.facts.toolkits:
            if kit.home.startswith("/usr/local/"):
                self.toolkit(self.folder / "local" / Path(kit.home).name, kit.version or "")
            elif kit.home == "/usr":
                home = self.folder / "old-toolkit"
                self.toolkit(home, kit.version or "")
                (self.folder / "bin" / "nvcc").symlink_to(home / "bin" / "nvcc")

    def toolkit(self, home: Path, version: str) -> None:
        """A CUDA toolkit in a folder."""
        words = [QUICK, "-I", "-S", HERE / "program.py", self.folder, "make-toolkit", home, version]
        subprocess.run(words, check=True)

    def _files(self) -> None:
        host, release = self.facts.host, self.facts.host.distribution
        lines = {"ID": release.id, "VERSION_ID": release.version, "PRETTY_NAME": release.name}
        text = "".join(f'{key}="{value}"\n' for key, value in lines.items() if value)
        self.write("over/os-release", text + f"VERSION_CODENAME={release.codename or ''}\n")
        self.write("over/osrelease", f"{host.kernel}\n")
        self.write("over/version", f"Linux version {host.kernel} (stand-in) #1 SMP\n")
        self.write(
            "over/passwd", "root:x:0:0::/root:/bin/sh\nperson:x:1000:1000::/home/person:/bin/sh\n"
        )
        if host.glibc and host.glibc != real_glibc():
            self.more["LD_PRELOAD"] = str(self._glibc(host.glibc))

    def _glibc(self, version: str) -> Path:
        """What says the machine's glibc to whoever asks (`confstr`); the loader stays the real one."""
        source, out = self.folder / "confstr.c", self.folder / "confstr.so"
        source.write_text(
            "#include <string.h>\n#include <unistd.h>\n"
            "size_t confstr(int name, char *to, size_t size) {\n"
            f'  const char *said = name == _CS_GNU_LIBC_VERSION ? "glibc {version}" : "";\n'
            "  if (to && size) { strncpy(to, said, size - 1); to[size - 1] = 0; }\n"
            "  return strlen(said) + 1;\n}\n"
        )
        subprocess.run(["gcc", "-shared", "-fPIC", "-o", out, source], check=True)
        return out

    def _checkout(self) -> None:
        """The project, with the hashes of the small sources in the place of the real ones'."""
        for name in ("src", "env_profiles", "patches"):
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(CHECKOUT / name, self.checkout / name, ignore=ignored)
        for name in ("noxfile.py", "pyproject.toml"):
            shutil.copy(CHECKOUT / name, self.checkout / name)
        self._sources_alone()

    def _sources_alone(self) -> None:
        """The stand-in for torch has no NVRTC: what is shown is the source build, as on the machines of the notes."""
        for profile in (self.checkout / "env_profiles").glob("*.yaml"):
            text = profile.read_text(encoding="utf-8")
            profile.write_text(text.replace("[store, runtime, ", "[store, "), encoding="utf-8")

    def mirrors(self) -> None:
        places = {
            "https://download.pytorch.org/whl": f"{WEB}/pytorch",
            "https://developer.download.nvidia.com/": f"{WEB}/nvidia/",
            "https://github.com/": f"file://{self.folder}/github/",
            "https://github.com/state-spaces/mamba/releases/": f"{WEB}/releases/mamba-ssm/",
            "https://github.com/Dao-AILab/causal-conv1d/releases/": f"{WEB}/releases/causal-conv1d/",
            "https://wheels.astral.sh/": f"{WEB}/astral/",
            "https://data.pyg.org/": f"{WEB}/pyg/",
            "https://micro.mamba.pm/": f"{WEB}/micromamba/",
        }
        lines = [f'"{prefix}" = "{mirror}"\n' for prefix, mirror in places.items()]
        self.write("mirrors.toml", "".join(lines))

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    # -- what its addresses offer ---------------------------------------------------------------------
    def offer(self, name: str, *, nightly: str = "") -> Profile:
        """Everything that a profile fetches: torch, requirements, sources, installers.

        Args:
            nightly: version of the nightly torch, "" where the nightly index no longer serves this CUDA.
        """
        profile = load_profile(name)
        import virtualenv.seed.wheels.embed as bundled

        pips = Path(bundled.__file__).parent.glob("pip-*.whl")
        for path in [*self.real.glob("*.whl"), *pips]:
            target = self.index / path.name.split("-")[0].lower() / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(path, target)
        self._torches(profile, nightly)
        self._requirements(profile)
        self._sources(profile)
        self._installers(profile)
        return profile

    def _torches(self, profile: Profile, nightly: str) -> None:
        web = self.folder / "web" / "pytorch"
        for version in profile.torch.versions[:2]:
            row = torch_row(version)
            assert row is not None
            for cuda in profile.torch.cuda or [row.default_cuda]:
                if cuda not in row.cuda:
                    continue
                local = f"{version}+{cuda_tag(cuda)}"
                torch_wheel(web / cuda_tag(cuda), local, cuda)
                if cuda == row.default_cuda:
                    torch_wheel(self.index, local, cuda, named=version)
                for companion in profile.torch.companions:
                    put_requirement(self.index, companion)
        torch_wheel(web / "cpu", f"{profile.torch.cpu}+cpu", None)
        if nightly:
            tag = cuda_tag(profile.torch.cuda[0])
            torch_wheel(web / "nightly" / tag, f"{nightly}+{tag}", profile.torch.cuda[0])
            for companion in profile.torch.companions:
                put(web / "nightly" / tag, companion.split("=")[0], "1.0.dev1")

    def _requirements(self, profile: Profile) -> None:
        pages = [word.split("==")[0] for word in profile.requirements if word.startswith(PYG)]
        for text in profile.requirements:
            if not (profile.find_links and text.split("==")[0] in pages):
                put_requirement(self.index, text)
        for page in profile.find_links:
            self._pyg(page, [text for text in profile.requirements if text.startswith(PYG)])

    def _pyg(self, page: str, wanted: list[str]) -> None:
        """The page that PyTorch Geometric's extensions come from, and the wheels beside it."""
        place = self.folder / "web" / "pyg" / page.removeprefix("https://data.pyg.org/")
        place.parent.mkdir(parents=True, exist_ok=True)
        names = []
        for text in wanted:
            name, _, version = text.partition("==")
            names.append(put(place.parent, name, f"{version}+pt20cu117").name)
        links = "".join(
            f'<a href="{n.split("-")[0].replace("_", "-")}/{n}">{n}</a>\n' for n in names
        )
        place.write_text(f"<html><body>{links.replace('+', '%2B')}</body></html>")

    def _sources(self, profile: Profile) -> None:
        hashes = {}
        for name, spec in profile.packages.items():
            described = package_named(name)
            origin = spec.origin or described.source.origin
            if origin != "git":
                made = sdist(self.index, name, spec.version)
                hashes[spec.sha256] = small_hash(made)
            elif name == "selective-scan":
                self._vmamba(described.source.repository)
            else:
                place = described.source.repository.removeprefix("https://github.com/")
                tree = self.folder / "trees" / f"{name}-{spec.version}"
                mini.make(name, spec.version, tree)
                repository(self.folder / "github" / place, tree, spec.tag)
        for path in (self.checkout / "env_profiles").glob("*.yaml"):
            text = path.read_text(encoding="utf-8")
            for real, small in hashes.items():
                text = text.replace(real, small) if real else text
            path.write_text(text, encoding="utf-8")

    def _vmamba(self, address: str) -> None:
        place = address.removeprefix("https://github.com/")
        tree = self.folder / "trees" / "vmamba"
        mini.make_vmamba(tree / "kernels" / "selective_scan")
        repository(self.folder / "github" / place, tree, "main")

    def _installers(self, profile: Profile) -> None:
        """NVIDIA's addresses: the keyring, the runfile, and nvcc's wheels from CUDA 13 on."""
        from mambaops.knowledge import addresses

        nvidia = addresses.addresses().nvidia
        for repository_name in nvidia.apt.values():
            address = nvidia.keyring.format(repository=repository_name, machine="x86_64")
            self.web_file(address, "a keyring\n")
        wanted = profile.toolkit.version or "13.0"
        if address := addresses.runfile(wanted):
            words = f'"{QUICK}" -I -S "{HERE}/program.py" "{self.folder}" runfile {wanted}'
            self.web_file(address, f'#!/bin/sh\nexec {words} "$@"\n')
        if "wheels" in profile.toolkit.routes:
            self.toolkit_wheels("13.0")

    def toolkit_wheels(self, cuda: str) -> None:
        kit = json.loads((self.folder / "kits.json").read_text())[cuda]
        words = f'"{QUICK}" -I -S "{HERE}/program.py" "{self.folder}" nvcc "$@"'
        here = 'STANDIN_NVCC="$(readlink -f "$0")"'
        script = f"#!/bin/sh\n{here} exec {words}\n"
        described = json.dumps({"version": cuda, **kit})
        small_index.toolkit_wheels(self.index, cuda, script, described)

    def micromamba(self) -> None:
        """The archive that micromamba comes in."""
        words = f'"{QUICK}" -I -S "{HERE}/program.py" "{self.folder}" micromamba'
        script = self.write("trees/micromamba/bin/micromamba", f'#!/bin/sh\nexec {words} "$@"\n')
        script.chmod(0o755)
        place = self.write("web/micromamba/api/micromamba/linux-64/latest", "")
        with tarfile.open(place, "w:bz2") as archive:
            archive.add(script, "bin/micromamba")

    def prebuilt(self, package: str, version: str, tags: str, cubins: list[str]) -> Path:
        """A wheel among upstream's release files, e.g. tags "cu12torch2.2cxx11abiFALSE-cp310-cp310"."""
        described = package_named(package)
        module, name = package.replace("-", "_"), described.modules.kernels[0]
        files = {f"{module}/__init__.py": f"__version__ = {version!r}\n".encode()}
        files[f"{name}.so"] = module_library(name, fatbin(cubins, [], "12.1"))
        build, _, tag = tags.partition("-")
        place = self.folder / "web" / "releases" / package / "download" / f"v{version}"
        tag = f"{tag}-linux_x86_64"
        made = put(place, package, f"{version}+{build}", files, tag=tag)
        return made.rename(place / made.name)

    def web_file(self, address: str, text: str) -> None:
        place = address.replace("https://developer.download.nvidia.com/", "web/nvidia/")
        self.write(place, text)

    def results(self, lines: list[dict[str, Any]]) -> None:
        """What the GPU's kernels give."""
        self.write("results.jsonl", "".join(json.dumps(line) + "\n" for line in lines))

    # -- running there --------------------------------------------------------------------------------
    @property
    def env(self) -> dict[str, str]:
        """What a shell on the machine has."""
        return {
            "PATH": f"{self.folder}/bin:{self.folder}/system",
            "HOME": str(self.folder / "home"),
            "USER": "user",
            "LANG": "C.UTF-8",
            "TMPDIR": str(self.folder / "home"),
            "STANDIN_MACHINE": str(self.folder),
            "PYTHONPATH": str(self.checkout / "src"),
            "MAMBAOPS_HOME": str(self.folder / "work"),
            "MAMBAOPS_CACHE": str(self.folder / "cache"),
            "MAMBAOPS_MIRRORS": str(self.folder / "mirrors.toml"),
            "PIP_INDEX_URL": f"{WEB}/pypi/simple",
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_CACHE_DIR": str(self.folder / "pip-cache"),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_RETRIES": "0",
            "UV_CACHE_DIR": str(self.folder / "uv-cache"),
            "UV_INDEX_URL": f"{WEB}/pypi/simple",
            "UV_NO_CONFIG": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            **self.more,
        }

    def _description(self) -> Path:
        server = [str(HERE / "web.py"), str(self.folder), str(PORT)] if self.server else []
        release = "/etc/os-release"
        over = {release: "over/os-release", "/proc/sys/kernel/osrelease": "over/osrelease"}
        over |= {"/proc/version": "over/version", "/etc/passwd": "over/passwd"}
        described = {
            "instead": {target: str(source) for target, source in self.instead.items()},
            "hidden": ["cuda"],
            "over": {target: str(self.folder / source) for target, source in over.items()},
            "server": server,
            "network": self.network,
            "address": self.address,
            "root": self.root,
            "env": self.env,
        }
        return self.write("machine.json", json.dumps(described))

    def start(self, *words: str | Path) -> subprocess.Popen[str]:
        """A command on the machine, its output in `said.txt`."""
        argv = [sys.executable, HERE / "enter.py", self._description(), *words]
        with (self.folder / "said.txt").open("w") as said:
            return subprocess.Popen(
                argv, stdout=said, stderr=subprocess.STDOUT, text=True, cwd=self.folder / "home"
            )

    def run(self, *words: str | Path, timeout: float = 1100) -> Ran:
        """A command on the machine, to its end."""
        running = self.start(*words)
        try:
            status = running.wait(timeout)
        finally:
            self.power_cut()
        said = (self.folder / "said.txt").read_text(encoding="utf-8", errors="replace")
        assert "Traceback" not in said, said[-6000:]
        return Ran(status, said)

    def nox_words(self, profile: str, *flags: str) -> list[str | Path]:
        noxfile = self.checkout / "noxfile.py"
        words = [sys.executable, "-m", "nox", "--no-color", "-f", noxfile, "-s", profile]
        return [*words, *(["--", *flags] if flags else [])]

    def nox(self, profile: str, *flags: str) -> Ran:
        return self.run(*self.nox_words(profile, *flags))

    def mambaops(self, *words: str | Path) -> Ran:
        return self.run(sys.executable, "-m", "mambaops", *words)

    def shell(self, text: str) -> Ran:
        """A line as a person pastes it into a shell."""
        script = self.write(
            "home/pasted.sh",
            f'mambaops() {{ "{sys.executable}" -m mambaops "$@"; }}\nset -e\n{text}\n',
        )
        return self.run("bash", script)

    # -- being cruel ----------------------------------------------------------------------------------
    def hold(self, pattern: str) -> None:
        """What fits the pattern stands still from now on."""
        (self.folder / "held").unlink(missing_ok=True)
        self.write("hold", pattern)

    def killed_at(self, pattern: str, *words: str | Path, only: str = "") -> None:
        """Start a command; when something that fits the pattern stands still, end everything at once.

        Args:
            only: end only processes whose command line has this word; what they started lives on.
        """
        self.hold(pattern)
        self.killed_when((self.folder / "held").exists, pattern, *words, only=only)
        (self.folder / "hold").unlink()

    def killed_when(
        self, now: Callable[[], bool], what: str, *words: str | Path, only: str = ""
    ) -> None:
        """Start a command; end everything as soon as `now` says so."""
        running = self.start(*words)
        until = time.monotonic() + 400
        while not now():
            said = (self.folder / "said.txt").read_text(errors="replace")
            assert running.poll() is None, f"it ended before `{what}`:\n{said[-3000:]}"
            assert time.monotonic() < until, f"it never came to `{what}`:\n{said[-3000:]}"
            time.sleep(0.005)
        self.power_cut(only)
        running.wait(20)

    def power_cut(self, only: str = "") -> None:
        """SIGKILL to every process of this machine."""
        mark = f"STANDIN_MACHINE={self.folder}".encode()
        for _ in range(3):
            for place in Path("/proc").iterdir():
                if place.name.isdigit() and int(place.name) != os.getpid():
                    _kill_marked(place, mark, only.encode())

    # -- looking --------------------------------------------------------------------------------------
    def asked(self, *programs: str) -> list[str]:
        """What the named programs were asked, as lines."""
        file = self.folder / "asked.jsonl"
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        found = [json.loads(line) for line in lines]
        return [
            " ".join([one["program"], *one["words"]]) for one in found if one["program"] in programs
        ]

    def forget(self) -> None:
        (self.folder / "asked.jsonl").unlink(missing_ok=True)

    def wheels(self) -> list[Path]:
        """The store's wheels."""
        return sorted((self.folder / "cache" / "wheels").glob("*.whl"))

    def runs(self) -> list[Path]:
        return sorted((self.folder / "work" / "runs").glob("*"))

    def python(self, profile: str) -> Path:
        return self.folder / "work" / "envs" / profile / "bin" / "python"

    def installed(self, profile: str) -> dict[str, str]:
        """Distribution -> version in the profile's environment, by its pip."""
        words = [self.python(profile), "-m", "pip", "list", "--format", "json"]
        done = subprocess.run(words, capture_output=True, text=True, check=True)
        return {canonicalize_name(one["name"]): one["version"] for one in json.loads(done.stdout)}


PYG = ("torch-scatter", "torch-sparse", "torch-cluster", "torch-spline-conv", "pyg-lib")


def _kill_marked(place: Path, mark: bytes, only: bytes) -> None:
    try:
        theirs = (place / "environ").read_bytes().split(b"\0")
        command = (place / "cmdline").read_bytes()
        if mark in theirs and only in command and b"/web.py" not in command:
            os.kill(int(place.name), signal.SIGKILL)
    except (OSError, ProcessLookupError):
        pass  # it has just ended


def small_hash(path: Path) -> str:
    import hashlib

    return hashlib.sha256(path.read_bytes()).hexdigest()


def real_glibc() -> str:
    return (os.confstr("CS_GNU_LIBC_VERSION") or "").removeprefix("glibc ")


def pythons() -> dict[str, Path]:
    """Interpreters by minor version: on PATH, and pyenv's."""
    found: dict[str, Path] = {}
    for minor in ("3.9", "3.10", "3.11", "3.12", "3.13"):
        on_path = shutil.which(f"python{minor}")
        pyenv = sorted(Path.home().glob(f".pyenv/versions/{minor}.*/bin/python{minor}"))
        places = [*pyenv, *([Path(on_path)] if on_path else [])]
        if places:
            found[minor] = places[0].resolve()
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    found[here] = Path(getattr(sys, "_base_executable", sys.executable))
    return found
