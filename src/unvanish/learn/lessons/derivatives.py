"""Lesson: how much gradient one activation function can hand on."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import torch

from unvanish.core.explanations import Factor
from unvanish.core.lessons import Curves, Evidence, Point, Relation, Series, Table
from unvanish.core.sources import SOURCES
from unvanish.learn.data import CLASSES, shapes
from unvanish.learn.lesson import Lesson
from unvanish.learn.networks import ACTIVATIONS, STARTS, by_factor, plain, started
from unvanish.learn.settings import number, one_of, seed, whole
from unvanish.observe import trace
from unvanish.theory.activations import activation
from unvanish.theory.mean_field import slope_moment

_DRAWS: Final = 50_000
_CLASSIC: Final = ("sigmoid", "tanh", "relu")
_VARIANTS: Final = ("leaky-relu", "elu", "selu", "gelu", "silu", "softplus")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Whose slopes, and where they are read."""

    activation: str = one_of("sigmoid", tuple(ACTIVATIONS), meaning="function of the network")
    spread: float = number(1.0, least=0.01, most=100.0, meaning="deviation of pre-activations")
    depth: int = whole(10, least=2, most=100, meaning="hidden layers")
    width: int = whole(64, least=8, most=512, meaning="units of a hidden layer")
    init: str = one_of("default", STARTS, meaning="initialisation")
    seed: int = seed()


def experiment(settings: Settings) -> Evidence:
    """Differentiate every function on a grid and on random numbers; look at one network."""
    grid = torch.linspace(-6.0, 6.0, 1201, dtype=torch.float64)
    drawn = settings.spread * torch.randn(_DRAWS, dtype=torch.float64)
    curve = {name: slopes(name, grid) for name in ACTIVATIONS}
    cap = {name: float(found.max()) for name, found in curve.items()}
    usual = {name: float(slopes(name, drawn).square().mean().sqrt()) for name in ACTIVATIONS}
    said = {name: slope_moment(activation(name), settings.spread**2) ** 0.5 for name in ACTIVATIONS}
    batch = shapes(256, settings.seed)
    untouched = plain(
        settings.depth, width=settings.width, activation=settings.activation, outputs=CLASSES
    )
    model = started(untouched, settings.init, batch, "cross_entropy")
    found = by_factor(trace(model, batch, "cross_entropy", batches=1, probe_steps=0))
    taken = -(found.get(Factor.SLOPE_CAP, 0.0) + found.get(Factor.OPERATING_POINT, 0.0))
    neither = ((curve["relu"] != 0) & (curve["relu"] != 1)).sum()
    return Evidence(
        points=(
            Point(
                says="largest slope of the sigmoid",
                measured=cap["sigmoid"],
                relation=Relation.ABOUT,
                limit=0.25,
                tolerance=0.001,
            ),
            Point(
                says="largest slope of tanh",
                measured=cap["tanh"],
                relation=Relation.ABOUT,
                limit=1.0,
                tolerance=0.001,
            ),
            Point(
                says="slopes of ReLU that are neither 0 nor 1",
                measured=float(neither),
                relation=Relation.EXACTLY,
                limit=0.0,
            ),
            Point(
                says="the smaller of the largest slopes of GELU and SiLU",
                measured=min(cap["gelu"], cap["silu"]),
                relation=Relation.AT_LEAST,
                limit=1.0,
            ),
            Point(
                says=f"decades that the slopes of {settings.activation} take in each layer of a "
                "fresh network",
                measured=taken / settings.depth,
                relation=Relation.AT_LEAST,
                limit=0.5,
                unit="decades a layer",
            ),
        ),
        tables=(
            Table(
                title="slopes, and what a layer of them does to the gradient",
                columns=("function", "largest", "usual (rms)", "theory (rms)", "decades a layer"),
                rows=tuple(
                    (name, cap[name], usual[name], said[name], _decades(usual[name]))
                    for name in ACTIVATIONS
                ),
                note=f"usual: root mean square of the slope at {_DRAWS} random pre-activations of "
                f"mean 0 and deviation {settings.spread:g}",
            ),
        ),
        plots=(
            _plot("Slopes of the classic functions", _CLASSIC, grid, curve),
            _plot("Slopes of the later ones", _VARIANTS, grid, curve),
        ),
        notes=(
            f"Ten layers of sigmoids leave at most 0.25^10 = {cap['sigmoid'] ** 10:.1e} of the "
            "gradient, unless the weights enlarge it.",
        ),
    )


