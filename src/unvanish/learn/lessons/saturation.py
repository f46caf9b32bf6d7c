"""Lesson: saturated units, where they come from, and what they are not to blame for."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from unvanish.core.explanations import Factor
from unvanish.core.glossary import Quantity
from unvanish.core.lessons import Curves, Evidence, Point, Relation, Scale, Series, Table
from unvanish.core.records import Recording
from unvanish.core.sources import SOURCES
from unvanish.learn.data import CLASSES, shapes
from unvanish.learn.lesson import Lesson
from unvanish.learn.networks import by_factor, grad_by_layer, plain
from unvanish.learn.settings import number, one_of, seed, whole
from unvanish.observe import trace
from unvanish.treat import treat
from unvanish.treat.refusals import CannotTreatError, NoEffectError


@dataclass(frozen=True, kw_only=True)
class Settings:
    """A network, and three ways to drive it into saturation."""

    activation: str = one_of("sigmoid", ("sigmoid", "tanh"), meaning="activation function")
    depth: int = whole(10, least=3, most=60, meaning="hidden layers")
    width: int = whole(64, least=8, most=512, meaning="units of a hidden layer")
    input_scale: float = number(50.0, least=1.0, most=1000.0, meaning="factor of the inputs")
    weight_gain: float = number(8.0, least=1.0, most=100.0, meaning="factor of the weights")
    logit: float = number(10.0, least=0.0, most=80.0, meaning="how wrong an answer is")
    seed: int = seed()


def experiment(settings: Settings) -> Evidence:
    """Look at one network as it is, with raw inputs, cured of these, and with large weights."""
    images, labels = batch = shapes(256, settings.seed)
    raw = (settings.input_scale * images, labels)
    model = plain(
        settings.depth, width=settings.width, activation=settings.activation, outputs=CLASSES
    )
    looks = {
        "as it starts": _look(model, batch),
        "raw inputs": _look(model, raw),
        "large weights": _look(_enlarged(model, settings.weight_gain), batch),
        "standardised": _look(_standardised(model, raw), raw),
    }
    fresh, lost = looks["as it starts"], {name: _lost(look) for name, look in looks.items()}
    squared, entropy = _at_the_output(settings.logit)
    slopes = {name: _at_functions(look, Quantity.SLOPE_RMS) for name, look in looks.items()}
    flat = {name: _at_functions(look, Quantity.SATURATED_FRACTION) for name, look in looks.items()}
    cap = 0.25 if settings.activation == "sigmoid" else 1.0
    shown = [name for name in looks if name != "standardised"]
    return Evidence(
        points=(
            Point(
                says="saturation's share of the decades that the fresh network loses",
                measured=_of_saturation(fresh) / lost["as it starts"],
                relation=Relation.AT_MOST,
                limit=0.1,
            ),
            Point(
                says="share of the first layer that is saturated by inputs in raw units",
                measured=flat["raw inputs"][0],
                relation=Relation.AT_LEAST,
                limit=0.5,
            ),
            Point(
                says="the same with these inputs standardised inside the network",
                measured=flat["standardised"][0],
                relation=Relation.AT_MOST,
                limit=0.05,
            ),
            Point(
                says="decades lost with large weights, as a share of those that the fresh network "
                "loses",
                measured=lost["large weights"] / lost["as it starts"],
                relation=Relation.AT_MOST,
                limit=0.5,
            ),
            Point(
                says="gradient of the squared error behind a sigmoid that is sure and wrong, as a "
                "share of the cross-entropy's",
                measured=squared / entropy,
                relation=Relation.AT_MOST,
                limit=0.01,
            ),
        ),
        tables=(
            Table(
                title="what saturates, and what it costs",
                columns=("network", "flat, layer 1 (%)", "flat, all (%)", "saturation", "all"),
                rows=tuple(
                    (
                        name,
                        100 * flat[name][0],
                        100 * sum(flat[name]) / len(flat[name]),
                        -_of_saturation(look),
                        -lost[name],
                    )
                    for name, look in looks.items()
                ),
                note="Flat: slopes below a tenth of the largest. Saturation: decades that the "
                "gradient loses on its account, and all: its whole change down to the first "
                "layer; negative is lost. Standardised: raw inputs, and a remedy for them.",
            ),
        ),
        plots=(
            Curves(
                title="How much of its largest slope each layer hands on",
                x_label="layer, from the input",
                y_label="slope (rms) / largest slope",
                series=tuple(
                    Series(
                        name=name,
                        x=tuple(float(at) for at in range(1, settings.depth + 1)),
                        y=tuple(one / cap for one in slopes[name]),
                    )
                    for name in shown
                ),
            ),
            Curves(
                title="Gradient at every hidden layer, against the last",
                x_label="layer, from the input",
                y_label="gradient (rms)",
                y_scale=Scale.DECADES,
                series=tuple(_gradient(name, looks[name]) for name in shown),
            ),
        ),
    )


def _look(model: nn.Module, batch: tuple[Tensor, Tensor]) -> Recording:
    return trace(model, batch, "cross_entropy", batches=1, probe_steps=0)


def _enlarged(model: nn.Module, gain: float) -> nn.Module:
    twin = copy.deepcopy(model)
    with torch.no_grad():
        for layer in twin.modules():
            if isinstance(layer, nn.Linear):
                layer.weight.mul_(gain)
    return twin


def _standardised(model: nn.Module, batch: tuple[Tensor, Tensor]) -> nn.Module:
    """Let the remedy for raw inputs be applied; where they need none, it has nothing to do."""
    try:
        return treat(model, "standardise-input", batch, "cross_entropy").model
    except (CannotTreatError, NoEffectError):
        return model


def _lost(look: Recording) -> float:
    return -sum(by_factor(look).values())


def _of_saturation(look: Recording) -> float:
    """Return the decades lost because units stand off the steepest point."""
    return -by_factor(look).get(Factor.OPERATING_POINT, 0.0)


def _at_functions(look: Recording, quantity: Quantity) -> list[float]:
    profile = look[quantity]
    return [profile.get(site) for site in look.signal_sites() if site in profile]


def _at_the_output(logit: float) -> tuple[float, float]:
    """Return the gradients of two losses at the logit of an answer that is sure and wrong."""
    point = torch.tensor(-logit, dtype=torch.float64, requires_grad=True)
    target = torch.tensor(1.0, dtype=torch.float64)
    losses = (
        functional.mse_loss(point.sigmoid(), target),
        functional.binary_cross_entropy_with_logits(point, target),
    )
    first, second = (float(torch.autograd.grad(loss, point)[0].abs()) for loss in losses)
    return first, second


def _gradient(name: str, look: Recording) -> Series:
    decades = grad_by_layer(look)[:-1]
    known = [one - decades[-1] if math.isfinite(one) else one for one in decades]
    return Series(name=name, x=tuple(float(at) for at in range(1, len(known) + 1)), y=tuple(known))


LESSON = Lesson(
    name="saturation",
    title="Fresh sigmoids vanish without being saturated",
    claim=(
        "A fresh sigmoid network vanishes without saturation. Inputs in raw units saturate its "
        "first layer, and standardising them cures that; large weights saturate units in "
        "every layer and still lose less gradient than small ones; and a squared error behind a "
        "sigmoid goes silent where the answer is most wrong."
    ),
    text="""
