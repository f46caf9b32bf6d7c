"""The run that every tool watches: a patient trained by its own recipe, for a few steps."""

from __future__ import annotations

import math
from collections.abc import Iterable
from itertools import islice
from typing import Final

from unvanish.observe.batch import Batch
from unvanish.recipe import seeded
from unvanish.zoo.training import Trial, begin

STEPS: Final = 20
"""Optimiser steps of every run; a run ends early where the loss stops being finite."""


class Watcher:
    """Somebody who looks on while a patient is trained, and says what is wrong at the end.

    Attributes:
        trial: Network, optimiser and the rest; there from `begin` on.
        batch: What the step that is under way was given.
    """

    trial: Trial
    batch: Batch

    def begin(self) -> None:
        """See the network and its optimiser before the first step."""

    def after_backward(self) -> None:
        """See the gradients of a step, before they are clipped."""

    def after_update(self, loss: float) -> None:
        """See what a step left behind."""

    def report(self) -> Iterable[str]:
        """Return the names of the rules that raised an alarm."""
        return ()

    def close(self) -> None:
        """Let go of the network."""


def watch(name: str, seed: int, watcher: Watcher, *, steps: int = STEPS) -> tuple[str, ...]:
    """Train a fresh copy of a patient under somebody's eyes.

    Args:
        name: Name of the patient.
        seed: Seed of weights, data order and everything random.
        watcher: Who looks on.
        steps: Optimiser steps.

    Returns:
        The alarms, each once.
    """
    with seeded(seed):
        watcher.trial = trial = begin(name, seed=seed)
        try:
            watcher.begin()
            for batch in islice(trial.batches(), steps):
                watcher.batch = batch
                loss = trial.forward(batch)
                trial.backward(loss)
                watcher.after_backward()
                trial.update()
                value = float(loss.detach())
                watcher.after_update(value)
                if not math.isfinite(value):
                    break
            return tuple(dict.fromkeys(watcher.report()))
        finally:
            watcher.close()
