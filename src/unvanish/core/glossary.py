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
    TOKEN_DEVIATION = "token_deviation"
    ATTENTION_ENTROPY = "attention_entropy"
    FROZEN_FRACTION = "frozen_fraction"
    SCORE_SPREAD = "score_spread"
    SHUT_FRACTION = "shut_fraction"
    GATE_MEAN = "gate_mean"
    INPUT_SPREAD = "input_spread"
    INPUT_EFFECTIVE_RANK = "input_effective_rank"
    INPUT_RMS = "input_rms"
    INPUT_OFFSET = "input_offset"
    INPUT_FEATURE_SPREAD = "input_feature_spread"
    LOG10_ACTIVATION_GRAD_RMS = "log10_activation_grad_rms"
    LOG10_PROBE_GRAD_RMS = "log10_probe_grad_rms"
    LOG10_LAST_STEP_GRAD_RMS = "log10_last_step_grad_rms"
    LOG10_LEDGER_GRAD_NORM = "log10_ledger_grad_norm"
    LOG10_ROUNDED_GRAD_RATIO = "log10_rounded_grad_ratio"
    LOG10_LEDGER_ROUNDING = "log10_ledger_rounding"
    LOG10_HOOK_GAIN = "log10_hook_gain"
    LOG10_NORM_AFFINE = "log10_norm_affine"
    LOG10_NORM_PROJECTION = "log10_norm_projection"
    LOG10_WEIGHT_SIGNAL_NORM = "log10_weight_signal_norm"
    OPERATING_DEAD_SHARE = "operating_dead_share"
    OPERATING_LEFT_SHARE = "operating_left_share"
    OPERATING_RIGHT_SHARE = "operating_right_share"
    GRAD_TOKEN_DEVIATION = "grad_token_deviation"
    GRAD_EFFECTIVE_RANK = "grad_effective_rank"
    NON_FINITE_GRAD_FRACTION = "non_finite_grad_fraction"
    STUCK_FRACTION = "stuck_fraction"
    LOG10_STUCK_GRAD_RATIO = "log10_stuck_grad_ratio"
    UNDECIDED_GAIN = "undecided_gain"
    LOG10_ANSWER_GRAD_RATIO = "log10_answer_grad_ratio"
    ANSWER_WORTH = "answer_worth"
    OWN_ANSWER_FRACTION = "own_answer_fraction"


class LayerQuantity(StrEnum):
    """A number measured for every watched layer at every sampled step of a training run."""

    ACTIVATION_RMS = "activation_rms"
    SAMPLE_COSINE = "sample_cosine"
    SLOPE_RMS = "slope_rms"
    SATURATED_FRACTION = "saturated_fraction"
    DEAD_FRACTION = "dead_fraction"
    LOG10_ACTIVATION_GRAD_RMS = "log10_activation_grad_rms"
    UNDERFLOW_FRACTION = "underflow_fraction"
    LOG10_PARAM_RMS = "log10_param_rms"
    LOG10_PARAM_GRAD_RMS = "log10_param_grad_rms"
    ZERO_GRAD_FRACTION = "zero_grad_fraction"
    NON_FINITE_GRAD_FRACTION = "non_finite_grad_fraction"
    GRAD_ALIGNMENT = "grad_alignment"
    LOG10_UPDATE_RATIO = "log10_update_ratio"
    MOVED_FRACTION = "moved_fraction"


