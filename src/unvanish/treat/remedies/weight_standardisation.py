"""Weight standardisation: a layer computes with weights of mean 0 and known variance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import torch
from torch import Tensor, nn

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.theory.activations import activation
from unvanish.theory.mean_field import mean, second_moment
from unvanish.treat.anatomy import Layer
from unvanish.treat.exchanging import EXCHANGES
from unvanish.treat.forecasting import forecast
from unvanish.treat.layouts import layout_of
from unvanish.treat.normalising import (
    NORMALISATIONS,
    Fitting,
    fitting,
    is_deep_in_itself,
    why_none,
)
from unvanish.treat.probing import passing
from unvanish.treat.protocol import Case, Patient

_FUNCTIONS = frozenset({"linear", "conv1d", "conv2d", "conv3d"})
_FEWEST_INPUTS = 16


class StandardisedWeight(nn.Module):
    """Turns a weight into one of mean 0 and variance scale^2 / fan-in for each unit.

    Args:
        units: Number of units, along the weight's first axis.
        scale: Deviation of a unit's sum over inputs of variance 1.
    """

    def __init__(self, units: int, scale: float) -> None:
        super().__init__()
        self.scale = scale
        self.gain = nn.Parameter(torch.ones(units))

    def forward(self, weight: Tensor) -> Tensor:
        """Return the weight that the layer computes with."""
        rows = weight.flatten(1)
        if rows.dtype in (torch.float16, torch.bfloat16):
            rows = rows.float()
        centred = rows - rows.mean(1, keepdim=True)
        length = centred.square().sum(1, keepdim=True).clamp_min(torch.finfo(rows.dtype).tiny)
        unit = centred * length.rsqrt() * (self.scale * self.gain)[:, None]
        return unit.view_as(weight).to(weight.dtype)

    def extra_repr(self) -> str:
        """Return what stands in the brackets of its name."""
        return f"scale={self.scale:.4g}"


@final
@dataclass(frozen=True, kw_only=True)
class WeightStandardisation:
    r"""Compute with weights of mean 0 and of the variance that keeps the signal's at 1.

    ## When to use
    As batch-norm, where batches are small or samples must stay independent: what it does depends on
    the weights alone. It cures stacks of sigmoids too.

    ## What it changes
    A hidden linear layer or convolution computes with gamma (W - mean) / (deviation sqrt(fan-in)),
    mean and deviation over the inputs of each unit, gamma = 1 / sqrt(Var phi(u)), u ~ N(0, 1), of
    the function phi that feeds it (ReLU 1.713, sigmoid 4.801); a layer that reads the data gets the
    gamma that gives its output variance 1 on the first batch. A gain for each unit, 1 at first,
    joins the group of its layer. The weight itself keeps its values and its name.

    ## What it costs
    One parameter a unit and a pass over the weights in each step, nothing a sample. The network's
    function changes. A unit no longer sees the mean of its inputs.

    ## Settings
    ``max_gained_decades``, 2: as for batch-norm.

    ## Where we differ
    Each unit's inputs lose their mean, as BatchNorm's do, so the gradient changes by the same
    sqrt(E phi'^2 / Var phi) a layer: 1.017 for sigmoid, 1.211 for ReLU, and it is refused where
    ReLU would make that more than two decades without a skip connection. Layers with fewer than 16
    inputs a unit are left alone: a mean taken out of few inputs is much of what they say. So are
    transposed convolutions, and the output.

    ## Composes with
    An exchange of the activation, made first; residual connections. Initialisations draw the weight
    that is standardised: their variance has no effect.

    ## Evidence
    As for batch-norm, ReLU: .960 at 10 layers, .940 at 16, .907 at 20, .818 at 24. 30 layers of
    sigmoids of width 256: the gradient at the sums grows 1.022 times a layer (theory 1.017), and at
    Adam 3e-4 .931 is reached (untreated .093).

    ## Source
    Qiao, Wang, Liu, Shen and Yuille (2019); Brock, De and Smith (2021) for gamma.
    """

    name: ClassVar[str] = "weight-standardisation"
    treats: ClassVar[frozenset[str]] = frozenset(
        {"UV101", "UV102", "UV103", "UV105", "UV106", "UV201", "UV401"}
    )
    change: ClassVar[Change] = Change.NORMALISATION
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.WEIGHTS, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["qiao2019"], SOURCES["brock2021"])
    after: ClassVar[frozenset[str]] = EXCHANGES
    excludes: ClassVar[frozenset[str]] = NORMALISATIONS - {"weight-standardisation"}

    max_gained_decades: float = 2.0

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit networks of layers with many inputs that it does not let explode."""
        found = fitting(case)
        if not found:
            return why_none(case)
        fits = [one for one in found if _fits(case, one)]
        if not fits:
            return NotApplicable(
                "no hidden layer can be standardised: each has fewer than "
                f"{_FEWEST_INPUTS} inputs a unit, is transposed or a plain matrix product, works "
                "again and again on its own output, or is fed by a function that theory does not "
                "know"
            )
        seen = forecast(case, [one.layer for one in fits], over_batch=True)
        if seen.decades > self.max_gained_decades:
            return NotApplicable(
                f"with weights of mean 0, {seen.function} makes the gradient grow "
                f"{seen.factor:.3f} times a layer: {seen.decades:.1f} decades over {seen.layers} "
                "layers without a skip connection around them"
            )
        return Prescription(
            remedy=self.name,
            why=f"{len(fits)} hidden layers pass their signal on unnormalised",
            change=self.change,
            keeps=self.keeps,
            settings={f"scale of {one.layer.weight}": _scale(one.layer) for one in fits},
            places=tuple(one.layer.weight for one in fits),
            cost="one parameter a unit; the weights are standardised in every step",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Let each layer compute with a standardised weight."""
        fits = fitting(patient, prescription.places)
        parts = [
            _standardise(patient, one, float(prescription.settings[f"scale of {one.layer.weight}"]))
            for one in fits
        ]
        _suit_to_data(patient, fits, parts)


def _fits(case: Case, one: Fitting) -> bool:
    weight = dict(case.model.named_parameters()).get(one.layer.weight)
    if weight is None or one.layer.site.function not in _FUNCTIONS:
        return False
    few = layout_of(one.layer, weight, case.model).fan_in < _FEWEST_INPUTS
    return not (few or is_deep_in_itself(case, one.layer)) and not math.isnan(_scale(one.layer))


def _scale(layer: Layer) -> float:
    """Return gamma of what feeds a layer; 1 for signal of variance 1, as of a normalisation."""
    if layer.reads_normalised or not layer.fed_by:
        return 1.0
    try:
        phi = activation({"relu6": "relu"}.get(layer.fed_by, layer.fed_by))
    except ValueError:
        return math.nan
    return 1.0 / math.sqrt(second_moment(phi, 1.0) - mean(phi, 1.0) ** 2)


def _standardise(patient: Patient, one: Fitting, scale: float) -> StandardisedWeight:
    part = StandardisedWeight(one.units, scale)
    patient.surgery.insert(
        one.spot.path,
        part,
        "before",
        function=one.layer.site.function,
        argument=1,
        call=one.spot.call,
        like=(one.layer.weight, one.layer.bias),
        before="its weight as it is",
        after=repr(part),
        source=one.layer.site.source,
    )
    return part


def _suit_to_data(
    patient: Patient, fits: Sequence[Fitting], parts: Sequence[StandardisedWeight]
) -> None:
    """Give the layers that read data the scale at which their output has variance 1."""
    readers = [(one, part) for one, part in zip(fits, parts, strict=True) if one.layer.reads_data]
    passed = passing(patient.model, patient.batch, [one.spot for one, _ in readers])
    for (_, part), outputs in zip(readers, passed, strict=True):
        size = float(outputs[0].double().square().mean().sqrt()) if outputs else 0.0
        if size > 0.0 and math.isfinite(size):
            part.scale /= size
