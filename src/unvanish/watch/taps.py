"""What passes one layer at one sample: a few entries of it, and the gradient that comes back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import Tensor

from unvanish.watch.functions import Function, Settings
from unvanish.watch.layers import Layer
from unvanish.watch.sampling import rows, widest

_MOST_CALLS: Final = 8
"""Calls of one layer whose output is sampled; the gradient is read at all of them."""

_MOST_UNITS: Final = 2**16

SUMS: Final = (
    "count",
    "square",
    "cosine",
    "pairs",
    "slope_count",
    "slope_square",
    "saturated",
    "grad_count",
    "grad_square",
    "grad_sampled",
    "grad_sample_square",
    "grad_lost",
    "grad_of",
)
"""What is added up for every layer: squares, cosines, and numbers of entries and pairs."""


class Tap:
    """Where one layer is looked at.

    Args:
        layer: The layer.
        owner: Index of the optimiser whose steps its samples belong to.
        function: The activation function it is, if it is one.
        settings: And its settings.
    """

    def __init__(
        self, layer: Layer, owner: int, function: Function | None = None, settings: Settings = ()
    ) -> None:
        self.layer = layer
        self.owner = owner
        self.function = function
        self.settings = settings
        self.reads_slope = (
            function is not None and function.slope is not None and not function.of_input
        )
        self.wide = True
        self.unit_dim = -1
        self.outputs: list[Tensor] = []
        self.inputs: list[Tensor] = []
        self.on: Tensor | None = None
        self.grad_norms: list[Tensor] = []
        self.grad_samples: list[tuple[Tensor, float, bool]] = []
        self.grad_count = 0
        self.is_whole = True
        self.is_past = False
        self.is_past_gradient = False

    def forget(self) -> None:
        """Drop what was read."""
        self.outputs.clear()
        self.inputs.clear()
        self.on = None
        self.is_past = False
        self._forget_gradients()

    def _forget_gradients(self) -> None:
        self.grad_norms.clear()
        self.grad_samples.clear()
        self.grad_count = 0
        self.is_past_gradient = False

    def turn_past(self) -> None:
        """Note that another optimiser stepped: what comes next takes the place of what is here."""
        self.is_past = self.is_past_gradient = True

    def read_input(self, z: Tensor) -> None:
        """Sample what an activation is called with."""
        if self.is_past:
            self.inputs.clear()
        if len(self.inputs) < _MOST_CALLS and z.numel() and z.ndim:
            self.inputs.append(rows(z))

    def read_output(self, h: Tensor) -> None:
        """Sample what a layer returns.

        Args:
            h: Detached, floating point, not empty, of one dimension or more.
        """
        if self.is_past:
            self.outputs.clear()
            self.on = None
            self.is_past = False
        function = self.function
        if len(self.outputs) < _MOST_CALLS and (self.is_whole or self.reads_slope):
            self.outputs.append(rows(h))
        if function is None or function.on is None or h.ndim < 2 or not self.is_whole:
            return
        axis = self.unit_dim % h.ndim
        if h.shape[axis] > _MOST_UNITS:
            return
        others = tuple(d for d in range(h.ndim) if d != axis)
        on = function.on(h, others, *self.settings)
        if self.on is None:
            self.on = on
        elif self.on.shape == on.shape:
            self.on = torch.maximum(self.on, on)

    def read_gradient(self, gradient: Tensor) -> None:
        """Read the gradient that arrives at the output.

        Args:
            gradient: Detached, not empty.
        """
        if self.is_past_gradient:
            self._forget_gradients()
        is_wide = self.wide or gradient.dtype is torch.float64
        dtype = widest(gradient.device) if is_wide else torch.float32
        self.grad_norms.append(torch.linalg.vector_norm(gradient, dtype=dtype))
        self.grad_count += gradient.numel()
        if len(self.grad_samples) < _MOST_CALLS and gradient.ndim and self.is_whole:
            number = torch.finfo(gradient.dtype)
            self.grad_samples.append((rows(gradient), number.tiny, number.bits == 16))


def sums(taps: Sequence[Tap], device: torch.device) -> Tensor:
    """Return one row for each of `SUMS`, one column a tap."""
    dtype = widest(device)
    found = torch.zeros(len(SUMS), len(taps), dtype=dtype, device=device)
    _add_outputs(found, taps)
    _add_slopes(found, taps)
    _add_gradients(found, taps)
    return found.nan_to_num_(nan=torch.inf, posinf=torch.inf)


def _add_outputs(found: Tensor, taps: Sequence[Tap]) -> None:
    entries = [(h.shape, at, h) for at, tap in enumerate(taps) if tap.is_whole for h in tap.outputs]
    for shape, where, samples in _alike(entries, found):
        flat = samples.flatten(1)
        _add(found, "square", where, flat.square().sum(1))
        _count(found, "count", where, shape.numel())
        if shape[1] > 1:
            length = samples.norm(dim=2, keepdim=True)
            unit = torch.where(length > 0.0, samples / length, 0.0)
            alike = unit.sum(1).square().sum(1) - unit.square().sum((1, 2))
            _add(found, "cosine", where, alike)
            _count(found, "pairs", where, shape[0] * (shape[0] - 1))


def _add_slopes(found: Tensor, taps: Sequence[Tap]) -> None:
    entries: list[tuple[Any, int, Tensor]] = []
    for at, tap in enumerate(taps):
        if tap.function is not None and tap.function.slope is not None:
            kept = tap.inputs if tap.function.of_input else tap.outputs
            entries += [((tap.function, tap.settings, h.shape), at, h) for h in kept]
    for (function, settings, shape), where, samples in _alike(entries, found):
        slope = function.slope(samples, *settings).flatten(1)
        _add(found, "slope_square", where, slope.square().sum(1))
        _count(found, "slope_count", where, shape.numel())
        if not math.isnan(function.flat_below):
            _add(found, "saturated", where, (slope.abs() < function.flat_below).sum(1))


def _add_gradients(found: Tensor, taps: Sequence[Tap]) -> None:
    counts = torch.tensor([tap.grad_count for tap in taps], dtype=found.dtype)
    found[SUMS.index("grad_count")] = counts.to(found.device)
    read = [((), at, norm) for at, tap in enumerate(taps) for norm in tap.grad_norms]
    for _, where, values in _alike(read, found):
        _add(found, "grad_square", where, values.square())
    sampled: list[tuple[Any, int, Tensor]] = [
        ((g.shape, tiny, is_short and tap.function is not None), at, g)
        for at, tap in enumerate(taps)
        for g, tiny, is_short in tap.grad_samples
    ]
    for (shape, tiny, counts_zeros), where, samples in _alike(sampled, found):
        flat = samples.flatten(1)
        square = flat.square()
        lost = flat.abs() < tiny
        is_zero = flat == 0.0
        if not counts_zeros:  # zero where a ReLU is off is no loss: it is right
            lost &= ~is_zero
        _count(found, "grad_sampled", where, shape.numel())
        _add(found, "grad_sample_square", where, square.sum(1))
        _add(found, "grad_lost", where, lost.sum(1))
        if counts_zeros:
            _count(found, "grad_of", where, shape.numel())
        else:
            _add(found, "grad_of", where, (~is_zero).sum(1))


def _alike(
    entries: Sequence[tuple[Any, int, Tensor]], found: Tensor
) -> list[tuple[Any, Tensor, Tensor]]:
    """Stack what has one key and one type, with the index of the tap that each came from."""
    by_key: dict[Any, tuple[list[int], list[Tensor]]] = {}
    for key, at, tensor in entries:
        places, tensors = by_key.setdefault((key, tensor.dtype, tensor.device), ([], []))
        places.append(at)
        tensors.append(tensor)
    return [
        (
            key[0],
            torch.tensor(places, device=found.device),
            torch.stack(tensors).to(found.device, found.dtype),
        )
        for key, (places, tensors) in by_key.items()
    ]


def _add(found: Tensor, name: str, where: Tensor, values: Tensor) -> None:
    found[SUMS.index(name)].index_add_(0, where, values.to(found.dtype))


def _count(found: Tensor, name: str, where: Tensor, number: int) -> None:
    found[SUMS.index(name)].index_add_(0, where, found.new_full((len(where),), number))
