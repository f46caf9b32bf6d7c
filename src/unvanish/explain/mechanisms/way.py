"""What lies between the two places of a question, as the mechanisms need it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Final

import numpy as np

from unvanish.core.explanations import Explanation, Factor, Level, Term
from unvanish.core.glossary import Quantity
from unvanish.core.interventions import Intervention, Question, Swap
from unvanish.core.records import Recording, Role, Site
from unvanish.explain.factors import is_constant, spread_of
from unvanish.explain.factors.gate import BOUNDED
from unvanish.explain.factors.pooling import LAYOUT
from unvanish.theory.activations import activation
from unvanish.theory.mean_field import slope_moment

_STEEP: Final = 0.5
"""Share of the largest slope that weights are asked to make up for at most."""

_LENGTHS: Final = tuple(float(q) for q in np.geomspace(1e-6, 1e3, 37))


_MAGNITUDES: Final = (".original0", "weight_g")
"""How the names of the sizes end that a weight normalisation keeps beside directions."""


class Way:
    """The steps that the gradient runs through from the origin back to the target.

    Args:
        recording: What was observed.
        question: Between which two places.
    """

    def __init__(self, recording: Recording, question: Question) -> None:
        self.recording = recording
        self.question = question
        self.parameters = {p.name: p for p in recording.parameters}
        self._producers: dict[int, list[int]] = {}
        self._scales: dict[int, float] = {}
        self._computed: set[int] = set()
        consumers: dict[int, list[int]] = {}
        for edge in recording.edges:
            if recording.sites[edge.producer].role is Role.SIGNAL:
                self._producers.setdefault(edge.consumer, []).append(edge.producer)
                consumers.setdefault(edge.producer, []).append(edge.consumer)
                self._scales[edge.consumer] = edge.log10_scale
            elif recording.sites[edge.producer].role is Role.WEIGHT and (
                edge.producer in self._computed
                or recording.sites[edge.producer].op.rstrip("_") not in LAYOUT
            ):
                self._computed.add(edge.consumer)
        self.consumers = consumers
        inside = _reached(question.target, consumers) - {question.target}
        if question.origin is not None:
            inside &= _reached(question.origin, self._producers)
        self.sites = [s for s in recording.signal_sites() if s.index in inside]

    def producers(self, site: Site) -> list[int]:
        """Return the distinct signals that a step works on."""
        return list(dict.fromkeys(self._producers.get(site.index, ())))

    def leads(self, earlier: int, later: int) -> bool:
        """Tell whether the output of one step enters into that of a later one."""
        stack, seen = [later], {later}
        while stack:
            for producer in self._producers.get(stack.pop(), ()):
                if producer == earlier:
                    return True
                if producer > earlier and producer not in seen:
                    seen.add(producer)
                    stack.append(producer)
        return False

    def activations(self) -> Iterator[tuple[Site, int]]:
        """Yield the activations on the way, each with the site it takes its input from.

        An activation that is used as a gate multiplies another signal, which is another
        mechanism's matter.
        """
        for site in self.sites:
            if site.slope_cap > 0.0 and not (site.gates and site.op in BOUNDED):
                source = self.source(site)
                if source is not None:
                    yield site, source

    def norms(self) -> Iterator[tuple[Site, int]]:
        """Yield the normalisations on the way, each with the site it takes its input from."""
        for site in self.sites:
            if not _is_norm(site):
                continue
            users = (self.recording.sites[c] for c in self.consumers.get(site.index, ()))
            if any(_same_call(site, user) for user in users):
                continue  # a step in the middle of it
            source = self.source(site)
            if source is not None:
                yield site, source

    def source(self, site: Site) -> int | None:
        """Return the one signal of equal size that a function works on; None without one.

        Where a function is made of several steps, they are walked through.
        """
        behind = self.producers(site)
        if len(behind) > 1:
            found: set[int] = set()
            stack, seen = [site], {site.index}
            while stack:
                for producer in self.producers(stack.pop()):
                    one = self.recording.sites[producer]
                    if not _same_call(site, one):
                        found.add(producer)
                    elif producer not in seen:
                        seen.add(producer)
                        stack.append(one)
            behind = list(found)
        if len(behind) != 1 or self.recording.sites[behind[0]].size != site.size:
            return None
        return behind[0]

    def layers(self) -> Iterator[tuple[Site, float]]:
        """Yield the layers on the way with their sigma_w, but for those before a norm.

        What a normalisation follows has no scale of its own.
        """
        for site in self.sites:
            behind = self.producers(site)
            entering = self.recording.sites[behind[0]].shape if behind else ()
            scale = self._scales.get(site.index, math.nan) if len(behind) == 1 else math.nan
            spread = spread_of(site, self.parameters, entering, scale)
            users = (self.recording.sites[c] for c in self.consumers.get(site.index, ()))
            if spread is not None and not any(
                _is_norm(user) and not is_constant(self.recording, user) for user in users
            ):
                yield site, spread

    def scaled_by(self, layer: Site) -> tuple[str, ...]:
        """Return the parameters that a layer's matrix is proportional to.

        Of one that is computed, as by a weight normalisation, that is the magnitude; none where
        there is no such parameter, as under a spectral normalisation.
        """
        named = [n for n in layer.weights if n in self.parameters]
        if layer.index in self._computed:
            return tuple(n for n in named if n.endswith(_MAGNITUDES))
        return tuple(n for n in named if len(self.parameters[n].shape) > 1)

    def critical(self, layer: Site) -> float:
        """Return the sigma_w at which a layer makes up for the activation that feeds it.

        1 / sqrt(max_q E phi'(z)^2) with z ~ N(0, q), at the best operating point the activation
        has, and with a slope cap below one left to the activation's own account: sqrt(2) for
        ReLU (He), 1 for tanh and for sigmoid (Xavier), 1 where no activation feeds the layer.
        """
        seen: set[int] = set()
        here = layer
        while True:
            behind = self.producers(here)
            if len(behind) != 1 or behind[0] in seen:
                return 1.0
            seen.add(behind[0])
            here = self.recording.sites[behind[0]]
            if here.slope_cap > 0.0:
                break
            if here.weights:
                return 1.0
        try:
            return best_scale(here.op)
        except ValueError:
            slope = self.recording[Quantity.SLOPE_RMS].get(here)
            # Where it is flat at the operating point, that is not the weights' matter.
            slope = max(slope, _STEEP * here.slope_cap)
            return 1.0 / slope if slope > 0.0 and not here.can_saturate else 1.0


@lru_cache(maxsize=64)
def best_scale(name: str) -> float:
    """Return the critical sigma_w of an activation at its best operating point.

    A slope cap below one is taken out first: it is the activation's fault, not the weights'.

    Args:
        name: An activation that theory knows.

    Raises:
        ValueError: If theory does not know it.

    Example:
        >>> round(best_scale("relu"), 3), round(best_scale("sigmoid"), 3)
        (1.414, 1.0)
    """
    phi = activation(name)
    best = max(slope_moment(phi, q) for q in _LENGTHS)
    return min(1.0, phi.slope_cap) / math.sqrt(best)


def recurrent_calls(way: Way) -> list[int]:
    """Return the calls of the weights that are used at most depths on the way, first to last.

    The target itself is one of them where it uses the same weights.
    """
    calls: dict[tuple[object, ...], list[Site]] = {}
    for site in (way.recording.sites[way.question.target], *way.sites):
        if site.weights and "norm" not in site.op:
            calls.setdefault((site.path, site.op, site.weights), []).append(site)
    longest = max(calls.values(), key=lambda sites: len({s.depth for s in sites}), default=[])
    if len({s.depth for s in longest}) < 4:
        return []
    chain = [longest[0].index]
    for earlier, later in pairwise(longest):
        if later.depth > earlier.depth:
            chain.append(later.index)
    return chain


def between(swap: Swap, what: str, pairs: Sequence[tuple[int, int]]) -> tuple[Intervention]:
    """Return one intervention that lets the gradient pass whole between pairs of steps.

    Args:
        swap: What is done.
        what: The same in words.
        pairs: Each step with the one it takes its input from.
    """
    return (
        Intervention(
            swap=swap,
            what=what,
            sites=tuple(site for site, _ in pairs),
            sources=tuple(source for _, source in pairs),
            values=(1.0,) * len(pairs),
        ),
    )


def operations(explanation: Explanation) -> dict[int, float]:
    """Return the decades of every operation of a ledger, by its site."""
    gains: dict[int, float] = {}

    def collect(term: Term) -> None:
        if term.level is Level.OPERATION and not is_hook(term):
            gains[term.sites[0]] = term.log10_gain
        for child in term.children:
            collect(child)

    collect(explanation.ledger)
    return gains


def is_hook(term: Term) -> bool:
    """Tell whether a term of a ledger is a hook on what arrives at a step, not the step."""
    return any(leaf.factor is Factor.HOOK for leaf in term.children)


def replaced(explanation: Explanation, intervention: Intervention) -> float:
    """Return the decades that come back where operations of a ledger get another gain.

    Args:
        explanation: The ledger.
        intervention: New Jacobians or multipliers for some of its operations.
    """
    gains = operations(explanation)
    values = intervention.values or (1.0,) * len(intervention.sites)
    terms = []
    for site, value in zip(intervention.sites, values, strict=True):
        if site in gains:
            new = math.log10(value)
            terms.append(new if intervention.swap is Swap.GAIN else new - gains[site])
    return math.inf if math.inf in terms else math.fsum(terms)


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: ``"1 layer"``, ``"30 layers"``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def noun(sites: list[Site], otherwise: str = "activation") -> str:
    """Return what to call one of some steps: its operation, where all are the same."""
    operations = {site.op for site in sites}
    return operations.pop() if len(operations) == 1 else otherwise


def _is_norm(site: Site) -> bool:
    return "norm" in site.op or (site.function.endswith("_norm") and site.function != "norm")


def _same_call(site: Site, other: Site) -> bool:
    return (site.path, site.function) == (other.path, other.function) and bool(site.function)


def _reached(start: int, onwards: dict[int, list[int]]) -> set[int]:
    seen = {start}
    stack = [start]
    while stack:
        for site in onwards.get(stack.pop(), ()):
            if site not in seen:
                seen.add(site)
                stack.append(site)
    return seen
