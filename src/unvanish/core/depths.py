"""What a trial of a network against shallower and deeper ones of its kind comes to. No torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from unvanish.core.proofs import Comparison, Run


class Trend(StrEnum):
    """What more depth does to the training loss."""

    WORSE = "deeper-is-worse"
    """A shallower network reaches a lower training loss: degradation."""

    SAME = "no-difference"
    """No difference in depth makes one that could be told from chance."""

    BETTER = "deeper-is-better"
    """A deeper network reaches a lower training loss, and no shallower one does."""

    INCONCLUSIVE = "inconclusive"
    """The runs there are do not decide it."""

    CANNOT = "cannot"
    """No twin could be made, and the reason is said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """Blocks of equal structure that a network has one behind the other.

    Attributes:
        name: Where they stand, such as ``"layers.0 … layers.59"``.
        kind: What one block is, such as ``"Linear, Sigmoid"``.
        blocks: How many there are.
    """

    name: str
    kind: str
    blocks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Twin:
    """A network of other depth, or the network itself, trained on every seed.

    Attributes:
        factor: What the number of blocks was multiplied by; 1 for the network itself.
        blocks: How many it has.
        parameters: Number of its trainable parameters; 0 where it was not trained.
        runs: One a seed.
        comparison: The deeper of the two networks against the shallower by their training loss,
            positive where the deeper is better; None for the network itself.
        refused: Why it could not be made; empty where it could.
    """

    factor: float
    blocks: int = 0
    parameters: int = 0
    runs: tuple[Run, ...] = ()
    comparison: Comparison | None = None
    refused: str = ""

    @property
    def losses(self) -> Mapping[int, float]:
        """Seed to the training loss at the end; ``nan`` where a run diverged or failed."""
        return {
            run.job.seed: math.nan if run.diverged or run.failed else run.training_loss
            for run in self.runs
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """A trial of depth.

    Attributes:
        target: What was tried, as a person would name it.
        trend: What follows.
        said: The same in a sentence.
        stacks: The blocks that were counted.
        twins: The network itself, and the others from the shallowest on.
        steps: Optimiser steps of every run.
        seeds: Seeds of the runs.
        start: Training loss before the first step, in the middle of the runs of the network.
        held_fixed: What was the same in all runs, one sentence each.
        notes: What a sceptical reader has to know, one sentence each.
        seconds: Wall time.
    """

    target: str
    trend: Trend
    said: str
    stacks: tuple[Stack, ...] = ()
    twins: tuple[Twin, ...] = ()
    steps: int = 0
    seeds: tuple[int, ...] = ()
    start: float = math.nan
    held_fixed: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = math.nan
