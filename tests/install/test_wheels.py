"""Installing wheel files: into the environment, as they are, looked at afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from small_wheels import wheel_members, write_zip

from mambaops.core.errors import MachineError, MambaopsError, StepDidNotTake, UsageError
from mambaops.install.installers import pip_settings, read_environment, read_pip_settings
from mambaops.install.wheel_file import matching_files, read_wheel
from mambaops.install.wheels import install_wheels
from mambaops.wheels.tags import target_tags


@pytest.fixture(scope="module")
def env(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("env") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    return folder


def python_of(env: Path) -> Path:
    return env / "bin/python"


def test_a_wheel_is_installed_into_the_environment_under_its_whole_name(env, make_wheel):
    name = "mamba_ssm-2.2.4+cu12torch2.2cxx11abiTRUE-py3-none-any.whl"
    wheel = make_wheel("mamba_ssm", "2.2.4", filename=name, requires=["torch", "no-such-package"])
    (done,) = install_wheels([wheel], python_of(env))
    assert (done.wheel, done.name, done.installer) == (name, "mamba-ssm", "uv")
    assert Path(done.location).is_relative_to(env.resolve())
    out = subprocess.run(
        [python_of(env), "-c", "import mamba_ssm; print(mamba_ssm.__version__)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert out.stdout.strip() == "2.2.4"


def test_the_same_version_again_is_installed_anew(env, make_wheel, tmp_path):
    install_wheels([make_wheel("again", files={"again/which.py": b"n = 1\n"})], python_of(env))
    other = make_wheel("again", files={"again/which.py": b"n = 2\n"}, folder=tmp_path / "other")
    install_wheels([other], python_of(env))
    location = read_environment(python_of(env)).installed["again"].location
    assert (Path(location) / "again/which.py").read_text() == "n = 2\n"


def test_pip_takes_over_aloud_where_uv_cannot(env, make_wheel, tmp_path, monkeypatch):
    """A uv that fails, as on a system that it does not run on."""
    fake = tmp_path / "bin/uv"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\necho 'uv: cannot execute binary file' >&2\nexit 126\n")
    fake.chmod(0o755)
    monkeypatch.setattr("uv.find_uv_bin", lambda: str(fake))
    said: list[str] = []
    (done,) = install_wheels([make_wheel("bypip")], python_of(env), say=said.append)
    assert done.installer == "pip"
    assert "cannot execute binary file" in said[0]
    assert "trying pip" in said[0]


def _without_uv(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where mambaops was installed without it, and there is none on PATH."""

    def missing() -> str:
        raise FileNotFoundError

    monkeypatch.setattr("uv.find_uv_bin", missing)
    folders = os.environ["PATH"].split(os.pathsep)
    without = [folder for folder in folders if not Path(folder, "uv").exists()]
    monkeypatch.setenv("PATH", os.pathsep.join(without))


