"""UV503: inputs whose scale or offset no initialisation and no learning rate is made for."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import ClassVar, Final, final

from unvanish.core.conditions import DataRole
from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.records import Parameter, Recording, Role, Site
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.diagnose.neighbours import VIEWS, Neighbours
from unvanish.diagnose.upstream import Upstream

_PROPORTIONAL: Final = VIEWS | frozenset(
    "linear bilinear matmul einsum conv conv1d conv2d conv3d conv_transpose1d conv_transpose2d "
    "conv_transpose3d cat stack dropout avg_pool1d avg_pool2d max_pool1d max_pool2d "
    "adaptive_avg_pool1d adaptive_avg_pool2d mean sum pad roll relu leaky_relu prelu unsafe_split "
    "split_with_sizes tensor_split unsafe_chunk".split()
)
"""Operations that pass on a common factor of their input."""

_STATISTICS: Final = frozenset(
    "pow square mean var std var_mean rsqrt linalg_vector_norm linalg_norm norm".split()
)
"""Operations by which a normalisation written by hand begins."""

_CENTRING: Final = frozenset({"batch_norm", "instance_norm"})

_DEFAULT_GAIN: Final = 3.0**-0.5
"""rms(W) sqrt(fan-in) of PyTorch's own start, the smallest in wide use."""

_GATES: Final = {
    "rnn_tanh": 1,
    "rnn_relu": 1,
    "rnn_tanh_cell": 1,
    "rnn_relu_cell": 1,
    "gru": 3,
    "gru_cell": 3,
    "lstm": 4,
    "lstm_cell": 4,
}
"""Recurrent functions, and how many units of theirs share one row of the hidden state."""


@dataclass(frozen=True)
class _Reading:
    """One way in which what enters a layer is out of proportion.

    Attributes:
        site: The layer.
        kind: ``"offset"``, ``"scale"``, ``"feature"`` or ``"small"``.
        ratio: How far from 1; 1 or more.
    """

    site: Site
    kind: str
    ratio: float


