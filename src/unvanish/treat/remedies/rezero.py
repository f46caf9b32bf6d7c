"""ReZero: residual connections whose branches begin at zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.connections import (
    CONNECTS,
    EXCHANGES_BEFORE,
    PRESENT,
    SCALES,
    centre_of,
    connect_blocks,
    fit_either,
    scale_branches,
)
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.shortcuts import Scale, ScaledResidual


@final
@dataclass(frozen=True, kw_only=True)
class ReZero:
    r"""Let every block start as the identity: ``y = x + alpha F(x)`` with a trained alpha of 0.

    ## When to use
    A deep network without skips whose gradient dies or explodes in its layers, whatever the
    function and the weights; and a residual network without normalisation that explodes with
    its depth. With a normalised network ask first whether it needs anything.

    ## What it changes
    Where nothing leads round a block (a layer with the normalisation, function and dropout
    behind it, or attention of tokens to their own sequence), its input is led to its
    output, and the block is scaled by a trained number. Where the network has residual branches,
    each gets such a number instead.

    ## What it costs
    One parameter a block, a product and an addition, and the memory of one activation. In the
    first step the weights of the blocks have no gradient: only the numbers move. Weight decay
    pulls a block back towards the identity.

    ## Settings
    ``start``: value of alpha, 0. With 1 a trained residual network keeps its function, and learns
    from there. ``layers_per_block``, ``shortcut`` and ``centre`` as for ``residual``.

    ## Where we differ
    The paper trains the numbers with the learning rate of the weights, as here. Blocks that change
    the width get a projection, which the paper does not need.

    ## Composes with
    Initialisations and exchanges of functions, which are made first; the blocks' start does not
    depend on them.

    ## Evidence
    Digits, 30 layers of width 64 with PyTorch's default start, 300 steps of Adam (1e-3), one
    seed, test accuracy before and after: sigmoid 0.11 and 0.91, softplus 0.11 and 0.93, tanh 0.08
    and 0.94, ReLU 0.08 and 0.97; the gradient changes by less than a decade on its way. Twenty
    residual blocks of He convolutions, 100 steps: 0.46 and 0.95, with the gradient's change
    brought from +2.5 decades to -0.4 (``python -m benchmarks.paths``).

    ## Source
    Bachlechner, Majumder, Mao, Cottrell and McAuley (2021).
    """

    name: ClassVar[str] = "rezero"
    treats: ClassVar[frozenset[str]] = frozenset(
        {"UV101", "UV102", "UV103", "UV105", "UV106", "UV201", "UV202", "UV302", "UV401"}
    )
    change: ClassVar[Change] = Change.PATH
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.WEIGHTS, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["bachlechner2021"],)
    after: ClassVar[frozenset[str]] = EXCHANGES_BEFORE
    excludes: ClassVar[frozenset[str]] = (CONNECTS | SCALES) - {"rezero"}

    start: float = 0.0
    layers_per_block: int = 1
    shortcut: str = "projection"
    centre: bool = True

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit residual branches, or else blocks that nothing leads round."""
        return fit_either(
            case,
            remedy=self.name,
            treats=self.treats,
            keeps=self.keeps,
            layers=self.layers_per_block,
            settings=lambda blocks: {"start": self.start},  # noqa: ARG005
            centre=self.centre,
            shortcut=self.shortcut,
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Lead the connections round, or put a number on the branches there are."""
        start = float(prescription.settings["start"])
        if prescription.settings["paths"] == PRESENT:
            scale_branches(
                patient,
                prescription,
                lambda branch: Scale(start),  # noqa: ARG005
                after=f"times a trained number that starts at {start:g}",
            )
            return
        centre = bool(prescription.settings["centre"])
        connect_blocks(
            patient,
            prescription,
            lambda block, shortcut: ScaledResidual(
                shortcut, Scale(start), centre_of(block, patient.model) if centre else 0.0
            ),
            said=lambda block: f"x + alpha F(x), alpha = {start:g}",  # noqa: ARG005
        )
