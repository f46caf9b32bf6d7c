"""What a target comes down to: a network and everything needed to train it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from unvanish.recipe.building import BuildLines
from unvanish.recipe.seeding import seeded
from unvanish.recipe.usercode import surroundings

Maker = Callable[[int], nn.Module]
"""Makes the network anew from a seed."""


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A network, a batch, and the rest that a training run consists of.

    Attributes:
        target: The TARGET as the user wrote it.
        seed: Seed of the build, the batch and the data.
        model: The network, built.
        batch: ``(inputs, target)``, a dict, or the inputs alone.
        data: Further batches, the same on every pass; None where there are none.
        more: What the function of the batch gives when it is called again, as long as that is
            another batch; None where the batch does not come from a function.
        redraw: Draws pass number 1, 2, ... over the data anew; None where there are none.
        loss: ``loss(output, target)``, a name, or None to infer it.
        optimizer: An optimiser, ``optimizer(model)``, or None to infer it.
        metric: ``metric(model)``, or None.
        goal: Value of the metric that counts as trained, or None.
        higher_is_better: Direction of the metric.
        clip_grad_norm: Largest gradient norm the user allows, or None.
        autocast: ``"bfloat16"``, ``"float16"`` or ``""``.
        steps: Optimiser steps of a training run, or None.
        inferred: What the target did not say and had to be assumed, one sentence each.
        is_invented: Whether the batch was made up, for want of any.
        is_finished: Whether the target is a network rather than something that makes one, so
            that its weights do not depend on a seed.
        built: Each module's line in the user's code, where it was seen.
        folders: What the user's code expects on ``sys.path``.
        make: Makes the network anew from a seed.
    """

    target: str
    seed: int
    model: nn.Module
    batch: object
    data: Iterable[Any] | None = None
    more: Iterable[Any] | None = None
    redraw: Callable[[int], Iterable[Any] | None] | None = None
    loss: Callable[..., Any] | str | None = None
    optimizer: torch.optim.Optimizer | Callable[..., Any] | None = None
    metric: Callable[..., Any] | None = None
    goal: float | None = None
    higher_is_better: bool = True
    clip_grad_norm: float | None = None
    autocast: str = ""
    steps: int | None = None
    inferred: tuple[str, ...] = ()
    is_invented: bool = False
    is_finished: bool = False
    built: BuildLines
    folders: tuple[str, ...] = ()
    make: Maker

    @property
    def further(self) -> Iterable[Any] | None:
        """Batches to look at beside the first one; None where there are none."""
        return self.data if self.data is not None else self.more

    def fresh(self, seed: int) -> nn.Module:
        """Build the network anew.

        Args:
            seed: Seed of its initial weights. A target that is a finished module rather
                than something that makes one is copied, whatever the seed.

        Returns:
            A network that shares nothing with `model`.
        """
        return self.make(seed)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run a block in which the user's code finds its files and is seeded."""
        with surroundings(self.folders, keep_stdout=True), seeded(self.seed):
            yield
