"""Lesson: derivatives multiplied over layers, drawn at random and in a real network."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate
from typing import Final

import numpy as np
import torch
from scipy.special import ndtri
from torch import Tensor

from unvanish.core.explanations import Factor
from unvanish.core.glossary import Quantity
from unvanish.core.lessons import Curves, Evidence, Point, Relation, Scale, Series, Table
from unvanish.core.records import Recording
from unvanish.core.sources import SOURCES
from unvanish.explain import explain
from unvanish.learn.data import CLASSES, shapes
from unvanish.learn.lesson import Lesson
from unvanish.learn.lessons.derivatives import slopes
from unvanish.learn.networks import ACTIVATIONS, STARTS, by_factor, grad_by_layer, plain, started
from unvanish.learn.settings import number, one_of, seed, whole
from unvanish.observe import trace
from unvanish.theory.activations import activation

_CLASSIC: Final = ("sigmoid", "tanh", "relu")
_MIDPOINTS: Final = 200_000


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is multiplied, and beside which network."""

    activation: str = one_of("sigmoid", tuple(ACTIVATIONS), meaning="activation function")
    depth: int = whole(20, least=3, most=100, meaning="hidden layers")
    spread: float = number(1.0, least=0.1, most=3.0, meaning="deviation of random activations")
    paths: int = whole(2000, least=100, most=20_000, meaning="random paths")
    width: int = whole(64, least=8, most=512, meaning="units of a hidden layer")
    init: str = one_of("default", STARTS, meaning="initialisation of the network")
    seed: int = seed()


def experiment(settings: Settings) -> Evidence:
    """Multiply slopes at random activations, then read the gradient of a network."""
    names = (settings.activation, *(one for one in _CLASSIC if one != settings.activation))
    at = settings.spread * torch.randn(settings.paths, settings.depth, dtype=torch.float64)
    logs = {name: slopes(name, at).abs().log10().cumsum(dim=1) for name in names}
    typical = logs[settings.activation].mean(dim=0).tolist()

    batch = shapes(256, settings.seed)
    looks = {name: _look(name, settings, batch) for name in names}
    recording = looks[settings.activation]
    rms = grad_by_layer(recording)
    # As norms, which a layer's number of units does not change by itself.
    more_units = 0.5 * math.log10(settings.width / CLASSES)
    decades = (*(one + more_units for one in rms[:-1]), rms[-1])
    profile = recording[Quantity.SLOPE_RMS]
    usual = [profile.get(site) for site in recording.signal_sites() if site in profile]
    whole_loss = (decades[0] - decades[-1]) / settings.depth
    by_weights = by_factor(recording).get(Factor.WEIGHT_SCALE, 0.0) / settings.depth
    passed = tuple(float(layer) for layer in range(settings.depth + 1))
    forecast = explain(recording).prediction.layers
    points = [
        _against_theory(settings, logs[settings.activation], typical),
        Point(
            says="decades that the gradient of the network loses",
            measured=-whole_loss,
            relation=Relation.AT_LEAST,
            limit=0.5,
            unit="decades a layer",
        ),
        Point(
            says="decades of these that its weights take, of which the product of slopes is silent",
            measured=-by_weights,
            relation=Relation.AT_LEAST,
            limit=0.1,
            unit="decades a layer",
        ),
    ]
    if forecast:
        points.append(
            Point(
                says="by how much theory, from slopes and weights together, misses the network",
                measured=abs(forecast[0].measured - forecast[0].predicted) / settings.depth,
                relation=Relation.AT_MOST,
                limit=0.05,
                unit="decades a layer",
            )
        )
    return Evidence(
        points=tuple(points),
        tables=(
            Table(
                title="networks: decades a layer, from their ledgers",
                columns=("function", "slopes", "weights", "alignment", "all"),
                rows=tuple(
                    (name, *(part / settings.depth for part in _parts(look)))
                    for name, look in looks.items()
                ),
                note="Alignment is how the direction of the gradient meets slopes and weights; it "
                "is small where that direction is as good as random.",
            ),
            Table(
                title=f"random paths through {settings.depth} layers",
                columns=("function", "log10, typical path", "paths that are exactly 0 (share)"),
                rows=tuple(
                    (
                        name,
                        float(found[:, -1].mean()),
                        float(found[:, -1].isinf().double().mean()),
                    )
                    for name, found in logs.items()
                ),
            ),
        ),
        plots=(
            Curves(
                title=f"{settings.activation}: a product of slopes, and a gradient",
                x_label="layers passed, from the output",
                y_label="what is left (norm)",
                y_scale=Scale.DECADES,
                series=(
                    Series(name="random slopes, typical path", x=passed, y=(0.0, *typical)),
                    Series(
                        name="slopes of the network",
                        x=passed,
                        y=tuple(accumulate(map(_log10, reversed(usual)), initial=0.0)),
                    ),
                    Series(
                        name="gradient of the network",
                        x=passed,
                        y=tuple(one - decades[-1] for one in reversed(decades)),
                        dots=True,
                    ),
                ),
            ),
            Curves(
                title="The classic simulation: root mean square over random paths",
                x_label="layers multiplied",
                y_label="product of slopes",
                y_scale=Scale.DECADES,
                series=tuple(
                    Series(name=name, x=passed, y=(0.0, *_rms(found)))
                    for name, found in logs.items()
                ),
            ),
        ),
    )


