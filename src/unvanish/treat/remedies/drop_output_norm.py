"""Leaving out a normalisation that the network's answer comes out of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from torch import nn

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.records import Site
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.anatomy import NORMS
from unvanish.treat.ending import exchange_end, why_out_of_reach
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.surgery import CannotTreatError


@final
@dataclass(frozen=True, kw_only=True)
class DropOutputNorm:
    """Leave out a normalisation behind the last layer of a network.

    ## When to use
    A normalisation between the last layer and the loss takes away what the answer is about: its
    size, and over one output all of it, so that every sample gets the same answer and no gradient
    comes through. A regression behind it cannot reach its target.

    ## What it changes
    The normalisation becomes `nn.Identity`; its gain and shift go.

    ## What it costs
    Nothing. An answer that was meant to be normalised, as an embedding that is compared by angles,
    no longer is.

    ## Settings
    None.

    ## Where we differ
    Ba, Kiros and Hinton normalise what enters a nonlinearity, and never the output.

    ## Composes with
    Every other remedy; drop-inner-softmax takes the function away that stands behind it.

    ## Evidence
    Two hidden layers and one output behind `LayerNorm(1)`: the answer is the shift for every
    sample, and the gradient of all layers before is 0; without it the loss falls (see the test).

    ## Source
    Ba, Kiros and Hinton (2016), section 3.
    """

    name: ClassVar[str] = "drop-output-norm"
    treats: ClassVar[frozenset[str]] = frozenset(
        {"UV101", "UV103", "UV201", "UV203", "UV204", "UV502", "UV506"}
    )
    change: ClassVar[Change] = Change.NORMALISATION
    keeps: ClassVar[frozenset[Keeps]] = frozenset()
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["ba2016"],)
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = frozenset()

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit a network whose answer comes out of a normalisation."""
        found = _ends(case)
        if not found:
            return NotApplicable("no normalisation stands behind its last layer")
        for site in found:
            if refused := why_out_of_reach(case, site):
                return NotApplicable(refused)
        return Prescription(
            remedy=self.name,
            why=f"the answer comes out of {found[0].op}, which takes its size away",
            change=self.change,
            keeps=self.keeps,
            places=tuple(site.path for site in found),
            cost="nothing",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Leave it out."""
        found = [site for site in _ends(patient) if site.path in prescription.places]
        if not found:
            raise CannotTreatError("no normalisation stands behind the last layer any more")
        for site in found:
            module = patient.model.get_submodule(site.path)
            if type(module).__module__.startswith("torch.nn.modules"):
                patient.surgery.replace(site.path, nn.Identity(), source=site.source)
            else:
                exchange_end(patient, site, nn.Identity(), "none")


def _ends(known: Case | Patient) -> list[Site]:
    """Return the normalisations with nothing but functions between them and the output."""
    return [site for site in known.anatomy.norms if site.op in NORMS and site.is_output]
