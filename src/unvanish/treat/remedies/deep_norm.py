"""DeepNorm: the skips before a normalisation made stronger, and the branches smaller."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.anatomy import Layer
from unvanish.treat.attention import attentions_of
from unvanish.treat.connecting import paths_of
from unvanish.treat.connections import CONNECTS, SCALES
from unvanish.treat.drawing import drawable, each, zero_bias
from unvanish.treat.layouts import Layout
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.shortcuts import Factor
from unvanish.treat.surgery import CannotTreatError


@final
@dataclass(frozen=True, kw_only=True)
class DeepNorm:
    r"""Let post-norm layers be deep: ``norm(alpha x + F(x))``, alpha > 1, with smaller branches.

    ## When to use
    A deep transformer, or another residual network, that normalises after each addition
    (post-norm), and whose first steps destroy it or whose early layers get little.

    ## What it changes
    What goes round a branch is multiplied by alpha = M^(1/4) for M branches, before the
    addition. The weights of the branches are drawn with Xavier's variance and the gain
    beta = (4 M)^(-1/4); those that make queries and keys with gain 1. Biases of these layers
    become zero. With two branches a layer, alpha = (2 N)^(1/4) and beta = (8 N)^(-1/4) for N
    layers, as in the paper; with the three of a decoder, (3 N)^(1/4) and (12 N)^(-1/4).

    ## What it costs
    What the branches have learnt, and a product a branch.

    ## Settings
    ``alpha`` and ``beta``.

    ## Where we differ
    An encoder that a decoder reads has constants of its own in the paper; here all branches of a
    network are counted together.

    ## Composes with
    Nothing else that draws the same weights or scales the same branches. ``pre-norm`` is the
    alternative.

    ## Evidence
    Digits, 48 post-norm layers of width 32, 60 steps of Adam (1e-3) without warm-up, one seed, test
    accuracy: 0.16 before and 0.95 after. Twelve such layers need no remedy: after 100 steps 0.98
    before and 0.96 after (``python -m benchmarks.paths``).

    ## Source
    Wang, Ma, Dong, Huang, Zhang and Wei (2024), figure 2.
    """

    name: ClassVar[str] = "deep-norm"
    treats: ClassVar[frozenset[str]] = frozenset({"UV101", "UV102", "UV103", "UV105", "UV302"})
    change: ClassVar[Change] = Change.PATH
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["wang2024"],)
    after: ClassVar[frozenset[str]] = frozenset()
    excludes: ClassVar[frozenset[str]] = (
        CONNECTS | SCALES | {"pre-norm", "t-fixup", "depth-scaled-init"}
    ) - {"deep-norm"}

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit networks that normalise behind every residual branch."""
        branches = paths_of(case).branches
        behind = [b for b in branches if b.normalised and not b.projected]
        if not behind or len(behind) < len(branches):
            return NotApplicable(
                "not every sum is normalised: some residual branches have no norm behind them"
                if behind
                else "no residual sum is normalised before it is used"
            )
        drawn = {layer.weight for layer in drawable(case) if not layer.is_recurrent}
        places = [name for branch in behind for name in branch.weights if name in drawn]
        count = sum(branch.calls for branch in behind)
        return Prescription(
            remedy=self.name,
            why=f"{count} residual branches are added before a normalisation",
            change=self.change,
            keeps=self.keeps,
            settings={"blocks": count, "alpha": count**0.25, "beta": (4.0 * count) ** -0.25},
            places=tuple(dict.fromkeys(places)),
            cost="what the branches have learnt",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Draw the branches and scale what goes round them."""
        alpha = float(prescription.settings["alpha"])
        beta = float(prescription.settings["beta"])
        branches = [b for b in paths_of(patient).branches if b.normalised and not b.projected]
        if not branches:
            raise CannotTreatError("no residual sum is normalised before it is used")
        selecting = _selecting(patient)
        for layer, weight, layout in each(patient, prescription.places):
            gain = 1.0 if layer.weight in selecting else beta
            patient.surgery.set_values(layer.weight, _drawn(layer, weight, layout, gain))
            zero_bias(patient, layer)
        for branch in dict.fromkeys(branches):
            path, function, call = branch.join
            patient.surgery.insert(
                path,
                Factor(alpha),
                "before",
                function=function,
                call=call,
                argument=branch.skip,
                stem="deep_norm",
                before="x + F(x)",
                after=f"{alpha:.3g} x + F(x)",
            )


def _selecting(patient: Patient) -> set[str]:
    """Return the weights that make queries and keys and nothing else."""
    found = attentions_of(patient.anatomy.recording)
    return {name for one in found for name in (one.query, one.key) if name != one.value}


def _drawn(layer: Layer, weight: Tensor, layout: Layout, gain: float) -> Tensor:
    """Draw a weight with Xavier's variance; of stacked ones the values alone get the gain."""
    deviation = math.sqrt(2.0 / (layout.fan_in + layout.fan_out))
    drawn = torch.empty_like(weight).normal_(0.0, deviation)
    if layer.weight.endswith("in_proj_weight"):
        drawn[2 * (drawn.shape[0] // 3) :] *= gain
        return drawn
    return drawn * gain
