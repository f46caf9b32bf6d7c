"""A slope in the place of a made-up derivative, for the calls that one module's forward makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import get_ident
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function

from unvanish.treat.own_functions import Answer, Grads, Named, begin, end
from unvanish.treat.relay import Relay


@dataclass(frozen=True, slots=True)
class Slope:
    """The derivative of a soft step, or of a straight line.

    Attributes:
        height: How much higher the answer is above the threshold than below; of a straight line,
            its slope.
        width: How far from the threshold the soft step has half of its height on a side; 0 for a
            straight line.
        threshold: Where the step is.
    """

    height: float
    width: float = 0.0
    threshold: float = 0.0

    def at(self, given: Tensor) -> Tensor | float:
        """Return the slope at each entry of what a function is given."""
        if not self.width:
            return self.height
        apart = ((given.detach() - self.threshold) / self.width).abs()
        steepest = self.height / (2.0 * self.width)
        return torch.nan_to_num(steepest / (1.0 + apart) ** 2, 0.0)


@dataclass(frozen=True, slots=True)
class Sloped:
    """The answer of a call whose derivative is a slope; by its other inputs it is the user's.

    Attributes:
        place: Which input it has the slope by.
        slope: What the gradient is multiplied by.
        needs: Which inputs ask for a gradient.
    """

    place: int
    slope: Tensor | float
    needs: tuple[bool, ...]

    def __call__(self, own: Callable[[], Grads], grads: Grads) -> Grads:
        """Return the gradient by each input."""
        found = list(own() if sum(self.needs) > 1 else [None] * len(self.needs))
        (grad,) = grads
        found[self.place] = None if grad is None else grad * self.slope
        return tuple(found)


class OwnSlopes(Relay):
    """Gives the functions of some names a slope, as long as a forward runs.

    Args:
        slopes: Qualified name of a `torch.autograd.Function` to its slope. Empty for a forward
            whose calls are left alone although one around it has slopes.
    """

    __slots__ = ("_begun", "_functions", "_slopes")

    def __init__(self, slopes: Mapping[str, Slope]) -> None:
        super().__init__()
        self._slopes = dict(slopes)
        self._functions = Named(self._slopes)
        self._begun: dict[int, list[tuple[type[Function], ...]]] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> OwnSlopes:
        twin = OwnSlopes(self._slopes)
        memo[id(self)] = twin
        return twin

    def __reduce__(self) -> tuple[Any, ...]:
        return OwnSlopes, (self._slopes,)

    def enter(self) -> None:
        """Begin a forward."""
        functions = self._functions()
        begin(self, functions)
        self._begun.setdefault(get_ident(), []).append(functions)

    def leave(self) -> None:
        """End it; what its calls were told stays with them."""
        begun = self._begun[get_ident()]
        end(begun.pop())
        if not begun:
            del self._begun[get_ident()]

    def met(
        self, function: type[Function], context: Any, inputs: tuple[Any, ...], output: Any
    ) -> Answer | None:
        """Say with which slope a call passes a gradient on."""
        slope = self._slopes.get(function.__qualname__)
        place = place_of_input(inputs, output)
        if slope is None or place is None or not context.needs_input_grad[place]:
            return None
        return Sloped(place, slope.at(inputs[place]), tuple(context.needs_input_grad))


def place_of_input(inputs: tuple[Any, ...], output: Any) -> int | None:
    """Return which input a call works on entry by entry: the first tensor, and of its shape.

    Args:
        inputs: What the call was given.
        output: What it returned.

    Returns:
        Its place; None where there is none, or where the call wrote into it.
    """
    place = next((n for n, one in enumerate(inputs) if isinstance(one, Tensor)), None)
    if place is None or not isinstance(output, Tensor):
        return None
    given = inputs[place]
    both_real = given.is_floating_point() and output.is_floating_point()
    if not both_real or given.shape != output.shape or _is_written(given, output):
        return None
    return place


def _is_written(given: Tensor, output: Tensor) -> bool:
    strided = given.layout is torch.strided and output.layout is torch.strided
    return not strided or (given.numel() > 0 and given.data_ptr() == output.data_ptr())
