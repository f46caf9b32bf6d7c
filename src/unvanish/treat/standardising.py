"""What data that enters a layer looks like by feature, and a module that standardises it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from unvanish.core.glossary import Quantity
from unvanish.core.records import Recording, Role
from unvanish.core.wiring import Wiring
from unvanish.treat.anatomy import Layer
from unvanish.treat.probing import Spot, calls_of, passing
from unvanish.treat.protocol import Case, Patient

FROM_THE_END: Final = {
    "linear": 1,
    "rnn_tanh": 1,
    "rnn_relu": 1,
    "gru": 1,
    "lstm": 1,
    "rnn_tanh_cell": 1,
    "rnn_relu_cell": 1,
    "gru_cell": 1,
    "lstm_cell": 1,
    "conv1d": 2,
    "conv2d": 3,
    "conv3d": 4,
    "conv_transpose1d": 2,
    "conv_transpose2d": 3,
    "conv_transpose3d": 4,
}
"""Functions that read features, and which axis holds these, from the end."""

_ALIKE: Final = 31.6
"""Largest over median spread of features that are of one kind, such as pixels: that of UV503."""

_MOSTLY: Final = 0.5


@dataclass(frozen=True, slots=True)
class Entrance:
    """A call by which data enters a layer.

    Attributes:
        layer: The layer.
        spot: Its input.
        axis: Axis over features, from the end: -1 for the last one.
    """

    layer: Layer
    spot: Spot
    axis: int


@dataclass(frozen=True, slots=True)
class Moments:
    """What is subtracted from each feature, and what it is then divided by.

    Attributes:
        mean: One number a feature.
        deviation: One number a feature, above zero.
        is_common: Whether all features are divided by one number.
        left: How many features are left alone: indicators of zeros and ones.
        offset: Largest distance of a mean from zero in deviations, before.
        scale: Largest over smallest deviation, before, features that are left alone aside.
    """

    mean: Tensor
    deviation: Tensor
    is_common: bool
    left: int
    offset: float
    scale: float


class Standardise(nn.Module):
    """Subtract from each feature its mean, and divide it by its deviation.

    Args:
        mean: One number a feature.
        deviation: One number a feature.
        axis: Axis over features, from the end.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: Tensor, deviation: Tensor, axis: int) -> None:
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)
        self.axis = axis

    def forward(self, data: Tensor) -> Tensor:
        """Return standardised data, in the type that it came in."""
        shape = (-1,) + (1,) * (-self.axis - 1)
        wide = data.float() if data.dtype in (torch.float16, torch.bfloat16) else data
        mean, deviation = self.mean.to(wide.dtype), self.deviation.to(wide.dtype)
        out: Tensor = (wide - mean.reshape(shape)) / deviation.reshape(shape)
        return out.to(data.dtype)

    def extra_repr(self) -> str:
        """Return the number of features."""
        return f"features={self.mean.numel()}"


def entrances(known: Case | Patient) -> list[Entrance]:
    """Return the calls by which nothing but data enters a layer, in forward order.

    Args:
        known: The network.
    """
    recording = known.anatomy.recording
    wiring = Wiring(recording)
    broken = any(tensor.non_finite for tensor in recording.data)  # of which nothing is measured
    found = []
    for layer in known.anatomy.layers:
        site = layer.site
        axis = FROM_THE_END.get(site.function)
        if axis is None or layer.reads_normalised or not layer.reads_data:
            continue
        if site not in recording[Quantity.INPUT_RMS] and not broken:
            continue
        if _reads_signal(recording, wiring, layer):
            continue
        found.append(Entrance(layer, _spot_of(known, layer), -axis))
    return found


def _reads_signal(recording: Recording, wiring: Wiring, layer: Layer) -> bool:
    """Tell whether any call of a layer reads what a layer has made: a state beside the data."""
    for site in recording.sites:
        if site.role is not Role.SIGNAL or layer.weight not in site.weights:
            continue
        if layer.is_recurrent:
            return False  # the state is no part of its first argument
        if any(one.weights for one in wiring.behind(site)):
            return True
    return False


def _spot_of(known: Case | Patient, layer: Layer) -> Spot:
    """Return the input of a layer: of its module, or of the function that uses its weight."""
    module = known.model.get_submodule(layer.path) if layer.path else known.model
    if type(module).__module__.startswith("torch.nn.modules") and layer.path:
        return Spot(path=layer.path, where="before")
    function = layer.site.function
    calls = calls_of(known.anatomy.recording, layer.path, function)
    own = frozenset(n for n, site in enumerate(calls) if layer.weight in site.weights)
    if len(own) == len(calls):
        return Spot(path=layer.path, where="before", function=function)
    return Spot(path=layer.path, where="before", function=function, chosen=own, calls=len(calls))


def read(known: Case | Patient, found: Sequence[Entrance]) -> list[Tensor | None]:
    """Return the data at some entrances, features first; None where it is none to standardise."""
    passed = passing(known.model, known.batch, [one.spot for one in found])
    data: list[Tensor | None] = []
    for one, tensors in zip(found, passed, strict=True):
        rows = [
            seen.movedim(one.axis, 0).flatten(1).double()
            for seen in tensors
            if seen.is_floating_point() and seen.ndim >= -one.axis
        ]
        alike = rows and len({len(row) for row in rows}) == 1 and len(rows) == len(tensors)
        data.append(torch.cat(rows, 1) if alike else None)
    return data


def moments(features: Tensor) -> Moments:
    """Return what brings features to mean 0 and deviation 1.

    Features of one kind, such as pixels, whose spreads are within a factor of 31.6 of the median
    one, are divided by one number, so that a pixel that is rarely lit does not become the loudest.
    Features in units of their own are divided each by its own; those that are mostly zero, such as
    counts, are not shifted, so that zero stays zero. Indicators of zeros and ones are left alone.

    Args:
        features: One row a feature.
    """
    mean, deviation = features.mean(1), features.std(1, correction=0)
    indicators = ((features == 0.0) | (features == 1.0)).all(1)
    varies = (deviation > 0.0) & ~indicators
    own = deviation[varies]
    if not own.numel():
        rest = features.abs().amax(1)
        flat = torch.where((rest > 0.0) & ~indicators, rest, 1.0)
        return Moments(
            torch.where(indicators, 0.0, mean), flat, False, int(indicators.sum()), 0.0, 1.0
        )
    spread = float(own.max() / own.median())
    offset = float((mean[varies].abs() / own).max())
    scale = float(own.max() / own.min())
    left = int(indicators.sum())
    if spread <= _ALIKE:
        common = (features[~indicators] - mean[~indicators, None]).square().mean().sqrt()
        return Moments(
            torch.where(indicators, 0.0, mean),
            torch.where(indicators, 1.0, common),
            True,
            left,
            offset,
            scale,
        )
    zeros = (features == 0.0).double().mean(1) > _MOSTLY
    sizes = features.square().sum(1) / (features != 0.0).sum(1).clamp_min(1)
    divisor = torch.where(zeros, sizes.sqrt(), deviation)
    constant = ~varies & ~indicators
    divisor = torch.where(constant, mean.abs(), divisor)
    divisor = torch.where(indicators | (divisor == 0.0), 1.0, divisor)
    return Moments(torch.where(zeros | indicators, 0.0, mean), divisor, False, left, offset, scale)


def is_standard(found: Moments) -> bool:
    """Tell whether features are near mean 0 and deviation 1 as they are."""
    sizes = found.deviation
    return found.offset < 1.0 and bool((sizes > 0.5).all()) and bool((sizes < 2.0).all())
