"""Lesson: Xavier's and He's initialisation, where they fail, and what is left then."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn

from unvanish.core.lessons import Curves, Evidence, Point, Relation, Scale, Series, Table
from unvanish.core.sources import SOURCES
from unvanish.learn.data import CLASSES, endless, shapes
from unvanish.learn.lesson import Lesson
from unvanish.learn.networks import ACTIVATIONS, accuracy, drawn, fit, grad_by_layer, plain
from unvanish.learn.settings import number, one_of, seed, whole
from unvanish.observe import trace
from unvanish.theory.activations import activation
from unvanish.theory.mean_field import gradient_profile
from unvanish.treat import treat
from unvanish.treat.refusals import CannotTreatError

_GAIN: Final = {"default": 1.0 / 3.0, "xavier": 1.0, "he": 2.0}
"""sigma_w^2 of a square layer."""
_TIMES_FOUR: Final = "xavier x 4"
_CURES: Final = ("centre-and-unit-variance", "folded-kernel-shape")
_CLASSIC: Final = ("relu", "tanh", "sigmoid")
_BATCH: Final = 64
_LAST: Final = 10
"""Steps over which the last loss is averaged."""

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The network whose first weights are to be chosen, and its training."""

    activation: str = one_of("sigmoid", tuple(ACTIVATIONS), meaning="function that Xavier fails")
    depth: int = whole(16, least=4, most=60, meaning="hidden layers")
    width: int = whole(64, least=16, most=256, meaning="units of a hidden layer")
    steps: int = whole(120, least=20, most=250, meaning="training steps")
    learning_rate: float = number(0.0005, least=1e-6, most=0.01, meaning="learning rate of Adam")
    seed: int = seed()


def experiment(settings: Settings) -> Evidence:
    """Measure the textbook's weights against theory, then look for some that serve."""
    batch, fresh = shapes(1024, settings.seed), shapes(1024, settings.seed + 1_000_000)
    names = (*_CLASSIC, *({settings.activation} - set(_CLASSIC)))
    measured = {
        (name, init): _per_layer(_hidden(_network(settings, name, init), batch))
        for name in names
        for init in _GAIN
    }
    starts = {"xavier": _network(settings, settings.activation, "xavier")}
    starts[_TIMES_FOUR] = _enlarged(_network(settings, settings.activation, "xavier"), 4.0)
    refused = []
    for cure in _CURES:
        try:
            starts[cure] = treat(
                starts["xavier"], cure, batch, "cross_entropy", seed=settings.seed
            ).model
        except CannotTreatError as error:
            refused.append(f"{cure}: {error.what}")
    decades = {name: _hidden(model, batch) for name, model in starts.items()}
    trained = {name: _trained(model, batch, fresh, settings) for name, model in starts.items()}
    cured = [name for name in _CURES if name in starts]
    if not cured:
        return Evidence(missing="; ".join(refused))
    layers = tuple(float(at) for at in range(1, settings.depth + 1))
    return Evidence(
        points=(
            Point(
                says="decades by which He's weights change the gradient of ReLU in a layer, up or "
                "down",
                measured=abs(measured["relu", "he"]),
                relation=Relation.AT_MOST,
                limit=0.05,
                unit="decades a layer",
            ),
            Point(
                says="decades that Xavier's weights lose with ReLU, beside log10 of sqrt(2)",
                measured=-measured["relu", "xavier"],
                relation=Relation.ABOUT,
                limit=0.5 * math.log10(2.0),
                unit="decades a layer",
                tolerance=0.3,
            ),
            Point(
                says=f"decades that Xavier's weights lose with {settings.activation}",
                measured=-measured[settings.activation, "xavier"],
                relation=Relation.AT_LEAST,
                limit=0.4,
                unit="decades a layer",
            ),
            Point(
                says="decades by which the gradient changes from last hidden layer to first, the "
                "worse of the cures",
                measured=max(abs(decades[cure][-1] - decades[cure][0]) for cure in cured),
                relation=Relation.AT_MOST,
                limit=1.0,
                unit="decades",
            ),
            Point(
                says="loss after training, the worse of the cures, as a share of Xavier's",
                measured=max(trained[cure][0] for cure in cured) / trained["xavier"][0],
                relation=Relation.AT_MOST,
                limit=0.95,
            ),
        ),
        tables=(
            Table(
                title="decades of the gradient a layer, measured and (theory)",
                columns=("function", *_GAIN),
                rows=tuple(
                    (
                        name,
                        *(
                            f"{measured[name, init]:+.3f} ({_theory(settings, name, init):+.3f})"
                            for init in _GAIN
                        ),
                    )
                    for name in names
                ),
                note="negative is lost",
            ),
            Table(
                title=f"{settings.activation}, {settings.depth} layers, {settings.steps} steps",
                columns=("weights", "gradient (decades)", "loss", "accuracy (%)"),
                rows=tuple(
                    (name, found[0] - found[-1], trained[name][0], 100 * trained[name][1])
                    for name, found in decades.items()
                ),
                note=f"Guessing has a loss of {math.log(CLASSES):.3f} and {100 / CLASSES:g} %. The "
                "gradient is that of the first hidden layer against the last.",
            ),
        ),
        plots=(
            Curves(
                title=f"{settings.activation}: gradient at every hidden layer, against the last",
                x_label="layer, from the input",
                y_label="gradient (rms)",
                y_scale=Scale.DECADES,
                series=tuple(
                    Series(name=name, x=layers, y=tuple(one - found[-1] for one in found))
                    for name, found in decades.items()
                ),
            ),
        ),
        notes=tuple(refused),
    )


