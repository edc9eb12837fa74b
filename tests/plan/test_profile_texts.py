"""Texts of a profile become words of commands and scripts: what could be obeyed there is refused when it is read."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from commands import mambaops

from mambaops.core.errors import UsageError
from mambaops.knowledge.packages import read_package
from mambaops.profiles.load import parse_profile
from mambaops.system.runtime_env import lines

SMALL = """
schema: "1"
name: small
title: small
target: {python: ["3.11"], name: small}
torch: {versions: ["2.13.0"]}
"""
CASES = {
    "runtime_env: `A=1;touch x;B` is no name": "runtime_env: {'A=1;touch x;B': '1'}",
    "runtime_env: `1A` is no name": "runtime_env: {1A: '1'}",
    "build.env: `$(id)` is no name": "build: {env: {'$(id)': '1'}}",
    "runtime_env.A: holds the control character '\\n'": 'runtime_env: {A: "1\\nrm -rf ~"}',
    "requirements: `--index-url=x` is no requirement": "requirements: ['--index-url=x']",
    "constraints: `-r other.txt` is no requirement": "constraints: ['-r other.txt']",
    "target.channels: `--file` begins with a dash": None,
    "models: `--output` begins with a dash": "models: ['--output']",
    "packages.mamba-ssm.tag: `--upload-pack=id` begins": "packages: {mamba-ssm: {version: '2.3.2', origin: git, tag: '--upload-pack=id'}}",
    "packages.mamba-ssm.subdirectory: `../../x` leads out": "packages: {mamba-ssm: {version: '2.3.2', subdirectory: ../../x}}",
    "$.toolkit.version": "toolkit: {version: '13.0}$(id)'}",
    "$.build.patch_cpp_extension": "build: {patch_cpp_extension: '11.8; id'}",
}


@pytest.mark.parametrize("wanted", CASES)
def test_a_text_that_could_be_obeyed_is_refused(wanted: str) -> None:
    text = SMALL + (CASES[wanted] or "")
    if CASES[wanted] is None:
        text = text.replace("name: small}", "name: small, channels: ['--file']}")
    with pytest.raises(UsageError) as caught:
        parse_profile(text, "mine")
    assert wanted in caught.value.message
    assert caught.value.exit_code == 2


def test_a_title_of_two_lines_would_be_a_command_in_a_script() -> None:
    with pytest.raises(UsageError, match="title: holds the control character"):
        parse_profile(SMALL.replace("title: small", 'title: "a\\ntouch x"'), "mine")


def test_a_version_does_not_end_with_a_line() -> None:
    with pytest.raises(UsageError, match="holds the control character"):
        parse_profile(SMALL.replace('"2.13.0"', '"2.13.0\\n"'), "mine")


def test_env_does_not_print_what_a_profile_would_have_evaluated(tmp_path: Path) -> None:
    profile = tmp_path / "mine.yaml"
    profile.write_text(SMALL + f"runtime_env: {{'A=1; touch {tmp_path}/x; B': '1'}}\n")
    done = mambaops("env", "--profile", profile)
    assert (done.returncode, done.stdout) == (2, "")
    assert "is no name of a variable" in done.stderr


AWKWARD = "it's $HOME `id` \"two\" \\' \\ ’; touch x; %PATH% # *"
READ = "import json, os; print(json.dumps(os.environ['A']))"


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_value_comes_out_of_the_shell_as_it_was(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")
    text = lines({"A": AWKWARD}, shell) + f'python3 -c "{READ}"\n'
    done = subprocess.run([shell, "-c", text], cwd=tmp_path, capture_output=True, check=True)
    assert json.loads(done.stdout) == AWKWARD
    assert list(tmp_path.iterdir()) == []


def test_fish_and_powershell_quote_in_their_own_way() -> None:
    assert lines({"A": "a\\'b"}, "fish") == "set -gx A 'a\\\\\\'b'\n"
    assert lines({"A": "a'b\u2019c"}, "powershell") == "$env:A = 'a''b\u2019\u2019c'\n"


@pytest.mark.parametrize("value", ['a" & calc & "', "%COMSPEC%"])
def test_cmd_refuses_what_it_cannot_quote(value: str) -> None:
    with pytest.raises(UsageError, match="cmd cannot be given"):
        lines({"A": value}, "cmd")


PACKAGE = """
name = "mine"
title = "mine"
[source]
version = "1.0"
origin = "git"
repository = "https://example.org/mine"
[architectures]
route = "environment"
[modules]
imports = ["mine"]
kernels = ["mine_cuda"]
"""


@pytest.mark.parametrize(
    ("before", "after", "wanted"),
    [
        ('version = "1.0"', 'version = "1.0\\n"', "control character"),
        ('version = "1.0"', 'version = "1.0"\ntag = "--x"', "source.tag"),
        ('version = "1.0"', 'version = "1.0"\nenv = {"A;id" = "1"}', "no name of a variable"),
        ("[modules]", '[build]\nenv = {"A B" = "1"}\n[modules]', "no name of a variable"),
        ("[modules]", '[build]\nrequirements = ["-r x"]\n[modules]', "is no requirement"),
    ],
)
def test_package_files_too(tmp_path: Path, before: str, after: str, wanted: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(PACKAGE)
    assert read_package(path).name == "mine"
    path.write_text(PACKAGE.replace(before, after))
    with pytest.raises(UsageError, match=wanted):
        read_package(path)
