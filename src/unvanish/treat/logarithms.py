"""A loss of logarithms of probabilities, whatever the network answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Final

import torch
from torch import Tensor

from unvanish.treat.restating import RestatedLoss

_ROUNDING: Final = 1e-3
"""How far a sum of probabilities may be off from one."""


@dataclass(frozen=True, eq=False)
class LoggedLoss(RestatedLoss):
    """A loss that wants logarithms of probabilities over the last axis, and is given them."""

    said: ClassVar[str] = "the loss of the logarithms of what the network answers"

    def restated(self, output: Any, target: Any) -> tuple[Any, Any]:
        """Take the logarithms of what is answered as probabilities or as scores."""
        return logged(output), target


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
