"""Lesson: noise added to the gradient redraws the weights, and that is what it mends."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from unvanish.core.lessons import Curves, Evidence, Point, Relation, Series, Table
from unvanish.core.sources import SOURCES
from unvanish.learn.data import endless
from unvanish.learn.lesson import Lesson
from unvanish.learn.networks import accuracy, grad_by_layer, plain, started
from unvanish.learn.settings import number, seed, whole
from unvanish.observe import trace
from unvanish.zoo.data import clusters

Task = tuple[Tensor, Tensor]

_CLASSES: Final = 10
_INPUTS: Final = 16
_DECAY: Final = 0.55
"""Power of the step by which the variance of the noise falls, as published."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The network, and how strongly its gradient is disturbed."""

    noise: float = number(0.3, least=0.001, most=10, meaning="variance of the noise at first")
    depth: int = whole(10, least=3, most=40, meaning="hidden layers")
    width: int = whole(32, least=8, most=128, meaning="units of a hidden layer")
    learning_rate: float = number(0.1, least=0.001, most=1, meaning="learning rate of SGD")
    steps: int = whole(150, least=20, most=600, meaning="training steps")
    seed: int = seed()


@dataclass(frozen=True, kw_only=True)
class _Run:
    """What training came to.

    Attributes:
        losses: Of every step.
        accuracy: On fresh samples.
        sigma_w: Spread of the hidden weights afterwards, times the root of the fan-in.
        lost: Decades that the gradient loses on its way afterwards.
    """

    losses: list[float]
    accuracy: float
    sigma_w: float
    lost: float


def experiment(settings: Settings) -> Evidence:
    """Train from zero, default and Xavier weights, with noise and without."""
    data, held_out = (
        clusters(1024, settings.seed + off, classes=_CLASSES) for off in (0, 1_000_000)
    )
    batch = data[0][:64], data[1][:64]
    default = plain(settings.depth, width=settings.width, activation="tanh", inputs=_INPUTS)
    zero = copy.deepcopy(default)
    for one in zero.parameters():
        nn.init.zeros_(one)
    xavier = started(default, "xavier", batch, cross_entropy)
    arms = {
        "zero": (zero, 0.0),
        "zero, noise": (zero, settings.noise),
        "default": (default, 0.0),
        "default, noise": (default, settings.noise),
        "xavier": (xavier, 0.0),
    }
    runs = {
        name: _run(copy.deepcopy(model), noise, data, held_out, settings)
        for name, (model, noise) in arms.items()
    }
    mean = {name: sum(run.losses) / len(run.losses) for name, run in runs.items()}
    walk = _walked(settings)
    return Evidence(
        points=(
            Point(
                says="accuracy that the noise adds where all weights start at zero",
                measured=runs["zero, noise"].accuracy - runs["zero"].accuracy,
                relation=Relation.AT_LEAST,
                limit=0.3,
            ),
            Point(
                says="spread of the hidden weights then, beside that of a random walk",
                measured=runs["zero, noise"].sigma_w,
                relation=Relation.ABOUT,
                limit=walk,
                tolerance=0.2,
            ),
            Point(
                says="accuracy that it adds where the gradient vanishes",
                measured=runs["default, noise"].accuracy - runs["default"].accuracy,
                relation=Relation.AT_LEAST,
                limit=0.1,
            ),
            Point(
                says="mean loss of that training, against Xavier's weights without noise",
                measured=mean["default, noise"] / mean["xavier"],
                relation=Relation.AT_LEAST,
                limit=1.2,
                unit="times",
            ),
        ),
        tables=(
            Table(
                title=f"tanh network of {settings.depth} layers, after {settings.steps} steps",
                columns=("start", "mean loss", "accuracy", "sigma_w", "lost (decades)"),
                rows=tuple(
                    (name, mean[name], run.accuracy, run.sigma_w, run.lost)
                    for name, run in runs.items()
                ),
                note="sigma_w: spread of the hidden weights times the root of the fan-in; a deep "
                "tanh network keeps its gradient near 1.",
            ),
        ),
        plots=(
            Curves(
                title="Training with and without noise on the gradient",
                x_label="step",
                y_label="loss",
                series=tuple(_averaged(name, run.losses) for name, run in runs.items()),
            ),
        ),
    )


