"""What a remedy is: its card, whether it fits a network, and what it does to it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from torch import nn

from unvanish.core.findings import Cause, Diagnosis
from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.records import Recording
from unvanish.core.sources import Source
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.anatomy import Anatomy
from unvanish.treat.surgery import Surgery

CARD_HEADINGS = (
    "When to use",
    "What it changes",
    "What it costs",
    "Settings",
    "Where we differ",
    "Composes with",
    "Evidence",
    "Source",
)
"""Headings of a remedy's card, in order; each stands on a line of its own after ``## ``."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A network and everything that is known about it. To be read, not to be changed.

    Attributes:
        model: The network.
        batch: The first batch, as `unvanish.observe.batch.as_batch` reads it.
        loss: ``loss(output, target)``, a name, or None where the network brings its own or it
            is inferred.
        optimizer: An optimiser over the network's parameters; None where none is known.
        recording: One look at the network.
        diagnosis: What the rules said about it; empty where a remedy is forced.
        anatomy: Its layers.
        asked: Names of the remedies that were asked for by name, and are to be tried even where
            what they change looks like a choice.
    """

    model: nn.Module
    batch: Any
    loss: Callable[..., Any] | str | None
    optimizer: torch.optim.Optimizer | None
    recording: Recording
    diagnosis: Diagnosis
    anatomy: Anatomy
    asked: frozenset[str] = frozenset()

    @property
    def codes(self) -> frozenset[str]:
        """Codes of the findings, and of what they come to.

        A forward pass that ends in no number since the start is too large explodes (UV102), further
        than the gradient could be measured.
        """
        found = {finding.code for finding in self.diagnosis.findings}
        overflows = any(
            finding.code == "UV403" and finding.causes[:1] == (Cause.INIT_TOO_LARGE,)
            for finding in self.diagnosis.findings
        )
        return frozenset(found | {"UV102"} if overflows else found)

    @property
    def causes(self) -> frozenset[Cause]:
        """Every cause that a finding names."""
        return frozenset(c for finding in self.diagnosis.findings for c in finding.causes)


@dataclass(kw_only=True)
class Patient:
    """What a remedy acts on; all of it may be changed.

    Attributes:
        surgery: Changes the network and its optimiser, with books and undo.
        batch: The first batch.
        loss: As in `Case`; a remedy may put another in its place.
        anatomy: The layers, as they were when the treatment began. Paths and parameter names
            are those of ``surgery.model`` as long as no remedy before it renamed one.
        autocast: ``"bfloat16"``, ``"float16"`` or ``""``.
        clip_grad_norm: Largest gradient norm in training; None for no clipping.
    """

    surgery: Surgery
    batch: Any
    loss: Callable[..., Any] | str | None
    anatomy: Anatomy
    autocast: str = ""
    clip_grad_norm: float | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def model(self) -> nn.Module:
        """The network."""
        return self.surgery.model

    @property
    def optimizer(self) -> torch.optim.Optimizer | None:
        """Its optimiser."""
        return self.surgery.optimizer


@runtime_checkable
class Remedy(Protocol):
    """One known way to make a gradient flow.

    The class docstring is the remedy's card, with the headings of `CARD_HEADINGS`.

    Attributes:
        name: In kebab case, as `unvanish fix --remedy NAME` takes it.
        treats: Codes of the rules whose findings it may cure; it is not offered for others.
        change: What it touches at the least; a prescription may say that it touches more.
        keeps: What it leaves as it is at the most. A prescription promises all of it or less,
            and is held to that by `unvanish.testing.check_remedy`.
        sources: Where it comes from.
        after: Names of remedies that, in a combination, are applied before this one.
        excludes: Names of remedies that it cannot be combined with.
    """

    name: ClassVar[str]
    treats: ClassVar[frozenset[str]]
    change: ClassVar[Change]
    keeps: ClassVar[frozenset[Keeps]]
    sources: ClassVar[tuple[Source, ...]]
    after: ClassVar[frozenset[str]]
    excludes: ClassVar[frozenset[str]]

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Say what to do for this network, or why this remedy is not for it. Changes nothing.

        It is about fit, not need: a remedy that could be applied says so even where nothing is
        wrong, and `treats` says what it is offered for.
        """
        ...

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Do it, through ``patient.surgery``.

        Raises:
            UnvanishError: If it turns out not to fit after all. What was done is undone.
        """
        ...
