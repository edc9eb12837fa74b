"""Real virtual environments that are made in a moment."""

from __future__ import annotations

import sysconfig
import venv
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def make_environment(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Virtual environments without pip that see this one's packages (and `folders`); their python."""

    def make(*folders: Path) -> Path:
        home = tmp_path_factory.mktemp("env")
        venv.create(home, with_pip=False, symlinks=True)
        seen = [sysconfig.get_paths()["purelib"], *map(str, folders)]
        site = next((home / "lib").glob("python*/site-packages"))
        (site / "base.pth").write_text("\n".join(seen) + "\n")
        return home / "bin" / "python"

    return make
