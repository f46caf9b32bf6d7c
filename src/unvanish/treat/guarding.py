"""A loss under floors: the user's own function, whose calls are met as they are made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from unvanish.core.operations import clean
from unvanish.observe.batch import Batch
from unvanish.observe.loss import compute_loss, loss_name
from unvanish.treat.insertions import name_of, place_of, with_nth
from unvanish.treat.losses import Loss
from unvanish.treat.singularities import Floor, Meeting, argument_of, singularity_of


def guarded(loss: Loss, met: Sequence[Meeting]) -> GuardedLoss | GuardedModule:
    """Return a loss whose calls are kept from their singularities.

    Args:
        loss: The loss.
        met: The calls.
    """
    own = GuardedLoss(loss, {one.function: one.floored for one in met})
    return GuardedModule(own, loss) if isinstance(loss, nn.Module) else own


@dataclass(frozen=True, eq=False)
class GuardedLoss:
    """A loss with floors under the arguments of some functions that it calls.

    Attributes:
        loss: The loss as it was.
        floors: Function to what its argument passes.
    """

    loss: Loss
    floors: Mapping[str, Floor]

    @property
    def __name__(self) -> str:
        return loss_name(self.loss)

    def __call__(self, output: Any, target: Any = None) -> Tensor:
        """Return the loss of what a network answers."""
        with _Floors(self.floors):
            return compute_loss(self.loss, output, Batch(None, target))[0]


class GuardedModule(nn.Module):
    """A loss that is a module, with what it holds, under floors.

    Args:
        floors: The floors.
        loss: The loss as it was.
    """

    def __init__(self, floors: GuardedLoss, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss
        self.floors = dict(floors.floors)

    @property
    def __name__(self) -> str:
        return loss_name(self.loss)

    def forward(self, output: Any, target: Any = None) -> Tensor:
        """Return the loss of what a network answers."""
        return GuardedLoss(self.loss, self.floors)(output, target)


class _Floors(TorchFunctionMode):
    """Puts floors under the arguments of functions."""

    def __init__(self, floors: Mapping[str, Floor]) -> None:
        super().__init__()
        self._floors = floors

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        options: Mapping[str, Any] = kwargs or {}
        raw = name_of(func)
        floor = self._floors.get(clean(raw))
        if floor is None:
            return func(*args, **options)
        if not args and "input" in options:
            options = dict(options)
            args = (options.pop("input"),)
        where = singularity_of(raw, args, options)
        if where is not None and argument_of(raw, where, args, options) is not None:
            place = place_of(raw, where.argument)
            args, options = with_nth(args, options, place, floor)
        return func(*args, **options)
