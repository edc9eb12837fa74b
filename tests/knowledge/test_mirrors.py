"""Mirrors: which address stands in which one's place, in the tables, in profiles and on the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mambaops.knowledge import mirrors
from mambaops.knowledge.addresses import Addresses
from mambaops.knowledge.packages import read_package
from mambaops.knowledge.tables import FOLDER, read
from mambaops.profiles.load import parse_profile


@pytest.fixture(autouse=True)
def none_afterwards() -> Iterator[None]:
    yield
    mirrors.use({})


def test_the_longest_prefix_counts() -> None:
    mirrors.use({"https://a/": "https://b/", "https://a/c/": "file:///d/"})
    assert mirrors.mirrored("https://a/x") == "https://b/x"
    assert mirrors.mirrored("https://a/c/x") == "file:///d/x"
    assert mirrors.mirrored("https://e/a/") == "https://e/a/"


def test_every_table_names_the_mirror_and_keeps_its_citations() -> None:
    mirrors.use({"https://": "https://near/"})
    table = read("addresses", Addresses)
    assert table.pytorch.stable == "https://near/download.pytorch.org/whl/{tag}"
    assert table.nvidia.runfile.startswith("https://near/developer.download.nvidia.com/")
    assert table.pytorch.source.startswith("https://pytorch.org/")
    package = read_package(FOLDER / "packages" / "mamba-ssm.toml")
    assert package.source.repository == "https://near/github.com/state-spaces/mamba"
    assert package.wheels.release.startswith("https://near/github.com/state-spaces/mamba/releases/")


def test_a_profiles_pages_of_wheels_are_mirrored() -> None:
    text = 'schema: "1"\nname: x\ntitle: x\ntarget: {kind: venv, python: ["3.11"], name: x}\n'
    text += (
        'torch: {versions: ["2.0.0"]}\nfind_links: ["https://data.pyg.org/whl/x.html", /srv/w]\n'
    )
    mirrors.use({"https://data.pyg.org/": "https://near/"})
    assert parse_profile(text, "x").find_links == ["https://near/whl/x.html", "/srv/w"]


def plan(file: Path | str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "MAMBAOPS_MIRRORS": str(file)}
    argv = [sys.executable, "-m", "mambaops", "plan", "--profile", "debian-a800", "--script"]
    return subprocess.run(
        [*argv, "--cross"], env=env, capture_output=True, text=True, check=False, timeout=60
    )


def test_what_is_printed_to_paste_names_the_mirror(tmp_path: Path) -> None:
    file = tmp_path / "mirrors.toml"
    file.write_text(
        '"https://download.pytorch.org/whl" = "https://near/whl"\n"https://github.com/" = "https://gh/"\n'
    )
    done = plan(file)
    assert "--extra-index-url https://near/whl/cu121" in done.stdout
    assert "git clone --depth 1 --branch v2.2.4 https://gh/state-spaces/mamba" in done.stdout


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "is not there"),
        ("x", "mirrors.toml"),
        ('[a]\n"b" = 1\n', "Expected `str`"),
        ('"github.com" = "https://gh"\n', "`github.com` is no address"),
    ],
)
def test_a_file_that_is_no_table_of_addresses_is_refused(
    text: str | None, said: str, tmp_path: Path
) -> None:
    file = tmp_path / "mirrors.toml"
    if text is not None:
        file.write_text(text)
    done = plan(file)
    assert done.returncode == 2
    assert said in done.stderr and "hint: each line is" in done.stderr
    assert "Traceback" not in done.stderr
