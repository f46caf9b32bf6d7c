"""What every measured quantity means. The only place a quantity is defined.

Terminal legends, JSON documentation, `explain` pages and lessons read it from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Quantity(StrEnum):
    """A number measured at every site of the network that it applies to."""

    ACTIVATION_RMS = "activation_rms"
    ACTIVATION_MEAN = "activation_mean"
    NON_FINITE_FRACTION = "non_finite_fraction"
    SLOPE_RMS = "slope_rms"
    SLOPE_MAX = "slope_max"
    SATURATED_FRACTION = "saturated_fraction"
    DEAD_FRACTION = "dead_fraction"
    EXPECTED_DEAD_FRACTION = "expected_dead_fraction"
    SAMPLE_COSINE = "sample_cosine"
    EFFECTIVE_RANK = "effective_rank"
    INPUT_COSINE = "input_cosine"
    INPUT_EFFECTIVE_RANK = "input_effective_rank"
    LOG10_ACTIVATION_GRAD_RMS = "log10_activation_grad_rms"
    LOG10_PROBE_GRAD_RMS = "log10_probe_grad_rms"
    LOG10_LAST_STEP_GRAD_RMS = "log10_last_step_grad_rms"
    GRAD_EFFECTIVE_RANK = "grad_effective_rank"
    NON_FINITE_GRAD_FRACTION = "non_finite_grad_fraction"


@dataclass(frozen=True, slots=True)
class Entry:
    """The definition of one quantity.

    Attributes:
        unit: Unit of the number as a person would say it.
        formula: Definition in plain mathematical notation.
        meaning: What it tells, in a sentence.
        direction: Which way is worrying: ``"low"``, ``"high"`` or ``"either"``.
        source: Key into `core.sources.SOURCES`, or empty.
    """

    unit: str
    formula: str
    meaning: str
    direction: str
    source: str = ""


GLOSSARY: Final[dict[Quantity, Entry]] = {
    Quantity.ACTIVATION_RMS: Entry(
        "same as the activation",
        "sqrt(mean(h^2))",
        "size of the signal that leaves this operation",
        "either",
        "poole2016",
    ),
    Quantity.ACTIVATION_MEAN: Entry(
        "same as the activation",
        "mean(h)",
        "common offset of the signal; normalisation without centring cannot remove it",
        "either",
    ),
    Quantity.NON_FINITE_FRACTION: Entry(
        "fraction",
        "count(h is NaN or infinite) / count(h)",
        "share of the forward signal that is no longer a number",
        "high",
    ),
    Quantity.SLOPE_RMS: Entry(
        "dimensionless",
        "sqrt(mean(phi'(z)^2))",
        "factor by which the activation function scales the gradient at this batch",
        "low",
        "glorot2010",
    ),
    Quantity.SLOPE_MAX: Entry(
        "dimensionless",
        "max |phi'(z)|",
        "largest slope met at this batch; the cap of sigmoid is 1/4",
        "low",
        "glorot2010",
    ),
    Quantity.SATURATED_FRACTION: Entry(
        "fraction",
        "count(|phi'(z)| < sup|phi'| / 10) / count(z)",
        "share of activations that pass less than a tenth of the largest possible slope; "
        "only where the function can saturate",
        "high",
        "glorot2010",
    ),
    Quantity.DEAD_FRACTION: Entry(
        "fraction of units",
        "count(units with phi'(z) = 0 on every sample of every probe batch) / count(units)",
        "share of units that no sample can change any more",
        "high",
        "lu2020",
    ),
    Quantity.EXPECTED_DEAD_FRACTION: Entry(
        "fraction of units",
        "P(max of N standard normals with pairwise correlation c < 0)",
        "share of units of a healthy layer that these N samples would leave silent by chance",
        "either",
        "lu2020",
    ),
    Quantity.SAMPLE_COSINE: Entry(
        "cosine",
        "mean over pairs of samples of <h_i, h_j> / (|h_i| |h_j|)",
        "how alike the network sees two inputs; 1 means that it cannot tell them apart",
        "high",
        "poole2016",
    ),
    Quantity.EFFECTIVE_RANK: Entry(
        "directions",
        "(sum s^2)^2 / sum s^4 over singular values s of the centred features",
        "number of directions in which the samples of the batch differ",
        "low",
    ),
    Quantity.INPUT_COSINE: Entry(
        "cosine",
        "mean over pairs of samples of <x_i, x_j> / (|x_i| |x_j|), x the layer's input",
        "how alike two samples are where they enter a layer",
        "high",
        "poole2016",
    ),
    Quantity.INPUT_EFFECTIVE_RANK: Entry(
        "directions",
        "(sum s^2)^2 / sum s^4 over singular values s of the layer's centred inputs",
        "number of directions in which the samples differ where they enter a layer",
        "low",
    ),
    Quantity.LOG10_ACTIVATION_GRAD_RMS: Entry(
        "decades",
        "log10 sqrt(mean((dL/dh)^2))",
        "size of the loss gradient that arrives at this operation's output",
        "either",
        "hochreiter1991",
    ),
    Quantity.LOG10_PROBE_GRAD_RMS: Entry(
        "decades",
        "log10 sqrt(mean((d<v, y>/dh)^2)), v random signs at the network's output y",
        "the same for a random direction at the output: propagation alone, without the loss",
        "either",
        "schoenholz2017",
    ),
    Quantity.LOG10_LAST_STEP_GRAD_RMS: Entry(
        "decades",
        "log10 sqrt(mean((d<v, h_T>/dh_t)^2)), v random signs at the last time step",
        "gradient that reaches time step t from the last step only",
        "low",
        "pascanu2013",
    ),
    Quantity.GRAD_EFFECTIVE_RANK: Entry(
        "directions",
        "(sum s^2)^2 / sum s^4 over singular values s of the samples' d<v, y>/dh, "
        "v random signs of its own for each sample",
        "number of directions in which the network can ask a layer to change",
        "low",
        "pennington2017",
    ),
    Quantity.NON_FINITE_GRAD_FRACTION: Entry(
        "fraction",
        "count(dL/dh is NaN or infinite) / count(h)",
        "share of the gradient at this operation that is no longer a number",
        "high",
    ),
}
