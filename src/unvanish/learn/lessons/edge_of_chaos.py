"""Lesson: order, chaos and the edge between them, theory beside measurement."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import nn

from unvanish.core.glossary import Quantity
from unvanish.core.lessons import Curves, Evidence, Point, Relation, Scale, Series, Table
from unvanish.core.sources import SOURCES
from unvanish.learn.lesson import Lesson
from unvanish.learn.networks import grad_by_layer, plain, slope_of
from unvanish.learn.settings import number, seed, whole
from unvanish.observe import trace
from unvanish.theory.activations import activation
from unvanish.theory.criticality import critical_point
from unvanish.theory.mean_field import MeanField, mean_field

_PHI: Final = activation("tanh")
_INPUTS: Final = 64
_SETTLED: Final = 4
"""First layers that are left out: the signal has not found its length yet."""
_ALIKE: Final = 1e-6
"""Distance from a correlation of one below which float32 rounds."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Where on the plane of weights and biases the networks are drawn."""

    order: float = number(1.0, least=0.3, most=4, meaning="sigma_w of the ordered network")
    chaos: float = number(2.0, least=1.9, most=4, meaning="sigma_w of the chaotic network")
    bias: float = number(0.05, least=0.001, most=1, meaning="sigma_b^2 of all three")
    depth: int = whole(40, least=10, most=150, meaning="hidden layers")
    width: int = whole(256, least=32, most=512, meaning="units of a hidden layer")
    seed: int = seed()


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """One network, beside what theory says of it."""

    sigma_w: float
    theory: MeanField
    cosines: tuple[float, ...]
    grads: tuple[float, ...]

    @property
    def factor(self) -> float:
        """Decades of gradient gained by every layer on the way back."""
        return -slope_of(self.grads[_SETTLED:])

    @property
    def scale(self) -> float:
        """Layers over which the distance from a correlation of one falls by e."""
        distances = [1.0 - one for one in self.cosines[_SETTLED:]]
        slope = slope_of([math.log(one) if one > _ALIKE else math.nan for one in distances])
        return -1.0 / slope if slope else math.inf


def experiment(settings: Settings) -> Evidence:
    """Look at one network in each phase."""
    edge = critical_point(_PHI, settings.bias)
    if edge is None:
        return Evidence(missing=f"no weights are critical at sigma_b^2 = {settings.bias:g}")
    gains = {"order": settings.order, "edge": edge.gain, "chaos": settings.chaos}
    seen = {name: _seen(gain, settings) for name, gain in gains.items()}
    order, critical, chaos = seen.values()
    layers = tuple(float(layer) for layer in range(1, settings.depth + 1))
    return Evidence(
        points=(
            Point(
                says="likeness of two inputs at the last layer of the ordered network (cosine)",
                measured=order.cosines[-1],
                relation=Relation.AT_LEAST,
                limit=0.9,
            ),
            Point(
                says="layers over which their difference falls by e, in order; theory's depth "
                "scale is the limit",
                measured=order.scale,
                relation=Relation.ABOUT,
                limit=order.theory.xi_c,
                unit="layers",
                tolerance=0.2,
            ),
            Point(
                says="gradient gained by a layer on the way back, in order, beside theory",
                measured=order.factor,
                relation=Relation.ABOUT,
                limit=math.log10(order.theory.amplitude),
                unit="decades",
                tolerance=0.15,
            ),
            Point(
                says="gradient gained by a layer on the way back, in chaos, beside theory",
                measured=chaos.factor,
                relation=Relation.ABOUT,
                limit=math.log10(chaos.theory.amplitude),
                unit="decades",
                tolerance=0.15,
            ),
            Point(
                says="decades gained or lost at the edge, over all layers",
                measured=abs(critical.factor) * settings.depth,
                relation=Relation.AT_MOST,
                limit=1.0,
                unit="decades",
            ),
        ),
        tables=(
            Table(
                title="measured, and what theory says of infinitely wide networks",
                columns=("network", "sigma_w", "decades a layer", "theory", "likeness", "theory"),
                rows=tuple(
                    (
                        name,
                        one.sigma_w,
                        one.factor,
                        round(math.log10(one.theory.amplitude), 6) + 0.0,
                        one.cosines[-1],
                        one.theory.c,
                    )
                    for name, one in seen.items()
                ),
                note="Decades of gradient that a layer adds on the way back; likeness of two "
                "inputs at the last layer. Theory's likeness is where it comes to rest, which the "
                "edge has not reached yet.",
            ),
        ),
        plots=(
            Curves(
                title="How alike the layers see two inputs",
                x_label="layer, from the input",
                y_label="cosine",
                series=tuple(
                    Series(name=name, x=layers, y=one.cosines) for name, one in seen.items()
                ),
            ),
            Curves(
                title="Gradient at every layer, beside theory",
                x_label="layer, from the input",
                y_label="gradient, against the last layer",
                y_scale=Scale.DECADES,
                series=tuple(
                    series for name, one in seen.items() for series in _grads(name, one, layers)
                ),
            ),
        ),
        notes=(
            f"The depth scale of the ordered network is {order.theory.xi_c:.1f} layers, so that "
            f"by theory it trains down to {order.theory.trainable_depth:.0f}; this one has "
            f"{settings.depth}.",
        ),
    )


