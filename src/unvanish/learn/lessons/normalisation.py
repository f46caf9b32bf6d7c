"""Lesson: BatchNorm and LayerNorm in a plain network, and what each takes away."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from torch import Tensor, nn

from unvanish.core.lessons import Curves, Evidence, Point, Relation, Scale, Series, Table
from unvanish.core.sources import SOURCES
from unvanish.learn.data import CLASSES, shapes
from unvanish.learn.lesson import Lesson
from unvanish.learn.networks import ACTIVATIONS, drawn, grad_by_layer, plain, slope_of
from unvanish.learn.settings import one_of, seed, whole
from unvanish.observe import trace
from unvanish.theory.activations import Activation, activation
from unvanish.theory.mean_field import mean_field
from unvanish.theory.normalisation import chi_batch_norm, chi_layer_norm

_NORMS: Final = ("none", "LayerNorm", "BatchNorm")
_SETTLING: Final = 3
"""Layers at either end that are left out of a slope: the data, and the outputs."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the networks are made of."""

    activation: str = one_of("sigmoid", tuple(ACTIVATIONS), meaning="function to be cured")
    exploding: str = one_of("relu", tuple(ACTIVATIONS), meaning="function under BatchNorm alone")
    depth: int = whole(30, least=12, most=100, meaning="hidden layers")
    width: int = whole(96, least=16, most=256, meaning="units of a hidden layer")
    batch: int = whole(128, least=16, most=512, meaning="samples of a batch")
    seed: int = seed()


def experiment(settings: Settings) -> Evidence:
    """Put each normalisation before the functions, and measure the gradient layer by layer."""
    batch = shapes(settings.batch, settings.seed)
    sick, other = activation(settings.activation), activation(settings.exploding)
    decades, beside = (
        {norm: _decades(settings, name, norm, batch) for norm in _NORMS}
        for name in (settings.activation, settings.exploding)
    )
    factor = {norm: _factor(found) for norm, found in decades.items()}
    factors = {norm: _factor(found) for norm, found in beside.items()}
    said, says = ({norm: math.sqrt(_chi(norm, phi)) for norm in _NORMS} for phi in (sick, other))
    whole_way = {norm: found[-1] - found[0] for norm, found in decades.items()}
    layers = tuple(float(at) for at in range(1, settings.depth + 1))
    return Evidence(
        points=(
            Point(
                says=f"decades that {settings.activation} loses under BatchNorm, from last hidden "
                "layer to first, as a share of those lost without",
                measured=abs(whole_way["BatchNorm"]) / abs(whole_way["none"]),
                relation=Relation.AT_MOST,
                limit=0.2,
            ),
            Point(
                says=f"factor a layer of {settings.activation} under LayerNorm, beside theory",
                measured=factor["LayerNorm"],
                relation=Relation.ABOUT,
                limit=said["LayerNorm"],
                tolerance=0.1,
            ),
            Point(
                says=f"decades that {settings.activation} still loses under LayerNorm",
                measured=-math.log10(factor["LayerNorm"]),
                relation=Relation.AT_LEAST,
                limit=0.3,
                unit="decades a layer",
            ),
            Point(
                says=f"factor a layer of {settings.exploding} under BatchNorm, beside theory",
                measured=factors["BatchNorm"],
                relation=Relation.ABOUT,
                limit=says["BatchNorm"],
                tolerance=0.1,
            ),
            Point(
                says=f"decades that the gradient of {settings.exploding} gains under BatchNorm, on "
                "its way to the first layer",
                measured=beside["BatchNorm"][0] - beside["BatchNorm"][-1],
                relation=Relation.AT_LEAST,
                limit=0.05 * settings.depth,
                unit="decades",
            ),
        ),
        tables=(
            Table(
                title="factor of the gradient a layer",
                columns=("network", "measured", "theory", f"in {settings.depth} layers"),
                rows=tuple(
                    (
                        f"{name}, {norm}",
                        measured[norm],
                        theory[norm],
                        f"1e{settings.depth * math.log10(measured[norm]):+.1f}",
                    )
                    for name, measured, theory in (
                        (settings.activation, factor, said),
                        (settings.exploding, factors, says),
                    )
                    for norm in _NORMS
                ),
                note="Weights are He's; theory is that of wide layers and large batches.",
            ),
        ),
        plots=tuple(
            Curves(
                title=f"{name}: gradient at every layer, against the last",
                x_label="layer, from the input",
                y_label="gradient (rms)",
                y_scale=Scale.DECADES,
                series=tuple(
                    Series(name=norm, x=layers, y=tuple(at - one[-1] for at in one))
                    for norm, one in found.items()
                ),
            )
            for name, found in ((settings.activation, decades), (settings.exploding, beside))
        ),
    )


