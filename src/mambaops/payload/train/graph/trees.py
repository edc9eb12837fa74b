"""Neuron-like trees with spurious branches, generated deterministically: data where none is given.

A tree grows from a soma: segments keep their direction, taper and fork. Spurious branches (what a
tracer picks up from a neighbouring neurite) leave at sharp angles, do not taper and zigzag. Node by node
the two kinds overlap: only the neighbourhood tells them apart.
"""

from __future__ import annotations

import math
import random
from typing import Dict, List, NamedTuple, Tuple

import torch
from torch import Tensor

Vector = Tuple[float, float, float]


class _Node(NamedTuple):
    parent: int
    place: Vector
    heading: Vector
    radius: float
    spurious: bool


def tree(number: int, nodes: int, seed: int) -> Dict[str, Tensor]:
    """Graph `number` of the set `seed`, with 3/4 to 5/4 of `nodes` nodes.

    Returns:
        x [n, 4] (radius, type, distance to the parent, turning angle; < 0 is missing), y [n] (1 for a
        true branch, 0 for a spurious one), edge_index [2, 2 (n - 1)] in both directions, pos [n, 3].
    """
    chance = random.Random(seed * 1000003 + number)
    size = max(4, round(nodes * chance.uniform(0.75, 1.25)))
    grown = _grow(chance, size)
    parents = torch.tensor([node.parent for node in grown[1:]])
    children = torch.arange(1, len(grown))
    return {
        "x": torch.tensor(_features(grown)),
        "y": torch.tensor([0 if node.spurious else 1 for node in grown]),
        "edge_index": torch.cat(
            [torch.stack([parents, children]), torch.stack([children, parents])], dim=1
        ),
        "pos": torch.tensor([node.place for node in grown]),
    }


def _grow(chance: random.Random, size: int) -> List[_Node]:
    grown = [_Node(-1, (0.0, 0.0, 0.0), _direction(chance), 3.0, False)]
    tips: List[int] = []
    while len(grown) < size:
        if not tips or chance.random() < 0.12:
            tips.append(chance.randrange(len(grown)))
            starts, spurious = True, grown[tips[-1]].spurious or chance.random() < 0.45
        else:
            starts = False
        tip = tips.pop(chance.randrange(len(tips)) if not starts else -1)
        parent = grown[tip]
        grown.append(_next(chance, tip, parent, spurious if starts else parent.spurious, starts))
        if chance.random() < 0.92:
            tips.append(len(grown) - 1)
    return grown


def _next(chance: random.Random, at: int, parent: _Node, spurious: bool, starts: bool) -> _Node:
    spread = (0.9 if starts else 0.45) if spurious else (0.7 if starts else 0.25)
    if spurious and starts:
        radius = chance.uniform(0.5, 1.4)
    elif spurious:
        radius = parent.radius * chance.uniform(0.85, 1.17)
    else:
        radius = max(0.2, parent.radius * chance.uniform(0.82 if starts else 0.9, 1.01))
    heading = _unit(_sum(parent.heading, _direction(chance), spread * 2))
    return _Node(at, _sum(parent.place, heading, chance.gauss(2.0, 0.4)), heading, radius, spurious)


def _features(grown: List[_Node]) -> List[List[float]]:
    children = [0] * len(grown)
    for node in grown[1:]:
        children[node.parent] += 1
    rows = [[grown[0].radius, 0.0, -1.0, -1.0]]
    for number, node in enumerate(grown[1:], 1):
        parent = grown[node.parent]
        cosine = sum(a * b for a, b in zip(node.heading, parent.heading))
        kind = 1.0 if children[number] > 1 else 2.0
        angle = math.acos(max(-1.0, min(1.0, cosine)))
        rows.append([node.radius, kind, math.dist(node.place, parent.place), angle])
    return rows


def _direction(chance: random.Random) -> Vector:
    return _unit((chance.gauss(0, 1), chance.gauss(0, 1), chance.gauss(0, 1)))


def _unit(vector: Vector) -> Vector:
    length = math.hypot(*vector) or 1.0
    return (vector[0] / length, vector[1] / length, vector[2] / length)


def _sum(start: Vector, step: Vector, length: float) -> Vector:
    return (
        start[0] + step[0] * length,
        start[1] + step[1] * length,
        start[2] + step[2] * length,
    )