def _look(name: str, settings: Settings, batch: tuple[Tensor, Tensor]) -> Recording:
    untouched = plain(settings.depth, width=settings.width, activation=name, outputs=CLASSES)
    model = started(untouched, settings.init, batch, "cross_entropy")
    return trace(model, batch, "cross_entropy", batches=1, probe_steps=0)


def _parts(look: Recording) -> tuple[float, float, float, float]:
    """Return the decades of slopes, weights, alignment, and of all together."""
    found = by_factor(look)
    by_slopes = found.get(Factor.SLOPE_CAP, 0.0) + found.get(Factor.OPERATING_POINT, 0.0)
    by_weights, aligned = (found.get(one, 0.0) for one in (Factor.WEIGHT_SCALE, Factor.ALIGNMENT))
    return by_slopes, by_weights, aligned, sum(found.values())


def _against_theory(settings: Settings, logs: Tensor, typical: list[float]) -> Point:
    """Compare the typical path with theory; where slopes are exactly 0, the paths that die."""
    phi = activation(settings.activation)
    zeros = float(logs[:, 0].isinf().double().mean())
    if zeros > 0.1:
        return Point(
            says="share of random paths that are exactly zero at the end",
            measured=float(logs[:, -1].isinf().double().mean()),
            relation=Relation.ABOUT,
            limit=1.0 - 0.5**settings.depth,
            tolerance=0.1,
        )
    # The logarithm has poles where a slope crosses 0, so that midpoints of the probability serve
    # better than a quadrature that asks for smoothness.
    z = settings.spread * ndtri((np.arange(_MIDPOINTS) + 0.5) / _MIDPOINTS)
    mean = float(np.log10(np.abs(phi.slope(z))).mean())
    return Point(
        says="log10 of a typical product of random slopes, per layer, beside theory",
        measured=typical[-1] / settings.depth,
        relation=Relation.ABOUT,
        limit=mean,
        unit="decades",
        tolerance=0.1,
    )


def _rms(logs: Tensor) -> list[float]:
    """Return log10 of the root mean square of products over paths."""
    found = (0.5 * torch.logsumexp(2 * math.log(10) * logs, dim=0) / math.log(10)).tolist()
    return [one - 0.5 * math.log10(len(logs)) for one in found]


def _log10(value: float) -> float:
    return math.log10(value) if value > 0 else -math.inf


LESSON = Lesson(
    name="product",
    title="Slopes multiply, and are half of the product",
    claim=(
        "Slopes of a sigmoid at random activations, multiplied layer by layer, fall on a straight "
        "line on a log axis, as theory says. A real network with PyTorch's weights falls on a "
        "steeper one than its slopes, since its weights take a share of their own."
    ),
    text="""
The classic simulation of the vanishing gradient takes no network at all. Draw a random
pre-activation for each layer, take the derivative there, and multiply:

    product = phi'(z_1) * phi'(z_2) * ... * phi'(z_n),   z ~ N(0, s^2)

A product of independent factors is a sum of logarithms, so its logarithm falls by E log10 phi'(z)
a layer on the average: a straight line on a log axis. For a sigmoid at s = 1 that is 0.7 decades.
The *typical* path is this geometric mean. The root mean square lies above it, because a few lucky
paths outweigh many others.

It is a good picture with three things left out.

- The weights. A layer multiplies by its matrix as well as by its slopes:

    J_l = diag(phi'(z_l)) W_l

- The sum over paths. A gradient adds up all paths through the network. For independent weights of
  mean 0 the squares add, so the root mean square counts and not the typical path. A single path
  through ReLUs is dead after a few layers, as each unit on it is off with probability 1/2. The
  gradient of a ReLU network is not: enough of its other paths live.

- The activations. In a real network they are not drawn: each layer hands the next one its own.
  Behind sigmoids all pre-activations crowd together close to 0, where the slope is near its cap.

The ledger of the measured gradient parts slopes from weights, and theory predicts the sum of both.
""",
    belief=(
        "The simulation is often shown as the whole story: sigmoid dies, ReLU has slope 1 and "
        "lives. But half of a ReLU's slopes are 0, and a ReLU network with PyTorch's weights loses "
        "0.4 decades a layer, as the table of the networks shows."
    ),
    settings=Settings,
    experiment=experiment,
    falsified_by=(
        "A typical product of random slopes that leaves the line of theory, or a sigmoid network "
        "with PyTorch's weights whose gradient falls no faster than its slopes alone say."
    ),
    counterexample={"activation": "relu", "init": "he"},
    question=(
        "The slopes of a network take 0.61 decades a layer and its weights 0.24. By which factor "
        "must all weights grow for the gradient to keep its size, if the slopes stayed as they are?"
    ),
    answer=(
        "By 10^(0.61 + 0.24) = 7.1. But the slopes do not stay as they are: with weights that "
        "large the units saturate, and the lesson `saturation` shows what that costs."
    ),
    sources=(SOURCES["hochreiter1991"], SOURCES["glorot2010"], SOURCES["schoenholz2017"]),
)
