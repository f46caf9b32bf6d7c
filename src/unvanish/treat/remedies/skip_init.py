"""SkipInit: residual branches that begin at zero, in the place of batch normalisation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.connecting import paths_of
from unvanish.treat.connections import (
    CONNECTS,
    SCALES,
    fit_branches,
    is_batch_norm,
    scale_branches,
    take_out_norms,
)
from unvanish.treat.normalising import NORMALISATIONS
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.shortcuts import Scale


@final
@dataclass(frozen=True, kw_only=True)
class SkipInit:
    r"""Take batch normalisation out of residual branches and scale them by a trained 0.

    ## When to use
    A residual network that cannot have batch normalisation: batches of one or two samples,
    samples that must not see each other, or statistics that differ between training and use; or
    one that has none and explodes with its depth.

    ## What it changes
    Batch normalisation inside the residual branches goes; the layers there get the bias they
    lack. The end of each branch is multiplied by one trained number that starts at 0, so that
    the network starts as its skips. Normalisation outside of the branches stays.

    ## What it costs
    What the taken normalisations have learnt. It saves their time. One number a branch. Without
    batch normalisation the largest learning rate that works is smaller, and it regularises less.

    ## Settings
    ``start``: value of the number, 0. ``take_out``: whether batch normalisation goes.

    ## Where we differ
    The paper also proposes 1 / sqrt(branches) for the start, which is ``scaled-residual`` here.

    ## Composes with
    He initialisation of the branches. It stands alone among the remedies that scale branches.

    ## Evidence
    Digits, 20 residual blocks of 3 x 3 convolutions with He's start, 100 steps of Adam (1e-3), one
    seed, test accuracy: without normalisation 0.46 before and 0.95 after; with batch normalisation
    0.91 before, 0.95 after it was taken out (``python -m benchmarks.paths``).

    ## Source
    De and Smith (2020).
    """

    name: ClassVar[str] = "skip-init"
    treats: ClassVar[frozenset[str]] = frozenset({"UV102", "UV103", "UV106"})
    change: ClassVar[Change] = Change.PATH
    keeps: ClassVar[frozenset[Keeps]] = frozenset()
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["de2020"],)
    after: ClassVar[frozenset[str]] = frozenset({"he", "orthogonal", "lsuv"})
    excludes: ClassVar[frozenset[str]] = (CONNECTS | SCALES | NORMALISATIONS) - {"skip-init"}

    start: float = 0.0

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit networks with residual branches."""
        paths = paths_of(case)
        if not paths.branches:
            return NotApplicable("it has no residual branch; rezero makes some")
        norms = [path for branch in paths.branches for path in branch.norms]
        batch = [path for path in norms if is_batch_norm(case.model, path)]
        if len(batch) < len(norms):
            return NotApplicable(
                "its branches are normalised sample by sample; nothing there waits for a batch"
            )
        return fit_branches(
            paths,
            remedy=self.name,
            keeps=self.keeps,
            settings=lambda blocks: {"start": self.start, "take_out": bool(batch)},  # noqa: ARG005
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Scale the branches, then take the normalisation out."""
        start = float(prescription.settings["start"])
        branches = paths_of(patient).branches
        wanted = set(prescription.places)
        chosen = [b for b in branches if not wanted or b.weights[0] in wanted]
        if prescription.settings["take_out"]:
            take_out_norms(patient, chosen)
        scale_branches(
            patient,
            prescription,
            lambda branch: Scale(start),  # noqa: ARG005
            after=f"times a trained number that starts at {start:g}",
        )
