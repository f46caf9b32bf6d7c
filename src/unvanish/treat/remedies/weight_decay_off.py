"""No weight decay."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.optimising.exchange import EXCHANGES, KEEPS_ALL
from unvanish.treat.protocol import Case, Patient


@final
@dataclass(frozen=True, kw_only=True)
class WeightDecayOff:
    """Train without weight decay.

    ## When to use
    Decay that takes the weights away faster than the gradient can turn them (UV406): the network
    goes to zero, and its gradient with it.

    ## What it changes
    The option weight_decay in every group, to zero. The state of the optimiser stays.

    ## What it costs
    What decay was for: in networks with normalisation, a learning rate that stays effective; in
    others, somewhat smaller weights. A small one can be given again once the network learns.

    ## Settings
    None.

    ## Where we differ
    There is nothing to differ from.

    ## Composes with
    Every other remedy.

    ## Evidence
    A tanh network of 3 layers under SGD at 0.1 with a decay of 1.0 stays below 0.2 for 100 steps,
    and comes above 0.8 without it (digits, width 64, batch 128, one seed).

    ## Source
    Krogh and Hertz (1991) for what decay takes; Loshchilov and Hutter (2019) for its two forms.
    """

    name: ClassVar[str] = "weight-decay-off"
    treats: ClassVar[frozenset[str]] = frozenset({"UV406"})
    change: ClassVar[Change] = Change.OPTIMISER
    keeps: ClassVar[frozenset[Keeps]] = KEEPS_ALL
    sources: ClassVar[tuple[Source, ...]] = (
        SOURCES["krogh1991"],
        SOURCES["loshchilov2019"],
    )
    after: ClassVar[frozenset[str]] = EXCHANGES
    excludes: ClassVar[frozenset[str]] = frozenset()

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit an optimiser that decays weights."""
        if case.optimizer is None:
            return NotApplicable(
                "no optimiser is known: give it with "
                "optimizer=lambda model: torch.optim.SGD(model.parameters(), ...)"
            )
        decays = [float(group.get("weight_decay") or 0.0) for group in case.optimizer.param_groups]
        if not any(decays):
            return NotApplicable("the optimiser has no weight decay")
        return Prescription(
            remedy=self.name,
            why=f"a weight decay of {max(decays):g} pulls every weight to zero",
            change=self.change,
            keeps=self.keeps,
            settings={"weight_decay": 0.0},
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Set the decay of every group."""
        patient.surgery.set_option("weight_decay", float(prescription.settings["weight_decay"]))
