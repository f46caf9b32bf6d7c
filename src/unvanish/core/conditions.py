"""Under which conditions a look was made: the run, its optimiser, its data, its probe steps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

RESCALES_DECAY: Final = frozenset({"Adam", "NAdam", "RAdam", "Adamax", "RMSprop", "Adagrad"})
"""Optimisers that add the weight decay to the gradient, and rescale the sum."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimizer:
    """The optimiser the user really uses; None where a setting does not exist.

    Attributes:
        name: Class name.
        lr: Learning rate of the first parameter group.
        eps: What it adds to the gradient's size before it divides by it.
        betas: Decay rates of the running means of the gradient and its square.
        momentum: Of plain gradient descent and its kin.
        weight_decay: Of the first group.
        clip_grad_norm: Largest total gradient norm.
        initial_lr: Learning rate that an attached scheduler started from.
        unsteered: Whether the scheduler that set the learning rate is gone, so that nothing can
            raise it again.
        foreign: Shapes of the tensors it holds that the network does not have, each once.
    """

    name: str
    lr: float | None = None
    eps: float | None = None
    betas: tuple[float, float] | None = None
    momentum: float | None = None
    weight_decay: float | None = None
    clip_grad_norm: float | None = None
    initial_lr: float | None = None
    unsteered: bool = False
    foreign: tuple[tuple[int, ...], ...] = ()

    def __str__(self) -> str:
        settings = [
            f"{word} {value:g}"
            for word, value in (
                ("lr", self.lr),
                ("momentum", self.momentum),
                ("eps", self.eps),
                ("weight decay", self.weight_decay),
                ("clip norm", self.clip_grad_norm),
            )
            if value
        ]
        return f"{self.name}({', '.join(settings)})"


class DataRole(StrEnum):
    """What a tensor of the batch is for."""

    INPUT = "input"
    TARGET = "target"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataTensor:
    """One tensor of the first probe batch.

    Attributes:
        name: Where it stands in the batch: ``"input"``, ``"input[1]"``, ``"input['mask']"``.
        role: Input or target.
        dtype: Such as ``"float32"``.
        shape: With the batch.
        rms: Root mean square of its finite values; ``nan`` for integers and booleans.
        mean: Mean of its finite values.
        std: Standard deviation of its finite values.
        low: Smallest value, integers included.
        high: Largest value, integers included.
        negative_fraction: Share of its values below zero.
        feature_spread: Largest root mean square of a feature over the median one, features
            on the last axis of a table; ``nan`` where there are no features to compare.
        non_finite: How many of its values are NaN or infinite.
        site: Index of the first site that uses it, where one was seen.
        association: For an input of a network that repeats steps, how surely the target depends
            on what it holds at each step of the sequence, in standard errors above what
            independent samples would give; empty where it was not measured.
    """

    name: str
    role: DataRole = DataRole.INPUT
    dtype: str = ""
    shape: tuple[int, ...] = ()
    rms: float = math.nan
    mean: float = math.nan
    std: float = math.nan
    low: float = math.nan
    high: float = math.nan
    negative_fraction: float = math.nan
    feature_spread: float = math.nan
    non_finite: int = 0
    site: int | None = None
    association: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeStep:
    """One step of the user's optimiser on a copy, and what it did to the loss of its batch.

    Attributes:
        loss_before: Loss of the batch before the step; ``inf`` where it is no number.
        loss_after: Loss of the same batch, under the same random numbers, after it; ``inf``
            where it is no number, ``nan`` where it was not read.
        predicted_change: <gradient, w after - w before>: the change a straight line predicts.
            The gradient is the loss's own, before any clipping.
        curvature_ratio: <step, H step> / -<gradient, step>: below 2 the step lowers a
            quadratic loss; for gradient descent it is the learning rate times the curvature
            along the step. Where a whole step raises the loss it is measured on the first part
            of it that does not.
        slope_ratio: Slope of the loss along the step over <gradient, step>, by differences: 1
            for a right gradient. Measured on the first step where the forward pass writes
            into values behind autograd's back, ``nan`` elsewhere.
    """

    loss_before: float = math.nan
    loss_after: float = math.nan
    predicted_change: float = math.nan
    curvature_ratio: float = math.nan
    slope_ratio: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class RateTrial:
    """Where more steps at hand lead at the user's learning rate, and at a multiple of it.

    Both start from the network as it is, on copies, and take the probe batches in turn. The
    losses are means over those batches.

    Attributes:
        steps: Number of steps of each.
        loss_before: The loss at the start.
        loss_after: The loss after the steps at the user's learning rate; ``inf`` where it is
            no number.
        loss_after_scaled: The same at `factor` times the learning rate.
        factor: A tenth where the rate looked too large, a hundred and more where too small.
    """

    steps: int
    loss_before: float = math.nan
    loss_after: float = math.nan
    loss_after_scaled: float = math.nan
    factor: float = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortTraining:
    """What a copy learns from the probe batches, taken in turn at the user's learning rate.

    The losses are means over the batches.

    Attributes:
        steps: Number of steps.
        loss_before: The loss at the start.
        loss_after: The loss after the steps; not finite where the training diverged.
        loss_mismatched: The loss after the steps where each batch's target meets the inputs of
            another one: what is left of it where nothing was learnt about the inputs; ``nan`` where
            no two batches can exchange their targets.
        loss_undecayed: The loss after the steps of another copy, without weight decay; ``nan``
            where that was not asked.
        dropped: The largest share of a signal that dropout takes, where that was asked.
        loss_whole_before: The loss at the start with nothing dropped.
        loss_whole_after: The loss after the steps with nothing dropped.
        loss_undropped: The loss after the steps of another copy, of which nothing is ever dropped.
    """

    steps: int
    loss_before: float = math.nan
    loss_after: float = math.nan
    loss_mismatched: float = math.nan
    loss_undecayed: float = math.nan
    dropped: float = math.nan
    loss_whole_before: float = math.nan
    loss_whole_after: float = math.nan
    loss_undropped: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class LossTerm:
    """One of several terms that the loss adds up.

    Attributes:
        site: Index of the site that the term is named after: the last one that does more than
            scale, sum or average.
        value: What the term adds to the loss of the first batch; ``nan`` where it was not read.
        is_fit: Whether it compares an answer with data, and cannot fall below zero.
        log10_grads: For each of the terms, log10 of the norm of this one's gradient at the
            parameters that both have one at; ``nan`` where there is none, and where both compare
            with the same data, as auxiliary heads do.
    """

    site: int
    value: float = math.nan
    is_fit: bool = False
    log10_grads: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TermTrial:
    """What becomes of a term of the loss, and what where it weighs as much as those that drown it.

    Two copies take the probe batches in turn. All numbers are means of the one term over those
    batches. The mismatched ones let the answers meet the targets of other samples: what is left
    of a term where nothing was learnt about the inputs, ``nan`` where the targets cannot be moved.

    Attributes:
        term: Index of the term in `Recording.terms`.
        steps: Number of steps of each copy; the first one ends early where it learns.
        factor: What its gradient was multiplied with in the second copy, to be as large as the
            loudest one at the parameters that both reach.
        before: The term at the start.
        after: The term after the steps.
        mismatched: The same, mismatched.
        balanced: The term after the steps of the second copy; ``nan`` where the first one learnt,
            and no second one was asked.
        balanced_mismatched: The same, mismatched.
    """

    term: int
    steps: int
    factor: float
    before: float = math.nan
    after: float = math.nan
    mismatched: float = math.nan
    balanced: float = math.nan
    balanced_mismatched: float = math.nan

    @property
    def is_compared(self) -> bool:
        """Whether the targets that were moved have a say in the term at all."""
        return not math.isnan(self.balanced_mismatched) and (
            self.balanced_mismatched != self.balanced
        )

    @property
    def left(self) -> float:
        """The term after the steps over what it is where nothing was learnt."""
        return _over(self.after, self.mismatched if self.is_compared else self.before)

    @property
    def balanced_left(self) -> float:
        """The same of the second copy."""
        nothing = self.balanced_mismatched if self.is_compared else self.before
        return _over(self.balanced, nothing)


