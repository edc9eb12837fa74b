"""`mambaops install-wheel` and `install-requirements` as a person runs them: data on stdout, talk on stderr, exit statuses, no tracebacks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from commands import mambaops
from small_wheels import wheel_members, write_zip

pytestmark = pytest.mark.usefixtures("own_places")


@pytest.fixture(scope="module")
def env(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("env") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    return folder


def test_a_wheel_is_installed_where_it_was_told(env, make_wheel):
    done = mambaops("install-wheel", make_wheel("carried"), "--python", env, "--json")
    assert done.returncode == 0, done.stderr
    (installed,) = json.loads(done.stdout)["wheels"]
    assert installed["version"] == "1.0"
    assert Path(installed["location"]).is_relative_to(env.resolve())


def test_a_wheel_for_another_processor_is_refused_with_exit_4(env, tmp_path):
    tag = f"cp{sys.version_info[0]}{sys.version_info[1]}-none-linux_s390x"
    members = wheel_members("foreign", "1.0", {"foreign.py": b""}, [], tag=tag)
    path = write_zip(tmp_path / f"foreign-1.0-{tag}.whl", members)
    done = mambaops("install-wheel", path, "--python", env)
    assert done.returncode == 4
    assert "is not for" in done.stderr
    assert not list(env.rglob("foreign*"))


def test_a_module_inside_that_will_not_load_is_refused_before_anything_is_changed(env, tmp_path):
    """The name says any platform; inside is a compiled module of this one: the name is not true."""
    import msgspec._core

    library = Path(msgspec._core.__file__)
    members = wheel_members("sneaky", "1.0", {f"sneaky/{library.name}": library.read_bytes()}, [])
    path = write_zip(tmp_path / "sneaky-1.0-py3-none-any.whl", members)
    done = mambaops("install-wheel", path, "--python", env)
    assert done.returncode == 4
    assert "its name is not true" in done.stderr
    assert not list(env.rglob("sneaky*"))
    done = mambaops("install-wheel", path, "--python", env, "--force")
    assert done.returncode == 0, done.stderr
    assert "installed all the same (--force)" in done.stderr


def test_install_requirements_says_what_it_left_out(env, make_wheel, tmp_path):
    wheel = make_wheel("numpy", "2.4.6")
    assert mambaops("install-wheel", wheel, "--python", env, "--no-inspect").returncode == 0
    path = tmp_path / "requirements.txt"
    path.write_text("numpy==1.24.4\r\nsix\r\n")
    done = mambaops("install-requirements", path, "--python", env, "--dry-run", "--json")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert [one["name"] for one in answer["left_out"]] == ["numpy"]
    assert answer["lines"] == ["six"]
    assert "left out: `numpy==1.24.4`" in done.stderr
    path.write_text("numpy=1.24.4\n")
    done = mambaops("install-requirements", path, "--python", env)
    assert done.returncode == 2
    assert f"{path}:1" in done.stderr