def _network(settings: Settings, name: str, init: str) -> nn.Module:
    made = plain(settings.depth, width=settings.width, activation=name, outputs=CLASSES)
    return drawn(made, init)


def _enlarged(model: nn.Module, factor: float) -> nn.Module:
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, nn.Linear):
                layer.weight.mul_(factor)
    return model


def _hidden(model: nn.Module, batch: Batch) -> tuple[float, ...]:
    """Return the gradient at every hidden layer, log10."""
    return grad_by_layer(trace(model, batch, "cross_entropy", batches=1, probe_steps=0))[:-1]


def _per_layer(decades: tuple[float, ...]) -> float:
    """Return what one layer does to the gradient, in decades."""
    return (decades[0] - decades[-1]) / (len(decades) - 1)


def _theory(settings: Settings, name: str, init: str) -> float:
    steps = settings.depth - 1
    bias = 1.0 / (3.0 * settings.width) if init == "default" else 0.0
    start = _GAIN[init]  # of data with variance 1
    return gradient_profile(activation(name), _GAIN[init], steps, bias, start)[0] / steps


def _trained(
    model: nn.Module, batch: Batch, fresh: Batch, settings: Settings
) -> tuple[float, float]:
    """Return the loss at the end of a training, and the accuracy on fresh samples."""
    losses = fit(
        model,
        endless(*batch, size=_BATCH, steps=settings.steps, seed=settings.seed),
        optimizer=torch.optim.Adam(model.parameters(), lr=settings.learning_rate),
    )
    return sum(losses[-_LAST:]) / _LAST, accuracy(model, *fresh)


LESSON = Lesson(
    name="initialisation",
    title="Xavier and He, and what a sigmoid needs instead",
    claim=(
        "He's weights keep the gradient of a deep ReLU network, Xavier's lose a factor of sqrt(2) "
        "a layer there. With sigmoids Xavier's fail as well; weights and biases fitted to the data "
        "or to the function cure them, and the architecture stays as it is."
    ),
    text="""
A layer computes z = W h + b and h = phi(z). For independent weights of mean 0 the energies of
signal and gradient are multiplied by

    forward    n_in  Var(w) E phi(z)^2 / Var(z)
    backward   n_out Var(w) E phi'(z)^2

*Xavier.* Suppose that phi is nearly the identity, as tanh is close to 0. Then phi(z) = z and phi' =
1, and both factors are 1 for Var(w) = 1/n_in and 1/n_out. The compromise is

    Var(w) = 2 / (n_in + n_out)

*He.* A ReLU drops half of the energy in both directions: E phi^2 = Var(z)/2 and E phi'^2 = 1/2. So
the weights have to double it:

    Var(w) = 2 / n_in

*Why Xavier fails a sigmoid.* Near 0 it is 1/2 + z/4, which breaks both assumptions. The slope of
1/4 leaves about a sixteenth of the energy a layer. Weights four times as large would make up for
the slope, but the 1/2 that all outputs share passes through them too: it becomes an offset of each
unit, different from unit to unit, which pushes many of them onto their flat ends. The factor 4 that
is sometimes advised therefore still loses 0.2 decades a layer or more.

*What cures it.* Both parts have to be undone: enlarge the weights, and take the offset out by a
bias for each unit. `centre-and-unit-variance` does so with data: layer by layer it sets scale and
biases so that a batch arrives with mean 0 and variance 1. `folded-kernel-shape` does it by theory:
it solves for constants that make the function well behaved in a network of this depth, and folds
them into weights and biases. The network keeps its layers, its function and its number of
parameters; only the numbers that it starts from are others.
""",
    belief=(
        "Xavier's initialisation is often recommended for sigmoid and tanh alike. For tanh it is "
        "nearly right. With sigmoids it loses more than half a decade a layer, as the first table "
        "shows; the paper itself advises against sigmoids."
    ),
    settings=Settings,
    experiment=experiment,
    falsified_by=(
        "A deep ReLU network that keeps its gradient with Xavier's weights or loses it with He's, "
        "a deep sigmoid network that learns from Xavier's, or one that does not from the cures'."
    ),
    counterexample={"activation": "tanh"},
    question=(
        "A layer has 400 inputs and 100 outputs, and ReLUs behind it. Which deviation do Xavier "
        "and He give its weights, and by how much does the one's signal shrink?"
    ),
    answer=(
        "Xavier: sqrt(2/500) = 0.063. He: sqrt(2/400) = 0.071. Forward, Xavier's has the energy "
        "factor 400 * 0.004 / 2 = 0.8, an amplitude of 0.89; He's has 1."
    ),
    sources=(
        SOURCES["glorot2010"],
        SOURCES["he2015"],
        SOURCES["krahenbuhl2016"],
        SOURCES["martens2021"],
    ),
)
