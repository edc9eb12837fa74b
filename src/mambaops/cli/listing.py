"""Every command by name, group and first sentence, so that a list needs no command's module.

The rows are written by `python docs/generate.py`; a test compares them with the modules.
"""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """One command. `words` are what people type, `name` is the one word for it."""

    words: str
    name: str
    group: str
    module: str
    summary: str
    aliases: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Everything that it is called."""
        return (self.words, self.name, self.words.replace(" ", "-"), *self.aliases)

    def as_json(self) -> dict[str, str]:
        """What `mambaops --list --json` says of it."""
        return {
            "command": self.words,
            "name": self.name,
            "group": self.group,
            "summary": self.summary,
        }


# rows: begin
# fmt: off
ROWS: tuple[Row, ...] = (
    Row("build-mamba", "build-mamba", "build", "mambaops.cli.tasks.build", "Bring this machine to a profile: look, choose, say what will be done, do it, prove it."),
    Row("plan", "plan", "build", "mambaops.cli.tasks.build", "Show every step and why: what will be done, what is skipped, what is in the way. Changes nothing."),
    Row("profiles", "profiles", "build", "mambaops.cli.tasks.build", "List the profiles, or explain one."),
    Row("container", "container", "build", "mambaops.cli.tasks.system", "Build a profile's wheels on an old glibc: write a Dockerfile for it, build it, run it."),
    Row("bundle", "bundle", "wheels", "mambaops.cli.tasks.bundle", "Collect everything that an environment needs in one file."),
    Row("install-bundle", "install-bundle", "wheels", "mambaops.cli.tasks.bundle", "Install a bundle, without a network."),
    Row("export", "export", "wheels", "mambaops.cli.tasks.bundle", "Pin an environment as it was proven, for a project of your own."),
    Row("compile-kernels", "compile-kernels", "wheels", "mambaops.cli.tasks.kernels", "Compile kernels ahead of time, for GPUs elsewhere: no torch, no GPU, no nvcc."),
    Row("install-requirements", "install-requirements", "wheels", "mambaops.cli.tasks.requirements", "Install a requirements file; not what would replace torch."),
    Row("wheels fetch", "fetch-wheel", "wheels", "mambaops.cli.tasks.wheels_fetch", "Fetch a wheel whole: resumed, checked, remembered."),
    Row("wheels install", "install-wheel", "wheels", "mambaops.cli.tasks.wheels_fetch", "Install wheel files as they are: no dependencies, always anew, never --user."),
    Row("wheels inspect", "inspect-wheel", "wheels", "mambaops.cli.tasks.wheels_inspect", "Look into a wheel: architectures, libraries, symbol versions, torch and ABI."),
    Row("wheels repair", "repair-wheel", "wheels", "mambaops.cli.tasks.wheels_inspect", "Make a wheel load on an older system: one that needs GLIBC_2.32 for one symbol."),
    Row("wheels choose", "select-wheel", "wheels", "mambaops.cli.tasks.wheels_select", "Choose a prebuilt wheel for a machine: every other one is refused with its reason."),
    Row("wheels refresh", "refresh-tables", "wheels", "mambaops.cli.tasks.wheels_select", "Hold the tables of promised wheels against their sources: what appeared, what is not there."),
    Row("wheels list", "wheels-list", "wheels", "mambaops.cli.tasks.wheels_store", "List the wheels that were built or fetched once: size and last use."),
    Row("wheels path", "wheels-path", "wheels", "mambaops.cli.tasks.wheels_store", "Print the folder of the store: one flat folder, as pip's --find-links wants it."),
    Row("wheels add", "wheels-add", "wheels", "mambaops.cli.tasks.wheels_store", "Put a wheel of your own into the store."),
    Row("wheels prune", "wheels-prune", "wheels", "mambaops.cli.tasks.wheels_store", "Delete wheels from the store: the old ones, or all but so many; and kernels that were compiled here."),
    Row("wheels index", "wheels-index", "wheels", "mambaops.cli.tasks.wheels_store", "Write the store as static package indexes for pip and uv, one for each torch and GPU.", ('index',)),
    Row("diagnose", "diagnose", "diagnose", "mambaops.cli.tasks.diagnose", "Say what went wrong in a log: the cause, the remedy, and what does not help."),
    Row("doctor", "doctor", "diagnose", "mambaops.cli.tasks.doctor", "Say what is wrong with this machine, and which command puts it right."),
    Row("facts", "facts", "diagnose", "mambaops.cli.tasks.facts", "Look at this machine: driver, GPUs, compilers, Python, torch, packages."),
    Row("report", "report", "diagnose", "mambaops.cli.tasks.report", "Write one HTML page of a run: timeline, plan, what was built and installed, proof, findings, facts."),
    Row("check-network", "check-network", "diagnose", "mambaops.cli.tasks.system", "Look up the names that downloads need; say how to name another resolver. Changes nothing."),
    Row("openblas-check", "openblas-check", "diagnose", "mambaops.cli.tasks.system", "Say which shared library an import lacks: e.g. libopenblas.so.0, and where it is."),
    Row("cudnn-check", "cudnn-check", "diagnose", "mambaops.cli.tasks.toolkit", "Say which cuDNN a toolkit holds, and that mamba needs none of its own."),
    Row("fleet hosts", "fleet-hosts", "fleet", "mambaops.cli.tasks.fleet", "Check hosts.yaml and list its machines; none is asked anything."),
    Row("fleet facts", "fleet-facts", "fleet", "mambaops.cli.tasks.fleet", "Look at several machines over SSH, side by side: driver, GPUs, Python, torch."),
    Row("fleet plan", "fleet-plan", "fleet", "mambaops.cli.tasks.fleet", "Say for several machines what fits each, what is in the way, and what it would take. Changes nothing."),
    Row("fleet doctor", "fleet-doctor", "fleet", "mambaops.cli.tasks.fleet", "Say for several machines what is wrong with each, and which command puts it right there."),
    Row("fleet report", "fleet-report", "fleet", "mambaops.cli.tasks.fleet", "Write one HTML page: each machine with what works, since when, and its findings. None is asked."),
    Row("fleet build", "fleet-build", "fleet", "mambaops.cli.tasks.fleet_jobs", "Make several machines what they should become: carry what they need, start it there, follow it."),
    Row("fleet attach", "fleet-attach", "fleet", "mambaops.cli.tasks.fleet_jobs", "Come back to what `fleet build` started: its log from the beginning, until it ends."),
    Row("fleet verify", "fleet-verify", "fleet", "mambaops.cli.tasks.fleet_jobs", "Prove several machines' environments, each on its own machine, and keep what came out here."),
    Row("fleet diagnose", "fleet-diagnose", "fleet", "mambaops.cli.tasks.fleet_jobs", "Read here why what `fleet build` started failed on several machines; the logs are kept."),
    Row("install-cc", "install-cc", "system", "mambaops.cli.tasks.c_compiler", "Give a profile's environment a C compiler and Python.h for Triton, without root: what the machine lacks."),
    Row("install-fallback", "install-fallback", "system", "mambaops.cli.tasks.fallback", "Make mamba_ssm run without compiled kernels: importable and trainable."),
    Row("purge-cache", "purge-cache", "system", "mambaops.cli.tasks.patch", "Take the CUDA packages out of the caches of pip and uv."),
    Row("release-gpu", "release-gpu", "system", "mambaops.cli.tasks.release_gpu", "List who holds how much GPU memory and since when; with --pid end that one process."),
    Row("apt-prerequisites", "apt-prerequisites", "system", "mambaops.cli.tasks.system", "Say which packages of the system a build lacks; install them with --sudo."),
    Row("wsl-run", "wsl-run", "system", "mambaops.cli.tasks.system", "From Windows: run the words after `--` in WSL, in a login shell."),
    Row("env", "env", "system", "mambaops.cli.tasks.system", "Print a profile's run-time variables for a shell: `eval \"$(mambaops env --profile wsl-5090)\"`."),
    Row("get-nvcc", "get-nvcc", "system", "mambaops.cli.tasks.toolkit", "Get a CUDA toolkit without its driver: by apt, deb file, conda or runfile, what fits this machine."),
    Row("shell-env", "shell-env", "system", "mambaops.cli.tasks.toolkit", "Print CUDA_HOME, PATH and LD_LIBRARY_PATH for a toolkit, or keep them in a start-up file."),
    Row("cudnn-install", "cudnn-install", "system", "mambaops.cli.tasks.toolkit", "Copy NVIDIA's cuDNN archive into a toolkit, readable for all; or install it with apt (--deb)."),
    Row("map-paths", "map-paths", "system", "mambaops.cli.tasks.train", "Map Windows paths to this system's (or back); say which do not exist."),
    Row("run-graph-mamba", "run-graph-mamba", "train", "mambaops.cli.tasks.graph", "Train Graph-Mamba, or GatedGCN alone with --no-mamba."),
    Row("check-model", "check-model", "train", "mambaops.cli.tasks.models", "Say for each layer of a model which function it takes here, why, and the line that mends it."),
    Row("train-stage1", "train-stage1", "train", "mambaops.cli.tasks.train", "Train vision and bridge on a frozen Mamba (flags of the program after `--`)."),
    Row("train-stage2", "train-stage2", "train", "mambaops.cli.tasks.train", "Train the picture -> report model (flags of the program after `--`)."),
    Row("generate", "generate", "train", "mambaops.cli.tasks.train", "Write what a trained checkpoint says about a picture."),
    Row("evaluate", "evaluate", "train", "mambaops.cli.tasks.train", "Score a checkpoint on a caption table: loss, exact match, BLEU-4, ROUGE-L and CIDEr."),
    Row("export-model", "export-model", "train", "mambaops.cli.tasks.train", "Write a trained checkpoint for other programs: LoRA merged into the model, or alone for peft."),
    Row("fetch-model", "fetch-model", "train", "mambaops.cli.tasks.train", "Get a model once: checked, and used without a network afterwards."),
    Row("demo-data", "demo-data", "train", "mambaops.cli.tasks.train", "Write pictures of coloured shapes to train on: with Chinese sentences, split by combination."),
    Row("write-launcher", "write-launcher", "train", "mambaops.cli.tasks.train", "Write a script that starts stage 2 by one word: installs and trains.", ('write-door',)),
    Row("create-venv", "create-venv", "steps", "mambaops.cli.tasks.steps", "Create the target environment: a venv or a conda environment."),
    Row("install-headers", "install-headers", "steps", "mambaops.cli.tasks.steps", "Get Python.h for the build where it is missing, without root."),
    Row("install-torch", "install-torch", "steps", "mambaops.cli.tasks.steps", "Install the chosen torch, of the CUDA build that the driver and the GPU take."),
    Row("find-wheels", "find-wheels", "steps", "mambaops.cli.tasks.steps", "Look for prebuilt wheels that fit, and fetch them."),
    Row("install-kernels", "install-kernels", "steps", "mambaops.cli.tasks.steps", "Install kernels that torch's NVRTC compiles, and the Python part of their packages: no nvcc, no g++."),
    Row("install-toolkit", "install-toolkit", "steps", "mambaops.cli.tasks.steps", "Get nvcc for the build, by the first route of the profile that is open."),
    Row("prepare-build", "prepare-build", "steps", "mambaops.cli.tasks.steps", "Install what setup.py needs beside torch."),
    Row("patch-cpp-extension", "patch-cpp-extension", "steps", "mambaops.cli.tasks.patch", "Add a CUDA release to a torch's compiler tables: the profile's torch, or one named."),
    Row("fetch-sources", "fetch-sources", "steps", "mambaops.cli.tasks.steps", "Fetch the sources of the packages, hash-checked."),
    Row("patch-setup", "patch-setup", "steps", "mambaops.cli.tasks.patch", "Make a package's setup.py compile exactly what is asked."),
    Row("build-wheel", "build-wheel", "steps", "mambaops.cli.tasks.steps", "Compile the wheels of the packages from patched sources."),
    Row("install-wheels", "install-wheels", "steps", "mambaops.cli.tasks.steps", "Install the wheels and what they need, without replacing torch."),
    Row("verify", "verify", "steps", "mambaops.cli.tasks.steps", "Prove the environment: imports, places, binaries, and results where a GPU is."),
    Row("steps", "steps", "develop", "mambaops.cli.tasks.build", "The steps of every pipeline, in order; `mambaops --help STEP` explains one."),
    Row("completion", "completion", "develop", "mambaops.cli.tasks.completion", "Print what completes mambaops in your shell: commands, flags, profiles and packages."),
    Row("strip-crlf", "strip-crlf", "develop", "mambaops.cli.tasks.patch", "Take Windows line ends out of scripts ($'\\r': command not found)."),
)
# fmt: on
# rows: end
