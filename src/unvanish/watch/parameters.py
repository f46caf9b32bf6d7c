"""What gradients and weights do, of the parameters that one optimiser moves.

Norms are taken of whole tensors, all at once; whether entries are zero, whether they moved and
which way the gradient turns is read off a few hundred entries a tensor, so that no weight is ever
copied. Squares of numbers below 1e-19 vanish in float32 and those above 1e19 overflow: a tensor
whose norm comes near is added up in float64 from then on, and this once its sample stands for it.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from unvanish.watch.sampling import WEIGHT_SAMPLE, local, norms, strided, sums_by_segment, widest

SAFE: Final = (1e-15, 1e18)
"""Norms between these are right in float32; a little inside of where squares are lost."""

SUMS: Final = (
    "size",
    "grad_square",
    "clipped_square",
    "param_square",
    "grad_sampled",
    "grad_zeros",
    "grad_non_finite",
    "grad_sample_square",
    "weight_sampled",
    "moved",
    "update_square",
    "weight_square",
)
"""What is added up for every parameter at a sample: squares, and numbers of entries."""

TURN_SUMS: Final = ("product", "earlier_square", "later_square")
"""What is added up over the samples of two successive gradients."""

_KEPT: Final = 8
"""Tensors of small numbers that are kept on the device because they recur."""

_BITS: Final = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


@dataclass(frozen=True, slots=True)
class Gradient:
    """The gradients of some parameters, as they were at one moment.

    Attributes:
        present: Index of the parameters that had one.
        versions: What tells whether a gradient has been written to or exchanged since.
        norms: Their norms, 0-d tensors; empty where they were not asked for.
        sample: Some entries of each, end to end; None where they were not asked for.
        counts: How many entries of each.
        scale: What the loss was multiplied with; None for nothing.
    """

    present: tuple[int, ...]
    versions: tuple[tuple[int, int], ...]
    norms: tuple[Tensor, ...] = ()
    sample: Tensor | None = None
    counts: tuple[int, ...] = ()
    scale: Tensor | None = None


class ParameterGroup:
    """The parameters of the watched models that one optimiser moves, on one device.

    Args:
        parameters: The parameters, each once.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        # those with a full sample stand first: their sums are those of the rows of a table
        self.parameters = tuple(sorted(parameters, key=lambda p: p.numel() < WEIGHT_SAMPLE))
        self.device = local(parameters[0]).device
        self.dtype = widest(self.device)
        self.wide = [True] * len(self.parameters)
        self._views: dict[int, tuple[int, Tensor]] = {}
        self._bounds: dict[tuple[int, ...], Tensor] = {}
        self._constants: dict[tuple[int, ...], Tensor] = {}
        self._earlier: Gradient | None = None
        self._raw: Gradient | None = None
        self._clipped: Gradient | None = None
        self._before: Tensor | None = None
        self._after: Tensor | None = None
        self._norms: list[Tensor] = []

    def __len__(self) -> int:
        return len(self.parameters)

    # --- reading ---------------------------------------------------------------------

    def read_gradients(
        self, scale: Tensor | None = None, *, with_norms: bool = True, with_sample: bool = True
    ) -> None:
        """Read the gradients as the backward pass left them; a later pass takes their place.

        Args:
            scale: What the loss was multiplied with, on the device; None for nothing.
            with_norms: Whether to read norms.
            with_sample: Whether to keep some entries.
        """
        self._raw = self._gradient(scale, with_norms=with_norms, with_sample=with_sample)

    def before_step(self, scale: Tensor | None = None) -> None:
        """Read what the optimiser is given, and the weights before it moves them.

        Args:
            scale: What the gradients are still multiplied with; None for nothing.
        """
        self._before = torch.cat(self._weights())
        if self._raw is None:
            return
        present, versions = self._present()
        if (present, versions) == (self._raw.present, self._raw.versions):
            self._clipped = self._raw
        elif present:
            self._clipped = self._gradient(scale, with_sample=False)

    def read_given(self) -> None:
        """Read what the optimiser was given, after it stepped: a closure ran inside of it."""
        if self._raw is not None:
            present, versions = self._present()
            is_same = (present, versions) == (self._raw.present, self._raw.versions)
            self._clipped = self._raw if is_same else self._gradient(None, with_sample=False)

    def after_step(self, *, with_norms: bool) -> None:
        """Read the weights after the optimiser moved them.

        Args:
            with_norms: Whether to take the norms of the whole weights too.
        """
        if self._before is not None:
            self._after = torch.cat(self._weights())
        if with_norms:
            weights = [local(p) for p in self.parameters]
            self._norms = self._norms_of(weights, range(len(self)))

    def forget(self) -> None:
        """Drop what was read, but for the sample that the next gradient is compared with."""
        self._earlier = self._raw
        self._raw = self._clipped = self._before = self._after = None
        self._norms = []

    # --- sums ------------------------------------------------------------------------

    def sums(self) -> Tensor:
        """Return what was read as one row for each of `SUMS`, ``nan`` where it was not."""
        found = torch.full((len(SUMS), len(self)), torch.nan, dtype=self.dtype, device=self.device)
        found[0] = self._numbers([p.numel() for p in map(local, self.parameters)])
        for row, gradient in ((1, self._raw), (2, self._clipped)):
            if gradient is not None:
                found[row] = 0.0
                if gradient.present:
                    read = _stacked(gradient.norms, self.dtype)
                    square = _finite(_unscaled(read, gradient.scale).square())
                    self._place(found[row], gradient.present, square)
        if self._norms:
            found[3] = _finite(_stacked(self._norms, self.dtype).square())
        if self._raw is not None and (self._raw.sample is not None or not self._raw.present):
            found[4:8] = self._gradient_sums(self._raw)
        if self._before is not None and self._after is not None:
            counts = tuple(view.numel() for view in self._weights())
            found[8] = self._numbers(counts)
            found[9:] = _finite(self._moves(self._before, self._after, counts))
        return found

    def _moves(self, before: Tensor, after: Tensor, counts: tuple[int, ...]) -> Tensor:
        """Return how many entries moved by a bit, and the squares of moves and of weights."""
        full = next((n for n, count in enumerate(counts) if count != WEIGHT_SAMPLE), len(counts))
        head = full * WEIGHT_SAMPLE
        bits = _BITS[before.dtype.itemsize]
        is_short = before.dtype.itemsize < 4
        change = after.float() - before.float() if is_short else after - before
        moved = before.view(bits) != after.view(bits)
        found = torch.empty(3, len(counts), dtype=self.dtype, device=self.device)
        if full:
            found[0, :full] = moved[:head].view(full, -1).sum(1)
            for row, values in ((1, change), (2, before)):
                table = values[:head].view(full, -1)
                length = torch.linalg.vector_norm(table, dim=1, dtype=self.dtype)
                found[row, :full] = length.square()
        if full < len(counts):
            rest = (moved[head:], change[head:], before[head:])
            columns = torch.stack([values.to(self.dtype) for values in rest], dim=1)
            columns[:, 1:].square_()
            found[:, full:] = sums_by_segment(columns, self._offsets(counts[full:])).T
        return found

    def turn(self) -> Tensor | None:
        """Return one row for each of `TURN_SUMS`; None without two gradients to compare."""
        earlier, later = self._earlier, self._raw
        self._earlier = None
        if earlier is None or later is None or earlier.sample is None or later.sample is None:
            return None
        if (earlier.present, earlier.counts) != (later.present, later.counts):
            return None
        a, b = earlier.sample.to(self.dtype), later.sample.to(self.dtype)
        columns = torch.stack([a * b, a.square(), b.square()], dim=1)
        sums = sums_by_segment(columns, self._offsets(later.counts)).T
        found = columns.new_zeros(len(TURN_SUMS), len(self))
        sizes = [self.parameters[index].numel() for index in later.present]
        weights = self._numbers(sizes) / self._numbers(later.counts)
        self._place(found, later.present, sums * weights)
        return found

    def _gradient_sums(self, gradient: Gradient) -> Tensor:
        found = torch.zeros(4, len(self), dtype=self.dtype, device=self.device)
        found[:2] = self._numbers([v.numel() for v in self._weights()])  # no gradient is all zero
        if gradient.sample is None:
            return found
        values = gradient.sample.to(self.dtype)
        finite = torch.isfinite(values)
        square = torch.where(finite, _unscaled(values, gradient.scale), 0.0).square()
        columns = torch.stack([values == 0, ~finite, square], dim=1)
        self._place(found[0], gradient.present, self._numbers(gradient.counts))
        sums = sums_by_segment(columns, self._offsets(gradient.counts)).T
        self._place(found[1:], gradient.present, sums)
        return found

    # --- parts -----------------------------------------------------------------------

    def _present(self) -> tuple[tuple[int, ...], tuple[tuple[int, int], ...]]:
        grads = [(index, p.grad) for index, p in enumerate(self.parameters)]
        had = [(index, grad) for index, grad in grads if grad is not None]
        versions = tuple((id(grad), grad._version) for _, grad in had)
        return tuple(index for index, _ in had), versions

    def _gradient(
        self, scale: Tensor | None, *, with_norms: bool = True, with_sample: bool = True
    ) -> Gradient:
        present, versions = self._present()
        values = [local(grad) for p in self.parameters if (grad := p.grad) is not None]
        read = tuple(self._norms_of(values, present)) if with_norms else ()
        if not with_sample or not values:
            return Gradient(present, versions, read, scale=scale)
        views = [strided(value) for value in values]
        counts = tuple(view.numel() for view in views)
        return Gradient(present, versions, read, torch.cat(views), counts, scale)

    def _norms_of(self, tensors: Sequence[Tensor], which: Sequence[int]) -> list[Tensor]:
        """Return norms, in float32 where that is safe and in float64 where it may not be."""
        pairs = zip(which, tensors, strict=True)
        wide = [self.wide[index] or tensor.dtype is torch.float64 for index, tensor in pairs]
        if all(wide):
            return norms(tensors, self.dtype)
        chosen = list(zip(tensors, wide, strict=True))
        long = iter(norms([tensor for tensor, is_wide in chosen if is_wide], self.dtype))
        short = iter(norms([tensor for tensor, is_wide in chosen if not is_wide], torch.float32))
        return [next(long if is_wide else short) for is_wide in wide]

    def _weights(self) -> list[Tensor]:
        """Return the views of the weights that stand for them; kept as long as they hold."""
        views = []
        for index, parameter in enumerate(self.parameters):
            if type(parameter) is not nn.Parameter:
                views.append(strided(local(parameter)))
                continue
            address = parameter.data_ptr()
            kept = self._views.get(index)
            if kept is None or kept[0] != address:
                kept = self._views[index] = (address, strided(local(parameter)))
            views.append(kept[1])
        return views

    def _place(self, row: Tensor, present: tuple[int, ...], values: Tensor) -> None:
        """Put the values of some parameters where they belong; no transfer if all had one."""
        if len(present) == len(self):
            row.copy_(values)
        else:
            row[..., list(present)] = values

    def _numbers(self, values: Sequence[int]) -> Tensor:
        """Return numbers as a tensor on the device; the few that recur are kept there."""
        key = tuple(values)
        kept = self._constants.get(key)
        if kept is None:
            if len(self._constants) > _KEPT:
                self._constants.clear()
            kept = torch.tensor(key, dtype=self.dtype, device=self.device)
            self._constants[key] = kept
        return kept

    def _offsets(self, counts: tuple[int, ...]) -> Tensor:
        """Return where each stretch of a sample begins, and how long the whole is."""
        bounds = self._bounds.get(counts)
        if bounds is None:
            if len(self._bounds) > _KEPT:
                self._bounds.clear()
            bounds = torch.tensor([0, *itertools.accumulate(counts)], device=self.device)
            self._bounds[counts] = bounds
        return bounds