def _run(model: nn.Module, noise: float, data: Task, held_out: Task, settings: Settings) -> _Run:
    """Train with plain SGD, and add noise of falling variance to every gradient."""
    random = torch.Generator().manual_seed(settings.seed)
    optimizer = torch.optim.SGD(model.parameters(), lr=settings.learning_rate)
    losses = []
    batches = endless(*data, size=64, steps=settings.steps, seed=settings.seed)
    for step, (inputs, targets) in enumerate(batches):
        optimizer.zero_grad()
        loss = cross_entropy(model(inputs), targets)
        loss.backward()
        spread = math.sqrt(noise / (1 + step) ** _DECAY)
        for one in model.parameters():
            if noise and one.grad is not None:
                one.grad.add_(torch.randn(one.shape, generator=random), alpha=spread)
        optimizer.step()
        losses.append(loss.item())
    look = trace(model, (data[0][:64], data[1][:64]), "cross_entropy", batches=1, probe_steps=0)
    decades = grad_by_layer(look)
    return _Run(
        losses=losses,
        accuracy=accuracy(model, *held_out),
        sigma_w=_sigma_w(model),
        lost=decades[-1] - decades[0],
    )


def _sigma_w(model: nn.Module) -> float:
    """Return the spread of the hidden weights, times the root of the fan-in."""
    hidden = [one.detach() for one in model.parameters() if one.ndim == 2][1:-1]
    squares = sum(float(one.square().mean()) * one.shape[1] for one in hidden)
    return math.sqrt(squares / len(hidden))


def _walked(settings: Settings) -> float:
    """Return the spread to which noise alone would carry weights that start at zero."""
    variances = sum(settings.noise / (1 + step) ** _DECAY for step in range(settings.steps))
    return settings.learning_rate * math.sqrt(settings.width * variances)


def _averaged(name: str, losses: list[float]) -> Series:
    """Return the means of ten steps each."""
    parts = [losses[at : at + 10] for at in range(0, len(losses), 10)]
    means = tuple(sum(part) / len(part) for part in parts)
    return Series(name=name, x=tuple(5.0 + 10 * at for at in range(len(parts))), y=means)


LESSON = Lesson(
    name="noise",
    title="Gradient noise helps by redrawing the weights",
    claim=(
        "Noise added to the gradient makes a deep network trainable that starts at zero or whose "
        "gradient vanishes: a random walk carries the weights to a size at which the gradient "
        "arrives. Weights of that size from the start do it sooner, without noise."
    ),
    text="""
Mini-batches make every gradient noisy. Some train very deep networks with more noise still, normal
and independent for every weight, whose variance falls with the step t:

    g  <-  g + N(0, s_t^2),    s_t^2 = eta / (1 + t)^0.55

Reports say that networks of twenty layers then train even from poor first weights, and explain it
by an escape from saddle points. It can be looked at more closely.

Weights that are all zero are such a saddle: every hidden gradient is exactly zero, and nothing
moves but the last bias. A vanishing gradient is nearly one. There the noise is the *whole* update
of the early layers, and its sum over the steps is a random walk:

    Var(w) = r^2 * (s_0^2 + s_1^2 + ... + s_T^2),   r the learning rate

Times the fan-in n this is sigma_w^2, the number that decides whether a plain network passes its
gradient on: a tanh network does near sigma_w = 1. So the noise draws new weights, slowly, and the
network trains once they are large enough.

That tells when it works. With too little noise the walk does not get there in time. With too much
it goes on, past the edge into chaos, and buries what is learnt. And it tells what is simpler: to
draw the weights with the right variance at the start. Noise mends an initialisation that cannot be
changed; it lifts no gradient.
""",
    belief=(
        '"Gradient noise helps very deep networks" is half true: it helps where the weights are '
        "badly drawn, and the table has what well drawn ones do without it."
    ),
    settings=Settings,
    experiment=experiment,
    falsified_by=(
        "Noise that does not make the network train from zero, or makes it train while the weights "
        "are far from the size of a random walk; or a network with Xavier's weights and no noise "
        "that learns no sooner."
    ),
    counterexample={"noise": 0.01},
    question=(
        "The learning rate is 0.1, a layer has 100 units, and the noise has variance 0.01 at every "
        "step. After how many steps has a walk from zero come to sigma_w = 1?"
    ),
    answer="n r^2 T s^2 = 100 * 0.01 * 0.01 * T = 0.01 T, which is 1 after T = 100 steps.",
    sources=(SOURCES["neelakantan2015"], SOURCES["glorot2010"], SOURCES["schoenholz2017"]),
)
