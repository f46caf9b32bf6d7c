"""What passes one layer at one sample: a few entries of it, and the gradient that comes back."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from unvanish.watch.functions import Function, Settings
from unvanish.watch.layers import Layer
from unvanish.watch.parts import Cuts
from unvanish.watch.sampling import rows, widest
from unvanish.watch.sums import TAP_SUMS as SUMS

_MOST_CALLS: Final = 8
"""Calls of one layer whose output is sampled; the gradient is read at all of them."""

_MOST_UNITS: Final = 2**16


@dataclass(slots=True, kw_only=True)
class Reading:
    """What a tap read at one sample.

    Attributes:
        function: The activation function that the layer is, if it is one.
        settings: And its settings.
        is_whole: Whether all quantities are asked for.
        outputs: Some entries of every output.
        inputs: Some entries of every input, of an activation.
        grad_norms: Norms of the gradients that arrived, 0-d tensors.
        grad_samples: Some entries of them, their type's smallest number, whether it has 16 bits.
        grad_count: How many entries they had.
    """

    function: Function | None
    settings: Settings
    is_whole: bool
    outputs: list[Tensor]
    inputs: list[Tensor]
    grad_norms: list[Tensor]
    grad_samples: list[tuple[Tensor, float, bool]]
    grad_count: int


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
        self.cuts: Cuts = ()
        self.is_cut = False
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

    def take(self) -> Reading:
        """Return what was read, and begin anew."""
        reading = Reading(
            function=self.function,
            settings=self.settings,
            is_whole=self.is_whole,
            outputs=self.outputs,
            inputs=self.inputs,
            grad_norms=self.grad_norms,
            grad_samples=self.grad_samples,
            grad_count=self.grad_count,
        )
        self.outputs, self.inputs = [], []
        self.grad_norms, self.grad_samples, self.grad_count = [], [], 0
        return reading

    def _forget_gradients(self) -> None:
        self.grad_norms.clear()
        self.grad_samples.clear()
        self.grad_count = 0
        self.is_past_gradient = False

    def turn_past(self) -> None:
        """Note that another optimiser stepped: what comes next takes the place of what is here."""
        self.is_past = self.is_past_gradient = True

    def read_input(self, z: Tensor) -> None:
        """Sample what an activation is called with.

        Args:
            z: Detached, floating point.
        """
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
        dtype = torch.float32
        if self.wide or gradient.dtype is torch.float64:
            dtype = widest(gradient.device)
        self.grad_norms.append(torch.linalg.vector_norm(gradient, dtype=dtype))
        self.grad_count += gradient.numel()
        if len(self.grad_samples) < _MOST_CALLS and gradient.ndim and self.is_whole:
            kind = torch.finfo(gradient.dtype)
            self.grad_samples.append((rows(gradient), kind.tiny, kind.bits == 16))


def sums(taps: Sequence[Reading], device: torch.device) -> Tensor:
    """Return one row for each of `SUMS`, one column for what a tap read at one sample."""
    found = torch.from_numpy(_counts(taps)).to(device, widest(device))
    _add_outputs(found, taps)
    _add_slopes(found, taps)
    _add_gradients(found, taps)
    return found.nan_to_num_(nan=torch.inf, posinf=torch.inf)


def _counts(taps: Sequence[Reading]) -> npt.NDArray[np.float64]:
    """Return the numbers of entries, which need no look at any; the rest is 0."""
    counts = np.zeros((len(SUMS), len(taps)))
    row = {name: counts[index] for index, name in enumerate(SUMS)}
    for at, tap in enumerate(taps):
        row["grad_count"][at] = tap.grad_count
        if tap.is_whole:
            for h in tap.outputs:
                row["count"][at] += h.numel()
                row["pairs"][at] += len(h) * (len(h) - 1) if h.shape[1] > 1 else 0
        if tap.function is not None and tap.function.slope is not None:
            kept = tap.inputs if tap.function.of_input else tap.outputs
            row["slope_count"][at] = sum(h.numel() for h in kept)
        for g, _, is_short in tap.grad_samples:
            row["grad_sampled"][at] += g.numel()
            row["grad_of"][at] += g.numel() if is_short and tap.function is not None else 0
    return counts


def _add_outputs(found: Tensor, taps: Sequence[Reading]) -> None:
    entries = [(h.shape, at, h) for at, tap in enumerate(taps) if tap.is_whole for h in tap.outputs]
    for shape, where, samples in _alike(entries, found):
        _add(found, "square", where, _squares(samples, found))
        if shape[1] > 1:
            length = torch.linalg.vector_norm(samples, dim=2, keepdim=True, dtype=found.dtype)
            length = length.to(samples.dtype)
            unit = torch.where(length > 0.0, samples / length, 0.0)
            alike = unit.sum(1).square().sum(1) - unit.square().sum((1, 2))
            _add(found, "cosine", where, alike)


def _add_slopes(found: Tensor, taps: Sequence[Reading]) -> None:
    entries: list[tuple[Any, int, Tensor]] = []
    for at, tap in enumerate(taps):
        if tap.function is not None and tap.function.slope is not None:
            kept = tap.inputs if tap.function.of_input else tap.outputs
            entries += [((tap.function, tap.settings, h.shape), at, h) for h in kept]
    for (function, settings, _), where, samples in _alike(entries, found):
        slope = function.slope(samples, *settings).flatten(1)
        _add(found, "slope_square", where, _squares(slope, found))
        if not math.isnan(function.flat_below):
            _add(found, "saturated", where, (slope.abs() < function.flat_below).sum(1))


def _add_gradients(found: Tensor, taps: Sequence[Reading]) -> None:
    read = [((), at, norm) for at, tap in enumerate(taps) for norm in tap.grad_norms]
    for _, where, values in _alike(read, found):
        _add(found, "grad_square", where, values.to(found.dtype).square())
    sampled: list[tuple[Any, int, Tensor]] = [
        ((g.shape, tiny, is_short and tap.function is not None), at, g)
        for at, tap in enumerate(taps)
        for g, tiny, is_short in tap.grad_samples
    ]
    for (_, tiny, counts_zeros), where, samples in _alike(sampled, found):
        flat = samples.flatten(1)
        lost = flat.abs() < tiny
        is_zero = flat == 0.0
        if not counts_zeros:  # zero where a ReLU is off is no loss: it is right
            lost &= ~is_zero
            _add(found, "grad_of", where, (~is_zero).sum(1))
        _add(found, "grad_sample_square", where, _squares(flat, found))
        _add(found, "grad_lost", where, lost.sum(1))


def _alike(
    entries: Sequence[tuple[Any, int, Tensor]], found: Tensor
) -> list[tuple[Any, Tensor, Tensor]]:
    """Stack what has one key and one type, with the index of the tap that each came from.

    Numbers of 16 bits become ones of 32; of ones of 32, larger copies are made where it matters.
    """
    by_key: dict[Any, tuple[list[int], list[Tensor]]] = {}
    for key, at, tensor in entries:
        full = (key, tensor.dtype, tensor.device)
        same = by_key.get(full)
        if same is None:
            same = by_key[full] = ([], [])
        same[0].append(at)
        same[1].append(tensor)
    return [
        (
            key[0],
            _index(tuple(places), found.device),
            torch.stack(tensors).to(found.device, torch.promote_types(key[1], torch.float32)),
        )
        for key, (places, tensors) in by_key.items()
    ]


def _squares(samples: Tensor, found: Tensor) -> Tensor:
    """Return the sum of squares of every row, however small or large its numbers are."""
    norm: Tensor = torch.linalg.vector_norm(samples.flatten(1), dim=1, dtype=found.dtype)
    return norm.square_()


@functools.lru_cache(maxsize=64)
def _index(places: tuple[int, ...], device: torch.device) -> Tensor:
    """Return indices on the device; they recur from sample to sample."""
    return torch.tensor(places, device=device)


def _add(found: Tensor, name: str, where: Tensor, values: Tensor) -> None:
    found[SUMS.index(name)].index_add_(0, where, values.to(found.dtype))
