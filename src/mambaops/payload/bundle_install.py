"""Install a bundle: check every file, make an environment, put every wheel into it, look, import.

Travels inside the bundle and needs only a Python (standard library, 3.8): no network, no pip beside it, no
root. It goes on where an interrupted run stopped: a package counts as installed when its wheel's hash was
noted after every one of its files was there.

    python install.py --into DIR [--python PYTHON] [--check]

Exit status: 0 done, 1 something failed, 2 usage, 4 this machine is not the one that the bundle is for.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from typing import Any, Dict, Iterator, List, NoReturn, Optional, Tuple

HERE = os.path.dirname(os.path.abspath(__file__))
FORMAT = 1
# names a file that a failure is written to as JSON
FAILURE = "MAMBAOPS_FAILURE"
NOTES = ".mambaops-bundle.json"
MADE = "mambaops-made.json"  # in an environment that mambaops made
INSTALLERS = (
    "pip",
    "setuptools",
    "wheel",
    "distutils",
    "_distutils_hack",
    "_virtualenv",
    "__pycache__",
)
CHUNK = 1024 * 1024
# after each batch it is noted what is there; a large wheel is a batch by itself
BATCH_FILES, BATCH_BYTES = 12, 200 * 1000 * 1000
# wheels unpack to about this many times their size
UNPACKED = 3.5


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def fail(message: str, hint: str = "", status: int = 1) -> NoReturn:
    # for the program that started this one; a person reads what is said
    if os.environ.get(FAILURE):
        with contextlib.suppress(OSError), open(os.environ[FAILURE], "w", encoding="utf-8") as file:
            json.dump({"message": message, "hint": hint}, file)
    say("error: " + message)
    if hint:
        say("\nhint: " + hint)
    sys.exit(status)


def sha256_of(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for piece in iter(lambda: file.read(CHUNK), b""):
            digest.update(piece)
    return digest.hexdigest()


def read_manifest() -> Dict[str, Any]:
    try:
        with open(os.path.join(HERE, "manifest.json"), encoding="utf-8") as file:
            manifest = json.load(file)
    except (OSError, ValueError) as error:
        fail("the bundle has no manifest that can be read: {}".format(error), "carry it again")
    if manifest.get("format") != FORMAT:
        fail(
            "the bundle has format {}, this script reads {}".format(manifest.get("format"), FORMAT),
            "use the install.sh that came with it",
        )
    return manifest  # type: ignore[no-any-return]


def check_sums(manifest: Dict[str, Any]) -> None:
    """Every file of SHA256SUMS, and every file of the manifest, is there and whole."""
    sums = {}
    with open(os.path.join(HERE, "SHA256SUMS"), encoding="utf-8") as file:
        for line in file:
            digest, _, path = line.rstrip("\n").partition("  ")
            sums[path] = digest
    for entry in manifest["files"]:
        if sums.get(entry["path"]) != entry["sha256"]:
            fail("SHA256SUMS and manifest.json differ on {}".format(entry["path"]))
    total = sum(entry["size"] for entry in manifest["files"])
    say("checking {} files, {:.1f} MB".format(len(sums), total / 1e6))
    bad = [path for path, digest in sums.items() if not is_whole(path, digest)]
    if bad:
        fail(
            "{} of {} files are missing or damaged, e.g. {}".format(len(bad), len(sums), bad[0]),
            "the bundle was cut off or changed on the way: carry it again",
        )


def is_whole(path: str, digest: str) -> bool:
    parts = path.split("/")
    if path.startswith("/") or ".." in parts:
        fail("SHA256SUMS names a file outside the bundle: {}".format(path))
    whole = os.path.join(HERE, *parts)
    return os.path.isfile(whole) and sha256_of(whole) == digest


def glibc() -> str:
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").replace("glibc ", "")
    except (AttributeError, OSError, ValueError):
        return ""


def numbers(version: str) -> Tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def check_machine(manifest: Dict[str, Any]) -> None:
    """Refuse a machine that the files are not for, before anything is changed."""
    problems = []
    python = "{}.{}".format(*sys.version_info[:2])
    if python != manifest["python"]:
        problems.append("it is for Python {}; this is {}".format(manifest["python"], python))
    if platform.machine() != manifest["machine"]:
        problems.append("it is for {}; this is {}".format(manifest["machine"], platform.machine()))
    if (0,) < numbers(manifest["glibc"]) > numbers(glibc()):
        found = glibc() or "none"
        problems.append("it needs glibc {}; this is {}".format(manifest["glibc"], found))
    if problems:
        fail(
            "this bundle does not fit this machine: " + "; ".join(problems),
            "run `mambaops facts --json > facts.json` here and make one there with `mambaops bundle --facts facts.json -o local.tar`",
            4,
        )


def check_space(manifest: Dict[str, Any], into: str) -> None:
    parent = into
    while not os.path.isdir(parent):
        parent = os.path.dirname(parent)
    needed = int(UNPACKED * sum(file["size"] for file in wheels_of(manifest)))
    free = shutil.disk_usage(parent).free
    if free < needed and not os.path.exists(os.path.join(into, NOTES)):
        fail(
            "{} has {:.1f} GB free; about {:.1f} GB are needed".format(
                parent, free / 1e9, needed / 1e9
            ),
            "make room, or name a folder on another disk: --into DIR",
        )


def wheels_of(manifest: Dict[str, Any]) -> List[Dict[str, Any]]:
    return [file for file in manifest["files"] if file["kind"] == "wheel"]


@contextlib.contextmanager
def locked(into: str) -> Iterator[None]:
    os.makedirs(os.path.dirname(into), exist_ok=True)
    with open(into.rstrip("/") + ".lock", "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            fail("another process is installing into {}".format(into), "wait for it")
        yield
    with contextlib.suppress(OSError):
        os.unlink(into.rstrip("/") + ".lock")


def is_free(into: str) -> bool:
    """May packages go into this environment: it is ours, or a virtual one with nothing in it?"""
    if any(os.path.exists(os.path.join(into, name)) for name in (NOTES, MADE)):
        return True
    if not os.path.exists(os.path.join(into, "pyvenv.cfg")):
        return False  # the system's, or conda's
    folder = os.path.join(into, "lib", "python{}.{}".format(*sys.version_info[:2]), "site-packages")
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return all(name.replace("-", ".").split(".")[0] in INSTALLERS for name in names)


def make_environment(into: str, manifest: Dict[str, Any], existing: bool) -> str:
    """The environment's interpreter; a virtual environment is made where there is none."""
    python = os.path.join(into, "bin", "python")
    if works(python):
        if not existing and not is_free(into):
            fail(
                "{} is an environment with packages in it, which this bundle did not make".format(
                    into
                ),
                "name another folder: --into DIR; where they may be replaced: --existing",
                2,
            )
        say("{} is an environment already: it is used".format(into))
        return python
    if os.path.isdir(into) and os.listdir(into) and not os.path.exists(os.path.join(into, NOTES)):
        found = "an environment of another Python" if os.path.exists(python) else "not empty"
        fail("{} is {}".format(into, found), "name another folder: --into DIR", 2)
    say("making the environment {}".format(into))
    os.makedirs(into, exist_ok=True)
    write_notes(into, manifest, {})  # it is ours from now on, even half made
    # --without-pip: Debian keeps ensurepip in another package; pip comes with the bundle
    argv = [sys.executable, "-I", "-m", "venv", "--without-pip", into]
    if subprocess.call(argv) != 0 or not works(python):
        fail("no environment could be made in {}".format(into), "see above")
    return python


