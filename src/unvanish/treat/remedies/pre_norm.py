"""Pre-norm: normalisation moves from behind the residual sum to the beginning of the branch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from torch import nn

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.post_norms import PostNorms, fresh_norm, layer_of
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.streams import Branch
from unvanish.treat.surgery import CannotTreatError
from unvanish.treat.twins import twin_of


@final
@dataclass(frozen=True, kw_only=True)
class PreNorm:
    r"""Normalise what enters a residual branch instead of the sum: post-norm becomes pre-norm.

    ## When to use
    A transformer that computes norm(x + f(x)) and whose gradient fades towards the first block,
    or whose tokens grow alike: every normalisation divides the gradient of the skip, too. It is
    what makes post-norm transformers need a warm-up of the learning rate.

    ## What it changes
    The block becomes x + f(norm(x)), with the same normalisation, and one more stands behind the
    last block. PyTorch's own layers have a switch for it, `norm_first`. Elsewhere the norm is led
    past its old place and called where the branch begins, under a second name; its parameters
    stay the same tensors.

    ## What it costs
    One normalisation more. The network computes something else, so that a trained one has to be
    trained again. Where queries, keys and values are made by layers without a module around them
    the norm is computed for each.

    ## Settings
    `final_norm`: whether the last block gets a normalisation behind it. Without, the stream's
    size grows with depth and reaches the output so.

    ## Where we differ
    Nothing. A norm that stood behind the last block already stays the last.

    ## Composes with
    depth-scaled-init, which keeps the stream of a pre-norm network from growing.

    ## Evidence
    12 blocks of width 32 whose tokens agree: the gradient at the first residual sum over that at
    the last is 10^-0.8 before and 10^0.1 after. 24 blocks of width 32, Adam at 1e-3 without
    warm-up, 250 steps, the first of 12 tokens asked for: learned, and at chance without.

    ## Source
    Xiong and others (2020), sections 3 and 4.
    """

    name: ClassVar[str] = "pre-norm"
    treats: ClassVar[frozenset[str]] = frozenset({"UV101", "UV103", "UV302"})
    change: ClassVar[Change] = Change.NORMALISATION
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.WEIGHTS, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["xiong2020"],)
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = frozenset()

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit networks whose residual sums are normalised and whose branches are not."""
        plan = PostNorms(case.model, case.recording, case.batch)
        if plan.refusal:
            return NotApplicable(plan.refusal)
        return Prescription(
            remedy=self.name,
            why=f"{len(plan.branches)} residual sums are normalised, so that the skip is divided, "
            "too",
            change=self.change,
            keeps=self.keeps,
            settings={"final_norm": True},
            places=tuple(branch.norm.path for branch in plan.branches if branch.norm),
            cost="what was learnt; one normalisation more",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Turn the switch of PyTorch's layers, and move the norm elsewhere."""
        plan = PostNorms(patient.model, patient.anatomy.recording, patient.batch)
        if plan.refusal:
            raise CannotTreatError(plan.refusal)
        final_norm = bool(prescription.settings["final_norm"])
        for path in plan.layers:
            patient.surgery.set_attribute(path, "norm_first", value=True)
            stack = path.rpartition(".layers.")[0]
            around = patient.model.get_submodule(stack)
            if isinstance(around, nn.TransformerEncoder) and around.use_nested_tensor:
                # Its nested tensors know post-norm only.
                patient.surgery.set_attribute(stack, "use_nested_tensor", value=False)
        for branch in plan.branches:
            self._move(patient, plan, branch, final_norm=final_norm)

    def _move(self, patient: Patient, plan: PostNorms, branch: Branch, *, final_norm: bool) -> None:
        if branch.norm is None:
            return
        path = branch.norm.path
        norm = patient.model.get_submodule(path)
        behind = fresh_norm(norm) if final_norm and plan.is_last(branch) else None
        layer = layer_of(patient.model, path)
        if layer:
            if behind is not None:
                patient.surgery.insert(
                    layer, behind, "after", stem="final_norm", before="its sum", after="normalised"
                )
            return
        for entry in plan.entries(branch):
            patient.surgery.insert(entry, twin_of(norm), "before", stem="pre_norm")
        patient.surgery.insert(
            path,
            behind or nn.Identity(),
            "instead",
            stem="final_norm" if behind is not None else "passed_on",
            before="behind the sum",
            after="at the beginning of the branch",
            source=branch.norm.source,
        )
