"""Which outputs of a regression are far from their targets, and how these are standardised."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import torch
from torch import Tensor

from unvanish.core.records import Role, Site
from unvanish.diagnose.comparisons import BINARY, Comparison, comparisons
from unvanish.diagnose.neighbours import VIEWS, Neighbours
from unvanish.diagnose.rules.target_scale import TargetScale
from unvanish.observe.data import named_tensors
from unvanish.treat.ending import spot_of
from unvanish.treat.probing import passing
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.standardising import FROM_THE_END, Moments, moments
from unvanish.treat.unstandardising import slopes_of

_FEWEST: Final = 8
"""Numbers of a feature that its mean and deviation are taken from, at least."""

_PART: Final = " (part "
"""What stands in the name of a part of a target behind that of the whole."""

_SAME: Final = 1e-4
"""Relative difference of two numbers that are the same but for rounding."""

_CONSTANT: Final = 1e-6
"""Deviation over mean below which only rounding makes a target vary: that of UV506."""

_LIMITS: Final = TargetScale()

_BOUNDED: Final = frozenset(
    "sigmoid hardsigmoid tanh hardtanh softsign softmax log_softmax relu6 clamp sin cos".split()
)
"""Functions whose answers end at bounds, which the units of a target would move."""

_POSITIVE: Final = frozenset("relu softplus exp abs square sqrt".split())
"""Functions whose answers are never negative, and are to stay so: they are not shifted."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An output of a regression, and the target that it is compared with.

    Attributes:
        pair: The comparison.
        axis: Axis over features, from the end; 0 where there is none.
        target: The target as it stands in the batch.
        wanted: Its numbers in the shape of the output, in float64.
        own: What brings them to mean 0 and deviation 1.
        said: What is wrong with them, as the rest of a sentence.
    """

    pair: Comparison
    axis: int
    target: Tensor
    wanted: Tensor
    own: Moments
    said: str


def regressions(known: Case | Patient) -> list[Comparison]:
    """Return the regressions of a network whose target is one of the batch, one an output.

    Args:
        known: The network.
    """
    found: dict[int, Comparison] = {}
    for pair in comparisons(Neighbours(known.anatomy.recording)):
        if pair.name not in BINARY and pair.target is not None:
            found.setdefault(pair.value.index, pair)
    return list(found.values())


def judged(known: Case | Patient, pair: Comparison) -> Answer | str:
    """Return what an output is to answer, or why that stays as it is.

    Args:
        known: The network.
        pair: One of its regressions.
    """
    recording, site = known.anatomy.recording, pair.value
    assert pair.target is not None
    name = pair.target.name
    targets = dict(named_tensors(known.batch))
    target = targets.get(name)
    columns: list[int] = []
    if target is None and (whole := targets.get(name.partition(_PART)[0])) is not None:
        columns = _columns(known, pair, whole)
        target = whole if columns else None
    if target is None or target.numel() != site.size:
        return f"{site.name} and the {name} are of different shapes"
    shapes = [[size for size in one if size != 1] for one in (site.shape, target.shape)]
    if shapes[0] != shapes[1] and sorted(shapes[0]) == sorted(shapes[1]):
        return f"{site.name} and the {name} have their axes in another order"
    if site.role is not Role.SIGNAL:
        return f"the loss works on the output before it compares that with the {name}"
    if site.op in _BOUNDED:
        return f"the answers of {site.op} end at bounds, and are not to be moved"
    if any(one.function == "grad" for one in recording.sites):
        return "a derivative of the network is asked for, which would be in other units"
    if _goes_on(known, site):
        return f"what {site.name} makes is used inside of the network, too"
    passed = passing(known.model, known.batch, [spot_of(known, site, "after")])[0]
    if not passed or passed[-1].shape != site.shape:
        return f"the call of {site.name} cannot be told from others of its kind"
    output = passed[-1].double()
    wanted = target.detach().double().reshape(output.shape)
    if not bool(wanted.isfinite().all()) or not bool(output.isfinite().all()):
        return f"the {name} or what {site.name} answers holds NaN or infinite numbers"
    axis = -FROM_THE_END.get(site.function, 1) if output.ndim > 1 else 0
    if columns:  # the others are not compared as they stand: they stay
        axis = -1
        wanted = torch.stack(
            [(wanted if i in columns else output)[:, i] for i in range(output.shape[1])], 1
        )
    rows, answers = _features(wanted, axis), _features(output, axis)
    if rows.shape[1] < _FEWEST:
        return (
            f"{rows.shape[1]} numbers of a feature are too few for its mean and deviation: give a "
            f"batch of {_FEWEST} samples or more"
        )
    if not bool((rows.std(1, correction=0) > _CONSTANT * rows.mean(1).abs()).any()):
        return f"the {name} is constant: there is nothing to explain"
    own = _moments_of(rows, columns) if columns else moments(rows)
    if site.op in _POSITIVE:
        if bool((rows < 0.0).any()):
            return f"{site.op} answers nothing below zero, where the {name} is in part"
        size = torch.hypot(own.mean, own.deviation.expand_as(own.mean))
        own = replace(own, mean=torch.zeros_like(own.mean), deviation=size)
    said, standard = _scale(rows, answers, own, name, site)
    return standard or Answer(pair, axis, target, wanted, own, said)


def _moments_of(rows: Tensor, columns: list[int]) -> Moments:
    """Return what brings some features to mean 0 and deviation 1, and leaves the others."""
    own = moments(rows[columns])
    mean, deviation = torch.zeros_like(rows[:, 0]), torch.ones_like(rows[:, 0])
    mean[columns], deviation[columns] = own.mean, own.deviation
    return replace(own, mean=mean, deviation=deviation, is_common=False)


def _columns(known: Case | Patient, pair: Comparison, whole: Tensor) -> list[int]:
    """Return the columns of a target that regressions compare with those of one output.

    A recording says of a part of a target what its numbers are like, and not where it stands: it
    is the column of the same mean and deviation.
    """
    assert pair.target is not None
    name = pair.target.name.partition(_PART)[0]
    if whole.ndim != 2 or tuple(whole.shape) != pair.value.shape:
        return []
    table = whole.detach().double()
    means, deviations = table.mean(0), table.std(0, correction=0)
    found: list[int] = []
    for one in comparisons(Neighbours(known.anatomy.recording)):
        part = one.target
        if one.value.index != pair.value.index or one.name in BINARY or part is None:
            continue
        if part.name.partition(_PART)[0] != name or math.prod(part.shape) != len(table):
            continue
        same = torch.isclose(means, torch.tensor(part.mean, dtype=means.dtype), rtol=_SAME)
        same &= torch.isclose(deviations, torch.tensor(part.std, dtype=means.dtype), rtol=_SAME)
        if int(same.sum()) != 1:
            return []
        found.append(int(same.nonzero()))
    return found


def _scale(rows: Tensor, answers: Tensor, own: Moments, name: str, site: Site) -> tuple[str, str]:
    """Say what is wrong with a target, or why it is left as it is; one of both is empty."""
    mean, rms = rows.mean(1), float(answers.square().mean().sqrt())
    apart = torch.minimum((mean - answers.mean(1)).abs(), mean.abs())
    varies = rows.std(1, correction=0) > _CONSTANT * mean.abs()
    divisor = own.deviation.expand_as(mean)
    offset = float((apart / divisor)[varies].max())
    largest = float(torch.hypot(apart, rows.std(1, correction=0)).max())
    wanted = float(rows.square().mean().sqrt())
    if offset > _LIMITS.max_offset:
        said = f"lies {offset:.3g} of its deviations away from it"
    elif largest > _LIMITS.max_size * max(rms, 1.0):
        said = f"is {largest / max(rms, 1.0):.3g} times as large"
    elif rms > _LIMITS.max_size * wanted:
        said = f"is {rms / wanted:.3g} times as small"
    else:
        return "", (
            f"the {name} has mean {float(rows.mean()):.3g} and deviation "
            f"{float(rows.std(correction=0)):.3g}, which is in reach of {site.name} (rms "
            f"{rms:.3g}) as it is"
        )
    before = float(((answers - rows) / divisor[:, None]).square().mean().sqrt())
    after = float((answers - (rows - own.mean[:, None]) / divisor[:, None]).square().mean().sqrt())
    if after >= before:
        return "", (
            f"{site.name} starts with answers of rms {rms:.3g}, {before:.3g} deviations away from "
            f"the {name}: behind it a target of deviation 1 would be {after:.3g} away"
        )
    return said, ""


def _features(values: Tensor, axis: int) -> Tensor:
    """Return values with one row a feature; one row for all where there is no axis of features."""
    return values.movedim(axis, 0).flatten(1) if axis else values.reshape(1, -1)


def slopes(known: Case | Patient, one: Answer) -> tuple[Tensor, bool]:
    """Return what the gradient at an output is multiplied by: see `slopes_of`.

    Args:
        known: The network.
        one: The output and its target.

    Returns:
        One number a feature, and whether that gives the gradient of standardised targets.
    """
    shape = (-1,) + (1,) * (-one.axis - 1) if one.axis else (1,) * one.wanted.ndim
    deviation = one.own.deviation.expand_as(one.own.mean)
    return slopes_of(
        known.model,
        known.batch,
        known.loss,
        spot=spot_of(known, one.pair.value, "after"),
        target=one.target,
        wanted=one.wanted,
        deviation=deviation.reshape(shape),
        comparison=one.pair.name,
    )


def _goes_on(known: Case | Patient, site: Site) -> bool:
    """Tell whether a step works on what another one makes, inside of the network."""
    neighbours = Neighbours(known.anatomy.recording)
    waiting = [site]
    while waiting:
        for one in neighbours.consumers(waiting.pop()):
            if one.op in VIEWS and not one.weights:
                waiting.append(one)
            elif one.role is Role.SIGNAL:
                return True
    return False