def works(python: str) -> bool:
    if not os.path.exists(python):
        return False
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    done = subprocess.run([python, "-I", "-c", code], stdout=subprocess.PIPE, check=False)
    return done.stdout.decode().strip() == "{}.{}".format(*sys.version_info[:2])


def read_notes(into: str) -> Dict[str, str]:
    """Package -> sha256 of the wheel that was installed whole."""
    try:
        with open(os.path.join(into, NOTES), encoding="utf-8") as file:
            return dict(json.load(file)["installed"])
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def write_notes(into: str, manifest: Dict[str, Any], installed: Dict[str, str]) -> None:
    notes = {"bundle": manifest["name"], "torch": manifest["torch"], "installed": installed}
    aside = os.path.join(into, NOTES + ".tmp")
    with open(aside, "w", encoding="utf-8") as file:
        json.dump(notes, file, indent=1, sort_keys=True)
    os.replace(aside, os.path.join(into, NOTES))


def look(python: str, names: List[str]) -> Dict[str, Any]:
    """Name -> what is installed, by installed.py beside this file."""
    argv = [python, "-I", os.path.join(HERE, "installed.py"), *names]
    done = subprocess.run(argv, stdout=subprocess.PIPE, check=False)
    try:
        return dict(json.loads(done.stdout.decode("utf-8"))["installed"])
    except (ValueError, KeyError):
        fail("{} does not answer".format(python))


def is_there(wheel: Dict[str, Any], found: Optional[Dict[str, Any]]) -> bool:
    return found is not None and found["version"] == wheel["version"] and not found["missing"]


def install(python: str, into: str, manifest: Dict[str, Any]) -> None:
    """Put every wheel in that is not there yet, and note each batch when it is whole."""
    wheels = wheels_of(manifest)
    noted = read_notes(into)
    found = look(python, [wheel["package"] for wheel in wheels])
    todo = [
        wheel
        for wheel in wheels
        if noted.get(wheel["package"]) != wheel["sha256"]
        or not is_there(wheel, found.get(wheel["package"]))
    ]
    if len(todo) < len(wheels):
        say("{} of {} packages are there already".format(len(wheels) - len(todo), len(wheels)))
    for batch in batches(todo):
        for wheel in batch:
            remove_half(found.get(wheel["package"]))
        run_pip(python, manifest, batch)
        after = look(python, [wheel["package"] for wheel in batch])
        for wheel in batch:
            if not is_there(wheel, after.get(wheel["package"])):
                fail("pip ended well, but {} is not whole in {}".format(wheel["package"], into))
            noted[wheel["package"]] = wheel["sha256"]
        write_notes(into, manifest, noted)


