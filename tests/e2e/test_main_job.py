"""The main job from nothing: environment, torch, nvcc from wheels, patches, both builds, proof, evidence."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mini
import pytest
import yaml
from place import Bench

from mambaops.compile.wheel import extensions


@pytest.fixture(scope="session")
def built(bench: Bench) -> tuple[Bench, list[str], str]:
    """The first whole run, shared by the tests that look at its results."""
    words = ["--profile", str(bench.profile), "--arch", "9.0", *bench.sources("first")]
    done = bench.run("build-mamba", *words)
    assert done.returncode == 0, done.stderr[-4000:]
    return bench, words, done.stderr


def manifests(bench: Bench) -> list[dict[str, Any]]:
    found = sorted((bench.root / "home" / "runs").glob("*/manifest-*.json"))
    return [json.loads(path.read_text(encoding="utf-8")) for path in found]


def wheels(bench: Bench) -> list[Path]:
    return sorted((bench.root / "cache" / "wheels").glob("*.whl"))


def test_it_says_what_it_does_and_proves_it(built: tuple[Bench, list[str], str]) -> None:
    _, _, said = built
    assert "nvcc 13.0 from the package index's wheels" in said
    assert "causal-conv1d: cuda-archs" in said or "cuda-archs" in said
    assert "ok      import:causal_conv1d_cuda" in said
    assert "ok      architectures:selective_scan_cuda" in said
    assert "skipped results: no GPU here" in said


def test_the_wheels_hold_exactly_the_wanted_code(built: tuple[Bench, list[str], str]) -> None:
    bench, _, _ = built
    found = {path: extensions(path) for path in wheels(bench) if "sm90." in path.name}
    assert len(found) == 2
    for inside in found.values():
        for extension in inside.values():
            assert extension.cubins == ("9.0",)
            assert extension.ptx == ()
            assert extension.above("GLIBC", "2.31") == ()


def test_every_wheel_has_a_whole_manifest(built: tuple[Bench, list[str], str]) -> None:
    bench, _, _ = built
    found = {one["package"]: one for one in manifests(bench)[:2]}
    assert set(found) == {"causal-conv1d", "mamba-ssm"}
    for one in found.values():
        assert one["torch"] == "2.14.1+cu130"
        assert one["nvcc"]["version"].startswith("13.0.")
        assert one["architectures"] == ["9.0"]
        assert "-std=c++20" in one["diff"] or one["package"] == "causal-conv1d"
        assert "compute_90" in one["diff"]
        assert any("sm_90" in flag for flag in one["flags"])
        assert one["seconds_per_file"] and all(s > 0 for s in one["seconds_per_file"].values())
        assert all(inside["cubins"] == ["9.0"] for inside in one["extensions"].values())
        assert one["source_sha256"] and one["compiler"]["version"]


def test_run_again_it_does_nothing(built: tuple[Bench, list[str], str]) -> None:
    bench, words, _ = built
    runs = len(list((bench.root / "home" / "runs").iterdir()))
    again = bench.run("build-mamba", *words)
    assert again.returncode == 0
    assert "nothing to do" in again.stderr
    assert len(list((bench.root / "home" / "runs").iterdir())) == runs


def test_a_package_of_ones_own_is_built_selected_and_proven(
    built: tuple[Bench, list[str], str],
) -> None:
    bench, words, _ = built
    file = mini.make_own(bench.root / "own")
    add = ["--add", str(file), "--source", f"splines={file.parent}"]
    done = bench.run("build-mamba", *words, *add)
    assert done.returncode == 0, done.stderr[-4000:]
    assert "ok      architectures:_basis_cuda" in done.stderr
    assert "ok      results:splines:cpu" in done.stderr
    (wheel,) = [path for path in wheels(bench) if path.name.startswith("splines-1.0+cu130")]
    assert {one.cubins for one in extensions(wheel).values()} == {("9.0",)}
    assert {one.ptx for one in extensions(wheel).values()} == {()}
    python = next((bench.root / "home" / "envs").glob("*/bin/python"))
    chosen = bench.run("select-wheel", "--package", str(file), "--python", str(python))
    assert f"chosen: {wheel.name}" in chosen.stdout


def test_another_list_builds_exactly_that_list(built: tuple[Bench, list[str], str]) -> None:
    bench, words, _ = built
    words = [*words[:3], "8.0;9.0+PTX", *words[4:]]
    done = bench.run("build-wheel", "--package", "causal-conv1d", *words)
    assert done.returncode == 0, done.stderr[-3000:]
    path = next(path for path in wheels(bench) if "sm80sm90ptx" in path.name)
    for extension in extensions(path).values():
        assert (extension.cubins, extension.ptx) == (("8.0", "9.0"), ("9.0",))


def test_a_wheel_in_the_store_is_not_built_again(built: tuple[Bench, list[str], str]) -> None:
    bench, words, _ = built
    removed = bench.run("create-venv", "--profile", str(bench.profile), "--recreate", "--yes")
    assert removed.returncode == 0, removed.stderr[-2000:]
    again = bench.run("build-mamba", *words)
    assert again.returncode == 0, again.stderr[-3000:]
    assert "compiling" not in again.stderr
    assert "causal-conv1d 1.7.0+cu130" in again.stderr


def logs_of_ninja(bench: Bench) -> Iterator[Path]:
    """Folders that a build takes away while they are walked are passed over, which `glob` does not do."""
    for folder, _, names in os.walk(bench.root / "home" / "build"):
        if ".ninja_log" in names:
            yield Path(folder, ".ninja_log")


def objects(bench: Bench) -> dict[Path, int]:
    """Whole objects (those in ninja's log) and when they were written."""
    found: dict[Path, int] = {}
    for log in logs_of_ninja(bench):
        with contextlib.suppress(FileNotFoundError):  # taken away since it was seen
            for line in log.read_text(encoding="utf-8").splitlines():
                parts = line.split("\t")
                if len(parts) == 5 and Path(parts[3]).is_file():
                    found[Path(parts[3])] = Path(parts[3]).stat().st_mtime_ns
    return found


def test_killed_in_the_middle_it_goes_on_from_the_whole_objects(
    built: tuple[Bench, list[str], str],
) -> None:
    bench, _, _ = built
    words = ["--profile", str(bench.profile), "--arch", "8.6", *bench.sources("killed")]
    others = set(objects(bench))

    def ours() -> dict[Path, int]:
        return {path: when for path, when in objects(bench).items() if path not in others}

    with bench.started("build-wheel", "--package", "mamba-ssm", *words) as running:
        until = time.monotonic() + 300
        while not ours() and running.poll() is None and time.monotonic() < until:
            time.sleep(0.1)
        os.kill(running.pid, signal.SIGKILL)
    whole = ours()
    assert 0 < len(whole) < 10, "it was not killed in the middle"
    again = bench.run("build-wheel", "--package", "mamba-ssm", *words)
    assert again.returncode == 0, again.stderr[-3000:]
    assert "objects are whole already" in again.stderr
    after = ours()
    assert len(after) == 10
    assert {path: after[path] for path in whole} == whole


def test_a_failing_file_is_named_and_the_rest_is_kept(
    built: tuple[Bench, list[str], str],
) -> None:
    bench, _, _ = built
    words = ["--profile", str(bench.profile), "--arch", "8.9", *bench.sources("broken")]
    broken = bench.root / "broken" / "causal-conv1d" / "csrc" / "causal_conv1d_fwd.cu"
    good = broken.read_text(encoding="utf-8")
    broken.write_text(good + '#error "this file is broken"\n', encoding="utf-8")
    done = bench.run("build-wheel", "--package", "causal-conv1d", *words)
    assert done.returncode == 1
    assert "this file is broken" in done.stderr
    assert "build-wheel-causal-conv1d.log" in done.stderr
    assert not any("sm89." in path.name for path in wheels(bench))


def test_a_mended_source_is_another_build(
    built: tuple[Bench, list[str], str],
) -> None:
    bench, _, _ = built
    words = ["--profile", str(bench.profile), "--arch", "8.7", *bench.sources("stale")]
    broken = bench.root / "stale" / "causal-conv1d" / "csrc" / "causal_conv1d_fwd.cu"
    good = broken.read_text(encoding="utf-8")
    broken.write_text(good + "int again = ;\n", encoding="utf-8")
    assert bench.run("build-wheel", "--package", "causal-conv1d", *words).returncode == 1
    # the user corrects the file: another content, another build, nothing stale is taken over
    broken.write_text(good, encoding="utf-8")
    done = bench.run("build-wheel", "--package", "causal-conv1d", *words)
    assert done.returncode == 0, done.stderr[-3000:]


def test_two_at_once_in_one_place_are_refused(built: tuple[Bench, list[str], str]) -> None:
    bench, _, _ = built
    words = ["--profile", str(bench.profile), "--arch", "7.5", *bench.sources("twice")]
    with bench.started("build-wheel", "--package", "causal-conv1d", *words) as running:
        at_work = bench.root / "home" / "state" / "wheels-only.running"
        until = time.monotonic() + 120
        while not at_work.exists() and running.poll() is None and time.monotonic() < until:
            time.sleep(0.1)
        second = bench.run("build-wheel", "--package", "causal-conv1d", *words)
        running.send_signal(signal.SIGINT)
        said, _ = running.communicate(timeout=60)
    assert second.returncode == 1, said + second.stderr
    assert "another mambaops is working on profile `wheels-only`" in second.stderr
    assert running.returncode == 130, said


def test_the_installed_wheels_carry_a_distinct_version(
    built: tuple[Bench, list[str], str],
) -> None:
    bench, _, _ = built
    for path in wheels(bench):
        with zipfile.ZipFile(path) as archive:
            metadata = next(n for n in archive.namelist() if n.endswith("METADATA"))
            assert "+cu130torch2.14.sm" in archive.read(metadata).decode()


def test_a_wheel_that_somebody_else_built_is_found_and_taken(
    built: tuple[Bench, list[str], str],
) -> None:
    """A lab's own folder of wheels, named in the profile: nothing is compiled, all is verified."""
    bench, _, _ = built
    folder = bench.root / "lab"
    folder.mkdir()
    for path in wheels(bench):
        if ".sm90." in path.name and "selective_scan" not in path.name:
            (folder / path.name).write_bytes(path.read_bytes())
    text = bench.profile.read_text(encoding="utf-8").replace("arch: gpu", 'arch: "9.0"')
    text = text.replace("obtain: [store,", f"find_links: [{folder}]\nobtain: [store,")
    profile = bench.root / "lab.yaml"
    profile.write_text(text, encoding="utf-8")
    other_store = {"MAMBAOPS_CACHE": str(bench.root / "lab-cache")}
    recreated = bench.run(
        "create-venv", "--profile", str(profile), "--recreate", "--yes", **other_store
    )
    assert recreated.returncode == 0, recreated.stderr[-2000:]
    done = bench.run("build-mamba", "--profile", str(profile), **other_store)
    assert done.returncode == 0, done.stderr[-4000:]
    assert "compiling" not in done.stderr
    assert "ok      import:selective_scan_cuda" in done.stderr
    again = bench.run("build-mamba", "--profile", str(profile), **other_store)
    assert "nothing to do" in again.stderr, again.stderr[-2000:]


def only_vmamba(profile: Path) -> str:
    """The same profile with VMamba's kernels in the place of its packages."""
    found = yaml.safe_load(profile.read_text(encoding="utf-8"))
    found["packages"] = {"selective-scan": {"version": "0.0.2", "origin": "git", "tag": "main"}}
    found["why"] = {
        key: why for key, why in found["why"].items() if key.split(".")[0] != "packages"
    }
    found["why"]["packages.selective-scan"] = "VMamba's kernels and nothing else"
    return yaml.safe_dump(found, sort_keys=False)


def test_vmambas_kernels_are_built_without_a_gpu(built: tuple[Bench, list[str], str]) -> None:
    """Its setup.py asks the GPU for the architecture and its version has no variable; both are met."""
    bench, _, _ = built
    profile = bench.root / "vmamba.yaml"
    profile.write_text(only_vmamba(bench.profile), encoding="utf-8")
    tree = mini.make_vmamba(bench.root / "vmamba")
    words = ["--profile", str(profile), "--arch", "8.0;8.6+PTX", "--obtain", "source"]
    done = bench.run("build-mamba", *words, "--source", f"selective-scan={tree}")
    assert done.returncode == 0, done.stderr[-4000:]
    assert "ok      import:selective_scan_cuda_oflex" in done.stderr
    path = next(
        path for path in wheels(bench) if path.name.startswith("selective_scan-0.0.2+cu130")
    )
    for extension in extensions(path).values():
        assert (extension.cubins, extension.ptx) == (("8.0", "8.6"), ("8.6",))