@final
@dataclass(frozen=True, kw_only=True)
class InputScale:
    """Data enters the network far from mean 0 and standard deviation 1.

    ## What it measures
    At every layer that data enters without another layer before it, three ratios: the root
    mean square r of what enters; its offset, the length of the features' means over that of
    their standard deviations; and the largest feature over the median one. The curvature of
    the loss along the layer's weights is proportional to the second moment of what enters.
    Data r times too large makes it r^2 times too large against all other layers, and an
    offset of m makes it 1 + m^2 times larger along the mean than across it.

    Gradient descent can serve curvatures that are three decades apart, the measure of
    UV101, only with a thousandth of the step that the flat directions want; so the limit is
    sqrt(1000) = 31.6 (`max_ratio`). An offset beyond it is a warning: no rescaling of single
    weights takes it away. For scale and features an optimiser that divides by the gradient's
    own size, such as Adam, divides one r away, and a small learning rate may serve gradient
    descent: up to 1000 (`max_ratio_if_rescaled`) the finding is a note, unless gradient
    descent was seen to overshoot in the probe steps, a sigmoid or tanh saturates behind the
    layer, or a residual stream carries the scale on and drowns what is added to it. Data so
    small that the layer's biases are 31.6 times as strong is a warning: the gradient of its
    weights is as small, and all samples look nearly alike.

    In the runs of `python -m benchmarks.scales` (3 layers of 64 units, 1,500 steps, one
    seed) on 8x8 digits Adam at 1e-3 went from 97 % at r = 1 to 93 % at r = 1,000, and SGD
    at r = 100 to 15 % with rate 0.01, while 96 % were left with 0.001; an offset of 31.6
    left 73 % with Adam and chance with SGD. On a smooth function of 8 inputs Adam explained
    99 % of the variance at r = 1, 95 % at 100 and nothing at 1,000; 21 % with an offset of
    31.6; and 38 % at r = 0.01, where the biases are 35 times as strong.

    ## Why it hurts
    One learning rate serves all layers. What is small enough for the first layer is too
    small for the others; what suits the others throws the first one about. Sigmoid and tanh
    saturate at once, and what is common to all samples drowns what tells them apart.

    ## When it stays silent
    On tokens and other indices; on data that is transformed before the first layer, since
    what enters is measured; on a constant; on masks of attention; on what the network
    answered itself and takes in again without gradient, such as boxes that it refines; where
    the layer's weights are smaller than their usual start and take the scale back; on scale,
    not on offset, where a normalisation follows before anything that is not proportional; on
    offset where batch or instance normalisation follows. One-hot codes, word counts and other
    features that are mostly zero are not compared with each other.

    ## False alarms
    A network that was trained on raw inputs has learned to live with them. Frozen features
    count as data, with whatever scale their network gave them.

    ## What helps
    Standardise every feature with the statistics of the training set, in the data loader or
    as the first step of the model.

    ## Source
    LeCun, Bottou, Orr and Müller (1998), sections 4.3 and 5, on the eigenvalues of the Hessian
    and the mean and scale of inputs; Kingma and Ba (2015) for the invariance of Adam.
    """

    code: ClassVar[str] = "UV503"
    name: ClassVar[str] = "input-scale"
    needs: ClassVar[frozenset[Quantity]] = frozenset({Quantity.INPUT_RMS})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["lecun1998"], SOURCES["kingma2015"])

    max_ratio: float = 31.6
    max_ratio_if_rescaled: float = 1000.0

    def examine(self, recording: Recording) -> Verdict:
        """Judge every layer that is fed with data."""
        size = recording[Quantity.INPUT_RMS]
        fed = [site for site in recording.signal_sites() if size.get(site) >= 0.0]
        if not fed:
            return _why_none(recording)
        neighbours = Neighbours(recording)
        upstream = Upstream(recording)
        readings = [
            reading for site in fed for reading in self._readings(neighbours, upstream, site)
        ]
        found = [reading for reading in readings if reading.ratio > self.max_ratio]
        worst: dict[str, tuple[Severity, _Reading]] = {}  # one for each module, not each step
        for reading in found:
            judged = self._severity(neighbours, reading), reading
            known = worst.get(reading.site.path)
            if known is None or _rank(judged) > _rank(known):
                worst[reading.site.path] = judged
        if worst:
            return Found(
                tuple(self._finding(recording, reading, how) for how, reading in worst.values())
            )
        largest = max((reading.ratio for reading in readings), default=1.0)
        return Clear(
            math.log10(self.max_ratio / largest),
            "decades",
            f"data enters {fed[0].name} with rms {size[fed[0]]:.3g}",
        )

    def _readings(
        self, neighbours: Neighbours, upstream: Upstream, site: Site
    ) -> Iterator[_Reading]:
        recording = neighbours.recording
        norms = _normalisations(neighbours, site)
        offset = recording[Quantity.INPUT_OFFSET].get(site)
        if not math.isfinite(offset):
            return  # a constant
        if not norms & _CENTRING:
            yield _Reading(site, "offset", max(1.0, offset))
        rms = recording[Quantity.INPUT_RMS][site]
        if norms or not math.isfinite(rms):
            return
        gain = upstream.gain(site)
        usual = _usual_gain(upstream, site)
        gain = gain if gain > 0.0 else usual
        kept = min(1.0, gain / usual)
        yield _Reading(site, "scale", max(1.0, rms * kept))
        largest = recording[Quantity.INPUT_FEATURE_SPREAD].get(site, 1.0)
        if largest >= 1.0:
            yield _Reading(site, "feature", largest)
        bias = upstream.bias(_with_bias(neighbours, site))
        strength = _bias_strength(bias, site) if bias is not None else 0.0
        # Biases that drown standardised data, too, are no matter of the data's scale.
        if self.max_ratio * gain >= strength > rms * gain > 0.0:
            yield _Reading(site, "small", strength / (rms * gain))

    def _severity(self, neighbours: Neighbours, reading: _Reading) -> Severity:
        recording = neighbours.recording
        optimizer = recording.context.optimizer
        plain = optimizer is not None and "sgd" in optimizer.name.casefold()
        sick = (
            reading.kind in ("offset", "small")
            or reading.ratio > self.max_ratio_if_rescaled
            or (plain and _overshoots(recording))
            or (bool(recording.context.loss) and not math.isfinite(recording.context.loss_value))
            or _is_felt(neighbours, reading.site, self.max_ratio)
        )
        return Severity.WARNING if sick else Severity.NOTE

    def _finding(self, recording: Recording, reading: _Reading, severity: Severity) -> Finding:
        message, note = _words(recording, reading)
        return Finding(
            code=self.code,
            name=self.name,
            severity=severity,
            message=f"the data that enters {reading.site.name} {message}",
            sites=(reading.site,),
            parameters=reading.site.weights,
            measured=reading.ratio,
            expected=1.0,
            limit=self.max_ratio,
            unit=_UNITS[reading.kind],
            causes=(Cause.INPUT_SCALE,),
            notes=(note,),
            help=(
                "standardise it with the statistics of the training set: "
                "x = (x - mean) / std, one mean and std per feature",
                "or let the model begin with torch.nn.BatchNorm1d(features, affine=False)",
            ),
        )


_UNITS: Final = {
    "offset": "standard deviations",
    "scale": "rms of the data",
    "feature": "times the median feature",
    "small": "times the share of the data",
}


def _rank(judged: tuple[Severity, _Reading]) -> tuple[int, float]:
    return judged[0].rank, judged[1].ratio


def _why_none(recording: Recording) -> Verdict:
    inputs = [tensor for tensor in recording.data if tensor.role is DataRole.INPUT]
    if not inputs and recording.context.batch_size:
        return NotMeasured("what enters the first layer")
    if not any(tensor.rms >= 0.0 for tensor in inputs):
        return NotApplicable("the inputs are no real numbers, they are looked up")
    return NotApplicable("no data enters a layer without another step that learns before it")


