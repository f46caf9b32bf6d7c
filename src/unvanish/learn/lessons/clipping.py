"""Lesson: clipping cures a gradient that explodes, and none that vanishes."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from unvanish.core.lessons import Cell, Curves, Evidence, Point, Relation, Scale, Series, Table
from unvanish.core.prescriptions import Change, Prescription
from unvanish.core.sources import SOURCES
from unvanish.learn.data import endless
from unvanish.learn.lesson import Lesson
from unvanish.learn.networks import accuracy, fit, plain
from unvanish.learn.settings import number, seed, whole
from unvanish.treat import treat
from unvanish.zoo.data import clusters

Task = tuple[Tensor, Tensor]
Build = Callable[[nn.Module], torch.optim.Optimizer]

_CLASSES: Final = 10
_EXPLODING_DEPTH: Final = 10
_CLIPPINGS: Final = ("clip-norm", "clip-value", "clip-layer", "clip-units")
_NORMALISED: Final = "layer-normalised-gradient"
_LIFTED: Final = (_NORMALISED, "AdamW")
_BETTER: Final = "xavier"
_TRAINED: Final = ("none", "clip-norm", *_LIFTED, _BETTER)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Two sick networks, and what is done about them."""

    gain: float = number(2.5, least=0.5, most=4, meaning="sigma_w of the exploding network")
    depth: int = whole(20, least=4, most=32, meaning="hidden layers of the vanishing network")
    width: int = whole(32, least=16, most=128, meaning="units of a hidden layer")
    limit: float = number(1.0, least=0.001, most=100, meaning="norm that the explosion is cut to")
    share: float = number(0.1, least=0.01, most=0.9, meaning="part left of the vanishing norm")
    learning_rate: float = number(0.02, least=0.0001, most=1, meaning="learning rate of SGD")
    steps: int = whole(100, least=20, most=1000, meaning="steps of each training")
    seed: int = seed()


