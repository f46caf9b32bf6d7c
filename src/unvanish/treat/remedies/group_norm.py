"""GroupNorm behind hidden layers: each sample is standardised over groups of units."""

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

_FEWEST_NUMBERS = 16


@final
@dataclass(frozen=True, kw_only=True)
class GroupNorm:
    r"""Standardise every sample over groups of its units (GroupNorm).

    ## When to use
    Convolutions whose signal or gradient shrinks or grows, and batches too small for BatchNorm:
    detection, segmentation, video.

    ## What it changes
    It is put behind every hidden linear layer and convolution and before the function that follows,
    as a child of the layer: every old name of the state dict stays. Layers that have a
    normalisation, the output, gates, recurrent layers and loops over time, projections of attention
    and embeddings stay as they are. Layers that work on tokens stay as they are: layer-norm and
    rms-norm are for them.

    ## What it costs
    Two parameters a unit. The network's function changes.

    ## Settings
    ``groups``, 32 as in the paper: each layer takes the largest number up to it that divides its
    units and leaves every group 16 numbers, positions counted (two are standardised to 1 and -1,
    which leaves nothing of them). ``eps``, 1e-5, or less where the weights are so small that it
    would count.

    ## Where we differ
    It is refused where theory says that it cannot help. It changes the gradient by sqrt(E phi'^2 /
    E phi^2) a layer, whatever the weights are: 1 for ReLU, 1.085 for tanh, but 0.391 for sigmoid,
    whose mean 1/2 all units have in common. Three decades (`max_changed_decades`) are lost in eight
    layers of sigmoids.

    ## Composes with
    An exchange of the activation, made first; residual connections; every initialisation.

    ## Evidence
    30 layers of width 256 at PyTorch's start, 16 groups: ReLU changes the gradient by .55 decades
    (11.7 lost untreated; theory 0 for large groups), tanh by 1.36 (7.3 lost; theory 1.07).

    ## Source
    Wu and He (2018).
    """

    name: ClassVar[str] = "group-norm"
    treats: ClassVar[frozenset[str]] = frozenset(
        {"UV101", "UV102", "UV103", "UV105", "UV106", "UV201", "UV401"}
    )
    change: ClassVar[Change] = Change.NORMALISATION
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.WEIGHTS, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["wuhe2018"],)
    after: ClassVar[frozenset[str]] = EXCHANGES
    excludes: ClassVar[frozenset[str]] = NORMALISATIONS - {"group-norm"}

    max_changed_decades: float = 3.0
    groups: int = 32

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit networks whose functions leave little in common to all units."""
        return fit_over_units(
            case,
            self,
            called="GroupNorm",
            suits=lambda one: not one.has_tokens and one.units * one.positions >= _FEWEST_NUMBERS,
            otherwise="its hidden layers work on tokens, or have fewer than "
            f"{_FEWEST_NUMBERS} numbers a sample to be standardised together",
            limit=self.max_changed_decades,
            cost="two parameters a unit",
            settings={"groups": self.groups},
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Put one behind each layer."""
        eps = float(prescription.settings["eps"])
        most = int(prescription.settings["groups"])

        def make(one: Fitting) -> nn.Module:
            return nn.GroupNorm(_groups(one, most), one.units, eps=eps)

        insert_behind(patient, prescription.places, make)


def _groups(one: Fitting, most: int) -> int:
    """Return the largest number of groups that divides the units and keeps groups large enough."""
    return max(
        number
        for number in range(1, min(most, one.units) + 1)
        if one.units % number == 0
        and (number == 1 or one.units // number * one.positions >= _FEWEST_NUMBERS)
    )