def test_the_users_settings_do_not_send_it_elsewhere(env, make_wheel, tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_USER", "1")
    monkeypatch.setenv("PIP_TARGET", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("PYTHONUSERBASE", str(tmp_path / "home"))
    _without_uv(monkeypatch)
    (done,) = install_wheels([make_wheel("inside")], python_of(env))
    assert done.installer == "pip"
    assert Path(done.location).is_relative_to(env.resolve())
    assert not (tmp_path / "elsewhere").exists()
    assert not (tmp_path / "home").exists()


def test_an_installer_that_does_nothing_is_found_out(env, make_wheel, tmp_path, monkeypatch):
    fake = tmp_path / "bin/uv"
    fake.parent.mkdir()
    fake.write_text("#!/bin/sh\nexit 0\n")
    fake.chmod(0o755)
    monkeypatch.setattr("uv.find_uv_bin", lambda: str(fake))
    with pytest.raises(StepDidNotTake, match="is not in"):
        install_wheels([make_wheel("nothing")], python_of(env))


def test_another_copy_that_stands_before_it_is_named(env, make_wheel, tmp_path, monkeypatch):
    """PYTHONPATH, or a conda environment with packages in ~/.local: `import` takes the other one."""
    shadow = tmp_path / "shadow"
    members = wheel_members("seen", "0.9", {"seen.py": b""}, [])
    with zipfile.ZipFile(write_zip(tmp_path / "s.zip", members)) as archive:
        archive.extractall(shadow)
    monkeypatch.setenv("PYTHONPATH", str(shadow))
    said: list[str] = []
    install_wheels([make_wheel("seen", "1.0")], python_of(env), say=said.append)
    assert any(f"seen 0.9 in {shadow} stands before it" in line for line in said)


WRONG_TAGS = {
    "another CPU": ("cp311-cp311-linux_aarch64", "x86_64"),
    "another Python": ("cp39-cp39-linux_x86_64", "CPython 3."),
    "Windows": ("cp311-cp311-win_amd64", "CPython 3."),
    "a newer glibc": ("cp311-cp311-manylinux_2_99_x86_64", "glibc 2."),
}


@pytest.mark.parametrize("case", WRONG_TAGS)
def test_a_wheel_for_another_machine_is_refused_with_the_reason(case, env, make_wheel):
    tag, reason = WRONG_TAGS[case]
    wheel = tagged(make_wheel, tag)
    with pytest.raises(MachineError, match=reason) as caught:
        install_wheels([wheel], python_of(env))
    assert tag in caught.value.message
    assert "select-wheel" in caught.value.hint
    assert "tagged" not in read_environment(python_of(env)).installed


def tagged(make_wheel, tag: str) -> Path:
    """A wheel whose WHEEL file says the same as its name."""
    members = wheel_members("tagged", "1.0", {"tagged.py": b""}, [], tag=tag)
    return write_zip(make_wheel().parent / f"tagged-1.0-{tag}.whl", members)


def misnamed(make_wheel) -> dict[str, Path]:
    folder = make_wheel().parent / "lies"
    linux = "cp311-cp311-linux_x86_64"
    return {
        "the package inside": make_wheel(
            "real", folder=folder, filename="fake-1.0-py3-none-any.whl"
        ),
        "the version inside is 1.0": make_wheel(
            "real", "1.0", folder=folder, filename="real-1.1-py3-none-any.whl"
        ),
        r"the version inside is 1\.0\+a": make_wheel(
            "real", "1.0+a", folder=folder, filename="real-1.0+b-py3-none-any.whl"
        ),
        "built for cp39-cp39-linux_x86_64": write_zip(
            folder / f"real-1.0-{linux}.whl",
            wheel_members("real", "1.0", {"real.py": b""}, [], tag="cp39-cp39-linux_x86_64"),
        ),
    }


def test_a_name_that_says_something_else_than_the_inside_is_refused(make_wheel):
    for reason, path in misnamed(make_wheel).items():
        with pytest.raises(MambaopsError, match=reason):
            read_wheel(path)


def test_upstreams_names_and_repaired_ones_are_taken(make_wheel):
    linux = "cp311-cp311-linux_x86_64"
    wide = linux.replace("linux", "manylinux_2_17")
    for name, inside in (
        (f"real-1.0+cu12torch2.7cxx11abiTRUE-{linux}.whl", linux),
        (f"real-1.0-{wide}.whl", linux),
        # torch 2.2 in the package index
        (f"real-1.0-{linux.replace('linux', 'manylinux1')}.whl", linux),
        (f"real-1.0-{wide}.manylinux2014_x86_64.whl", f"{wide}.manylinux2014_x86_64"),
    ):
        members = wheel_members("real", "1.0", {"real.py": b""}, [], tag=inside)
        assert read_wheel(write_zip(make_wheel().parent / name, members)).version == "1.0"


@pytest.mark.parametrize(
    "name", ["mamba.whl", "mamba_ssm-2.2.4.whl", "mamba_ssm (1).whl", "a-1-py3-none.whl"]
)
def test_a_shortened_name_is_refused(name, make_wheel):
    with pytest.raises(UsageError, match="no wheel's file name") as caught:
        read_wheel(make_wheel(filename=name))
    assert "whole name" in caught.value.hint


def test_not_an_interpreter(make_wheel, tmp_path):
    with pytest.raises(UsageError, match="there is no interpreter"):
        install_wheels([make_wheel()], tmp_path / "nothing/bin/python")
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\necho hello\n")
    fake.chmod(0o755)
    with pytest.raises(UsageError, match="no interpreter that can be asked"):
        install_wheels([make_wheel()], fake)


def test_files_by_pattern(make_wheel, monkeypatch):
    one, two = make_wheel("one"), make_wheel("two")
    monkeypatch.chdir(one.parent)
    assert [path.name for path in matching_files(["*.whl", one.name])] == [one.name, two.name]
    with pytest.raises(UsageError, match="there is no"):
        matching_files(["*.zip"])


def test_the_tags_are_those_of_packaging_for_this_interpreter():
    from packaging.tags import sys_tags

    here = read_environment(Path(sys.executable))
    ours = target_tags(
        python=here.version,
        machine=here.markers["platform_machine"],
        glibc=here.glibc,
        abi=here.abi,
    )
    assert ours == list(sys_tags())


def test_pips_settings_are_read_as_pip_reads_them(tmp_path, monkeypatch):
    for name in list(os.environ):
        if name.startswith("PIP_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_DIRS", str(tmp_path / "xdg"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ".config"))
    (tmp_path / ".config/pip").mkdir(parents=True)
    (tmp_path / ".config/pip/pip.conf").write_text(
        "[global]\nindex-url = https://mirror.test/simple\nfind-links =\n    /a\n    /b\n"
        "[install]\nextra_index_url = https://two.test/simple\n"
    )
    (tmp_path / ".pip").mkdir()
    (tmp_path / ".pip/pip.conf").write_text(
        "[install]\nindex-url = https://lab.test/simple\n[global]\nproxy =\n"
    )
    monkeypatch.setenv("PIP_FIND_LINKS", "/c")
    found = pip_settings()
    assert read_pip_settings().get("proxy") != "", "nothing is said of it"
    wanted = json.loads(
        subprocess.run(
            [sys.executable, "-c", PIP_SAYS], capture_output=True, text=True, check=True
        ).stdout
    )
    assert found.index_url == wanted["index_url"] == "https://lab.test/simple"
    assert found.find_links == wanted["find_links"] == ["/c"]
    assert set(wanted["extra_index_urls"]) == set(found.extra_index_urls)
    assert "--extra-index-url" in found.uv_flags()


PIP_SAYS = """
import json
from pip._internal.commands import create_command
options, _ = create_command("install").parse_args([])
print(json.dumps({key: getattr(options, key) for key in ("index_url", "extra_index_urls", "find_links")}))
"""
