"""`mambaops bundle` and `install-bundle` as a person runs them: data on stdout, talk on stderr, exit statuses, no tracebacks."""

from __future__ import annotations

import msgspec
import pytest
from commands import mambaops
from recorded import facts_of

from mambaops.bundle.plan import spec_for
from mambaops.core.errors import MambaopsError
from mambaops.decide.case import make_case
from mambaops.decide.situation import Flags, elsewhere
from mambaops.profiles.load import load_profile
from mambaops.runtime.identity import asked_of
from mambaops.runtime.wheel import write_wheel
from mambaops.state.observe import packs
from mambaops.store.store import Store
from mambaops.wheels.inspect.pack import ASKED

pytestmark = pytest.mark.usefixtures("own_places")


def test_install_bundle_of_nothing(tmp_path):
    assert mambaops("install-bundle", tmp_path / "no.tar").returncode == 2
    (tmp_path / "bad.tar").write_bytes(b"x" * 5000)
    assert mambaops("install-bundle", tmp_path / "bad.tar").returncode == 1


@pytest.mark.network
def test_a_bundle_carries_the_stored_pack(tmp_path, monkeypatch):
    """The kernels from the store, and the Python parts of their packages, made without running their setup.py."""
    monkeypatch.setenv("MAMBAOPS_CACHE", str(tmp_path))
    asked = asked_of({}, "12.8", ("8.0", "9.0"))
    files = {ASKED: msgspec.json.encode(asked), "mambaops_kernels/__init__.py": b""}
    pack = Store().add(write_wheel(files, tmp_path / "made", local="cu128.sm80.sm90.x1"), asked.key)
    found = elsewhere("local", facts_of("no-gpu"), packs({}))
    case = make_case(load_profile("local"), found, Flags(arch="9.0", cross=True))
    said = []
    try:
        spec = spec_for(case, with_toolkit=False, models=(), say=said.append)
    except MambaopsError as error:
        if "not known" in error.message or "no set of wheels" in error.message:
            pytest.skip(f"the sources cannot be fetched here: {error.message}")
        raise
    names = {path.name.partition("-")[0]: path for path in spec.wheels}
    assert set(names) == {"mambaops_kernels", "mamba_ssm", "causal_conv1d"}
    assert names["mambaops_kernels"] == pack
    assert "+runtime-py3-none-any" in names["mamba_ssm"].name
    assert f"kernels: {pack.name}, from the store" in said


def test_a_bundle_without_a_wheel_says_how_to_get_one(tmp_path, monkeypatch):
    """Kernels are wanted, and the store has no pack for that GPU: exit 4 before anything is fetched."""
    monkeypatch.chdir(tmp_path)
    done = mambaops("bundle", "--profile", "local", "--arch", "9.0")
    assert done.returncode == 4, done.stderr
    assert "there are no kernels for 9.0 in the store" in done.stderr
    assert 'compile-kernels --arch "9.0"' in done.stderr
    assert "--with-toolkit" in done.stderr
    assert not list(tmp_path.glob("local.tar*"))
