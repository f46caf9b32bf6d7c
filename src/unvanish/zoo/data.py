"""Data for the patients: real digits, or made from a seed. Nothing is downloaded."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

import torch
from torch import Tensor

from unvanish.core.errors import import_optional

HELD_OUT: Final = 360
"""Digits that the training never sees."""


def digits() -> tuple[Tensor, Tensor]:
    """Return 1797 images of 64 pixels between 0 and 1, and their labels, shuffled once."""
    images, labels = _digits()
    return images.clone(), labels.clone()


@cache
def _digits() -> tuple[Tensor, Tensor]:
    datasets: Any = import_optional("sklearn.datasets", extra="demo", purpose="the digits data")
    images, labels = datasets.load_digits(return_X_y=True)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    return (torch.from_numpy(images).float() / 16)[order], torch.from_numpy(labels).long()[order]


def training_digits(*shape: int) -> tuple[Tensor, Tensor]:
    """Return 1437 images, in the given shape such as ``1, 8, 8``, and their labels."""
    images, labels = digits()
    return images[:-HELD_OUT].reshape(-1, *(shape or (64,))), labels[:-HELD_OUT]


def held_out_digits(*shape: int) -> tuple[Tensor, Tensor]:
    """Return the other 360 images and labels."""
    images, labels = digits()
    return images[-HELD_OUT:].reshape(-1, *(shape or (64,))), labels[-HELD_OUT:]


def in_batches(
    inputs: Tensor, targets: Tensor, *, size: int, seed: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield one pass in random order; what does not fill a last batch is left out."""
    order = torch.randperm(len(inputs), generator=torch.Generator().manual_seed(seed))
    for rows in order.split(size):
        if len(rows) == size:
            yield inputs[rows], targets[rows]


def spirals(count: int, seed: int, *, arms: int = 3) -> tuple[Tensor, Tensor]:
    """Return points of the plane on interleaved spirals, and the number of each one's arm."""
    random = torch.Generator().manual_seed(seed)
    labels = torch.randint(arms, (count,), generator=random)
    radius = torch.rand(count, generator=random)
    angle = 4.0 * radius + 2 * math.pi * labels / arms
    points = torch.stack([radius * angle.cos(), radius * angle.sin()], dim=1)
    return points + 0.02 * torch.randn(points.shape, generator=random), labels


def moons(count: int, seed: int) -> Tensor:
    """Return points of the plane on two interleaved half circles."""
    random = torch.Generator().manual_seed(seed)
    angle = math.pi * torch.rand(count, generator=random)
    upper = torch.rand(count, generator=random) < 0.5
    x = torch.where(upper, angle.cos(), 1 - angle.cos()) - 0.5
    y = torch.where(upper, angle.sin(), 0.5 - angle.sin()) - 0.25
    points = torch.stack([x, y], dim=1)
    return points + 0.08 * torch.randn(points.shape, generator=random)


def friedman(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return ten inputs between 0 and 1 and Friedman's function of the first five.

    The target has mean 14.4 and standard deviation 4.9.
    """
    random = torch.Generator().manual_seed(seed)
    x = torch.rand(count, 10, generator=random)
    wave = 10 * (math.pi * x[:, 0] * x[:, 1]).sin()
    y = wave + 20 * (x[:, 2] - 0.5).square() + 10 * x[:, 3] + 5 * x[:, 4]
    return x, y[:, None]


def houses(count: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return six properties of houses, each in its own unit, and their prices.

    The columns are floor space in square metres, rooms, year of construction, yearly
    income of the district, distance to the centre in kilometres, and share of homes empty.
    """
    random = torch.Generator().manual_seed(seed)
    u = torch.rand(count, 6, generator=random)
    low = torch.tensor([30.0, 1.0, 1900.0, 15_000.0, 0.2, 0.001])
    high = torch.tensor([250.0, 8.0, 2020.0, 150_000.0, 40.0, 0.05])
    appeal = 1.0 + u[:, 3] + 0.5 * (-4.0 * u[:, 4]).exp() - 0.4 * u[:, 5]
    price = (40_000 + 320_000 * u[:, 0] + 30_000 * u[:, 1]) * appeal
    price = price * (1.0 - 0.6 * u[:, 2] * (1.0 - u[:, 2]))
    return low + u * (high - low), price[:, None]


def clusters(count: int, seed: int, *, classes: int, features: int = 16) -> tuple[Tensor, Tensor]:
    """Return points around one fixed random centre for each class, and their classes."""
    centres = torch.randn(classes, features, generator=torch.Generator().manual_seed(99))
    random = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (count,), generator=random)
    return centres[labels] + 0.3 * torch.randn(count, features, generator=random), labels


def glyphs(count: int, seed: int, *, side: int = 16) -> tuple[Tensor, Tensor, Tensor]:
    """Draw a disc, a square, a cross or a ring at a random place of a noisy image.

    Returns:
        Images of one channel, which glyph it is (0 to 3), and its mask.
    """
    random = torch.Generator().manual_seed(seed)
    labels = torch.randint(4, (count,), generator=random)
    size = side * (0.15 + 0.1 * torch.rand(count, 1, 1, generator=random))
    centre = side * (0.3 + 0.4 * torch.rand(2, count, 1, 1, generator=random))
    rows = (torch.arange(side)[None, :, None] - centre[0]).abs()
    columns = (torch.arange(side)[None, None, :] - centre[1]).abs()
    distance = (rows.square() + columns.square()).sqrt()
    inside = torch.stack(
        [
            distance <= size,
            torch.maximum(rows, columns) <= 0.9 * size,
            (torch.minimum(rows, columns) <= 0.35 * size)
            & (torch.maximum(rows, columns) <= 1.2 * size),
            (distance - size).abs() <= 0.3 * size,
        ]
    )
    masks = inside[labels, torch.arange(count)].float()[:, None]
    brightness = 0.5 + 0.5 * torch.rand(count, 1, 1, 1, generator=random)
    noise = 0.15 * torch.randn(masks.shape, generator=random)
    return masks * brightness + noise, labels, masks


def scene(points: Tensor) -> Tensor:
    """Return the grey value of a picture with coarse and fine detail at points of [-1, 1]^2."""
    x, y = points[:, :1], points[:, 1:]
    coarse = (3 * x + y).sin() * (2 * y - x).cos()
    fine = (14 * x).sin() * (11 * y + 3 * x).sin()
    return 0.6 * coarse + 0.4 * fine


def grid(side: int) -> Tensor:
    """Return the points of a square grid over [-1, 1]^2, corners included."""
    ticks = torch.linspace(-1, 1, side)
    return torch.cartesian_prod(ticks, ticks)


def ratings(count: int, seed: int, *, users: int, items: int) -> tuple[Tensor, Tensor]:
    """Return who rates what (two integers), and the rating; few of them rate most.

    The ratings have mean 0 and are the products of four hidden tastes, with a little noise.
    """
    tastes = torch.Generator().manual_seed(99)
    of_users = torch.randn(users, 4, generator=tastes) / 2
    of_items = torch.randn(items, 4, generator=tastes)
    random = torch.Generator().manual_seed(seed)
    who = (users * torch.rand(count, generator=random) ** 4).long()
    what = (items * torch.rand(count, generator=random) ** 4).long()
    score = (of_users[who] * of_items[what]).sum(dim=1)
    return torch.stack([who, what], dim=1), score + 0.1 * torch.randn(count, generator=random)
