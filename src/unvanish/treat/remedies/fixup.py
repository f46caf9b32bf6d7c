"""Fixup: residual networks without normalisation, by the start of their branches."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, final

import torch

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.theory.mean_field import second_moment
from unvanish.treat.anatomy import theory_of
from unvanish.treat.connecting import paths_of
from unvanish.treat.connections import (
    CONNECTS,
    SCALES,
    fit_branches,
    is_batch_norm,
    scale_branches,
    take_out_norms,
)
from unvanish.treat.drawing import each, free, normal, set_weight, zero_bias
from unvanish.treat.joins import Branch
from unvanish.treat.normalising import NORMALISATIONS
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.shortcuts import Scale, Shift
from unvanish.treat.surgery import CannotTreatError

_FEWEST: Final = 2


@final
@dataclass(frozen=True, kw_only=True)
class Fixup:
    r"""Start the branches so that L of them together move the output by one learning rate.

    ## When to use
    A residual network without normalisation, or one whose batch normalisation has to go, that
    explodes with its depth.

    ## What it changes
    Batch normalisation inside the branches goes. In a branch of m layers the first m - 1 are drawn
    with He's variance and scaled by L^(-1/(2m-2)) for L branches; the last one is zero. A trained
    number stands before each of these layers, to be added, and one behind each branch, to be
    multiplied with; they start at 0 and 1.

    ## What it costs
    What the branches have learnt, m + 1 numbers a branch, and the time to apply them. In the first
    step only the last layer of each branch has a gradient.

    ## Settings
    ``factor`` of each number of layers, as ``factor_2``. ``numbers``: whether the trained numbers
    are put in.

    ## Where we differ
    The paper starts the output layer at zero too. Then nothing but it has a gradient in the first
    step; here it stays as it is. It also puts a number before each activation function.

    ## Composes with
    He initialisation for the layers outside of the branches.

    ## Evidence
    Digits, 20 residual blocks of 3 x 3 convolutions with He's start, 100 steps of Adam (1e-3), one
    seed, test accuracy: without normalisation 0.46 before and 0.93 after; with batch normalisation
    0.91 before, 0.93 after it was taken out (``python -m benchmarks.paths``).

    ## Source
    Zhang, Dauphin and Ma (2019).
    """

    name: ClassVar[str] = "fixup"
    treats: ClassVar[frozenset[str]] = frozenset({"UV102", "UV103", "UV106"})
    change: ClassVar[Change] = Change.PATH
    keeps: ClassVar[frozenset[Keeps]] = frozenset()
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["zhang2019"],)
    after: ClassVar[frozenset[str]] = frozenset({"he", "xavier", "orthogonal", "lecun", "lsuv"})
    excludes: ClassVar[frozenset[str]] = (CONNECTS | SCALES | NORMALISATIONS) - {"fixup"}

    numbers: bool = True

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit networks with residual branches of two layers or more."""
        paths = paths_of(case)
        drawn = {layer.weight for layer in free(case)}
        branches = [b for b in paths.branches if len(_drawn(b, drawn)) >= _FEWEST]
        if not branches:
            return NotApplicable(
                "it has no residual branch of two layers whose weights could be drawn anew"
            )
        if any(branch.normalised for branch in branches):
            return NotApplicable("its residual sums are normalised: the branches cannot explode")
        norms = [path for branch in branches for path in branch.norms]
        if not all(is_batch_norm(case.model, path) for path in norms):
            return NotApplicable("its branches are normalised by something else than batches")
        chosen = {b.weights[0] for b in branches}
        found = fit_branches(
            paths,
            remedy=self.name,
            keeps=self.keeps,
            settings=lambda blocks: {},  # noqa: ARG005
        )
        count = len(branches)
        sizes = sorted({len(_drawn(b, drawn)) for b in branches})
        factors = {f"factor_{m}": count ** (-1.0 / (2 * m - 2)) for m in sizes}
        return Prescription(
            remedy=self.name,
            why=found.why,
            change=self.change,
            keeps=self.keeps,
            settings={"blocks": count, "numbers": self.numbers, **factors},
            places=tuple(place for place in found.places if place in chosen),
            cost="what the branches have learnt",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Draw the branches, and put the numbers in."""
        wanted = set(prescription.places)
        branches = [b for b in paths_of(patient).branches if b.weights[0] in wanted]
        if not branches:
            raise CannotTreatError("there is no residual branch")
        known = {layer.weight for layer in patient.anatomy.layers}
        for branch in branches:
            _draw(patient, prescription, _drawn(branch, known))
        take_out_norms(patient, branches)
        if not prescription.settings["numbers"]:
            return
        for path, function, call in dict.fromkeys(p for b in branches for p in b.layers):
            patient.surgery.insert(
                path, Shift(), "before", function=function, call=call, stem="fixup_shift"
            )
        scale_branches(
            patient,
            prescription,
            lambda branch: Scale(1.0),  # noqa: ARG005
            after="times a trained number that starts at 1",
        )


def _drawn(branch: Branch, drawn: set[str]) -> tuple[str, ...]:
    return tuple(name for name in branch.weights if name in drawn)


def _draw(patient: Patient, prescription: Prescription, names: Sequence[str]) -> None:
    factor = float(prescription.settings.get(f"factor_{len(names)}", 1.0))
    for layer, weight, layout in each(patient, tuple(names)):
        if layer.weight == names[-1]:
            set_weight(patient, layer, torch.zeros_like(weight))
        else:
            phi = theory_of(layer, patient.model)
            moment = second_moment(phi, 1.0) if phi is not None else 0.5
            deviation = factor / math.sqrt(layout.fan_in * moment)
            set_weight(patient, layer, normal(weight, deviation))
        zero_bias(patient, layer)
