"""Gradients of one length in all layers, the whole as long as before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.optimising.exchange import (
    DESCENTS,
    EXCHANGES,
    KEEPS_ALL,
    RESCALING,
    attach,
    kind_of,
    named,
)
from unvanish.treat.optimising.gradients import EqualLayers
from unvanish.treat.optimising.rounding import liftable
from unvanish.treat.protocol import Case, Patient


@final
@dataclass(frozen=True, kw_only=True)
class LayerNormalisedGradient:
    """Give the gradients of all layers the same length, and leave that of the whole as it is.

    ## When to use
    Under SGD, where some layers get a gradient that is orders of magnitude smaller than others and
    hardly move (UV101, UV502), and weights and architecture must stay.

    ## What it changes
    The optimiser is put into a wrapper that scales the gradient of each weight to the root mean
    square length of all of them. Biases and other vectors keep theirs.

    ## What it costs
    A copy of the gradients while a step runs, and reading one number a weight from the device.

    ## Settings
    max_rounding: 0.5. A layer is lifted only where its gradient is one: it is computed as the
    network does and in float64, and where the two differ by more than this share of it, the layer
    is left alone. The size of a gradient decides nothing: products keep their relative precision.
    While training, a gradient below the smallest normal number of its type is left as well.

    ## Where we differ
    The paper gives each layer length 1 and asks for a new learning rate; here the length of the
    whole gradient, and so the step of SGD, stays.

    ## Composes with
    Clipping, warm-up, initialisation. Adam divides by the size of each entry already: there
    lower-eps does the same.

    ## Evidence
    ReLU networks of 12 layers with PyTorch's weights under SGD at 0.1 with momentum 0.9: 0.32 after
    200 steps, where plain SGD stays at chance, 0.08, and trust-ratio has 0.64. A tanh network of 20
    layers stays at 0.12 (digits, width 64, batch 128, mean test accuracy of two seeds). Where the
    direction of a vanished gradient says nothing any more, the same length does not help: the
    curvature between layers does, see soap and muon, or cure the network itself.

    ## Source
    Yu, Huang, Lin, Salakhutdinov and Carbonell (2017), algorithm 1.
    """

    name: ClassVar[str] = "layer-normalised-gradient"
    treats: ClassVar[frozenset[str]] = frozenset({"UV101", "UV502"})
    change: ClassVar[Change] = Change.OPTIMISER
    keeps: ClassVar[frozenset[Keeps]] = KEEPS_ALL
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["yu2017"],)
    after: ClassVar[frozenset[str]] = EXCHANGES
    excludes: ClassVar[frozenset[str]] = frozenset({"trust-ratio"}) | EXCHANGES

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit plain gradient descent with two layers or more whose gradient is not rounding."""
        kind = kind_of(case)
        if kind not in DESCENTS:
            return NotApplicable(
                f"{kind} does not step by the length of the gradient"
                + (": lower-epsilon is its way to lift small ones" if kind in RESCALING else "")
            )
        lifted = liftable(case, 0.5)
        if len(lifted.names) < 2:
            return NotApplicable(lifted.why or "fewer than two layers have a gradient to scale")
        return Prescription(
            remedy=self.name,
            why=f"gradients of {len(lifted.names)} layers lie {lifted.decades:.1f} decades apart",
            change=self.change,
            keeps=self.keeps,
            settings={"max_rounding": 0.5},
            places=lifted.names,
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Put the scaling around the optimiser."""
        weights = named(patient, prescription.places)
        attach(patient, EqualLayers(weights), f"gradients of {len(weights)} weights of one length")
