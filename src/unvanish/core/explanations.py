"""Where the decades went: a tree of terms that add up to what was measured."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    """What a term of the ledger stands for."""

    NETWORK = "network"
    LOSS = "loss"
    GROUP = "group"
    BLOCK = "block"
    OPERATION = "operation"
    MERGE = "merge"
    FACTOR = "factor"


class Factor(StrEnum):
    """What changes the size of a gradient; the fixed vocabulary of the ledger's leaves."""

    SLOPE_CAP = "slope cap"
    """The largest slope of the activation: what it lets through at best."""

    OPERATING_POINT = "operating point"
    """Where the pre-activations stand: saturated, dead, or on the steep part."""

    WEIGHT_SCALE = "weight scale"
    """sigma_w: rms of the weights times the square root of their inputs."""

    ALIGNMENT = "alignment"
    """How the gradient's direction meets the slopes or the weights; 0 for a random one."""

    NORM_SCALE = "1 / deviation"
    """A normalisation divides by the standard deviation of what comes in."""

    NORM_AFFINE = "norm's weight"
    """A normalisation multiplies by its own weight."""

    NORM_PROJECTION = "projection"
    """A normalisation takes out the gradient along its mean and its output."""

    BRANCH_ENERGY = "branch energy"
    """What the weaker branches add to the strongest where they come together."""

    INTERFERENCE = "interference"
    """Whether branches that come together agree (above 0) or cancel (below)."""

    SOFTMAX = "softmax"
    """What a row of attention weights lets through to its scores."""

    PRODUCT = "product"
    """Multiplication by another signal: a gate, or the other side of a matrix product."""

    DROPOUT = "dropout"
    """Scaling of what dropout keeps."""

    POOLING = "pooling"
    """Averages and maxima hand one gradient to many entries, or to one of them."""

    LAYOUT = "layout"
    """Views, splits, concatenations: entries left out or put beside others."""

    LOSS = "loss"
    """Between the network's outputs and the loss."""

    OPAQUE = "opaque"
    """Several steps that PyTorch runs as one and that cannot be looked into."""

    OTHER = "other"
    """Any other operation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """One term of the ledger.

    Attributes:
        level: What it stands for.
        name: What a person would call it: a layer, an operation, a factor.
        log10_gain: Decades by which the gradient changes here; negative is lost, ``-inf``
            is where it becomes exactly zero. Equal to the sum over the children.
        factor: Of a leaf, the factor; None above.
        sites: Indices of the sites it is about.
        shares: At a merge, the signed share of every branch that comes in.
        children: The terms it is the sum of, from the loss towards the input.
    """

    level: Level
    name: str
    log10_gain: float
    factor: Factor | None = None
    sites: tuple[int, ...] = ()
    shares: tuple[tuple[str, float], ...] = ()
    children: tuple[Term, ...] = ()

    def leaves(self) -> Iterator[Term]:
        """Yield the terms without children, from the loss towards the input."""
        if not self.children:
            yield self
        for child in self.children:
            yield from child.leaves()

    def by_factor(self) -> dict[Factor, float]:
        """Return the decades of every factor, the strongest loss first."""
        totals: dict[Factor, list[float]] = {}
        for leaf in self.leaves():
            if leaf.factor is not None:
                totals.setdefault(leaf.factor, []).append(leaf.log10_gain)
        summed = {factor: total(values) for factor, values in totals.items()}
        return dict(sorted(summed.items(), key=lambda item: item[1]))


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictedLayer:
    """One layer of the prediction, relative to the last layer.

    Attributes:
        site: Index of the layer's site.
        measured: Decades of the random-direction gradient's norm at its output.
        predicted: The same from theory.
        band: Two standard deviations of a network of this width, in decades.
    """

    site: int
    measured: float
    predicted: float
    band: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """Theory beside the measurement.

    Attributes:
        layers: Input side first; the last is 0 by definition.
        reason: Why there are none; empty where there are.
    """

    layers: tuple[PredictedLayer, ...] = ()
    reason: str = ""

    @property
    def is_within(self) -> bool:
        """Whether the first layer's measurement lies within the band; False where there is none."""
        if not self.layers:
            return False
        first = self.layers[0]
        return abs(first.measured - first.predicted) <= first.band


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """The ledger between the loss and one place of the network.

    Attributes:
        code: Code of the finding it explains, or ``""``.
        target: Index of the site whose gradient is explained.
        name: That site's name.
        ledger: The tree; its ``log10_gain`` is what was measured.
        parameters: Names of the parameters used there, with the three factors of their
            gradient's norm.
        prediction: What theory says of the same layers, where they are plain.
    """

    code: str = ""
    target: int
    name: str
    ledger: Term
    parameters: tuple[ParameterTerms, ...] = ()
    prediction: Prediction = field(default_factory=lambda: Prediction())

    @property
    def residue(self) -> float:
        """Measured total minus the sum of all leaves, in decades: zero up to rounding."""
        summed = total([leaf.log10_gain for leaf in self.ledger.leaves()])
        if summed == self.ledger.log10_gain:
            return 0.0
        return self.ledger.log10_gain - summed

    def to_json(self) -> dict[str, Any]:
        """Return the tree as a JSON object; a number that is not finite becomes text."""
        return {
            "code": self.code,
            "target": self.name,
            "site": self.target,
            "by_factor": {str(f): _plain(v) for f, v in self.ledger.by_factor().items()},
            "residue": _plain(self.residue),
            "ledger": _document(self.ledger),
            "parameters": [
                {key: _plain(value) for key, value in asdict(p).items()} for p in self.parameters
            ],
            "prediction": {
                "reason": self.prediction.reason,
                "layers": [
                    {key: _plain(value) for key, value in asdict(layer).items()}
                    for layer in self.prediction.layers
                ],
            },
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterTerms:
    """Why a weight's gradient has the size it has: |dW| = |delta| |h| coherence.

    Attributes:
        name: Name of the parameter.
        log10_grad_norm: log10 |dL/dW|, the whole.
        log10_backward: log10 |delta|, the gradient that arrives at the step's output.
        log10_forward: log10 |h|, the signal that enters the step.
        log10_coherence: The rest: how far the samples' contributions agree; at most 0.
    """

    name: str
    log10_grad_norm: float
    log10_backward: float
    log10_forward: float
    log10_coherence: float


def _document(term: Term) -> dict[str, Any]:
    document: dict[str, Any] = {
        "level": str(term.level),
        "name": term.name,
        "log10_gain": _plain(term.log10_gain),
        "sites": list(term.sites),
    }
    if term.factor is not None:
        document["factor"] = str(term.factor)
    if term.shares:
        document["shares"] = [[name, _plain(share)] for name, share in term.shares]
    if term.children:
        document["children"] = [_document(child) for child in term.children]
    return document


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else str(value)
    return value


def total(values: list[float]) -> float:
    """Return the sum of decades; ``-inf`` where a gradient ends, without becoming nan."""
    if any(value == -math.inf for value in values):
        return -math.inf
    return math.fsum(values)
