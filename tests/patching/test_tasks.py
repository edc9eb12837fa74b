"""The commands themselves: exit codes, what is data on stdout and what is talk on stderr."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from mambaops.cli.patch_output import patch_folders
from mambaops.compile.sources import RECORD, read_tree
from mambaops.core import process
from mambaops.patching.options import SetupOptions

sys.path.insert(0, str(Path(__file__).parent))
from setup_recording import FILES


def _mambaops(*words: str | Path, **environment: str) -> process.Completed:
    env = {**os.environ, **environment}
    return process.run(
        [sys.executable, "-m", "mambaops", *words], env=env, check=False, timeout=120
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "setup.py").write_text(FILES["causal_conv1d-1.6.2.post1.py"])
    return tmp_path


def test_patch_setup_check_apply_check_revert(tree: Path) -> None:
    first = (tree / "setup.py").read_bytes()
    asked = ("patch-setup", "--source", tree, "--arch", "8.0;9.0+PTX", "--no-ninja")
    assert _mambaops(*asked, "--check").returncode == 1
    assert _mambaops(*asked, "--diff").stdout.startswith("--- a/setup.py\n+++ b/setup.py\n@@")
    assert (tree / "setup.py").read_bytes() == first
    applied = _mambaops(*asked, "--torch", "2.14.1", "--threads", "1", "--json")
    assert applied.returncode == 0
    (row,) = json.loads(applied.stdout)["sources"]
    assert row["state"] == "patched"
    assert row["patches"] == [
        "force-build",
        "no-ninja",
        "cuda-archs",
        "cxx-standard",
        "nvcc-threads",
    ]
    assert row["changed"] == ["setup.py"]
    assert _mambaops(*asked, "--torch", "2.14.1", "--threads", "1", "--check").returncode == 0
    assert _mambaops(*asked, "--check").returncode == 1, "asked for less, patched for more"
    assert _mambaops("patch-setup", "--source", tree, "--revert").returncode == 0
    assert [path.name for path in tree.iterdir()] == ["setup.py"]
    assert (tree / "setup.py").read_bytes() == first


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("patch-setup", "--source", "nowhere"), "no setup.py in nowhere"),
        (("patch-setup", "--source", ".", "--arch", "sm_90"), "is no compute capability"),
        (("patch-setup", "--source", ".", "--check", "--diff"), "only one of"),
        (("patch-setup", "--threads", "2"), "--threads goes with --source only"),
        (("patch-cpp-extension", "--file", "nowhere", "--cuda", "11.8"), "no such file"),
        (("patch-cpp-extension", "--file", "a", "--python", "b"), "only one of"),
        (("strip-crlf", "nowhere"), "no such file or folder"),
    ],
)
def test_mistakes_end_with_2_and_no_traceback(words: tuple[str, ...], said: str) -> None:
    done = _mambaops(*words)
    assert done.returncode == 2
    assert said in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_patch_cpp_extension_on_a_file(tmp_path: Path) -> None:
    excerpt = Path(__file__).parent / "cpp_extension" / "torch-2.14.1.txt"
    path = tmp_path / "cpp_extension.py"
    path.write_bytes(excerpt.read_bytes())
    asked = ("patch-cpp-extension", "--file", path, "--cuda", "11.8")
    assert _mambaops(*asked, "--check").returncode == 1
    assert "patched" in _mambaops(*asked).stdout
    assert json.loads(_mambaops(*asked, "--check", "--json").stdout)["state"] == "as asked"
    assert _mambaops(*asked, "--revert").returncode == 0
    assert path.read_bytes() == excerpt.read_bytes()


def _on_a_full_disk(*words: str | Path) -> process.Completed:
    """No file may grow over 4 KiB: what a full disk does, without filling one."""
    limited = ["bash", "-c", 'ulimit -f 4; exec "$@"', "bash"]
    argv = [*limited, sys.executable, "-B", "-m", "mambaops", *words]
    return process.run(argv, check=False, timeout=120)


def test_a_full_disk_leaves_everything_as_it_was(tree: Path) -> None:
    before = (tree / "setup.py").read_bytes()
    done = _on_a_full_disk("patch-setup", "--source", tree, "--arch", "9.0")
    assert done.returncode == 1
    assert "cannot be written: File too large" in done.stderr
    assert "Traceback" not in done.stderr
    assert [path.name for path in tree.iterdir()] == ["setup.py"]
    assert (tree / "setup.py").read_bytes() == before
    (tree / "run.sh").write_bytes(b"echo it\r\n" * 2000)
    done = _on_a_full_disk("strip-crlf", tree)
    assert done.returncode == 1
    assert "run.sh: failed" in done.stdout
    assert (tree / "run.sh").read_bytes() == b"echo it\r\n" * 2000
    assert sorted(path.name for path in tree.iterdir()) == ["run.sh", "setup.py"]


def test_strip_crlf_of_several(tmp_path: Path) -> None:
    for name in ("a.sh", "b.sh", "c.sh"):
        (tmp_path / name).write_bytes(b"echo\r\n")
    two = (tmp_path / "a.sh", tmp_path / "b.sh")
    assert _mambaops("strip-crlf", *two, "--check").returncode == 1
    done = _mambaops("strip-crlf", *two, "--json")
    assert done.returncode == 0
    assert [item["outcome"] for item in json.loads(done.stdout)["files"]] == ["stripped"] * 2
    assert (tmp_path / "c.sh").read_bytes() == b"echo\r\n"
    assert _mambaops("strip-crlf", tmp_path).returncode == 0
    assert (tmp_path / "c.sh").read_bytes() == b"echo\n"


def test_the_plan_is_told_how_a_source_of_the_build_tree_is_patched(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "causal-conv1d-1.7.0-abc"
    (folder / "causal_conv1d-1.7.0").mkdir(parents=True)
    (folder / "causal_conv1d-1.7.0" / "setup.py").write_text(FILES["causal_conv1d-1.6.2.post1.py"])
    (folder / RECORD).write_text('{"tree": "causal_conv1d-1.7.0", "sha256": "0"}')
    options = SetupOptions(archs=("9.0",))
    patched = []
    for mode in ("check", "apply", "revert"):
        folders = {folder / "causal_conv1d-1.7.0": options}
        patch_folders(folders, None, mode, as_json=False)  # type: ignore[arg-type]
        found = read_tree(folder)
        assert found is not None
        patched.append(found.patched)
    assert patched == ["", options.digest(), ""]
    assert "put back setup.py" in capsys.readouterr().out


def test_the_caches_of_all_projects_are_emptied_only_where_that_is_meant(tmp_path: Path) -> None:
    (tmp_path / "pip" / "http").mkdir(parents=True)
    (tmp_path / "pip" / "http" / "theirs").touch()
    places = {"PIP_CACHE_DIR": str(tmp_path / "pip"), "UV_CACHE_DIR": str(tmp_path / "uv")}
    done = _mambaops("purge-cache", "--all", **places)
    assert done.returncode == 2
    assert "of all packages and projects: nobody can be asked here" in done.stderr
    assert (tmp_path / "pip" / "http" / "theirs").exists()
