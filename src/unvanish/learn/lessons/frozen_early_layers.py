"""Lesson: weights that do not move by one bit in hundreds of steps."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

from unvanish.core.glossary import LayerQuantity
from unvanish.core.lessons import Curves, Evidence, Point, Relation, Scale, Series, Table
from unvanish.core.sources import SOURCES
from unvanish.learn.data import CLASSES, endless, shapes
from unvanish.learn.lesson import Lesson
from unvanish.learn.networks import ACTIVATIONS, STARTS, fit, plain, started
from unvanish.learn.settings import number, one_of, seed, whole
from unvanish.watch import observe

_BATCH = 32


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The network, and how long it is trained by plain gradient descent and by Adam."""

    depth: int = whole(30, least=4, most=60, meaning="hidden layers")
    width: int = whole(32, least=8, most=128, meaning="units of a hidden layer")
    activation: str = one_of("sigmoid", tuple(ACTIVATIONS), meaning="activation function")
    init: str = one_of("default", STARTS, meaning="initialisation")
    steps: int = whole(200, least=20, most=1000, meaning="training steps")
    learning_rate: float = number(0.1, least=1e-6, most=10, meaning="of gradient descent")
    seed: int = seed()


@dataclass(frozen=True, slots=True)
class _Trained:
    """What a training did to each linear layer, from the first to the last.

    Attributes:
        log10_grad: Gradient of its parameters in the first step (rms).
        log10_change: Largest change of any weight.
        is_still: Whether no bit of weight and bias changed.
        moved: Share of entries that a step changed, in the mean over the samples of the watch.
    """

    log10_grad: tuple[float, ...]
    log10_change: tuple[float, ...]
    is_still: tuple[bool, ...]
    moved: tuple[float, ...]


