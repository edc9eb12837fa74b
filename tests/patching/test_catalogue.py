"""The catalogue names every edit that the code makes, and the kept upstream files are what was published."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import tarfile
from pathlib import Path

import pytest
from packaging.version import Version

from mambaops.core import process
from mambaops.core.errors import MambaopsError
from mambaops.core.paths import data_dir, payload_file
from mambaops.patching import catalogue
from mambaops.patching.one_off import apply_diff, parse_diff

sys.path.insert(0, str(Path(__file__).parent))
from setup_recording import INDEX, SETUPS

ENTRIES = {entry.id: entry for entry in catalogue.load()}


def test_every_codemod_stands_in_the_catalogue_and_the_other_way_round() -> None:
    folder = payload_file().parent / "patching" / "codemods"
    text = "".join(path.read_text("utf-8") for path in sorted(folder.glob("*.py")))
    ids = set(re.findall(r'^[A-Z_]+ = "([a-z][a-z0-9-]+)"$', text, re.MULTILINE))
    assert ids == {name for name, entry in ENTRIES.items() if entry.kind == "codemod"}


@pytest.mark.parametrize("name", ENTRIES)
def test_entries_say_what_and_why_and_where_from(name: str) -> None:
    entry = ENTRIES[name]
    assert entry.link.startswith("https://")
    assert all(len(text) >= 8 for text in (entry.what, entry.why, entry.versions, entry.target))


@pytest.mark.parametrize("entry", catalogue.diffs(), ids=lambda entry: entry.id)
def test_diffs_are_whole_and_name_their_target(entry: catalogue.Entry) -> None:
    text = catalogue.diff_text(entry)
    assert parse_diff(text)
    assert f"--- a/{entry.target}\n+++ b/{entry.target}\n" in text
    assert re.fullmatch(r"[0-9a-f]{64}", entry.sha256)


def test_every_patch_file_has_its_entry() -> None:
    files = {path.name for path in data_dir("patches").glob("*.patch")}
    assert files == {entry.file for entry in catalogue.diffs()}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("patches: [", "catalogue.yaml"),
        ("patches: [{id: a}]", r"missing required field .* `\$\.patches\[0\]`"),
        ("patches: []\nmore: 1", "unknown field `more`"),
    ],
)
def test_a_wrong_catalogue_is_an_error_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "catalogue.yaml").write_text(text)
    with pytest.raises(MambaopsError, match=said):
        catalogue.load(tmp_path)


@pytest.mark.parametrize("package", INDEX)
def test_kept_files_are_what_was_published(package: str) -> None:
    for version, entry in INDEX[package].items():
        data = (SETUPS / entry["file"]).read_bytes()
        assert hashlib.sha256(data).hexdigest() == entry["setup_sha256"], version
        assert re.fullmatch(r"[0-9a-f]{64}", entry["sdist_sha256"])


def test_old_sdists_hold_no_cuda_sources() -> None:
    first = {
        package: min((v for v, e in INDEX[package].items() if e["cuda_sources"]), key=Version)
        for package in INDEX
    }
    assert first == {"causal-conv1d": "1.5.1", "mamba-ssm": "2.2.5"}


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.parametrize("package", INDEX)
def test_every_release_of_the_index_is_here(package: str) -> None:
    listed = process.run(
        [sys.executable, "-m", "pip", "index", "versions", package, "--pre"]
    ).stdout
    found = re.search(r"Available versions: (.*)", listed)
    assert found
    versions = {version.strip() for version in found[1].split(",")}
    assert versions <= set(INDEX[package]), "run tests/patching/setup_py/refresh.py"


@pytest.mark.network
@pytest.mark.slow
@pytest.mark.skipif(not process.which("nvcc"), reason="no nvcc on PATH")
def test_the_cub_diff_compiles_what_did_not(tmp_path: Path) -> None:
    """mamba-ssm 2.2.5's own header with this machine's nvcc, before and after the diff."""
    fetch = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-build-isolation"]
    env = {**os.environ, "MAMBA_SKIP_CUDA_BUILD": "TRUE"}
    pinned = [*fetch, "--no-binary", ":all:", "-d", tmp_path, "mamba-ssm==2.2.5"]
    process.run(pinned, env=env, timeout=300)
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as sdist:
        sdist.extractall(tmp_path)
    folder = next(tmp_path.glob("mamba_ssm-*/csrc/selective_scan"))
    header = folder / "reverse_scan.cuh"
    (folder / "try.cu").write_text(
        '#include "reverse_scan.cuh"\n'
        "struct Add { __device__ float operator()(float a, float b) const { return a + b; } };\n"
        "__global__ void kernel(float* x) {\n"
        "  using Scan = BlockReverseScan<float, 128>;\n"
        "  __shared__ typename Scan::TempStorage room;\n"
        "  float out; auto prefix = [](float) { return 0.f; };\n"
        "  Scan(room).ExclusiveReverseScan(x[threadIdx.x], out, Add(), prefix);\n"
        "  x[threadIdx.x] = out;\n"
        "}\n"
    )
    compile_it = ["nvcc", "-std=c++17", "-arch=sm_90", "-c", "try.cu", "-o", tmp_path / "try.o"]
    before = process.run(compile_it, cwd=folder, check=False, timeout=300)
    release = process.run(["nvcc", "--version"]).stdout
    if "release 13" in release:
        assert 'namespace "cub" has no member "LaneId"' in before.stderr
    entry = ENTRIES["mamba-cub-3"]
    text = header.read_text("utf-8")
    assert hashlib.sha256(text.encode()).hexdigest() == entry.sha256
    header.write_text(apply_diff(text, catalogue.diff_text(entry)), encoding="utf-8")
    process.run(compile_it, cwd=folder, timeout=300)
