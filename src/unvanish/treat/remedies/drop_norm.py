"""Leaving out a normalisation that takes away what is to be learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from torch import nn

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.records import Site
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.core.wiring import Wiring
from unvanish.diagnose.constants import constant_means, constant_norms, stands_alone
from unvanish.treat.anatomy import NORMS
from unvanish.treat.ending import exchange_end, why_out_of_reach
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.surgery import CannotTreatError


@final
@dataclass(frozen=True, kw_only=True)
class DropNorm:
    """Leave out a normalisation that leaves nothing, or stands behind the last layer of a network.

    ## When to use
    A normalisation between the last layer and the loss takes away what the answer is about: its
    size, and over one output all of it. A regression behind it cannot reach its target. One over
    single numbers, as `LayerNorm(1)` in front of a network of one channel, takes everything away
    wherever it stands (UV103): every sample looks the same behind it, and no gradient passes. So it
    is where an average over the numbers that were just normalised is all that goes on, as in a
    network of blocks that each end in `InstanceNorm`, with a global average behind the last: the
    mean of what was centred is zero.

    ## What it changes
    The normalisation becomes `nn.Identity`; its gain and shift go. Those before it stay.

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
    of a network that reads series of one channel (see the test). Blocks of convolution and
    `InstanceNorm` before a global average (benchmarks/outside_cures/iota/chirp_m5.py), 200 steps,
    three seeds: an accuracy of 1.00 on further data in the place of 0.19, without the last of four.

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
                "no normalisation stands behind its last layer, none is over single numbers, and "
                "none takes away the mean that is all that goes on"
            )
        for site in found:
            if _is_written_out(site) and not _is_replaced(case, site):
                return NotApplicable(
                    f"{site.name} takes from every number its own mean, in a forward that does "
                    "more than that: take it out there"
                )
            refused = "" if _is_replaced(case, site) else why_out_of_reach(case, site)
            if refused:
                return NotApplicable(refused)
        return Prescription(
            remedy=self.name,
            why=_why(case, found[0]),
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
            if _is_replaced(patient, site):
                patient.surgery.replace(site.path, nn.Identity(), source=site.source)
            else:
                exchange_end(patient, site, nn.Identity(), "none")


def _why(case: Case, norm: Site) -> str:
    """Say what a normalisation takes away."""
    if _is_at_end(norm):
        return f"the answer comes out of {norm.op}, which takes its size away"
    average = _averaged(case).get(norm)
    if average is not None:
        return f"{norm.name} takes away the mean, which is all that {average.name} hands on"
    return f"{norm.name} normalises single numbers: nothing of them is left"


def _norms(known: Case | Patient) -> list[Site]:
    """Return the normalisations that leave nothing, and those that the answer comes out of."""
    alone = constant_norms(known.anatomy.recording)
    found = [site for site in known.anatomy.norms if _is_at_end(site) or site in alone]
    paths = {site.path for site in found}
    rest = [*(site for site in alone if _is_written_out(site)), *_averaged(known)]
    first = {site.path: site for site in reversed(rest)}
    return found + [site for path, site in reversed(first.items()) if path not in paths]


def _averaged(known: Case | Patient) -> dict[Site, Site]:
    """Return the normalisations whose mean is all that goes on, each with what averages it.

    One whose gains will bring a part of the mean back is none, nor is one that other ways lead
    the samples past: what carries nothing beside them does no harm.
    """
    wiring = Wiring(known.anatomy.recording)
    shut = [one for one in constant_means(wiring) if not one.opens]
    alone = [one for one in shut if stands_alone(wiring, one.site)]
    if not alone and len(shut) > 1 and stands_alone(wiring, *(one.site for one in shut)):
        alone = shut
    return {one.norm: one.site for one in alone if one.norm.op in NORMS}


def _is_replaced(known: Case | Patient, norm: Site) -> bool:
    """Tell whether a normalisation goes as a module, and not as one call of a function.

    A module before an average may also be called elsewhere, where it does no harm.
    """
    module = known.model.get_submodule(norm.path)
    if not type(module).__module__.startswith("torch.nn.modules"):
        return _is_written_out(norm) and bool(norm.path) and not [*module.children()]
    calls = [
        one
        for one in known.anatomy.recording.signal_sites()
        if (one.path, one.op) == (norm.path, norm.op)
    ]
    return len(calls) < 2 or norm not in _averaged(known)


def _is_written_out(norm: Site) -> bool:
    """Tell whether a normalisation is arithmetic of the user's own, told by its subtraction."""
    return norm.op not in NORMS


def _is_at_end(site: Site) -> bool:
    """Tell whether there are nothing but functions between a normalisation and the output."""
    return site.op in NORMS and site.is_output
