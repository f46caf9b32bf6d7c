"""Adaptive clipping: the gradient of each unit is limited by the unit's weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from torch import Tensor

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.drawing import drawable
from unvanish.treat.optimising.exchange import EXCHANGES, KEEPS_ALL, attach, unit_axes
from unvanish.treat.optimising.gradients import ClipUnits
from unvanish.treat.protocol import Case, Patient


@final
@dataclass(frozen=True, kw_only=True)
class ClipByUnits:
    """Limit the gradient of each unit to a share of its weights (adaptive gradient clipping).

    ## When to use
    Gradients that explode (UV102) in networks without normalisation, under SGD with a large
    learning rate, where no single norm fits layers of different sizes.

    ## What it changes
    The optimiser is put into a wrapper. Where the gradient of a unit's incoming weights is longer
    than clipping times these weights, it is shortened to that; biases are taken as one vector each.
    The output layer and embeddings are left alone, as in the paper.

    ## What it costs
    A copy of the gradients while a step runs.

    ## Settings
    clipping: 0.01, and eps, the smallest norm of weights that counts: 0.001. Both are the paper's;
    it found that larger batches and learning rates need a smaller clipping.

    ## Where we differ
    A unit is what the layer computes one output with: the first axis of a linear layer or
    convolution, the second of ``x @ W`` and of a transposed convolution. ``.grad`` is the loss's
    own again after the step.

    ## Composes with
    Every other remedy; made for networks without normalisation.

    ## Evidence
    On the exploding network of clip-norm's card 0.31 after 150 steps, the least of the four that
    end in a number: a hundredth of the weights is little where the start itself has to be undone
    (digits, width 64, batch 128, mean test accuracy of two seeds). It cures no vanishing: a
    gradient below the share is left as it is.

    ## Source
    Brock, De, Smith and Simonyan (2021), section 4.1.
    """

    name: ClassVar[str] = "clip-units"
    treats: ClassVar[frozenset[str]] = frozenset({"UV102"})
    change: ClassVar[Change] = Change.OPTIMISER
    keeps: ClassVar[frozenset[Keeps]] = KEEPS_ALL
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["brock2021"],)
    after: ClassVar[frozenset[str]] = EXCHANGES
    excludes: ClassVar[frozenset[str]] = frozenset()

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit any network with a hidden layer to train."""
        places: list[str] = []
        for layer in drawable(case):
            if not layer.is_output:
                places += [layer.weight, *([layer.bias] if layer.bias else [])]
        if not places:
            return NotApplicable("no weight before the output layer is trained")
        return Prescription(
            remedy=self.name,
            why="no unit is moved by more than a share of its own weights",
            change=self.change,
            keeps=self.keeps,
            settings={"clipping": 0.01, "eps": 1e-3},
            places=tuple(places),
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Put the clipping around the optimiser."""
        weights = [n for n in prescription.places if _is_weight(patient, n)]
        biases = [n for n in prescription.places if n not in weights]
        axes: tuple[tuple[Tensor, int | None], ...] = unit_axes(patient, weights)
        known = dict(patient.model.named_parameters())
        axes = (*axes, *((known[name], None) for name in biases if name in known))
        clipping = float(prescription.settings["clipping"])
        treatment = ClipUnits(clipping, float(prescription.settings["eps"]), axes)
        attach(patient, treatment, f"gradient of each unit at most {clipping:g} of its weights")


def _is_weight(patient: Patient, name: str) -> bool:
    layer = patient.anatomy.layer_of(name)
    return layer is not None and layer.weight == name
