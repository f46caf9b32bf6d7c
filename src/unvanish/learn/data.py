"""The tasks of the lessons: drawn from a seed, so that a bare installation runs them all."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from unvanish.zoo.data import glyphs

CLASSES = 4
"""Kinds of shapes in `shapes`: disc, square, cross, ring."""


def shapes(count: int, seed: int, *, side: int = 8) -> tuple[Tensor, Tensor]:
    """Return noisy images of a disc, a square, a cross or a ring, and which one it is.

    Args:
        count: How many.
        seed: Seed of the drawing; other seeds give other samples of the same task.
        side: Pixels along a side.

    Returns:
        Images, flattened to ``side * side`` features of mean 0 and deviation 1, and labels from
        0 to 3.
    """
    images, labels, _ = glyphs(count, seed, side=side)
    flat = images.reshape(count, -1)
    return (flat - flat.mean()) / flat.std(), labels


def endless(
    inputs: Tensor, targets: Tensor, *, size: int, steps: int, seed: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches drawn with replacement.

    Args:
        inputs: All samples.
        targets: Their targets.
        size: Samples of a batch.
        steps: Batches to yield.
        seed: Seed of the draws.
    """
    random = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        rows = torch.randint(len(inputs), (size,), generator=random)
        yield inputs[rows], targets[rows]


def passes(inputs: Tensor, targets: Tensor, *, size: int) -> list[tuple[Tensor, Tensor]]:
    """Return samples cut into batches, in order; what does not fill a last batch is left out."""
    whole = len(inputs) // size * size
    return list(zip(inputs[:whole].split(size), targets[:whole].split(size), strict=True))
