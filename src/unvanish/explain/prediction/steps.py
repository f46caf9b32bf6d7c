"""What every step of a recording is to theory: a matrix, an activation, a normalisation, a sum."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from unvanish.core.glossary import Quantity
from unvanish.core.operations import HOOK_STEP
from unvanish.core.records import Edge, Parameter, Recording, Role, Site
from unvanish.explain.factors import is_constant, spread_of
from unvanish.theory.activations import ACTIVATIONS, Activation, leaky_relu

_SAME: Final = frozenset(
    "view reshape flatten unflatten transpose permute squeeze unsqueeze contiguous clone to float "
    "double half bfloat16 type movedim swapaxes t mT T expand expand_as select getitem slice "
    "index narrow chunk split unbind unsafe_split unsafe_chunk split_with_sizes identity".split()
)
_AVERAGES: Final = frozenset(
    "mean avg_pool1d avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d "
    "adaptive_avg_pool3d".split()
)
_MAXIMA: Final = frozenset(
    "max_pool1d max_pool2d max_pool3d adaptive_max_pool1d adaptive_max_pool2d "
    "adaptive_max_pool3d".split()
)
_FEATURE_NORMS: Final = frozenset({"layer_norm", "rms_norm"})
_SCALES: Final = frozenset({"mul", "div", "dropout", "neg"})
_MASKS: Final = frozenset({"add", "sub", "masked_fill", "where"})
_EVEN: Final = 0.9
"""Entropy of attention weights over the largest possible, above which they count as even."""

_FEWEST_SAMPLES: Final = 8
"""Below, BatchNorm's own scatter is no small correction."""


class Kind(Enum):
    """What theory takes a step for."""

    MATRIX = auto()
    ACTIVATION = auto()
    BATCH_NORM = auto()
    FEATURE_NORM = auto()
    SUM = auto()
    SCALE = auto()
    SAME = auto()
    AVERAGE = auto()
    MAXIMUM = auto()
    JOIN = auto()
    SCORES = auto()
    """Queries times keys."""

    SOFTMAX = auto()
    MIX = auto()
    """Attention weights times values."""

    STATISTIC = auto()
    """Part of a normalisation written out: what it divides by, whose gradient is 2/n of it."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step as theory sees it.

    Attributes:
        site: The site.
        kind: What it is.
        phi: The activation, of an activation.
        weight2: sigma_w^2 of a matrix, gamma^2 of a normalisation, the square of a scale.
        bias2: Variance of the biases.
        units: Units of the output: channels of a map, else features.
        samples: Entries that share a unit, over which BatchNorm averages.
        centred: Whether a normalisation takes the mean away.
        weigher: Of attention weights times values, the site that gives the weights.
        causal: Whether a mask leaves each token those before it.
    """

    site: Site
    kind: Kind
    phi: Activation | None = None
    weight2: float = 1.0
    bias2: float = 0.0
    units: int = 1
    samples: int = 1
    centred: bool = True
    weigher: int = -1
    causal: bool = False


class UnpredictableError(Exception):
    """Theory does not know a step; the message says which, for a person."""


