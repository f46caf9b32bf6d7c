"""A loss that is given what a network answers, and what is wanted, in another form."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from torch import Tensor, nn

from unvanish.observe.batch import Batch
from unvanish.observe.copies import copied
from unvanish.observe.loss import compute_loss, loss_name

Loss = Callable[..., Any] | str | None


@dataclass(frozen=True, eq=False)
class RestatedLoss(ABC):
    """``loss(output, target)`` of both in another form.

    Attributes:
        loss: As in `unvanish.trace`.
        said: What it is, as a trial says that it judges by it.
    """

    loss: Loss
    said: ClassVar[str] = ""

    @property
    def name(self) -> str:
        """What a trial calls it."""
        return "loss"

    @property
    def __name__(self) -> str:
        return loss_name(self.loss)

    @abstractmethod
    def restated(self, output: Any, target: Any) -> tuple[Any, Any]:
        """Return output and target in the form that the loss is given.

        Args:
            output: What a network answers.
            target: What it is compared with.
        """

    def __call__(self, output: Any, target: Any = None) -> Tensor:
        """Return the loss of what a network answers."""
        output, target = self.restated(output, target)
        return compute_loss(self.loss, output, Batch(None, target))[0]

    def calm(self) -> Self:
        """Return it around a copy of a loss that counts or averages as it is called."""
        return replace(self, loss=copied(self.loss)) if isinstance(self.loss, nn.Module) else self
