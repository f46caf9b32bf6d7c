"""Depth-scaled initialisation: the last layer of every residual branch is divided by sqrt(2 L)."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import ClassVar, Final, final

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.streams import Branch, branches_of
from unvanish.treat.ways import weight_of

_FEWEST: Final = 3
"""Branches from which on scaled layers can be told from others."""
_NEAR: Final = 1.2
"""How far beyond 1 / sqrt(branches) the last layers may be and still count as scaled."""


@final
@dataclass(frozen=True, kw_only=True)
class DepthScaledInit:
    r"""Divide the last layer of every residual branch by the root of the number of branches.

    ## When to use
    Deep residual networks and transformers whose stream grows from block to block, so that the
    gradient explodes towards the input (no norm in the branch) or late blocks add next to
    nothing, and whose tokens grow alike (attention with a strong branch).

    ## What it changes
    The weights and bias of the last layer of each branch are multiplied with 1 / sqrt(N), N being
    the number of branches that join the same stream: 2 L in a transformer of L blocks. All
    branches together then add as much as one would, whatever the depth.

    ## What it costs
    A trained network computes something else. Each branch learns a little slower under SGD.

    ## Settings
    `scale`: 1 / sqrt(N); one for each last layer where streams differ in length, as those of
    encoder and decoder do.

    ## Where we differ
    GPT-2 scales the weights as they are drawn; here those that are there are scaled, so that
    other initialisations stay what they are, and the bias with them.

    ## Composes with
    Any initialisation, which is made first; pre-norm.

    ## Evidence
    16 blocks of width 32 without norms: the gradient at the first residual sum over that at the
    last is 10^4.4 before and 10^0.1 after. 24 such blocks, Adam at 1e-3 without warm-up, 200
    steps, the first of 12 tokens asked for: learned, and at chance without.

    ## Source
    Radford and others (2019), section 2.3; Hayou and others (2021) for residual networks.
    """

    name: ClassVar[str] = "depth-scaled-init"
    treats: ClassVar[frozenset[str]] = frozenset({"UV101", "UV102", "UV105", "UV103", "UV302"})
    change: ClassVar[Change] = Change.INITIALISATION
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.ARCHITECTURE, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["radford2019"], SOURCES["hayou2021"])
    after: ClassVar[frozenset[str]] = frozenset({"he", "xavier", "lecun", "orthogonal", "pre-norm"})
    excludes: ClassVar[frozenset[str]] = frozenset({"t-fixup"})

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit networks with several branches on a stream, each of which ends in a layer."""
        shapes = {p.name: p.shape for p in case.recording.parameters if p.requires_grad}
        branches = branches_of(case.recording)
        if not branches:
            return NotApplicable("it has no residual branches that x passes as it is")
        number = Counter(branch.stream for branch in branches)
        scales: dict[str, float] = {}
        ended: list[Branch] = []
        for branch in branches:
            name = weight_of(branch.last, shapes) if branch.last is not None else ""
            if name and number[branch.stream] > 1:
                ended.append(branch)
                scales.setdefault(name, 1.0 / math.sqrt(number[branch.stream]))
        if not scales:
            reason = "a norm or a function ends each of its branches"
            return NotApplicable(reason if max(number.values()) > 1 else "it has a single branch")
        if all(_is_scaled(case, branch, number[branch.stream]) for branch in ended):
            return NotApplicable("the last layers of its branches are smaller by that already")
        several = len(set(scales.values())) > 1
        return Prescription(
            remedy=self.name,
            why=f"{len(branches)} residual branches add to "
            + (f"{len(number)} streams" if len(number) > 1 else "one stream"),
            change=self.change,
            keeps=self.keeps,
            settings=scales if several else {"scale": next(iter(scales.values()))},
            places=tuple(scales),
            cost="the size of these layers' outputs",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Scale weight and bias of every last layer."""
        settings = prescription.settings
        surgery = patient.surgery
        for name in prescription.places:
            scale = float(settings[name] if name in settings else settings["scale"])
            surgery.set_values(name, surgery.weight_of(name) * scale)
            layer = patient.anatomy.layer_of(name)
            if layer is not None and layer.bias:
                surgery.set_values(layer.bias, surgery.weight_of(layer.bias) * scale)


def _is_scaled(case: Case, branch: Branch, number: int) -> bool:
    """Tell whether the last layer is as much smaller than the branch's others already."""
    shapes = {p.name: p.shape for p in case.recording.parameters}
    rms = {p.name: p.rms for p in case.recording.parameters}
    if branch.last is None or number < _FEWEST:
        return False
    last = rms[weight_of(branch.last, shapes)]
    others = [rms[weight_of(site, shapes)] for site in branch.inside if site != branch.last]
    return bool(others) and last <= _NEAR / math.sqrt(number) * min(others)
