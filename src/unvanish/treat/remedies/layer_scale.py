"""LayerScale: residual branches with a small trained factor for every channel."""

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
    channels_of,
    connect_blocks,
    fit_either,
    scale_branches,
)
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.shortcuts import Scale, ScaledResidual


@final
@dataclass(frozen=True, kw_only=True)
class LayerScale:
    r"""Scale every channel of a branch by a trained factor that starts small.

    ## When to use
    Deep residual networks and transformers whose branches drown the signal that goes round; and
    deep networks without skips, as an alternative to ``rezero`` in which the blocks' weights have
    a gradient from the first step on.

    ## What it changes
    A residual branch, or a block that nothing leads round and whose input is added to its output,
    is multiplied by one trained factor a channel.

    ## What it costs
    As many parameters a block as it has channels, a product and, where the connection is new, an
    addition and the memory of one activation.

    ## Settings
    ``start``: 0.1 up to 36 branches, 1e-5 up to 48, 1e-6 beyond: a transformer's layer has two.
    With 1 a trained residual network keeps its function. ``layers_per_block``, ``shortcut``
    and ``centre`` as for ``residual``.

    ## Where we differ
    The paper has transformers in mind; its depths of 18 and 24 layers are counted in branches
    here. Blocks that change the width get a projection.

    ## Composes with
    Initialisations, exchanges of functions and normalisation, which come first.

    ## Evidence
    Digits, 30 layers of width 64 with PyTorch's default start, 300 steps of Adam (1e-3), one
    seed, test accuracy before and after: sigmoid 0.11 and 0.91, softplus 0.11 and 0.94, tanh 0.08
    and 0.95, ReLU 0.08 and 0.97; the gradient changes by less than a decade on its way. Twenty
    residual blocks of He convolutions, 100 steps: 0.46 and 0.94 (``python -m benchmarks.paths``).

    ## Source
    Touvron, Cord, Sablayrolles, Synnaeve and Jégou (2021).
    """

    name: ClassVar[str] = "layer-scale"
    treats: ClassVar[frozenset[str]] = frozenset(
        {"UV101", "UV102", "UV103", "UV105", "UV106", "UV201", "UV202", "UV401"}
    )
    change: ClassVar[Change] = Change.PATH
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.WEIGHTS, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["touvron2021"],)
    after: ClassVar[frozenset[str]] = EXCHANGES_BEFORE
    excludes: ClassVar[frozenset[str]] = (CONNECTS | SCALES) - {"layer-scale"}

    layers_per_block: int = 1
    shortcut: str = "projection"
    centre: bool = True

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit residual branches, or else blocks that nothing leads round."""
        return fit_either(
            case,
            remedy=self.name,
            keeps=self.keeps,
            layers=self.layers_per_block,
            settings=_start,
            centre=self.centre,
            shortcut=self.shortcut,
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Lead the connections round, or put factors on the branches there are."""
        start = float(prescription.settings["start"])
        if prescription.settings["paths"] == PRESENT:
            scale_branches(
                patient,
                prescription,
                lambda branch: Scale(start, channels_of(branch), branch.axes),
                after=f"times one trained factor a channel that starts at {start:g}",
            )
            return
        centre = bool(prescription.settings["centre"])
        connect_blocks(
            patient,
            prescription,
            lambda block, shortcut: ScaledResidual(
                shortcut,
                Scale(start, block.channels[1], block.axes),
                centre_of(block, patient.model) if centre else 0.0,
            ),
            said=lambda block: f"x + {start:g} F(x), one factor a channel",  # noqa: ARG005
        )


def _start(branches: int) -> dict[str, float | str | bool]:
    return {"start": 0.1 if branches <= 36 else 1e-5 if branches <= 48 else 1e-6}
