"""Which optimiser moves which parameters of the watched models, and which no optimiser moves."""

from __future__ import annotations

import math
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

from unvanish.watch.layers import Layers
from unvanish.watch.parameters import LeftOver, ParameterGroup


@dataclass(slots=True)
class Watched:
    """An optimiser and the parameters it moves.

    Attributes:
        of: The optimiser, which is not kept from being thrown away.
        groups: Its parameters of the watched models, one group a device.
        held: How many parameters it held when these were found.
        rate: Learning rate of its first group at the last step; ``nan`` before.
        has_stepped: Whether it stepped since a gradient scaler was asked to let it.
        depth: How many of its steps are under way, one within the other.
        is_after: Whether the last that was heard of it is the end of a step.
    """

    of: weakref.ref[torch.optim.Optimizer]
    groups: list[ParameterGroup] = field(default_factory=list)
    held: int = 0
    rate: float = math.nan
    has_stepped: bool = False
    depth: int = 0
    is_after: bool = False

    @property
    def optimizer(self) -> torch.optim.Optimizer | None:
        """The optimiser; None where it was thrown away."""
        return self.of()

    @property
    def moved(self) -> list[nn.Parameter]:
        """The parameters that the optimiser holds."""
        optimizer = self.of()
        return [] if optimizer is None else [p for g in optimizer.param_groups for p in g["params"]]

    @property
    def is_news(self) -> bool:
        """Whether it holds more parameters than were found, or fewer."""
        return _open_to_gradients(self.moved) != self.held


def find_moved(optimizers: Sequence[Watched], layers: Layers) -> set[int]:
    """Share the parameters of the watched models out among the optimisers.

    Args:
        optimizers: The optimisers; one that holds what it held keeps its groups.
        layers: The layers, which are told who moves them.

    Returns:
        Identity of every parameter that one of them moves.
    """
    taken: set[int] = set()
    for index, watched in enumerate(optimizers):
        held = watched.moved
        watched.held = _open_to_gradients(held)
        of_device: dict[torch.device, list[nn.Parameter]] = {}
        for parameter in held:
            layer = layers.holder(parameter)
            if layer is None or id(parameter) in taken or not _is_number(parameter):
                continue
            if not parameter.requires_grad:
                continue  # no optimiser moves it: a gradient of zero would be a lie
            taken.add(id(parameter))
            layer.optimizer = index
            of_device.setdefault(parameter.device, []).append(parameter)
        known = [group.parameters for group in watched.groups]
        found = [tuple(parameters) for parameters in of_device.values()]
        if [[id(p) for p in g] for g in known] != [[id(p) for p in g] for g in found]:
            watched.groups = [ParameterGroup(parameters) for parameters in found]
    return taken


def find_left_over(
    layers: Layers, taken: set[int], known: list[LeftOver], gone: set[int]
) -> list[LeftOver]:
    """Return the parameters of layers of which none is moved by an optimiser that is watched.

    Args:
        layers: The layers, which are told so.
        taken: Identity of every parameter that is moved.
        known: What was found before; it is returned where nothing has changed.
        gone: Indices of optimisers that were thrown away: what they moved is not looked at.
    """
    of_device: dict[torch.device, list[nn.Parameter]] = {}
    for layer in layers.of_module.values():
        if layer.optimizer in gone:
            continue
        open_to = [p for p in layer.parameters.values() if p.requires_grad and _is_number(p)]
        if not any(id(p) in taken for p in open_to):
            layer.optimizer = -1
            for parameter in open_to:
                of_device.setdefault(parameter.device, []).append(parameter)
    before = {id(p) for group in known for p in group.parameters}
    if before == {id(p) for parameters in of_device.values() for p in parameters}:
        return known
    return [LeftOver(parameters) for parameters in of_device.values()]


def _is_number(parameter: nn.Parameter) -> bool:
    return parameter.is_floating_point() or parameter.is_complex()


def _open_to_gradients(parameters: Sequence[nn.Parameter]) -> int:
    return sum(p.requires_grad for p in parameters)
