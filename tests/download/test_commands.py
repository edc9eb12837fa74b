"""The commands as a person runs them: data on stdout, talk on stderr, exit statuses, no tracebacks."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import wheel_members, write_zip
from .server import serve, status, whole


@pytest.fixture(autouse=True)
def own_places(tmp_path, monkeypatch):
    monkeypatch.setenv("MAMBAOPS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MAMBAOPS_HOME", str(tmp_path / "home"))
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.delenv(name, raising=False)


def mambaops(*words: str | Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "mambaops", *map(str, words)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def env(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("env") / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    return folder


def test_fetch_wheel_and_install_wheel(env, make_wheel, tmp_path):
    data = make_wheel("carried").read_bytes()
    with serve(data, status(503), whole()) as server:
        url = server.url("carried-1.0-py3-none-any.whl")
        done = mambaops("fetch-wheel", "--url", url, "-o", tmp_path / "w", "--json")
    assert done.returncode == 0, done.stderr
    assert "answers 503" in done.stderr
    fetched = json.loads(done.stdout)
    assert Path(fetched["path"]).read_bytes() == data
    done = mambaops("install-wheel", fetched["path"], "--python", env, "--json")
    assert done.returncode == 0, done.stderr
    (installed,) = json.loads(done.stdout)
    assert installed["version"] == "1.0"
    assert Path(installed["location"]).is_relative_to(env.resolve())


def test_what_is_not_there_is_an_error_with_a_hint(tmp_path):
    with serve(b"", status(404)) as server:
        done = mambaops("fetch-wheel", "--url", server.url(), "-o", tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert "error: http://127.0.0.1" in done.stderr
    assert "hint: the file does not exist there" in done.stderr
    assert mambaops("fetch-wheel").returncode == 2
    assert mambaops("fetch-wheel", "--name", "six-1.0-py3-none-any.whl").returncode == 2


def test_fetch_wheel_by_package_says_why_nothing_fits_a_machine(tmp_path):
    """Debian 10 outside of conda: the wheels that fit by name ask for a newer libstdc++ than it has."""
    recorded = Path(__file__).parents[1] / "machines/debian10-a800.json"
    machine = json.loads(recorded.read_text(encoding="utf-8"))
    machine["python"]["libstdcxx"] = None
    facts = tmp_path / "facts.json"
    facts.write_text(json.dumps(machine), encoding="utf-8")
    done = mambaops("fetch-wheel", "--package", "mamba-ssm", "--facts", facts)
    assert done.returncode == 4
    assert "GLIBCXX_3.4.26" in done.stderr
    assert "select-wheel --package mamba-ssm" in done.stderr


def test_a_wheel_for_another_processor_is_refused_with_exit_4(env, tmp_path):
    tag = f"cp{sys.version_info[0]}{sys.version_info[1]}-none-linux_s390x"
    members = wheel_members("foreign", "1.0", {"foreign.py": b""}, [], tag=tag)
    path = write_zip(tmp_path / f"foreign-1.0-{tag}.whl", members)
    done = mambaops("install-wheel", path, "--python", env)
    assert done.returncode == 4
    assert "is not for" in done.stderr
    assert not list(env.rglob("foreign*"))


def test_a_module_inside_that_will_not_load_is_refused_before_anything_is_changed(env, tmp_path):
    """The name says any platform; inside is a compiled module of this one: the name lies."""
    import _json  # a small compiled module that every Python brings

    library = Path(_json.__file__)
    members = wheel_members("sneaky", "1.0", {f"sneaky/{library.name}": library.read_bytes()}, [])
    path = write_zip(tmp_path / "sneaky-1.0-py3-none-any.whl", members)
    done = mambaops("install-wheel", path, "--python", env)
    assert done.returncode == 4
    assert "its name lies" in done.stderr
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


def test_install_bundle_of_nothing(tmp_path):
    assert mambaops("install-bundle", tmp_path / "no.tar").returncode == 2
    (tmp_path / "bad.tar").write_bytes(b"x" * 5000)
    assert mambaops("install-bundle", tmp_path / "bad.tar").returncode == 1


def test_a_bundle_without_a_wheel_says_how_to_get_one(tmp_path, monkeypatch):
    """Kernels are wanted, the store is empty and no prebuilt wheel fits: exit 4 before anything is fetched."""
    monkeypatch.chdir(tmp_path)
    done = mambaops("bundle", "--profile", "local", "--arch", "9.0")
    assert done.returncode == 4, done.stderr
    assert "there is no wheel of causal-conv1d" in done.stderr
    assert "--with-toolkit" in done.stderr
    assert not list(tmp_path.glob("local.tar*"))
