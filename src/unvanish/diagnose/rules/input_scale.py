"""UV503: inputs whose scale or offset no initialisation and no learning rate is made for."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final, final

from unvanish.core.findings import Cause, Finding, Severity
from unvanish.core.glossary import Quantity
from unvanish.core.records import DataRole, DataTensor, Recording, Role, Site
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import Clear, Found, NotApplicable, NotMeasured, Verdict
from unvanish.diagnose.neighbours import VIEWS, Neighbours
from unvanish.diagnose.upstream import Upstream

_LAYERS: Final = frozenset(
    "linear bilinear matmul einsum conv conv1d conv2d conv3d conv_transpose1d conv_transpose2d "
    "conv_transpose3d addmm mm bmm lstm gru rnn_tanh rnn_relu".split()
)
"""Operations whose output is proportional to their input."""

_PROPORTIONAL: Final = (
    _LAYERS
    | VIEWS
    | frozenset(
        "cat stack add dropout avg_pool1d avg_pool2d max_pool1d max_pool2d adaptive_avg_pool2d "
        "pad roll relu leaky_relu prelu".split()
    )
)
"""Operations that pass on a common factor of their input."""

_STATISTICS: Final = frozenset("pow mean var std var_mean rsqrt linalg_vector_norm norm".split())
"""Operations by which a normalisation written by hand begins."""

_DEFAULT_GAIN: Final = 3.0**-0.5
"""rms(W) sqrt(fan-in) of PyTorch's own start, the smallest in wide use."""

_CONSTANT: Final = 1e-6


@dataclass(frozen=True)
class _Reading:
    """One way in which a tensor is out of proportion.

    Attributes:
        tensor: The tensor.
        site: The layer that it enters.
        kind: ``"offset"``, ``"scale"``, ``"spread"`` or ``"small"``.
        ratio: How far from 1; 1 or more.
    """

    tensor: DataTensor
    site: Site
    kind: str
    ratio: float


