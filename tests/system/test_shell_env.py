"""The start-up file: written by real shells' rules, written twice, removed to the byte."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standins import command

from mambaops.core.errors import MambaopsError, UsageError
from mambaops.system import runtime_env, shell_env


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "cuda 12.8"
    (home / "bin").mkdir(parents=True)
    (home / "lib64").mkdir()
    (home / "bin" / "nvcc").write_text("")
    return home


def _sourced(shell: str, text: str, **env: str) -> list[str]:
    show = 'printf "%s|%s|%s" "$CUDA_HOME" "$PATH" "$LD_LIBRARY_PATH"'
    words = (
        [shell, "-u", "-c", text + text + show] if shell == "bash" else [shell, "-c", text + show]
    )
    done = subprocess.run(
        words, env={"PATH": "/usr/bin:/bin", **env}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split("|")


def test_a_shell_that_reads_the_lines_twice_has_the_toolkit_once(home: Path) -> None:
    got = _sourced("bash", shell_env.exports(home, "bash"))
    assert got == [str(home), f"{home}/bin:/usr/bin:/bin", f"{home}/lib64"]


def test_what_was_on_the_library_path_stays_behind_it(home: Path) -> None:
    got = _sourced("bash", shell_env.exports(home, "bash"), LD_LIBRARY_PATH="/a:/b")
    assert got[2] == f"{home}/lib64:/a:/b"


@pytest.mark.skipif(shutil.which("zsh") is None, reason="no zsh here")
def test_zsh_reads_them_too(home: Path) -> None:
    assert _sourced("zsh", shell_env.exports(home, "zsh"))[0] == str(home)


@pytest.mark.skipif(shutil.which("fish") is None, reason="no fish here")
def test_fish_reads_them_too(home: Path) -> None:
    assert _sourced("fish", shell_env.exports(home, "fish"))[0] == str(home)


def test_conda_s_lib_is_taken_where_there_is_no_lib64(tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    assert "/lib:" in shell_env.exports(tmp_path, "bash")


@given(st.one_of(st.none(), st.binary(max_size=200)), st.text("abc/ =\n", max_size=30))
def test_removing_gives_back_the_very_bytes(content: bytes | None, lines: str) -> None:
    if content is not None and b"mambaops cuda" in content:
        return
    once = shell_env.with_block(content, lines + "\n")
    assert shell_env.with_block(once, lines + "\n") == once
    other = shell_env.with_block(once, "other\n")
    assert shell_env.without_block(other) == content
    assert other.count(b">>> mambaops cuda") == 1


def test_what_was_written_after_the_block_stays(home: Path, tmp_path: Path) -> None:
    path = tmp_path / "rc"
    path.write_text("before")
    shell_env.write(path, home, "bash")
    with path.open("a") as file:
        file.write("after\n")
    shell_env.remove(path)
    assert path.read_text() == "beforeafter\n" or path.read_text() == "before\nafter\n"


def test_a_link_stays_a_link_and_the_mode_stays(home: Path, tmp_path: Path) -> None:
    real, link = tmp_path / "dotfiles-bashrc", tmp_path / ".bashrc"
    real.write_text("alias ll='ls -l'\n")
    real.chmod(0o600)
    link.symlink_to(real)
    assert shell_env.write(link, home, "bash")
    assert not shell_env.write(link, home, "bash")
    assert link.is_symlink()
    assert real.stat().st_mode & 0o777 == 0o600
    assert f"export CUDA_HOME='{home}'" in real.read_text()
    shell_env.remove(link)
    assert real.read_text() == "alias ll='ls -l'\n"


def test_a_file_that_was_made_for_the_block_goes_with_it(home: Path, tmp_path: Path) -> None:
    path = tmp_path / ".zshrc"
    shell_env.write(path, home, "zsh")
    assert path.exists()
    shell_env.remove(path)
    assert not path.exists()


def test_nothing_to_remove_is_said(tmp_path: Path) -> None:
    (tmp_path / "rc").write_text("x\n")
    with pytest.raises(UsageError, match="nothing to remove"):
        shell_env.remove(tmp_path / "rc")
    with pytest.raises(UsageError, match="is not there"):
        shell_env.remove(tmp_path / "none")


def test_a_folder_that_cannot_be_written_leaves_the_file_alone(home: Path) -> None:
    # a folder in which nobody, not even root, may make a file
    path = Path("/proc/self/environ")
    before = path.read_bytes()
    with pytest.raises(MambaopsError, match="it is as it was"):
        shell_env.write(path, home, "bash")
    assert path.read_bytes() == before


def test_the_toolkit_is_looked_for_and_its_absence_said(home: Path, tmp_path: Path) -> None:
    assert shell_env.find_home("", {"CUDA_HOME": str(home)}) == home
    (home / "bin" / "nvcc").chmod(0o755)
    assert shell_env.find_home("", {"PATH": str(home / "bin")}) == home
    with pytest.raises(UsageError, match="no bin/nvcc"):
        shell_env.find_home(str(tmp_path), {})


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell", "cmd"])
def test_run_time_variables_are_quoted_for_the_shell(shell: str) -> None:
    text = runtime_env.lines({"KMP_DUPLICATE_LIB_OK": "TRUE", "NOTE": "it's"}, shell)
    assert "KMP_DUPLICATE_LIB_OK" in text
    if shell == "bash":
        done = subprocess.run(
            ["bash", "-c", text + 'printf %s "$NOTE"'], capture_output=True, text=True, check=True
        )
        assert done.stdout == "it's"


def test_an_unknown_shell_is_refused(home: Path) -> None:
    for call in (lambda: shell_env.exports(home, "tcsh"), lambda: runtime_env.lines({}, "tcsh")):
        with pytest.raises(UsageError, match="tcsh"):
            call()


def test_the_shell_is_the_person_s() -> None:
    assert shell_env.shell_of({"SHELL": "/usr/bin/zsh"}) == "zsh"
    assert shell_env.shell_of({"SHELL": "/bin/tcsh"}) == "bash"
    assert os.environ.get("SHELL") is None or shell_env.shell_of(os.environ) in shell_env.SHELLS


def test_the_command_prints_lines_for_the_shell_that_is_named(home: Path, tmp_path: Path) -> None:
    done = command(tmp_path, "shell-env", "--home", str(home), "--shell", "bash")
    assert done.returncode == 0, done.stderr
    assert done.stdout == shell_env.exports(home, "bash")
