"""The doctor over every recorded machine (`python tests/doctor/refresh.py` writes the files anew)."""

import importlib.util
from pathlib import Path

import pytest

_spec = importlib.util.spec_from_file_location("refresh", Path(__file__).with_name("refresh.py"))
assert _spec is not None and _spec.loader is not None
refresh = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(refresh)


@pytest.mark.parametrize(("machine", "profile"), refresh.cases())
def test_output_is_as_recorded(machine: str, profile: str) -> None:
    golden = refresh.golden_file(machine, profile)
    assert golden.is_file(), "run: python tests/doctor/refresh.py"
    assert refresh.rendered(machine, profile) == golden.read_text(encoding="utf-8")


def test_no_golden_file_is_left_over() -> None:
    wanted = {refresh.golden_file(*case) for case in refresh.cases()}
    assert set((Path(refresh.HERE) / "golden").glob("*.txt")) == wanted
