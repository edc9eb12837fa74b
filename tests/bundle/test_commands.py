"""`mambaops bundle` and `install-bundle` as a person runs them: data on stdout, talk on stderr, exit statuses, no tracebacks."""

from __future__ import annotations

import pytest
from commands import mambaops

pytestmark = pytest.mark.usefixtures("own_places")


def test_install_bundle_of_nothing(tmp_path):
    assert mambaops("install-bundle", tmp_path / "no.tar").returncode == 2
    (tmp_path / "bad.tar").write_bytes(b"x" * 5000)
    assert mambaops("install-bundle", tmp_path / "bad.tar").returncode == 1


def test_a_bundle_without_a_wheel_says_how_to_get_one(tmp_path, monkeypatch):
    """Kernels are wanted, the store is empty and no prebuilt wheel fits: exit 4 before anything is fetched."""
    monkeypatch.chdir(tmp_path)
    done = mambaops("bundle", "--profile", "local", "--arch", "9.0")
    assert done.returncode == 4, done.stderr
    assert "there is no wheel of causal-conv1d" in done.stderr
    assert "--with-toolkit" in done.stderr
    assert not list(tmp_path.glob("local.tar*"))