def _over(part: float, whole: float) -> float:
    return part / whole if whole > 0.0 else math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class GradientNoise:
    """How far the gradients of different samples agree.

    Attributes:
        parts: Disjoint parts of the data whose gradients were compared.
        samples: Samples in one part.
        signal_to_noise: |mean gradient|^2 / tr(covariance of the gradient of one batch),
            estimated without bias, so that it may come out negative where there is no signal.
        standard_error: Of the estimate, over the parts.
        by_parameter: Name of a parameter to the same ratio of its own gradient.
    """

    parts: int
    samples: int
    signal_to_noise: float
    standard_error: float = math.nan
    by_parameter: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunContext:
    """Under which conditions a recording was made.

    Attributes:
        seed: Seed of every random generator during the probe.
        dtype: Commonest parameter type, such as ``"float32"``.
        autocast: Type of the autocast region the probe ran under, or ``""``.
        device: Device of the parameters.
        training: Whether the root module was in training mode.
        batch_size: Samples in a probe batch; 0 where it could not be told.
        batches: Number of probe batches.
        probe_steps: Optimiser steps taken on a copy before the second look.
        loss: Name of the loss.
        loss_value: Loss at the first batch.
        optimizer: The user's optimiser, or None.
        parameters: Number of parameter entries.
        modules: How many modules of each leaf class, such as ``{"Linear": 30}``.
        grad_dtype: Type in which gradients were measured: ``"float32"``; ``"float64"``
            where a float32 gradient read zero and the probe was repeated; ``"extended"``
            where even float64 did and exponents were kept apart.
        inferred: What was not given and had to be inferred, one sentence each.
        standing: Names of the tensors that counted as data although they do not come with the
            batch: buffers and constants that most layers work on, and not on the batch.
        versions: Versions of python, torch and unvanish.
        seconds: Wall time of the whole look.
    """

    seed: int = 0
    dtype: str = "float32"
    autocast: str = ""
    device: str = "cpu"
    training: bool = True
    batch_size: int = 0
    batches: int = 1
    probe_steps: int = 0
    loss: str = ""
    loss_value: float = math.nan
    optimizer: Optimizer | None = None
    parameters: int = 0
    modules: Mapping[str, int] = field(default_factory=dict)
    grad_dtype: str = "float32"
    inferred: tuple[str, ...] = ()
    standing: tuple[str, ...] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    seconds: float = math.nan
