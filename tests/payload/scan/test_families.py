"""Every family of transformers that the scan serves: the numbers are transformers' own, forwards and back."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from model_configurations import CONFIGURATIONS, numbers, tiny

from mambaops.payload.scan import ScanPolicyError, dispatch
from mambaops.payload.scan.names import FAMILIES, family_of

pytest.importorskip("transformers", minversion="5.15")


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    dispatch.uninstall()  # a training test in the same process may have left ours there
    yield
    dispatch.uninstall()


@pytest.mark.parametrize("family", CONFIGURATIONS)
def test_installed_functions_give_transformers_numbers(family: str) -> None:
    model = tiny(family)
    assert family_of(model.config.model_type) == family
    ids = torch.randint(3, 40, (2, 13), generator=torch.Generator().manual_seed(0))
    before = numbers(model, ids)
    dispatch.install("reference", families=[family], say=lambda line: None)
    for ours, wanted in zip(numbers(model, ids), before, strict=True):
        torch.testing.assert_close(ours, wanted, rtol=2e-3, atol=2e-5)


def test_an_unknown_family_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ScanPolicyError, match="no family mamba9; there are bamba, falcon_h1"):
        dispatch.install("reference", families=["mamba9"])


def test_every_family_of_this_transformers_is_served_by_default() -> None:
    dispatch.install("reference", say=lambda line: None)
    served = {module.rpartition("modeling_")[2] for module, _name in dispatch._ORIGINALS}
    assert served == set(FAMILIES)


def test_packed_rows_are_refused_where_no_form_keeps_them_apart() -> None:
    """transformers' PyTorch form of the delta rule ignores `cu_seqlens`: it would mix the rows."""
    from transformers.models.qwen3_next import modeling_qwen3_next as modeling

    dispatch.install("reference", families=["qwen3_next"], say=lambda line: None)
    rows = [torch.rand(1, 6, 2, 4) for _ in range(3)] + [-torch.rand(1, 6, 2), torch.rand(1, 6, 2)]
    with pytest.raises(ValueError, match="packed rows need seq_idx"):
        modeling.torch_chunk_gated_delta_rule(*rows, cu_seqlens=torch.tensor([0, 2, 6]))