class Steps:
    """The signal steps of a recording.

    Args:
        recording: What was observed.
    """

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.parameters = {p.name: p for p in recording.parameters}
        self.below: dict[int, list[Edge]] = {}
        self.above: dict[int, list[Edge]] = {}
        for edge in recording.edges:
            ends = (recording.sites[edge.producer], recording.sites[edge.consumer])
            if all(site.role is Role.SIGNAL for site in ends):
                self.below.setdefault(edge.consumer, []).append(edge)
                self.above.setdefault(edge.producer, []).append(edge)

    def is_matrix(self, site: Site) -> bool:
        """Tell whether a step multiplies with one random matrix or kernel."""
        return self._spread(site) is not None

    def _spread(self, site: Site) -> float | None:
        edges = self.below.get(site.index, ())
        scale = edges[0].log10_scale if len(edges) == 1 else math.nan
        found = spread_of(site, self.parameters, self._entering(site), scale)
        if found is None or not math.isnan(scale):
            return found
        return found * math.sqrt(self._written_out(site))

    def step(self, site: Site) -> Step:
        """Return what a step is to theory.

        Raises:
            UnpredictableError: If theory does not know it.
        """
        op = site.op.rstrip("_")
        units, samples = _units(site)
        spread = self._spread(site)
        if spread is not None:
            return Step(site, Kind.MATRIX, None, spread**2, self._bias2(site), units, samples)
        if op == HOOK_STEP:
            return Step(site, Kind.SAME, units=units)
        if "norm" in op or site.function == "rms_norm":
            return self._norm(site, op, units, samples)
        phi = self._activation(site, op)
        if phi is not None:
            return Step(site, Kind.ACTIVATION, phi, units=units, samples=samples)
        if op in ("add", "sub", "iadd", "isub"):
            return Step(site, Kind.SUM, bias2=self._bias2(site, any_shape=True), units=units)
        if op in ("matmul", "bmm", "baddbmm", "softmax"):
            return self._attention(site, op)
        if op in ("masked_fill", "where") and len(self.below.get(site.index, ())) == 1:
            return Step(site, Kind.SAME, units=units)
        if op in _SCALES:
            return Step(site, Kind.SCALE, weight2=self._scale2(site), units=units)
        if op in _SAME or site.function == "linear":
            return Step(site, Kind.SAME, units=units)
        if op in _AVERAGES:
            return Step(site, Kind.AVERAGE, units=units)
        if op in _MAXIMA:
            return Step(site, Kind.MAXIMUM, units=units)
        if op in ("cat", "concat", "concatenate"):
            return Step(site, Kind.JOIN, units=units)
        raise UnpredictableError(
            f"theory does not follow the {site.op} of {site.path or 'the model'}"
        )

    def entering_units(self, step: Step) -> int:
        """Return how many units enter a step."""
        shape = self._entering(step.site)
        if not shape:
            return step.units
        channels = step.site.op.startswith("conv") and len(shape) > 1
        return max(1, shape[1] if channels else shape[-1])

    def _entering(self, site: Site) -> tuple[int, ...]:
        edges = self.below.get(site.index, ())
        return self.recording.sites[edges[0].producer].shape if edges else ()

    def _written_out(self, site: Site) -> float:
        """Return the correction of sigma_w^2 for ``x @ W``, whose rows are the inputs."""
        shape = next(s for n in site.weights if len(s := self.parameters[n].shape) > 1)
        entering = self._entering(site)
        if len(shape) != 2 or not entering or entering[-1] == shape[1]:
            return 1.0
        return shape[0] / shape[1] if entering[-1] == shape[0] else 1.0

    def _own(self, site: Site, *, any_shape: bool = False) -> list[Parameter]:
        own = (self.parameters[n] for n in site.weights if n in self.parameters)
        return [p for p in own if any_shape or len(p.shape) == 1]

    def _bias2(self, site: Site, *, any_shape: bool = False) -> float:
        own = self._own(site, any_shape=any_shape)
        return own[-1].rms ** 2 if own and own[-1].rms >= 0.0 else 0.0

    def _scale2(self, site: Site) -> float:
        edges = self.below.get(site.index, [])
        if len(edges) != 1 or math.isnan(edges[0].log10_gain):
            raise UnpredictableError(
                f"two signals are multiplied in {site.path or 'the model'}: a gate is not in "
                "this prediction"
            )
        own = self._own(site, any_shape=True)
        if own and own[0].rms > 0.0:
            return own[0].rms ** 2
        if edges[0].log10_gain == -math.inf:
            raise UnpredictableError(f"a scale in {site.path or 'the model'} is exactly zero")
        return float(100.0 ** edges[0].log10_gain)

    def _norm(self, site: Site, op: str, units: int, samples: int) -> Step:
        own = self._own(site)
        gamma2 = own[0].rms ** 2 if own else 1.0
        beta2 = own[1].rms ** 2 if len(own) > 1 else 0.0
        if op == "batch_norm":
            if is_constant(self.recording, site) or not self.recording.context.training:
                raise UnpredictableError(
                    f"{site.path or 'the model'} divides by its running statistics: it is in "
                    "evaluation mode"
                )
            if samples < _FEWEST_SAMPLES:
                raise UnpredictableError(f"the batch is too small for the BatchNorm of {site.path}")
            return Step(site, Kind.BATCH_NORM, None, gamma2, beta2, units, samples)
        if op in _FEATURE_NORMS:
            return Step(
                site,
                Kind.FEATURE_NORM,
                None,
                gamma2,
                beta2,
                units,
                samples,
                centred=op != "rms_norm",
            )
        if op == "group_norm":
            raise UnpredictableError(
                f"the groups of {site.path or 'a normalisation'} hold few channels, whose offsets "
                "it takes out: theory does not follow that"
            )
        if site.function == "rms_norm":
            return self._written_rms_norm(site, op, units)
        raise UnpredictableError(
            f"theory does not follow the {site.op} of {site.path or 'the model'}"
        )

    def _written_rms_norm(self, site: Site, op: str, units: int) -> Step:
        """Return a part of the RMSNorm that PyTorch runs as several steps."""
        signals = [self.recording.sites[e.producer] for e in self.below.get(site.index, ())]
        if op == "mul" and len(signals) == 2:
            return Step(site, Kind.FEATURE_NORM, units=units, centred=False)
        if op == "mul":
            return Step(site, Kind.SCALE, weight2=self._scale2(site), units=units)
        return Step(site, Kind.STATISTIC, units=units)

    def _attention(self, site: Site, op: str) -> Step:
        """Return a part of an attention that weighs all tokens, or all before, about alike."""
        if op == "softmax":
            entropy = self.recording[Quantity.ATTENTION_ENTROPY].get(site)
            if not entropy >= _EVEN:
                raise UnpredictableError(
                    f"the attention of {site.path or 'the model'} does not weigh its keys alike"
                )
            causal = self._is_masked(site.index)
            return Step(site, Kind.SOFTMAX, units=site.shape[-1], causal=causal)
        producers = [edge.producer for edge in self.below.get(site.index, ())]
        if len(producers) == 2:
            for producer in producers:
                softmax = self._through(producer, self.below, up=False)
                if softmax is not None:
                    tokens = self.recording.sites[softmax].shape[-1]
                    causal = self._is_masked(softmax)
                    return Step(site, Kind.MIX, units=tokens, weigher=producer, causal=causal)
            if self._through(site.index, self.above, up=True) is not None:
                return Step(site, Kind.SCORES, units=self._entering(site)[-1])
        raise UnpredictableError(
            f"theory follows no product of two signals but attention: the {site.op} of "
            f"{site.path or 'the model'}"
        )

    def _through(self, start: int, edges: dict[int, list[Edge]], *, up: bool) -> int | None:
        """Return the softmax that views, scales and masks lead to; None where there is none."""
        here = start
        while True:
            op = self.recording.sites[here].op.rstrip("_")
            if op == "softmax":
                return here
            if not (up and here == start) and op not in _SAME | _SCALES | _MASKS:
                return None
            following = edges.get(here, [])
            if len(following) != 1:
                return None
            here = following[0].consumer if up else following[0].producer

    def _is_masked(self, softmax: int) -> bool:
        """Tell whether something is added to the scores, or put in their place."""
        here = softmax
        while len(edges := self.below.get(here, [])) == 1:
            here = edges[0].producer
            op = self.recording.sites[here].op.rstrip("_")
            if op in _MASKS:
                return True
            if op not in _SAME | _SCALES:
                break
        return False

    def _activation(self, site: Site, op: str) -> Activation | None:
        phi = ACTIVATIONS.get(op)
        if op in ("leaky_relu", "prelu"):
            phi = leaky_relu(self._negative_slope(site))
        if phi is None or op == "identity":
            return None
        if not math.isnan(site.slope_cap) and abs(site.slope_cap - phi.slope_cap) > 1e-3:
            raise UnpredictableError(f"the {site.op} of {site.path} has constants of its own")
        return phi

    def _negative_slope(self, site: Site) -> float:
        """Return the slope below zero: PReLU's parameter, or what the measured slopes say."""
        own = self._own(site)
        if own and own[0].rms >= 0.0:
            return own[0].rms
        slope = self.recording[Quantity.SLOPE_RMS].get(site)
        # Half of a centred signal lies below zero.
        return math.sqrt(max(2.0 * slope * slope - 1.0, 0.0)) if slope > 0.0 else 0.01


def _units(site: Site) -> tuple[int, int]:
    """Return units and how many entries share one: channels of maps, features of others."""
    if not site.shape:
        return 1, max(1, site.size)
    channels = site.op.startswith("conv") or site.op == "batch_norm" or len(site.shape) > 3
    units = site.shape[1] if channels and len(site.shape) > 1 else site.shape[-1]
    return max(1, units), max(1, site.size // max(1, units))