@final
@dataclass(frozen=True, kw_only=True)
class InputScale:
    """An input enters the first layer far from mean 0 and standard deviation 1.

    ## What it measures
    For every floating tensor of the batch that enters a layer as it is, three ratios: its
    root mean square r; its offset, |mean| / standard deviation; and the root mean square of
    its largest feature over that of the median one. The curvature of the loss along the
    first layer's weights is proportional to the second moment of what enters. An input r
    times too large makes it r^2 times too large against all other layers, and an offset of
    m standard deviations makes it 1 + m^2 times larger along the mean than across it.

    Gradient descent can serve curvatures that are three decades apart, the measure of
    UV101, only with a thousandth of the step that the flat directions want; so the limit is
    sqrt(1000) = 31.6 (`max_ratio`). An offset beyond it is a warning: it is common to all
    weights of a unit, and no rescaling of single weights takes it away. For scale and
    features an optimiser that divides by the gradient's own size, such as Adam, divides one
    r away, and a small learning rate may serve gradient descent: up to 1000
    (`max_ratio_if_rescaled`) the finding is a note, unless plain gradient descent was seen
    to overshoot in the probe steps. An input so small that the first layer's biases drown
    it by the same 31.6 is a note too.

    In a run on 8x8 digits (3 layers of 64, 1,000 to 1,500 steps, one seed) test accuracy was
    92 % to 93 % at unit scale. At r = 100 SGD fell to chance with rate 0.01 and kept 93 %
    with 0.001; Adam at 1e-3 kept 89 % at r = 1,000. An offset of 31.6 left 70 % with Adam
    and chance with SGD.

    ## Why it hurts
    One learning rate serves all layers. What is small enough for the first layer is too
    small for the others; what suits the others throws the first one about. Sigmoid and tanh
    saturate at once, and what is common to all samples drowns what tells them apart.

    ## When it stays silent
    On integers and truth values; on tensors that the model transforms before the first layer
    (`x / 255`, a sinusoidal embedding, a normalisation, a mask that is added or multiplied);
    on a constant tensor; where the first layer's weights take the scale back; on scale, not
    on offset, where a normalisation follows before any nonlinearity that would notice; on
    offset where batch or instance normalisation removes it. One-hot codes, word counts and
    other features that are mostly zero are not compared with each other.

    ## False alarms
    A network that was trained on raw inputs has learned to live with them. Where a column of
    a table is split off inside the model, the whole tensor is left alone, so a miss is
    likelier than a false alarm.

    ## What helps
    Standardise every feature with the statistics of the training set, in the data loader or
    as the first step of the model.

    ## Source
    LeCun, Bottou, Orr and Müller (1998), sections 4.3 and 5, on the eigenvalues of the Hessian
    and the mean and scale of inputs; Kingma and Ba (2015) for the invariance of Adam.
    """

    code: ClassVar[str] = "UV503"
    name: ClassVar[str] = "input-scale"
    needs: ClassVar[frozenset[Quantity]] = frozenset()
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["lecun1998"], SOURCES["kingma2015"])

    max_ratio: float = 31.6
    max_ratio_if_rescaled: float = 1000.0

    def examine(self, recording: Recording) -> Verdict:
        """Judge every input that enters a layer as it is."""
        inputs = [tensor for tensor in recording.data if tensor.role is DataRole.INPUT]
        if not inputs:
            if recording.context.batch_size:
                return NotMeasured("what the tensors of the batch hold")
            return NotApplicable("the batch holds no tensor")
        floats = [tensor for tensor in inputs if tensor.rms >= 0.0]
        if not floats:
            return NotApplicable("the inputs are no real numbers, they are looked up")
        neighbours = Neighbours(recording)
        readings = [r for tensor in floats for r in self._readings(neighbours, tensor)]
        if not readings:
            return NotApplicable(
                "no input enters a layer as it is, or a normalisation takes its scale away"
            )
        findings = []
        for tensor in floats:
            own = [r for r in readings if r.tensor is tensor and r.ratio > self.max_ratio]
            if own:
                judged = ((self._severity(recording, r), r) for r in own)
                severity, worst = max(judged, key=lambda pair: (pair[0].rank, pair[1].ratio))
                findings.append(self._finding(recording, worst, severity))
        if findings:
            return Found(tuple(findings))
        largest = max(readings, key=lambda r: r.ratio)
        return Clear(
            math.log10(self.max_ratio / largest.ratio),
            "decades",
            f"the {largest.tensor.name} has rms {largest.tensor.rms:.3g} and mean "
            f"{largest.tensor.mean:.3g}",
        )

    def _readings(self, neighbours: Neighbours, tensor: DataTensor) -> Iterator[_Reading]:
        site = _layer(neighbours.recording, tensor)
        if site is None or not tensor.std > _CONSTANT * abs(tensor.mean):
            return
        norms = _normalisations(neighbours, site)
        if not norms & {"batch_norm", "instance_norm"}:
            yield _Reading(tensor, site, "offset", max(1.0, abs(tensor.mean) / tensor.std))
        if norms or not math.isfinite(tensor.rms):
            return
        upstream = Upstream(neighbours.recording)
        gain = upstream.gain(site)
        gain = gain if gain > 0.0 else _DEFAULT_GAIN
        kept = tensor.rms * min(1.0, gain / _DEFAULT_GAIN)
        yield _Reading(tensor, site, "scale", max(1.0, kept))
        if max(abs(tensor.low), abs(tensor.high)) > self.max_ratio and tensor.feature_spread >= 1:
            yield _Reading(tensor, site, "spread", tensor.feature_spread)
        bias = upstream.bias(site)
        if bias is not None and bias.rms > tensor.rms * gain > 0.0:
            yield _Reading(tensor, site, "small", bias.rms / (tensor.rms * gain))

    def _severity(self, recording: Recording, reading: _Reading) -> Severity:
        if reading.kind == "small":
            return Severity.NOTE
        optimizer = recording.context.optimizer
        plain = optimizer is not None and "sgd" in optimizer.name.casefold()
        served = not (plain and _overshoots(recording))
        if reading.kind == "offset" or not served or reading.ratio > self.max_ratio_if_rescaled:
            return Severity.WARNING
        return Severity.NOTE

    def _finding(self, recording: Recording, reading: _Reading, severity: Severity) -> Finding:
        tensor, ratio = reading.tensor, reading.ratio
        message, note = _words(recording, reading)
        return Finding(
            code=self.code,
            name=self.name,
            severity=severity,
            message=f"the {tensor.name} {message}",
            sites=(reading.site,),
            parameters=reading.site.weights,
            measured=ratio,
            expected=1.0,
            limit=self.max_ratio,
            unit=_UNITS[reading.kind],
            causes=(Cause.INPUT_SCALE,),
            notes=(note,),
            help=(
                "standardise it with the statistics of the training set: "
                "x = (x - mean) / std, one mean and std per feature",
                "or let the model begin with torch.nn.BatchNorm1d(features)",
            ),
        )