def _words(recording: Recording, reading: _Reading) -> tuple[str, str]:
    """Return the rest of the message, and why it matters."""
    ratio, place = reading.ratio, reading.site.name
    rms = recording[Quantity.INPUT_RMS].get(reading.site)
    optimizer = recording.context.optimizer
    served = f", which {optimizer.name} has to serve with one learning rate" if optimizer else ""
    decades = f"{2 * math.log10(ratio):.1f} decades"
    if reading.kind == "offset":
        return (
            f"lies {ratio:.3g} standard deviations away from zero",
            f"what is common to all samples is {ratio:.3g} times as strong as what tells them "
            "apart",
        )
    if reading.kind == "scale":
        return (
            f"has rms {rms:.3g}, where layers are made for about 1",
            f"the curvature along its weights grows with the square, {decades}{served}",
        )
    if reading.kind == "feature":
        return (
            f"has a feature {ratio:.3g} times as large as the median one",
            f"the curvature along its weights is {decades} above the others{served}",
        )
    return (
        f"has rms {rms:.3g}, and the biases there are {ratio:.3g} times as strong",
        f"all samples look nearly alike behind {place} until its weights have grown, and their "
        "gradient is as small as the data",
    )


def _overshoots(recording: Recording) -> bool:
    """Tell whether a probe step raised the loss that it was meant to lower."""
    return any(
        step.loss_after > step.loss_before or step.curvature_ratio > 2.0 for step in recording.steps
    )


def _is_felt(neighbours: Neighbours, layer: Site, ratio: float) -> bool:
    """Tell whether what is behind a layer cannot work with so large an input.

    An activation saturates, or a residual stream drowns what is added to it.
    """
    passed, ends = _behind(neighbours, layer, _PROPORTIONAL | {"add"})
    share = neighbours.recording[Quantity.SATURATED_FRACTION]
    if any(share.get(site) > 0.5 for site in ends):
        return True
    for site in passed:
        sizes = [_size(neighbours, s) for s in neighbours.producers(site) if s.role is Role.SIGNAL]
        if site.op == "add" and 0.0 < min(sizes, default=0.0) * ratio < max(sizes):
            return True
    return False


def _size(neighbours: Neighbours, site: Site) -> float:
    """Return the rms of a step's output; a view has that of what it moves."""
    size = neighbours.recording[Quantity.ACTIVATION_RMS]
    source = site if site in size else neighbours.source(site)
    return size.get(source, 0.0) if source is not None else 0.0


def _bias_strength(bias: Parameter, site: Site) -> float:
    """Return the rms of a bias; of gates that are held open on purpose, that of their start.

    A forget bias of ln T makes an LSTM remember T steps, and drowns no data: the candidate
    that takes the data in has a bias of its own.
    """
    gates = _GATES.get(site.function, 1)
    if gates == 1 or not bias.shape:
        return bias.rms
    return min(bias.rms, 1.0 / math.sqrt(3.0 * max(1, bias.shape[0] // gates)))


def _usual_gain(upstream: Upstream, layer: Site) -> float:
    """Return rms(W) sqrt(fan-in) at PyTorch's own start.

    Recurrent layers draw all their weights as wide as the hidden state asks for, however many
    inputs there are.
    """
    weight = next((w for w in upstream.parameters(layer) if len(w.shape) == 2), None)
    gates = _GATES.get(layer.function)
    if gates is None or weight is None:
        return _DEFAULT_GAIN
    return _DEFAULT_GAIN * math.sqrt(weight.shape[1] * gates / weight.shape[0])


def _with_bias(neighbours: Neighbours, layer: Site) -> Site:
    """Return the step that adds a layer's bias: the layer itself, or an addition behind it."""
    step = layer
    while len(after := neighbours.consumers(step)) == 1:
        step = after[0]
        if step.op == "add" and step.weights:
            return step
        if step.op not in VIEWS or step.weights:
            break
    return layer


def _normalisations(neighbours: Neighbours, layer: Site) -> frozenset[str]:
    """Return the normalisations behind a layer, empty where some way goes round them all."""
    _, ends = _behind(neighbours, layer, _PROPORTIONAL)
    normal = all("norm" in site.op or norm for site, norm in ends.items())
    return frozenset(site.op for site in ends) if normal else frozenset()


def _behind(
    neighbours: Neighbours, layer: Site, through: Collection[str]
) -> tuple[list[Site], dict[Site, bool]]:
    """Walk from a layer to the first steps of other operations than some.

    Returns:
        The steps that were passed, and those where the ways end, each with whether it
        begins a normalisation written by hand: a mean or a variance of what is then divided
        by it, so that the other uses belong to it.
    """
    stack, seen = [layer], {layer.index}
    passed: list[Site] = []
    ends: dict[Site, bool] = {}
    while stack:
        site = stack.pop()
        passed.append(site)
        after = neighbours.consumers(site)
        statistics = [s for s in after if s.op in _STATISTICS] if len(after) > 1 else []
        if not after:
            ends[site] = False
        for step in statistics or after:
            if step.index in seen:
                continue
            seen.add(step.index)
            if statistics or step.op not in through or step.role is not Role.SIGNAL:
                ends[step] = bool(statistics)
            else:
                stack.append(step)
    return passed, ends
