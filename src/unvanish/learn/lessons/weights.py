"""Lesson: the weights' share of the product, and PyTorch's default initialisation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from torch import Tensor, nn

from unvanish.core.explanations import Factor
from unvanish.core.lessons import Curves, Evidence, Point, Relation, Scale, Series, Table
from unvanish.core.records import Recording
from unvanish.core.sources import SOURCES
from unvanish.learn.data import CLASSES, shapes
from unvanish.learn.lesson import Lesson
from unvanish.learn.networks import ACTIVATIONS, STARTS, by_factor, drawn, grad_by_layer, plain
from unvanish.learn.settings import one_of, seed, whole
from unvanish.observe import trace

_BESIDE: Final = ("sigmoid", "tanh", "relu")
_UNIT: Final = "lecun"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the network is made of."""

    activation: str = one_of("tanh", tuple(ACTIVATIONS), meaning="activation function")
    depth: int = whole(20, least=3, most=100, meaning="hidden layers")
    width: int = whole(64, least=8, most=512, meaning="units of a hidden layer")
    init: str = one_of("default", STARTS, meaning="initialisation")
    seed: int = seed()


def experiment(settings: Settings) -> Evidence:
    """Weigh the factors of one network, with PyTorch's weights and with weights of unit gain."""
    batch = shapes(256, settings.seed)
    model = _network(settings, settings.activation, settings.init)
    found, unit = _look(model, batch), _look(_network(settings, settings.activation, _UNIT), batch)
    names = (settings.activation, *(one for one in _BESIDE if one != settings.activation))
    looks = {
        name: found
        if name == settings.activation
        else _look(_network(settings, name, settings.init), batch)
        for name in names
    }
    by_weights, lost = by_factor(found).get(Factor.WEIGHT_SCALE, 0.0), _lost(found)
    hidden = [layer for layer in model.modules() if isinstance(layer, nn.Linear)][1:]
    gain = math.sqrt(sum(_energy(layer) for layer in hidden) / len(hidden))
    # Of the hidden layers: the outputs are fewer, which changes a root mean square by itself.
    decades, others = grad_by_layer(found)[:-1], grad_by_layer(unit)[:-1]
    layers = tuple(float(layer) for layer in range(1, len(decades) + 1))
    return Evidence(
        points=(
            Point(
                says="gain of the weights, sqrt(n Var w), root mean square over the layers",
                measured=gain,
                relation=Relation.ABOUT,
                limit=math.sqrt(1 / 3),
                tolerance=0.05,
            ),
            Point(
                says="decades that the weights gain in each layer, in the measured gradient",
                measured=by_weights / settings.depth,
                relation=Relation.ABOUT,
                limit=0.5 * math.log10(1 / 3),
                unit="decades",
                tolerance=0.05,
            ),
            Point(
                says="the weights' share of all decades that the gradient loses",
                measured=-by_weights / lost if lost > 0 else math.nan,
                relation=Relation.AT_LEAST,
                limit=0.8,
            ),
            Point(
                says="decades lost with weights of unit gain, as a share of those",
                measured=_lost(unit) / lost if lost > 0 else math.nan,
                relation=Relation.AT_MOST,
                limit=0.5,
            ),
        ),
        tables=(
            Table(
                title=f"decades in {settings.depth} layers, init {settings.init}",
                columns=("function", "slopes", "weights", "all", "weights' share (%)"),
                rows=tuple((name, *_row(look)) for name, look in looks.items()),
                note="Negative is lost. The rest is alignment: how the direction of the gradient "
                "meets slopes and weights.",
            ),
        ),
        plots=(
            Curves(
                title=f"{settings.activation}: gradient at every hidden layer, against the last",
                x_label="layer, from the input",
                y_label="gradient (rms)",
                y_scale=Scale.DECADES,
                series=(
                    Series(name=f"init {settings.init}", x=layers, y=_from_last(decades)),
                    Series(name="unit gain", x=layers, y=_from_last(others)),
                    Series(
                        name="3^(-1/2) a layer",
                        x=layers,
                        y=tuple(
                            (len(layers) - layer) * 0.5 * math.log10(1 / 3) for layer in layers
                        ),
                        dots=True,
                    ),
                ),
            ),
        ),
    )


