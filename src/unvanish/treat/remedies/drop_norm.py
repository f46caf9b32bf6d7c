"""Leaving out a normalisation that takes away what is to be learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from torch import nn

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.records import Site
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.diagnose.constants import constant_norms
from unvanish.treat.anatomy import NORMS
from unvanish.treat.ending import exchange_end, why_out_of_reach
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.surgery import CannotTreatError


@final
@dataclass(frozen=True, kw_only=True)
class DropNorm:
    """Leave out a normalisation over single numbers, or behind the last layer of a network.

    ## When to use
    A normalisation between the last layer and the loss takes away what the answer is about: its
    size, and over one output all of it. A regression behind it cannot reach its target. One over
    single numbers, as `LayerNorm(1)` in front of a network of one channel, takes everything away
    wherever it stands (UV103): every sample looks the same behind it, and no gradient passes.

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
    sample, and the gradient of all layers before is 0; without it the loss falls. The same in front
    of a network that reads series of one channel (see the test).

    ## Source
    Ba, Kiros and Hinton (2016), section 3.
    """

    name: ClassVar[str] = "drop-norm"
    treats: ClassVar[frozenset[str]] = frozenset(
        {"UV101", "UV103", "UV201", "UV203", "UV204", "UV502", "UV506"}
    )
    change: ClassVar[Change] = Change.NORMALISATION
    keeps: ClassVar[frozenset[Keeps]] = frozenset()
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["ba2016"],)
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = frozenset()

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit a network that has one."""
        found = _norms(case)
        if not found:
            return NotApplicable(
                "no normalisation stands behind its last layer, and none is over single numbers"
            )
        for site in found:
            if refused := why_out_of_reach(case, site):
                return NotApplicable(refused)
        first = found[0]
        return Prescription(
            remedy=self.name,
            why=f"the answer comes out of {first.op}, which takes its size away"
            if _is_at_end(first)
            else f"{first.name} normalises single numbers: nothing of them is left",
            change=self.change,
            keeps=self.keeps,
            places=tuple(site.path for site in found),
            cost="nothing",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Leave it out."""
        found = [site for site in _norms(patient) if site.path in prescription.places]
        if not found:
            raise CannotTreatError("there is no such normalisation any more")
        for site in found:
            module = patient.model.get_submodule(site.path)
            if type(module).__module__.startswith("torch.nn.modules"):
                patient.surgery.replace(site.path, nn.Identity(), source=site.source)
            else:
                exchange_end(patient, site, nn.Identity(), "none")


def _norms(known: Case | Patient) -> list[Site]:
    """Return the normalisations of single numbers, and those that the answer comes out of."""
    alone = constant_norms(known.anatomy.recording)
    return [site for site in known.anatomy.norms if _is_at_end(site) or site in alone]


def _is_at_end(site: Site) -> bool:
    """Tell whether there are nothing but functions between a normalisation and the output."""
    return site.op in NORMS and site.is_output
