"""Read the shape of an output, and write the code of a batch that goes with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import torch

from unvanish.recipe.usercode import Foreign

BATCH_SIZE: Final = 32


def random_code(shape: Sequence[object], integers: int | None = None) -> str:
    """Return the code that draws a batch of inputs."""
    shown = ", ".join(str(size) for size in (BATCH_SIZE, *shape))
    return f"torch.randint({integers}, ({shown}))" if integers else f"torch.randn({shown})"


def logits_of(output: Foreign) -> Foreign:
    """Return the part of an output that a loss would look at."""
    if isinstance(output, Mapping) and "logits" in output:
        output = output["logits"]
    output = getattr(output, "logits", output)
    if isinstance(output, tuple | list) and output and isinstance(output[0], torch.Tensor):
        output = output[0]
    return output


def width_of(output: Foreign) -> int | None:
    """Return how many classes an output could tell apart; None where it is no such output."""
    if not isinstance(output, torch.Tensor) or output.ndim < 2:
        return None
    width = output.shape[1] if output.ndim == 2 or output.ndim >= 4 else output.shape[-1]
    return width if width > 1 else None


def target_code(output: Foreign, classes: int | None) -> str:
    """Return the code that draws a target for an output."""
    if not isinstance(output, torch.Tensor) or output.ndim == 0:
        return f"torch.randint({classes or 10}, ({BATCH_SIZE},))"
    if classes is None:
        return random_code(output.shape[1:])
    places = output.shape[2:] if output.ndim >= 4 else output.shape[1:-1]
    shown = ", ".join(str(size) for size in (BATCH_SIZE, *places))
    return f"torch.randint({classes}, ({shown}{',' if not places else ''}))"