def _seen(gain: float, settings: Settings) -> _Seen:
    """Draw a network and look at it once."""
    theory = mean_field(_PHI, gain**2, settings.bias)
    model = plain(settings.depth, width=settings.width, activation="tanh", inputs=_INPUTS)
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=gain / math.sqrt(layer.in_features))
            nn.init.normal_(layer.bias, std=math.sqrt(settings.bias))
    batch = torch.randn(64, _INPUTS), torch.randint(10, (64,))
    recording = trace(model, batch, "cross_entropy", batches=1, probe_steps=0)
    cosines = recording[Quantity.SAMPLE_COSINE]
    sites = [site for site in recording.signal_sites() if site.op == "linear"][: settings.depth]
    return _Seen(
        sigma_w=gain,
        theory=theory,
        cosines=tuple(cosines.get(site) for site in sites),
        grads=grad_by_layer(recording)[: settings.depth],
    )


def _grads(name: str, one: _Seen, layers: tuple[float, ...]) -> tuple[Series, Series]:
    a_layer = math.log10(one.theory.amplitude)
    return (
        Series(name=name, x=layers, y=tuple(at - one.grads[-1] for at in one.grads), dots=True),
        Series(
            name=f"{name}, theory",
            x=layers,
            y=tuple(a_layer * (layers[-1] - layer) for layer in layers),
        ),
    )


LESSON = Lesson(
    name="edge-of-chaos",
    title="Order forgets, chaos explodes, the edge keeps both",
    claim=(
        "A deep random tanh network with small weights makes all inputs alike and its gradient "
        "vanish, one with large weights makes the gradient explode, and at one critical weight "
        "between them the gradient keeps its size. Theory of wide networks predicts the rates."
    ),
    text="""
Draw weights with variance sigma_w^2 / n and biases with variance sigma_b^2. In a wide layer the
pre-activations z are then normally distributed, and two numbers say all about them: the length q of
one input and the correlation c of two.

    q'    = sigma_w^2 E[phi(z)^2] + sigma_b^2
    c'    = (sigma_w^2 E[phi(z_1) phi(z_2)] + sigma_b^2) / q
    chi   = sigma_w^2 E[phi'(z)^2]

After a few layers q stands still. Then chi decides. It is the factor by which every layer
multiplies the squared gradient on its way back, and at the same time the slope of the map of c at
c = 1: what happens to two inputs that are nearly alike.

- chi < 1, *order*: inputs approach each other, c runs into 1, and the gradient vanishes. The
  network forgets its input: its last layer answers the same to all.
- chi > 1, *chaos*: inputs that are nearly alike are driven apart, until all have the same c
  below 1. The gradient explodes.
- chi = 1, the *edge of chaos*: both change more slowly than any exponential.

In order and in chaos the approach is exponential, with the depth scale

    xi = -1 / ln C'(c*)

in layers, C' being the slope of the map where c comes to rest; in order it is chi. Networks were
found to train down to about six depth scales: beyond that nothing about the input is left at the
output, and nothing about the output at the input.
""",
    settings=Settings,
    experiment=experiment,
    falsified_by=(
        "An ordered network that still tells its inputs apart after forty layers, an edge at which "
        "forty layers cost a decade of gradient, or a depth scale or a rate of the "
        "gradient that is further from theory than a fifth or 15 %."
    ),
    counterexample={"order": 1.33},
    question=(
        "A tanh network has chi = 0.9. Down to about which depth will it train, by the rule of six "
        "depth scales?"
    ),
    answer="xi = -1 / ln 0.9 = 9.5 layers; six times that are 57 layers.",
    sources=(SOURCES["poole2016"], SOURCES["schoenholz2017"], SOURCES["pennington2017"]),
)
