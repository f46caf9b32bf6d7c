"""Residual connections: the input of a block is added to its output."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.connections import (
    CONNECTS,
    EXCHANGES_BEFORE,
    centre_of,
    connect_blocks,
    fit,
)
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.shortcuts import Residual as Sum


@final
@dataclass(frozen=True, kw_only=True)
class Residual:
    r"""Add the input of a block to its output: ``y = x + F(x)``.

    ## When to use
    A deep network without skips whose gradient dies in its layers, whatever kills it there: a
    saturated or a flat function, small weights, rank collapse. It helps where no initialisation
    does, as with sigmoids. A stack of attention without skips, whose tokens become alike.

    ## What it changes
    A block is a layer with the normalisation, function and dropout behind it, or attention of
    tokens to their own sequence, before the normalisation that follows. Its input is led to its
    output and added. Where the width changes, a trained projection that starts orthogonal
    stands on the way; strides and cut edges are followed. The layer that reads the data, the
    output, layers whose output is reshaped, recurrences, and whatever has a way round it already
    are left alone.

    ## What it costs
    An addition and the memory of one activation a block; a matrix where the width changes.

    ## Settings
    ``layers_per_block``: 1, or 2 as in residual networks for images. ``shortcut``:
    ``"projection"``, or ``"pad"`` to fill new channels up with zeros. ``centre``: whether the
    function's value at zero is taken off what a block adds: 0.5 for a sigmoid, 0.69 for a
    softplus, nothing for most.

    ## Where we differ
    The paper puts the last function of a block behind the addition. Here it stands before: the
    way round is then an identity, from the first block to the last, for every function. The
    paper has no use for `centre`: ReLU is zero at zero.

    ## Composes with
    Initialisations and exchanges of functions, which are made first. With weights that keep the
    signal (He, orthogonal) a plain sum grows by the square root of 2 a block: use
    ``scaled-residual`` or ``rezero`` there.

    ## Evidence
    Digits, 30 layers of width 64 with PyTorch's default start, 300 steps of Adam (1e-3), one
    seed, test accuracy before and after: sigmoid 0.11 and 0.94, softplus 0.11 and 0.96, tanh 0.08
    and 0.96, ReLU 0.08 and 0.94. The gradient lost 25.5 decades on its way in the sigmoid network,
    and changes by 0.7 after. Without `centre`: sigmoid 0.63, softplus 0.26
    (``python -m benchmarks.paths``). The six attention layers without skips of the zoo, 250 steps
    of Adam (1e-3), two seeds: 0.30 of the symbols right before and 1.00 after.

    ## Source
    He, Zhang, Ren and Sun (2016).
    """

    name: ClassVar[str] = "residual"
    treats: ClassVar[frozenset[str]] = frozenset(
        {"UV101", "UV103", "UV105", "UV106", "UV201", "UV202", "UV302", "UV401"}
    )
    change: ClassVar[Change] = Change.PATH
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.WEIGHTS, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["he2016"],)
    after: ClassVar[frozenset[str]] = EXCHANGES_BEFORE
    excludes: ClassVar[frozenset[str]] = CONNECTS - {"residual"}

    layers_per_block: int = 1
    shortcut: str = "projection"
    centre: bool = True

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit any network with a block that nothing leads round."""
        return fit(
            case,
            remedy=self.name,
            treats=self.treats,
            keeps=self.keeps,
            layers=self.layers_per_block,
            settings=lambda blocks: {"centre": self.centre},  # noqa: ARG005
            shortcut=self.shortcut,
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Lead the connections round."""
        centre = bool(prescription.settings["centre"])
        connect_blocks(
            patient,
            prescription,
            lambda block, shortcut: Sum(
                shortcut, centre=centre_of(block, patient.model) if centre else 0.0
            ),
            said=lambda block: "x + F(x)" if block.keeps_shape else "projected x + F(x)",
        )
