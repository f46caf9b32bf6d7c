"""A last step that answers in the units of a target, for layers that work at unit scale."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

import torch
from torch import Tensor, nn

from unvanish.core.errors import UnvanishError
from unvanish.observe.batch import Batch, call_model, map_tensors
from unvanish.observe.guard import untouched
from unvanish.observe.loss import compute_loss
from unvanish.treat.probing import Spot
from unvanish.treat.surgery import Surgery

_HALVES: Final = (torch.float16, torch.bfloat16)

_SQUARED: Final = frozenset({"mse_loss", "difference"})
"""Comparisons whose gradient is taken to grow with the error where it cannot be measured."""


class _Weighed(torch.autograd.Function):
    """What it is given, whose gradient is multiplied by some weights."""

    generate_vmap_rule = True

    @staticmethod
    def forward(z: Tensor, weight: Tensor) -> Tensor:  # noqa: ARG004
        return z.view_as(z)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:  # noqa: ARG004
        ctx.save_for_backward(inputs[1])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        once = _WeighedOnce.apply(gradients[0], *ctx.saved_tensors)  # type: ignore[no-untyped-call]
        return once, None


class _WeighedOnce(torch.autograd.Function):
    """A gradient, multiplied by some weights.

    A second derivative passes `_Weighed` once more, and is multiplied there: that is enough.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(gradient: Tensor, weight: Tensor) -> Tensor:
        return weight * gradient

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        """Keep nothing."""

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:  # noqa: ARG004
        return gradients[0], None


class Unstandardise(nn.Module):
    """Answer mean + deviation z, and hand back the gradient that z is to have.

    The backward pass multiplies by `slope` and not by `deviation`: see `slopes_of`.

    Args:
        mean: One number a feature.
        deviation: One number a feature, or one for all.
        slope: What the gradient is multiplied by, one number a feature or one for all.
        axis: Axis over features, from the end.
    """

    mean: Tensor
    deviation: Tensor
    slope: Tensor

    def __init__(self, mean: Tensor, deviation: Tensor, slope: Tensor, axis: int) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)
        self.register_buffer("slope", slope)
        self.axis = axis

    def forward(self, z: Tensor) -> Tensor:
        """Return answers in the units of the target.

        Under autocast they are in float32: a price may be no number in float16.
        """
        shape = (-1,) + (1,) * (-self.axis - 1)
        wide = z.float() if z.dtype in _HALVES else z
        mean, deviation, slope = (
            one.to(wide.dtype).reshape(shape) for one in (self.mean, self.deviation, self.slope)
        )
        weighed = _Weighed.apply(wide, slope / deviation)  # type: ignore[no-untyped-call]
        out: Tensor = mean + deviation * weighed
        keeps = z.dtype in _HALVES and not torch.is_autocast_enabled(z.device.type)
        return out.to(z.dtype) if keeps else out

    def extra_repr(self) -> str:
        """Return the number of features."""
        return f"features={self.mean.numel()}"


class _Told(nn.Module):
    """Answers what it is told in the place of what it is given.

    Args:
        answer: The answer, a leaf that asks for a gradient.
    """

    def __init__(self, answer: Tensor) -> None:
        super().__init__()
        self.answer = answer

    def forward(self, given: Tensor) -> Tensor:
        if given.shape != self.answer.shape:
            raise UnvanishError("the answer is of another shape than it was seen to be")
        return self.answer


def slopes_of(
    model: nn.Module,
    batch: Batch,
    loss: Callable[..., Any] | str | None,
    *,
    spot: Spot,
    target: Tensor,
    wanted: Tensor,
    deviation: Tensor,
    comparison: str,
) -> tuple[Tensor, bool]:
    """Return what the gradient at an answer is to be multiplied by, in the place of its deviation.

    The loss is asked twice for its gradient, at answers that miss the target by one deviation and
    by one unit. The second is what the same loss has of standardised targets, and the ratio makes
    it of the first: 1 / deviation for the squared error, 1 for the absolute one. Where the loss is
    weighted for the user's own units, so that one deviation costs nearer to 1 than one unit does,
    the gradient is left as it is.

    Args:
        model: The network; it stays as it is.
        batch: What it is run on.
        loss: As in `unvanish.trace`.
        spot: The output that is compared.
        target: The target as it stands in the batch.
        wanted: Its numbers in the shape of the output.
        deviation: One number an output, of a shape that broadcasts to it.
        comparison: Name of the comparison, for a loss that cannot be asked.

    Returns:
        Of the shape of `deviation`, and whether the gradient is that of standardised targets.
    """
    generator = torch.Generator().manual_seed(0)
    signs = 2.0 * torch.randint(0, 2, wanted.shape, generator=generator).double() - 1.0
    signs = signs.to(wanted.device)
    sizes = [deviation.double(), torch.ones_like(deviation, dtype=torch.float64)]
    found = []
    for size in sizes:
        answer = (wanted.double() + size * signs).requires_grad_()
        gradient = _asked(model, batch, loss, spot, target, answer)
        pull = None if gradient is None else (gradient.double() * signs).sum_to_size(size.shape)
        if pull is None or not bool((pull > 0.0).all()) or not bool(pull.isfinite().all()):
            is_squared = comparison in _SQUARED
            return (1.0 / sizes[0] if is_squared else sizes[1]), True
        found.append(pull)
    far, near = found
    costs = float((sizes[0] * far).sum()), float(near.sum())
    if abs(math.log10(costs[0])) < abs(math.log10(costs[1])):
        return sizes[0], False
    return near / far, True


def _asked(
    model: nn.Module,
    batch: Batch,
    loss: Callable[..., Any] | str | None,
    spot: Spot,
    target: Tensor,
    answer: Tensor,
) -> Tensor | None:
    """Return the gradient that a loss has of an answer; None where it cannot be asked."""
    # In float32 a unit may be lost beside the answer: 1 W beside 4.9e8 W.
    inputs, goal = (
        map_tensors(part, lambda one: one.double() if one is target else one)
        for part in (batch.inputs, batch.target)
    )
    surgery = Surgery(model)
    with untouched(model, seed=0), torch.enable_grad():
        try:
            turns = spot.turns()
            if turns is not None:
                surgery.insert("", None, "begin", turns=turns)
            surgery.insert(
                spot.path, _Told(answer), spot.where, function=spot.function, turns=turns
            )
            value = compute_loss(loss, call_model(model, inputs), Batch(inputs, goal))[0]
            return torch.autograd.grad(value, answer, allow_unused=True)[0]
        except (UnvanishError, RuntimeError, ValueError, TypeError, IndexError, AttributeError):
            return None
        finally:
            surgery.undo()
