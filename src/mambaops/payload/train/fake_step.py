"""The memory of a training step, added up on fake tensors: shapes without memory.

The real forward and backward pass run, and what is alive after every operation is added up. Two and three
layers are run and the rest follows: each layer adds the same.
"""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from typing import Any, Dict, Iterable, List

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mambaops.payload.train.captioner import Captioner


@dataclass(frozen=True)
class Step:
    """What a step is made of: pictures per micro-batch, their pixels and channels, the text's tokens."""

    batch: int
    size: int
    channels: int
    prompt: int
    answer: int
    half: bool  # BF16 autocast


class _Alive(TorchDispatchMode):
    """Adds up the storages that are alive, but for those of `there`; `course` has the sum after every operation."""

    def __init__(self, there: Iterable[torch.Tensor]) -> None:
        super().__init__()
        # a view of a weight is an operation's result too
        self.known: Dict[int, Any] = {tensor.untyped_storage()._cdata: tensor for tensor in there}
        self.bytes = 0.0
        self.course: List[float] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for value in tree_leaves(result):
            if isinstance(value, torch.Tensor):
                self._count(value.untyped_storage())
        self.course.append(self.bytes)
        return result

    def _count(self, storage: Any) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self.known:
            return

        def gone(_reference: object) -> None:
            self.bytes -= size
            self.known.pop(key, None)

        self.known[key] = weakref.ref(storage, gone)
        self.bytes += size


def highest(model: Captioner, step: Step) -> float:
    """Bytes beside the weights at the highest point of forward and backward pass."""
    inner = getattr(model.lm, model.lm.base_model_prefix)
    layers = getattr(inner, "layers", None)
    if layers is None or len(layers) < 4 or not _alike(layers):
        return max(_phases(model, step, layers))
    found = []
    for count in (2, 3):
        inner.layers = layers[:count]
        found.append(_phases(model, step, inner.layers))
    inner.layers = layers
    # the forward pass, the uppermost layer's backward pass and the lowest one's and what follows grow by the
    # same for every layer, each by its own; what lies between is never the highest
    return max(two + (three - two) * (len(layers) - 2) for two, three in zip(*found))


def _alike(layers: Any) -> bool:
    return len({tuple(p.shape for p in layer.parameters()) for layer in layers}) == 1


def _phases(model: Captioner, step: Step, layers: Any) -> List[float]:
    """The highest sums of the forward pass, and of the backward pass until it has left the uppermost layer and
    since it entered the lowest."""
    model.train()
    with _Alive([*model.parameters(), *model.buffers()]) as alive:
        reached: Dict[int, int] = {}  # layer whose backward pass begins -> operations until then

        def entered(number: int) -> Any:
            def note(_gradient: Any) -> None:
                reached.setdefault(number, len(alive.course))

            def hook(_layer: Any, _inputs: Any, output: Any) -> None:
                first = output[0] if isinstance(output, tuple) else output
                if first.requires_grad:
                    first.register_hook(note)

            return hook

        handles = [
            layer.register_forward_hook(entered(number))
            for number, layer in enumerate(layers or ())
        ]
        loss = _loss(model, step)
        middle = len(alive.course)
        loss.backward()
    for handle in handles:
        handle.remove()
    for parameter in model.parameters():
        parameter.grad = None
    upper, lower = reached.get(len(handles) - 2), reached.get(0, middle)
    course = alive.course
    return [
        max(part, default=0.0) for part in (course[:middle], course[middle:upper], course[lower:])
    ]


def _loss(model: Captioner, step: Step) -> Any:
    images = torch.empty(step.batch, step.channels, step.size, step.size)
    ids = torch.zeros(step.batch, step.prompt + step.answer, dtype=torch.long)
    tokens = torch.zeros(step.batch * step.answer, dtype=torch.long)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=step.half):
        hidden = model.hidden(images, ids)[:, step.prompt :]
        return model.losses_at(hidden.reshape(step.batch * step.answer, -1), tokens).sum()
