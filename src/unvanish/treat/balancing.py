"""A loss of several terms, one of which is raised or asked for alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from unvanish.core.errors import UnvanishError
from unvanish.observe.batch import Batch, map_tensors
from unvanish.observe.copies import copied
from unvanish.observe.loss import compute_loss, loss_name
from unvanish.observe.terms import added_up

Loss = Callable[..., Any] | str | None


@dataclass(frozen=True, eq=False)
class BalancedLoss:
    """A loss of which one term is multiplied: ``loss(output, target)``.

    Attributes:
        loss: As in `unvanish.trace`.
        term: Which of its terms, from 0.
        terms: How many it has.
        factor: What the term is multiplied by.
    """

    loss: Loss
    term: int
    terms: int
    factor: float

    @property
    def __name__(self) -> str:
        return f"{loss_name(self.loss)}, balanced"

    def __call__(self, output: Any, target: Any = None) -> Tensor:
        """Return the loss, the term counted `factor` times."""
        value, term = _with_term(self.loss, output, target, self.term, self.terms)
        return value + (self.factor - 1.0) * term


@dataclass(frozen=True, eq=False)
class OneTerm:
    """What one term adds to a loss: ``loss(output, target)``.

    Attributes:
        loss: As in `unvanish.trace`.
        term: Which of its terms, from 0.
        terms: How many it has.
        name: The function that it calls, as a person would name it.
        said: Where it stands.
    """

    loss: Loss
    term: int
    terms: int
    name: str
    said: str

    @property
    def __name__(self) -> str:
        return self.name

    def __call__(self, output: Any, target: Any = None) -> Tensor:
        """Return the term; a loss that counts or averages as it is called is left as it is."""
        loss = copied(self.loss) if isinstance(self.loss, nn.Module) else self.loss
        return _with_term(loss, output, target, self.term, self.terms)[1]


def _with_term(
    loss: Loss, output: Any, target: Any, term: int, terms: int
) -> tuple[Tensor, Tensor]:
    """Return a loss, and what one of its terms adds to it; without a graph if there was none.

    Raises:
        UnvanishError: If the loss does not add up that many terms any more.
    """

    def value() -> Tensor:
        return compute_loss(loss, output, Batch(None, target))[0]

    with torch.enable_grad():
        whole, found = added_up(value)
        if not found and not whole.requires_grad:
            output = map_tensors(output, _leaf)
            whole, found = added_up(value)
            whole, found = whole.detach(), [one.detach() for one in found]
    if len(found) != terms:
        raise UnvanishError(
            f"the loss adds up {len(found) or 1} terms here, and {terms} where it was weighed",
            help="multiply the term by hand, where the loss computes it",
        )
    return whole, found[term]


def _leaf(tensor: Tensor) -> Tensor:
    real = tensor.is_floating_point() or tensor.is_complex()
    return tensor.detach().requires_grad_() if real else tensor