def _decades(
    settings: Settings, name: str, norm: str, batch: tuple[Tensor, Tensor]
) -> tuple[float, ...]:
    """Return the gradient of one network at every hidden layer, log10.

    The output layer is narrower, which changes the root mean square for a reason of its own.
    """
    model = drawn(
        plain(settings.depth, width=settings.width, activation=name, outputs=CLASSES), "he"
    )
    layers: list[nn.Module] = []
    for layer in model.children():
        layers.append(layer)
        if isinstance(layer, nn.Linear) and norm != "none":
            layers.append(_norm(norm, settings.width))
    model = nn.Sequential(*(layers[:-1] if norm != "none" else layers))  # not behind the outputs
    return grad_by_layer(trace(model, batch, "cross_entropy", batches=1, probe_steps=0))[:-1]


def _norm(norm: str, width: int) -> nn.Module:
    return nn.LayerNorm(width) if norm == "LayerNorm" else nn.BatchNorm1d(width)


def _factor(decades: tuple[float, ...]) -> float:
    """Return the factor of a layer on the way back, from the layers in the middle."""
    slope = slope_of(decades[_SETTLING:-_SETTLING])
    return math.nan if math.isnan(slope) else 10.0**-slope


def _chi(norm: str, phi: Activation) -> float:
    match norm:
        case "BatchNorm":
            return chi_batch_norm(phi)
        case "LayerNorm":
            return chi_layer_norm(phi)
    return mean_field(phi, 2.0).chi_1


LESSON = Lesson(
    name="normalisation",
    title="BatchNorm cures a sigmoid, LayerNorm does not",
    claim=(
        "In a deep plain network BatchNorm lets the gradient of sigmoids through and LayerNorm "
        "does not. The same BatchNorm makes a deep plain ReLU network explode. Theory gives all "
        "of these factors."
    ),
    text="""
A normalisation subtracts a mean from the pre-activations and divides by a deviation, so that they
have variance 1 whatever the weights are. *BatchNorm* takes mean and deviation of each unit over the
samples of a batch, *LayerNorm* those of each sample over the units of its layer.

Backwards, the division counts. The factor of the gradient's energy in one layer is

    chi = E phi'(u)^2 / (what the next norm divides by),   u ~ N(0, 1)

    BatchNorm   chi = E phi'(u)^2 / Var phi(u)
    LayerNorm   chi = E phi'(u)^2 / E phi(u)^2

The denominators differ by the mean. All outputs of a sigmoid lie around 1/2, and this 1/2 is common
to all samples. BatchNorm sees it as a constant and removes it; what remains has the variance 0.043,
nearly as small as the mean squared slope of 0.045. The small slope is made up for and chi is 1.03.
To LayerNorm it is no constant: every unit of the next layer receives the 1/2 through weights of its
own, so that it arrives as a spread over the units. LayerNorm divides by E phi^2 = 0.29, and the
gradient keeps 0.39 of itself a layer. The remedy `layer-norm` therefore declines deep networks of
sigmoids.

For ReLU it is the other way round. He's weights need no help, and LayerNorm does no harm. BatchNorm
removes the mean here too and divides by too little:

    chi = pi / (pi - 1) = 1.47        1.21 a layer in amplitude

In thirty layers that is a factor of 300, in a hundred 2e8. It is the batch statistics that cause
it, and no size of the weights can avoid it, since the norm cancels their size. Residual connections
do.
""",
    belief=(
        "Normalisation is often said to solve vanishing gradients, whichever kind. In this run "
        "LayerNorm leaves a sigmoid network with about four tenths of the gradient a layer, and "
        "BatchNorm turns a sound ReLU network into one that explodes; the table has the factors."
    ),
    settings=Settings,
    experiment=experiment,
    falsified_by=(
        "A deep sigmoid network whose gradient survives LayerNorm, or a deep plain ReLU network "
        "with BatchNorm whose gradient grows by less than a twentieth of a decade a layer."
    ),
    counterexample={"activation": "tanh"},
    question=(
        "For tanh the mean of the outputs is 0. What does that say about BatchNorm and LayerNorm "
        "in a deep tanh network?"
    ),
    answer=(
        "Var phi = E phi^2 - 0, so that both have the same factor: chi = 0.464 / 0.394 = 1.18, "
        "which is 1.085 a layer in amplitude. Both explode slowly, a decade in 28 layers."
    ),
    sources=(SOURCES["ioffe2015"], SOURCES["ba2016"], SOURCES["yang2019"]),
)