def experiment(settings: Settings) -> Evidence:
    """Train what explodes with and without clipping, then see what lifts what vanishes."""
    data, held_out = (
        clusters(1024, settings.seed + off, classes=_CLASSES) for off in (0, 1_000_000)
    )

    def descent(model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.SGD(model.parameters(), lr=settings.learning_rate, momentum=0.9)

    def adam(model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.AdamW(model.parameters(), lr=1e-3)

    def arm(model: nn.Module, name: str, limit: float) -> tuple[nn.Module, torch.optim.Optimizer]:
        build = adam if name == "AdamW" else descent
        return _arm(model, name, _first(data), build, limit, settings.seed)

    def trained(model: nn.Module, name: str, limit: float) -> tuple[list[float], float]:
        twin, optimizer = arm(model, name, limit)
        batches = endless(*data, size=64, steps=settings.steps, seed=settings.seed)
        return fit(twin, batches, optimizer=optimizer), accuracy(twin, *held_out)

    wild = _exploding(settings)
    explosions = {name: trained(wild, name, settings.limit) for name in ("none", "clip-norm")}
    sick = plain(settings.depth, width=settings.width, activation="tanh", inputs=16)
    limit = settings.share * _norm(sick, _first(data))
    steps = {
        name: _first_step(*arm(copy.deepcopy(sick).double(), name, limit), _first(data))
        for name in ("none", *_CLIPPINGS, _NORMALISED, "AdamW", _BETTER)
    }
    runs = {name: trained(sick, name, limit) for name in _TRAINED}
    lifts = {name: steps[name][0] - steps["none"][0] for name in steps}
    layers = tuple(float(layer) for layer in range(1, settings.depth + 2))
    return Evidence(
        points=(
            Point(
                says="accuracy that clipping adds to the network that explodes",
                measured=explosions["clip-norm"][1] - explosions["none"][1],
                relation=Relation.AT_LEAST,
                limit=0.5,
            ),
            Point(
                says="what clipping by norm adds to the first step of the vanishing first layer",
                measured=lifts["clip-norm"],
                relation=Relation.ABOUT,
                limit=math.log10(settings.share),
                unit="decades",
                tolerance=0.05,
            ),
            Point(
                says="the most that any of four clippings adds to it",
                measured=max(lifts[name] for name in _CLIPPINGS),
                relation=Relation.AT_MOST,
                limit=0.1,
                unit="decades",
            ),
            Point(
                says="what dividing each layer's gradient by its own length adds to it",
                measured=lifts[_NORMALISED],
                relation=Relation.AT_LEAST,
                limit=2.0,
                unit="decades",
            ),
            Point(
                says="accuracy with better first weights, beyond the best that lifting came to",
                measured=runs[_BETTER][1] - max(runs[name][1] for name in _LIFTED),
                relation=Relation.AT_LEAST,
                limit=0.3,
            ),
        ),
        tables=(
            Table(
                title="the vanishing network: first step, and what training comes to",
                columns=("what is done", "first layer (log10)", "added (decades)", "accuracy"),
                rows=tuple(
                    (name, steps[name][0], lifts[name], _share(runs.get(name))) for name in steps
                ),
                note="The step is the change of the first layer's weights as a share of their "
                f"size; chance is {1 / _CLASSES:g}.",
            ),
            Table(
                title="the exploding network",
                columns=("what is done", "last loss", "accuracy"),
                rows=tuple((name, run[0][-1], run[1]) for name, run in explosions.items()),
                note=f"{_EXPLODING_DEPTH} hidden layers of ReLU. A loss of - is not a number any "
                "more.",
            ),
        ),
        plots=(
            Curves(
                title="First step of every layer of the vanishing network",
                x_label="layer, from the input",
                y_label="change of the weights, as a share",
                y_scale=Scale.DECADES,
                series=tuple(
                    Series(name=name, x=layers, y=tuple(steps[name]), dots=True)
                    for name in ("none", "clip-norm", _NORMALISED, _BETTER)
                ),
            ),
            Curves(
                title="Training the vanishing network",
                x_label="step",
                y_label="loss",
                series=tuple(_averaged(name, run[0]) for name, run in runs.items()),
            ),
        ),
    )


def _first(data: Task) -> Task:
    return data[0][:64], data[1][:64]


def _exploding(settings: Settings) -> nn.Module:
    model = plain(_EXPLODING_DEPTH, width=settings.width, activation="relu", inputs=16)
    for layer in model:
        if isinstance(layer, nn.Linear):
            nn.init.normal_(layer.weight, std=settings.gain / math.sqrt(layer.in_features))
            nn.init.zeros_(layer.bias)
    return model


def _arm(
    model: nn.Module, name: str, batch: Task, build: Build, limit: float, seed: int
) -> tuple[nn.Module, torch.optim.Optimizer]:
    """Return a copy of a network and its optimiser, after a remedy of that name."""
    if name in ("none", "AdamW"):
        twin = copy.deepcopy(model)
        return twin, build(twin)
    prescription: Prescription | str = name
    if name == "clip-norm":
        prescription = Prescription(
            remedy=name,
            why="the setting of the lesson",
            change=Change.OPTIMISER,
            settings={"max_norm": limit},
        )
    exact = next(model.parameters()).dtype
    batch = batch[0].to(exact), batch[1]
    treated = treat(
        model,
        prescription,
        batch,
        cross_entropy,
        optimizer=build,
        validate=False,
        seed=seed,
    )
    assert treated.optimizer is not None
    return treated.model, treated.optimizer


def _norm(model: nn.Module, batch: Task) -> float:
    twin = copy.deepcopy(model)
    cross_entropy(twin(batch[0]), batch[1]).backward()
    return float(nn.utils.get_total_norm([one.grad for one in twin.parameters()]))  # type: ignore[misc]


def _first_step(twin: nn.Module, optimizer: torch.optim.Optimizer, batch: Task) -> list[float]:
    """Return by how much each layer's weights change in one step in float64, base-10 logarithm."""
    weights = [one for one in twin.parameters() if one.ndim == 2]
    before = [one.detach().clone() for one in weights]
    fit(twin, [(batch[0].double(), batch[1])], optimizer=optimizer)
    shares = [
        float((now.detach() - then).norm() / then.norm())
        for now, then in zip(weights, before, strict=True)
    ]
    return [math.log10(share) if share else -math.inf for share in shares]


def _share(run: tuple[list[float], float] | None) -> Cell:
    return "-" if run is None else run[1]


def _averaged(name: str, losses: list[float]) -> Series:
    """Return the means of ten steps each."""
    means = [
        sum(part) / len(part) for at in range(0, len(losses), 10) if (part := losses[at : at + 10])
    ]
    return Series(name=name, x=tuple(5.0 + 10 * at for at in range(len(means))), y=tuple(means))


LESSON = Lesson(
    name="clipping",
    title="Clipping tames an explosion; it cures no vanishing",
    claim=(
        "Clipping the gradient's norm makes a network trainable whose gradient explodes. In one "
        "whose gradient vanishes no clipping makes the step of the first layer longer, and that "
        "by the norm makes it shorter; dividing the gradient by its own size does make it longer, "
        "but does not bring what better first weights bring."
    ),
    text="""
Clipping by norm takes the gradients of all parameters together as one long vector g, and shortens
it where it is longer than a limit c:

    g  <-  g * min(1, c / |g|)

The direction stays, so a single huge gradient can no longer throw the weights away. In a network
whose gradient explodes that is just what is needed: the steps are as long as they would be in a
healthy network.

For a gradient that vanishes the formula has nothing to offer. The factor is at most 1, and the same
for every layer. The length |g| is that of the *large* layers, those near the output. If these
exceed the limit, the early layers, which already get too little, are shortened by the same factor:
the ratio between first and last layer stays, and the first layer moves less than before. Clipping
by value, by layer or by unit also only ever shortens.

What lifts a small gradient is to divide it by its own size: by its length, layer by layer
(normalised gradients, LARS), or number by number by its running size (Adam). Every layer then moves
by the same share. But a step of the right length still needs a direction. The signal that comes out
of twenty layers is nearly the same for every sample, so the gradient of the early layers says
little about what tells the samples apart, and all layers moving at once disturb each other. Better
first weights mend the forward and the backward signal, and with these plain SGD learns.
""",
    belief=(
        '"Clipping handles vanishing and exploding gradients" is half true: it handles the '
        "second. That small gradients are cured by making them larger is half true too: the table "
        "shows the lifted step beside the accuracy that it led to."
    ),
    settings=Settings,
    experiment=experiment,
    falsified_by=(
        "A clipping under which the first layer of a vanishing network takes a longer step than "
        "without it; or a network that explodes and trains no better with the norm clipped; or "
        "normalised gradients that train the vanishing network as well as better first weights."
    ),
    counterexample={"depth": 4, "limit": 10},
    question=(
        "A network has two layers with gradients of length 10 and 1e-6. You clip the norm to 1. "
        "How long are they afterwards?"
    ),
    answer="1 and 1e-7: the factor is 1 / 10 for both, and the small one got ten times smaller.",
    sources=(SOURCES["pascanu2013"], SOURCES["brock2021"], SOURCES["you2017"], SOURCES["yu2017"]),
)
