"""Trust ratios: each weight moves by the same share of its own size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, final

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
    optimizer_of,
)
from unvanish.treat.optimising.rounding import liftable
from unvanish.treat.optimising.updates import TrustGradient, TrustUpdate
from unvanish.treat.protocol import Case, Patient

_CHANGE: Final = 0.01
"""Share of its size by which a weight is to move in a step."""


@final
@dataclass(frozen=True, kw_only=True)
class TrustRatio:
    """Let each weight move by one share of its size in each step (LARS for SGD, LAMB for Adam).

    ## When to use
    Layers that hardly move beside others that do, because their gradients lie orders of magnitude
    apart (UV101, UV502), or a layer that is thrown out of its range because its gradient is the
    largest (UV102), where weights and architecture must stay.

    ## What it changes
    The optimiser is put into a wrapper and keeps its state. Under SGD the gradient of each weight
    is multiplied by coefficient |w| / (|g| + decay |w|), before momentum (LARS). Under Adam and its
    kin the step itself gets the length coefficient times the learning rate times |w|, weight decay
    included (LAMB). Biases, gains, embeddings, and weights that are all zero step as before.

    ## What it costs
    Under Adam a copy of the weights while a step runs, under SGD one of the gradients; reading two
    numbers a weight from the device.

    ## Settings
    form: "lars" or "lamb". coefficient: what makes a weight move by 0.01 of its size a step, under
    SGD once momentum has gathered: 0.01 (1 - momentum) / learning rate. AdamW at 1e-3 moves a layer
    of width 64 by that much in its first steps. max_rounding: as in layer-normalised-gradient, so
    that rounding is not lifted.

    ## Where we differ
    The user's optimiser stays inside, with what it has gathered, where packages bring one of their
    own. The steps are those of pytorch-optimizer's LARS and Lamb to rounding, but for two things in
    which its Lamb is not the paper's: it divides the finished step by 1 - beta1^t, which makes the
    first ten times as long, and takes |w| to be 10 at most.

    ## Composes with
    Clipping, warm-up, initialisation, lower-epsilon.

    ## Evidence
    ReLU networks of 12 layers with PyTorch's weights under SGD at 0.1 with momentum 0.9: 0.64 after
    200 steps, where plain SGD stays at chance, 0.08 (digits, width 64, batch 128, mean test
    accuracy of two seeds). Where more has vanished it does not carry: 0.16 for a tanh network of 20
    layers under the same SGD, and for a sigmoid one of 10 layers with Xavier's weights under AdamW
    0.20 and 0.43 after 300 steps, 0.21 without. A step of the right length needs a direction too:
    see soap and muon, or cure the network itself.

    ## Source
    You, Gitman and Ginsburg (2017), equation 6; You and others (2020), algorithm 2.
    """

    name: ClassVar[str] = "trust-ratio"
    treats: ClassVar[frozenset[str]] = frozenset({"UV101", "UV502", "UV102"})
    change: ClassVar[Change] = Change.OPTIMISER
    keeps: ClassVar[frozenset[Keeps]] = KEEPS_ALL
    sources: ClassVar[tuple[Source, ...]] = (
        SOURCES["you2017"],
        SOURCES["you2020"],
    )
    after: ClassVar[frozenset[str]] = EXCHANGES | {"lower-epsilon"}
    excludes: ClassVar[frozenset[str]] = EXCHANGES | {"layer-normalised-gradient"}

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit SGD, Adam and its kin with a weight whose gradient is not rounding."""
        kind = kind_of(case)
        if kind not in DESCENTS | RESCALING:
            return NotApplicable(f"what a trust ratio means for {kind} is not known")
        lifted = liftable(case, 0.5)
        if not lifted.names:
            return NotApplicable(lifted.why or "no weight has a gradient")
        group = optimizer_of(case).param_groups[0]
        rate = float(group["lr"])
        if rate <= 0.0:
            return NotApplicable("the learning rate is zero")
        gathers = 1.0 - float(group.get("momentum") or 0.0) if kind in DESCENTS else 1.0
        settings: dict[str, float | str | bool] = {
            "form": "lars" if kind in DESCENTS else "lamb",
            "coefficient": _CHANGE * gathers / rate,
            "max_rounding": 0.5,
        }
        return Prescription(
            remedy=self.name,
            why=f"the gradients of {len(lifted.names)} weights "
            f"lie {lifted.decades:.1f} decades apart",
            change=self.change,
            keeps=self.keeps,
            settings=settings,
            places=lifted.names,
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Put the ratio around the optimiser."""
        weights = named(patient, prescription.places)
        coefficient = float(prescription.settings["coefficient"])
        if prescription.settings["form"] == "lars":
            words = f"each weight's gradient {coefficient:.3g} of its size"
            attach(patient, TrustGradient(coefficient, weights), words)
        else:
            words = f"each weight's step {coefficient:.3g} of its size times the learning rate"
            attach(patient, TrustUpdate(coefficient, weights), words)