_UNITS: Final = {
    "offset": "standard deviations",
    "scale": "rms of the input",
    "spread": "times the median feature",
    "small": "times the input's share",
}


def _words(recording: Recording, reading: _Reading) -> tuple[str, str]:
    """Return the rest of the message, and why it matters."""
    tensor, ratio, place = reading.tensor, reading.ratio, reading.site.name
    optimizer = recording.context.optimizer
    served = f", which {optimizer.name} has to serve with one learning rate" if optimizer else ""
    if reading.kind == "offset":
        return (
            f"lies {ratio:.3g} standard deviations away from zero",
            f"its mean is {tensor.mean:.3g} and its standard deviation {tensor.std:.3g}: what is "
            f"common to all samples enters {place} {ratio:.3g} times as strongly as what tells "
            "them apart",
        )
    if reading.kind == "scale":
        return (
            f"has rms {tensor.rms:.3g}, where layers are made for about 1",
            f"the curvature along the weights of {place} grows with its square, "
            f"{2 * math.log10(ratio):.1f} decades{served}",
        )
    if reading.kind == "spread":
        return (
            f"has a feature {ratio:.3g} times as large as the median one",
            f"the curvature along its weights in {place} is {2 * math.log10(ratio):.1f} decades "
            f"above the others{served}",
        )
    return (
        f"has rms {tensor.rms:.3g}, and the first layer's biases are {ratio:.3g} times as strong",
        f"all samples look nearly alike behind {place} until its weights have grown",
    )


def _overshoots(recording: Recording) -> bool:
    """Tell whether a probe step raised the loss that it was meant to lower."""
    return any(
        step.loss_after > step.loss_before or step.curvature_ratio > 2.0 for step in recording.steps
    )


def _layer(recording: Recording, tensor: DataTensor) -> Site | None:
    """Return the layer that a tensor enters as it is, or None."""
    index = tensor.site
    if index is None or not 0 <= index < len(recording.sites):
        return None
    site = recording.sites[index]
    is_layer = site.op in _LAYERS and bool(site.weights) and site.role is Role.SIGNAL
    return site if is_layer else None


def _normalisations(neighbours: Neighbours, layer: Site) -> frozenset[str]:
    """Return the normalisations behind a layer, empty where some way goes round them all."""
    stack, seen = [layer], {layer.index}
    found: set[str] = set()
    while stack:
        after = neighbours.consumers(stack.pop())
        if not after:
            return frozenset()
        norms = {site.op for site in after if "norm" in site.op or site.op in _STATISTICS}
        found |= norms
        if norms & _STATISTICS:  # written by hand: the other ways belong to it
            continue
        for site in after:
            if site.op in norms or site.index in seen:
                continue
            if site.op not in _PROPORTIONAL or site.role is not Role.SIGNAL:
                return frozenset()
            seen.add(site.index)
            stack.append(site)
    return frozenset(found)
