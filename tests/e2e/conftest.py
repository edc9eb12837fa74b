"""One environment with a CUDA torch for all end-to-end tests; nvcc comes from the index's wheels alone."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from place import Bench

from mambaops.core.paths import data_dir

# a CUDA torch takes this much room, and as much again while it is unpacked
ROOM = 14 * 1000**3


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """These fetch gigabytes: they run with `-m e2e`, where CI is set, and in `nox -s tests_slow`."""
    for item in items:
        if Path(__file__).parent in Path(str(item.fspath)).parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.timeout(900))


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    root = tmp_path_factory.mktemp("e2e")
    free = os.statvfs(root)
    if free.f_bavail * free.f_frsize < ROOM:
        pytest.skip(f"needs {ROOM / 1e9:.0f} GB of free disk under {root}")
    text = (data_dir("env_profiles") / "local.yaml").read_text(encoding="utf-8")
    profile = root / "wheels-only.yaml"
    text = text.replace("name: local\ntitle", "name: wheels-only\ntitle")
    # the machine's own nvcc must not help
    # the main job of these tests is the source build
    text = text.replace("[machine, wheels, conda]", "[wheels]").replace(
        "[store, runtime, ", "[store, "
    )
    profile.write_text(text, encoding="utf-8")
    yield Bench(root, profile, _environment(root))


def _environment(root: Path) -> dict[str, str]:
    path = [
        one for one in os.environ["PATH"].split(os.pathsep) if not (Path(one) / "nvcc").exists()
    ]
    env = {**os.environ, "PATH": os.pathsep.join(path), "MAX_JOBS": "2"}
    env.update(MAMBAOPS_HOME=str(root / "home"), MAMBAOPS_CACHE=str(root / "cache"))
    env.pop("CUDA_HOME", None)
    return env
