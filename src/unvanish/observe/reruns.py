"""Run a copy of the network again with one thing changed, so that everything follows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unvanish.core.interventions import Intervention, Swap
from unvanish.core.records import Recording
from unvanish.observe.batch import Batch, map_tensors
from unvanish.observe.surgery import CannotSwapError


def change(
    twin: nn.Module, batch: Batch, intervention: Intervention, recording: Recording
) -> Batch:
    """Change a copy of the network in place, or its batch.

    Args:
        twin: The copy.
        batch: Its batch.
        intervention: What to swap.
        recording: What was observed of the network.

    Returns:
        The batch to run the copy on.

    Raises:
        CannotSwapError: If it does not fit the network.
    """
    if intervention.swap is Swap.PARAMETERS:
        _multiply(twin, dict(zip(intervention.parameters, intervention.values, strict=True)))
    elif intervention.swap is Swap.REDRAW:
        _redraw(twin, dict(zip(intervention.parameters, intervention.values, strict=True)))
    elif intervention.swap is Swap.INPUT:
        return Batch(map_tensors(batch.inputs, _standardised), batch.target)
    elif intervention.swap is Swap.NORMALISE:
        _normalise(twin, intervention, recording)
    return batch


def _multiply(twin: nn.Module, factors: Mapping[str, float]) -> None:
    with torch.no_grad():
        for parameter, factor in _found(twin, factors):
            parameter.mul_(factor)


def _redraw(twin: nn.Module, deviations: Mapping[str, float]) -> None:
    with torch.no_grad():
        for parameter, deviation in _found(twin, deviations):
            parameter.normal_(0.0, deviation)


def _found(twin: nn.Module, values: Mapping[str, float]) -> Iterator[tuple[nn.Parameter, float]]:
    own = dict(twin.named_parameters())
    for name, value in values.items():
        if name not in own:
            raise CannotSwapError(f"the copy has no parameter {name}")
        yield own[name], value


def _standardised(tensor: Tensor) -> Tensor:
    if not tensor.is_floating_point() or tensor.numel() < 2:
        return tensor
    deviation = tensor.std()
    if not float(deviation) > 0.0:
        return tensor
    return ((tensor - tensor.mean()) / deviation).detach()


def _normalise(twin: nn.Module, intervention: Intervention, recording: Recording) -> None:
    modules = dict(twin.named_modules())
    for index in intervention.sites:
        site = recording.sites[index]
        module = modules.get(site.path)
        own = (
            {f"{site.path}.{name}" for name, _ in module.named_parameters(recurse=False)}
            if module is not None
            else set()
        )
        if module is None or not own.intersection(site.weights):
            raise CannotSwapError(f"{site.name} is no module of its own")
        module.register_forward_hook(_standardise_units)


def _standardise_units(_: nn.Module, __: Any, output: Tensor) -> Tensor:
    """Standardise every unit over the batch, as batch normalisation does when it begins."""
    if output.ndim in (2, 4, 5):
        return F.batch_norm(output, None, None, training=True)
    flat = output.reshape(-1, output.shape[-1])
    return F.batch_norm(flat, None, None, training=True).reshape(output.shape)
