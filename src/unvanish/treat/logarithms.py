"""A loss of logarithms of probabilities, whatever the network answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Final

import torch
from torch import Tensor, nn

from unvanish.observe.batch import Batch
from unvanish.observe.copies import copied
from unvanish.observe.loss import compute_loss, loss_name

Loss = Callable[..., Any] | str | None

_ROUNDING: Final = 1e-3
"""How far a sum of probabilities may be off from one."""


@dataclass(frozen=True, eq=False)
class LoggedLoss:
    """A loss of the logarithms of what a network answers as probabilities or as scores.

    Attributes:
        loss: As in `unvanish.trace`; it wants logarithms of probabilities over the last axis.
    """

    loss: Loss
    said: ClassVar[str] = "the loss of the logarithms of what the network answers"

    @property
    def name(self) -> str:
        """What a trial calls it."""
        return "loss"

    @property
    def __name__(self) -> str:
        return loss_name(self.loss)

    def __call__(self, output: Any, target: Any = None) -> Tensor:
        """Return the loss of what a network answers."""
        return compute_loss(self.loss, logged(output), Batch(None, target))[0]

    def calm(self) -> LoggedLoss:
        """Return it around a copy of a loss that counts or averages as it is called."""
        return LoggedLoss(copied(self.loss)) if isinstance(self.loss, nn.Module) else self


def logged(output: Any) -> Any:
    """Return logarithms of probabilities over the last axis; anything but a tensor as it is.

    Args:
        output: What a network answers: probabilities, their logarithms, or scores.
    """
    if not isinstance(output, Tensor) or not output.is_floating_point() or output.ndim == 0:
        return output
    with torch.no_grad():
        sums = output.sum(-1)
        is_share = bool((output >= 0.0).all()) and bool(((sums - 1.0).abs() < _ROUNDING).all())
    if is_share:
        return output.clamp_min(torch.finfo(output.dtype).tiny).log()
    return output.log_softmax(-1)
