"""What builds a treated network anew: the same one that the trial has trained."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import nn

from unvanish.core.cures import Origin
from unvanish.core.errors import UnvanishError
from unvanish.core.proofs import Job
from unvanish.curing.loading import experiment_from, reloaded
from unvanish.observe.batch import Batch
from unvanish.observe.loss import compute_loss
from unvanish.observe.optimizer import follow
from unvanish.prove.experiment import Experiment, Subject


@dataclass(frozen=True, kw_only=True)
class Blueprint:
    """A network, its remedies and the data they are applied on.

    Attributes:
        experiment: What was trained on what.
        remedies: Names, in the order in which they are applied.
        rate_factor: What the learning rates are multiplied by.
        folder: Working directory that the user's code is run in; None for the present one.
    """

    experiment: Experiment
    remedies: tuple[str, ...] = ()
    rate_factor: float = 1.0
    folder: Path | None = None
    _subjects: WeakKeyDictionary[nn.Module, Subject] = field(
        default_factory=WeakKeyDictionary, repr=False, compare=False
    )

    def build(self, seed: int = 0) -> nn.Module:
        """Build the treated network, as it is before its training.

        Args:
            seed: Seed of its initial weights.

        Returns:
            The network in training mode; the network as it is where nothing is to be changed.
        """
        subject = self._subject(seed)
        self._subjects[subject.model] = subject
        return subject.model

    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """Return an optimiser with the settings that the network was judged with.

        Args:
            model: From `build`, or a copy of such a network.
        """
        subject = self._subjects.pop(model, None)
        if subject is not None:
            return subject.optimizer
        made = follow(self._first.optimizer, self._first.model, model)
        assert isinstance(made, torch.optim.Optimizer)
        return made

    @property
    def loss(self) -> Callable[..., torch.Tensor]:
        """``loss(output, target)``: what the network was judged with."""
        used = self._first.loss
        if callable(used):
            return used

        def loss(output: Any, target: Any = None) -> torch.Tensor:
            return compute_loss(used, output, Batch(None, target))[0]

        return loss

    def batches(self, seed: int = 0) -> Iterator[Any]:
        """Return the training batches without end, in the order of a run of the trial.

        Args:
            seed: Decides the order.
        """
        return self.experiment.partition.stream(seed)

    @property
    def autocast(self) -> str:
        """Number type of the autocast region; empty for none."""
        return self._first.autocast

    @property
    def clip_grad_norm(self) -> float | None:
        """Largest gradient norm of the training loop; None for no limit."""
        return self._first.clip_grad_norm

    @cached_property
    def _first(self) -> Subject:
        return self._subject(0)

    def _subject(self, seed: int) -> Subject:
        around: AbstractContextManager[Any] = nullcontext()
        if self.experiment.surroundings is not None:
            around = self.experiment.surroundings()
        with _inside(self.folder), around:
            return self.experiment.subject(
                Job(remedies=self.remedies, rate_factor=self.rate_factor, seed=seed)
            )


def rebuilt(
    origin: Origin,
    remedies: Sequence[str] = (),
    rate_factor: float = 1.0,
    *,
    folder: Path | None = None,
    sources: Mapping[str, str] | None = None,
) -> Blueprint:
    """Load a network and its data again, and return what builds the treated network.

    Args:
        origin: What the network was loaded from.
        remedies: Names, in the order in which they are applied.
        rate_factor: What the learning rates are multiplied by.
        folder: Working directory in which `origin` is meant; None for the present one.
        sources: File, from `folder`, to the SHA-256 that it has to have.

    Returns:
        The blueprint.

    Raises:
        UnvanishError: If the network cannot be loaded, or a file is not what was treated.
    """
    with _inside(folder):
        for name, digest in (sources or {}).items():
            _check(name, digest, origin)
        recipe = reloaded(origin)
        experiment = experiment_from(origin, recipe)
    return Blueprint(
        experiment=experiment,
        remedies=tuple(remedies),
        rate_factor=rate_factor,
        folder=folder,
    )


def digest(path: Path) -> str:
    """Return the SHA-256 of a file.

    Args:
        path: The file.
    """
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _check(name: str, expected: str, origin: Origin) -> None:
    path = Path(name)
    said = "is gone" if not path.is_file() else ""
    if not said and digest(path) != expected:
        said = "has changed since the network was treated"
    if said:
        raise UnvanishError(
            f"{path.name} {said}, and what was proven is about the file as it was",
            where=str(path.absolute()),
            help=f"unvanish cure {origin.target} --save FOLDER   tries and saves it anew",
        )


def _inside(folder: Path | None) -> AbstractContextManager[Any]:
    return nullcontext() if folder is None else contextlib.chdir(folder)
