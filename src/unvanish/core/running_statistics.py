"""What normalisations keep of the batches they meet, for evaluation, and where that misleads."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

LARGEST_SHARE: Final = 0.8
"""Variance of what is kept over that of one batch's statistics, beyond which it is one batch.

A mean that takes in the share m of every batch has the variance m / (2 - m) of one batch's: 0.05
for PyTorch's 0.1, 0.33 for 0.5, 0.82 for 0.9 and 0.98 for 0.99."""
LONGEST_MEMORY: Final = 1000.0
"""Batches, 1 / momentum, beyond which statistics hardly move in a training of ordinary length."""
SETTLED: Final = 3.0
"""Times 1 / momentum batches after which a twentieth is left of what statistics began with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningStatistics:
    """Mean and variance that one normalisation keeps for evaluation mode.

    Attributes:
        site: Index of the first step that normalises.
        momentum: Share of a batch in what is kept after it; ``nan`` for the mean over all batches.
        training: Whether it normalises by the batch, and takes it in.
        tracked: Batches that it has counted before the look; 0 where it counts none.
        at_start: Whether every mean is 0 and every variance 1, as before the first batch.
        evaluation_rms: Root mean square that evaluation mode would give to the values of the first
            batch, before gain and shift: 1 as in training, or less where there is one sample;
            ``nan`` where it was not read.
        spread: How far the means of the probe batches lie apart, in standard deviations within a
            batch, root mean square over channels: 1 / sqrt(n) for n independent values a channel;
            ``nan`` where fewer than two batches were read.
    """

    site: int
    momentum: float = math.nan
    training: bool = True
    tracked: int = 0
    at_start: bool = False
    evaluation_rms: float = math.nan
    spread: float = math.nan

    @property
    def never_moves(self) -> bool:
        """Whether it stays at 0 and 1 however long the network is trained."""
        return self.training and self.momentum == 0.0 and self.at_start

    @property
    def share(self) -> float:
        """Variance of what is kept over that of one batch's; ``nan`` without momentum."""
        return self.momentum / (2.0 - self.momentum) if self.momentum < 2.0 else math.nan

    @property
    def is_one_batch(self) -> bool:
        """Whether it keeps little but the last batch."""
        return self.training and self.share > LARGEST_SHARE

    @property
    def memory(self) -> float:
        """Batches after which a third is left of what it began with; ``nan`` without momentum."""
        return 1.0 / self.momentum if self.momentum > 0.0 else math.nan

    def lags_after(self, batches: float) -> bool:
        """Tell whether it is slow, and still holds much of its start after further batches.

        Statistics that are not at their start and have counted nothing were loaded.

        Args:
            batches: How many it takes in from here on.
        """
        is_loaded = not self.at_start and self.tracked == 0
        is_slow = self.training and self.memory > LONGEST_MEMORY
        return is_slow and not is_loaded and self.tracked + batches < SETTLED * self.memory

    @property
    def misleads(self) -> bool:
        """Whether another momentum would make evaluation mode tell more of the training."""
        return self.never_moves or self.is_one_batch or self.lags_after(0)

    @property
    def is_shut(self) -> bool:
        """Whether it neither looks at the batch nor holds anything: it does nothing."""
        return not self.training and self.at_start
