"""The loss of every step, kept on the device until the next sample fetches it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from unvanish.watch.sampling import widest

_MOST: Final = 1000


class Losses:
    """Losses that wait to be fetched; those of one step are added up."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, Tensor]] = []
        self._fetched: list[tuple[int, float]] = []

    @property
    def is_full(self) -> bool:
        """Whether so many wait that they should be fetched without a sample."""
        return len(self._waiting) + len(self._fetched) >= _MOST

    def put(self, step: int, loss: Tensor | float) -> None:
        """Keep a loss.

        Args:
            step: Of which step.
            loss: A number, or a tensor of one; a copy is kept, without its graph.
        """
        if isinstance(loss, Tensor):
            number = loss.detach() if loss.ndim == 0 else loss.detach().reshape(())
            self._waiting.append((step, number.clone()))
        else:
            self._fetched.append((step, float(loss)))

    def drop(self, step: int) -> None:
        """Drop what is known of a step."""
        self._waiting = [pair for pair in self._waiting if pair[0] != step]
        self._fetched = [pair for pair in self._fetched if pair[0] != step]

    def stacked(self, before: int) -> tuple[Tensor | None, list[int]]:
        """Take what waits on the device, and of which steps it is.

        Args:
            before: Steps from this one on are not over, and go on waiting.
        """
        ready = [pair for pair in self._waiting if pair[0] < before]
        self._waiting = [pair for pair in self._waiting if pair[0] >= before]
        if not ready:
            return None, []
        tensors = [tensor for _, tensor in ready]
        first = tensors[0]
        if any(t.dtype != first.dtype or t.device != first.device for t in tensors):
            tensors = [t.to(first.device, widest(first.device)) for t in tensors]
        return torch.stack(tensors), [step for step, _ in ready]

    def by_step(
        self, before: int, steps: Sequence[int], values: npt.NDArray[np.float64]
    ) -> list[tuple[int, float]]:
        """Return step and loss, with what was given as numbers.

        Args:
            before: Steps from this one on are not over, and go on waiting.
            steps: Of which step each value is.
            values: As they were fetched.
        """
        given = [pair for pair in self._fetched if pair[0] < before]
        self._fetched = [pair for pair in self._fetched if pair[0] >= before]
        total: dict[int, float] = {}
        for step, value in (*zip(steps, values.tolist(), strict=True), *given):
            total[step] = total.get(step, 0.0) + value
        return sorted(total.items())
