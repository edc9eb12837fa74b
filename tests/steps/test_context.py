"""Installing in the target environment: by uv where it does what pip would, by pip everywhere else."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from acts import case_on, context_of, said
from small_wheels import Index, MakeWheel
from target_environment import TargetEnvironment

from mambaops.core.errors import CommandFailed
from mambaops.install.uv_for_pip import Command, uv_for_pip
from mambaops.state.places import places
from mambaops.steps.context import Context

pytestmark = pytest.mark.usefixtures("told_nothing")


@pytest.fixture
def told_nothing(
    own_places: None, no_pip_settings: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even that there is to be no cache; and uv has one of its own."""
    monkeypatch.delenv("PIP_NO_CACHE_DIR")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))


@pytest.fixture
def env(tmp_path: Path) -> TargetEnvironment:
    return TargetEnvironment(places("local").env, tmp_path / "shared")


@pytest.fixture
def context(env: TargetEnvironment) -> Context:
    return context_of(case_on("no-gpu"))


def installer_of(env: TargetEnvironment, name: str) -> str:
    return (env.site / f"{name}.dist-info" / "INSTALLER").read_text(encoding="utf-8").strip()


def asked(env: TargetEnvironment, *words: str) -> Command | None:
    return uv_for_pip(
        env.python, ["tiny==1.0", *words], {"HOME": "/home/me", "UV_TORCH_BACKEND": "cpu"}
    )


