"""A loss whose target is given the shape of the output before they are compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from unvanish.observe.batch import Batch, main_output
from unvanish.observe.copies import copied
from unvanish.observe.loss import compute_loss, loss_name

Loss = Callable[..., Any] | str | None


@dataclass(frozen=True, eq=False)
class MatchedLoss:
    """A loss that compares each output with its own target: ``loss(output, target)``.

    Attributes:
        loss: As in `unvanish.trace`.
    """

    loss: Loss
    said: ClassVar[str] = "the loss of each output beside its own target"

    @property
    def name(self) -> str:
        """What a trial calls it."""
        return "loss"

    @property
    def __name__(self) -> str:
        return loss_name(self.loss)

    def __call__(self, output: Any, target: Any = None) -> Tensor:
        """Return the loss of what a network answers."""
        return compute_loss(self.loss, output, Batch(None, matched(output, target)))[0]

    def calm(self) -> MatchedLoss:
        """Return it around a copy of a loss that counts or averages as it is called."""
        return MatchedLoss(copied(self.loss)) if isinstance(self.loss, nn.Module) else self


def matched(output: Any, target: Any) -> Any:
    """Return a target in the shape of an output of as many numbers; any other as it is.

    Args:
        output: What a network answers.
        target: What it is compared with.
    """
    answers = main_output(output)
    if not isinstance(answers, Tensor) or not isinstance(target, Tensor):
        return target
    is_other = answers.shape != target.shape and answers.numel() == target.numel()
    return target.reshape(answers.shape) if is_other else target
