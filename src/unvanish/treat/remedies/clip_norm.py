"""Clipping by norm: the whole gradient is shortened to a largest norm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.optimising.exchange import EXCHANGES, KEEPS_ALL, attach
from unvanish.treat.optimising.gradients import ClipNorm
from unvanish.treat.protocol import Case, Patient


@final
@dataclass(frozen=True, kw_only=True)
class ClipByNorm:
    """Shorten the whole gradient to a largest norm before each step.

    ## When to use
    Gradients that explode (UV102), now or on single batches, and steps that throw the weights away
    (UV404). Never for a gradient that vanishes: see below.

    ## What it changes
    The optimiser is put into a wrapper. In each step the gradient of all parameters together is
    multiplied by min(1, max_norm / norm). Its direction, and the ratio of one layer to another,
    stay.

    ## What it costs
    A copy of the gradients while a step runs. Nothing that is measurable in time.

    ## Settings
    max_norm: 1, what is usual for transformers and recurrent networks. Pascanu and others set it to
    half to ten times the mean norm of a run that goes well.

    ## Where we differ
    `torch.nn.utils.clip_grad_norm_` takes the norm in the type of the gradients: from 1.8e19 on it
    is infinite in float32, and every gradient becomes zero. Here it is taken in float64. ``.grad``
    is the loss's own again after the step.

    ## Composes with
    Every other remedy. With an optimiser that divides by the size of the gradient, as Adam does, a
    constant factor changes nothing, and clipping acts on spikes alone.

    ## Evidence
    A ReLU network of 12 layers with weights 2.5 / sqrt(fan-in), which explodes, under SGD at 0.1
    with momentum 0.9: 0.85 after 150 steps, where the loss without clipping is no number (digits,
    width 64, batch 128, mean test accuracy of two seeds). It cures no vanishing: beside a layer
    with a large gradient, one of 1e-9 comes out smaller.

    ## Source
    Pascanu, Mikolov and Bengio (2013), algorithm 1.
    """

    name: ClassVar[str] = "clip-norm"
    treats: ClassVar[frozenset[str]] = frozenset({"UV102", "UV404"})
    change: ClassVar[Change] = Change.OPTIMISER
    keeps: ClassVar[frozenset[Keeps]] = KEEPS_ALL
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["pascanu2013"],)
    after: ClassVar[frozenset[str]] = EXCHANGES
    excludes: ClassVar[frozenset[str]] = frozenset({"clip-percentile"})

    def assess(self, case: Case) -> Prescription | NotApplicable:  # noqa: ARG002
        """Fit every network."""
        return Prescription(
            remedy=self.name,
            why="no step is longer than a gradient of norm 1 makes it",
            change=self.change,
            keeps=self.keeps,
            settings={"max_norm": 1.0},
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Put the clipping around the optimiser."""
        largest = float(prescription.settings["max_norm"])
        attach(patient, ClipNorm(largest), f"gradient norm at most {largest:g}")
        old = patient.clip_grad_norm
        patient.clip_grad_norm = largest if old is None else min(old, largest)
