"""The environment's CUDA_HOME points at the toolkit that was obtained, whatever stood there."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from mambaops.state.places import Places
from mambaops.steps import install_toolkit


@pytest.mark.parametrize("before", ["nothing", "a link", "a dead link", "a folder of links"])
def test_cuda_home_leads_to_the_toolkit(before: str, tmp_path: Path) -> None:
    where, home = Places("local", tmp_path / "state"), tmp_path / "cuda-12.8"
    (home / "bin").mkdir(parents=True)
    link = where.cuda_home
    link.parent.mkdir(parents=True)
    if before == "a folder of links":  # made of the index's wheels for another choice of torch
        link.mkdir()
        (link / "bin").symlink_to(tmp_path)
    elif before != "nothing":
        link.symlink_to(tmp_path if before == "a link" else tmp_path / "gone")
    install_toolkit._point_at(SimpleNamespace(where=where), home)
    assert link.readlink() == home
    assert (link / "bin").is_dir()
    assert tmp_path.is_dir()
