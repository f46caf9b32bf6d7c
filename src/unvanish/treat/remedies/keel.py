"""Keel: post-norm layers whose skips are strong and whose branches are normalised on entry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.connecting import paths_of
from unvanish.treat.connections import CONNECTS, SCALES
from unvanish.treat.joins import Branch as Join
from unvanish.treat.post_norms import PostNorms, fresh_norm
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.shortcuts import Factor
from unvanish.treat.streams import Branch
from unvanish.treat.surgery import CannotTreatError
from unvanish.treat.twins import twin_of


@final
@dataclass(frozen=True, kw_only=True)
class Keel:
    r"""Let post-norm layers be deep as they are: ``norm(alpha x + F(norm(x)))``, alpha > 1.

    ## When to use
    A deep transformer that normalises after each addition (post-norm), whose early layers get
    little and whose weights are to stay: each normalisation of x + F(x) divides the gradient of
    the skip by about sqrt(2), and that of alpha x + F(x) by next to nothing.

    ## What it changes
    What goes round a branch is multiplied by alpha, the number of branches, before the addition.
    What enters a branch is normalised, by a new norm of the kind that stands behind the sum.

    ## What it costs
    A second norm a branch, with its weights. A trained network computes something else. A branch
    counts for 1 / alpha of the sum, and the gradient of its layers is as much smaller: it wants
    Adam, or another optimiser that rescales updates.

    ## Settings
    ``alpha``: the number of branches that one pass adds.

    ## Where we differ
    Norms that are read by layers for queries, keys and values without a module around them are
    computed for each, with weights that they share. A first branch that is added to the data itself
    stays as it is: no gradient goes there.

    ## Composes with
    Remedies for the values that weights start from. Not with deep-norm, of which it is the
    alternative without new weights, nor with what scales or connects the same branches.

    ## Evidence
    Digits, 48 post-norm layers of width 32, 60 steps of Adam (1e-3) without warm-up, one seed, test
    accuracy: 0.16 before and 0.92 after (0.95 with deep-norm). Twelve such layers need no remedy:
    after 100 steps 0.98 before and 0.93 after (``python -m benchmarks.paths``).

    ## Source
    Chen and Wei (2026): the equation of a layer, with alpha the number of sub-layers.
    """

    name: ClassVar[str] = "keel"
    treats: ClassVar[frozenset[str]] = frozenset({"UV101", "UV102", "UV103", "UV105", "UV302"})
    change: ClassVar[Change] = Change.PATH
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.WEIGHTS, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["chen2026"],)
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = (CONNECTS | SCALES | {"pre-norm", "t-fixup"}) - {"keel"}

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit networks whose residual sums are normalised and whose branches are not."""
        plan = PostNorms(case.model, case.recording, case.batch)
        if plan.refusal:
            return NotApplicable(plan.refusal)
        pairs = _pairs(plan, paths_of(case).branches)
        if isinstance(pairs, str):
            return NotApplicable(pairs)
        count = sum(join.calls for _, join in pairs)
        return Prescription(
            remedy=self.name,
            why=f"{count} residual branches are added before a normalisation",
            change=self.change,
            keeps=self.keeps,
            settings={"alpha": float(count)},
            places=tuple(branch.norm.path for branch, _ in pairs if branch.norm),
            cost="what was learnt; one normalisation more a branch",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Normalise what enters the branches, and scale what goes round them."""
        alpha = float(prescription.settings["alpha"])
        plan = PostNorms(patient.model, patient.anatomy.recording, patient.batch)
        pairs = plan.refusal or _pairs(plan, paths_of(patient).branches)
        if isinstance(pairs, str):
            raise CannotTreatError(pairs)
        for branch, join in pairs:
            assert branch.norm is not None
            norm = fresh_norm(patient.model.get_submodule(branch.norm.path))
            for number, entry in enumerate(plan.entries(branch)):
                patient.surgery.insert(
                    entry,
                    twin_of(norm) if number else norm,
                    "before",
                    stem="keel_norm",
                    like=[f"{branch.norm.path}.{name}" for name, _ in norm.named_parameters()],
                    before="the stream" if not number else "",
                    after="normalised" if not number else "",
                    source=branch.norm.source,
                )
            path, function, call = join.join
            patient.surgery.insert(
                path,
                Factor(alpha),
                "before",
                function=function,
                call=call,
                argument=join.skip,
                stem="keel",
                before="x + F(x)",
                after=f"{alpha:.3g} x + F(x)",
            )


def _pairs(plan: PostNorms, joins: tuple[Join, ...]) -> list[tuple[Branch, Join]] | str:
    """Return each branch with the sum that an insertion meets, or say why one has none."""
    found: list[tuple[Branch, Join]] = []
    for branch in plan.branches:
        if branch.start is None:  # no gradient goes to the data, whatever goes round
            continue
        own = {name for site in branch.inside for name in site.weights}
        same = [j for j in joins if own & {*j.weights} and j.normalised and not j.projected]
        if len(same) != 1:
            return f"the sum at {branch.join.name} cannot be told from others by its weights"
        found.append((branch, same[0]))
    return found or "its one residual sum adds to the data, where no gradient goes"
