"""Lesson: what curvature says of the step, and the floor that Adam's eps puts below it."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from unvanish.core.lessons import Curves, Evidence, Point, Relation, Scale, Series, Table
from unvanish.core.prescriptions import Change, Prescription
from unvanish.core.sources import SOURCES
from unvanish.learn.data import endless
from unvanish.learn.lesson import Lesson
from unvanish.learn.networks import accuracy, fit, plain, started
from unvanish.learn.settings import number, seed, whole
from unvanish.treat import Treated, treat
from unvanish.zoo.data import clusters

Task = tuple[Tensor, Tensor]

_CLASSES: Final = 10
_INPUTS: Final = 16
_RATE: Final = 1e-3
_CURVED_DEPTH: Final = 3
_CURVED_STEPS: Final = 30


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Three networks: one to curve, one to starve, one to train."""

    beyond: float = number(10.0, least=0.1, most=100, meaning="large rate, against the bound")
    eps: float = number(1e-8, least=1e-16, most=1e-2, meaning="eps of Adam")
    depth: int = whole(25, least=4, most=60, meaning="hidden layers of the starved ReLU network")
    trained_depth: int = whole(20, least=3, most=40, meaning="hidden layers of the trained network")
    width: int = whole(32, least=16, most=64, meaning="units of a hidden layer")
    steps: int = whole(80, least=20, most=300, meaning="training steps")
    seed: int = seed()


@dataclass(frozen=True, kw_only=True)
class _Bound:
    """What the largest eigenvalue of the Hessian says, and what comes of it.

    Attributes:
        rate: Two over the eigenvalue.
        below: Losses at half of that rate.
        above: Losses at the large rate.
    """

    rate: float
    below: list[float]
    above: list[float]


