"""Gradient centralisation: each unit's gradient loses its mean over the inputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.drawing import drawable
from unvanish.treat.optimising.exchange import EXCHANGES, KEEPS_ALL, attach, unit_axes
from unvanish.treat.optimising.gradients import Centralise
from unvanish.treat.protocol import Case, Patient


@final
@dataclass(frozen=True, kw_only=True)
class CentraliseGradient:
    """Take from each unit's gradient its mean over the inputs (gradient centralisation).

    ## When to use
    Under SGD, behind activations with a mean far from zero (sigmoid, ReLU), which make the loss
    curve more sharply along one direction of each layer than along all others. It is offered for no
    finding: see the evidence. Ask for it by name.

    ## What it changes
    The optimiser is put into a wrapper that subtracts from the gradient of each unit's incoming
    weights its mean, so that their sum stays what it was. Vectors, embeddings and recurrent layers
    are left alone.

    ## What it costs
    A copy of the gradients while a step runs. One direction of each unit is no longer trained; its
    bias still is.

    ## Settings
    None.

    ## Where we differ
    The units' axis follows the layer, as in clip-units. ``.grad`` is the loss's own again after the
    step.

    ## Composes with
    Every other remedy.

    ## Evidence
    Without effect on the largest rate: a ReLU network of 6 layers with He's weights diverges at
    SGD's rate 1.0 with it and without. At 0.3 the loss after 150 steps is 0.008 in place of 0.020,
    at the same accuracy, 0.96 (digits, width 64, batch 128, two seeds). It cures no vanishing: no
    gradient becomes longer.

    ## Source
    Yong, Huang, Hua and Zhang (2020), equation 1.
    """

    name: ClassVar[str] = "centralise-gradient"
    treats: ClassVar[frozenset[str]] = frozenset()
    change: ClassVar[Change] = Change.OPTIMISER
    keeps: ClassVar[frozenset[Keeps]] = KEEPS_ALL
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["yong2020"],)
    after: ClassVar[frozenset[str]] = EXCHANGES
    excludes: ClassVar[frozenset[str]] = frozenset()

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit layers with a bias, which goes on to move what the mean no longer does."""
        places = tuple(
            layer.weight
            for layer in drawable(case)
            if layer.bias and not layer.is_recurrent and not layer.reads_data
        )
        if not places:
            return NotApplicable("no layer behind another one has a bias to take over the mean")
        return Prescription(
            remedy=self.name,
            why=f"{len(places)} layers are fed by others whose mean need not be zero",
            change=self.change,
            keeps=self.keeps,
            places=places,
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Put the centring around the optimiser."""
        axes = unit_axes(patient, prescription.places)
        attach(patient, Centralise(axes), f"gradients of {len(axes)} weights without their mean")
