"""Everything a training run is made of, and what the runs of a trial have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from unvanish.core.proofs import Endpoint, Job
from unvanish.observe.optimizer import OptimizerLike, build_optimizer, follow, stepping
from unvanish.prove.partition import Partition
from unvanish.prove.twins import deepen
from unvanish.recipe.seeding import seeded
from unvanish.treat.judges import Judge
from unvanish.treat.treatment import treat


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A network about to be trained.

    Attributes:
        model: The network, in training mode.
        optimizer: Steps its parameters.
        loss: What is minimised: ``loss(output, target)``, a name, or None to infer it.
        autocast: ``"bfloat16"``, ``"float16"`` or ``""``.
        clip_grad_norm: Largest gradient norm, or None.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    loss: Callable[..., Any] | str | None
    autocast: str = ""
    clip_grad_norm: float | None = None


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """A network with its data, loss, optimiser and metric, to be trained again and again.

    The data are frozen: every run, whatever its arm, engine or machine, meets the same samples,
    and runs of one seed meet them in the same order.

    Attributes:
        target: What it was made from, as a person would name it.
        make: Makes the network anew from the seed of its initial weights.
        partition: Batches to train on, to choose by and to judge by.
        loss: As in `Subject`, for the network as it is.
        optimizer: ``optimizer(model)``, an optimiser of `model`, or None for AdamW.
        model: The network that an optimiser given as an object steps.
        metric: ``metric(model)`` as the user wrote it; None where the endpoint was inferred.
        endpoint: What the runs are judged by.
        autocast: As in `Subject`.
        clip_grad_norm: As in `Subject`.
        surroundings: What a run of the user's code needs around it, entered for every run.
        judge: What stands for the loss where networks are compared: a term that the others drown,
            or the loss without a broadcast that a check found; None for the loss itself.
        fingerprint: Text that differs where the user's files do; part of what a journal checks.
    """

    target: str
    make: Callable[[int], nn.Module]
    partition: Partition
    loss: Callable[..., Any] | str | None = None
    optimizer: OptimizerLike = None
    model: nn.Module | None = None
    metric: Callable[..., Any] | None = None
    endpoint: Endpoint
    autocast: str = ""
    clip_grad_norm: float | None = None
    surroundings: Callable[[], Any] | None = None
    judge: Judge | None = None
    fingerprint: str = ""

    @property
    def judged_loss(self) -> Callable[..., Any] | str | None:
        """The loss by which networks are compared."""
        return self.loss if self.judge is None else self.judge

    def subject(self, job: Job) -> Subject:
        """Build the network of a run, treat it, and set its learning rate.

        Args:
            job: The run; its remedies are applied to a fresh network, on the first batch of the
                training part.

        Returns:
            The network, as it is before its first step.

        Raises:
            UnvanishError: If the network cannot be built, or a remedy does not fit it.
        """
        with seeded(job.seed + job.redraw):
            model = self.make(job.seed + job.redraw)
            model.train()
            given = self.optimizer
            if self.model is not None and self.model is not model:
                given = follow(given, self.model, model)
            optimizer = build_optimizer(given, model)
        if job.depth != 1.0:
            deepen(
                model,
                job.depth,
                make=self.make,
                batch=self.partition.first,
                seed=job.seed + job.redraw,
                optimizer=optimizer,
            )
        subject = Subject(
            model=model,
            optimizer=optimizer,
            loss=self.loss,
            autocast=self.autocast,
            clip_grad_norm=self.clip_grad_norm,
        )
        if job.remedies:
            subject = self._treated(subject, job)
        scale_rates(subject.optimizer, job.rate_factor)
        return subject

    def _treated(self, subject: Subject, job: Job) -> Subject:
        treated = treat(
            subject.model,
            list(job.remedies),
            self.partition.first,
            subject.loss,
            optimizer=subject.optimizer,
            autocast=subject.autocast,
            clip_grad_norm=subject.clip_grad_norm,
            in_place=True,
            seed=job.seed + job.redraw,
        )
        return Subject(
            model=treated.model,
            optimizer=treated.optimizer or subject.optimizer,
            loss=treated.loss,
            autocast=treated.autocast,
            clip_grad_norm=treated.clip_grad_norm,
        )


def scale_rates(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Multiply the learning rate of every group.

    Args:
        optimizer: A rate held as a tensor is multiplied in place.
        factor: Above 0; 1 changes nothing.
    """
    if factor == 1.0:
        return
    groups = [optimizer.param_groups]
    inner = stepping(optimizer).param_groups
    groups += [inner] if inner is not optimizer.param_groups else []
    for each in groups:
        for group in each:
            for key in ("lr", "initial_lr", "max_lr"):
                if key in group and group[key] is not None:
                    group[key] = group[key] * factor