class LeftOver(ParameterGroup):
    """Parameters that no watched optimiser moves.

    Whether anything moves them is seen from one sample to the next, however far apart.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        super().__init__(parameters)
        self._kept: Tensor | None = None

    def look_again(self) -> None:
        """Read the weights, to compare them with those of the sample before."""
        self._before = self._kept
        self._kept = self._after = torch.cat(self._weights())
        self._norms = self._norms_of([local(p) for p in self.parameters], range(len(self)))

    def sums(self) -> Tensor:
        """Return what was read; a move over many steps has no place among those of one."""
        found = super().sums()
        for name in ("clipped_square", "update_square", "weight_square"):
            found[SUMS.index(name)] = torch.nan
        return found


def _finite(squares: Tensor) -> Tensor:
    """Return squares with infinity for what is no number; ``nan`` is for what was not read."""
    return squares.nan_to_num(nan=torch.inf, posinf=torch.inf)


def _unscaled(values: Tensor, scale: Tensor | None) -> Tensor:
    return values if scale is None else values / scale.to(values.dtype)


def _stacked(values: Sequence[Tensor], dtype: torch.dtype) -> Tensor:
    if len({value.dtype for value in values}) == 1:
        return torch.stack(tuple(values)).to(dtype)
    return torch.stack([value.to(dtype) for value in values])
