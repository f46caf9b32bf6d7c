"""Scale the output layer so that the first answers are undecided, or of the targets' size."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Final, final

from unvanish.core.conditions import DataRole
from unvanish.core.glossary import Quantity
from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.anatomy import Layer
from unvanish.treat.drawing import each, free, is_trained, set_weight
from unvanish.treat.gains import EXCHANGES, STARTS
from unvanish.treat.protocol import Case, Patient

_UNDECIDED: Final = 0.5
"""Root mean square of an undecided answer: the +-1/2 of UV203."""
_ENOUGH: Final = 2.0
"""An output that is this many times as large as it should be is scaled."""


@final
@dataclass(frozen=True, kw_only=True)
class OutputScale:
    r"""Make the answers of the output layer small, so that none is sure before it has learnt.

    ## When to use
    Outputs that start at an end of their sigmoid, tanh or softmax, or that are many times as
    large as the targets: the first steps are then spent on unlearning them.

    ## What it changes
    Weight and bias of every output layer are multiplied by one factor, so that its answers to
    the first batch have a root mean square of 0.5, or that of the targets where a regression
    has no function at its end. Layers that are small enough already are left as they are.

    ## What it costs
    The gradient that reaches all earlier layers shrinks by the same factor in the first steps.

    ## Settings
    ``<weight> factor``: what each output layer is multiplied by.

    ## Where we differ
    Andrychowicz and others shrink the last layer of a policy by 100, whatever it says; we
    measure what it says and stop at answers that a sigmoid or softmax has its full slope for.

    ## Composes with
    Every other initialisation, which is made first.

    ## Evidence
    3 layers with a sigmoid and a squared error at random labels, the last weights 300 times too
    large, 200 steps of SGD 0.1 (3 draws): the loss ends at 0.19 to 0.20, untreated at 0.41 to
    0.55, where a guess has 0.25.

    ## Source
    LeCun, Bottou, Orr and Müller (1998), section 4.5, on outputs at the ends of a sigmoid;
    Andrychowicz and others (2021), section 3.2, on the last layer of policies.
    """

    name: ClassVar[str] = "output-scale"
    treats: ClassVar[frozenset[str]] = frozenset({"UV203", "UV102", "UV506", "UV507"})
    change: ClassVar[Change] = Change.INITIALISATION
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.ARCHITECTURE, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["lecun1998"], SOURCES["andrychowicz2021"])
    after: ClassVar[frozenset[str]] = EXCHANGES | STARTS
    excludes: ClassVar[frozenset[str]] = frozenset()

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit networks whose output layer answers louder than it should."""
        outputs = [layer for layer in free(case) if layer.is_output]
        if not outputs:
            return NotApplicable("it has no trained output layer")
        size = case.recording[Quantity.ACTIVATION_RMS]
        factors, quiet = {}, []
        for layer in outputs:
            wanted = _wanted(layer, case)
            loud = size.get(layer.site)
            if not math.isfinite(loud) or not math.isfinite(wanted) or loud == 0.0:
                continue
            if loud > _ENOUGH * wanted:
                factors[layer.weight] = wanted / loud
            else:
                quiet.append(f"{layer.weight} answers {loud:.3g}")
        if not factors:
            said = ", ".join(quiet) or "its answers are not finite or were not measured"
            return NotApplicable(f"no output is too large: {said}")
        loudest = min(factors, key=lambda name: factors[name])
        return Prescription(
            remedy=self.name,
            why=f"the answers of {loudest} are {1.0 / factors[loudest]:.3g} times too large",
            change=self.change,
            keeps=self.keeps,
            settings={f"{name} factor": factor for name, factor in factors.items()},
            places=tuple(factors),
            cost="smaller gradients at first in all earlier layers",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Multiply weights and biases."""
        for layer, weight, _ in each(patient, prescription.places):
            factor = float(prescription.settings[f"{layer.weight} factor"])
            set_weight(patient, layer, weight * factor)
            if layer.bias and is_trained(patient, layer.bias):
                bias = patient.surgery.weight_of(layer.bias)
                patient.surgery.set_values(layer.bias, bias * factor)


def _wanted(layer: Layer, case: Case) -> float:
    """Return the root mean square that the answers of an output layer should have."""
    targets = [d for d in case.recording.data if d.role is DataRole.TARGET]
    sizes = [d.rms for d in targets if math.isfinite(d.rms) and d.rms > 0.0]
    is_regression = "mse" in case.recording.context.loss or any(
        word in case.recording.context.loss for word in ("l1", "huber")
    )
    if layer.activation or not is_regression or not sizes:
        return _UNDECIDED
    return max(sizes)