def test_uv_installs_from_where_pip_is_told_to_look(
    context: Context,
    env: TargetEnvironment,
    index: Index,
    make_wheel: MakeWheel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    index.publish(make_wheel("tiny", "1.0"))
    monkeypatch.setenv("PIP_INDEX_URL", index.url)
    context.install("a-step", ["tiny==1.0"])
    assert installer_of(env, "tiny-1.0") == "uv"
    # a step that is asked for the same once more, by force
    (env.site / "tiny" / "__init__.py").unlink()
    context.install("a-step", ["--force-reinstall", "--no-deps", "tiny==1.0"])
    assert (env.site / "tiny" / "__init__.py").exists()
    assert said == []
    (log,) = context.run.folder.glob("a-step*")
    assert log == context.run.log("a-step")
    assert log.read_text(encoding="utf-8").count("tiny==1.0") >= 2, "both tries stand in it"


def test_the_best_of_all_indexes_is_taken_as_by_pip(
    context: Context,
    env: TargetEnvironment,
    tmp_path: Path,
    make_wheel: MakeWheel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = Index(tmp_path / "first"), Index(tmp_path / "second")
    first.publish(make_wheel("tiny", "1.0"))
    second.publish(make_wheel("tiny", "2.0"))
    monkeypatch.setenv("PIP_INDEX_URL", first.url)
    context.install("a-step", ["tiny", "--extra-index-url", second.url])
    assert installer_of(env, "tiny-2.0") == "uv"


def test_bounds_are_heeded(
    context: Context,
    env: TargetEnvironment,
    tmp_path: Path,
    index: Index,
    make_wheel: MakeWheel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    index.publish(make_wheel("tiny", "1.0"), make_wheel("tiny", "2.0"))
    monkeypatch.setenv("PIP_INDEX_URL", index.url)
    (tmp_path / "bounds").write_text("tiny<2\n", encoding="utf-8")
    context.install("a-step", ["tiny", "--constraint", tmp_path / "bounds"])
    assert installer_of(env, "tiny-1.0") == "uv"


def test_where_uv_cannot_pip_does_and_it_is_said(
    context: Context, env: TargetEnvironment, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.root.mkdir()
    monkeypatch.setenv("PIP_INDEX_URL", index.url)
    env.take_over({"-m": ("", "", 0)})
    context.install("a-step", ["tiny==1.0"])
    assert env.calls()[-1] == ["-m", "pip", "install", "tiny==1.0"]
    (line,) = said
    assert line.startswith("  uv could not (")
    assert line.endswith("; trying pip")
    assert str(context.run.folder / "a-step-uv.txt") in line
    # the failure's explanation reads the logs: pip's alone
    assert [one.name for one in context.run.folder.glob("*.log")] == ["a-step.log"]


def test_what_neither_can_do_is_pips_failure(
    context: Context, env: TargetEnvironment, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", index.url)
    env.take_over({"-m": ("", "ERROR: No matching distribution found for tiny\n", 1)})
    with pytest.raises(CommandFailed) as caught:
        context.install("a-step", ["tiny==1.0"])
    assert "No matching distribution" in caught.value.output


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PIP_CONSTRAINT", "/x/bounds.txt"),
        ("PIP_NO_CACHE_DIR", "1"),
        ("PIP_CACHE_DIR", "/big/cache"),
        ("PIP_PROXY", "http://127.0.0.1:9"),
        ("PIP_TRUSTED_HOST", "mirror.lan"),
        ("PIP_ONLY_BINARY", ":all:"),
        ("PIP_INDEX_URL", "http://mirror.lan/simple"),
        ("PIP_FIND_LINKS", "https://me:secret@mirror.lan/wheels"),
        ("UV_NO_CACHE", "1"),
        ("UV_LINK_MODE", "copy"),
        ("UV_CACHE_DIR", "/tmp/" + "x" * 300),
    ],
)
def test_who_told_pip_what_uv_is_not_told_gets_pip(
    name: str, value: str, env: TargetEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert asked(env) is not None
    monkeypatch.setenv(name, value)
    assert asked(env) is None


def test_the_environments_own_settings_count(
    env: TargetEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PIP_CONFIG_FILE")
    if asked(env) is None:
        pytest.skip("this machine's pip is told something that uv is not told")
    own = env.folder / "pip.conf"
    own.write_text("[install]\ntrusted-host = mirror.lan\n", encoding="utf-8")
    assert asked(env) is None
    own.write_text("no section\n", encoding="utf-8")
    assert asked(env) is None, "pip says what is wrong with it"
    own.write_text("[global]\nquiet = 1\nfind-links = /lan/wheels\n", encoding="utf-8")
    command = asked(env)
    assert command is not None
    assert [*map(str, command.argv)][-3:] == ["--find-links", "/lan/wheels", "tiny==1.0"]


def test_certificates_and_patience_are_handed_on(
    env: TargetEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_CERT", "/etc/lab.pem")
    monkeypatch.setenv("PIP_TIMEOUT", "90")
    monkeypatch.setenv("PIP_RETRIES", "0")
    command = asked(env)
    assert command is not None
    assert command.env == {
        "HOME": "/home/me",
        "SSL_CERT_FILE": "/etc/lab.pem",
        "UV_HTTP_TIMEOUT": "90",
        "UV_HTTP_RETRIES": "0",
    }


def test_a_word_that_uv_takes_otherwise_is_left_to_pip(env: TargetEnvironment) -> None:
    assert asked(env, "--pre") is None
    assert asked(env, "--index-url", "https://mirror.lan/simple") is None, "it is told one already"
    assert asked(env, "--extra-index-url", "http://127.0.0.1:8000/simple") is not None
    assert asked(env, "--extra-index-url", "http://mirror.lan/simple") is None, "pip refuses it"


def test_a_password_stands_on_no_command_line(
    env: TargetEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_INDEX_URL", "https://me:secret@mirror.lan/simple")
    monkeypatch.setenv(
        "PIP_EXTRA_INDEX_URL", "https://me:secret@a.lan/simple\nhttps://b.lan/simple"
    )
    command = asked(env)
    assert command is not None
    assert "secret" not in str(command.argv)
    assert command.env["UV_DEFAULT_INDEX"] == "https://me:secret@mirror.lan/simple"
    assert command.env["UV_INDEX"] == "https://me:secret@a.lan/simple https://b.lan/simple"


def test_uvs_own_settings_bring_nothing_else_than_pip(
    context: Context,
    env: TargetEnvironment,
    tmp_path: Path,
    make_wheel: MakeWheel,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told, first, second = (Index(tmp_path / name) for name in ("told", "first", "second"))
    told.publish(make_wheel("tiny", "9.0"))
    first.publish(make_wheel("tiny", "1.0"))
    second.publish(make_wheel("tiny", "2.0"))
    monkeypatch.setenv("PIP_INDEX_URL", first.url)
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"{second.url}\n{first.url}")
    monkeypatch.setenv("UV_FIND_LINKS", told.url)
    monkeypatch.setenv("UV_EXTRA_INDEX_URL", told.url)
    monkeypatch.setenv("UV_RESOLUTION", "lowest")
    context.install("a-step", ["tiny"])
    assert installer_of(env, "tiny-2.0") == "uv"


def test_the_cache_that_uv_is_told_of_is_the_one_that_is_filled(
    env: TargetEnvironment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("UV_CACHE_DIR")
    (tmp_path / "uv.toml").write_text(f'cache-dir = "{tmp_path}/told"\n', encoding="utf-8")
    monkeypatch.setenv("UV_CONFIG_FILE", str(tmp_path / "uv.toml"))
    command = asked(env)
    assert command is not None
    assert tmp_path / "told" in command.argv


@pytest.mark.parametrize(("value", "none"), [("y", True), ("t", True), ("0", False)])
def test_pips_words_for_no_index_are_read_as_by_pip(
    value: str, none: bool, env: TargetEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", value)
    command = asked(env)
    assert command is not None
    assert ("--no-index" in command.argv) is none


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/shm is Linux's")
def test_a_cache_on_another_disk_would_be_filled_too(
    env: TargetEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    if Path("/dev/shm").stat().st_dev == env.folder.stat().st_dev:
        pytest.skip("/dev/shm is no file system of its own here")
    monkeypatch.setenv("UV_CACHE_DIR", f"/dev/shm/mambaops-{os.getpid()}/uv")
    assert asked(env) is None
