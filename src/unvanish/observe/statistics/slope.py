"""Slopes of activation functions at the pre-activations that really occur."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor

from unvanish.observe.statistics.magnitude import norm64

_MOST_SLOPES: Final = 2**17


@dataclass(frozen=True, slots=True)
class Activation:
    """What is known of an activation function before it is measured.

    Attributes:
        cap: Largest possible |slope|.
        can_saturate: Whether the slope falls to zero towards an end of the domain while
            the function is smooth and bounded; a ReLU is switched off, not saturated.
    """

    cap: float
    can_saturate: bool = False


ACTIVATIONS: Final[dict[str, Activation]] = {
    "sigmoid": Activation(0.25, can_saturate=True),
    "tanh": Activation(1.0, can_saturate=True),
    "softsign": Activation(1.0, can_saturate=True),
    "hardtanh": Activation(1.0, can_saturate=True),
    "relu6": Activation(1.0),
    "hardsigmoid": Activation(1 / 6, can_saturate=True),
    "erf": Activation(2 / math.sqrt(math.pi), can_saturate=True),
    "relu": Activation(1.0),
    "leaky_relu": Activation(1.0),
    "prelu": Activation(1.0),
    "elu": Activation(1.0),
    "celu": Activation(1.0),
    "selu": Activation(1.7580993),
    "gelu": Activation(1.1289),
    "silu": Activation(1.09984),
    "mish": Activation(1.0885),
    "softplus": Activation(1.0),
    "hardswish": Activation(1.5),
    "hardshrink": Activation(1.0),
    "softshrink": Activation(1.0),
    "tanhshrink": Activation(1.0),
    "logsigmoid": Activation(1.0),
    "log_sigmoid": Activation(1.0),
    "threshold": Activation(1.0),
    "sin": Activation(1.0),
    "cos": Activation(1.0),
    "sign": Activation(0.0),
    "round": Activation(0.0),
    "floor": Activation(0.0),
    "heaviside": Activation(0.0),
}
"""Caps from calculus; gelu, silu and mish by maximising the derivative numerically."""


@dataclass(frozen=True, slots=True)
class SlopeReading:
    """Slope statistics of one activation at one batch; 0-d tensors, left on the device."""

    rms: Tensor
    largest: Tensor
    saturated: Tensor | None
    alive: Tensor
    """Boolean, one a unit: some sample has a non-zero slope."""
    withheld: Tensor | None = None
    """Shares of what is withheld that fall on dead units, on the left and on the right tail."""


def slope_of(
    function: Callable[..., Tensor],
    name: str,
    before: Tensor,
    after: Tensor,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> Tensor:
    """Return phi'(z) for every entry of z, in the precision the run really uses.

    Sigmoid and tanh are read off their outputs, functions of straight pieces off their
    input; any other function is differentiated once more on a private graph, which the
    user's graph never sees.

    Args:
        function: The function as the user called it.
        name: Its name, without the underscore of the in-place form.
        before: Pre-activation z; a copy where the call works in place.
        after: The output.
        args: The call's other positional arguments.
        kwargs: The call's keyword arguments.

    Returns:
        Tensor of the shape of z; of truth values where the slope is one or zero.
    """
    after = after.detach()
    if name == "sigmoid":
        return after * (1 - after)
    if name == "tanh":
        return 1 - after.square()
    if name == "relu":
        return after > 0
    with torch.no_grad():
        known = _piecewise(name, before.detach(), args, kwargs)
    if known is not None:
        return known
    with (
        torch.enable_grad(),
        torch.autograd.graph.saved_tensors_hooks(lambda t: t, lambda t: t),
    ):
        z = before.detach().requires_grad_()
        rest = [a.detach() if isinstance(a, Tensor) else a for a in args]
        options = {
            k: v.detach() if isinstance(v, Tensor) else v
            for k, v in kwargs.items()
            if k not in ("inplace", "out")
        }
        if rest and isinstance(rest[-1], bool):  # F.elu(x, alpha, inplace)
            rest[-1] = False
        in_place = getattr(function, "__name__", "").endswith("_")
        y = function(z.clone() if in_place else z, *rest, **options)
        if not y.requires_grad:
            return torch.zeros_like(z)
        (slope,) = torch.autograd.grad(y.sum(), z)
    return slope.detach()


def read_slope(
    slope: Tensor, activation: Activation, unit_dim: int, z: Tensor | None = None
) -> SlopeReading:
    """Reduce slopes to rms, maximum, saturated share and living units.

    Args:
        slope: phi'(z), any shape.
        activation: The function's cap and kind.
        unit_dim: Dimension that counts units: 1 for channels, -1 for features.
        z: Anything of the sign of the pre-activation, to tell the two tails apart; None where
            that is not asked for.

    Returns:
        The reading; ``saturated`` is None where the function cannot saturate.
    """
    count = max(1, slope.numel())
    unit_dim = unit_dim % max(1, slope.ndim)
    others = [d for d in range(slope.ndim) if d != unit_dim]
    saturated = None
    if slope.dtype is torch.bool:
        ones = torch.count_nonzero(slope).double()
        if activation.can_saturate:
            saturated = 1 - ones / count
        largest = slope.view(torch.uint8).amax(others) if others else slope.view(torch.uint8)
        alive = largest > 0
        parts = _withheld(slope, activation.cap, unit_dim, alive, z)
        return SlopeReading((ones / count).sqrt(), largest.amax(), saturated, alive, parts)
    if activation.can_saturate:  # all of them rise everywhere: no slope is negative
        saturated = torch.count_nonzero(slope < activation.cap / 10).double() / count
    largest = torch.maximum(slope.amax(others), -slope.amin(others)) if others else slope.abs()
    alive = largest > 0
    parts = _withheld(slope, activation.cap, unit_dim, alive, z)
    return SlopeReading(norm64(slope) / math.sqrt(count), largest.amax(), saturated, alive, parts)


def _withheld(
    slope: Tensor, cap: float, unit_dim: int, alive: Tensor, z: Tensor | None
) -> Tensor | None:
    """Split sum S^2 - phi'^2 over dead units, the left and the right tail of living ones.

    A tail is where less than a tenth of the largest slope S is left; the rest of the sum lies
    between the tails: the smaller slope of a leaky unit, the half-slope of a GELU near zero.
    Of many samples every so many-th is read.
    """
    if z is None or z.shape != slope.shape or not slope.numel() or cap == 0.0:
        return None
    if slope.ndim > 1 and unit_dim != 0:
        step = max(1, slope.numel() // _MOST_SLOPES)
        slope, z = slope[::step], z[::step]
        living = alive.reshape([-1 if d == unit_dim else 1 for d in range(slope.ndim)])
    else:
        living = alive.new_ones(())
    if slope.dtype is torch.bool:
        off = ~slope
        every = torch.count_nonzero(off)
        tails = torch.count_nonzero(off & living)
        left = torch.count_nonzero(off & living & (z < 0))
        parts = torch.stack([every - tails, left, tails - left])
        return parts.double() / every.clamp_min(1)
    wide = slope.float() if slope.dtype.itemsize < 4 else slope
    missing = (cap * cap - wide * wide).clamp_min_(0.0)
    outer = missing * (living & (wide.abs() < cap / 10))
    left = (outer * (z < 0)).sum()
    parts = torch.stack([(missing * ~living).sum(), left, outer.sum() - left])
    return parts.double() / missing.sum().double().clamp_min(1e-300)


def _piecewise(
    name: str, z: Tensor, args: tuple[Any, ...], kwargs: Mapping[str, Any]
) -> Tensor | None:
    """Return the slope of a function made of straight pieces; None for any other function."""

    def given(position: int, keyword: str, default: float) -> float:
        value = args[position] if len(args) > position else kwargs.get(keyword, default)
        return float(value)

    if name == "relu6":
        return (z > 0) & (z < 6)
    if name == "hardtanh":
        return (z > given(0, "min_val", -1.0)) & (z < given(1, "max_val", 1.0))
    if name == "leaky_relu":
        return torch.where(z > 0, 1.0, given(0, "negative_slope", 0.01)).to(z.dtype)
    return None