def batches(wheels: List[Dict[str, Any]]) -> Iterator[List[Dict[str, Any]]]:
    batch: List[Dict[str, Any]] = []
    for wheel in wheels:
        size = sum(one["size"] for one in batch)
        if batch and (len(batch) >= BATCH_FILES or size + wheel["size"] > BATCH_BYTES):
            yield batch
            batch = []
        batch.append(wheel)
    if batch:
        yield batch


def remove_half(found: Optional[Dict[str, Any]]) -> None:
    """pip refuses to replace a package without RECORD, which is what an interrupted pip leaves behind."""
    if found is not None and "RECORD" in found["missing"] and found.get("info"):
        say("removing what an interrupted run left: {}".format(found["info"]))
        shutil.rmtree(found["info"], ignore_errors=True)


def run_pip(python: str, manifest: Dict[str, Any], batch: List[Dict[str, Any]]) -> None:
    say("installing " + ", ".join(wheel["path"].split("/")[-1] for wheel in batch))
    pip = os.path.join(HERE, *manifest["installer"].split("/"), "pip")
    argv = [python, "-I", pip, "install", "--no-index", "--no-deps", "--force-reinstall"]
    argv += ["--no-cache-dir", "--no-warn-script-location", "--quiet"]
    argv += [os.path.join(HERE, *wheel["path"].split("/")) for wheel in batch]
    # the user's settings (a mirror, `user = true`, a target) have no say here
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PIP_")}
    clean.update({"PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1"})
    clean.update({"PIP_USER": "0", "PYTHONNOUSERSITE": "1"})
    clean.pop("PYTHONPATH", None)
    if subprocess.call(argv, env=clean) != 0:
        fail(
            "pip could not install them (see above)", "run the same command again: it goes on here"
        )


def copy_others(into: str, manifest: Dict[str, Any]) -> None:
    """Models and sources lie beside the environment's packages, where `mambaops` and people find them."""
    for entry in manifest["files"]:
        if entry["kind"] not in ("model", "source"):
            continue
        target = os.path.join(into, "mambaops-" + entry["path"].replace("/", os.sep, 1))
        if os.path.isfile(target) and os.path.getsize(target) == entry["size"]:
            continue
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copyfile(os.path.join(HERE, *entry["path"].split("/")), target + ".tmp")
        os.replace(target + ".tmp", target)
    for kind in ("models", "sources"):
        folder = os.path.join(into, "mambaops-" + kind)
        if os.path.isdir(folder):
            say("{} are in {}".format(kind, folder))


def check_imports(python: str, manifest: Dict[str, Any]) -> None:
    code = (
        "import importlib, sys\n"
        "for name in sys.argv[1:]:\n"
        "    module = importlib.import_module(name)\n"
        "    print(name, getattr(module, '__version__', ''), getattr(module, '__file__', ''))\n"
    )
    environment = dict(os.environ, **manifest["runtime_env"], PYTHONNOUSERSITE="1")
    environment.pop("PYTHONPATH", None)
    argv = [python, "-c", code, *manifest["imports"]]
    if manifest["imports"] and subprocess.call(argv, env=environment, cwd="/") != 0:
        fail(
            "the packages are installed, but do not import (see above)",
            "`mambaops diagnose` on what was printed names causes and remedies",
        )


def main() -> None:
    parser = argparse.ArgumentParser(prog="install.sh", description="Install this bundle.")
    parser.add_argument("--into", help="folder of the environment")
    parser.add_argument("--python", help="interpreter to make it with")
    parser.add_argument(
        "--existing", action="store_true", help="DIR may be an environment with packages in it"
    )
    parser.add_argument("--check", action="store_true", help="only check the files")
    options = parser.parse_args()
    manifest = read_manifest()
    check_machine(manifest)
    check_sums(manifest)
    if options.check:
        say("every file is whole")
    elif options.into:
        install_into(os.path.abspath(options.into), manifest, options.existing)
    else:
        parser.error("--into DIR is needed")


def install_into(into: str, manifest: Dict[str, Any], existing: bool) -> None:
    check_space(manifest, into)
    with locked(into):
        python = make_environment(into, manifest, existing)
        install(python, into, manifest)
        copy_others(into, manifest)
        check_imports(python, manifest)
    say("done: {}".format(into))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        say("interrupted: the same command goes on here")
        sys.exit(130)