def experiment(settings: Settings) -> Evidence:
    """Step below and above the bound, read Adam's first steps, and train with three optimisers."""
    if not hasattr(torch.optim, "Muon"):
        return Evidence(missing="torch.optim.Muon came with PyTorch 2.9: pip install -U torch")
    data, held_out = (
        clusters(1024, settings.seed + off, classes=_CLASSES) for off in (0, 1_000_000)
    )
    batch = data[0][:64], data[1][:64]
    bound = _bounded(settings, (data[0][:256], data[1][:256]))

    def adam(model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.AdamW(model.parameters(), lr=_RATE, eps=settings.eps)

    starved = plain(settings.depth, width=settings.width, activation="relu", inputs=_INPUTS)
    starved = starved.double()
    exact = batch[0].double(), batch[1]
    lowered = treat(starved, _lower(settings.eps), exact, cross_entropy, optimizer=adam)
    steps = {
        "SGD": _first_step(starved, exact, lambda m: torch.optim.SGD(m.parameters(), lr=_RATE)),
        "Adam": _first_step(starved, exact, adam),
        "Adam, lower eps": _first_step_of(lowered, exact),
    }
    lost = {name: one[-1] - one[0] for name, one in steps.items()}
    grads = [one - math.log10(_RATE) for one in steps["SGD"]]
    theory = [_floored(one, settings.eps) for one in grads]
    sick = plain(settings.trained_depth, width=settings.width, activation="tanh", inputs=_INPUTS)
    twin, other = copy.deepcopy(sick), copy.deepcopy(sick)
    muon = treat(sick, "muon", batch, cross_entropy, optimizer=adam, seed=settings.seed)
    arms = {
        "Adam": (twin, adam(twin)),
        "Adam, lower eps": (other, torch.optim.AdamW(other.parameters(), lr=_RATE, eps=1e-16)),
        "Muon": (muon.model, muon.optimizer or adam(muon.model)),
    }
    runs = {}
    for name, (model, optimizer) in arms.items():
        batches = endless(*data, size=64, steps=settings.steps, seed=settings.seed)
        losses = fit(model, batches, optimizer=optimizer)
        runs[name] = losses, accuracy(model, *held_out)
    best = max(runs[name][1] for name in ("Adam", "Adam, lower eps"))
    layers = tuple(float(layer) for layer in range(1, settings.depth + 2))
    return Evidence(
        points=(
            Point(
                says="part of the loss that is left at half the rate that curvature allows",
                measured=bound.below[-1] / bound.below[0],
                relation=Relation.AT_MOST,
                limit=0.3,
            ),
            Point(
                says=f"highest loss, against the first, at {settings.beyond:g} times that rate",
                measured=_highest(bound.above) / bound.above[0],
                relation=Relation.AT_LEAST,
                limit=2.0,
            ),
            Point(
                says="how much shorter Adam's first step is in the first layer than in the last",
                measured=lost["Adam"],
                relation=Relation.AT_LEAST,
                limit=1.0,
                unit="decades",
            ),
            Point(
                says="the same with eps lowered below the smallest gradient",
                measured=lost["Adam, lower eps"],
                relation=Relation.AT_MOST,
                limit=0.5,
                unit="decades",
            ),
            Point(
                says="accuracy with Muon, beyond the better of the two Adams",
                measured=runs["Muon"][1] - best,
                relation=Relation.AT_LEAST,
                limit=0.3,
            ),
        ),
        tables=(
            Table(
                title="first step of the starved network",
                columns=("optimiser", "first layer (log10)", "last layer (log10)"),
                rows=tuple((name, one[0], one[-1]) for name, one in steps.items()),
                note=f"lr g / (g + eps), with the gradient g of each layer, gives {theory[0]:.2f} "
                f"for the first and {theory[-1]:.2f} for the last layer under Adam.",
            ),
            Table(
                title=f"tanh network of {settings.trained_depth} layers, after "
                f"{settings.steps} steps",
                columns=("optimiser", "last loss", "accuracy"),
                rows=tuple((name, run[0][-1], run[1]) for name, run in runs.items()),
            ),
        ),
        plots=(
            Curves(
                title="First step of every layer of a vanishing network",
                x_label="layer, from the input",
                y_label="change of a weight (rms)",
                y_scale=Scale.DECADES,
                series=(
                    *(
                        Series(name=name, x=layers, y=tuple(one), dots=True)
                        for name, one in steps.items()
                    ),
                    Series(name="lr g / (g + eps)", x=layers, y=tuple(theory)),
                ),
            ),
            Curves(
                title="Gradient descent below and above the bound",
                x_label="step",
                y_label="loss",
                y_scale=Scale.DECADES,
                series=tuple(
                    Series(
                        name=name,
                        x=tuple(float(step) for step in range(len(losses))),
                        y=tuple(_log(loss) for loss in losses),
                    )
                    for name, losses in (
                        ("half the bound", bound.below),
                        (f"{settings.beyond:g} times the bound", bound.above),
                    )
                ),
            ),
        ),
        notes=(f"The bound, two over the largest eigenvalue, is a rate of {bound.rate:.3g}.",),
    )


def _bounded(settings: Settings, batch: Task) -> _Bound:
    """Measure the largest eigenvalue of a shallow network, and descend on one batch."""
    fresh = plain(_CURVED_DEPTH, width=settings.width, activation="tanh", inputs=_INPUTS)
    model = started(fresh, "xavier", batch, cross_entropy)

    def descent(one: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.SGD(one.parameters(), lr=10.0)

    treated = treat(model, "curvature-learning-rate", batch, cross_entropy, optimizer=descent)
    rate = 2.0 / float(treated.prescriptions[0].settings["largest_eigenvalue"])
    losses = []
    for factor in (0.5, settings.beyond):
        twin = copy.deepcopy(model)
        steps = torch.optim.SGD(twin.parameters(), lr=factor * rate)
        losses.append(fit(twin, [batch] * _CURVED_STEPS, optimizer=steps))
    return _Bound(rate=rate, below=losses[0], above=losses[1])


def _lower(eps: float) -> Prescription:
    """Ask for an eps far below any gradient here that is more than rounding."""
    return Prescription(
        remedy="lower-epsilon",
        why="the lesson",
        change=Change.OPTIMISER,
        settings={"eps": min(eps, 1e-17)},
    )


def _first_step(
    model: nn.Module, batch: Task, build: Callable[[nn.Module], torch.optim.Optimizer]
) -> list[float]:
    twin = copy.deepcopy(model)
    return _stepped(twin, batch, build(twin))


def _first_step_of(treated: Treated, batch: Task) -> list[float]:
    assert treated.optimizer is not None
    return _stepped(treated.model, batch, treated.optimizer)


def _stepped(model: nn.Module, batch: Task, optimizer: torch.optim.Optimizer) -> list[float]:
    """Return how far the weights of each layer move without decay, base-10 logarithm."""
    weights = [one for one in model.parameters() if one.ndim == 2]
    for group in optimizer.param_groups:
        group["weight_decay"] = 0.0
    before = [one.detach().clone() for one in weights]
    fit(model, [batch], optimizer=optimizer)
    moved = [now.detach() - then for now, then in zip(weights, before, strict=True)]
    return [_log(float(one.square().mean().sqrt())) for one in moved]


def _floored(log10_grad: float, eps: float) -> float:
    grad = 10.0**log10_grad
    return _log(_RATE * grad / (grad + eps))


def _highest(losses: list[float]) -> float:
    """Return the largest loss; what is no number is beyond any."""
    return max(loss if math.isfinite(loss) else math.inf for loss in losses)


def _log(value: float) -> float:
    return math.log10(value) if value > 0 else -math.inf


LESSON = Lesson(
    name="curvature",
    title="Curvature bounds the step; eps hides a floor",
    claim=(
        "Gradient descent overshoots far above the rate of two over the largest curvature, and "
        "learns below it. Adam gives every layer the same step, except where the gradient falls "
        "below its eps. Muon, which also mends the direction, trains here what Adam at the same "
        "rate does not."
    ),
    text="""
*Curvature.* Along one direction a smooth loss is a parabola, L = h w^2 / 2. A step of gradient
descent with rate r multiplies the distance from the bottom by 1 - r h:

    w  <-  w - r h w = (1 - r h) w,   which shrinks only for  r < 2 / h

The sharpest direction, the largest eigenvalue h of the Hessian, bounds the rate for all others.
Directions with little curvature then crawl. A network is no parabola, and slightly above the bound
it finds a flatter place by itself; far above it the loss leaps up.

*Adaptive rates.* In a network whose gradient vanishes, early layers lie along such flat
directions. Adam divides each gradient by a running size of it:

    step = r * m / (sqrt(v) + eps),   about  r * g / (|g| + eps)

Large or small, a gradient gives a step of length r, so a vanishing one does as well. But only above
eps, by default 1e-8: there the quotient is one, and below it the step is proportional to g again.
eps, meant to avoid a division by zero, is a hidden floor, and in deep networks the early layers lie
below it. A lower eps, such as 1e-16, takes the floor away.

*Direction.* Equal lengths are not equal use. Adam rescales each number by itself and knows
nothing of how the numbers of a matrix act together. SOAP, Shampoo and K-FAC estimate which
directions of a matrix see large and small gradients, and rescale those; Muon makes all singular
values of the step equal. Where the gradient is small and points nearly one way for all samples,
that is what moves the other directions.
""",
    belief=(
        '"Adam is scale-free, so vanishing gradients do not matter to it" is half true: down to '
        "eps, and for the length of the step only. The tables have both."
    ),
    settings=Settings,
    experiment=experiment,
    falsified_by=(
        "A network that does not learn at half the bound, or whose loss does not double at ten "
        "times it; an Adam whose first layer moves as far as the last though its gradient is far "
        "below eps; or one that trains the deep tanh network as well as Muon."
    ),
    counterexample={"eps": 1e-16},
    question=(
        "A layer has a gradient of 1e-10. How much shorter than the rate is Adam's first step with "
        "eps 1e-8, and how much with 1e-12?"
    ),
    answer="1e-10 / (1e-10 + 1e-8) is about a hundredth; with 1e-12 it is 0.99.",
    sources=(
        SOURCES["lecun1993"],
        SOURCES["cohen2021"],
        SOURCES["lewkowycz2020"],
        SOURCES["kingma2015"],
        SOURCES["jordan2024"],
        SOURCES["vyas2025"],
        SOURCES["martens2015"],
        SOURCES["gupta2018"],
    ),
)
