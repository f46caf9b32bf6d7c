"""Look upstream of a site: what feeds it, and why its input is as large as it is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from unvanish.core.findings import Cause
from unvanish.core.glossary import Quantity
from unvanish.core.records import Parameter, Recording, Role, Site


@dataclass(frozen=True)
class Upstream:
    """The op graph of a recording, read against the direction of the signal.

    Attributes:
        recording: What was measured.
    """

    recording: Recording
    _producers: Mapping[int, list[int]] = field(init=False, repr=False)
    _parameters: Mapping[str, Parameter] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        count = len(self.recording.sites)
        producers: dict[int, list[int]] = {}
        for edge in self.recording.edges:
            # Forward order only, so that a walk upstream always ends.
            if 0 <= edge.producer < edge.consumer < count:
                producers.setdefault(edge.consumer, []).append(edge.producer)
        object.__setattr__(self, "_producers", producers)
        parameters = {n: p for p in self.recording.parameters for n in (p.name, *p.aliases)}
        object.__setattr__(self, "_parameters", parameters)

    def producers(self, site: Site) -> list[Site]:
        """Return the sites whose signal a site uses, strongest first."""
        sites = (self.recording.sites[index] for index in self._producers.get(site.index, ()))
        return sorted(
            (site for site in sites if site.role is not Role.WEIGHT), key=lambda s: -self.rms(s)
        )

    def rms(self, site: Site) -> float:
        """Return the rms of a site's output, or 0 where it was not measured."""
        value = self.recording[Quantity.ACTIVATION_RMS].get(site)
        return value if value >= 0.0 else 0.0

    def weighted(self, site: Site) -> Site | None:
        """Return the nearest weight-bearing site that feeds this one, if possible a measured one.

        A layer that PyTorch runs as a product and an addition of the bias is measured once.
        """
        size = self.recording[Quantity.ACTIVATION_RMS]
        nearest: Site | None = None
        while producers := self.producers(site):
            site = producers[0]
            if site.weights and site in size:
                return site
            nearest = nearest or (site if site.weights else None)
        return nearest

    def parameters(self, site: Site) -> list[Parameter]:
        """Return the parameters that a site multiplies its input with."""
        return [self._parameters[name] for name in site.weights if name in self._parameters]

    def bias(self, site: Site) -> Parameter | None:
        """Return the bias that a weight-bearing site adds, or the module that it belongs to.

        It is a vector of its own (``x @ w + b``), or named a bias (``bias``, ``bias_ih``).
        """
        for parameter in self.parameters(site):
            named = parameter.name.rpartition(".")[2].startswith("bias")
            if named or (site.op in ("add", "sub") and len(parameter.shape) == 1):
                return parameter
        return self._parameters.get(f"{site.path}.bias") if site.path else None

    def bias_rules(self, site: Site) -> bool:
        """Tell whether the bias outweighs the weights in the input of an activation.

        Where the size of their sum is not known, as inside a cell, the weights are taken to
        work on an input of ordinary size.
        """
        source = self.weighted(site)
        bias = self.bias(source) if source else None
        if source is None or bias is None or not bias.rms > 0.0:
            return False
        if source not in self.recording[Quantity.ACTIVATION_RMS]:
            return bias.rms > max(1.0, self.gain(source))
        whole = self.rms(source)
        spread = math.sqrt(max((whole - bias.rms) * (whole + bias.rms), 0.0))
        return self.rms(source) > 0.0 and bias.rms > spread

    def input_rms(self, site: Site) -> float:
        """Estimate the rms of the network's input as far as it still reaches a site.

        The walk ends at a normalisation or a bounded activation, behind which the scale of
        the input is forgotten. At the first weighted site the input is not a site of its
        own; its rms follows from y = W x as rms(y) / (rms(W) sqrt(fan-in)).

        Args:
            site: The activation whose input is in question.

        Returns:
            The rms, or nan where the input's scale does not reach the site or the numbers
            are missing.
        """
        while producers := self.producers(site):
            site = producers[0]
            if site.can_saturate or "norm" in site.op or "softmax" in site.op:
                return math.nan
        gain = self.gain(site)
        if not site.weights:
            return self.rms(site) or math.nan
        if self.recording.data and site not in self.recording[Quantity.INPUT_RMS]:
            return math.nan  # what comes in is a parameter, such as a hypernetwork's latent
        return self.rms(site) / gain if gain > 0.0 else math.nan

    def _entry(self, site: Site) -> Site | None:
        """Return the layer that brings the data into a cell whose own sums were not measured."""
        entering = self.recording[Quantity.INPUT_RMS]
        waiting, seen = [site], {site.index}
        while waiting:
            for before in self.producers(waiting.pop(0)):
                if before in entering:
                    return before
                forgets = before.can_saturate or "norm" in before.op or "softmax" in before.op
                if before.index not in seen and not forgets:
                    seen.add(before.index)
                    waiting.append(before)
        return None

    def gain(self, site: Site) -> float:
        """Return rms(W) sqrt(fan-in) of a weight-bearing site, or nan."""
        weight = next((w for w in self.parameters(site) if len(w.shape) >= 2 and w.rms > 0.0), None)
        return weight.rms * math.sqrt(weight.size / weight.shape[0]) if weight else math.nan

    def why_large(self, site: Site) -> Cause:
        """Say which factor makes the input of an activation large.

        The pre-activation is the network's input times the gain of the layers up to here,
        plus a bias. Whichever stands further above 1 is the cause.

        Args:
            site: The activation.

        Returns:
            BIAS, INPUT_SCALE or INIT_TOO_LARGE; the last where the numbers are missing.
        """
        if self.bias_rules(site):
            return Cause.BIAS
        source = self.weighted(site)
        size, scale = self.rms(source) if source else 0.0, self.input_rms(site)
        if not size and (layer := self._entry(site)) is not None:
            scale = self.recording[Quantity.INPUT_RMS][layer]
            size = scale * self.gain(layer)
        if scale > 1.0 and scale > size / scale:
            return Cause.INPUT_SCALE
        return Cause.INIT_TOO_LARGE
