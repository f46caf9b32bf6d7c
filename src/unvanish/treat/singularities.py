"""Calls that have no number, or no slope, at some point, and a floor that keeps off that point.

The logarithm of zero is minus infinity, and the slope of a square root at zero is infinite: one
such entry makes every gradient NaN. What can meet such a point is found by watching one forward
pass, in the network and in the loss.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import torch
from torch import Tensor, nn

from unvanish.core.operations import clean
from unvanish.core.places import SourceLine
from unvanish.core.stack import user_line
from unvanish.observe.batch import Batch, call_model
from unvanish.observe.copies import copied
from unvanish.observe.guard import seed_everything, untouched
from unvanish.observe.look import Conditions, running
from unvanish.observe.loss import compute_loss
from unvanish.treat.following import Following
from unvanish.treat.insertions import is_in_place, name_of, place_of
from unvanish.treat.protocol import Case, Patient


@dataclass(frozen=True, slots=True)
class Singularity:
    """Where a function has no number or no slope.

    Attributes:
        argument: Which argument it is, from 0.
        low: The end of what the argument may be; None where only zero is excluded.
        high: The other end; None where there is none.
        order: The slope grows with this power of one over the distance from it.
    """

    argument: int = 0
    low: float | None = 0.0
    high: float | None = None
    order: float = 1.0


_LOGARITHM: Final = Singularity()
_ROOT: Final = Singularity(order=0.5)
_DIVISOR: Final = Singularity(argument=1, low=None, order=2.0)
_ARC: Final = Singularity(low=-1.0, high=1.0, order=0.5)

SINGULAR: Final[Mapping[str, Singularity]] = {
    "log": _LOGARITHM,
    "log2": _LOGARITHM,
    "log10": _LOGARITHM,
    "log1p": Singularity(low=-1.0),
    "logit": Singularity(low=0.0, high=1.0),
    "sqrt": _ROOT,
    "rsqrt": Singularity(order=1.5),
    "div": _DIVISOR,
    "rdiv": _DIVISOR,
    "divide": _DIVISOR,
    "true_divide": _DIVISOR,
    "reciprocal": Singularity(low=None, order=2.0),
    "acos": _ARC,
    "arccos": _ARC,
    "asin": _ARC,
    "arcsin": _ARC,
    "atanh": Singularity(low=-1.0, high=1.0),
    "arctanh": Singularity(low=-1.0, high=1.0),
    "xlogy": Singularity(argument=1),
    "entr": _LOGARITHM,
}
"""Function to where it is singular; a power is added by its exponent.

A norm at zero is none: PyTorch gives it the slope zero.
"""

FLOORED: Final = " of no less than "
"""What the books say between a function and its floor."""

_SLOPE: Final = 16.0
"""The largest number of a format, over the largest slope that is let through."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """Calls of one function, in one forward or in the loss, that can meet its singularity.

    Attributes:
        function: What is called.
        where: Where it is singular.
        path: Path of the module in whose forward it is called; None in the loss.
        lines: The user's lines.
        floor: How far the argument is to be kept from the singularity.
        signed: Whether the argument is kept from zero on both sides, rather than above it.
        is_met: Whether the argument reaches the singularity on this batch.
    """

    function: str
    where: Singularity
    path: str | None
    lines: tuple[SourceLine, ...]
    floor: float
    signed: bool
    is_met: bool

    @property
    def name(self) -> str:
        """What a user would call the function: ``1 / x`` is a division, too."""
        return self.function.replace("rdiv", "div")

    def with_floor(self, floor: float) -> Meeting:
        """Return it with another floor."""
        return replace(self, floor=floor)

    @property
    def floored(self) -> Floor:
        """What keeps the argument from the singularity."""
        low = None if self.signed else self.where.low or 0.0
        return Floor(self.floor, low=low, high=self.where.high)


class Floor(nn.Module):
    """Keeps a tensor at a distance from a singularity; every other entry passes as it is.

    Args:
        floor: The distance.
        low: Lower end of what is allowed, before the distance; None to keep from zero on both
            sides.
        high: Upper end; None where there is none.
    """

    def __init__(self, floor: float, *, low: float | None = 0.0, high: float | None = None) -> None:
        super().__init__()
        self.floor, self.low, self.high = floor, low, high

    def forward(self, given: Any) -> Any:
        """Return what is given, with its distance; what is no tensor of real numbers as it is."""
        if not isinstance(given, Tensor) or not given.is_floating_point():
            return given
        floor = max(self.floor, torch.finfo(given.dtype).tiny)
        if self.low is None:
            near = given.abs() < floor
            return torch.where(near, torch.full_like(given, floor).copysign(given), given)
        # Near one, a distance below the rounding of one is none.
        floor = max(floor, torch.finfo(given.dtype).eps) if self.low or self.high else floor
        bounded = given.clamp_min(self.low + floor)
        return bounded if self.high is None else bounded.clamp_max(self.high - floor)

    def extra_repr(self) -> str:
        """Return the distance."""
        return f"{self.floor:g}"


def meetings(known: Case | Patient) -> list[Meeting]:
    """Run a network and its loss once, and return the calls that can meet a singularity.

    They are those that meet one on this batch, and every other with a gradient in the user's own
    code: a floor that is not reached changes nothing.

    Args:
        known: The network; it and its loss stay as they are.
    """
    recording = known.anatomy.recording
    context = recording.context
    model = known.model
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    conditions = Conditions(None, context.seed, context.autocast, {})
    loss = copied(known.loss) if isinstance(known.loss, nn.Module) else known.loss
    watch = _Watch(model)
    with untouched(model, seed=context.seed), running(conditions, device), torch.enable_grad():
        seed_everything(context.seed)
        with watch:
            output = call_model(model, known.batch.inputs)
            compute_loss(loss, output, Batch(None, known.batch.target))
    groups: dict[tuple[str | None, str], list[_Met]] = {}
    for one in watch.met:
        groups.setdefault((one.path, one.function), []).append(one)
    return [_meeting(path, function, calls) for (path, function), calls in groups.items()]


def _meeting(path: str | None, function: str, calls: Sequence[_Met]) -> Meeting:
    # Only what meets its singularity tells how large a floor it needs.
    telling = [one for one in calls if one.is_met] or calls
    lines = {(one.line.file, one.line.line): one.line for one in calls if one.line is not None}
    return Meeting(
        function=function,
        where=calls[0].where,
        path=path,
        lines=tuple(lines.values()),
        floor=min(one.floor for one in telling),
        signed=any(one.signed for one in calls),
        is_met=any(one.is_met for one in calls),
    )


@dataclass(slots=True)
class _Met:
    function: str
    where: Singularity
    path: str | None
    line: SourceLine | None
    floor: float
    signed: bool
    is_met: bool


class _Watch(Following):
    """Writes down the calls that can meet a singularity."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__(model)
        self.met: list[_Met] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        options = kwargs or {}
        raw = name_of(func)
        where = singularity_of(raw, args, options)
        given = argument_of(raw, where, args, options) if where is not None else None
        if where is not None and given is not None:
            self._note(clean(raw), where, given)
        return func(*args, **options)

    def _note(self, function: str, where: Singularity, given: Tensor) -> None:
        values = given.detach()
        line = user_line(sys._getframe(1))
        is_met = bool(_reaches(values, where).any())
        if not is_met and (line is None or not given.requires_grad):
            return
        self.met.append(
            _Met(
                function=function,
                where=where,
                path=self._path if self._running else None,
                line=line,
                floor=floor_of(values, where),
                signed=where.low is None and bool((values < 0).any()),
                is_met=is_met,
            )
        )