def experiment(settings: Settings) -> Evidence:
    """Train twice from the same weights, watched, and compare every weight with what it was."""
    data = shapes(512, settings.seed)
    untouched = plain(
        settings.depth, width=settings.width, activation=settings.activation, outputs=CLASSES
    )
    model = started(untouched, settings.init, data, "cross_entropy")
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    descent = _train(model, torch.optim.SGD(model.parameters(), settings.learning_rate), settings)
    model.load_state_dict(weights)
    adam = _train(model, torch.optim.Adam(model.parameters(), 0.001), settings)
    layers = tuple(float(layer) for layer in range(1, settings.depth + 2))
    still, still_adam = sum(descent.is_still), sum(adam.is_still)
    shown = sorted({0, *range(4, settings.depth, 5), settings.depth})
    return Evidence(
        points=(
            Point(
                says=f"layers of {settings.depth + 1} in which gradient descent did not change one "
                f"bit in {settings.steps} steps",
                measured=still,
                relation=Relation.AT_LEAST,
                limit=max(settings.depth // 5, 1),
                unit="layers",
            ),
            Point(
                says="the first layer is one of them (1: yes)",
                measured=float(descent.is_still[0]),
                relation=Relation.EXACTLY,
                limit=1.0,
            ),
            Point(
                says="share of the last layer's weights that a step changed",
                measured=descent.moved[-1],
                relation=Relation.AT_LEAST,
                limit=0.8,
            ),
            Point(
                says="layers that Adam did not change by one bit either",
                measured=still_adam,
                relation=Relation.AT_LEAST,
                limit=1.0,
                unit="layers",
            ),
        ),
        tables=(
            Table(
                title=f"after {settings.steps} steps",
                columns=(
                    "layer",
                    "log10 gradient",
                    "log10 largest change",
                    "moved a step",
                    "with Adam",
                ),
                rows=tuple(
                    (
                        at + 1,
                        descent.log10_grad[at],
                        "not one bit"
                        if descent.is_still[at]
                        else f"{descent.log10_change[at]:.2f}",
                        f"{100 * descent.moved[at]:.0f} %",
                        "not one bit" if adam.is_still[at] else f"{100 * adam.moved[at]:.0f} %",
                    )
                    for at in shown
                ),
                note="gradient: of weights and bias in the first step. moved a step: share of "
                "them that one optimiser step changes.",
            ),
        ),
        plots=(
            Curves(
                title="Share of a layer's weights that one step changes",
                x_label="layer, from the input",
                y_label="share",
                series=(
                    Series(name="gradient descent", x=layers, y=descent.moved),
                    Series(name="Adam", x=layers, y=adam.moved),
                ),
            ),
            Curves(
                title="Gradient of the parameters in the first step",
                x_label="layer, from the input",
                y_label="gradient (rms)",
                y_scale=Scale.DECADES,
                series=(Series(name="measured", x=layers, y=descent.log10_grad, dots=True),),
            ),
        ),
    )


def _train(model: nn.Module, optimizer: torch.optim.Optimizer, settings: Settings) -> _Trained:
    data = shapes(512, settings.seed)
    names = [name for name, _ in model.named_modules() if name and name + ".weight" in dict(
        model.named_parameters()
    )]  # fmt: skip
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    batches = endless(*data, size=_BATCH, steps=settings.steps, seed=settings.seed)
    with observe(model, optimizer, every=20, activations=False) as watch:
        fit(model, batches, optimizer=optimizer)
    run = watch.recording
    by_path = {layer.path: layer for layer in run.layers if layer.parameters}
    after = dict(model.named_parameters())
    changes = [
        max(
            (after[f"{name}.{part}"].detach() - before[f"{name}.{part}"]).abs().max().item()
            for part in ("weight", "bias")
        )
        for name in names
    ]
    gradients = [
        next(iter(run.series(LayerQuantity.LOG10_PARAM_GRAD_RMS, by_path[name])))[1]
        for name in names
    ]
    moved = [
        [share for _, share in run.series(LayerQuantity.MOVED_FRACTION, by_path[name])]
        for name in names
    ]
    return _Trained(
        log10_grad=tuple(gradients),
        log10_change=tuple(math.log10(one) if one else -math.inf for one in changes),
        is_still=tuple(one == 0 for one in changes),
        moved=tuple(sum(shares) / len(shares) for shares in moved),
    )


LESSON = Lesson(
    name="frozen-early-layers",
    title="Early weights that do not move by a single bit",
    claim=(
        "In a deep plain sigmoid network whole layers stay as they were drawn, bit for bit, "
        "through hundreds of steps of gradient descent, and the first of them even under Adam."
    ),
    text="""
A gradient of 1e-15 is not zero. Yet a weight with such a gradient does not learn slowly: it does
not learn at all. The reason is the number format. A float32 has 24 binary digits, so next to a
weight w the closest other number is about

    |w| * 2^-23  =  1.2e-7 |w|

away. A step smaller than half of that is rounded away, and the next one starts from the same weight
again. It does not add up: a thousand such steps move nothing. So gradient descent moves a weight
only where

    learning rate * |gradient|  >  6e-8 * |w|

With a learning rate of 0.1 and weights of 0.1 that asks for a gradient above 6e-8. In a network
that loses 0.9 decades a layer, only the last eight layers or so have one. A few layers further
down, weights that happen to lie close to zero still move.

Adam divides each gradient by its own running size, so that small gradients become full steps. That
works as long as the gradient is well above Adam's epsilon, 1e-8 by default, which is added to the
divisor. A gradient of 1e-16 becomes a step of 1e-8 times the learning rate, and is rounded away
like any other. And what moves does not thereby learn: a gradient that is alike for every sample
only shifts the layer.
""",
    belief=(
        "Adam rescales every gradient, so vanishing gradients do not matter to it. Half true: it "
        "lifts those above its epsilon, and leaves the layers below as dead as before."
    ),
    settings=Settings,
    experiment=experiment,
    falsified_by=(
        "A weight of the first layer that differs in any bit from what it was before training. "
        "A network whose gradient does not vanish shows that the comparison can fail."
    ),
    counterexample={"activation": "relu", "init": "he", "learning_rate": 0.01},
    question=(
        "A weight of 0.5 has a gradient of 2e-7, and the learning rate is 0.01. How often do you "
        "have to step until it has moved by 1e-4?"
    ),
    answer=(
        "For ever. The step is 2e-9, and the nearest other float32 is 3e-8 away: each step is "
        "rounded away. In bfloat16, with 8 digits, even a step of 9e-4 would be."
    ),
    sources=(SOURCES["glorot2010"], SOURCES["kingma2015"], SOURCES["goldberg1991"]),
)