A unit is *saturated* where its function is flat: a sigmoid near 0 or 1, a tanh near -1 or 1. Here
that means a slope below a tenth of the largest one. For a sigmoid this begins at

    |z| > ln(19 + sqrt(360)) = 3.64

The slope that a layer hands on has two factors, and the ledger keeps them apart:

    phi'(z) = cap * (phi'(z) / cap)        cap + operating point

The cap belongs to the function and no data can change it. Saturation is the second factor. With
PyTorch's weights pre-activations stay near 0, the second factor is close to 1, and what kills the
gradient of a sigmoid network is its cap of 1/4 together with its weights.

Saturation needs large pre-activations. Three things make them:

- Inputs in raw units, such as pixels from 0 to 255 or prices in cents. Only the first layer sees
  them. What gradient it still hands on comes from the few units that happen to stand near 0.

- Large weights. Every layer saturates. But the matrix multiplies the gradient by the same weights
  that flattened the slopes, and the second effect is stronger: as sigma_w grows, the root mean
  square of the slopes falls like 1 / sqrt(sigma_w), while the weights gain sigma_w. A tanh network
  that is driven into saturation explodes.

- Being sure. At the output, training itself drives units to the flat ends. A squared error then has
  the gradient 2 (p - t) p (1 - p), which is 0 where p is 0 and t is 1. Cross-entropy divides the
  factor p (1 - p) out again: its gradient is p - t.
""",
    belief=(
        "Gradients of sigmoid networks are said to vanish because the units saturate. In the fresh "
        "network of this run saturation takes a per cent or two of the lost decades; the table "
        "says how many."
    ),
    settings=Settings,
    experiment=experiment,
    falsified_by=(
        "A fresh network whose operating points take more than a tenth of its lost decades, or "
        "one whose gradient is lost faster when its weights are made larger."
    ),
    counterexample={"input_scale": 1.0},
    question=(
        "A classifier ends in a sigmoid and a squared error, and says p = 0.0001 where 1 is right. "
        "By which factor does the gradient at its logit grow if the loss is cross-entropy?"
    ),
    answer=(
        "The squared error has 2 (1 - p) p (1 - p) = 2.0e-4, the cross-entropy 1 - p = 0.9999: "
        "5,000 times as much."
    ),
    sources=(SOURCES["lecun1998"], SOURCES["glorot2010"], SOURCES["goodfellow2016"]),
)
