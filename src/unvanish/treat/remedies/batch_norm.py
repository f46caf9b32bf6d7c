"""BatchNorm behind hidden layers: each unit is standardised over the batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from torch import nn

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.treat.exchanging import EXCHANGES
from unvanish.treat.forecasting import forecast
from unvanish.treat.normalising import (
    NORMALISATIONS,
    Fitting,
    epsilon,
    fitting,
    insert_behind,
    is_deep_in_itself,
    why_none,
)
from unvanish.treat.protocol import Case, Patient


@final
@dataclass(frozen=True, kw_only=True)
class BatchNorm:
    r"""Standardise every unit over the batch (BatchNorm).

    ## When to use
    The signal or the gradient shrinks or grows from layer to layer. It takes the scale of the
    weights out of the matter, and each unit's mean: it cures stacks of sigmoids, which LayerNorm
    does not.

    ## What it changes
    It is put behind every hidden linear layer and convolution and before the function that follows,
    as a child of the layer: every old name of the state dict stays. Layers that have a
    normalisation, the output, gates, recurrent layers and loops over time, projections of attention
    and embeddings stay as they are. Gain and shift of each unit join the group of its layer in the
    optimiser.

    ## What it costs
    Two parameters and two running statistics a unit. Samples of a batch are no longer independent
    of each other, and evaluation differs from training. The network's function changes.

    ## Settings
    ``eps``, 1e-5, or less where the weights are so small that it would count. ``momentum``, 0.1.
    ``min_batch``, 16 samples. A mean and a deviation that are estimated from B samples put noise of
    1/B + 1/(2B) into a signal of variance 1: 9 % at 16, from where on Wu and He (2018) see the
    error rise. ``max_gained_decades``, 2: see below.

    ## Where we differ
    It is refused where theory says that it makes the gradient explode. A unit standardised over the
    batch changes the gradient by sqrt(E phi'^2 / Var phi) a layer: for ReLU sqrt(pi / (pi - 1)) =
    1.211, whatever the weights are, which is two decades in 24 layers that no skip connection leads
    around. The limit is that depth (see the evidence). Per-token signal (N, T, C) is refused:
    tokens of one sample are no samples.

    ## Composes with
    An exchange of the activation, made first; residual connections, which take the limit on depth
    away. Initialisations have little left to do, biases before it nothing.

    ## Evidence
    Scikit-learn's digits, width 64, PyTorch's start, Adam at 1e-3, 300 steps of 64 samples, one
    seed, accuracy on data held out: 30 layers of sigmoids .944 (untreated .098; the gradient loses
    25 decades before and changes by .6 after); ReLU .962 at 10 layers, .931 at 16, .907 at 20, .818
    at 24, and .496 at 30, which is refused.

    ## Source
    Ioffe and Szegedy (2015); Yang, Pennington, Rao, Sohl-Dickstein and Schoenholz (2019) for the
    growth.
    """

    name: ClassVar[str] = "batch-norm"
    treats: ClassVar[frozenset[str]] = frozenset(
        {"UV101", "UV102", "UV103", "UV105", "UV106", "UV201", "UV401"}
    )
    change: ClassVar[Change] = Change.NORMALISATION
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.WEIGHTS, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (
        SOURCES["ioffe2015"],
        SOURCES["yang2019"],
        SOURCES["wuhe2018"],
    )
    after: ClassVar[frozenset[str]] = EXCHANGES
    excludes: ClassVar[frozenset[str]] = NORMALISATIONS - {"batch-norm"}

    min_batch: int = 16
    max_gained_decades: float = 2.0
    momentum: float = 0.1

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit networks in training mode, with enough samples, that it does not let explode."""
        if not case.model.training:
            return NotApplicable(
                "the network is in eval mode, where BatchNorm does not look at the batch; "
                "call model.train() first"
            )
        found = fitting(case)
        if not found:
            return why_none(case)
        fits = [one for one in found if not (one.has_tokens or is_deep_in_itself(case, one.layer))]
        if not fits:
            return NotApplicable(
                "its layers work on tokens, which are no samples, or again and again on their own "
                "output, which has other statistics each time; layer-norm and rms-norm fit there"
            )
        samples = min(one.shape[0] for one in fits)
        if samples < self.min_batch:
            noise = 1.5 / samples
            return NotApplicable(
                f"the batch has {samples} sample{'s' if samples > 1 else ''}: mean and deviation "
                f"of so few put noise of {noise:.0%} into each unit; take {self.min_batch} or "
                "more, or layer-norm or group-norm, which need no batch"
            )
        seen = forecast(case, [one.layer for one in fits], over_batch=True)
        if seen.decades > self.max_gained_decades:
            return NotApplicable(
                f"BatchNorm before {seen.function} makes the gradient grow {seen.factor:.3f} times "
                f"a layer, whatever the weights are: {seen.decades:.1f} decades over "
                f"{seen.layers} layers without a skip connection around them"
            )
        return Prescription(
            remedy=self.name,
            why=f"{len(fits)} hidden layers pass their signal on unnormalised",
            change=self.change,
            keeps=self.keeps,
            settings={"eps": epsilon(case, fits), "momentum": self.momentum},
            places=tuple(one.layer.weight for one in fits),
            cost="samples of a batch depend on each other; evaluation differs from training",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Put one behind each layer."""
        eps = float(prescription.settings["eps"])
        momentum = float(prescription.settings["momentum"])

        def make(one: Fitting) -> nn.Module:
            kinds = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d, 5: nn.BatchNorm3d}
            kind = kinds[len(one.shape)]
            return kind(one.units, eps=eps, momentum=momentum)

        insert_behind(patient, prescription.places, make)
        layers = map(patient.anatomy.layer_of, prescription.places)
        if any(layer is not None and layer.bias for layer in layers):
            patient.notes.append(
                "the biases before it have no effect any more and get no gradient: "
                "that is as it should be"
            )
