"""Bundles are installed where there is no network; every interruption is gone on from."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from bundles import GLIBC, MACHINE, script, spec, unpacked, wait_for, without_network

from mambaops.bundle.collect import collect
from mambaops.bundle.install import install_bundle
from mambaops.core.errors import MachineError, MambaopsError, UsageError
from mambaops.core.paths import payload_file
from mambaops.install.installers import read_environment

pytestmark = pytest.mark.usefixtures("offline", "our_python_is_on_path")


def test_the_script_alone_installs_it_without_a_network(made, tmp_path):
    folder = unpacked(made, tmp_path / "carried")
    done = without_network(script(folder, "--into", tmp_path / "env"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("top 1.0 " + str(tmp_path / "env"))
    installed = read_environment(tmp_path / "env/bin/python").installed
    assert {"top", "middle", "pip", "mamba-ssm"} <= set(installed)
    assert installed["mamba-ssm"].version == "2.2.4"
    assert ("old-only" in installed) is (sys.version_info < (3, 10))
    again = without_network(script(folder, "--into", tmp_path / "env"))
    assert "4 of 4 packages are there already" in again.stderr


def test_the_command_installs_it_without_a_network(made, tmp_path):
    argv = [
        sys.executable,
        "-m",
        "mambaops",
        "install-bundle",
        made.path,
        "--into",
        tmp_path / "env",
    ]
    done = without_network(argv)
    assert done.returncode == 0, done.stderr
    assert "4 packages are in" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir() if "env" in path.name) == ["env"]


def test_killed_while_installing_and_run_again(published, make_wheel, tmp_path):
    """Batches of twelve: killed after the first, with one package half there as pip leaves it."""
    names = [f"many{number:02}" for number in range(24)]
    published.publish(*(make_wheel(name) for name in names))
    bundle = collect(spec(requirements=[*names, "pip"], imports=names), tmp_path / "o.tar")
    folder = unpacked(bundle, tmp_path / "carried")
    argv = script(folder, "--into", tmp_path / "env")
    process = subprocess.Popen(
        list(map(str, argv)), start_new_session=True, stderr=subprocess.DEVNULL
    )
    notes = tmp_path / "env/.mambaops-bundle.json"
    wait_for(lambda: notes.exists() and len(json.loads(notes.read_text())["installed"]) >= 12)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    site = Path(read_environment(tmp_path / "env/bin/python").purelib)
    # as if pip had been killed in the middle of these two: no RECORD yet; a file missing
    half = next(site.glob("many05-*.dist-info"))
    (half / "RECORD").unlink()
    (site / "many06/__init__.py").unlink()
    done = subprocess.run(list(map(str, argv)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "packages are there already" in done.stderr
    assert "removing what an interrupted run left" in done.stderr
    installed = read_environment(tmp_path / "env/bin/python", *names).installed
    assert all(installed[name].missing == [] for name in names)
    assert json.loads(notes.read_text())["bundle"] == "small"


def test_a_damaged_file_is_found_before_anything_is_made(made, tmp_path):
    folder = unpacked(made, tmp_path / "carried")
    (wheel,) = (folder / "wheels").glob("middle-*.whl")
    data = bytearray(wheel.read_bytes())
    data[1000] ^= 1
    wheel.write_bytes(data)
    with pytest.raises(MambaopsError, match=r"missing or damaged, e\.g\. wheels/middle") as caught:
        install_bundle(folder, tmp_path / "env")
    assert "carry it again" in caught.value.hint
    assert not (tmp_path / "env").exists()
    check = subprocess.run(
        list(map(str, script(folder, "--check"))), capture_output=True, check=False
    )
    assert check.returncode == 1


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("machine", "riscv64", f"it is for riscv64; this is {MACHINE}"),
        ("glibc", "2.99", f"it needs glibc 2.99; this is {GLIBC}"),
        ("python", "3.8", "it is for Python 3.8; this is"),
        ("format", 99, "format 99"),
    ],
)
def test_another_machines_bundle_is_refused_before_anything_is_made(
    field, value, reason, made, tmp_path
):
    folder = unpacked(made, tmp_path / "carried")
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, field: value}))
    argv = script(folder, "--into", tmp_path / "env")
    done = subprocess.run(list(map(str, argv)), capture_output=True, text=True, check=False)
    assert done.returncode == (1 if field == "format" else 4)
    assert reason in done.stderr
    assert not (tmp_path / "env").exists()


def test_what_the_script_found_comes_back_as_an_error_with_its_hint(made, tmp_path):
    folder = unpacked(made, tmp_path / "carried")
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "glibc": "2.99"}))
    with pytest.raises(MachineError, match=r"it needs glibc 2\.99") as caught:
        install_bundle(folder, tmp_path / "env")
    assert caught.value.message.startswith("this bundle does not fit this machine: ")
    assert caught.value.hint.startswith("run `mambaops facts --json > facts.json` here")


def test_a_script_of_an_earlier_mambaops_is_told_by_its_status_and_its_last_words(made, tmp_path):
    """It names no cause for a program; what it printed for people is shown as it is."""
    folder = unpacked(made, tmp_path / "carried")
    told = "import sys; print('error: not for\\n\\nhint: you'); sys.exit(4)"
    (folder / "install.py").write_text(told)
    with pytest.raises(MachineError) as caught:
        install_bundle(folder, tmp_path / "env")
    assert caught.value.message == "install.sh exited 4\nerror: not for\n\nhint: you"


def test_without_the_right_python_the_script_says_which(made, tmp_path):
    folder = unpacked(made, tmp_path / "carried")
    (folder / "python-version").write_text("3.99\n")
    done = subprocess.run(
        list(map(str, script(folder, "--into", tmp_path / "env"))),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 4
    assert "is for Python 3.99" in done.stderr
    assert "--python /path/to/python3.99" in done.stderr


def test_a_folder_with_other_things_in_it_is_left_alone(made, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/thesis.tex").write_text("x")
    with pytest.raises(UsageError, match="not empty"):
        install_bundle(made.path, tmp_path / "mine")
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == ["thesis.tex"]


def test_an_environment_that_is_there_is_used(made, tmp_path):
    argv = [sys.executable, "-m", "venv", "--without-pip", tmp_path / "env"]
    subprocess.run(argv, check=True)
    install_bundle(made.path, tmp_path / "env")
    assert "top" in read_environment(tmp_path / "env/bin/python").installed


def test_what_does_not_import_is_an_error(published, make_wheel, tmp_path):
    published.publish(
        make_wheel("broken", files={"broken/sub.py": b"import nothing_of_the_kind\n"})
    )
    bundle = collect(
        spec(requirements=["broken", "pip"], imports=["broken.sub"]), tmp_path / "o.tar"
    )
    with pytest.raises(MambaopsError, match="do not import") as caught:
        install_bundle(bundle.path, tmp_path / "env")
    assert "diagnose" in caught.value.hint


def test_the_script_is_clean_for_shellcheck_and_posix():
    from shutil import which

    path = payload_file("bundle_install.sh")
    subprocess.run(["sh", "-n", path], check=True)
    shellcheck = which("shellcheck", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if shellcheck is None:
        pytest.skip("shellcheck is not installed")
    done = subprocess.run(
        [shellcheck, "-s", "sh", path], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("minor", [8, 9, 12])
def test_what_travels_runs_on_other_pythons(minor):
    """The scripts in a bundle are compiled by the Pythons that this machine has."""
    from shutil import which

    versions = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    found = [*sorted(versions.glob(f"3.{minor}.*/bin/python")), which(f"python3.{minor}")]
    if found[0] is None:
        pytest.skip(f"there is no Python 3.{minor} here")
    for argv in (["bundle_install.py", "--help"], ["installed.py"]):
        words = [found[0], "-I", payload_file(argv[0]), *argv[1:]]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.network
def test_a_real_environment_is_carried_and_verified_without_a_network(tmp_path, monkeypatch):
    """Profile `local` with a CPU torch, about 250 MB, from the user's own index settings."""
    for name in ("PIP_INDEX_URL", "PIP_CONFIG_FILE"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("MAMBAOPS_HOME", str(tmp_path / "home"))
    tool = [sys.executable, "-m", "mambaops"]
    tar = tmp_path / "local.tar"
    subprocess.run([*tool, "bundle", "--profile", "local", "-o", tar], check=True, cwd=tmp_path)
    for words in (["install-bundle", str(tar)], ["verify", "--profile", "local"]):
        done = without_network([*tool, *words])
        assert done.returncode == 0, done.stderr


def tree(folder):
    return {path.name for path in folder.rglob("*")}


@pytest.mark.parametrize("mark", ["pyvenv.cfg", "conda-meta"])
def test_an_environment_of_somebody_is_not_written_over(made, tmp_path, mark):
    env = tmp_path / "env"
    venv.create(env, with_pip=False, symlinks=True)
    (next((env / "lib").glob("python*/site-packages")) / "thesis.py").touch()
    if mark != "pyvenv.cfg":
        (env / "pyvenv.cfg").rename(env / mark)
    before = tree(env)
    folder = unpacked(made, tmp_path / "carried")
    done = without_network(script(folder, "--into", env))
    assert done.returncode == 2
    assert "which this bundle did not make" in done.stderr
    assert tree(env) == before
    if mark == "pyvenv.cfg":
        again = without_network(script(folder, "--into", env, "--existing"))
        assert again.returncode == 0, again.stderr


def test_an_empty_environment_is_used(made, tmp_path):
    env = tmp_path / "env"
    venv.create(env, with_pip=False, symlinks=True)
    folder = unpacked(made, tmp_path / "carried")
    done = without_network(script(folder, "--into", env))
    assert done.returncode == 0, done.stderr


def test_a_folder_that_is_in_the_way_of_unpacking_stays(made, tmp_path):
    (tmp_path / "env.bundle").mkdir()
    (tmp_path / "env.bundle" / "thesis").touch()
    with pytest.raises(UsageError, match="did not write it"):
        install_bundle(made.path, tmp_path / "env")
    assert tree(tmp_path / "env.bundle") == {"thesis"}


def test_a_bundle_may_be_collected_again_and_nothing_else_overwritten(
    published, make_wheel, tmp_path
):
    published.publish(make_wheel("one"))
    wanted, path = spec(requirements=["one", "pip"], imports=["one"]), tmp_path / "o.tar"
    collect(wanted, path)
    collect(wanted, path)
    for name in ("o.tar", "o.tar.sha256", "o.tar.work/thesis"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        kept = (tmp_path / name).read_bytes() if (tmp_path / name).exists() else None
        (tmp_path / name).write_text("mine")
        with pytest.raises(UsageError, match="did not write it"):
            collect(wanted, path)
        assert (tmp_path / name).read_text() == "mine"
        if kept is not None:
            (tmp_path / name).write_bytes(kept)
