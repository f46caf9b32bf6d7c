"""Highway connections: a trained gate mixes a block's output with its input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.connections import CONNECTS, EXCHANGES_BEFORE, connect_blocks, fit
from unvanish.treat.protocol import Case, Patient
from unvanish.treat.shortcuts import Highway as Gated


@final
@dataclass(frozen=True, kw_only=True)
class Highway:
    r"""Let a gate decide how much goes round: ``y = T F(x) + (1 - T) x``, T = sigmoid(V x + b).

    ## When to use
    A deep network without skips whose gradient dies, where the stream must not grow: the mixture
    stays within the range of its parts, as for networks of bounded functions.

    ## What it changes
    The input of every block (a layer with the normalisation, function and dropout behind it) is
    led to its output and mixed with it, unit by unit.

    ## What it costs
    A gate a block, as large as its layer (1 x 1 for convolutions), and as much time again. What
    goes round is multiplied by 1 - T in every block: the gradient falls by (1 - T)^L until the
    gates learn, 0.22 at 30 blocks and a bias of -3.

    ## Settings
    ``bias``: where the gates start: -1 up to 10 blocks, -2 up to 20, -3 beyond.
    ``layers_per_block`` and ``shortcut`` as for ``residual``.

    ## Where we differ
    The paper asks for a negative bias and names -1 to -3 for 10 to 30 layers; the steps are ours.
    Blocks that change the width get a projection, where the paper keeps such layers plain.

    ## Composes with
    Initialisations and exchanges of functions, which are made first.

    ## Evidence
    Digits, 30 layers of width 64 with PyTorch's default start, 300 steps of Adam (1e-3), one
    seed, test accuracy before and after: sigmoid 0.11 and 0.84, softplus 0.11 and 0.94, tanh 0.08
    and 0.97, ReLU 0.08 and 0.96. The gradient falls by 0.9 to 1.5 decades on its way, where it fell
    by 7 to 26 (``python -m benchmarks.paths``).

    ## Source
    Srivastava, Greff and Schmidhuber (2015).
    """

    name: ClassVar[str] = "highway"
    treats: ClassVar[frozenset[str]] = frozenset(
        {"UV101", "UV103", "UV105", "UV106", "UV201", "UV202", "UV401"}
    )
    change: ClassVar[Change] = Change.PATH
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.WEIGHTS, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["srivastava2015"],)
    after: ClassVar[frozenset[str]] = EXCHANGES_BEFORE
    excludes: ClassVar[frozenset[str]] = CONNECTS - {"highway"}

    layers_per_block: int = 1
    shortcut: str = "projection"

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit any network with a block that nothing leads round."""
        return fit(
            case,
            remedy=self.name,
            keeps=self.keeps,
            layers=self.layers_per_block,
            settings=_bias,
            shortcut=self.shortcut,
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Lead the connections round, each with a gate."""
        bias = float(prescription.settings["bias"])
        connect_blocks(
            patient,
            prescription,
            lambda block, shortcut: Gated(shortcut, *block.channels, block.axes, bias=bias),
            said=lambda block: f"T F(x) + (1 - T) x, bias {bias:g}",  # noqa: ARG005
        )


def _bias(blocks: int) -> dict[str, float | str | bool]:
    return {"bias": -1.0 if blocks <= 10 else -2.0 if blocks <= 20 else -3.0}
