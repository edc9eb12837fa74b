"""FSDP2: parameters, gradients and optimizer states split over the processes, by torch's own `fully_shard`.

Each block of layers is whole on a device only while it computes. What is saved is whole again, so a run can be continued
with another number of processes, or with one.
"""

from __future__ import annotations

from typing import Any, Dict

import torch
from torch import Tensor, nn

from mambaops.payload.train.errors import InputError

# what is called beside `forward`, and needs the parameters whole
_METHODS = ("row_losses",)


def shard(model: nn.Module, device: torch.device, world: int) -> nn.Module:
    """The model, split block by block; on a GPU the blocks go there one after the other.

    Raises:
        InputError: this PyTorch has no FSDP2.
    """
    try:
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard, register_fsdp_forward_method
    except ImportError as error:
        raise InputError(
            f"--shard needs PyTorch 2.6 or newer; this is {torch.__version__} ({error})"
        ) from error
    mesh = init_device_mesh(device.type, (world,))
    # the innermost first; LoRA's lists of parametrizations are no blocks
    for blocks in reversed([m for m in model.modules() if type(m) is nn.ModuleList]):
        for block in blocks:
            fully_shard(block, mesh=mesh)
    fully_shard(model, mesh=mesh)
    for name in _METHODS:
        if hasattr(model, name):
            register_fsdp_forward_method(model, name)
    return model


def whole(value: Tensor) -> Tensor:
    """A tensor put together from all processes' parts (every process must ask); others as they are."""
    return value.full_tensor() if hasattr(value, "full_tensor") else value


def like(value: Tensor, own: Tensor) -> Tensor:
    """A whole tensor, split as `own` is."""
    if not hasattr(own, "full_tensor"):
        return value
    from torch.distributed.tensor import distribute_tensor

    device_mesh: Any = own.device_mesh
    return distribute_tensor(value.to(own.device), device_mesh, own.placements)


def whole_states(optimizer: torch.optim.Optimizer) -> Dict[str, Any]:
    """`optimizer.state_dict()` with every tensor whole."""
    found = optimizer.state_dict()
    found["state"] = {
        number: {
            name: whole(value) if torch.is_tensor(value) else value for name, value in each.items()
        }
        for number, each in found["state"].items()
    }
    return found


def split_states(saved: Dict[str, Any], optimizer: torch.optim.Optimizer) -> Dict[str, Any]:
    """A saved `state_dict()`, its tensors split as the optimizer's parameters are."""
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    state = {
        number: {
            name: like(value, parameters[number])
            if torch.is_tensor(value) and value.shape == parameters[number].shape
            else value
            for name, value in each.items()
        }
        for number, each in saved["state"].items()
        if number < len(parameters)
    }
    return {**saved, "state": state}