def singularity_of(raw: str, args: Sequence[Any], options: Mapping[str, Any]) -> Singularity | None:
    """Return where a call is singular; None where it is nowhere.

    Args:
        raw: What is called, as PyTorch names it.
        args: What it is called with.
        options: What it is called with by name.
    """
    if clean(raw) != "pow":
        return SINGULAR.get(clean(raw))
    exponent = args[1] if len(args) > 1 else options.get("exponent")
    if raw == "__rpow__" or not isinstance(exponent, int | float) or not exponent < 1:
        return None
    if exponent == int(exponent):
        return Singularity(low=None, order=1.0 - exponent) if exponent else None
    return Singularity(order=1.0 - exponent)


def argument_of(
    raw: str, where: Singularity, args: Sequence[Any], options: Mapping[str, Any]
) -> Tensor | None:
    """Return the argument of a call that can meet a singularity; None where it cannot be changed.

    Args:
        raw: What is called, as PyTorch names it: ``"__rtruediv__"`` has its divisor first.
        where: Where the function is singular.
        args: What it is called with.
        options: What it is called with by name.
    """
    number = place_of(raw, where.argument)
    named = options.get("other", options.get("input"))
    given = args[number] if number < len(args) else named
    if not isinstance(given, Tensor) or not given.is_floating_point() or not given.numel():
        return None
    # What a call writes into would not be written.
    return None if number == 0 and is_in_place(raw, tuple(args), options) else given


def _reaches(values: Tensor, where: Singularity) -> Tensor:
    if where.low is None:
        return values == 0
    beyond = values <= where.low
    return beyond if where.high is None else beyond | (values >= where.high)


def floor_of(values: Tensor, where: Singularity) -> float:
    """Return how far an argument is to be kept from a singularity.

    It is the rounding of numbers of its size, with one digit: what is closer to zero is not known
    to be another number, and the slope is the smallest that can be had for it. Where a slope of
    that size is none of the number format, it is larger.

    Args:
        values: The argument.
        where: Where the function is singular.
    """
    finite = values[values.isfinite()].double()
    size = float(finite.square().mean().sqrt()) if finite.numel() else 0.0
    if where.low or where.high or not 0.0 < size < math.inf:
        size = 1.0
    own = torch.finfo(values.dtype).eps * size
    return float(f"{max(own, _least(values.dtype, where.order)):.1g}")


def _least(dtype: torch.dtype, order: float) -> float:
    """Return the distance at which a slope comes near the largest number."""
    limits = torch.finfo(dtype)
    return max(float((limits.max / _SLOPE) ** (-1.0 / order)), float(limits.tiny))
