"""A trained factor on cosines that a cross entropy takes for scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final, final

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.records import Recording, Role, Site
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Found, NotApplicable
from unvanish.diagnose.neighbours import Neighbours
from unvanish.diagnose.reach import reach_of
from unvanish.diagnose.rules.output_loss_pair import OutputLossPair
from unvanish.treat.ending import append_to_end, why_out_of_reach
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.shortcuts import Scale
from unvanish.treat.surgery import CannotTreatError

_TEMPERATURE: Final = 0.07
"""What the cosines are divided by at the start, all factors taken together."""


@final
@dataclass(frozen=True, kw_only=True)
class LogitScale:
    """Multiply cosines with a trained factor before a cross entropy takes them for scores.

    ## When to use
    A classifier by angle, or a contrastive loss, whose cosines go into a cross entropy without a
    factor, or multiplied by the temperature in place of divided by it (UV204): the softmax stays
    flat however well the vectors are turned.

    ## What it changes
    The cosines are multiplied with a number that is trained. It starts where they are divided by a
    temperature of 0.07, other factors that they are multiplied with included.

    ## What it costs
    One parameter. The answers are larger by the factor; their order is the same.

    ## Settings
    factor: where the trained number starts.

    ## Where we differ
    Radford and others train the logarithm of the factor, from 1 / 0.07, and hold it below 100. Here
    it is the factor itself, which moves by a smaller share of itself in a step.

    ## Composes with
    Every other remedy.

    ## Evidence
    Rows of a table matched with 64 photos, cosines times 0.07 in place of divided by it
    (``benchmarks/outside_cures/iota/part_photo_clip.py``), 400 steps, seeds 0, 1, 2: the right one
    comes first in 0.95 to 0.96 of the rows, in 0.03 to 0.04 without.

    ## Source
    Wang, Xiang, Cheng and Yuille (2017), section 3.2; Radford and others (2021), section 2.3.
    """

    name: ClassVar[str] = "logit-scale"
    treats: ClassVar[frozenset[str]] = frozenset({"UV204"})
    change: ClassVar[Change] = Change.LOSS
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.WEIGHTS, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["wang2017"], SOURCES["radford2021"])
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = frozenset()

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit a network whose scores are cosines that lie too near to each other."""
        found = _cosines(case.recording)
        if not found:
            return NotApplicable("no cosines are taken for scores as they are")
        site, high = found[0]
        if site.role is not Role.SIGNAL:
            return NotApplicable(
                f"the cosines are made in the loss{f' at {site.source}' if site.source else ''}, "
                f"which is your own code: divide them by {_TEMPERATURE:g} there"
            )
        if refused := why_out_of_reach(case, site):
            return NotApplicable(refused)
        factor = float(f"{1.0 / (_TEMPERATURE * high):.3g}")
        return Prescription(
            remedy=self.name,
            why=f"cosines times {high:.2g} are taken for scores",
            change=self.change,
            keeps=self.keeps,
            settings={"factor": factor},
            places=(site.path,),
            cost="one parameter; the answers are larger by the factor",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Put the factor behind the cosines.

        Raises:
            CannotTreatError: If no cosines are taken for scores any more.
        """
        sites = [s for s, _ in _cosines(patient.anatomy.recording) if s.path in prescription.places]
        if not sites:
            raise CannotTreatError("no cosines are taken for scores any more")
        factor = float(prescription.settings["factor"])
        said = f"cosines times a trained number that starts at {factor:g}"
        append_to_end(patient, sites[0], Scale(factor), said)
        if sites[0].source is not None:
            patient.notes.append(
                f"to keep it, multiply by nn.Parameter(torch.tensor({factor:g})) at "
                f"{sites[0].source}, or divide by {_TEMPERATURE:g} in the loss"
            )


def _cosines(recording: Recording) -> list[tuple[Site, float]]:
    """Return the products that UV204 calls cosines too near to each other, and their largest."""
    verdict = OutputLossPair().examine(recording)
    neighbours, found = Neighbours(recording), dict[Site, float]()
    for finding in verdict.findings if isinstance(verdict, Found) else ():
        for loss in finding.sites[1:]:
            reach = reach_of(neighbours, loss, shifts=True)
            if reach is not None and reach.is_cosine and reach.site in finding.sites:
                found.setdefault(reach.site, reach.high)
    return list(found.items())
