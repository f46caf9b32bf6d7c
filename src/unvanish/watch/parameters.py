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
from unvanish.watch.sums import PARAMETER_SUMS as SUMS
from unvanish.watch.sums import TURN_SUMS

_KEPT: Final = 8
"""Tensors of small numbers that are kept on the device because they recur."""

_UNKNOWN: Final = itertools.count(-1, -1)
"""Of gradients that are shared out: not every function that writes to them counts."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What was read of some parameters at one sample.

    Attributes:
        raw: Gradients as the backward pass left them; None where none was read.
        clipped: Gradients as the optimiser was given them.
        norms: Norms of the weights; empty where they were not asked for.
        moves: How many of the entries looked at moved, and the squares of moves and of weights.
    """

    raw: Gradient | None
    clipped: Gradient | None
    norms: Sequence[Tensor]
    moves: Tensor | None


class ParameterGroup:
    """The parameters of the watched models that one optimiser moves, on one device.

    Args:
        parameters: The parameters, each once.
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self.parameters = tuple(parameters)
        self.device = local(parameters[0]).device
        self.dtype = widest(self.device)
        self.wide = [True] * len(self.parameters)
        self._is_plain = all(type(p) is nn.Parameter for p in self.parameters)
        self._addresses: list[int] = []
        self._views: list[Tensor] = []
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

    @property
    def raw(self) -> Gradient | None:
        """The gradients as the last backward pass left them; None where none was read."""
        return self._raw

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
        self._before = self._weights()
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
            self._after = self._weights()
        if with_norms:
            weights = [local(p) for p in self.parameters]
            self._norms = self._norms_of(weights, range(len(self)))

    def forget(self) -> None:
        """Drop what was read, but for the sample that the next gradient is compared with."""
        self._earlier = self._raw
        self._raw = self._clipped = self._before = self._after = None
        self._norms = []

    # --- sums ------------------------------------------------------------------------

    def take(self) -> Reading:
        """Return what was read at one sample."""
        moves = None
        if self._before is not None and self._after is not None:
            moves = self._moves(self._before, self._after)
        return Reading(raw=self._raw, clipped=self._clipped, norms=self._norms, moves=moves)

    def sums(self, readings: Sequence[Reading]) -> Tensor:
        """Return what was read, ``nan`` where it was not.

        Args:
            readings: Of one sample or several.

        Returns:
            One row for each of `SUMS`, one column a parameter, sample after sample.
        """
        shape = (len(SUMS), len(readings), len(self))
        found = torch.full(shape, torch.nan, dtype=self.dtype, device=self.device)
        found[0] = self._numbers(self._sizes())
        self._put_squares(found[1], [reading.raw for reading in readings])
        if all(reading.clipped is reading.raw for reading in readings):
            found[2] = found[1]
        else:
            self._put_squares(found[2], [reading.clipped for reading in readings])
        for number, reading in enumerate(readings):
            raw = reading.raw
            if reading.norms:
                found[3, number] = _finite(_stacked(reading.norms, self.dtype).square())
            if raw is not None and (raw.sample is not None or not raw.present):
                found[4:8, number] = self._gradient_sums(raw)
            if reading.moves is not None:
                found[8, number] = self._sampled()
                found[9:, number] = reading.moves
        return found.flatten(1)

    def _put_squares(self, rows: Tensor, gradients: Sequence[Gradient | None]) -> None:
        """Put the squares of gradients' norms; 0 where a parameter had no gradient."""
        whole = [g for g in gradients if g is not None and len(g.norms) == len(self)]
        if len(whole) == len(gradients) and all(g.scale is None for g in whole):
            read = _stacked([norm for g in whole for norm in g.norms], self.dtype)
            rows.copy_(_finite(read.square()).view_as(rows))
            return
        for row, gradient in zip(rows, gradients, strict=True):
            if gradient is not None:
                row.zero_()
            if gradient is not None and gradient.present:
                read = _unscaled(_stacked(gradient.norms, self.dtype), gradient.scale)
                self._place(row, gradient.present, _finite(read.square()))

    def _moves(self, before: Tensor, after: Tensor) -> Tensor:
        """Return how many entries moved by a bit, and the squares of moves and of weights."""
        bits = _BITS[before.dtype.itemsize]
        is_short = before.dtype.itemsize < 4
        change = after.float() - before.float() if is_short else after - before
        found = torch.empty(3, len(self), dtype=self.dtype, device=self.device)
        found[0] = (before.view(bits) != after.view(bits)).sum(1)
        for row, table in ((1, change), (2, before)):
            torch.linalg.vector_norm(table, dim=1, dtype=self.dtype, out=found[row])
        found[1:].square_().nan_to_num_(nan=torch.inf, posinf=torch.inf)
        return found

    def _sampled(self) -> Tensor:
        """Return how many entries of each parameter stand for it."""
        return self._numbers([min(size, WEIGHT_SAMPLE) for size in self._sizes()])

    def _sizes(self) -> list[int]:
        return [p.numel() if type(p) is nn.Parameter else local(p).numel() for p in self.parameters]

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
        sizes = [local(self.parameters[index]).numel() for index in later.present]
        weights = self._numbers(sizes) / self._numbers([max(1, n) for n in later.counts])
        self._place(found, later.present, sums * weights)
        return found

    def _gradient_sums(self, gradient: Gradient) -> Tensor:
        found = torch.zeros(4, len(self), dtype=self.dtype, device=self.device)
        found[:2] = self._sampled()  # no gradient is all zero
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
        grads = [p.grad for p in self.parameters]
        present = tuple([index for index, grad in enumerate(grads) if grad is not None])
        versions = [
            (id(grad), grad._version if type(grad) is Tensor else next(_UNKNOWN))
            for grad in grads
            if grad is not None
        ]
        return present, tuple(versions)

    def _gradient(
        self, scale: Tensor | None, *, with_norms: bool = True, with_sample: bool = True
    ) -> Gradient:
        present, versions = self._present()
        grads = [p.grad for p in self.parameters]
        values = [local(grad) for grad in grads if grad is not None]
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
        if len(set(wide)) < 2:
            return norms(tensors, self.dtype if any(wide) else torch.float32)
        chosen = list(zip(tensors, wide, strict=True))
        long = iter(norms([tensor for tensor, is_wide in chosen if is_wide], self.dtype))
        short = iter(norms([tensor for tensor, is_wide in chosen if not is_wide], torch.float32))
        return [next(long if is_wide else short) for is_wide in wide]

    def _weights(self) -> Tensor:
        """Return the entries of the weights that stand for them, a row each; short ones with 0."""
        addresses = [p.data_ptr() for p in self.parameters] if self._is_plain else []
        if not addresses or addresses != self._addresses:
            self._addresses = addresses
            views = [self._padded(strided(local(p))) for p in self.parameters]
            self._views = list(itertools.chain.from_iterable(views))
        return torch.cat(self._views).view(len(self), -1)

    def _padded(self, view: Tensor) -> list[Tensor]:
        short = WEIGHT_SAMPLE - view.numel()
        return [view, view.new_zeros(short)] if short else [view]

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
        self._kept = self._after = self._weights()
        self._norms = self._norms_of([local(p) for p in self.parameters], range(len(self)))

    def sums(self, readings: Sequence[Reading]) -> Tensor:
        """Return what was read; a move over many steps has no place among those of one."""
        found = super().sums(readings)
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
