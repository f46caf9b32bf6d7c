"""Where a factor that is exactly zero stops the gradient, and whether it can ever open."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from unvanish.core.glossary import Quantity
from unvanish.core.records import Parameter, Recording, Site

_PRODUCTS: Final = frozenset(
    "mul linear matmul conv conv1d conv2d conv3d conv_transpose1d conv_transpose2d "
    "conv_transpose3d einsum bilinear batch_norm layer_norm group_norm instance_norm rms_norm "
    "embedding embedding_bag addcmul".split()
)
"""Operations that multiply with a parameter, where they have one."""
_SUMS: Final = frozenset({"add", "sub", "rsub"})


@dataclass(frozen=True)
class ShutFactor:
    """A step that receives gradient and passes none on, since a factor in it is zero.

    Attributes:
        site: The step.
        zeros: Parameters that are all zero and keep it shut.
        starved: Trainable parameters before it that get no gradient at all; none where the zeros
            are two factors that wait for each other and hold back nobody else.
        frozen: Whether the zero may not be trained; otherwise it gets no gradient itself,
            because what it is multiplied with is zero too.
        partners: Trainable parameters before it that are all zero and make what it is multiplied
            with zero; none where nothing but the zeros themselves does.
    """

    site: Site
    zeros: tuple[str, ...]
    starved: tuple[str, ...]
    frozen: bool
    partners: tuple[str, ...] = ()


def shut_factors(recording: Recording) -> list[ShutFactor]:
    """Find every zero factor that starves parameters and cannot open by training.

    A zero that gets gradient opens with the first step and is none of them. What the second
    look, where there is one, finds alive is none either.
    """
    graph = _Graph.of(recording)
    found = []
    for site in recording.signal_sites():
        if not graph.stops(site):
            continue
        zeros = graph.zeros(site)
        if not zeros:
            continue
        starved = [p.name for p in graph.behind(site) if _is_starved(p)]
        starved = [name for name in starved if name not in {p.name for p in zeros}]
        names = tuple(p.name for p in zeros)
        if (starved or graph.is_deadlocked(site)) and not _opens(
            recording.later, (*names, *starved)
        ):
            frozen = all(not p.requires_grad for p in zeros)
            partners = tuple(name for name in graph.partners(site) if name not in names)
            found.append(ShutFactor(site, names, tuple(starved), frozen, partners))
    return found


@dataclass(frozen=True)
class _Graph:
    """Signal edges of a recording, and the parameters by every name.

    Attributes:
        recording: What was measured.
        producers: Consumer to the sites it uses, with the decades it passes on to each.
        parameters: Name or alias to parameter.
    """

    recording: Recording
    producers: Mapping[int, list[tuple[int, float]]]
    parameters: Mapping[str, Parameter]

    @classmethod
    def of(cls, recording: Recording) -> _Graph:
        signal = {site.index for site in recording.signal_sites()}
        producers: dict[int, list[tuple[int, float]]] = defaultdict(list)
        for edge in recording.edges:
            if edge.producer in signal and edge.consumer in signal:
                producers[edge.consumer].append((edge.producer, edge.log10_gain))
        named = {name: p for p in recording.parameters for name in (p.name, *p.aliases)}
        return cls(recording, producers, named)

    def stops(self, site: Site) -> bool:
        """Tell whether a gradient arrives at a site and none leaves it."""
        arrived = self.recording[Quantity.LOG10_ACTIVATION_GRAD_RMS].get(site)
        sent = [gain for _, gain in self.producers.get(site.index, ())]
        return math.isfinite(arrived) and bool(sent) and all(gain == -math.inf for gain in sent)

    def zeros(self, site: Site) -> list[Parameter]:
        """Return the zero parameters that keep a site shut for good."""
        if site.op in _PRODUCTS:
            own = [p for p in (*self._weights(site), *self._frozen(site)) if p.rms == 0.0]
            if own:
                return own if all(_is_stuck(p) for p in own) else []
        # No factor of its own: a flat activation, or a product of signals that are both zero.
        found = [self._zero_behind(index) for index, _ in self.producers[site.index]]
        return [p for zeros in found for p in zeros] if all(found) else []

    def is_deadlocked(self, site: Site) -> bool:
        """Tell whether two trainable zeros wait for each other here, or one for itself.

        Such are the scores of queries and keys that both start at zero, and a matrix of zeros
        whose transpose leads back: the gradient of W^T W x at W = 0 is zero.
        """
        tied = {p.name for p in self.zeros(site) if p.requires_grad}
        if tied & self._used_behind(site):
            return True
        found = [self._zero_behind(index) for index, _ in self.producers[site.index]]
        trained = {p.name for zeros in found for p in zeros if p.requires_grad}
        return len(found) > 1 and all(found) and len(trained) > 1

    def partners(self, site: Site) -> list[str]:
        """Return the trainable factors of zero in what reaches a site as zero, in forward order."""
        sizes = self.recording[Quantity.ACTIVATION_RMS]
        stack, seen = [index for index, _ in self.producers.get(site.index, ())], set[int]()
        while stack:
            index = stack.pop()
            if (
                index not in seen and not sizes.get(index) > 0.0
            ):  # steps within one are not measured
                seen.add(index)
                stack += [producer for producer, _ in self.producers.get(index, ())]
        sites = [self.recording.sites[i] for i in sorted(seen)]
        factors = [p for one in sites if one.op not in _SUMS for p in self._weights(one)]
        stuck = [p.name for p in factors if p.rms == 0.0 and p.requires_grad and _is_stuck(p)]
        return list(dict.fromkeys(stuck))

    def behind(self, site: Site) -> list[Parameter]:
        """Return every parameter that is used on the way to a site, in forward order."""
        used = self._used_behind(site) - set(site.weights)
        return [p for p in self.recording.parameters if {p.name, *p.aliases} & used]

    def _used_behind(self, site: Site) -> set[str]:
        seen, stack = {site.index}, [site.index]
        while stack:
            for producer, _ in self.producers.get(stack.pop(), ()):
                if producer not in seen:
                    seen.add(producer)
                    stack.append(producer)
        return {name for i in seen - {site.index} for name in self.recording.sites[i].weights}

    def _zero_behind(self, index: int) -> list[Parameter]:
        """Return the stuck zero weights that make a signal exactly zero; empty if it is not."""
        sizes = self.recording[Quantity.ACTIVATION_RMS]
        while True:
            site = self.recording.sites[index]
            if sizes.get(index, 0.0) != 0.0:
                return []
            zeros = [p for p in self._weights(site) if p.rms == 0.0]
            if zeros:
                return zeros if all(_is_stuck(p) for p in zeros) else []
            before = self.producers.get(index, ())
            if len(before) != 1 or site.weights:
                return []
            index = before[0][0]

    def _frozen(self, site: Site) -> list[Parameter]:
        """Return the frozen parameters of a site's module; autograd shows no use of them."""
        return [
            p
            for p in self.recording.parameters
            if not p.requires_grad
            and p.used
            and p.name.rpartition(".")[0] == site.path
            and not _is_bias(p)
        ]

    def _weights(self, site: Site) -> list[Parameter]:
        """Return the parameters a site multiplies with, its bias left out."""
        known = [self.parameters[name] for name in site.weights if name in self.parameters]
        return [p for p in known if not _is_bias(p)]


def _is_bias(parameter: Parameter) -> bool:
    return parameter.name.rpartition(".")[2].startswith("bias")


def _is_stuck(parameter: Parameter) -> bool:
    """Tell whether a zero parameter stays zero: frozen, or without any gradient."""
    return not parameter.requires_grad or parameter.log10_grad_rms == -math.inf


def _is_starved(parameter: Parameter) -> bool:
    return parameter.requires_grad and parameter.log10_grad_rms == -math.inf


def _opens(later: Recording | None, names: tuple[str, ...]) -> bool:
    """Tell whether any of these parameters gets gradient after the probe steps."""
    if later is None:
        return False
    return any(p.name in names and math.isfinite(p.log10_grad_rms) for p in later.parameters)
