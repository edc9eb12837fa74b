"""`mambaops compile-kernels` as a person runs it: a wheel that is looked into, stored, and chosen by a plan."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import mambaops
from recorded import facts_of

from mambaops.decide.case import make_case
from mambaops.decide.runtime import stored_pack
from mambaops.decide.situation import Flags, elsewhere
from mambaops.profiles.load import load_profile
from mambaops.state.observe import packs

pytestmark = [pytest.mark.slow, pytest.mark.network, pytest.mark.timeout(1200)]


def test_kernels_of_a_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The convolution of Mamba-2 in bf16, with PTX; a plan for the scan as well leaves it."""
    monkeypatch.setenv("MAMBAOPS_CACHE", str(tmp_path / "cache"))
    config = tmp_path / "config.json"
    config.write_text('{"model_type": "mamba2", "torch_dtype": "bfloat16"}')
    words = [
        "compile-kernels",
        "--arch",
        "9.0",
        "--ptx",
        "--for",
        config,
        "--output",
        tmp_path / "out",
    ]
    done = mambaops(*words, "--json")
    if "no set of wheels" in done.stderr or "does not answer" in done.stderr:
        pytest.skip(f"nothing can be fetched here: {done.stderr}")
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert (made["cubins"], made["ptx"], made["dtypes"]) == (["9.0"], ["9.0"], ["bf16"])
    assert set(made["kernels"]) == {
        "conv_bwd", "conv_bwd_channel_last", "conv_fwd", "conv_fwd_channel_last", "conv_update"
    }  # fmt: skip
    (wheel,) = (tmp_path / "out").glob("*.whl")
    assert wheel.name == Path(made["stored"]).name
    found = json.loads(mambaops("wheels", "inspect", wheel, "--json").stdout)
    assert found["kernels"]["asked"]["cuda"] == "12.8"
    (pack,) = packs({})
    situation = elsewhere("local", facts_of("no-gpu"), (pack,))
    case = make_case(load_profile("local"), situation, Flags(arch="9.0", cross=True))
    assert stored_pack(case) is None
