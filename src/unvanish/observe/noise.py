"""How far the gradients of different batches agree, from looks that were made anyway."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from unvanish.core.conditions import GradientNoise
from unvanish.observe.look import Look
from unvanish.observe.statistics.magnitude import chunks, dense_values


def gradient_noise(looks: Sequence[Look]) -> GradientNoise | None:
    """Compare the gradients of the probe batches with each other.

    With independent batches the gradient of each is G plus noise of covariance C. The mean of
    <g_i, g_j> over pairs is |G|^2 without bias, and half the mean of |g_i - g_j|^2 is tr(C).

    Args:
        looks: One look a batch, all at the same weights.

    Returns:
        The noise; None for fewer than two batches, and where a gradient is not finite or has
        no dense form.
    """
    if len(looks) < 2:
        return None
    tables = _products([_gradients(look) for look in looks])
    if tables is None:
        return None
    products = _summed(tables.values())
    everyone = range(len(looks))
    estimate = _signal_to_noise(products, everyone)
    if not math.isfinite(estimate):
        return None
    without = [
        _signal_to_noise(products, [j for j in everyone if j != i])
        for i in everyone
        if len(looks) > 2
    ]
    return GradientNoise(
        parts=len(looks),
        samples=round(sum(look.batch_size for look in looks) / len(looks)),
        signal_to_noise=estimate,
        standard_error=_jackknife(without),
        by_parameter={
            name: ratio
            for name, table in tables.items()
            if math.isfinite(ratio := _signal_to_noise(table, everyone))
        },
    )


def _gradients(look: Look) -> dict[str, Tensor]:
    return {
        name: dense_values(grad.tensor) if grad.tensor.is_complex() else grad.tensor.detach()
        for name, grad in look.gradients.parameters.items()
        if grad.tensor.numel() and grad.exponent == 0
    }


def _products(gradients: Sequence[dict[str, Tensor]]) -> dict[str, list[list[float]]] | None:
    """Return the inner products of all gradients by parameter; None where one cannot be formed.

    A parameter without a gradient in one batch (an expert that was not chosen) counts as 0.
    """
    if not all(gradients) or any(
        g.layout is not torch.strided for part in gradients for g in part.values()
    ):
        return None
    names = dict.fromkeys(name for part in gradients for name in part)
    tables: dict[str, Tensor] = {}
    for name in names:
        one = next(part[name] for part in gradients if name in part)
        rows = [chunks(part.get(name, torch.zeros_like(one))) for part in gradients]
        for pieces in zip(*rows, strict=True):
            table = torch.stack(pieces).double()
            product = table @ table.T
            tables[name] = tables[name] + product if name in tables else product
    return {name: table.tolist() for name, table in tables.items()}


def _summed(tables: Iterable[list[list[float]]]) -> list[list[float]]:
    return [
        [math.fsum(entries) for entries in zip(*rows, strict=True)]
        for rows in zip(*tables, strict=True)
    ]


def _signal_to_noise(products: list[list[float]], parts: Sequence[int]) -> float:
    count = len(parts)
    if count < 2:
        return math.nan
    across = sum(products[i][j] for i in parts for j in parts if i != j) / (count * (count - 1))
    noise = sum(products[i][i] for i in parts) / count - across
    return across / noise if noise > 0.0 else math.nan


def _jackknife(without: Sequence[float]) -> float:
    """Return the standard error from the estimates that leave out one part each."""
    count = len(without)
    if count < 3 or not all(map(math.isfinite, without)):
        return math.nan
    mean = sum(without) / count
    return math.sqrt((count - 1) / count * sum((x - mean) ** 2 for x in without))