def _network(settings: Settings, activation: str, init: str) -> nn.Module:
    made = plain(settings.depth, width=settings.width, activation=activation, outputs=CLASSES)
    return made if init == "default" else drawn(made, init)


def _look(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Recording:
    return trace(model, batch, "cross_entropy", batches=1, probe_steps=0)


def _energy(layer: nn.Linear) -> float:
    """Return n Var(w), the energy that a layer passes on."""
    return layer.in_features * float(layer.weight.detach().double().square().mean())


def _lost(look: Recording) -> float:
    return -sum(by_factor(look).values())


def _row(look: Recording) -> tuple[float, float, float, float]:
    found = by_factor(look)
    by_slopes = found.get(Factor.SLOPE_CAP, 0.0) + found.get(Factor.OPERATING_POINT, 0.0)
    by_weights, whole = found.get(Factor.WEIGHT_SCALE, 0.0), -_lost(look)
    return by_slopes, by_weights, whole, 100 * by_weights / whole if whole else math.nan


def _from_last(decades: tuple[float, ...]) -> tuple[float, ...]:
    return tuple(one - decades[-1] for one in decades)


LESSON = Lesson(
    name="weights",
    title="PyTorch's weights take 0.24 decades a layer",
    claim=(
        "A linear layer of PyTorch starts with weights that multiply signal and gradient by "
        "1 / sqrt(3). In a deep tanh network these weights, and not the function, account for "
        "nearly all of the gradient that is lost."
    ),
    text="""
The second half of each factor is the matrix. An entry of the gradient W^T d that leaves a layer is
a sum over n_out entries of d, each times an independent weight. Squares of independent terms add:

    mean of (W^T d)^2 = n_out Var(w) * mean of d^2      back
    mean of (W h)^2   = n_in  Var(w) * mean of h^2      forward

In a square layer both factors are sigma_w^2 = n Var(w), the energy gain of the weights. If sigma_w
is below 1, the gradient shrinks by it at every layer, whatever the activation function does.

What does PyTorch draw? `nn.Linear` calls `kaiming_uniform_` with a = sqrt(5). The name suggests
He's initialisation, but this odd constant turns it into

    w ~ U(-1/sqrt(n), 1/sqrt(n))     Var(w) = (2/sqrt(n))^2 / 12 = 1/(3n)

so that sigma_w^2 = 1/3. The amplitude falls to 0.577 of itself at each layer: 0.239 decades, 4.8
decades in twenty layers. Convolutions are drawn by the same rule with n = channels times kernel
area.

That is a choice that shallow networks do not notice and deep plain ones do. For tanh it is nearly
everything: its slope is close to 1 as long as its inputs are small, and behind weights that shrink
the signal they become ever smaller. For a sigmoid it is the lesser half, and for a ReLU more than
half. Which half is to blame decides what helps: other weights cure tanh and ReLU, while a
sigmoid needs other biases as well (see the lesson `initialisation`).
""",
    belief=(
        "Vanishing gradients are usually put down to the activation function. For a tanh network "
        "with PyTorch's own weights the table says otherwise: its slopes take a few per cent."
    ),
    settings=Settings,
    experiment=experiment,
    falsified_by=(
        "A linear layer fresh from PyTorch with n Var(w) away from 1/3, or a deep default tanh "
        "network that loses as much with weights of unit gain."
    ),
    counterexample={"init": "xavier"},
    question=(
        "A convolution has 32 input channels and a 3 x 3 kernel. In which interval does PyTorch "
        "draw its weights, and what would He's initialisation have for their standard deviation?"
    ),
    answer=(
        "n = 32 * 9 = 288, so PyTorch draws from +-1/sqrt(288) = +-0.059, which is a deviation of "
        "0.034. He has sqrt(2/288) = 0.083, larger by sqrt(6) = 2.45."
    ),
    sources=(SOURCES["paszke2019"], SOURCES["glorot2010"], SOURCES["he2015"]),
)
