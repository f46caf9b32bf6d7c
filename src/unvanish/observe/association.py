"""Which steps of a sequence the target has to do with, as far as the batch itself can tell."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

_MOST_SAMPLES: Final = 128
_MOST_FEATURES: Final = 2**14
"""Steps times features: more would cost more than a glance."""

_MOST_KINDS: Final = 61
"""Kinds of a token or a class that are told apart; more are put into as many bins."""

_FEWEST_SAMPLES: Final = 8
_FEWEST_STEPS: Final = 4


def associations(values: Tensor, targets: Sequence[Tensor]) -> tuple[float, ...]:
    """Say how surely a target depends on what an input holds at each step.

    The statistic is |X^T Y|^2 with the centred features X of one step and Y of the target:
    numbers over their standard deviation, kinds as indicators. For independent samples it is a
    weighted sum of chi-squares, whose first two moments the features give; Wilson and
    Hilferty's cube root turns it into a standard normal number.

    Args:
        values: An input of samples, steps and, where there are any, features; or with the steps
            first.
        targets: The tensors of the target.

    Returns:
        Standard errors, step by step, the largest over the targets; empty where the batch has no
        such axes or too few samples.
    """
    found: list[Tensor] = []
    for target in targets:
        answers = _answers(target)
        steps = _steps(values, len(target)) if answers is not None else None
        if answers is not None and steps is not None:
            found.append(_standard_errors(steps, answers))
    return tuple(torch.stack(found).amax(0).tolist()) if found else ()


def _answers(target: Tensor) -> Tensor | None:
    """Return the centred features of a target that holds one answer a sample."""
    if target.ndim == 0 or len(target) < _FEWEST_SAMPLES or target.is_complex():
        return None
    some = target.detach()[:_MOST_SAMPLES].reshape(min(len(target), _MOST_SAMPLES), 1, -1).cpu()
    if some.shape[2] > (_MOST_KINDS if some.is_floating_point() else 1):
        return None
    return (_scaled(some) if some.is_floating_point() else _indicators(some[:, 0]))[:, 0]


def _steps(values: Tensor, samples: int) -> Tensor | None:
    """Return the centred features of every step: samples, steps, features."""
    if values.layout is not torch.strided or values.is_complex() or values.ndim not in (2, 3):
        return None
    if len(values) != samples and values.shape[1] == samples:
        values = values.transpose(0, 1)
    steps, features = values.shape[1], values.shape[2:].numel()
    if len(values) != samples or steps < _FEWEST_STEPS or 2 * steps * features > _MOST_FEATURES:
        return None
    some = values.detach()[:_MOST_SAMPLES].cpu()
    if some.is_floating_point():
        return _scaled(some.reshape(len(some), steps, features))
    return _indicators(some) if some.ndim == 2 else None


def _scaled(values: Tensor) -> Tensor:
    """Centre numbers and divide them by their standard deviation; constants become zero."""
    numbers = torch.nan_to_num(values.double(), nan=0.0, posinf=0.0, neginf=0.0)
    centred = numbers - numbers.mean(0)
    size = centred.square().mean(0).sqrt()
    return torch.where(size > 1e-9 * numbers.abs().amax(0), centred / size, 0.0)


def _indicators(kinds: Tensor) -> Tensor:
    """Return one centred indicator for every kind."""
    bins = kinds.long() % min(_MOST_KINDS, _MOST_FEATURES // kinds.shape[1])
    some = torch.nn.functional.one_hot(bins, int(bins.amax()) + 1).double()
    return some - some.mean(0)


def _standard_errors(steps: Tensor, answers: Tensor) -> Tensor:
    """Compare |X^T Y|^2 at every step with what independent samples would give."""
    samples, _, features = steps.shape
    together = torch.einsum("ntf,nc->tfc", steps, answers).square().sum((1, 2))
    inner = "ntf,ntg->tfg" if features <= 32 else "ntf,mtf->tnm"
    spread = torch.einsum(inner, steps, steps).square().sum((1, 2))
    own = (answers.T @ answers).square().sum()
    mean = steps.square().sum((0, 2)) * answers.square().sum() / (samples - 1)
    variance = 2.0 * spread * own / (samples - 1) ** 2
    varies = variance > 0.0
    shape = 2.0 * mean.square() / variance.where(varies, torch.ones_like(variance))
    ninth = 2.0 / (9.0 * shape)
    errors = ((together / mean) ** (1.0 / 3.0) - (1.0 - ninth)) / ninth.sqrt()
    return torch.nan_to_num(errors.where(varies, torch.zeros_like(errors)), nan=0.0)
