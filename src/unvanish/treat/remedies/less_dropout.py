"""A smaller share of dropped units, where nearly all were dropped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, final

from torch import nn

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.protocol import Case, Patient

_DROPOUTS: Final = (
    nn.Dropout,
    nn.Dropout1d,
    nn.Dropout2d,
    nn.Dropout3d,
    nn.AlphaDropout,
    nn.FeatureAlphaDropout,
)


@final
@dataclass(frozen=True, kw_only=True)
class LessDropout:
    """Drop the share of units that was meant to be kept.

    ## When to use
    A dropout of more than one half, most often because the probability to *keep* a unit, as papers
    and other frameworks write it, was given to `nn.Dropout`, which takes the probability to drop
    it. Over L layers with p = 0.9 a unit of the output hears of 0.1^L of all paths.

    ## What it changes
    ``p`` of every dropout above the limit becomes ``1 - p``. Weights stay.

    ## What it costs
    Nothing. Where so much dropout was meant, as against overfitting, there is less of it.

    ## Settings
    ``most``, 0.5: of what is dropped, the variance of a unit's input grows by 1 / (1 - p), which is
    2 there and 10 at 0.9; Srivastava and others use up to one half for hidden units.

    ## Where we differ
    There is nothing to differ from.

    ## Composes with
    Every other remedy.

    ## Evidence
    Five layers of 64 ReLUs with p = 0.9: the loss stays at ln 2, with 0.1 it falls (see the test).

    ## Source
    Srivastava, Hinton, Krizhevsky, Sutskever and Salakhutdinov (2014).
    """

    name: ClassVar[str] = "less-dropout"
    treats: ClassVar[frozenset[str]] = frozenset({"UV101", "UV103", "UV405"})
    change: ClassVar[Change] = Change.ACTIVATION
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.WEIGHTS, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["srivastava2014"],)
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = frozenset()

    most: float = 0.5

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit a network with a dropout of more than one half."""
        found = {
            path: module.p
            for path, module in case.model.named_modules()
            if isinstance(module, _DROPOUTS) and module.p > self.most
        }
        if not found:
            return NotApplicable(f"no dropout module drops more than {self.most:g} of the units")
        return Prescription(
            remedy=self.name,
            why=f"{len(found)} dropouts drop {max(found.values()):g} of all units",
            change=self.change,
            keeps=self.keeps,
            places=tuple(found),
            cost="nothing",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Set the share."""
        for path in prescription.places:
            dropped = float(patient.model.get_submodule(path).p)  # type: ignore[arg-type]
            patient.surgery.set_attribute(path, "p", round(max(0.0, 1.0 - dropped), 6))
        patient.notes.append("nn.Dropout(p) takes the probability to drop a unit, not to keep it")
