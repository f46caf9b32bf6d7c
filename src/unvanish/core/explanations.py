"""Where the decades went: a tree of terms that add up to what was measured."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Final

from unvanish.core.counterfactuals import Counterfactual, Outcome, decisive, verdict


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

    GATE = "gate"
    """Multiplication by a gate, a signal from 0 to 1 that is there for nothing else."""

    PRODUCT = "product"
    """Multiplication by any other signal, or by the other side of a matrix product."""

    DROPOUT = "dropout"
    """Scaling of what dropout keeps."""

    POOLING = "pooling"
    """Averages and maxima hand one gradient to many entries, or to one of them."""

    LAYOUT = "layout"
    """Views, splits, concatenations: entries left out or put beside others."""

    PRECISION = "rounding"
    """What the run's types of 16 bits take from the gradient, against float64."""

    HOOK = "gradient hook"
    """A hook of the user's that changes the gradient on its way back."""

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
        parts: Of an operating point, its decades by where the activation withholds gradient:
            ``"dead units"``, ``"left tail"``, ``"right tail"``, ``"half-slope"``; they add up.
        against: Of a weight scale, decades over the critical one for the activation behind it;
            ``nan`` where there is none.
        repeats: Of a group, how often its pattern repeats; a recurrent network's time steps.
        children: The terms it is the sum of, from the loss towards the input.
    """

    level: Level
    name: str
    log10_gain: float
    factor: Factor | None = None
    sites: tuple[int, ...] = ()
    shares: tuple[tuple[str, float], ...] = ()
    parts: tuple[tuple[str, float], ...] = ()
    against: float = math.nan
    repeats: int = 1
    children: tuple[Term, ...] = ()

    @property
    def each(self) -> float:
        """Decades of one repeat."""
        return self.log10_gain / self.repeats

    def against_critical(self) -> float:
        """Return the decades by which weights differ from critical ones; ``nan`` if none tells."""
        found = [leaf.against for leaf in self.leaves() if not math.isnan(leaf.against)]
        return math.fsum(found) if found else math.nan

    def by_part(self) -> dict[str, float]:
        """Return the decades of operating points by where they are lost, the most first."""
        totals: dict[str, list[float]] = {}
        for leaf in self.leaves():
            for name, decades in leaf.parts:
                totals.setdefault(name, []).append(decades)
        summed = {name: total(values) for name, values in totals.items()}
        return dict(sorted(summed.items(), key=lambda item: item[1]))

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
        depth: Weight-bearing steps from the first of them to the last.
        trainable_depth: The number of layers at which such a network stops being trainable:
            six times the depth over which the predicted energy of the gradient changes by a
            factor of e, at its average factor a layer; ``inf`` where it keeps its size.
    """

    layers: tuple[PredictedLayer, ...] = ()
    reason: str = ""
    depth: int = 0
    trainable_depth: float = math.nan

    @property
    def is_within(self) -> bool:
        """Whether the first layer's measurement lies within the band; False where there is none."""
        if not self.layers:
            return False
        first = self.layers[0]
        return abs(first.measured - first.predicted) <= first.band


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerAxis:
    """What one layer does to the differences between samples and between tokens.

    A network may keep the size of its gradient and still be untrainable, where it no longer tells
    its inputs apart. ``nan`` is not measured.

    Attributes:
        site: Index of the layer's site.
        name: Its name.
        cosine: Mean cosine of two samples' outputs.
        rank: Directions in which the samples' outputs differ.
        grad_rank: Directions in which the output can ask it to change.
        deviation: Share of the signal's energy in what the tokens do not have in common; the
            rest is in their mean.
        grad_deviation: The same share of the gradient's energy.
    """

    site: int
    name: str
    cosine: float = math.nan
    rank: float = math.nan
    grad_rank: float = math.nan
    deviation: float = math.nan
    grad_deviation: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class AttentionAxis:
    """Which of its three inputs an attention sends its gradient to.

    Attributes:
        site: Index of the softmax.
        name: Its name.
        query: Share of the energy that goes to the queries.
        key: To the keys.
        value: To the values.
        entropy: How evenly it spreads, from 0 on one key to 1 over all; ``nan`` if not known.
    """

    site: int
    name: str
    query: float
    key: float
    value: float
    entropy: float = math.nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Axes:
    """What the size of the gradient does not tell.

    Attributes:
        layers: Every layer of the network, in forward order.
        attention: Every softmax between two matrix products, in forward order.
        signal_to_noise: Name of a parameter to |mean gradient|^2 over its variance.
    """

    layers: tuple[LayerAxis, ...] = ()
    attention: tuple[AttentionAxis, ...] = ()
    signal_to_noise: tuple[tuple[str, float], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the axes as a JSON object; what was not measured is null."""
        return {
            "layers": [{k: _plain(v) for k, v in asdict(one).items()} for one in self.layers],
            "attention": [{k: _plain(v) for k, v in asdict(one).items()} for one in self.attention],
            "signal_to_noise": {name: _plain(value) for name, value in self.signal_to_noise},
        }


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
        prediction: What theory says of the same layers, where it can follow them.
        counterfactuals: Rival explanations put to the test on the network, where they were.
        axes: What the size of the gradient does not tell: samples, tokens, noise.
    """

    code: str = ""
    target: int
    name: str
    ledger: Term
    parameters: tuple[ParameterTerms, ...] = ()
    prediction: Prediction = field(default_factory=lambda: Prediction())
    counterfactuals: tuple[Counterfactual, ...] = ()
    axes: Axes = field(default_factory=lambda: Axes())

    @property
    def residue(self) -> float:
        """Measured total minus the sum of all leaves, in decades: zero up to rounding."""
        summed = total([leaf.log10_gain for leaf in self.ledger.leaves()])
        if summed == self.ledger.log10_gain:
            return 0.0
        return self.ledger.log10_gain - summed

    @property
    def verdict(self) -> str:
        """Which factor restores the flow and which rivals are ruled out; empty if not measured."""
        return self.verdict_of(self.counterfactuals)

    def verdict_of(self, counterfactuals: Sequence[Counterfactual]) -> str:
        """Return the verdict of some of the counterfactuals.

        Where none of them restores the flow although one factor of one kind of step holds most
        of it, that is named as well: nothing was put in its place.

        Args:
            counterfactuals: What was measured.
        """
        said = verdict(counterfactuals)
        tried = [one for one in decisive(counterfactuals) if not one.bypass]
        restored = [one for one in tried if one.outcome in (Outcome.RESTORES, Outcome.MOSTLY)]
        if not said or restored:
            return said
        named = self._dominating()
        if named is None:
            return said
        op, factor, decades = named
        if any(one.mechanism in _SWAPPED_BY.get(factor, ()) for one in tried):
            return said
        return (
            f"{said}; the ledger names the {factor} of {op}, {decades:+.1f} decades, which nothing "
            "was put in place of"
        )

    def _dominating(self) -> tuple[str, Factor, float] | None:
        """Return the kind of step and its factor that holds most of the decades, with these."""
        terms = [term for term in self.ledger.children if term.level is not Level.LOSS]
        whole = math.fsum(term.log10_gain for term in terms)
        groups: dict[tuple[str, Factor], list[float]] = {}
        for term in terms:
            for op, leaf in _by_step(term):
                if leaf.factor is not None and leaf.factor not in _NOBODYS:
                    groups.setdefault((op, leaf.factor), []).append(leaf.log10_gain)
        if not groups or not math.isfinite(whole):
            return None
        best = max(groups, key=lambda one: math.fsum(groups[one]) * math.copysign(1.0, whole))
        decades = math.fsum(groups[best])
        if decades * math.copysign(1.0, whole) < _MOSTLY * abs(whole):
            return None
        return *best, decades

    def to_json(self, *, full: bool = True) -> dict[str, Any]:
        """Return the tree as a JSON object; a number that is not finite becomes text.

        Args:
            full: Whether everything below the blocks is written; else their factors alone.
        """
        return {
            "code": self.code,
            "target": self.name,
            "site": self.target,
            "by_factor": {str(f): _plain(v) for f, v in self.ledger.by_factor().items()},
            "by_part": {name: _plain(v) for name, v in self.ledger.by_part().items()},
            "against_critical": _plain(self.ledger.against_critical()),
            "residue": _plain(self.residue),
            "ledger": _document(self.ledger, full=full),
            "parameters": [
                {key: _plain(value) for key, value in asdict(p).items()} for p in self.parameters
            ],
            "prediction": {
                "reason": self.prediction.reason,
                "depth": self.prediction.depth,
                "trainable_depth": _plain(self.prediction.trainable_depth),
                "is_within": self.prediction.is_within,
                "layers": [
                    {key: _plain(value) for key, value in asdict(layer).items()}
                    for layer in self.prediction.layers
                ],
            },
            "counterfactuals": [one.to_json() for one in self.counterfactuals],
            "verdict": self.verdict,
            **({"axes": self.axes.to_json()} if full else {}),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterTerms:
    """Why a parameter's gradient has the size it has: |dW| = |delta| |h| coherence.

    Of several uses, as over time, delta and h hold those of all uses one under the other.

    Attributes:
        name: Name of the parameter.
        log10_grad_norm: log10 |dL/dW|, the whole.
        log10_backward: log10 |delta|, the gradient that arrives at the step's output.
        log10_forward: log10 |h|, the signal that enters the step.
        log10_coherence: The rest: how far the contributions of samples, positions and uses
            agree; at most 0 for a matrix, a kernel, an embedding and a bias.
        log10_parametrisation: What the parameter's own way into the matrix adds: a weight
            normalisation, a product of two matrices; 0 where it is the matrix itself.
        log10_hook: What hooks on the parameter's gradient make of it; 0 where there are none.
    """

    name: str
    log10_grad_norm: float
    log10_backward: float
    log10_forward: float
    log10_coherence: float
    log10_parametrisation: float = 0.0
    log10_hook: float = 0.0


_SWAPPED_BY: Final = {
    Factor.SLOPE_CAP: ("slope-cap", "other-steps"),
    Factor.OPERATING_POINT: ("slope-cap", "saturation", "dead-units", "other-steps"),
    Factor.NORM_SCALE: ("normalisation", "post-norm"),
    Factor.NORM_AFFINE: ("normalisation", "post-norm"),
    Factor.NORM_PROJECTION: ("normalisation", "post-norm"),
    Factor.SOFTMAX: ("softmax-saturation", "other-steps"),
    Factor.GATE: ("closed-gates",),
    Factor.PRODUCT: ("closed-gates", "scaling-steps"),
    Factor.BRANCH_ENERGY: ("unscaled-branches",),
    Factor.DROPOUT: ("dropout",),
    Factor.PRECISION: ("precision",),
    Factor.HOOK: ("gradient-hooks",),
    Factor.OTHER: ("other-steps",),
}
"""Which mechanisms put something in place of a factor."""

_NOBODYS: Final = (Factor.WEIGHT_SCALE, Factor.ALIGNMENT, Factor.INTERFERENCE)
"""Factors with a mechanism at every layer, and those that depend on the gradient alone."""

_MOSTLY: Final = 0.5
"""Share of what was lost or gained that makes a factor the one to name."""


def _by_step(term: Term) -> Iterator[tuple[str, Term]]:
    """Yield every factor of an operation with the operation's name."""
    for child in term.children:
        if term.level is Level.OPERATION:
            yield term.name.partition(" #")[0].split()[-1], child
        else:
            yield from _by_step(child)


def _document(term: Term, *, full: bool) -> dict[str, Any]:
    document: dict[str, Any] = {
        "level": str(term.level),
        "name": term.name,
        "log10_gain": _plain(term.log10_gain),
        "sites": list(term.sites),
    }
    if term.factor is not None:
        document["factor"] = str(term.factor)
    if term.parts:
        document["parts"] = {name: _plain(decades) for name, decades in term.parts}
    if not math.isnan(term.against):
        document["against"] = term.against
    if term.repeats > 1:
        document["repeats"] = term.repeats
    if term.shares:
        document["shares"] = [[name, _plain(share)] for name, share in term.shares]
    if term.children and not full and term.level is not Level.NETWORK:
        document["by_factor"] = {str(f): _plain(v) for f, v in term.by_factor().items()}
    elif term.children:
        document["children"] = [_document(child, full=full) for child in term.children]
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
