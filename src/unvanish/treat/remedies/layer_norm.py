"""LayerNorm behind hidden layers: each sample is standardised over its units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from torch import nn

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.exchanging import EXCHANGES
from unvanish.treat.normalising import NORMALISATIONS, Fitting, insert_behind
from unvanish.treat.over_units import fit_over_units
from unvanish.treat.protocol import Case, Patient


@final
@dataclass(frozen=True, kw_only=True)
class LayerNorm:
    r"""Standardise every sample, or token, over its units (LayerNorm).

    ## When to use
    The signal or the gradient shrinks or grows from layer to layer, and batches are small, or
    samples have tokens, or evaluation must not differ from training.

    ## What it changes
    It is put behind every hidden linear layer and convolution and before the function that follows,
    as a child of the layer: every old name of the state dict stays. Layers that have a
    normalisation, the output, gates, recurrent layers (see recurrent-layer-norm) and loops over
    time, projections of attention and embeddings stay as they are. Per-token signal is standardised
    over the last axis. Behind a convolution it is a GroupNorm of one group, over channels and
    positions, with gain and shift a channel.

    ## What it costs
    Two parameters a unit. The network's function changes.

    ## Settings
    ``eps``, 1e-5, or less where the weights are so small that it would count.

    ## Where we differ
    It is refused where theory says that it cannot help. It changes the gradient by sqrt(E phi'^2 /
    E phi^2) a layer, whatever the weights are: 1 for ReLU, 1.085 for tanh, but 0.391 for sigmoid,
    whose mean 1/2 all units have in common. Three decades (`max_changed_decades`) are lost in eight
    layers of sigmoids.

    ## Composes with
    An exchange of the activation, made first; residual connections; every initialisation.

    ## Evidence
    30 layers of width 256 at PyTorch's start: ReLU changes the gradient by .16 decades (11.7 lost
    untreated; theory 0), tanh by .98 (7.3 lost; theory 1.07), sigmoid loses 12.5 (25.5; theory
    12.2). Scikit-learn's digits, 30 layers of ReLU of width 64, Adam at 3e-4, 300 steps of 64
    samples, one seed: .893 on data held out (he .902, untreated .078); at 1e-3 it does not train.

    ## Source
    Ba, Kiros and Hinton (2016).
    """

    name: ClassVar[str] = "layer-norm"
    treats: ClassVar[frozenset[str]] = frozenset(
        {"UV101", "UV102", "UV103", "UV105", "UV106", "UV201", "UV401"}
    )
    change: ClassVar[Change] = Change.NORMALISATION
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.WEIGHTS, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["ba2016"],)
    after: ClassVar[frozenset[str]] = EXCHANGES
    excludes: ClassVar[frozenset[str]] = NORMALISATIONS - {"layer-norm"}

    max_changed_decades: float = 3.0

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit networks whose functions leave little in common to all units."""
        return fit_over_units(
            case,
            self,
            called="LayerNorm",
            suits=lambda one: one.units > 1,
            otherwise="its hidden layers have one unit each",
            limit=self.max_changed_decades,
            cost="two parameters a unit",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Put one behind each layer."""
        eps = float(prescription.settings["eps"])

        def make(one: Fitting) -> nn.Module:
            if one.is_convolution:
                return nn.GroupNorm(1, one.units, eps=eps)
            return nn.LayerNorm(one.units, eps=eps)

        insert_behind(patient, prescription.places, make)