def slopes(name: str, at: torch.Tensor) -> torch.Tensor:
    """Return the slope of a function, by automatic differentiation.

    Args:
        name: A key of `ACTIVATIONS`.
        at: Where.
    """
    point = at.clone().requires_grad_()
    function = ACTIVATIONS[name]().to(at.dtype)
    (found,) = torch.autograd.grad(function(point).sum(), point)
    return found


def _decades(slope: float) -> float:
    return math.log10(slope) if slope else -math.inf


def _plot(
    title: str, names: tuple[str, ...], grid: torch.Tensor, curve: dict[str, torch.Tensor]
) -> Curves:
    # Every tenth point, but for the steps at 0, where both sides are kept.
    rows = [at for at in range(len(grid)) if at % 10 == 0 or abs(at - len(grid) // 2) <= 1]
    return Curves(
        title=title,
        x_label="pre-activation z",
        y_label="slope",
        series=tuple(
            Series(
                name=name,
                x=tuple(grid[rows].tolist()),
                y=tuple(curve[name][rows].tolist()),
            )
            for name in names
        ),
    )


LESSON = Lesson(
    name="derivatives",
    title="A sigmoid's slope is never above a quarter",
    claim=(
        "A sigmoid hands on at most a quarter of the gradient that reaches it, and in a fresh "
        "network close to that. A tanh hands on at most all of it, a ReLU all or nothing, and "
        "some of their successors more than they get."
    ),
    text="""
On its way back through an activation h = phi(z) the gradient is multiplied by the derivative of the
function at the point where each unit stands:

    dL/dz = phi'(z) * dL/dh

The derivatives of the three classic functions are

    sigmoid   phi'(z) = phi(z) (1 - phi(z))   largest 1/4, at z = 0
    tanh      phi'(z) = 1 - phi(z)^2          largest 1,   at z = 0
    ReLU      phi'(z) = 1 if z > 0, else 0

The first follows from p (1 - p) <= 1/4 for any p between 0 and 1. The second is the first in other
units, since tanh(z) = 2 sigmoid(2z) - 1: stretched by two in both directions, a slope grows four
times.

Two numbers matter. The *cap* is the largest slope: what the function hands on at best. The *usual*
slope is the root mean square over the pre-activations that occur; root mean square, because
gradients add as squares. A quarter is 0.6 decades. A sigmoid therefore costs 0.6 decades a layer
before anything has gone wrong, and more once its units leave the steep part.

A ReLU in a symmetric network is on for half of its inputs: its usual slope is sqrt(1/2), which is
0.15 decades a layer, and larger weights can make up for it. The variants differ below zero.
LeakyReLU keeps a slope of 0.01 there, ELU lets it fall gradually to 0, GELU and SiLU dip below the
axis and make up for it above: from z = 0.75 and z = 1.28 on their slope exceeds 1.
""",
    belief=(
        "It is often said that derivatives of activation functions never exceed 1. Those of GELU, "
        "SiLU and SELU do: the table has their largest slopes."
    ),
    settings=Settings,
    experiment=experiment,
    falsified_by=(
        "A point at which a sigmoid is steeper than 1/4 or a tanh steeper than 1, or a fresh "
        "sigmoid network whose slopes take less than half a decade a layer."
    ),
    counterexample={"activation": "tanh"},
    question=(
        "Suppose every weight of a plain sigmoid network could be made to multiply the gradient "
        "by exactly 1. How many layers may it have if a thousandth of the gradient shall arrive?"
    ),
    answer=(
        "Four. Each layer costs log10(4) = 0.602 decades at least: four cost 2.41, five already "
        "3.01."
    ),
    sources=(SOURCES["hochreiter1991"], SOURCES["lecun1998"], SOURCES["hendrycks2016"]),
)
