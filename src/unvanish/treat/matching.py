"""A loss whose target is given the shape of the output before they are compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from unvanish.observe.batch import main_output
from unvanish.treat.restating import RestatedLoss


@dataclass(frozen=True, eq=False)
class MatchedLoss(RestatedLoss):
    """A loss that compares each output with its own target."""

    said: ClassVar[str] = "the loss of each output beside its own target"

    def restated(self, output: Any, target: Any) -> tuple[Any, Any]:
        """Give the target the shape of the output."""
        return output, matched(output, target)


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
