"""SIREN initialisation: the start that networks of sines need."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Final, final

from torch import Tensor

from unvanish.core.prescriptions import Change, Keeps, Prescription
from unvanish.core.records import Site
from unvanish.core.sources import SOURCES, Source
from unvanish.core.verdicts import NotApplicable
from unvanish.core.wiring import Wiring
from unvanish.treat.anatomy import Layer
from unvanish.treat.drawing import Layout, free, redraw, uniform
from unvanish.treat.gains import EXCHANGES, STARTS
from unvanish.treat.protocol import Case, Patient

_PAPERS_FREQUENCY: Final = 30.0


@final
@dataclass(frozen=True, kw_only=True)
class Siren:
    r"""Draw the weights of a network of sines so that every sine gets a unit normal argument.

    ## When to use
    Networks whose functions are sines (SIREN, coordinate networks) and whose gradient shrinks or
    grows, or that learn nothing but a blur.

    ## What it changes
    With sin(w0 (W x + b)): weights that read the data are drawn uniformly from +-1 / fan-in,
    all others from +-sqrt(6 / fan-in) / w0. Biases are drawn uniformly from +-1 / sqrt(fan-in),
    as PyTorch does. w0 is read off the network: it is the factor between a layer and its sine.

    ## What it costs
    What was learnt in these weights is lost.

    ## Settings
    ``w0``: the factor in the hidden sines. ``first w0``: the frequency of the first layer; the
    factor found there (``first factor``), and 30 where the network has none and the weights
    have to carry it.

    ## Where we differ
    The paper has one w0, 30, in every sine; a network with other factors keeps its own. Where
    the first layer has none, its weights are drawn 30 times as large, so that the sines cover
    the data as in the paper.

    ## Composes with
    An exchange of the activation for sines, which is made first.

    ## Evidence
    8 layers of width 256: the gradient grows by sqrt(1 + exp(-2q)) a layer, q being the fixed
    point of q = 1 - exp(-2q) + w0^2 / (3 fan-in), to which biases inside of a factor w0 = 30
    add: 1.00 with w0 = 30, 1.10 with w0 = 1. 4 layers and w0 = 30, a wave in the plane, 60 steps
    of Adam 1e-4 (2 draws): squared error below 1e-4, from PyTorch's default 0.28 or more.

    ## Source
    Sitzmann, Martel, Bergman, Lindell and Wetzstein (2020), section 3.2.
    """

    name: ClassVar[str] = "siren"
    treats: ClassVar[frozenset[str]] = frozenset({"UV101", "UV102", "UV103", "UV104", "UV105"})
    change: ClassVar[Change] = Change.INITIALISATION
    keeps: ClassVar[frozenset[Keeps]] = frozenset({Keeps.ARCHITECTURE, Keeps.STATE_NAMES})
    sources: ClassVar[tuple[Source, ...]] = (SOURCES["sitzmann2020"],)
    after: ClassVar[frozenset[str]] = EXCHANGES
    excludes: ClassVar[frozenset[str]] = STARTS - {"siren"}

    def assess(self, case: Case) -> Prescription | NotApplicable:
        """Fit networks all of whose functions are sines."""
        layers = free(case)
        sines = [layer for layer in layers if layer.activation == "sin"]
        if not sines:
            return NotApplicable("no sine stands behind a layer")
        others = sorted({x.activation for x in layers if x.activation not in ("", "sin")})
        if others:
            return NotApplicable(f"it is a network of {', '.join(others)}, too, not of sines alone")
        wiring = Wiring(case.recording)
        factors = {x.weight: _factor(wiring, x.site, x.activation_site) for x in sines}
        hidden = [factors[x.weight] for x in sines if not x.reads_data]
        first = [factors[x.weight] for x in sines if x.reads_data]
        if hidden and max(hidden) > 1.01 * min(hidden):
            return NotApplicable("the factors of its hidden sines differ from each other")
        own = first[0] if first else 1.0
        return Prescription(
            remedy=self.name,
            why=f"{len(sines)} layers feed a sine",
            change=self.change,
            keeps=self.keeps,
            settings={
                "w0": hidden[0] if hidden else own,
                "first w0": own if abs(own - 1.0) > 0.01 else _PAPERS_FREQUENCY,
                "first factor": own,
            },
            places=tuple(x.weight for x in layers if x.activation == "sin" or x.fed_by == "sin"),
            cost="what these weights have learnt",
        )

    def apply(self, patient: Patient, prescription: Prescription) -> None:
        """Draw the first layers and the others."""
        w0 = float(prescription.settings["w0"])
        carried = float(prescription.settings["first w0"]) / float(
            prescription.settings["first factor"]
        )
        limits: dict[str, float] = {}

        def draw(layer: Layer, weight: Tensor, layout: Layout) -> Tensor:
            limits[layer.weight] = 1.0 / math.sqrt(layout.fan_in)
            if layer.reads_data:
                return uniform(weight, carried / layout.fan_in)
            return uniform(weight, math.sqrt(6.0 / layout.fan_in) / w0)

        def bias(layer: Layer, old: Tensor) -> Tensor:
            return uniform(old, limits[layer.weight])

        redraw(patient, prescription.places, draw, bias)


def _factor(wiring: Wiring, start: Site, end: Site | None) -> float:
    """Return the constant factor between a layer and its sine."""
    gains = {(e.producer, e.consumer): e.log10_gain for e in wiring.recording.edges}
    decades = 0.0
    site = start
    while end is not None and site.index != end.index:
        after = [one for one in wiring.consumers(site) if one.index <= end.index]
        if not after:
            break
        if after[0].op in ("mul", "div"):
            decades += gains.get((site.index, after[0].index), 0.0)
        site = after[0]
    return float(f"{10.0**decades:.4g}") if math.isfinite(decades) else 1.0