class StepQuantity(StrEnum):
    """A number of a whole training run, at one step."""

    LOSS = "loss"
    LOG10_GRAD_NORM = "log10_grad_norm"
    LOG10_CLIPPED_GRAD_NORM = "log10_clipped_grad_norm"
    SIGNAL_SHARE = "signal_share"
    ANSWERS = "answers"
    LEARNING_RATE = "learning_rate"
    LOSS_SCALE = "loss_scale"
    SECONDS = "seconds"


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
        "count(units with phi'(z) = 0 on every sample and in every call) / count(units)",
        "share of units that no sample can change any more",
        "high",
        "lu2020",
    ),
    Quantity.EXPECTED_DEAD_FRACTION: Entry(
        "fraction of units",
        "P(max of N standard normals with pairwise correlation c < 0), N at most one more than "
        "the directions in which the samples differ",
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
    Quantity.INPUT_SPREAD: Entry(
        "share of the energy",
        "sum |x_i - mean x|^2 / sum |x_i|^2 * n / (n - 1), x the layer's input for n samples",
        "how much of what enters a layer tells one sample from another; 0 where all are alike",
        "low",
        "poole2016",
    ),
    Quantity.INPUT_EFFECTIVE_RANK: Entry(
        "directions",
        "(sum s^2)^2 / sum s^4 over singular values s of the layer's centred inputs",
        "number of directions in which the samples differ where they enter a layer",
        "low",
    ),
    Quantity.TOKEN_DEVIATION: Entry(
        "fraction",
        "sqrt(sum_t |x_t - mean x|^2 / sum_t |x_t|^2) over the tokens of a sample",
        "part of the tokens that they do not have in common; 0 means that all are the same",
        "low",
        "dong2021",
    ),
    Quantity.ATTENTION_ENTROPY: Entry(
        "fraction",
        "mean over rows of -sum p ln p / ln n, n keys that the masks allow, n > 1",
        "how evenly a softmax over keys spreads: 1 over all alike, 0 on a single one",
        "low",
        "zhai2023",
    ),
    Quantity.FROZEN_FRACTION: Entry(
        "fraction of rows",
        "count(r < 0.001) / count(rows with n > 1), r^2 = (S_2 - 2 S_3 + S_2^2) / "
        "(1/n - 1/n^2), S_k = sum p^k",
        "share of queries whose softmax reacts to its scores less than a thousandth as "
        "strongly as one that weighs all keys alike",
        "high",
    ),
    Quantity.SCORE_SPREAD: Entry(
        "nats",
        "sqrt(mean over rows of the variance of the scores over the allowed keys)",
        "how far the scores of one query lie apart",
        "either",
    ),
    Quantity.SHUT_FRACTION: Entry(
        "fraction of choices",
        "count(n mean over rows of p_i < 0.001) / n, n choices of a softmax without masks",
        "share of the choices that a softmax gives less than a thousandth of an even share",
        "high",
        "shazeer2017",
    ),
    Quantity.GATE_MEAN: Entry(
        "fraction",
        "mean(g) of a gate g = sigmoid(z)",
        "share of what it is multiplied with that a gate lets through",
        "low",
        "hochreiter1997",
    ),
    Quantity.INPUT_RMS: Entry(
        "same as the data",
        "sqrt(mean(x^2)), x what enters a layer straight from the data",
        "size of the data where it enters a layer",
        "either",
        "lecun1998",
    ),
    Quantity.INPUT_OFFSET: Entry(
        "standard deviations",
        "sqrt(sum over features of mean_f^2 / sum of var_f) of what enters from the data",
        "what all samples have in common against what tells them apart",
        "high",
        "lecun1998",
    ),
    Quantity.INPUT_FEATURE_SPREAD: Entry(
        "dimensionless",
        "largest rms of a feature / max(median rms of the features, 1); features that are zero "
        "on most samples are left out",
        "how far one feature of the data stands out against the others",
        "high",
        "lecun1998",
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
    Quantity.LOG10_LEDGER_GRAD_NORM: Entry(
        "decades",
        "log10 sqrt(sum (dL/dh)^2), L the loss of the first batch",
        "the gradient of the same pass as the gains of the edges, so that they add up exactly",
        "either",
    ),
    Quantity.LOG10_ROUNDED_GRAD_RATIO: Entry(
        "decades",
        "log10 of |dL/dh| in the types of the run / |dL/dh| in float64, where the gains of the "
        "edges are those of float64",
        "what rounding in types of 16 bits takes from the gradient, or adds to it",
        "low",
    ),
    Quantity.LOG10_LEDGER_ROUNDING: Entry(
        "decades",
        "the same, where the gains of the edges are those of the run's own types",
        "what rounding has taken from the ledger's own gradient, or added to it",
        "low",
    ),
    Quantity.LOG10_HOOK_GAIN: Entry(
        "decades",
        "log10 |dL/dh| behind a hook on the gradient / |dL/dh| before it",
        "what a hook on the gradient makes of what arrives; no step of the network has a share",
        "either",
    ),
    Quantity.LOG10_NORM_AFFINE: Entry(
        "decades",
        "log10 |gamma g| / |g|, g = dL/dy of y = gamma x^ + beta",
        "factor by which a normalisation's own weight scales the gradient",
        "either",
    ),
    Quantity.LOG10_NORM_PROJECTION: Entry(
        "decades",
        "log10 |P gamma g| / |gamma g|, P takes out the mean and the part along x^",
        "gradient that a normalisation takes out because it takes mean and size out of the signal",
        "low",
    ),
    Quantity.LOG10_WEIGHT_SIGNAL_NORM: Entry(
        "decades",
        "log10 |H|, dL/dW = G^T H, G the gradient at the output of the weight's step",
        "signal that a weight meets; every patch of a map counts that a kernel is laid on",
        "either",
    ),
    Quantity.OPERATING_DEAD_SHARE: Entry(
        "fraction",
        "sum of S^2 - phi'(z)^2 over units with phi' = 0 on every sample / the sum over all, "
        "S the largest slope",
        "share of what an activation withholds that falls on dead units",
        "high",
    ),
    Quantity.OPERATING_LEFT_SHARE: Entry(
        "fraction",
        "the same over entries of living units with z < 0 and |phi'(z)| < S / 10",
        "share of what an activation withholds that falls on its left tail or on switched-off "
        "entries",
        "high",
    ),
    Quantity.OPERATING_RIGHT_SHARE: Entry(
        "fraction",
        "the same over entries of living units with z >= 0 and |phi'(z)| < S / 10",
        "share of what an activation withholds that falls on its right tail",
        "high",
    ),
    Quantity.GRAD_TOKEN_DEVIATION: Entry(
        "fraction",
        "sqrt(sum_t |g_t - mean g|^2 / sum_t |g_t|^2) over the tokens of a sample, g = dL/dh",
        "part of the gradient that the tokens do not have in common",
        "either",
        "dong2021",
    ),
    Quantity.GRAD_EFFECTIVE_RANK: Entry(
        "directions",
        "1 / mean over pairs of samples of cos^2(g_i, g_j), g_i = d<v_i, y_i>/dh_i, "
        "v_i random signs at the sample's output y_i",
        "number of directions in which the output can ask a layer to change",
        "low",
        "pennington2017",
    ),
    Quantity.NON_FINITE_GRAD_FRACTION: Entry(
        "fraction",
        "count(dL/dh is NaN or infinite) / count(h)",
        "share of the gradient at this operation that is no longer a number",
        "high",
    ),
    Quantity.STUCK_FRACTION: Entry(
        "fraction of the error",
        "sum of (dL/dy)^2 over flat entries with (y - centre) dL/dy > 0 / sum of (dL/dy)^2",
        "share of an output's error that sits on the flat part of its function although "
        "gradient descent would take it back; 0 where most entries are on the sloped part",
        "high",
        "goodfellow2014",
    ),
    Quantity.LOG10_STUCK_GRAD_RATIO: Entry(
        "decades",
        "log10 of the |dL/dz| / |dL/dz'| that 3/4 of the stuck entries stay below, weighed by "
        "|dL/dz'|^2; z' one undecided answer for all samples",
        "gradient of a stuck output against what it would be where its function has a slope",
        "low",
        "goodfellow2014",
    ),
    Quantity.UNDECIDED_GAIN: Entry(
        "dimensionless",
        "(L(z) - L(z')) / (|L(z)| + |L(z')|), z' the best undecided answer for all samples",
        "positive where the loss would be lower if a stuck output said the same to every sample",
        "high",
    ),
    Quantity.LOG10_ANSWER_GRAD_RATIO: Entry(
        "decades",
        "log10 of the |dL/dz| / |dL/dz'| that 3/4 of all entries stay below, weighed by "
        "|dL/dz'|^2; z' one undecided answer for all samples",
        "gradient of a sure output against what it would be where its function has a slope",
        "low",
    ),
    Quantity.ANSWER_WORTH: Entry(
        "standard errors",
        "mean(a) / (std(a) / sqrt(n)), a = -sum_k (y - centre)_k dL/dz'_k of a sample, z' one "
        "undecided answer for all",
        "how far beyond chance a sure output answers as the loss would have an undecided one "
        "answer",
        "low",
    ),
    Quantity.OWN_ANSWER_FRACTION: Entry(
        "fraction",
        "share of |dL/dz'|^2 in samples whose largest |dL/dy'_k|, less their mean, is that of the "
        "answer they give now",
        "how much of what the loss asks concerns the answers that the output gives already",
        "high",
    ),
}

RUN_GLOSSARY: Final[dict[LayerQuantity | StepQuantity, Entry]] = {
    LayerQuantity.ACTIVATION_RMS: Entry(
        "dimensionless",
        "sqrt(mean(h^2)) over a sample of the entries of the layer's output",
        "size of the signal behind a layer",
        "either",
    ),
    LayerQuantity.SAMPLE_COSINE: Entry(
        "cosine",
        "mean over pairs of samples of cos(h_i, h_j), on a sample of rows and features",
        "1 where the layer gives every sample the same answer",
        "high",
    ),
    LayerQuantity.SLOPE_RMS: Entry(
        "dimensionless",
        "sqrt(mean(phi'(z)^2)) over a sample of the entries",
        "what the activation lets through of the gradient",
        "low",
    ),
    LayerQuantity.SATURATED_FRACTION: Entry(
        "fraction",
        "share of a sample of the entries with |phi'(z)| below 1 % of its largest value",
        "how much of a bounded activation sits on its flat ends",
        "high",
    ),
    LayerQuantity.DEAD_FRACTION: Entry(
        "fraction",
        "share of units with slope zero for every sample of all batches in the window",
        "units that no gradient reaches, whatever the sample",
        "high",
    ),
    LayerQuantity.LOG10_ACTIVATION_GRAD_RMS: Entry(
        "decades",
        "log10 sqrt(mean((dL/dh)^2)), loss scale taken out",
        "gradient that arrives behind a layer",
        "low",
    ),
    LayerQuantity.UNDERFLOW_FRACTION: Entry(
        "fraction",
        "share of the entries of dL/dh, as the backward pass held it, below the least normal "
        "number of its dtype; zeros count behind an activation and in 16 bits alone",
        "gradient lost to the number format",
        "high",
    ),
    LayerQuantity.LOG10_PARAM_RMS: Entry(
        "decades",
        "log10 sqrt(mean(w^2)) over the layer's own parameters",
        "size of the weights",
        "either",
    ),
    LayerQuantity.LOG10_PARAM_GRAD_RMS: Entry(
        "decades",
        "log10 sqrt(mean((dL/dw)^2)), before clipping, loss scale taken out, summed over "
        "micro-batches",
        "gradient of the weights",
        "low",
    ),
    LayerQuantity.ZERO_GRAD_FRACTION: Entry(
        "fraction",
        "share of a sample of the entries of dL/dw that are exactly 0",
        "weights that get no gradient at all",
        "high",
    ),
    LayerQuantity.NON_FINITE_GRAD_FRACTION: Entry(
        "fraction",
        "share of a sample of the entries of dL/dw that are NaN or infinite",
        "gradient that is no longer a number",
        "high",
    ),
    LayerQuantity.GRAD_ALIGNMENT: Entry(
        "cosine",
        "cos(g_t, g_t+1) of the weights' gradients at two successive steps, on a sample of the "
        "entries",
        "share of the gradient that the next batch agrees with: about s^2 / (1 + s^2) at a ratio "
        "of signal to noise s; near 0 is noise, below 0 oscillation",
        "low",
    ),
    LayerQuantity.LOG10_UPDATE_RATIO: Entry(
        "decades",
        "log10(rms(w_t+1 - w_t) / rms(w_t)) on a sample of the entries: what the optimiser really "
        "changed, weight decay and clipping included",
        "how far one step moves a layer relative to its size",
        "either",
    ),
    LayerQuantity.MOVED_FRACTION: Entry(
        "fraction",
        "share of a sample of the weights that a step changed by at least one bit",
        "0 where a layer is frozen to the last bit",
        "low",
    ),
    StepQuantity.LOSS: Entry("", "what backward was called on", "the loss", "high"),
    StepQuantity.LOG10_GRAD_NORM: Entry(
        "decades",
        "log10 |dL/dw| over all parameters, before clipping, loss scale taken out",
        "size of the whole gradient",
        "either",
    ),
    StepQuantity.LOG10_CLIPPED_GRAD_NORM: Entry(
        "decades",
        "log10 |dL/dw| as the optimiser gets it",
        "size of the gradient after clipping",
        "low",
    ),
    StepQuantity.SIGNAL_SHARE: Entry(
        "fraction",
        "n / (n - 1) (1 - n |g_1|^2 / |g|^2) of n micro-batches, g_1 the gradient of the first and "
        "g that of all; negative by chance; not measured where a step has one backward pass, or "
        "where several processes train",
        "share of the squared gradient that is signal, s / (1 + s) at a ratio of signal to noise "
        "s = |G|^2 / tr(C); the mean over samples tells, weighted by |g|^2, and (1 - share) / "
        "share batches are the noise scale",
        "low",
        "mccandlish2018",
    ),
    StepQuantity.ANSWERS: Entry(
        "",
        "calls of a model that trains, since the step before, in which no gradient is recorded, on "
        "another tensor than the time before",
        "how often a network was asked for what it does not learn from: an agent that acts, a "
        "network that makes its own targets",
        "either",
    ),
    StepQuantity.LEARNING_RATE: Entry(
        "", "of the first parameter group of the first optimiser", "learning rate", "either"
    ),
    StepQuantity.LOSS_SCALE: Entry(
        "", "of the gradient scaler", "what the loss is multiplied with", "low"
    ),
    StepQuantity.SECONDS: Entry("s", "wall time since the first step", "time", "either"),
}
